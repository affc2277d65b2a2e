"""How what is asked differs from what was asked, clause by clause.

The order of clauses and nesting that changes nothing make no difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..language.criterion_tree import Bound
from ..language.document import Path
from ..values.intervals import RISING, Duration, size
from .fact_words import value_text
from .meaning import Clause, canonical
from .versions import Change, VersionStep

_NARROWS = ("days", "share", "readings", "times", "apart")
"""Options of which more is harder to meet."""
_WIDENS = ("over",)

Report = Callable[[Path, str, VersionStep, str], Change]
"""Makes a change at a path of the new file."""


@dataclass(frozen=True, slots=True)
class ClauseComparer:
    """Compares the clauses of two versions of one rule."""

    report: Report
    units: Mapping[str, str]
    """Unit of each fact of the new rule."""
    old_line: Callable[[Path], int]
    shown: str = ""
    """What the clauses belong to, such as ``card 2: ``."""
    knows_effect: bool = True

    def compare(self, old: Clause, new: Clause, sign: int = 1) -> Iterator[Change]:
        """Every difference; *sign* is -1 where more of a clause means less."""
        if key(old) == key(new):
            return
        if old.kind != new.kind and {old.kind, new.kind} & {"all", "any"}:
            kind = new.kind if new.kind in ("all", "any") else old.kind
            old, new = _wrapped(old, kind), _wrapped(new, kind)
        if old.kind == new.kind and old.kind in ("all", "any", "none"):
            yield from self._branches(old, new, -sign if old.kind == "none" else sign)
        elif (old.kind, old.fact) == (new.kind, new.fact):
            yield from self._leaves(old, new, sign)
        else:
            text = f"{self.words(new)}, was {self.words(old)}"
            yield self._change(new.path, text, VersionStep.MAJOR)

    def words(self, clause: Clause) -> str:
        """A clause as an author writes it."""
        if clause.children:
            inner = "; ".join(self.words(each) for each in clause.children)
            return f"{clause.kind}: [{inner}]"
        unit = self.units.get(clause.fact, "")
        told = [f"{_named(b, clause)}{_value(b, unit)}" for b in clause.bounds]
        told += [f"{k} {_option(v)}" for k, v in clause.options.items()]
        kind = "" if clause.kind in ("alert", "patient") else clause.kind
        subject = clause.fact or "patient"
        return " ".join(filter(None, [subject, kind, ", ".join(told)]))

    def _branches(self, old: Clause, new: Clause, sign: int) -> Iterator[Change]:
        for was, now in _pairs(old.children, new.children):
            if was is None and now is not None:
                text = f"{self.words(now)}: added to `{new.kind}`"
                yield self._change(now.path, text, VersionStep.MAJOR)
            elif now is None and was is not None:
                text = (
                    f"{self.words(was)}: no longer in `{old.kind}`, where it stood on "
                    f"line {self.old_line(was.path)}"
                )
                yield self._change(new.path, text, VersionStep.MAJOR)
            elif was is not None and now is not None:
                yield from self.compare(was, now, sign)

    def _leaves(self, old: Clause, new: Clause, sign: int) -> Iterator[Change]:
        attributes = {b.attribute for b in (*old.bounds, *new.bounds)}
        for attribute in sorted(attributes):
            was = [b for b in old.bounds if b.attribute == attribute]
            now = [b for b in new.bounds if b.attribute == attribute]
            yield from self._bounds(old, new, was, now, sign)
        for name in sorted({*old.options, *new.options}):
            before, after = old.options.get(name), new.options.get(name)
            if canonical(before) != canonical(after):
                yield self._option(new, name, before, after, sign)

    def _bounds(
        self,
        old: Clause,
        new: Clause,
        was: Sequence[Bound],
        now: Sequence[Bound],
        sign: int,
    ) -> Iterator[Change]:
        directions = [[b.comparison in RISING for b in bounds] for bounds in (was, now)]
        if directions[0] != directions[1]:
            text = f"{self.words(new)}, was {self.words(old)}"
            yield self._change(new.path, text, VersionStep.MAJOR)
            return
        for before, after in zip(was, now, strict=True):
            moved = _compare(before, after)
            if moved is None:
                text = f"{self.words(new)}, was {self.words(old)}"
                yield self._change(new.path, text, VersionStep.MAJOR)
            elif moved:
                effect = self._effect(-moved * sign)
                yield self._moved(new, before, after, effect)

    def _moved(self, clause: Clause, old: Bound, new: Bound, effect: str) -> Change:
        unit = self.units.get(clause.fact, "")
        was, now = _value(old, unit), _value(new, unit)
        param = new.amount.param
        same = param == old.amount.param and old.comparison == new.comparison
        if param and same:
            path: Path = ("params", param, "default")
            return self._change(
                path, f"${param} {now}, was {was}", VersionStep.MINOR, effect
            )
        before = replace(clause, bounds=(old,), options={})
        text = f"{self.words(replace(clause, bounds=(new,), options={}))}"
        said = self.words(before).removeprefix(f"{clause.fact or 'patient'} ")
        return self._change(
            clause.path, f"{text}, was {said}", VersionStep.MINOR, effect
        )

    def _option(
        self, clause: Clause, name: str, before: Any, after: Any, sign: int
    ) -> Change:
        said = self.words(replace(clause, bounds=(), options={name: after}))
        text = f"{said}, was {_option(before)}"
        if before is None or after is None:
            return self._change(clause.path, text, VersionStep.MAJOR)
        if name == "sex":
            added, gone = set(after) - set(before), set(before) - set(after)
            step = VersionStep.MAJOR if added and gone else VersionStep.MINOR
            moved = 1 if added else -1
            effect = self._effect(moved * sign) if step is VersionStep.MINOR else ""
            return self._change(clause.path, text, step, effect)
        if not isinstance(before, float | Duration):
            return self._change(clause.path, text, VersionStep.MAJOR)
        direction = 1 if size(after) > size(before) else -1
        known = -1 if name in _NARROWS else 1 if name in _WIDENS else 0
        effect = self._effect(direction * known * sign)
        return self._change(clause.path, text, VersionStep.MINOR, effect)

    def _effect(self, moved: int) -> str:
        if not self.knows_effect or not moved:
            return "either way"
        return "wider" if moved > 0 else "narrower"

    def _change(
        self, path: Path, text: str, step: VersionStep, effect: str = ""
    ) -> Change:
        return self.report(path, f"{self.shown}{text}", step, effect)


def key(clause: Clause) -> Any:
    """Return what a clause means; equal for two that ask the same."""
    bounds = sorted(
        (b.attribute, b.comparison, str(canonical(b.value))) for b in clause.bounds
    )
    options = sorted((k, str(canonical(v))) for k, v in clause.options.items())
    return (
        clause.kind,
        clause.fact,
        tuple(bounds),
        tuple(options),
        tuple(sorted(map(key, clause.children))),
    )


def renamed(clause: Clause, names: Mapping[str, str]) -> Clause:
    """A clause that speaks of facts by other names."""
    return replace(
        clause,
        fact=names.get(clause.fact, clause.fact),
        children=tuple(renamed(each, names) for each in clause.children),
    )


def _pairs(
    old: Sequence[Clause], new: Sequence[Clause]
) -> Iterator[tuple[Clause | None, Clause | None]]:
    """Children that belong together, equal ones left out; None where one is alone."""
    left, right = list(old), list(new)
    for same in (key, _shape, _subject, _branch):
        for was in list(left):
            found = next((n for n in right if same(n) == same(was) != ()), None)
            if found is not None:
                left.remove(was)
                right.remove(found)
                if same is not key:
                    yield was, found
    yield from ((None, each) for each in right)
    yield from ((each, None) for each in left)


def _shape(clause: Clause) -> Any:
    """Return what is asked, whatever the limits."""
    bounds = sorted((b.attribute, b.comparison) for b in clause.bounds)
    children = tuple(sorted(map(_shape, clause.children)))
    return clause.kind, clause.fact, tuple(bounds), children


def _subject(clause: Clause) -> Any:
    """Whom or what a single clause is about."""
    attributes = tuple(sorted({b.attribute for b in clause.bounds}))
    if clause.kind == "patient":
        return clause.kind, attributes
    return ("fact", clause.fact) if clause.fact else ()


def _branch(clause: Clause) -> Any:
    return (clause.kind,) if clause.children else ()


def _wrapped(clause: Clause, kind: str) -> Clause:
    if clause.kind == kind:
        return clause
    return Clause(kind, clause.path, children=(clause,))


def _compare(before: Bound, after: Bound) -> int | None:
    """Above 0 where a limit is harder to meet, below where easier; None if neither."""
    if isinstance(before.value, str) or isinstance(after.value, str):
        if not (isinstance(before.value, str) and isinstance(after.value, str)):
            return None
        was: Any = before.value
        now: Any = after.value
    elif isinstance(before.value, Duration) is not isinstance(after.value, Duration):
        return None
    else:
        was, now = size(before.value), size(after.value)
    if "equals" in (before.comparison, after.comparison):
        return None if (was, before.comparison) != (now, after.comparison) else 0
    up = int(now > was) - int(now < was)
    if not up:
        strict = [
            int(each.comparison in ("above", "below")) for each in (before, after)
        ]
        return strict[1] - strict[0]
    return up if after.comparison in RISING else -up


def _named(bound: Bound, clause: Clause) -> str:
    shown = f"{bound.attribute} " if clause.kind in ("alert", "patient") else ""
    return f"{shown}{bound.comparison.replace('_', ' ')} "


def _value(bound: Bound, unit: str) -> str:
    plain = bound.attribute in ("count", "coverage")
    return value_text(bound.value, "" if plain else unit)


def _option(value: Any) -> str:
    if isinstance(value, tuple):
        return " or ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
