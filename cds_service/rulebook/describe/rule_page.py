"""Everything a reader wants to know of one rule, gathered from its files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...protocol.cards import Indicator
from ..compile.prefetch import askings_of, derive
from ..engine.alerting import ANY_REASON, AboutData
from ..engine.rulebook import Rulebook
from ..language.criterion_tree import Amount
from ..language.diagnostics import Findings
from ..language.document import Document
from ..language.schemas import check_shape
from ..language.source import parse_yaml
from ..language.tree import GovernanceNode, ParamNode
from ..language.tree_reader import read_rule
from ..values.intervals import Duration
from .fact_words import value_text
from .hti1 import SourceAttribute, source_attributes
from .meaning import RuleFile
from .prose import Logic, tell
from .valueset_words import ValueSetWords, tell_valuesets

_VALUESET = re.compile(r"^(?:valueset|extends):\s*[\"']?([\w.-]+)", re.MULTILINE)
"""The value set that a file is of, or adds to."""


@dataclass(frozen=True, slots=True)
class ParamWords:
    """A limit that a site may tune."""

    name: str
    describe: str
    default: str
    low: str
    high: str
    site: str
    """What holds here."""

    def as_json(self) -> dict[str, str]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "means": self.describe,
            "default": self.default,
            "min": self.low,
            "max": self.high,
            "here": self.site,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """One rule."""

    source: RuleFile
    status: tuple[str, ...]
    services: tuple[str, ...]
    logic: Logic
    valuesets: tuple[ValueSetWords, ...]
    params: tuple[ParamWords, ...]
    tests: tuple[tuple[str, str], ...]
    """Name and expectation of each."""
    alerting: tuple[str, ...]
    prefetch: tuple[tuple[str, str], ...]
    """Key and template of each query that the rule needs."""
    attributes: tuple[SourceAttribute, ...]
    unconfirmed: tuple[str, ...]
    """Numbers of the rule that no document was found for, and why they stand there."""
    history: tuple[str, ...] = field(default=())


def build_page(
    source: RuleFile,
    rulebook: Rulebook,
    documents: Mapping[str, Document],
    changelog: str = "",
) -> Page:
    """The page of a rule; *changelog* is the text of the project's change log."""
    return Page(
        source=source,
        status=tuple(_status(source, rulebook)),
        services=tuple(
            f"{each.service.id} on {each.service.hook}"
            for each in rulebook.services.values()
            if any(rule.id == source.rule.id for rule in each.rules)
        ),
        logic=tell(source, rulebook),
        valuesets=tuple(tell_valuesets(source, rulebook, documents)),
        params=tuple(_params(source)),
        tests=tuple(_tests(source, documents)),
        alerting=tuple(_alerting(source, rulebook)),
        unconfirmed=source.tree.governance.unconfirmed,
        prefetch=tuple(_prefetch(source, rulebook)),
        attributes=source_attributes(source, rulebook),
        history=history_of(source.rule.id, changelog),
    )


def build_served_page(
    rule: str, rulebook: Rulebook, texts: Mapping[str, str], changelog: str = ""
) -> Page:
    """Return the page of a rule that is served, from the texts that it was made of.

    Only what the page needs of them is parsed: a thousand rules would take seconds.

    Args:
        texts: By path; with the rule's tests they are on the page as well.
    """
    found = rulebook.rules[rule]
    tests = found.file.removesuffix(".yaml") + ".test.yaml"
    selectors = next(iter(rulebook.services.values())).program.selectors.all
    read = {each.selector.valueset for each in askings_of(found, selectors)}
    wanted = {found.file, tests} & texts.keys()
    wanted |= {
        path for path, text in texts.items() if read & set(_VALUESET.findall(text))
    }
    findings, documents = Findings(), dict[str, Document]()
    for path in sorted(wanted):
        document = parse_yaml(texts[path], path, findings)
        if document and (path != tests or check_shape("rule-test", document, findings)):
            documents[path] = document
    source = RuleFile(found, read_rule(documents[found.file]))
    return build_page(source, rulebook, documents, changelog)


def history_of(rule: str, changelog: str) -> tuple[str, ...]:
    """The lines of each Rules section that begin with the rule's name.

    Each is led by the version of the release that it stands under.
    """
    found: list[str] = []
    release, inside, taken = "", False, False
    for line in changelog.splitlines():
        if line.startswith("## "):
            release, inside, taken = line[3:].strip(), False, False
        elif line.startswith("### "):
            inside, taken = line[4:].strip().lower() == "rules", False
        elif inside and line.startswith("- "):
            names = re.match(r"- ([a-z0-9, -]+?)(?: \d|:)", line)
            taken = bool(names and rule in re.split(r", *| ", names[1]))
            if taken:
                said = line[2:].strip().removeprefix(f"{rule} ")
                found.append(f"{release}: {said}")
        elif taken and line.strip():
            found[-1] += " " + line.strip()
    return tuple(found)


def _status(source: RuleFile, rulebook: Rulebook) -> Iterator[str]:
    rule, tree, governance = source.rule, source.tree, source.tree.governance
    yield {
        "draft": "Draft: not evaluated.",
        "shadow": "Shadow: evaluated and recorded; no card is shown.",
        "active": "Active: evaluated, and its cards are shown.",
        "retired": "Retired: not evaluated any more.",
    }[rule.status if rule.status != "active" or rule.served else "shadow"]
    if rule.status != tree.status:
        yield f"The file says {tree.status}; site.yaml decides otherwise."
    shown = "each card says that it awaits local approval" if rule.served else ""
    yield from tell_governance(governance, tree.replaced_by, shown)


