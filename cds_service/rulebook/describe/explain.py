"""Why a rule said what it said: every criterion, judged without short cuts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...fhir.chart import Source, medication_of
from ...fhir.code_systems import short_name
from ...protocol.services import Service
from ..cards.cards import draft_cards
from ..engine.attributes import PATIENT_SHOWS, show, show_patient
from ..engine.case import Case
from ..engine.evaluate import Evaluation, Evaluations, evaluate_rule
from ..engine.facts import CHANGES, KINDS, Criterion, Found
from ..engine.rows.coded import coded_medication, codings
from ..engine.rows.readings import Row, text_of
from ..engine.rules import Rule
from ..language.diagnostics import printable
from ..values.intervals import parse_duration
from ..values.truth import Reason, Unknown, Verdict

SHOWN = 4
"""Resources named in one line of text; of more, how many there are."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A resource that might have matched, and why that is not known."""

    state: str
    """As in ``TraceLine.counts``: ``unusable``, ``not obtained`` …"""
    reference: str
    """``Type/id``."""
    why: str
    """A constant phrase."""
    codes: tuple[str, ...]
    """``system|code`` of what was read of it."""
    unit: str
    """Of its value, as the record writes it."""
    refers_to: str
    """The Medication that it refers to, as the record writes it."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One criterion: its truth, and what it saw."""

    truth: str
    """``true``, ``false`` or ``unknown``."""
    line: int
    """In the rule's file."""
    column: int
    depth: int
    """How many ``any`` or ``none`` it stands in."""
    text: str
    operator: str
    fact: str
    """Empty for what asks of no fact."""
    seen: str
    """Counts, numbers and states; no names out of the record."""
    value: tuple[str, str] | None = None
    """What was compared, such as ``latest``, and what it was."""
    counts: Mapping[str, int] | None = None
    """Rows that match, and those that might; None for what asks of no fact."""
    references: tuple[str, ...] = ()
    """``Type/id`` of what matched."""
    in_doubt: tuple[InDoubt, ...] = ()
    """What might have, if it could be read, placed, used or dated."""
    reasons: tuple[Reason, ...] = ()
    """Why it is unknown."""
    children: "tuple[TraceLine, ...]" = ()


def explain(rule: Rule, case: Case) -> tuple[str, ...]:
    """Return what came of the rule, then a line for each of its criteria."""
    evaluation = evaluate_rule(rule, case)
    shown = indicator_of(evaluation)
    head = f"{rule.id} v{rule.version}  ->  {evaluation.outcome}"
    lines = [f"{head} ({shown})" if shown else head]
    told = set()
    for each in trace(rule, case):
        lines.append(_written(each))
        if each.fact not in told:
            lines += _doubts_written(each)
        told.add(each.fact)
    return tuple(lines)


def explain_json(rule: Rule, case: Case) -> dict[str, Any]:
    """Return what came of the rule and each of its criteria, as plain data."""
    evaluation = evaluate_rule(rule, case)
    return {
        "rule": rule.id,
        "version": rule.version,
        "title": rule.title,
        "file": rule.file,
        "status": rule.status,
        "if_unknown": rule.if_unknown,
        "outcome": evaluation.outcome.value,
        "indicator": indicator_of(evaluation) or None,
        "card": evaluation.card.index if evaluation.card else None,
        "could_not_check": evaluation.could_not_check,
        "reasons": [reason_json(each) for each in evaluation.reasons],
        "when": _as_json(_node(rule.when, rule, case, 0), rule),
        "cards": [
            {
                "index": card.index,
                "severity": card.severity.name.lower(),
                "when": (
                    _as_json(_node(card.when, rule, case, 0), rule)
                    if card.when
                    else None
                ),
            }
            for card in rule.cards
        ],
    }


def source_json(source: Source) -> dict[str, Any]:
    """Return how a source was read, as plain data."""
    return {
        "name": source.name,
        "state": source.state.name.lower(),
        "why": source.why or None,
        "origin": source.origin or None,
        "resources": len(source.resources),
        "unusable": [
            {"reason": each.reason, "resource": each.reference or None}
            for each in source.unusable
        ],
        "foreign": source.foreign,
    }


