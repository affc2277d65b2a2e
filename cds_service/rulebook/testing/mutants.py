"""Mutants of a rule: small mistakes, one each, that its tests should notice.

Made on the parsed file, by place: a comparison that takes its limit in or leaves it
out, a clause or a window that is gone, a number that is a little off. Mistakes that can
change nothing are avoided: what is whole moves by one, and a window, of which tests
seldom hold the very edge, moves by more than a limit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..engine.facts import KINDS
from ..language.document import Document, Path, Position
from ..values.intervals import Duration, parse_duration

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
_WINDOWS = frozenset(key for kind in KINDS.values() for key in kind.windows)
_FILTERS = ("status", "category", "verification", "from")
_MEMBERS = ("type", "category", "any_of")
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one small mistake."""

    position: Position
    change: str
    """``45 -> 47.25``, ``window removed``."""
    document: Document


@dataclass(frozen=True, slots=True)
class _Change:
    """One edit of the data of a file."""

    path: Path
    """Of what is changed; of its key, where the key is."""
    said: str
    value: Any = None
    """What stands there instead."""
    key: str = ""
    """The new key, where the key changes."""
    removes: bool = False


def build_mutants(document: Document) -> tuple[Mutant, ...]:
    """Every mutant of a rule file of the right shape, in the order of the file.

    Some may not compile, and then say nothing about the tests.
    """
    found = sorted(
        (_mutant(document, change) for change in _changes(document.data)),
        key=lambda each: each.position,
    )
    return tuple(found)


def _mutant(document: Document, change: _Change) -> Mutant:
    at_key = bool(change.key) or (change.removes and isinstance(change.path[-1], str))
    position = document.position(change.path, key=at_key)
    changed = replace(document, data=_applied(document.data, change.path, change))
    return Mutant(position, change.said, changed)


def _applied(node: Any, path: Path, change: _Change) -> Any:
    """A copy of *node* with the change made; what it leaves alone is shared."""
    step, rest = path[0], path[1:]
    if isinstance(node, list):
        items = list(node)
        if rest:
            items[int(step)] = _applied(node[int(step)], rest, change)
        elif change.removes:
            del items[int(step)]
        else:
            items[int(step)] = change.value
        return items
    if rest:
        return {**node, step: _applied(node[step], rest, change)}
    if change.removes:
        return {key: each for key, each in node.items() if key != step}
    if change.key:
        return {(change.key if k == step else k): each for k, each in node.items()}
    return {**node, step: change.value}


def _changes(data: Mapping[str, Any]) -> Iterator[_Change]:
    for name, body in data.get("params", {}).items():
        whole = "unit" not in body
        yield from _moved(("params", name, "default"), body["default"], whole)
    scores = {name for name, body in data["facts"].items() if "score" in body}
    for name, body in data["facts"].items():
        yield from _of_fact(("facts", name), body, scores)
    yield from _of_criterion(("when",), data["when"], scores)
    if "deceased" in data:
        yield _Change(("deceased",), "deceased removed", removes=True)
    cards: list[tuple[Path, Mapping[str, Any]]] = [
        (("cards", index), each) for index, each in enumerate(data.get("cards", ()))
    ]
    if len(cards) > 1:
        yield from (_Change(path, "card removed", removes=True) for path, _ in cards)
    for path, card in cards or [(("card",), data["card"])]:
        if "when" in card:
            said = "condition of the card removed"
            yield _Change((*path, "when"), said, removes=True)
            yield from _of_criterion((*path, "when"), card["when"], scores)


def _of_fact(
    path: Path, body: Mapping[str, Any], scores: set[str]
) -> Iterator[_Change]:
    kind, inner = next(iter(body.items()))
    where = (*path, kind)
    if kind == "score":
        yield from _of_score((*where, "items"), inner["items"], scores)
    elif kind == "any_of":
        yield from _without_each(where, inner)
    elif kind != "use":
        for key, value in inner.items():
            if key in _WINDOWS:
                yield _Change((*where, key), "window removed", removes=True)
                yield from _lengths((*where, key), value, _WINDOW_SHARE)
            elif key in _FILTERS and value != KINDS[kind].status:
                yield _Change((*where, key), f"{key} removed", removes=True)
            if key in _MEMBERS:
                yield from _without_each((*where, key), value)


def _of_score(path: Path, items: list[Any], scores: set[str]) -> Iterator[_Change]:
    for index, item in enumerate(items):
        where = (*path, index)
        if len(items) > 1:
            yield _Change(where, f"{item['points']:+g} removed", removes=True)
        yield from _moved((*where, "points"), item["points"], True, signed=True)
        yield from _of_criterion((*where, "when"), item["when"], scores)


