"""Why a rule said what it said: every criterion, judged without short cuts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .attributes import PATIENT_SHOWS, show, show_patient
from .case import Case, Found
from .evaluate import judge_rule
from .facts import CHANGES, KINDS
from .intervals import parse_duration
from .rules import Criterion, Rule
from .truth import Unknown, Verdict


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One criterion: its truth, and what it saw."""

    truth: str
    """``true``, ``false`` or ``unknown``."""
    line: int
    """In the rule's file."""
    depth: int
    """How many ``any`` or ``none`` it stands in."""
    text: str
    seen: str
    """Counts, numbers and states; no names out of the record."""
    references: tuple[str, ...] = ()
    """``Type/id`` of what matched."""


def explain(rule: Rule, case: Case) -> tuple[str, ...]:
    """What came of the rule, then a line for each of its criteria."""
    outcome = judge_rule(rule, case).outcome
    head = f"{rule.id} v{rule.version}  ->  {outcome}"
    return (head, *(_written(each) for each in trace(rule, case)))


def trace(rule: Rule, case: Case) -> tuple[TraceLine, ...]:
    """The criteria of ``when``, then those of each card, in the order of the file."""
    trees = [rule.when, *(card.when for card in rule.cards if card.when)]
    return tuple(line for tree in trees for line in _lines(tree, rule, case, 0))


def _lines(node: Criterion, rule: Rule, case: Case, depth: int) -> Iterator[TraceLine]:
    if node.operator != "all":
        yield _line(node, rule, case, depth)
        depth += 1
    for child in node.children:
        yield from _lines(child, rule, case, depth)


def _line(node: Criterion, rule: Rule, case: Case, depth: int) -> TraceLine:
    found = case.found(rule.facts[node.fact]) if node.fact else None
    seen = _seen(node, found, case) if found else _seen_of_patient(node, case)
    rows = found.rows if found else ()
    return TraceLine(
        _truth(node.judge(case)),
        node.position.line,
        depth,
        node.text,
        seen,
        tuple(dict.fromkeys(row.reference for row in rows)),
    )


def _truth(verdict: Verdict) -> str:
    return "unknown" if isinstance(verdict, Unknown) else str(verdict).lower()


def _seen(node: Criterion, found: Found, case: Case) -> str:
    """What a test of a fact had to go by."""
    rows = found.rows
    said = [_number(node, found, case) or f"{len(rows)} match"]
    said += [f"{name} {case.chart.state(name).name.lower()}" for name in found.unread]
    counts = {
        "by name": sum(row.by_name for row in rows),
        "unusable": len(found.unusable),
        "perhaps out of time": len(found.possible),
        "unresolved": len(found.unresolved),
    }
    said += [f"{count} {word}" for word, count in counts.items() if count]
    return ", ".join(said)


def _number(node: Criterion, found: Found, case: Case) -> str:
    """The number that a test compared; empty where it compared none."""
    attribute = node.text.split()[1]
    kind = KINDS[found.fact.kind]
    if attribute not in kind.shows | kind.may_show:
        return ""
    fact = found.fact
    if attribute in CHANGES:
        _, _, over = node.text.rpartition(" over ")
        fact = replace(fact, change_over=parse_duration(over))
    shown = show(case, fact, attribute)
    return f"{attribute} = {shown.text}" if shown else ""


def _seen_of_patient(node: Criterion, case: Case) -> str:
    if node.operator:
        return ""
    for attribute in PATIENT_SHOWS & set(node.text.split()):
        shown = show_patient(case, attribute)
        return f"{attribute} {shown.text if shown else 'not recorded'}"
    return ""


_MARKS = {"true": "✓", "false": "✗", "unknown": "?"}


def _written(line: TraceLine) -> str:
    text = "  " * line.depth + line.text
    written = f"  {_MARKS[line.truth]} {line.truth:7}  :{line.line:<3}  {text:45}"
    return f"{written} {line.seen}".rstrip()
