"""Small mistakes in a detector, one each, that its tests should notice.

All of its numbers and words are changed, but for when what opens again is the same
matter, which decides nothing of what is detected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..compile.detector_builder import SHARES, WHOLE
from ..compile.detector_checks import CUMULATIVE, OF_EACH
from ..language.criterion_tree import Amount
from ..language.detectors import LIMITS, DetectorTree, PatternNode, RestNode, StepNode
from ..language.document import Path
from ..language.tree import ParamNode
from ..values.intervals import Duration
from .detector_examples import DetectorExample
from .detector_runner import DetectorRunner
from .mutation import Mutant, Mutation, rounded
from .notation import ExampleError

_NUMBER_SHARE = 0.05
"""By how much of itself a number is moved."""
_LENGTH_SHARE = 0.1
"""By how much of itself a length of time is moved."""
_SWAPS = dict(zip(LIMITS, ("at_least", "above", "at_most", "below"), strict=True))
_STATISTICS = (*CUMULATIVE, *OF_EACH)


def mutate_detector(
    runner: DetectorRunner, name: str, examples: Iterable[DetectorExample]
) -> Mutation:
    """Return what the *examples* of a detector notice of its mutants.

    Those that fail or are marked ``todo`` take no part.

    Raises:
        ExampleError: if there is no such detector, or it does not compile.
    """
    tree = runner.tree(name)
    runner.compile(tree, {})
    passing = [
        each for each in examples if not each.todo and not runner.differences(each)
    ]
    killed, survivors = 0, []
    for mutant in build_detector_mutants(tree):
        noticed = _is_noticed(runner, mutant, passing)
        killed += noticed is True
        if noticed is False:
            survivors.append(mutant)
    return Mutation(tree, killed, tuple(survivors))


def _is_noticed(
    runner: DetectorRunner, mutant: Mutant, passing: list[DetectorExample]
) -> bool | None:
    """Check if an example tells the mutant from the detector; None if it is none.

    The example that does comes first from then on: mutants are often noticed by the
    same.
    """
    assert isinstance(mutant.tree, DetectorTree)
    try:
        runner.compile(mutant.tree, {})
    except ExampleError:
        return None
    for index, example in enumerate(passing):
        if runner.differences(example, mutant.tree):
            passing.insert(0, passing.pop(index))
            return True
    return False


def build_detector_mutants(tree: DetectorTree) -> tuple[Mutant, ...]:
    """Return every mutant of a detector, in the order of its file.

    Some may not compile, and then say nothing about the tests.
    """
    found = (
        Mutant(tree.document.position(each.path, key=each.at_key), each.said, each.tree)
        for each in _changes(tree)
    )
    return tuple(sorted(found, key=lambda each: each.position))


@dataclass(frozen=True, slots=True)
class _Changed:
    """A detector with one small mistake, and where it is."""

    tree: DetectorTree
    said: str
    path: Path
    at_key: bool = False


def _changes(tree: DetectorTree) -> Iterator[_Changed]:
    for name, node in tree.params.items():
        key = _key_of(tree, name)
        for moved in _moved(key, node.default):
            yield _param(tree, replace(node, default=moved), node.default, moved)
        if name in tree.own and node.least and node.most:
            for moved in _moved(key, node.least):
                yield _param(tree, replace(node, least=moved), node.least, moved)
            for moved in _moved(key, node.most):
                yield _param(tree, replace(node, most=moved), node.most, moved)
    if tree.own:
        path: Path = ("params", tree.own[0], "own")
        yield _Changed(replace(tree, own=()), "own removed", path, True)
    for pattern, said, path, at_key in _patterns(tree.pattern, tree):
        yield _Changed(replace(tree, pattern=pattern), said, path, at_key)
    for moved in _moved("lateness", tree.lateness):
        late = replace(tree, lateness=moved)
        yield _Changed(late, *_told(tree.lateness, moved))


def _param(tree: DetectorTree, node: ParamNode, old: Amount, new: Amount) -> _Changed:
    changed = replace(tree, params={**tree.params, node.name: node})
    return _Changed(changed, *_told(old, new))


def _key_of(tree: DetectorTree, param: str) -> str:
    """Return the key under which a param stands; empty where none is."""
    named = (key for key, amount in tree.all_amounts() if amount.param == param)
    return next(named, "")


_Changes = Iterator[tuple[PatternNode, str, Path, bool]]


def _patterns(node: PatternNode, tree: DetectorTree) -> _Changes:
    if node.limit is not None:
        swap = _SWAPS.get(node.comparison)
        if swap:
            said = f"{node.comparison} -> {swap}"
            yield replace(node, comparison=swap), said, node.limit.path, True
        for moved in _moved(node.comparison, node.limit):
            yield replace(node, limit=moved), *_told(node.limit, moved)
    for key, amount in node.amounts.items():
        for moved in _moved(key, amount) if tree.says(*amount.path) else ():
            amounts = {**node.amounts, key: moved}
            yield replace(node, amounts=amounts), *_told(amount, moved)
    yield from _words(node, tree)
    if node.rest is not None:
        yield replace(node, rest=None), "at_rest removed", node.rest.path, True
        yield from _rests(node, node.rest)
    for index, step in enumerate(node.steps):
        yield from _steps(node, index, step)


def _words(node: PatternNode, tree: DetectorTree) -> _Changes:
    for key, word in node.words.items():
        others: tuple[str, ...] = _STATISTICS if word in _STATISTICS else ()
        if key == "part" and tree.says(*node.path, key):
            others = ("day", "night")
        for other in others:
            if other != word:
                changed = replace(node, words={**node.words, key: other})
                yield changed, f"{word} -> {other}", (*node.path, key), False


def _rests(node: PatternNode, rest: RestNode) -> _Changes:
    for key, amount in rest.amounts.items():
        for moved in _moved(key, amount):
            changed = replace(rest, amounts={**rest.amounts, key: moved})
            yield replace(node, rest=changed), *_told(amount, moved)


def _steps(node: PatternNode, index: int, step: StepNode) -> _Changes:
    before, after = node.steps[:index], node.steps[index + 1 :]
    if before or after:
        fewer = replace(node, steps=(*before, *after))
        yield fewer, "gain removed", step.path, False
    for moved in _moved("at_least", step.at_least):
        steps = (*before, replace(step, at_least=moved), *after)
        yield replace(node, steps=steps), *_told(step.at_least, moved)
    for moved in _moved("days", step.days):
        steps = (*before, replace(step, days=moved), *after)
        yield replace(node, steps=steps), *_told(step.days, moved)


def _told(old: Amount, new: Amount) -> tuple[str, Path, bool]:
    return f"{old.written} -> {new.written}", old.path, False


def _moved(key: str, amount: Amount) -> Iterator[Amount]:
    """Yield an amount a little greater and a little less; none where a param stands."""
    value = amount.quantity
    if amount.param or value is None:
        return
    if isinstance(value, Duration):
        for count in (
            value.count * (1 + _LENGTH_SHARE),
            value.count * (1 - _LENGTH_SHARE),
        ):
            length = Duration(rounded(count), value.unit)
            if value.count:
                yield replace(amount, written=str(length), value=length)
        return
    step = 1 if key in WHOLE or not value else value * _NUMBER_SHARE
    for number in (rounded(value + step), rounded(value - step)):
        too_little = number < 0 <= value or key in WHOLE and number < 1
        if not too_little and not (key in SHARES and number > 1):
            yield replace(amount, written=number, value=float(number))
