"""What ``rules/outputs.yaml`` says: how alerts, days and readings leave as FHIR. Pure.

Profiles, categories, codes and words are content. What stands in neither this file nor
the metrics is not told.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Codes = Collection[tuple[str, str]]
"""System and code of one thing."""
BANDS = "bands"
"""What a day has in its bands, as one panel."""


@dataclass(frozen=True, slots=True)
class Concept:
    """Words for something, and codes of it."""

    text: str
    codes: tuple[tuple[str, str], ...] = ()
    """System and code, in the order in which they are written."""

    def as_json(self) -> dict[str, Any]:
        """Return the CodeableConcept."""
        told: dict[str, Any] = {"coding": codings(self.codes)} if self.codes else {}
        return told | ({"text": self.text} if self.text else {})


@dataclass(frozen=True, slots=True)
class DayOutput:
    """One Observation that a day of a metric makes."""

    value: str
    """``total``, ``max`` and the like, as a summary has them, or ``bands``."""
    concept: Concept
    categories: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    unit: str = ""
    """UCUM, for the same number; empty for the metric's, or ``%`` for a share."""
    unit_text: str = ""
    members: Mapping[str, Concept] = field(default_factory=dict)
    """By band, what its share is called."""


@dataclass(frozen=True, slots=True)
class MetricOutput:
    """How one metric is told."""

    codes: tuple[tuple[str, str], ...] = ()
    """Of one reading, in the order in which they are written."""
    categories: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    """Of one reading."""
    unit_text: str = ""
    days: tuple[DayOutput, ...] = ()


NO_WORDS = Concept("")


@dataclass(frozen=True, slots=True)
class Outputs:
    """How everything is told."""

    systems: tuple[str, ...] = ()
    """Those whose codes are written first, in this order."""
    categories: Mapping[str, Concept] = field(default_factory=dict)
    """By the name that the content has for them."""
    units: Mapping[str, str] = field(default_factory=dict)
    """By UCUM code, what people call it."""
    statistics: Mapping[str, Concept] = field(default_factory=dict)
    """By name, as ``max``: what a value is of several readings."""
    methods: Mapping[str, str] = field(default_factory=dict)
    """By name, as ``manual``: how a reading came about that no device has measured."""
    episode_categories: tuple[str, ...] = ()
    threshold: Concept = NO_WORDS
    readings: Concept = NO_WORDS
    coverage: Concept = NO_WORDS
    wear: Concept = NO_WORDS
    provenance: Mapping[str, Concept] = field(default_factory=dict)
    """By the part somebody has in it, and what was done: ``author``, ``derived``."""
    metrics: Mapping[str, MetricOutput] = field(default_factory=dict)
    """By name."""

    def in_order(self, codes: Codes) -> tuple[tuple[str, str], ...]:
        """Return codes in the order in which they are written."""
        places = {system: place for place, system in enumerate(self.systems)}
        last = len(places)
        return tuple(sorted(codes, key=lambda it: (places.get(it[0], last), it)))

    def with_metrics(self, metrics: Mapping[str, MetricOutput]) -> "Outputs":
        """Return the same with how metrics are told."""
        return replace(self, metrics=metrics)


NO_OUTPUTS = Outputs()
"""Where a site says nothing: alerts are told by their names, and days are not."""


def codings(codes: Codes) -> list[dict[str, str]]:
    """Return the Codings of codes."""
    return [{"system": system, "code": code} for system, code in codes]