def tell_governance(
    governance: GovernanceNode, replaced_by: str, shown: str
) -> Iterator[str]:
    """Yield who approved it and answers for it, from when until when.

    Args:
        shown: What is so although nobody approved it; empty for nothing.
    """
    if governance.approved:
        yield f"Approved by {governance.approved.by} on {governance.approved.on}."
    else:
        yield (
            f"Nobody has approved it; {shown}." if shown else "Nobody has approved it."
        )
    for said, value in (
        ("In effect from", governance.effective),
        ("Expires on", governance.expires),
        ("Review due by", governance.review_by),
        ("Owner:", governance.owner),
        ("Retired because:", governance.retired_because),
    ):
        if value:
            yield f"{said} {str(value).rstrip('.')}."
    if replaced_by:
        yield f"Replaced by {replaced_by}."


def _params(source: RuleFile) -> Iterator[ParamWords]:
    for name, node in source.tree.params.items():
        yield param_words(node, source.rule.params[name].value)


def param_words(node: ParamNode, here: float | Duration) -> ParamWords:
    """Return what a page says of a param, of which *here* is the value at the site."""
    return ParamWords(
        node.name,
        node.describe,
        _shown(node.default, node.unit),
        _shown(node.least, node.unit),
        _shown(node.most, node.unit),
        value_text(here, node.unit),
    )


def _shown(amount: Amount | None, unit: str) -> str:
    value = amount.quantity if amount else None
    return "" if value is None else value_text(value, unit)


def _tests(
    source: RuleFile, documents: Mapping[str, Document]
) -> Iterator[tuple[str, str]]:
    path = source.rule.file.removesuffix(".yaml") + ".test.yaml"
    document = documents.get(path)
    for case in document.data.get("cases", ()) if document else ():
        todo = f" (a known gap: {case['todo']})" if "todo" in case else ""
        yield case["name"], _expected(case["expect"]) + todo


def _expected(expect: Any) -> str:
    if isinstance(expect, str):
        return expect
    if "card" in expect:
        return f"{expect['card']} card"
    because = expect.get("unknown_because")
    return f"unknown because of {', '.join(because)}" if because else "unknown"


def _alerting(source: RuleFile, rulebook: Rulebook) -> Iterator[str]:
    tree, node = source.tree, source.tree.alerting
    if tree.says("alerting", "once_per"):
        yield f"Shown once per {' and '.join(map(_plain, node.once_per))}."
    if node.repeat_after:
        length = node.repeat_after.written
        yield f"Shown again no sooner than {length} after it was shown."
    yield from _overridden(source, rulebook)
    if node.snooze_on_accept:
        length = node.snooze_on_accept.written
        yield f"Stays away for {length}, for everybody, after somebody accepted it."
    if node.group:
        yield (
            f"Of the cards of the group {node.group}, only the most severe is "
            "shown whole."
        )
    if tree.says("alerting", "priority"):
        yield f"Priority {node.priority} among cards of the same severity."
    if node.allow_suppress:
        yield "It may be held back even where it is critical."


def _overridden(source: RuleFile, rulebook: Rulebook) -> Iterator[str]:
    """Yield what an override does: for all rules if about data, else for one."""
    alerting = source.rule.alerting
    about_data, about_advice = _snoozing(source, rulebook)
    whom = "nobody is" if alerting.is_for_all else "that user is not"
    also = ", and this rule shows it to nobody" if alerting.is_for_all else ""
    for length, reasons in about_data.items():
        yield (
            f"Overridden because of {', '.join(reasons)}: for {length}, no rule shows "
            "that user a card that rests on the same alert or reading, but for "
            f"critical ones{also}."
        )
    for length, reasons in about_advice.items():
        yield (
            f"Overridden because of {', '.join(reasons)}: for {length}, {whom} shown "
            "this rule's card."
        )
    if ANY_REASON in alerting.snooze:
        other = "any other reason" if about_data or about_advice else "any reason"
        yield (
            f"Overridden for {other}, or for none: for {alerting.snooze[ANY_REASON]}, "
            f"{whom} shown this rule's card."
        )
    critical = any(card.severity is Indicator.CRITICAL for card in source.rule.cards)
    if critical and not alerting.allow_suppress:
        yield "Its critical card is shown all the same."


def _snoozing(
    source: RuleFile, rulebook: Rulebook
) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """The reasons that the cards offer, by how long: about the data, the advice."""
    rule = source.rule
    data = AboutData(rulebook.site.data_reasons, {rule.id: rule.alerting})
    about_data: dict[str, list[str]] = {}
    about_advice: dict[str, list[str]] = {}
    for each in dict.fromkeys(r for card in rule.cards for r in card.override_reasons):
        reason, said = f"{each.system}|{each.code}", f"“{each.display}”"
        wrong, declined = data.lasts(rule.id, reason), rule.alerting.snooze.get(reason)
        if wrong:
            about_data.setdefault(str(wrong), []).append(said)
        elif declined:
            about_advice.setdefault(str(declined), []).append(said)
    return about_data, about_advice


def _plain(word: str) -> str:
    return word.replace("_", " ").replace("-", " ").replace(".", "'s ")


def _prefetch(source: RuleFile, rulebook: Rulebook) -> Iterator[tuple[str, str]]:
    service = next(iter(rulebook.services.values()))
    askings = askings_of(source.rule, service.program.selectors.all)
    for each in derive(askings, rulebook.valuesets, {}):
        yield each.query.key, each.query.template


def titles(pages: Sequence[Page]) -> list[tuple[str, str, str, str]]:
    """Name, version, status and title of each rule, for an index."""
    return [
        (page.source.rule.id, page.source.rule.version, page.source.rule.status)
        + (page.source.rule.title,)
        for page in pages
    ]
