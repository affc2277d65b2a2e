"""Mutation testing: small mistakes in a rule, one each, that its tests should notice.

A comparison that takes its limit in or leaves it out, a clause or a window that is
gone, a number that is a little off. Mistakes that can change nothing are avoided: what
is whole moves by one, and a window, of which tests seldom hold the very edge, moves by
more than a limit.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, assert_never

from ..engine.rulebook import ServiceRules
from ..language.criterion_tree import (
    Amount,
    Bound,
    Branch,
    Compared,
    FactTest,
    Node,
    OnDays,
    PatientTest,
    PresenceTest,
    Repeated,
    RiseOrFall,
    Sustained,
    Test,
    When,
)
from ..language.detectors import DetectorTree
from ..language.document import Path, Position
from ..language.tree import (
    AlertFact,
    CodedFact,
    ConditionFact,
    FactNode,
    JoinedFact,
    MedicationFact,
    ObservationFact,
    RuleTree,
    ScoreFact,
    SharedFact,
    SilentFact,
    UnjudgedFact,
    WearableFact,
)
from ..values.intervals import Duration, parse_duration
from .example_runner import ExampleRunner, WrittenPatient
from .examples import Example
from .notation import ExampleError
from .one_rule import OneRule

_SWAPS = {
    "above": "at_least",
    "at_least": "above",
    "below": "at_most",
    "at_most": "below",
    "present": "absent",
    "absent": "present",
    "all": "any",
    "any": "all",
    "none": "any",
}
_LIMIT_SHARE = 0.05
"""By how much of itself a limit is moved."""
_WINDOW_SHARE = 0.2
"""By how much of itself a window is moved."""
_SHARE_STEP = 0.2
_MINUTES = 30
"""By how much a time of day is moved."""
_CALENDAR = ("month", "year")
_WHOLE = ("count", "days")
"""Tests of numbers that are whole."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule or detector with one small mistake."""

    position: Position
    change: str
    """``45 -> 47.25``, ``window removed``."""
    tree: RuleTree | DetectorTree


@dataclass(frozen=True, slots=True)
class Mutation:
    """What the tests of one rule or detector noticed."""

    rule: RuleTree | DetectorTree
    killed: int
    survivors: tuple[Mutant, ...]

    @property
    def count(self) -> int:
        """How many mutants there were; those that do not compile are none."""
        return self.killed + len(self.survivors)

    @property
    def score(self) -> float:
        """The share that was noticed, from 0 to 1; 1 where there was none."""
        return self.killed / self.count if self.count else 1.0


def mutate(runner: ExampleRunner, rule: str, examples: Iterable[Example]) -> Mutation:
    """Return what the *examples* of a rule notice of its mutants.

    Those that fail or are marked ``todo`` take no part.

    Raises:
        ExampleError: if there is no such rule, or it does not compile.
    """
    one = runner.rule(rule)
    one.compile({})
    passing = [
        each for each in examples if not each.todo and not runner.differences(each)
    ]
    scenes = [runner.scene(each) for each in passing]
    killed, survivors = 0, []
    for mutant in build_mutants(one.tree):
        noticed = _is_noticed(one, mutant, scenes)
        killed += noticed is True
        if noticed is False:
            survivors.append(mutant)
    return Mutation(one.tree, killed, tuple(survivors))


def _is_noticed(
    one: OneRule, mutant: Mutant, scenes: list[WrittenPatient]
) -> bool | None:
    """Check if a scene tells the mutant from the rule; None if it does not compile.

    The scene that does comes first from then on: mutants are often noticed by the same.
    """
    assert isinstance(mutant.tree, RuleTree)
    services: dict[str, ServiceRules] = {}
    try:
        services["{}"] = one.compile({}, mutant.tree)
    except ExampleError:
        return None
    for index, scene in enumerate(scenes):
        params = scene.example.params
        key = json.dumps(params, sort_keys=True)
        if key not in services:
            services[key] = one.compile(params, mutant.tree)
        if any(scene.differences(services[key], words=False)):
            scenes.insert(0, scenes.pop(index))
            return True
    return False


