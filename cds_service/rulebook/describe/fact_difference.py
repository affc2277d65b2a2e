"""How the facts of a rule differ from what they were."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.facts import Fact, Window
from ..engine.rows.selectors import DayValue, Selector, Silence, Unjudged
from ..engine.rulebook import Rulebook
from ..language.document import Path
from ..terminology.parts import Measure
from ..terminology.valuesets import ValueSet
from ..values.intervals import RISING
from .clause_difference import Report
from .meaning import Clause, canonical
from .valueset_words import named_system, written
from .versions import Change, VersionStep

CODES_SHOWN = 8
"""Codes in one sentence; more are counted."""
_GROWS, _SHRINKS = ("max",), ("min",)


@dataclass(frozen=True, slots=True)
class Side:
    """The facts of one version of a rule, and what they are resolved against."""

    facts: Mapping[str, Fact]
    rulebook: Rulebook

    @property
    def selectors(self) -> Sequence[Selector]:
        """By slot."""
        return next(iter(self.rulebook.services.values())).program.selectors.all

    def signature(self, fact: Fact) -> Any:
        """Return what a fact means, whatever it is called."""
        if fact.parts:
            return "any_of", tuple(sorted(str(self.signature(p)) for p in fact.parts))
        if not fact.slots:
            return fact.kind, fact.name
        return self.selectors[fact.slots[0]], _span(fact.window), fact.unit

    def selector(self, fact: Fact) -> Selector:
        """Return what a fact that is no union selects."""
        return self.selectors[fact.slots[0]]


def renames(old: Side, new: Side) -> dict[str, str]:
    """Old name to new name of each fact that is the same under another name."""
    gone = [name for name in old.facts if name not in new.facts]
    come = [name for name in new.facts if name not in old.facts]
    found: dict[str, str] = {}
    for name in gone:
        wanted = old.signature(old.facts[name])
        for other in come:
            if other not in found.values() and wanted == new.signature(
                new.facts[other]
            ):
                found[name] = other
                break
    return found


def compare_facts(
    old: Side,
    new: Side,
    names: Mapping[str, str],
    clauses: Sequence[tuple[Clause, bool]],
    report: Report,
) -> Iterator[Change]:
    """Every difference in what the facts of both versions read.

    Args:
        names: What renamed facts are called now.
        clauses: Every clause that the new rule asks; True for those that decide
            whether it fires.
    """
    for name, was in old.facts.items():
        now = new.facts.get(names.get(name, name))
        if now is None or not was.slots or not now.slots:
            continue
        asked = asks(now, new.facts, [clause for clause, _ in clauses])
        effect = more_rows(now, new.facts, clauses)
        for change in _compare(was, now, old, new, effect, report):
            yield change if asked else _shown_only(change)


def asks(fact: Fact, facts: Mapping[str, Fact], clauses: Sequence[Clause]) -> bool:
    """Return whether a condition rests on a fact, or only text shows it."""
    names = _with_unions(fact, facts)
    return any(each.fact in names for clause in clauses for each in clause.walk())


def more_rows(
    fact: Fact, facts: Mapping[str, Fact], clauses: Sequence[tuple[Clause, bool]]
) -> int:
    """1 where more rows of a fact let the rule fire more, -1 less, 0 either way."""
    names = _with_unions(fact, facts)
    signs = {
        sign if decides else 0
        for clause, decides in clauses
        for sign in _signs(clause, names, 1)
    }
    return signs.pop() if len(signs) == 1 else 0


def _with_unions(fact: Fact, facts: Mapping[str, Fact]) -> set[str]:
    return {
        each.name
        for each in facts.values()
        if each.name == fact.name or fact.name in {p.name for p in each.simple()}
    }


def _signs(clause: Clause, names: set[str], sign: int) -> Iterator[int]:
    inner = -sign if clause.kind == "none" else sign
    for child in clause.children:
        yield from _signs(child, names, inner)
    if clause.fact in names and not clause.children:
        yield sign * _sign(clause)


def _sign(clause: Clause) -> int:
    """Return how one test answers to more rows."""
    rising = all(each.comparison in RISING for each in clause.bounds)
    falling = not any(each.comparison in RISING for each in clause.bounds)
    if clause.kind in ("present", "on_days", "repeated"):
        return 1
    if clause.kind == "alert" and not any(
        b.attribute == "count" for b in clause.bounds
    ):
        return 1
    if clause.kind == "absent":
        return -1
    if clause.kind in ("count", "days", "coverage", *_GROWS) and (rising or falling):
        return 1 if rising else -1
    if clause.kind in _SHRINKS and (rising or falling):
        return 1 if falling else -1
    return 0


def _compare(
    was: Fact, now: Fact, old: Side, new: Side, effect: int, report: Report
) -> Iterator[Change]:
    path: Path = ("facts", now.name)
    if (was.kind, bool(was.parts)) != (now.kind, bool(now.parts)):
        text = f"{now.name} reads another kind: {now.kind}, was {was.kind}"
        yield report(path, text, VersionStep.MAJOR, "")
        return
    if now.parts:
        before = {part.name for part in was.parts}
        after = {part.name for part in now.parts}
        if before != after and old.signature(was) != new.signature(now):
            text = f"{now.name} is made of {_named(after)}, was {_named(before)}"
            yield report(path, text, VersionStep.MAJOR, "")
        return
    before_selector, after_selector = old.selector(was), new.selector(now)
    yield from _policy(before_selector, after_selector, now, report)
    if _span(was.window) != _span(now.window):
        yield _window(was, now, effect, report)
    if now.kind in ("observation", "wearable") and was.unit != now.unit:
        text = f"{now.name} in {now.unit or 'no unit'}, was {was.unit or 'no unit'}"
        yield report(path, text, VersionStep.MAJOR, "")
    yield from _codes(before_selector, after_selector, now, old, new, effect, report)


def _policy(
    old: Selector, new: Selector, fact: Fact, report: Report
) -> Iterator[Change]:
    path: Path = ("facts", fact.name)
    for told, before, after in (
        ("status", old.status, new.status),
        ("category", _of_any(old), _of_any(new)),
        ("from", old.origin, new.origin),
        ("verification", _sure(old), _sure(new)),
    ):
        if before != after:
            text = f"{fact.name} {told} {after}, was {before}"
            yield report(path, text, VersionStep.MAJOR, "")
    yield from _worn(old, new, fact, report)
    gained, lost = set(new.types) - set(old.types), set(old.types) - set(new.types)
    for types, word in ((gained, "also reads"), (lost, "no longer reads")):
        if types:
            text = f"{fact.name} {word} alerts {_named(types)}"
            yield report(path, text, VersionStep.MINOR, "")


def _worn(old: Selector, new: Selector, fact: Fact, report: Report) -> Iterator[Change]:
    """What is taken of wearables beside their alerts."""
    path: Path = ("facts", fact.name)
    before, after = _told(old), _told(new)
    for name in {**before, **after}:
        if canonical(before.get(name)) == canonical(after.get(name)):
            continue
        step = VersionStep.MINOR if name in _TUNED else VersionStep.MAJOR
        text = f"{fact.name} {name.replace('_', ' ')} {after.get(name, 'none')}, "
        yield report(path, text + f"was {before.get(name, 'none')}", step, "")


_TUNED = ("silent_for", "not_judged")


def _told(selector: Selector) -> dict[str, Any]:
    match selector.worn:
        case DayValue(metric, statistic, part):
            return {"metric": metric, "summary": statistic, "part": part}
        case Silence(metric, length):
            return {"metric": metric, "silent_for": length}
        case Unjudged(detector, reasons):
            why = ", ".join(sorted(reasons)) or "any"
            return {"detector": detector, "not_judged": why}
        case _:
            return {}


def _window(was: Fact, now: Fact, effect: int, report: Report) -> Change:
    before = f"{was.window.rule} {was.window.length}" if was.window else "of any time"
    after = f"{now.window.rule} {now.window.length}" if now.window else "of any time"
    path: Path = ("facts", now.name)
    if was.window and now.window and was.window.rule != now.window.rule:
        text = f"{now.name} {after}, was {before}"
        return report(path, text, VersionStep.MAJOR, "")
    more = _finds_more(was.window, now.window)
    moved = effect if more else -effect
    text = f"{now.name} {after}, was {before}"
    return report(path, text, VersionStep.MINOR, _effect(moved))


def _span(window: Window | None) -> Any:
    """Return what a window means; the same for 24 hours and 1 day."""
    return window and (window.rule, canonical(window.length))


def _finds_more(was: Window | None, now: Window | None) -> bool:
    """Return whether a changed window keeps more rows."""
    if was is None or now is None:
        return now is None
    longer = now.length.length > was.length.length
    # A medicine taken for longer is harder to find; every other window looks back.
    return longer is not (now.rule == "taken_for")


def _codes(
    old: Selector,
    new: Selector,
    fact: Fact,
    before: Side,
    after: Side,
    effect: int,
    report: Report,
) -> Iterator[Change]:
    if not old.valueset or not new.valueset:
        return
    was = before.rulebook.valuesets[old.valueset]
    now = after.rulebook.valuesets[new.valueset]
    gained, lost = _entries(now) - _entries(was), _entries(was) - _entries(now)
    path: Path = ("facts", fact.name)
    if old.valueset != new.valueset:
        text = f"{fact.name} in {new.valueset}, was {old.valueset}"
        same = not gained and not lost
        yield report(path, text, VersionStep.PATCH if same else VersionStep.MAJOR, "")
    for codes, word, moved in ((gained, "gained", effect), (lost, "lost", -effect)):
        if codes:
            text = f"{fact.name}: the value set {new.valueset} {word} {_some(codes)}"
            yield report(path, text, VersionStep.MINOR, _effect(moved))
    before_said, after_said = (", ".join(each.measure.said()) for each in (was, now))
    if fact.unit and before_said != after_said:
        same = _decisive(was.measure) == _decisive(now.measure)
        other = "without unit" if same else "of any value"
        text = (
            f"{fact.name}: results {after_said or other}, were {before_said or other}"
        )
        yield (
            report(path, text, VersionStep.PATCH, "")
            if same
            else report(path, text, VersionStep.MINOR, _effect(0))
        )


def _decisive(measure: Measure) -> tuple[Any, ...]:
    """Return what decides how readings are read; a unit only where texts shorten it."""
    of = measure.substance
    return measure.plausible, of._replace(unit=of.whole)


def _entries(valueset: ValueSet) -> set[str]:
    """All that decides what a value set holds, each as a person would write it."""
    found = {
        f"{named_system(system)} {written(system, code)}"
        for system, codes in valueset.codes.items()
        for code in codes
    }
    for system, prefixes in valueset.prefixes.items():
        found |= {
            f"{named_system(system)} {written(system, each)}…" for each in prefixes
        }
    for system, codes in valueset.excluded_codes.items():
        found |= {
            f"not {named_system(system)} {written(system, each)}" for each in codes
        }
    for system, prefixes in valueset.excluded_prefixes.items():
        found |= {
            f"not {named_system(system)} {written(system, each)}…" for each in prefixes
        }
    found |= {
        f"panel {named_system(system)} {code}" for system, code in valueset.panels
    }
    found |= set(valueset.names)
    found |= {f"not with {each}" for each in valueset.excluded_names}
    found |= {f"not called {each}" for each in valueset.excluded_words}
    return found | {f"not forms with {each}" for each in valueset.excluded_forms}


def _shown_only(change: Change) -> Change:
    """A change of what only the text shows."""
    return Change(
        change.file, change.line, f"{change.text} (shown only)", VersionStep.PATCH
    )


def _effect(moved: int) -> str:
    return {1: "wider", -1: "narrower"}.get(moved, "either way")


def _of_any(selector: Selector) -> str:
    return ", ".join(selector.categories) or "any"


def _sure(selector: Selector) -> str:
    return "confirmed" if selector.confirmed else "any"


def _named(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _some(codes: set[str]) -> str:
    shown = sorted(codes)[:CODES_SHOWN]
    more = len(codes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
