"""Metrics: what wearables measure, as ``rules/metrics.yaml`` names it. Pure.

A format has names of its own for what it measures, such as
``HKQuantityTypeIdentifierHeartRate``, and at times units of its own, such as Open
mHealth's ``C``; both lead to one metric in one unit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from types import MappingProxyType

from ..units import Substance, scales
from .outputs.contents import NO_OUTPUTS, Outputs
from .records import AlertType

Names = Mapping[str, frozenset[str]]
"""By format: what it calls a metric, or a type of alert."""
NO_UNITS: Mapping[str, str] = MappingProxyType({})


class Unmeasured(ValueError):
    """A number that is no value of the metric.

    The message says why, and not which number: it is told in logs and answers.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """``unit`` or ``implausible``."""


@dataclass(frozen=True, slots=True)
class Band:
    """A range of a metric, whose time is told of a day."""

    name: str
    """In kebab case, such as ``in-range``."""
    low: float
    """In the metric's unit: from here on."""
    high: float
    """And below here."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a metric follows from what a day was of another."""

    source: str
    """The other metric."""
    statistic: str
    """Which value of its day."""
    times: float
    plus: float

    def of(self, value: float) -> float:
        """Return what follows from a value."""
        return self.plus + self.times * value


@dataclass(frozen=True, slots=True)
class Night:
    """When it is night, by the wearer's clock."""

    begin: time
    end: time
    """These hold where nothing tells when the wearer slept."""
    sleep_from: time
    """What is slept in the 24 hours from then on is of the night that ends in them."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured."""

    name: str
    """In kebab case, such as ``heart-rate``."""
    title: str
    unit: str
    """UCUM: what every value is kept in."""
    lowest: float
    """In ``unit``: what is below was not measured rightly, or on nobody alive."""
    highest: float
    codes: frozenset[tuple[str, str]] = frozenset()
    """System and code by which an Observation says that it is of this metric."""
    consent_codes: frozenset[tuple[str, str]] = frozenset()
    """What a patient's Consent may call it; the codes above are among them."""
    names: Names = field(default_factory=dict, hash=False)
    units: Mapping[tuple[str, str], str] = field(default_factory=dict, hash=False)
    """By format and name: the UCUM unit of numbers that come without one."""
    molar_mass: float = 0.0
    """Of what is measured, in g/mol; 0 where moles do not matter."""
    cumulative: bool = False
    """A value is a sum over its interval, such as steps."""
    at_rest: bool = False
    """It is taken at rest by definition."""
    priority: tuple[str, ...] = ()
    """Sources and formats, best first, where several tell the same minute."""
    speaks_for: timedelta | None = None
    """One reading speaks until the next, and at most so long; None: for its moment."""
    bands: tuple[Band, ...] = ()
    """Rising; they leave nothing out."""
    proves_wear: timedelta | None = None
    """So long after a reading the device was worn; None where it need not be."""
    sleep: bool = False
    """A value is time asleep: it belongs to a night, and says when that was."""
    includes: tuple[str, ...] = ()
    """Metrics that are parts of it."""
    derived: Derivation | None = None
    """None where sources tell it."""
    summary_codes: Mapping[str, frozenset[tuple[str, str]]] = field(
        default_factory=dict, hash=False
    )
    """By statistic: system and code of what a day was."""
    shown_with: str = ""
    """A metric of the same unit on whose timeline it is drawn as well."""

    @property
    def statistics(self) -> tuple[str, ...]:
        """What is told of its days, the usual value first."""
        if self.derived:
            return ("mean",)
        if self.cumulative:
            return ("total",)
        bands = self.bands if self.speaks_for else ()
        worn = ("worn",) if self.proves_wear else ()
        shares = (f"band:{each.name}" for each in bands)
        return ("mean", "min", "max", "median", *shares, *worn)

    def unit_of(self, format: str, name: str) -> str:
        """Return the UCUM unit of numbers to which a format writes none."""
        return self.units.get((format, name), self.unit)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that a site knows wearables to tell."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """By name."""
    alert_types: Mapping[str, AlertType] = field(default_factory=dict)
    """By name."""
    night: Night | None = None
    """None where the site tells none: then nights have no summaries."""
    outputs: Outputs = NO_OUTPUTS
    """How it is told to others."""

    _named: Mapping[tuple[str, str], Metric] = field(
        init=False, repr=False, compare=False
    )
    _coded: Mapping[tuple[str, str], Metric] = field(
        init=False, repr=False, compare=False
    )
    _alerts: Mapping[tuple[str, str], AlertType] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        metrics, types = self.metrics.values(), self.alert_types.values()
        named = {
            (format, name): each
            for each in metrics
            for format, names in each.names.items()
            for name in names
        }
        alerts = {
            (format, name): each
            for each in types
            for format, names in each.names.items()
            for name in names
        }
        coded = {code: each for each in metrics for code in each.codes}
        for name, index in (("_named", named), ("_coded", coded), ("_alerts", alerts)):
            object.__setattr__(self, name, index)

    def names_in(self, format: str) -> frozenset[str]:
        """Return every name that a format has for a metric."""
        return frozenset(name for known, name in self._named if known == format)

    def metric_named(self, format: str, name: str) -> Metric | None:
        """Return the metric that a format calls so; None where the site has none."""
        return self._named.get((format, name))

    def metric_coded(self, system: str, code: str) -> Metric | None:
        """Return the metric that a code names; None where the site has none."""
        return self._coded.get((system, code))

    def alert_named(self, format: str, name: str) -> AlertType | None:
        """Return the type of alert that a format calls so, if the site has one."""
        return self._alerts.get((format, name))


def measure(
    metric: Metric, number: float, unit: str, own_units: Mapping[str, str] = NO_UNITS
) -> float:
    """Return the number in the metric's unit.

    Args:
        unit: As the format writes it; empty where it tells none.
        own_units: What the format means by its own spellings, in UCUM; they go first.

    Raises:
        Unmeasured: if the unit is none of the metric's, or the value is not plausible.
    """
    value = convert(number, unit, metric.unit, metric.molar_mass, own_units)
    _check_range(value, metric.lowest, metric.highest, metric.unit)
    return value


def measure_alert(
    type: AlertType, number: float, unit: str, own_units: Mapping[str, str] = NO_UNITS
) -> float:
    """Return a value or a limit of an alert in the unit of its type.

    The rest is as ``measure`` takes it, and raises it.
    """
    value = convert(number, unit, type.unit, type.molar_mass, own_units)
    check_plausible(type, value)
    return value


def check_plausible(type: AlertType, value: float) -> None:
    """Check that a living person can have a value, in the unit of the type.

    Raises:
        Unmeasured: if nobody can.
    """
    if type.plausible is not None:
        _check_range(value, *type.plausible, type.unit)


def _check_range(value: float, lowest: float, highest: float, unit: str) -> None:
    if not lowest <= value <= highest:
        told = "" if unit == "1" else f" {unit}"
        text = f"Must be from {lowest:g} to {highest:g}{told}."
        raise Unmeasured("implausible", text)


def convert(
    number: float,
    unit: str,
    to: str,
    molar_mass: float = 0.0,
    own_units: Mapping[str, str] = NO_UNITS,
) -> float:
    """Return a number in the UCUM unit *to*; the rest as ``measure`` takes it.

    Raises:
        Unmeasured: if the unit does not lead there.
    """
    meant = own_units.get(unit, unit)
    if meant == to:
        return float(number)
    found = scales(meant, to, Substance(molar_mass=molar_mass))
    # A format that says what it means by "%" leaves no doubt; a text of itself does.
    doubtful = len(found) > 1 and unit not in own_units and number > 1
    if not found or doubtful:
        raise Unmeasured("unit", f"Must be UCUM and convertible to {to}.")
    value = found[0].of(number)
    if not math.isfinite(value):
        raise Unmeasured("implausible", "Must be a finite number.")
    return value
