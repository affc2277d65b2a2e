"""What a rule can read: one entry a kind of fact.

Each kind says what it takes from the chart (its selector), within which time, which
tests may be asked of it and what of it card text may show.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .intervals import Duration

if TYPE_CHECKING:
    from .alert_tests import AlertTest
    from .scores import Item

REDUCERS = ("latest", "earliest", "min", "max", "mean", "median")
"""What makes one number of many readings."""

CHANGES = ("rise", "fall")
"""What is asked of the newest reading and those before it."""
COURSE = ("sustained", "on_days", "repeated", *CHANGES)
"""What is asked of the course of readings."""


class Window(NamedTuple):
    """Which rows a fact keeps, by their time."""

    rule: str
    """``within``, ``onset_within``, ``recorded_within``, ``started_within`` or
    ``taken_for``."""
    length: Duration


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fact."""

    name: str
    tests: frozenset[str]
    """What may be asked of it."""
    shows: frozenset[str]
    """What text may show whenever the fact has rows."""
    may_show: frozenset[str]
    """What text may show, but a row may lack: needs an ``or``."""
    windows: tuple[str, ...] = ()
    """The keys that limit it in time."""
    status: str = ""
    """The status that it reads by default."""
    always: frozenset[str] = frozenset({"count"})
    """What text may show even where the fact has no row."""


_ANY = frozenset({"name", "code", "count"})

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "condition",
            tests=frozenset({"present", "absent", "count"}),
            shows=_ANY | {"recorded"},
            may_show=frozenset({"onset", "latest_date"}),
            always=frozenset({"count", "recorded"}),
            windows=("onset_within", "recorded_within"),
            status="active",
        ),
        Kind(
            "medication",
            tests=frozenset({"present", "absent", "count"}),
            shows=_ANY | {"ingredient", "recorded"},
            may_show=frozenset({"started", "latest_date"}),
            always=frozenset({"count", "recorded"}),
            windows=("started_within", "taken_for"),
            status="current",
        ),
        Kind(
            "observation",
            tests=frozenset({"present", "absent", "count", *REDUCERS, *COURSE}),
            shows=_ANY | {"unit", *REDUCERS},
            may_show=frozenset({"span", "latest_date", *CHANGES}),
            windows=("within",),
            status="final",
        ),
        Kind(
            "wearable_alert",
            tests=frozenset(
                {"present", "count", "value", "min", "max", "threshold", "coverage"}
                | {"duration", "age", "local_time"}
            ),
            shows=_ANY | {"type", "duration", "age", "local_time", "latest_date"},
            may_show=frozenset(
                {"value", "min", "max", "threshold", "coverage", "device", "unit"}
            ),
            windows=("within",),
        ),
        Kind(
            "score",
            tests=frozenset({"value"}),
            shows=frozenset({"value", "title"}),
            may_show=frozenset({"counted", "unassessed"}),
            always=frozenset({"value", "title"}),
        ),
    )
}
"""Every kind of fact. ``use`` and ``any_of`` are made of these."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A named fact of a rule, resolved."""

    name: str
    kind: str
    slots: tuple[int, ...]
    """Its selectors; several where it is an ``any_of``."""
    reader: int
    """Facts with the same number have the same rows."""
    origins: tuple[str, ...]
    """What it is read from: its kind, or ``draft_orders``."""
    window: Window | None = None
    unit: str = ""
    """UCUM; empty where no number is asked for."""
    title: str = ""
    """The title of its value set, for a row that the record does not name."""
    plausible: tuple[float, float] | None = None
    """Between what its values lie, in ``unit``; None where its set does not say."""
    sustained_for: Duration | None = None
    """The period of its ``sustained`` test, to which mean, count and span refer."""
    change_over: Duration | None = None
    """The longest period of its ``rise`` and ``fall`` tests, to which both refer."""
    alert_tests: "tuple[AlertTest, ...]" = ()
    """What the rule asks of single alerts; text is about one that passes."""
    counted: "AlertTest | None" = None
    """What its ``count`` test counts; None for every row."""
    items: "tuple[Item, ...]" = ()
    """What a ``score`` is made of."""
    parts: tuple["Fact", ...] = ()
    """The facts of an ``any_of``."""

    def simple(self) -> Iterator["Fact"]:
        """The fact itself, or all that an ``any_of`` is made of."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.simple()
