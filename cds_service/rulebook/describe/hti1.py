"""The source attributes that a certified EHR must show of an intervention, computed.

Whether a rule uses race, sex or date of birth is read off what it reads, so that the
list cannot differ from the rule. What no mapping places is named, and never claimed.

Source: 45 CFR 170.315(b)(11)(iv)(A), attributes 1 to 13.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ...fhir.code_systems import SYSTEMS
from ..engine.rulebook import Rulebook
from ..terminology.valuesets import ValueSet
from ..values.text import placeholders
from .meaning import Clause, RuleFile

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True)
class SourceAttribute:
    """One of the thirteen, for one rule."""

    number: int
    name: str
    value: str
    """What is recorded; for a use, ``used`` or ``not used`` and by what."""
    used: bool | None = None
    """None where the attribute is no use of data, or cannot be told."""

    def as_json(self) -> dict[str, Any]:
        """The attribute for tools."""
        return {
            "number": self.number,
            "name": self.name,
            "value": self.value,
            "used": self.used,
        }


def source_attributes(
    source: RuleFile, rulebook: Rulebook
) -> tuple[SourceAttribute, ...]:
    """All thirteen, in the order of the regulation."""
    read = _valuesets_of(source, rulebook)
    return tuple(_attribute(each, source, read) for each in _table())


@cache
def _table() -> Sequence[Mapping[str, Any]]:
    text = files(__package__).joinpath("hti1.json").read_text("utf-8")
    attributes: Sequence[Mapping[str, Any]] = json.loads(text)["attributes"]
    return attributes


def _attribute(
    entry: Mapping[str, Any], source: RuleFile, read: Sequence[tuple[str, ValueSet]]
) -> SourceAttribute:
    number, name = entry["number"], entry["name"]
    if "told_by" in entry:
        value = {
            "evidence": _evidence,
            "developer": _plain("developer"),
            "funding": _plain("funding"),
            "dates": _dates,
        }[entry["told_by"]](source)
        return SourceAttribute(number, name, value or NOT_RECORDED)
    by = [*_of_patient(entry.get("patient", ""), source), *_by_codes(entry, read)]
    if by:
        return SourceAttribute(number, name, f"used: {'; '.join(by)}", True)
    open_sets = list(_not_placed(entry, read))
    if open_sets:
        value = "no use that a code shows; to be judged by a person: " + "; ".join(
            open_sets
        )
        return SourceAttribute(number, name, value)
    return SourceAttribute(number, name, "not used", False)


def _evidence(source: RuleFile) -> str:
    return "; ".join(
        f"{each.citation} ({each.year})" if each.year else each.citation
        for each in source.rule.evidence
    )


def _plain(key: str) -> Any:
    return lambda source: getattr(source.tree.governance, key)


def _dates(source: RuleFile) -> str:
    governance = source.tree.governance
    said = [
        f"{text} {day}"
        for text, day in (
            ("in effect from", governance.effective),
            ("review due by", governance.review_by),
            ("expires on", governance.expires),
        )
        if day
    ]
    if governance.approved:
        said.append(f"approved on {governance.approved.on}")
    return f"version {source.rule.version}: {', '.join(said)}" if said else ""


def _of_patient(wanted: str, source: RuleFile) -> Iterator[str]:
    """Yield where a rule asks or shows the patient's age or sex."""
    if not wanted:
        return
    lines = sorted(
        {
            source.line(each.path)
            for each in source.clauses(source.tuned())
            if _asks(each, wanted)
        }
    )
    if lines:
        where = ", ".join(map(str, lines))
        yield f"the rule asks the patient's {wanted} (line {where})"
    shown = {
        (part.fact, part.attribute)
        for card in source.rule.cards
        for template in (card.summary, card.detail or (), card.limits)
        for part in placeholders(template)
    }
    if ("patient", wanted) in shown:
        yield f"the card shows the patient's {wanted}"


def _asks(clause: Clause, wanted: str) -> bool:
    asked = "age" if clause.bounds else "sex"
    return clause.kind == "patient" and asked == wanted


def _valuesets_of(source: RuleFile, rulebook: Rulebook) -> list[tuple[str, ValueSet]]:
    """Kind of fact and value set of all that a rule reads."""
    selectors = next(iter(rulebook.services.values())).program.selectors.all
    used = dict.fromkeys(
        (selectors[slot].kind, selectors[slot].valueset)
        for fact in source.rule.facts.values()
        for slot in fact.slots
    )
    return [(kind, rulebook.valuesets[name]) for kind, name in used if name]


def _by_codes(
    entry: Mapping[str, Any], read: Sequence[tuple[str, ValueSet]]
) -> Iterator[str]:
    for _, valueset in read:
        found = sorted(set(_mapped(entry, valueset)))
        if found:
            yield f"{valueset.title} ({', '.join(found)})"


def _mapped(entry: Mapping[str, Any], valueset: ValueSet) -> Iterator[str]:
    """The codes of a value set that stand for an attribute."""
    for system, codes in entry.get("codes", {}).items():
        yield from (code for code in codes if valueset.holds(system, code))
    for system, prefixes in entry.get("prefixes", {}).items():
        for prefix in prefixes:
            own = valueset.codes.get(system, ())
            yield from (code for code in own if code.startswith(prefix))
            for under in valueset.prefixes.get(system, ()):
                if under.startswith(prefix) or prefix.startswith(under):
                    yield under


def _not_placed(
    entry: Mapping[str, Any], read: Sequence[tuple[str, ValueSet]]
) -> Iterator[str]:
    """Value sets in which an attribute could stand without a code that shows it.

    Results are named for health status assessments, of which there is no closed list;
    problems without a code in ICD-10-CM, for social determinants.
    """
    for kind, valueset in read:
        if entry["number"] == _ASSESSMENTS and kind == "observation":
            yield f"results for {valueset.title}"
        systems = entry.get("prefixes", {})
        if kind == "condition" and systems and valueset.systems.isdisjoint(systems):
            named = ", ".join(sorted(_short(each) for each in valueset.systems))
            yield f"{valueset.title} (codes of {named})"


def _short(system: str) -> str:
    return next((name for name, uri in SYSTEMS.items() if uri == system), system)


_ASSESSMENTS = 13
