"""What a simulated watch sends: each scenario a short list of deliveries.

Everything that is random comes from the generator that is given, and every time from
the moment that is given: the same two give the same deliveries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

Alert = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One delivery and what a right server answers."""

    says: str
    """In a few words, for the person who watches."""
    alerts: tuple[Alert, ...]
    delivery: str
    """The ``webhook-id``."""
    expected: int = 202
    """HTTP status."""
    pause: timedelta = timedelta(0)
    """How long the watch waits before it sends."""
    clock: timedelta = timedelta(0)
    """How far the clock of the sender is ahead when it signs."""
    forged: bool = False
    """Whether the signature is made with another secret."""
    repeats: bool = False
    """Whether it repeats the step before, so that the same answer is due."""


@dataclass(frozen=True, slots=True)
class Wearer:
    """One patient with a watch."""

    patient: str
    now: datetime
    """With the offset of the place where the watch is."""
    random: Random
    name: str
    """What ids begin with."""

    def alert(
        self, kind: str, number: int, began: float, lasted: float, **members: Any
    ) -> Alert:
        """One alert that began so many minutes ago and lasted so many."""
        start = self.now - timedelta(minutes=began)
        end = start + timedelta(minutes=lasted)
        return {
            "id": f"{self.name}-{number}",
            "patient": self.patient,
            "type": kind,
            "start": start.isoformat(timespec="seconds"),
            "end": end.isoformat(timespec="seconds"),
            "status": "closed",
            "rev": 0,
            "coverage": round(self.random.uniform(0.85, 0.98), 2),
            "device": "Simulated watch",
            **members,
        }

    def fast(self, number: int, began: float, lasted: float, **members: Any) -> Alert:
        """A resting heart rate above the wearer's own limit."""
        measured = {
            "value": self.random.randint(108, 126),
            "unit": "bpm",
            "stat": "max",
            "threshold": {"op": ">", "value": 100, "unit": "bpm"},
            "n": self.random.randint(10, 60),
        }
        kind = "high-resting-heart-rate"
        return self.alert(kind, number, began, lasted, **measured | members)

    def step(self, number: int, says: str, *alerts: Alert, **more: Any) -> ScenarioStep:
        """A delivery of alerts."""
        return ScenarioStep(says, alerts, f"{self.name}-delivery-{number}", **more)


def steady_tachy(wearer: Wearer) -> list[ScenarioStep]:
    """A resting heart rate that stays high for 25 minutes."""
    closed = wearer.fast(1, 30, 25, rev=1)
    opened = {**closed, "status": "open", "end": None, "rev": 0}
    pause = timedelta(minutes=25)
    return [
        wearer.step(1, "it begins", opened),
        wearer.step(2, "it ends", closed, pause=pause),
    ]


def walking(wearer: Wearer) -> list[ScenarioStep]:
    """A heart rate that rises with the steps; the watch sends nothing."""
    return []


def gap(wearer: Wearer) -> list[ScenarioStep]:
    """Two alerts with an hour without readings between them."""
    return [
        wearer.step(1, "before the gap", wearer.fast(1, 120, 12, coverage=0.55)),
        wearer.step(2, "after the gap", wearer.fast(2, 40, 15, coverage=0.6)),
    ]


def out_of_order(wearer: Wearer) -> list[ScenarioStep]:
    """A revision that arrives before the one it replaces."""
    closed = wearer.fast(1, 30, 20, rev=1)
    opened = {**closed, "status": "open", "end": None, "rev": 0}
    return [
        wearer.step(2, "the later revision", closed),
        wearer.step(1, "the earlier one, late", opened),
    ]


def duplicate(wearer: Wearer) -> list[ScenarioStep]:
    """The same delivery twice: the same answer is due."""
    first = wearer.step(1, "a delivery", wearer.fast(1, 30, 12))
    return [first, replace(first, says="the same again", repeats=True)]


def clock_skew(wearer: Wearer) -> list[ScenarioStep]:
    """A clock that is ten minutes ahead, of the watch and then of the sender."""
    ahead = timedelta(minutes=10)
    early = wearer.fast(1, -10, 5)
    signed = wearer.fast(2, 30, 12)
    return [
        wearer.step(1, "an alert from the future", early, expected=422),
        wearer.step(
            2, "a signature from the future", signed, expected=401, clock=ahead
        ),
    ]


def late_24h(wearer: Wearer) -> list[ScenarioStep]:
    """An alert that reaches the phone a day late."""
    return [wearer.step(1, "yesterday's alert", wearer.fast(1, 24 * 60, 15))]


def non_wear(wearer: Wearer) -> list[ScenarioStep]:
    """A watch that was off the wrist for most of the time."""
    return [wearer.step(1, "few readings", wearer.fast(1, 90, 60, coverage=0.15, n=4))]


def corrected_value(wearer: Wearer) -> list[ScenarioStep]:
    """A value that the vendor corrects later."""
    first = wearer.fast(1, 60, 15)
    lower = {**first, "value": first["value"] - 5, "rev": 1}
    return [
        wearer.step(1, "a value", first),
        wearer.step(2, "its correction", lower),
    ]


def irregular_rhythm(wearer: Wearer) -> list[ScenarioStep]:
    """A notice of an irregular rhythm; it has no value."""
    alert = wearer.alert("irregular-rhythm", 1, 120, wearer.random.randint(20, 90))
    return [wearer.step(1, "a notice", alert)]


def low_heart_rate(wearer: Wearer) -> list[ScenarioStep]:
    """A heart rate below the wearer's own limit."""
    measured = {
        "value": wearer.random.randint(34, 38),
        "unit": "/min",
        "stat": "min",
        "threshold": 40,
        "n": wearer.random.randint(10, 60),
    }
    alert = wearer.alert("low-heart-rate", 1, 45, 12, **measured)
    return [wearer.step(1, "a slow heart", alert)]


def retracted(wearer: Wearer) -> list[ScenarioStep]:
    """An alert that the vendor takes back."""
    first = wearer.fast(1, 60, 15)
    return [
        wearer.step(1, "an alert", first),
        wearer.step(2, "taken back", {**first, "status": "retracted", "rev": 1}),
    ]


def bad_signature(wearer: Wearer) -> list[ScenarioStep]:
    """A delivery that somebody else has signed."""
    alert = wearer.fast(1, 30, 12)
    return [wearer.step(1, "a forgery", alert, expected=401, forged=True)]


SCENARIOS: Mapping[str, Callable[[Wearer], list[ScenarioStep]]] = {
    each.__name__: each
    for each in (
        steady_tachy,
        walking,
        gap,
        out_of_order,
        duplicate,
        clock_skew,
        late_24h,
        non_wear,
        corrected_value,
        irregular_rhythm,
        low_heart_rate,
        retracted,
        bad_signature,
    )
}
"""Name to scenario; the first line of the docstring says what it plays."""


def play(
    name: str, patient: str, source: str, now: datetime, seed: int
) -> list[ScenarioStep]:
    """The deliveries of a scenario; other ids for every millisecond."""
    tag = f"{int(now.timestamp() * 1000):x}"
    random = Random(f"{seed} {name}")  # nosec B311 # made-up readings, repeatable
    wearer = Wearer(patient, now, random, f"{source}-{name}-{tag}")
    return SCENARIOS[name](wearer)