def build_mutants(rule: RuleTree) -> tuple[Mutant, ...]:
    """Every mutant of a rule, in the order of its file.

    Some may not compile, and then say nothing about the tests.
    """
    found = (
        Mutant(
            rule.document.position(change.path, key=change.at_key),
            change.said,
            _replaced(rule, change.node, change.new),
        )
        for change in _Mutator(rule).changes()
    )
    return tuple(sorted(found, key=lambda each: each.position))


@dataclass(frozen=True, slots=True)
class _Change:
    """One node in the place of another."""

    node: Node
    new: Node | None
    """None where the node is only taken away."""
    said: str
    path: Path
    """Of what a person would see changed."""
    at_key: bool = False
    """Whether that is the key."""


def _replaced(value: Any, node: Node, new: Node | None) -> Any:
    """A tree, or part of one, with *new* for *node*; what has it not is shared."""
    if value is node:
        return new
    if isinstance(value, Node) and value.path == node.path[: len(value.path)]:
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
        changed = {name: _replaced(part, node, new) for name, part in parts.items()}
        kept = all(changed[name] is parts[name] for name in parts)
        return value if kept else replace(value, **changed)
    if isinstance(value, tuple) and any(isinstance(each, Node) for each in value):
        members = [_replaced(each, node, new) for each in value]
        kept = all(a is b for a, b in zip(members, value, strict=True))
        return value if kept else tuple(each for each in members if each is not None)
    if isinstance(value, Mapping) and any(isinstance(e, Node) for e in value.values()):
        named = {name: _replaced(each, node, new) for name, each in value.items()}
        return value if all(named[name] is value[name] for name in value) else named
    return value