def indicator_of(evaluation: Evaluation) -> str:
    """Return how urgent the card is that the rule asks for; empty without one."""
    served = replace(evaluation, rule=replace(evaluation.rule, served=True))
    nobody = Service("explain", "", "", "", "", {})
    asked = draft_cards(Evaluations((served,), evaluation.case), nobody)
    cards = [each.card for each in asked if each.rule]
    return cards[0].indicator.name.lower() if cards else ""


def trace(rule: Rule, case: Case) -> tuple[TraceLine, ...]:
    """The criteria of ``when``, then those of each card, in the order of the file."""
    trees = [rule.when, *(card.when for card in rule.cards if card.when)]
    return tuple(line for tree in trees for line in _flat(_node(tree, rule, case, 0)))


def _flat(node: TraceLine) -> Iterator[TraceLine]:
    if node.operator != "all":
        yield node
    for child in node.children:
        yield from _flat(child)


def _node(node: Criterion, rule: Rule, case: Case, depth: int) -> TraceLine:
    found = case.found(rule.facts[node.fact]) if node.fact else None
    value = _number(node, found, case) if found else _of_patient(node, case)
    verdict = node.verdict(case)
    below = depth + (node.operator != "all")
    return TraceLine(
        truth=_truth(verdict),
        line=node.position.line,
        column=node.position.column,
        depth=depth,
        text=node.text,
        operator=node.operator,
        fact=node.fact,
        seen=_seen(value, found, case) if found else " ".join(value or ()),
        value=value,
        counts=_counts(found) if found else None,
        references=(
            tuple(dict.fromkeys(row.reference for row in found.rows if row))
            if found
            else ()
        ),
        in_doubt=tuple(_in_doubt(found, case)) if found else (),
        reasons=verdict.reasons if isinstance(verdict, Unknown) else (),
        children=tuple(_node(child, rule, case, below) for child in node.children),
    )


def _truth(verdict: Verdict) -> str:
    return "unknown" if isinstance(verdict, Unknown) else str(verdict).lower()


def _in_doubt(found: Found, case: Case) -> Iterator[InDoubt]:
    """Yield what might have matched, by the states in which it may be left."""
    states = {
        "not obtained": found.unobtained,
        "unusable": found.unusable,
        "uncertain": found.uncertain,
        "perhaps out of time": found.possible,
        "unresolved": found.unresolved,
    }
    for state, rows in states.items():
        for row in rows:
            resource = row.resource or {}
            _, medication = medication_of(resource)
            yield InDoubt(
                state,
                row.reference,
                row.why or "its time may lie in the window or not",
                tuple(dict.fromkeys(_codes(row, found.fact.kind, case))),
                _unit(row.holder or resource),
                (
                    text_of(medication.get("reference"))
                    if isinstance(medication, dict)
                    else ""
                ),
            )


def _codes(row: Row, kind: str, case: Case) -> Iterator[str]:
    """Every ``system|code`` of a row; of a medicine its Medication's as well."""
    resource = row.resource or {}
    if kind == "medication":
        found = coded_medication(resource, case.chart).codings
    else:
        found = codings((row.holder or resource).get("code"))
    for system, code, _ in found:
        yield f"{short_name(system)}|{code}"


def _unit(holder: Mapping[str, Any]) -> str:
    """The unit of a value, in the record's words, else its code."""
    value = holder.get("valueQuantity")
    if not isinstance(value, dict):
        return ""
    return text_of(value.get("unit")) or text_of(value.get("code"))


def _doubts_written(line: TraceLine) -> Iterator[str]:
    """A line for each resource in doubt; of many the first, and how many there are."""
    for each in line.in_doubt[:SHOWN]:
        about = [*each.codes, f"unit {each.unit}" if each.unit else "", each.refers_to]
        said = ", ".join(filter(None, about))
        text = f"{each.state}: {each.reference}: {each.why}"
        yield " " * 20 + printable(f"{text} ({said})" if said else text)
    more = len(line.in_doubt) - SHOWN
    if more > 0:
        yield " " * 20 + f"and {more} more in doubt"


