"""What a rule can read: one entry a kind of fact.

Each kind says which tests may be asked of it and what of it card text may show.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import NamedTuple, Protocol

from ...fhir.chart import Chart
from ...fhir.moments import Moment
from ..language.document import Position
from ..values.intervals import Duration
from ..values.truth import Reason, ReasonKind, Verdict
from .alert_tests import AlertTest
from .days import Days
from .rows.readings import Row

REDUCERS = ("latest", "earliest", "min", "max", "mean", "median")
"""What makes one number of many readings."""

CHANGES = ("rise", "fall")
"""What is asked of the newest reading and those before it."""
TRENDS = ("sustained", "on_days", "repeated", *CHANGES)
"""What is asked of how readings go on."""


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
        ),
        Kind(
            "medication",
            tests=frozenset({"present", "absent", "count"}),
            shows=_ANY | {"ingredient", "recorded"},
            may_show=frozenset({"started", "latest_date"}),
            always=frozenset({"count", "recorded"}),
        ),
        Kind(
            "observation",
            tests=frozenset({"present", "absent", "count", *REDUCERS, *TRENDS}),
            shows=_ANY | {"unit", *REDUCERS},
            may_show=frozenset({"span", "latest_date", *CHANGES}),
        ),
        Kind(
            "wearable_alert",
            tests=frozenset(
                {"present", "count", "value", "min", "max", "threshold", "coverage"}
                | {"typical", "duration", "age", "local_time"}
            ),
            shows=_ANY | {"type", "duration", "age", "local_time", "latest_date"},
            may_show=frozenset(
                {"value", "min", "max", "threshold", "coverage", "device", "unit"}
                | {"typical", "recurrence"}
            ),
        ),
        Kind(
            "wearable",
            tests=frozenset({"present", "count", "days", "coverage", *REDUCERS})
            | {"sustained", "on_days", *CHANGES},
            shows=frozenset({"name", "count", "days", "unit", *REDUCERS}),
            may_show=frozenset({"coverage", "device", "source", "age", "span"})
            | {"latest_date", "days_line", "days_table", *CHANGES},
            always=frozenset({"count", "days"}),
        ),
        Kind(
            "stream",
            tests=frozenset({"present", "count"}),
            shows=frozenset({"name", "count", "age", "latest_date", "source"}),
            may_show=frozenset({"device", "reason", "heard_date"}),
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
WORN = ("wearable_alert", "wearable", "stream")
"""Kinds of facts that wearables tell."""


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
    has_coverage: bool = False
    """Of days: whether it is known how much of them readings speak for."""
    sustained_for: Duration | None = None
    """The period of its ``sustained`` test, to which mean, count and span refer."""
    change_over: Duration | None = None
    """The longest period of its ``rise`` and ``fall`` tests, to which both refer."""
    alert_tests: tuple[AlertTest, ...] = ()
    """What the rule asks of single alerts; text is about one that passes."""
    counted: AlertTest | None = None
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


@dataclass(slots=True)
class Found:
    """The rows that one fact has in one case."""

    fact: Fact
    rows: list[Row]
    """Certainly meant and usable, oldest first."""
    possible: list[Row]
    """May or may not lie in the window."""
    unusable: list[Row]
    unresolved: list[Row]
    """What may be meant; their codes tell nothing."""
    unread: tuple[str, ...]
    """Sources that were not fully loaded."""
    unobtained: list[Row] = field(default_factory=list)
    """What may be meant; their codes never came."""
    uncertain: list[Row] = field(default_factory=list)
    """Of these the record leaves open whether they count; each says why."""

    def asked_as(self, fact: Fact) -> "Found":
        """Return the same rows for a fact that reads the same under another name."""
        return Found(
            fact,
            self.rows,
            self.possible,
            self.unusable,
            self.unresolved,
            self.unread,
            self.unobtained,
            self.uncertain,
        )

    def doubts(self, *, unresolved: bool) -> list[Reason]:
        """Why there may be more rows than are known; none if all are known.

        Args:
            unresolved: Whether what a code tells of and no value set can place counts.
        """
        if not (
            self.unread
            or self.unobtained
            or self.unusable
            or self.uncertain
            or self.possible
            or self.unresolved
        ):
            return []
        name = self.fact.name
        doubts = []
        if self.unread:
            doubts.append(Reason(ReasonKind.NOT_READ, name, self.unread))
        doubts += _by_why(ReasonKind.NOT_READ, name, self.unobtained)
        doubts += _by_why(ReasonKind.UNUSABLE, name, self.unusable)
        doubts += _by_why(ReasonKind.UNCERTAIN, name, self.uncertain)
        if self.possible:
            doubts.append(Reason(ReasonKind.BOUNDARY, name))
        doubtful = [row for row in self.unresolved if unresolved or row.is_heeded]
        if doubtful:
            called = _names(doubtful)
            doubts.append(Reason(ReasonKind.UNRESOLVED, name, (), called))
        return doubts


def _by_why(kind: ReasonKind, name: str, rows: Sequence[Row]) -> Iterator[Reason]:
    """A reason for each phrase that says why rows are in doubt."""
    for why in dict.fromkeys(row.why for row in rows):
        called = _names(row for row in rows if row.why == why)
        yield Reason(kind, name, (), called, why)


def _names(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return what the record calls the rows, each once."""
    return tuple(dict.fromkeys(row.name for row in rows))


class CaseFacts(Protocol):
    """One patient at one time, as far as criteria ask: see ``case``."""

    now: datetime
    zone: tzinfo
    today: date
    """The day of the site's calendar."""
    chart: Chart
    born: Moment | None
    """When the patient was born; None where no birth that can be true is known."""
    of_patient: dict[str, Verdict]
    """What was answered about the patient, by what was asked."""
    verdicts: "dict[Predicate, Verdict]"
    """What criteria said, by what they ask."""

    def found(self, fact: Fact) -> Found:
        """The rows of a fact."""

    def surely(self, fact: Fact) -> bool | None:
        """Check if the fact has a row, where that shows before any row is read."""

    def days_of(self, fact: Fact) -> Days | None:
        """The civil days that a fact looks at; None for one that looks at no days."""

    def newest_first(self) -> bool:
        """Return whether the observations came newest first, as far as they came."""


Predicate = Callable[[CaseFacts], Verdict]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One node of a ``when`` tree: its words, its place and its predicate."""

    text: str
    """As an author reads it: ``resting_hr latest above 100``."""
    position: Position
    predicate: "Predicate"
    children: tuple["Criterion", ...] = ()
    fact: str = ""
    """The fact that a leaf asks; empty for ``all``, ``any``, ``none``, ``patient``."""
    operator: str = ""
    """``all``, ``any``, ``none``; ``present``, ``absent`` or ``compare`` on a leaf."""
    sure: frozenset[str] = frozenset()
    """What else is there where a leaf is true: facts, and attributes as in text."""

    def verdict(self, case: CaseFacts) -> Verdict:
        """Return what it says of a case; worked out once, whoever asks."""
        known = case.verdicts.get(self.predicate)
        if known is None:
            known = case.verdicts[self.predicate] = self.predicate(case)
        return known


@dataclass(frozen=True, slots=True)
class Item:
    """One criterion of a score."""

    points: float
    """Whole or half, so that sums are exact; may be less than zero."""
    label: str
    criterion: Criterion
