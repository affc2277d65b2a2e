"""The syntax tree of what a rule asks: criteria, tests, amounts, in full."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..values.intervals import Duration
from .document import Path

ALERT_ATTRIBUTES = (
    *("value", "typical", "threshold"),
    *("coverage", "duration", "age", "local_time"),
)
"""What a test may ask of one wearable alert."""

Value = float | Duration | str
"""A number in the unit of its fact, a length of time, or a time of day."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a rule file."""

    path: Path = field(compare=False)
    """Where it stands: keys and list indexes from the top of the file. What stands
    under its own name or word has that for its last step."""


@dataclass(frozen=True, slots=True)
class Amount(Node):
    """A number, a length of time or a time of day, or the param that holds one."""

    written: float | str = field(compare=False)
    value: Value
    """The text that is written, where it is a param or no length of time."""
    param: str = ""

    @property
    def quantity(self) -> float | Duration | None:
        """The number or length of time; None for a param, a time of day, a text."""
        return None if isinstance(self.value, str) else self.value

    def settled(self, params: Mapping[str, float | Duration]) -> "Amount":
        """Return the amount with the value of its param, where *params* have it."""
        if self.param not in params:
            return self
        return replace(self, value=params[self.param])


@dataclass(frozen=True, slots=True)
class Bound(Node):
    """One comparison: ``above 100``. A ``between`` is two of them."""

    attribute: str
    """What is compared, such as ``latest``, ``local_time`` or ``age``."""
    comparison: str
    """``above``, ``at_least``, ``below``, ``at_most`` or ``equals``."""
    amount: Amount
    of_range: bool = field(default=False, compare=False)
    """Whether it is half of a ``between``."""

    @property
    def key(self) -> Path:
        """The key that it stands under."""
        return self.path[:-1] if self.of_range else self.path

    @property
    def value(self) -> Value:
        """What it compares with."""
        return self.amount.value

    def settled(self, params: Mapping[str, float | Duration]) -> "Bound":
        """Return the bound with the value of its param, where *params* have it."""
        return replace(self, amount=self.amount.settled(params))


@dataclass(frozen=True, slots=True)
class Compared(Node):
    """A test of one number: ``latest: { above: 100 }``."""

    name: str
    bounds: tuple[Bound, ...]
    """All of them hold."""


@dataclass(frozen=True, slots=True)
class Sustained(Node):
    """A share of the readings of a period, up to the newest, meets a bound."""

    name: ClassVar[str] = "sustained"
    bound: Bound
    period: Amount
    share: float
    readings: int
    """The least that there must be."""


@dataclass(frozen=True, slots=True)
class OnDays(Node):
    """On so many days a reading meets a bound."""

    name: ClassVar[str] = "on_days"
    bound: Bound
    days: int


@dataclass(frozen=True, slots=True)
class Repeated(Node):
    """So many readings, each so long after the one before it, meet a bound."""

    name: ClassVar[str] = "repeated"
    bound: Bound
    times: Amount
    apart: Amount


@dataclass(frozen=True, slots=True)
class RiseOrFall(Node):
    """The newest reading lies by so much above or below one before it."""

    name: str
    """``rise`` or ``fall``."""
    bound: Bound
    over: Amount


Test = Compared | Sustained | OnDays | Repeated | RiseOrFall
"""One thing that is asked of what a fact found."""


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """Several criteria, joined."""

    word: str
    """``all``, ``any`` or ``none``."""
    children: tuple["When", ...]


@dataclass(frozen=True, slots=True)
class PatientTest(Node):
    """What is asked of the patient; age and sex, where both are."""

    sexes: tuple[str, ...] = ()
    """Any of these; empty where no sex is asked."""
    ages: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class PresenceTest(Node):
    """Whether a fact found anything."""

    fact: str
    word: str
    """``present`` or ``absent``."""


@dataclass(frozen=True, slots=True)
class FactTest(Node):
    """What is asked of what a fact found; all of it."""

    fact: str
    tests: tuple[Test, ...]

    def parted(self, kind: str) -> tuple[tuple[Test, ...], tuple[Compared, ...]]:
        """Return what is asked of all that a fact of a *kind* found, and of one alert.

        What is asked of single wearable alerts must hold of one and the same; a count
        beside it, which comes last, is of the alerts for which it does.
        """
        if kind != "wearable_alert":
            return self.tests, ()
        compared = [each for each in self.tests if isinstance(each, Compared)]
        of_one = [each for each in compared if each.name in ALERT_ATTRIBUTES]
        if of_one:
            of_one += [each for each in compared if each.name == "count"]
        of_all = tuple(each for each in self.tests if each not in of_one)
        return of_all, tuple(of_one)


When = Branch | PatientTest | PresenceTest | FactTest
"""A criterion: what stands under ``when``."""