class _Mutator:
    def __init__(self, rule: RuleTree) -> None:
        self.rule = rule

    def changes(self) -> Iterator[_Change]:
        rule = self.rule
        for param in rule.params.values():
            yield from _moved(param.default, not param.unit)
        for fact in rule.facts.values():
            yield from self._fact(fact)
        yield from self._when(rule.when)
        if rule.deceased:
            alive, said = replace(rule, deceased=""), "deceased removed"
            yield _Change(rule, alive, said, ("deceased",), True)
        for card in rule.cards:
            if len(rule.cards) > 1:
                yield _Change(card, None, "card removed", card.path)
            if card.when is not None:
                always, said = replace(card, when=None), "condition of the card removed"
                yield _Change(card, always, said, card.place("when"), True)
                yield from self._when(card.when)

    def _fact(self, node: FactNode) -> Iterator[_Change]:
        match node:
            case ConditionFact() | MedicationFact() | ObservationFact():
                yield from self._found(node)
                yield from self._of_kind(node)
            case AlertFact():
                yield from self._found(node)
                where = (*node.path, "type")
                yield from _without_each(node, "types", node.types, where)
            case WearableFact():
                yield from _lengths(node.period.length, _WINDOW_SHARE, whole=True)
                if node.part != node.usual_part:
                    usual, where = replace(node, part=node.usual_part), node.path
                    yield _Change(node, usual, "part removed", (*where, "part"), True)
            case SilentFact():
                yield from _lengths(node.silent_for, _WINDOW_SHARE)
            case UnjudgedFact():
                yield from _lengths(node.period.length, _WINDOW_SHARE, whole=True)
                where = (*node.path, "not_judged")
                yield from _without_each(node, "reasons", node.reasons, where)
            case ScoreFact():
                yield from self._score(node)
            case JoinedFact():
                yield from _without_each(node, "names", node.names, node.path)
            case SharedFact():
                return
            case _:
                assert_never(node)

    def _found(self, node: CodedFact | AlertFact) -> Iterator[_Change]:
        """The window of a fact, and a status that is not the usual one."""
        if node.period is not None:
            where, ever = node.period.path, replace(node, period=None)
            yield _Change(node, ever, "window removed", where, True)
            yield from _lengths(node.period.length, _WINDOW_SHARE)
        if node.status != node.usual_status:
            usual, where = replace(node, status=node.usual_status), (
                *node.path,
                "status",
            )
            yield _Change(node, usual, "status removed", where, True)

    def _of_kind(self, node: CodedFact) -> Iterator[_Change]:
        """Yield what only facts of one kind say."""
        match node:
            case ConditionFact():
                where = (*node.path, "category")
                if node.categories:
                    all_of_them = replace(node, categories=())
                    yield _Change(node, all_of_them, "category removed", where, True)
                yield from _without_each(node, "categories", node.categories, where)
                if node.confirmed:
                    unsure, where = replace(node, confirmed=False), node.path
                    said, where = "verification removed", (*where, "verification")
                    yield _Change(node, unsure, said, where, True)
            case MedicationFact():
                if node.origin != "chart":
                    charted, where = replace(node, origin="chart"), (*node.path, "from")
                    yield _Change(node, charted, "from removed", where, True)
            case ObservationFact():
                return
            case _:
                assert_never(node)

    def _score(self, score: ScoreFact) -> Iterator[_Change]:
        for item in score.items:
            if len(score.items) > 1:
                said = f"{item.points:+g} removed"
                yield _Change(item, None, said, item.path)
            for points in _numbers(item.points, True, signed=True):
                changed = replace(item, points=points)
                where = (*item.path, "points")
                yield _Change(item, changed, _said(item.points, points), where)
            yield from self._when(item.when)

    def _when(self, node: When) -> Iterator[_Change]:
        match node:
            case Branch():
                yield from self._branch(node)
            case PatientTest():
                yield from self._patient(node)
            case PresenceTest():
                word = _SWAPS[node.word]
                said = f"{node.word} -> {word}"
                yield _Change(node, replace(node, word=word), said, node.path)
            case FactTest():
                for test in node.tests:
                    if len(node.tests) > 1:
                        said = f"test removed: {test.name}"
                        yield _Change(test, None, said, test.path, True)
                    score = isinstance(self.rule.facts.get(node.fact), ScoreFact)
                    yield from self._test(test, score)
            case _:
                assert_never(node)

    def _branch(self, node: Branch) -> Iterator[_Change]:
        several = len(node.children) > 1
        if several or node.word == "none":
            word = _SWAPS[node.word]
            said = f"{node.word} -> {word}"
            yield _Change(node, replace(node, word=word), said, node.path, True)
        for index, child in enumerate(node.children if several else ()):
            said = f"clause removed: {_named(child)}"
            yield _Change(child, None, said, (*node.path, index))
        for child in node.children:
            yield from self._when(child)

    def _patient(self, node: PatientTest) -> Iterator[_Change]:
        if node.ages and node.sexes:
            for name, without in (
                ("age", replace(node, ages=())),
                ("sex", replace(node, sexes=())),
            ):
                said = f"test removed: {name}"
                yield _Change(node, without, said, (*node.path, name), True)
        for bound in node.ages:
            yield from _bound(bound, False)
        yield from _without_each(node, "sexes", node.sexes, (*node.path, "sex", "in"))

    def _test(self, test: Test, score: bool) -> Iterator[_Change]:
        """The bounds of a test, and what else limits it."""
        match test:
            case Compared():
                for bound in test.bounds:
                    yield from _bound(bound, score or test.name in _WHOLE)
                return
            case Sustained():
                yield from _lengths(test.period, _WINDOW_SHARE)
                yield from self._share(test)
                yield from self._readings(test)
            case OnDays():
                where = (*test.path, "days")
                for days in _numbers(test.days, True, least=1):
                    changed = replace(test, days=int(days))
                    yield _Change(test, changed, _said(test.days, days), where)
            case Repeated():
                yield from _moved(test.times, True, least=1)
                yield from _lengths(test.apart, _WINDOW_SHARE)
            case RiseOrFall():
                yield from _lengths(test.over, _WINDOW_SHARE)
            case _:
                assert_never(test)
        yield from _bound(test.bound, score)

    def _readings(self, test: Sustained) -> Iterator[_Change]:
        """Of the number of readings, where the file asks for one."""
        where = (*test.path, "readings")
        if self.rule.says(*where):
            for number in _numbers(test.readings, True, least=1):
                changed = replace(test, readings=int(number))
                yield _Change(test, changed, _said(test.readings, number), where)

    def _share(self, test: Sustained) -> Iterator[_Change]:
        """Of the share that a file asks for; that of all readings is the usual one."""
        where = (*test.path, "share")
        if test.share != 1:
            said = f"share {test.share:g} -> 1"
            yield _Change(test, replace(test, share=1), said, where)
        if self.rule.says(*where) and test.share > _SHARE_STEP:
            less = rounded(test.share - _SHARE_STEP)
            said = _said(test.share, less)
            yield _Change(test, replace(test, share=less), said, where)