def _of_criterion(
    path: Path, written: Mapping[str, Any], scores: set[str]
) -> Iterator[_Change]:
    word, body = next(iter(written.items()))
    where = (*path, word)
    if word in ("all", "any", "none"):
        if word == "none" or len(body) > 1:
            yield _swap(where, word)
        if len(body) > 1:
            for index, each in enumerate(body):
                said = f"clause removed: {_named(each)}"
                yield _Change((*where, index), said, removes=True)
        for index, each in enumerate(body):
            yield from _of_criterion((*where, index), each, scores)
    elif word == "patient":
        yield from _of_patient(where, body)
    elif isinstance(body, str):
        said = f"{body} -> {_SWAPS[body]}"
        yield _Change(where, said, value=_SWAPS[body])
    else:
        for name, test in body.items():
            if len(body) > 1:
                yield _Change((*where, name), f"test removed: {name}", removes=True)
            whole = name == "count" or word in scores
            yield from _of_test((*where, name), test, whole)


def _named(written: Mapping[str, Any]) -> str:
    """A clause in a few words: ``beta_blocker present``, ``any …``."""
    word, body = next(iter(written.items()))
    if isinstance(body, str):
        return f"{word} {body}"
    return f"{word} {next(iter(body), '')}" if isinstance(body, dict) else f"{word} …"


def _of_patient(path: Path, body: Mapping[str, Any]) -> Iterator[_Change]:
    for name in body:
        if len(body) > 1:
            yield _Change((*path, name), f"test removed: {name}", removes=True)
    if "age" in body:
        yield from _of_test((*path, "age"), body["age"], False)
    if "sex" in body:
        yield from _without_each((*path, "sex", "in"), body["sex"]["in"])


def _of_test(path: Path, test: Mapping[str, Any], whole: bool) -> Iterator[_Change]:
    """The comparison of a test, and what else limits it."""
    for key, value in test.items():
        where = (*path, key)
        if key in _SWAPS:
            yield _swap(where, key)
            yield from _moved(where, value, whole)
        elif key == "between":
            for index, bound in enumerate(value):
                yield from _moved((*where, index), bound, whole)
        elif key == "equals":
            yield from _moved(where, value, True)
        elif key == "share":
            yield from _of_share(where, value)
        elif isinstance(value, str):
            yield from _lengths(where, value, _WINDOW_SHARE)
        else:
            yield from _moved(where, value, True, least=1)


def _of_share(path: Path, share: float) -> Iterator[_Change]:
    if share != 1:
        yield _Change(path, f"share {share:g} -> 1", value=1)
    if share > _SHARE_STEP:
        yield _to(path, share, _number(share - _SHARE_STEP))


def _moved(
    path: Path, value: Any, whole: bool, *, least: float = 0, signed: bool = False
) -> Iterator[_Change]:
    """A number a little greater and a little less; a duration or time likewise."""
    if isinstance(value, str):
        if not value.startswith("$"):
            yield from _lengths(path, value, _LIMIT_SHARE)
            yield from _times(path, value)
        return
    step: float = 1 if whole else abs(value) * _LIMIT_SHARE
    for moved in (value + step, value - step):
        allowed = signed or not whole or moved >= least
        if step and allowed and not (signed and moved == 0):
            yield _to(path, value, _number(moved))


def _lengths(path: Path, text: str, share: float) -> Iterator[_Change]:
    """A duration a little longer and a little shorter."""
    length = parse_duration(text)
    if length is None:
        return
    step = length.count * share
    if length.unit in _CALENDAR:
        step = max(1, round(step))
    for count in (length.count + step, length.count - step):
        if count > 0:
            moved = Duration(_number(count), length.unit)
            yield _to(path, text, str(moved))


def _times(path: Path, text: str) -> Iterator[_Change]:
    """A time of day a little later and a little earlier."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdigit() and minute.isdigit()):
        return
    for step in (_MINUTES, -_MINUTES):
        moved = int(hour) * 60 + int(minute) + step
        if 0 <= moved <= 24 * 60:
            yield _to(path, text, f"{moved // 60:02}:{moved % 60:02}")


def _without_each(path: Path, members: list[str]) -> Iterator[_Change]:
    if len(members) > 1:
        for index, each in enumerate(members):
            yield _Change((*path, index), f"{each} removed", removes=True)


def _swap(path: Path, word: str) -> _Change:
    return _Change(path, f"{word} -> {_SWAPS[word]}", key=_SWAPS[word])


def _to(path: Path, old: Any, new: Any) -> _Change:
    shown = [each if isinstance(each, str) else f"{each:g}" for each in (old, new)]
    return _Change(path, f"{shown[0]} -> {shown[1]}", value=new)


def _number(value: float) -> float:
    """Without the noise of binary fractions; whole numbers stay whole."""
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
