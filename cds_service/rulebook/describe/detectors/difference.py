"""How detectors differ from what they were, and which step of the version that is.

Minor: a number, or who may have one of their own. Major: what is looked at, for what,
and what it raises. Texts, governance and status are a patch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Protocol

from ...language.criterion_tree import Amount
from ...language.detectors import DetectorTree, PatternNode
from ...language.document import Path
from ...values.intervals import RISING, Duration, size
from ..difference import RuleDifference
from ..rule_difference import told_change
from ..versions import Change, VersionStep

_KEYS: Mapping[str, VersionStep] = {
    "title": VersionStep.PATCH,
    "status": VersionStep.PATCH,
    "replaced_by": VersionStep.PATCH,
    "metric": VersionStep.MAJOR,
    "raises": VersionStep.MAJOR,
}
_MORE_IS_NARROWER = frozenset(
    {"for", "coverage", "share", "readings", "lookback", "days", "deviations"}
    | {"valid_days", "worn", "rises_by", "falls_by", "by", "covered"}
)
"""Keys of which a greater number means fewer episodes."""
_MORE_IS_WIDER = frozenset({"speaks_for", "late_start", "per_minute", "longest", "of"})


class _Teller(Protocol):
    """Makes a change of what stands at a path."""

    def __call__(
        self, path: Path, text: str, step: VersionStep, effect: str = ""
    ) -> Change: ...


def compare_detectors(
    old: Mapping[str, DetectorTree], new: Mapping[str, DetectorTree]
) -> tuple[RuleDifference, ...]:
    """Return every detector that is new, gone or changed; both sides by file."""
    was = {tree.name: tree for tree in old.values()}
    now = {tree.name: tree for tree in new.values()}
    found = []
    for name in sorted({*was, *now}):
        before, after = was.get(name), now.get(name)
        if after is None and before is not None:
            file, version = before.document.file, before.version
            found.append(RuleDifference(name, "removed", file, old_version=version))
        elif before is None and after is not None:
            file, version = after.document.file, after.version
            line = after.line(("detector",))
            found.append(RuleDifference(name, "added", file, line, new_version=version))
        elif before is not None and after is not None:
            changes = tuple(sorted(dict.fromkeys(_changes(before, after))))
            if changes or before.version != after.version:
                found.append(
                    RuleDifference(
                        name,
                        "changed",
                        after.document.file,
                        1,
                        before.version,
                        after.version,
                        changes,
                        version_line=after.line(("version",)),
                    )
                )
    return tuple(found)


def _changes(was: DetectorTree, now: DetectorTree) -> Iterator[Change]:
    def change(path: Path, text: str, step: VersionStep, effect: str = "") -> Change:
        return Change(now.document.file, now.line(path), text, step, effect)

    for key, step in _KEYS.items():
        before, after = (getattr(each, key) or None for each in (was, now))
        if before != after:
            yield change((key,), told_change(key, before, after), step)
    yield from _params(was, now, change)
    yield from _pattern(was, now, change)
    for key in ("lateness", "recurrence_within"):
        old, new = dict(_rest_of(was))[key], dict(_rest_of(now))[key]
        if _value(was, old) != _value(now, new):
            text = told_change(key, _written(was, old), _written(now, new))
            yield change((key,), text, VersionStep.MINOR)
    for each in fields(now.governance):
        name = each.name
        old_said, new_said = getattr(was.governance, name), getattr(
            now.governance, name
        )
        if name != "path" and old_said != new_said:
            text = f"{name} changed"
            yield change(("governance", name), text, VersionStep.PATCH)


def _rest_of(tree: DetectorTree) -> Iterator[tuple[str, Amount]]:
    yield "lateness", tree.lateness
    yield "recurrence_within", tree.recurrence


def _params(was: DetectorTree, now: DetectorTree, change: _Teller) -> Iterator[Change]:
    before, after = was.params, now.params
    for name in sorted({*before, *after}):
        path: Path = ("params", name)
        if name not in after:
            text = f"${name}: a site can no longer tune it"
            yield change(("params",), text, VersionStep.MINOR)
        elif name not in before:
            text = f"${name}: a site may now tune it"
            yield change(path, text, VersionStep.PATCH)
        else:
            for key, old, new in (
                ("min", before[name].least, after[name].least),
                ("max", before[name].most, after[name].most),
            ):
                if old != new:
                    said = told_change(
                        key, old.written if old else None, new.written if new else None
                    )
                    yield change((*path, key), f"${name}: {said}", VersionStep.MINOR)
            if before[name].describe != after[name].describe:
                text = f"${name}: describe changed"
                yield change((*path, "describe"), text, VersionStep.PATCH)
        if (name in was.own) is not (name in now.own):
            may = "may now" if name in now.own else "can no longer"
            text = f"${name}: a patient {may} have their own"
            yield change((*path, "own"), text, VersionStep.MINOR)


def _pattern(was: DetectorTree, now: DetectorTree, change: _Teller) -> Iterator[Change]:
    before, after = was.pattern, now.pattern
    if before.kind != after.kind:
        text = f"looks for {after.kind}, was {before.kind}"
        yield change(("detect",), text, VersionStep.MAJOR)
        return
    if before.comparison != after.comparison:
        text = f"{after.comparison}, was {before.comparison}"
        yield change((*after.path, after.comparison), text, VersionStep.MAJOR)
    for word in sorted({*before.words, *after.words}):
        old, new = before.words.get(word), after.words.get(word)
        if old != new:
            text = told_change(word, old, new)
            yield change((*after.path, word), text, VersionStep.MAJOR)
    if (before.rest and before.rest.metric) != (after.rest and after.rest.metric):
        metrics = [each.rest.metric if each.rest else None for each in (before, after)]
        text = told_change("at_rest", *metrics)
        yield change((*after.path, "at_rest"), text, VersionStep.MAJOR)
    yield from _numbers(was, now, change)
    if len(before.steps) != len(after.steps):
        text = f"{len(after.steps)} gains, was {len(before.steps)}"
        yield change((*after.path, "any_of"), text, VersionStep.MINOR)


def _numbers(was: DetectorTree, now: DetectorTree, change: _Teller) -> Iterator[Change]:
    old, new = _named(was.pattern), _named(now.pattern)
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        was_value = _value(was, before) if before else None
        now_value = _value(now, after) if after else None
        if was_value == now_value:
            continue
        told = (_written(was, before), _written(now, after))
        path = after.path if after else now.pattern.path
        effect = ""
        if was_value is not None and now_value is not None:
            more = size(now_value) > size(was_value)
            effect = _effect(name, more, now.pattern.comparison)
        yield change(path, told_change(_key(name), *told), VersionStep.MINOR, effect)


def _named(node: PatternNode) -> dict[tuple[str, ...], Amount]:
    """Every amount of a pattern, by a name that does not depend on its words."""
    found = {("limit",): node.limit} if node.limit is not None else {}
    named: dict[tuple[str, ...], Amount] = {key: e for key, e in found.items() if e}
    named |= {(key,): each for key, each in node.amounts.items()}
    if node.rest is not None:
        named |= {("at_rest", key): each for key, each in node.rest.amounts.items()}
    for number, step in enumerate(node.steps):
        named |= {
            (str(number), "at_least"): step.at_least,
            (str(number), "days"): step.days,
        }
    return named


def _key(name: tuple[str, ...]) -> str:
    return name[-1] if name[0] != "limit" else "limit"


def _effect(name: tuple[str, ...], more: bool, comparison: str) -> str:
    key = _key(name)
    if key == "limit":
        rising = comparison in RISING or comparison in ("rises_by", "falls_by")
        return "narrower" if more is rising else "wider"
    if key in _MORE_IS_NARROWER or (key == "at_least" and len(name) == 2):
        return "narrower" if more else "wider"
    if key in _MORE_IS_WIDER:
        return "wider" if more else "narrower"
    return ""


def _value(tree: DetectorTree, amount: Amount) -> float | Duration | None:
    """The value of an amount, or of its param as the file has it."""
    if amount.param:
        node = tree.params.get(amount.param)
        return node.default.quantity if node else None
    return amount.quantity


def _written(tree: DetectorTree, amount: Amount | None) -> str | None:
    if amount is None:
        return None
    node = tree.params.get(amount.param)
    return str(node.default.written if node else amount.written)