def _named(node: When) -> str:
    """A clause in a few words: ``beta_blocker present``, ``any …``."""
    match node:
        case Branch():
            return f"{node.word} …"
        case PatientTest():
            return f"patient {'age' if node.ages else 'sex'}"
        case PresenceTest():
            return f"{node.fact} {node.word}"
        case FactTest():
            return f"{node.fact} {node.tests[0].name}"
        case _:
            assert_never(node)


def _bound(bound: Bound, whole: bool) -> Iterator[_Change]:
    word = _SWAPS.get(bound.comparison)
    if word and not bound.of_range:
        said = f"{bound.comparison} -> {word}"
        swapped = replace(bound, comparison=word)
        yield _Change(bound, swapped, said, bound.path, True)
    yield from _moved(bound.amount, whole or bound.comparison == "equals")


def _moved(amount: Amount, whole: bool, *, least: float = 0) -> Iterator[_Change]:
    """A number a little greater and a little less; a duration or time likewise."""
    if amount.param:
        return
    if isinstance(amount.value, Duration):
        yield from _lengths(amount, _LIMIT_SHARE)
    elif isinstance(amount.value, str):
        yield from _times(amount)
    else:
        for moved in _numbers(amount.value, whole, least=least):
            changed = replace(amount, written=moved, value=float(moved))
            said = _said(amount.value, moved)
            yield _Change(amount, changed, said, amount.path)


def _lengths(amount: Amount, share: float, *, whole: bool = False) -> Iterator[_Change]:
    """A duration a little longer and a little shorter."""
    length = amount.value
    if not isinstance(length, Duration):
        return
    step = length.count * share
    if whole or length.unit in _CALENDAR:
        step = max(1, round(step))
    for count in (length.count + step, length.count - step):
        if count > 0:
            yield _rewritten(amount, str(Duration(rounded(count), length.unit)))


def _times(amount: Amount) -> Iterator[_Change]:
    """A time of day a little later and a little earlier."""
    hour, colon, minute = str(amount.written).partition(":")
    if not (colon and hour.isdigit() and minute.isdigit()):
        return
    for step in (_MINUTES, -_MINUTES):
        moved = int(hour) * 60 + int(minute) + step
        if 0 <= moved <= 24 * 60:
            yield _rewritten(amount, f"{moved // 60:02}:{moved % 60:02}")


def _rewritten(amount: Amount, text: str) -> _Change:
    """The amount that an author would have written so."""
    changed = replace(amount, written=text, value=parse_duration(text) or text)
    return _Change(amount, changed, f"{amount.written} -> {text}", amount.path)


def _without_each(
    node: Node, member: str, names: Sequence[str], path: Path
) -> Iterator[_Change]:
    for index, each in enumerate(names if len(names) > 1 else ()):
        fewer = (*names[:index], *names[index + 1 :])
        changed = replace(node, **{member: fewer})
        yield _Change(node, changed, f"{each} removed", (*path, index))


def _numbers(
    value: float, whole: bool, *, least: float = 0, signed: bool = False
) -> Iterator[float]:
    """A number a little greater and a little less."""
    step: float = 1 if whole else abs(value) * _LIMIT_SHARE
    for moved in (value + step, value - step):
        allowed = signed or not whole or moved >= least
        if step and allowed and not (signed and moved == 0):
            yield rounded(moved)


def _said(old: float, new: float) -> str:
    return f"{old:g} -> {new:g}"


def rounded(value: float) -> float:
    """Return it without the noise of binary fractions; whole numbers stay whole."""
    told = float(f"{value:.{_DIGITS}g}")
    return int(told) if told.is_integer() else told