def _counts(found: Found) -> dict[str, int]:
    return {
        "match": len(found.rows),
        "by name": sum(row.by_name for row in found.rows),
        "unusable": len(found.unusable),
        "uncertain": len(found.uncertain),
        "perhaps out of time": len(found.possible),
        "not obtained": len(found.unobtained),
        "unresolved": len(found.unresolved),
    }


def _seen(value: tuple[str, str] | None, found: Found, case: Case) -> str:
    """Return what a test of a fact had to go by."""
    counts = _counts(found)
    matching = counts.pop("match")
    said = [" = ".join(value) if value else f"{matching} match"]
    said += _told_by(found, case)
    said += [f"{name} {case.chart.state(name).name.lower()}" for name in found.unread]
    said += [f"{count} {word}" for word, count in counts.items() if count]
    doubted = [*found.unusable, *found.uncertain]
    said += dict.fromkeys(row.why for row in doubted)
    return ", ".join(said)


def _told_by(found: Found, case: Case) -> Iterator[str]:
    """Yield on how many days a number rests, how much they tell, and who told it."""
    days = case.days_of(found.fact)
    if found.fact.kind != "wearable" or days is None:
        return
    told = {name: show(case, found.fact, name) for name in _OF_WORN}
    yield f"{told['days'] and told['days'].text} of {days.number} days"
    for name in ("coverage", "source", "device"):
        shown = told[name]
        if shown:
            yield f"{name} {printable(shown.text)}"


_OF_WORN = ("days", "coverage", "source", "device")


def _number(node: Criterion, found: Found, case: Case) -> tuple[str, str] | None:
    """Return what a test compared, and what it was; None where it compared nothing."""
    attribute = node.text.split()[1]
    kind = KINDS[found.fact.kind]
    if attribute not in kind.shows | kind.may_show:
        return None
    fact = found.fact
    if attribute in CHANGES:
        _, _, over = node.text.rpartition(" over ")
        fact = replace(fact, change_over=parse_duration(over))
    shown = show(case, fact, attribute)
    return (attribute, shown.text) if shown else None


def _of_patient(node: Criterion, case: Case) -> tuple[str, str] | None:
    if node.operator:
        return None
    for attribute in PATIENT_SHOWS & set(node.text.split()):
        shown = show_patient(case, attribute)
        return attribute, shown.text if shown else "not recorded"
    return None


_MARKS = {"true": "✓", "false": "✗", "unknown": "?"}


def _written(line: TraceLine) -> str:
    text = "  " * line.depth + line.text
    written = f"  {_MARKS[line.truth]} {line.truth:7}  :{line.line:<3}  {text:45}"
    seen = " ".join(filter(None, (line.seen, _named(line.references))))
    return f"{written} {seen}".rstrip()


def _named(references: tuple[str, ...]) -> str:
    """The resources that a criterion rests on, in brackets; of many the last."""
    if not references:
        return ""
    more = len(references) - SHOWN
    named = printable(", ".join(references[-SHOWN:]))
    return f"[{named} and {more} more]" if more > 0 else f"[{named}]"


def reason_json(reason: Reason) -> dict[str, Any]:
    """Return why something is unknown, as plain data."""
    return {
        "kind": reason.kind.value,
        "fact": reason.fact,
        "sources": list(reason.sources),
        "why": reason.why or None,
    }


def _as_json(line: TraceLine, rule: Rule) -> dict[str, Any]:
    return {
        "text": line.text,
        "truth": line.truth,
        "file": rule.file,
        "line": line.line,
        "column": line.column,
        "operator": line.operator or None,
        "fact": line.fact or None,
        "value": (
            dict(zip(("name", "text"), line.value, strict=True)) if line.value else None
        ),
        "counts": (
            {name.replace(" ", "_"): count for name, count in line.counts.items()}
            if line.counts is not None
            else None
        ),
        "resources": list(line.references),
        "in_doubt": [
            {
                "resource": each.reference,
                "state": each.state.replace(" ", "_"),
                "why": each.why,
                "codes": list(each.codes),
                "unit": each.unit or None,
                "refers_to": each.refers_to or None,
            }
            for each in line.in_doubt
        ],
        "reasons": [reason_json(each) for each in line.reasons],
        "children": [_as_json(each, rule) for each in line.children],
    }
