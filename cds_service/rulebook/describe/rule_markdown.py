"""The page of a rule as Markdown, in which nothing that a file says comes alive."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from ..engine.facts import Fact
from ..engine.rules import ActionTemplate, CardTemplate
from ..language.tree import Evidence
from ..values.escaping import inert
from .detectors.page import DetectorPage
from .prose import CardWords, Said
from .rule_page import Page, ParamWords, titles
from .valueset_words import ValueSetWords

CODES_SHOWN = 40
"""Codes of one system on a page; more are counted."""
_SAFE = "/:?#[]@!$&'*+,;=%~"


def markdown(page: Page) -> str:
    """The whole page; the same for the same files."""
    rule = page.source.rule
    parts: list[Iterable[str]] = [
        [f"# {inert(rule.title)}", ""],
        [f"`{rule.id}` version {rule.version}, {_code(rule.file)}.", ""],
        [" ".join(map(inert, page.status)), ""],
        _logic(page),
        _cards(page),
        _section("How often it is shown", map(inert, page.alerting)),
        _params(page.params),
        _valuesets(page),
        _tests(page.tests),
        _evidence(page.source.rule.evidence),
        _section(_UNCONFIRMED, map(inert, page.unconfirmed)),
        _prefetch(page),
        _attributes(page),
        _section("Changes", map(inert, page.history)),
    ]
    text = "\n".join(line for part in parts for line in part)
    return text.rstrip("\n") + "\n"


def detector_markdown(page: DetectorPage) -> str:
    """The whole page of a detector; the same for the same files."""
    tree = page.tree
    parts: list[Iterable[str]] = [
        [f"# {inert(tree.title)}", ""],
        [f"`{tree.name}` version {tree.version}, {_code(tree.document.file)}.", ""],
        [" ".join(map(inert, page.status)), ""],
        ["## What it detects", "", inert(page.opens), ""],
        *([f"- {inert(each)}"] for each in page.more),
        [""],
        _params(page.params),
        _tests(page.tests),
        _evidence(tree.governance.evidence),
        _section(_UNCONFIRMED, map(inert, tree.governance.unconfirmed)),
        _section("Changes", map(inert, page.history)),
    ]
    text = "\n".join(line for part in parts for line in part)
    return text.rstrip("\n") + "\n"


def index_markdown(
    pages: Sequence[Page], detectors: Sequence[DetectorPage] = ()
) -> str:
    """The page that leads to all others."""
    lines = ["# Rules", "", "| rule | version | status | title |", "|---|---|---|---|"]
    for name, version, status, title in titles(pages):
        lines.append(f"| [{name}]({name}.md) | {version} | {status} | {inert(title)} |")
    if detectors:
        head = "| detector | version | status | title |"
        lines += ["", "## Detectors", "", head, "|---|---|---|---|"]
    for each in detectors:
        tree = each.tree
        link = f"[{tree.name}](detectors/{tree.name}.md)"
        told = f"{tree.version} | {tree.status} | {inert(tree.title)}"
        lines.append(f"| {link} | {told} |")
    return "\n".join(lines) + "\n"


def bullets(said: Iterable[Said], depth: int = 0) -> Iterator[str]:
    """Sentences as a list, each that has a list below it with its own."""
    for each in said:
        yield f"{'  ' * depth}- {_ended(each)}"
        yield from bullets(each.children, depth + 1)


def _ended(said: Said) -> str:
    return _capital(said.text if said.text.endswith(":") else f"{said.text}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _logic(page: Page) -> Iterator[str]:
    logic = page.logic
    yield "## What it does"
    yield ""
    if page.services:
        yield f"Evaluated by the service {' and '.join(map(inert, page.services))}."
        yield ""
    yield from _shown(logic.patients, logic.shown)
    yield from _hidden(logic.hidden)
    for title, items in logic.scores:
        yield from _heading(f"The score {inert(title)}")
        yield "An item that is not known makes the score a range; a limit within that"
        yield "range is not decided."
        yield ""
        yield from bullets(items)
        yield ""
    yield from _section("When something is not known", logic.unknown)


def _shown(patients: str, shown: Sequence[Said]) -> Iterator[str]:
    lead = f"Shown for {patients}"
    if not shown:
        yield f"{lead}."
    elif len(shown) == 1 and not shown[0].children:
        yield f"{lead} when {shown[0].text}."
    else:
        whole = shown[0] if len(shown) == 1 else None
        yield f"{lead} when {whole.text if whole else 'all of these hold:'}"
        yield ""
        yield from bullets(whole.children if whole else shown)
    yield ""


def _hidden(hidden: Sequence[Said]) -> Iterator[str]:
    if not hidden:
        return
    if len(hidden) == 1 and not hidden[0].children:
        yield f"Not shown when {hidden[0].text}."
    else:
        yield "Not shown when any of these holds:"
        yield ""
        yield from bullets(hidden)
    yield ""


def _cards(page: Page) -> Iterator[str]:
    cards = page.source.rule.cards
    several = len(cards) > 1
    yield from _heading("The cards" if several else "The card")
    if several:
        yield "The first of these whose condition holds is shown."
        yield ""
    facts = page.source.rule.facts
    with_each = [list(_extras(card, facts)) for card in cards]
    shared = [line for line in with_each[0] if all(line in each for each in with_each)]
    for words, extras in zip(page.logic.cards, with_each, strict=True):
        yield from _card(words, several)
        own = [line for line in extras if line not in shared]
        if own:
            yield from ["With it:", "", *own, ""]
    if shared:
        yield from ["With every card:" if several else "With it:", "", *shared, ""]


def _card(words: CardWords, several: bool) -> Iterator[str]:
    yield f"**{_capital(words.severity)}**: {words.summary}"
    yield ""
    if words.when is not None:
        said = words.when
        yield f"Shown when {said.text}{'' if said.children else '.'}"
        yield ""
        yield from bullets(said.children)
        if said.children:
            yield ""
    elif several:
        yield "Shown otherwise."
        yield ""


def _extras(card: CardTemplate, facts: Mapping[str, Fact]) -> Iterator[str]:
    for suggestion in card.suggestions:
        does = _JOINED[suggestion.action_selection].join(
            _action(each, facts) for each in suggestion.actions
        )
        recommended = " (recommended)" if suggestion.recommended else ""
        label = inert(suggestion.label)
        told = "" if does == label else f" ({does})"
        yield f"- suggestion{recommended}: {label}{told}"
    if card.suggestions and card.selection == "any":
        yield "- several of the suggestions may be taken, where the EHR knows that"
    if card.together:
        yield f"- elsewhere all of them as one: {inert(card.together)}"
    if card.system_actions:
        does = "; ".join(inert(each.description) for each in card.system_actions)
        only = "where nothing is in doubt, in an EHR that agreed to it"
        yield f"- takes without a person: {does} ({only})"
    if card.override_reasons:
        reasons = "; ".join(inert(each.display) for each in card.override_reasons)
        yield f"- reasons to override it: {reasons}"
    for link in card.links:
        yield f"- link: {_link(link.label, link.url)}{_OWN if link.page else ''}"
    yield f"- source: {_link(card.source.label, card.source.url)}"


def _action(action: ActionTemplate, facts: Mapping[str, Fact]) -> str:
    """Return what an action does, and the records that it names as its reason."""
    reasons = [f"*{inert(facts[each].title or each)}*" for each in action.reasons]
    because = f", because of {' and '.join(reasons)}" if reasons else ""
    return f"{inert(action.description)}{because}"


_OWN = " (a page of this server, for EHRs that open it as a SMART app)"
_JOINED = {"": "; ", "any": "; and/or ", "at-most-one": "; or "}


_UNCONFIRMED = "What no document was found for"


def _params(params: Sequence[ParamWords]) -> Iterator[str]:
    if not params:
        return
    yield from _heading("Limits that a site may tune")
    yield "| limit | means | default | least | most | here |"
    yield "|---|---|---|---|---|---|"
    for each in params:
        cells = [each.describe, each.default, each.low, each.high, each.site]
        yield f"| `{each.name}` | {' | '.join(map(inert, cells))} |"
    yield ""


def _valuesets(page: Page) -> Iterator[str]:
    if not page.valuesets:
        return
    yield from _heading("Value sets")
    for each in page.valuesets:
        facts = ", ".join(f"`{fact}`" for fact in each.facts)
        yield f"### {inert(each.title or each.name)}"
        yield ""
        yield f"{_code(each.name)} {inert(each.version)}, read as {facts}."
        yield ""
        yield from _codes(each)
        yield ""


def _codes(valueset: ValueSetWords) -> Iterator[str]:
    for group in valueset.groups:
        said = []
        if group.exact:
            count = f"{len(group.exact)} code{'' if len(group.exact) == 1 else 's'}"
            said.append(f"{count}: {_some(group.exact)}")
        if group.under:
            said.append(f"all that begin with {_some(group.under)}")
        if group.excluded:
            said.append(f"{group.excluded} left out")
        yield f"- {inert(group.system)}: {'; '.join(said)}"
    if valueset.names:
        yield f"- by name in a product's text: {_some(valueset.names)}"
    if valueset.results:
        yield f"- results: {inert(', '.join(valueset.results))}"
    for source in valueset.sources:
        yield f"- from {inert(source)}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - CODES_SHOWN
    shown = ", ".join(map(inert, words[:CODES_SHOWN]))
    return f"{shown} and {more} more" if more > 0 else shown


def _tests(tests: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not tests:
        return
    yield from _heading(f"Tests ({len(tests)})")
    yield "| case | expected |"
    yield "|---|---|"
    for name, expected in tests:
        yield f"| {inert(name)} | {inert(expected)} |"
    yield ""


def _evidence(evidence: Iterable[Evidence]) -> Iterator[str]:
    listed = []
    for each in evidence:
        year = f" ({each.year})" if each.year else ""
        listed.append(f"{_link(each.citation, each.url)}{year}")
    return _section("Evidence", listed)


def _prefetch(page: Page) -> Iterator[str]:
    return _section(
        "What it asks the EHR for",
        [f"`{key}`: {_code(template)}" for key, template in page.prefetch],
    )


def _attributes(page: Page) -> Iterator[str]:
    yield from _heading("Source attributes")
    yield "45 CFR 170.315(b)(11)(iv)(A); uses of data are computed from what the rule"
    yield "reads."
    yield ""
    yield "| | attribute | |"
    yield "|---|---|---|"
    for each in page.attributes:
        yield f"| {each.number} | {inert(each.name)} | {inert(each.value)} |"
    yield ""


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield from _heading(title)
        yield from (f"- {line}" for line in listed)
        yield ""


def _heading(title: str) -> Iterator[str]:
    yield f"## {title}"
    yield ""


def _link(label: str, url: str) -> str:
    shown = inert(label)
    return f"[{shown}](<{quote(url, safe=_SAFE)}>)" if url else shown


def _code(text: str) -> str:
    """Text in a code span, which nothing within can end."""
    return f"`{inert_code(text)}`"


def inert_code(text: str) -> str:
    """Text as it may stand in a code span: one line, no backquote."""
    return " ".join(text.replace("`", "'").split())
