"""The syntax tree of a detector's file, and how it is read.

What a pattern looks for is one comparison with a limit, or none, and amounts by the
keys that they stand under. So whoever compiles, describes, compares or changes a
detector walks all of its numbers, and a new one is known to them all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .criterion_tree import Amount, Node
from .document import Document, Path
from .tree import GovernanceNode, ParamNode
from .tree_reader import Written, read_amount, read_governance, read_params

LIMITS = ("above", "at_least", "below", "at_most")
SHIFTS = ("rises_by", "falls_by")
_WORDS = ("statistic", "part")
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "sustained": {"late_start": "0 seconds"},
    "days": {"coverage": 0, "part": "day"},
    "shift": {"coverage": 0, "part": "day"},
}
"""What holds where a file does not say, by pattern."""


@dataclass(frozen=True, slots=True)
class RestNode(Node):
    """What proves that somebody rests."""

    metric: str
    amounts: Mapping[str, Amount]


@dataclass(frozen=True, slots=True)
class StepNode(Node):
    """One of the gains that a pattern looks for: by how much, over how many days."""

    at_least: Amount
    days: Amount


@dataclass(frozen=True, slots=True)
class PatternNode(Node):
    """What a detector looks for."""

    kind: str
    """``sustained``, ``days``, ``shift``, ``gain`` or ``decline``."""
    comparison: str
    """One of ``LIMITS`` or ``SHIFTS``; empty where it compares with neither."""
    limit: Amount | None
    """What it compares with."""
    amounts: Mapping[str, Amount]
    """Every other number and length of time, by its key."""
    words: Mapping[str, str]
    """``statistic`` and ``part``, where it has them."""
    rest: RestNode | None = None
    steps: tuple[StepNode, ...] = ()

    def all_amounts(self) -> Iterator[tuple[str, Amount]]:
        """Yield every amount with its key, the limit first."""
        if self.limit is not None:
            yield self.comparison, self.limit
        yield from self.amounts.items()
        if self.rest is not None:
            yield from self.rest.amounts.items()
        for step in self.steps:
            yield from (("at_least", step.at_least), ("days", step.days))


@dataclass(frozen=True, slots=True)
class DetectorTree(Node):
    """A whole file of ``detectors/``."""

    document: Document = field(compare=False, repr=False)
    name: str
    version: str
    title: str
    status: str
    """As the file says; a site may decide otherwise."""
    metric: str
    raises: str
    params: Mapping[str, ParamNode]
    own: tuple[str, ...]
    """The params of which a patient may have a value of their own."""
    pattern: PatternNode
    lateness: Amount
    recurrence: Amount
    governance: GovernanceNode
    replaced_by: str

    def all_amounts(self) -> Iterator[tuple[str, Amount]]:
        """Yield every amount of the file but those of params, with its key."""
        yield from self.pattern.all_amounts()
        yield "lateness", self.lateness
        yield "recurrence_within", self.recurrence

    def says(self, *path: str | int) -> bool:
        """Return whether the file itself has something at *path*."""
        return self.document.value(path) is not None

    def line(self, path: Path) -> int:
        """Return the line of a key; of its nearest parent where it is not there."""
        return self.document.position(path, key=True).line


def titles_of(detectors: Iterable[DetectorTree]) -> dict[str, str]:
    """Return the title of each detector by its name."""
    return {each.name: each.title for each in detectors}


def read_detector(document: Document) -> DetectorTree:
    """Return the tree of a detector's file whose shape is right."""
    data: Written = document.data
    params = data.get("params", {})
    return DetectorTree(
        path=(),
        document=document,
        name=data["detector"],
        version=data["version"],
        title=data["title"],
        status=data["status"],
        metric=data["metric"],
        raises=data["raises"],
        params=read_params(params),
        own=tuple(name for name, each in params.items() if each.get("own")),
        pattern=_pattern(data["detect"]),
        lateness=read_amount(data["lateness"], ("lateness",)),
        recurrence=read_amount(data["recurrence_within"], ("recurrence_within",)),
        governance=read_governance(data.get("governance", {})),
        replaced_by=data.get("replaced_by", ""),
    )


def _pattern(detect: Written) -> PatternNode:
    kind, written = next(iter(detect.items()))
    path: Path = ("detect", kind)
    whole = {**_USUAL.get(kind, {}), **written}
    amounts = _amounts(whole, path, "at_rest", "any_of", *_WORDS)
    comparison = next((key for key in (*LIMITS, *SHIFTS) if key in amounts), "")
    return PatternNode(
        path,
        kind,
        comparison,
        amounts.pop(comparison, None),
        amounts,
        {key: whole[key] for key in _WORDS if key in whole},
        _rest(whole["at_rest"], (*path, "at_rest")) if "at_rest" in whole else None,
        tuple(
            _step(each, (*path, "any_of", index))
            for index, each in enumerate(whole.get("any_of", ()))
        ),
    )


def _amounts(written: Written, path: Path, *others: str) -> dict[str, Amount]:
    return {
        key: read_amount(value, (*path, key))
        for key, value in written.items()
        if key not in others
    }


def _rest(written: Written, path: Path) -> RestNode:
    return RestNode(path, written["metric"], _amounts(written, path, "metric"))


def _step(written: Written, path: Path) -> StepNode:
    amounts = _amounts(written, path)
    return StepNode(path, amounts["at_least"], amounts["days"])
