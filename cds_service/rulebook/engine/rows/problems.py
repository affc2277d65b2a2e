"""When a problem began, ended and was recorded, in every form of FHIR.

An age counts from the birth, and is a range of a year, a month or a day, as it was
written. What lies ahead has not happened.

Source: FHIR R4 Condition.onset[x], abatement[x], recordedDate; STU3 assertedDate; DSTU2
dateRecorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment, parse_moment
from ...language.schemas import read_schema
from ...values.intervals import Duration, parse_duration
from .readings import flag, length_of, period_moment, text_of

NO_ONSET = "onset not recorded"
WORDY_ONSET = "onset recorded in words only"
NOT_ENTERED = "date of entry not recorded"


class OpenEndings(NamedTuple):
    """How long what a record leaves open is taken to hold; a site decides it."""

    supply_grace: Duration
    """How long a supply is stretched, by doses missed and stock at home."""
    completed_order: Duration
    """How long a completed order lasted that does not say it."""
    encounter_diagnosis: Duration
    """How long what was so at an encounter may still be so."""


def build_reading(written: Mapping[str, str]) -> OpenEndings:
    """Return what *written* sets, and for the rest the defaults of the schema."""
    known = read_schema("site")["properties"]["reading"]["properties"]
    lengths = (
        parse_duration(written.get(name, known[name]["default"]))
        for name in OpenEndings._fields
    )
    return OpenEndings(*(each for each in lengths if each is not None))


@cache
def usual_reading() -> OpenEndings:
    """Return what holds where a site says nothing."""
    return build_reading({})


@dataclass(frozen=True, slots=True)
class Times:
    """What the times of a chart are read against."""

    now: datetime
    zone: tzinfo
    born: Moment | None = None
    """When the patient was born; None where that is not known."""
    reading: OpenEndings = field(default_factory=usual_reading)


class Abated(Enum):
    """Whether a problem has ended."""

    NO = 1
    YES = 2
    OPEN = 3
    """The record leaves it open."""


def condition_moment(resource: Resource, times: Times) -> Moment | None:
    """Return when a condition began; a recorded date is its latest possible onset."""
    onset = _time(resource, "onset", times)
    onset = onset or period_moment(resource.get("onsetPeriod"), times.zone)
    if onset or not without_onset(resource):
        return onset
    recorded = recorded_moment(resource, times)
    return Moment(EVER.low, recorded.high) if recorded else None


def without_onset(resource: Resource) -> str:
    """Return what is missing where a record does not say when a condition began."""
    said = [name for name in resource if name.startswith("onset")]
    if not said:
        return NO_ONSET
    return WORDY_ONSET if said == ["onsetString"] else ""


_RECORDED = ("recordedDate", "assertedDate", "dateRecorded")
"""When a condition was written down, in R4, STU3 and DSTU2."""


def recorded_moment(resource: Resource, times: Times) -> Moment | None:
    """Return when a condition was entered into the record."""
    written = next((resource[name] for name in _RECORDED if name in resource), None)
    return parse_moment(written, times.zone)


def entered_moment(resource: Resource, times: Times) -> tuple[Moment | None, str]:
    """Return when a condition was entered, and what the record does not say of that.

    Where it says nothing, it was after the onset, at whichever time until the record
    was last changed, or until now.
    """
    recorded = recorded_moment(resource, times)
    if recorded:
        return recorded, ""
    if any(name in resource for name in _RECORDED):
        return None, ""
    onset = _time(resource, "onset", times)
    since = min(onset.low if onset else EVER.low, times.now)
    return Moment(since, _changed(resource, since, times)), NOT_ENTERED


def _changed(resource: Resource, since: datetime, times: Times) -> datetime:
    """When a record was last changed; now if it does not say, or says what cannot be.

    Source: FHIR R4 Resource.meta.lastUpdated.
    """
    meta = resource.get("meta")
    written = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    changed = parse_moment(written, times.zone)
    return changed.high if changed and since <= changed.high < times.now else times.now


class Ending(NamedTuple):
    """How a record says that a problem, or the use of a medicine, is over."""

    word: str
    at: Moment | None
    ordered: Moment | None = None
    """Of a medicine: when it was ordered, where its end is not dated."""


def abatement_moment(resource: Resource, times: Times) -> Moment | None:
    """Return when a condition ended; None where no day, month or year is said."""
    return _time(resource, "abatement", times)


def is_long_ago(resource: Resource, times: Times) -> bool | None:
    """Check if what is said of an encounter was long ago; None without a time."""
    at = recorded_moment(resource, times) or condition_moment(resource, times)
    lasts = times.reading.encounter_diagnosis
    return at.high < lasts.before(times.now, times.zone) if at else None


def abated(resource: Resource, times: Times) -> Abated:
    """Return whether a condition has ended by what is said of its end alone."""
    over = flag(resource.get("abatementBoolean"))
    if over is not False:
        return Abated.YES if over else Abated.OPEN
    said = {
        name
        for name in resource
        if name.lstrip("_").startswith("abatement")
        and resource[name] is not None
        and not name.endswith("Boolean")
    }
    if not said or all(_does_not_apply(resource[name]) for name in said):
        return Abated.NO
    end = _time(resource, "abatement", times)
    wide = "abatementRange" in resource
    if end is None:
        end, wide = _whole(resource.get("abatementPeriod"), times), True
    if end is None:
        return Abated.OPEN
    if end.low > times.now:
        return Abated.NO
    # What is recorded has happened: an end of today, of this year, lies before now.
    return Abated.OPEN if wide and end.high > times.now else Abated.YES


_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def _does_not_apply(value: Any) -> bool:
    """Return whether an element says that there is no such thing, with its reason."""
    extensions = value.get("extension") if isinstance(value, Mapping) else None
    return any(
        isinstance(each, Mapping)
        and each.get("url") == _REASON
        and each.get("valueCode") == "not-applicable"
        for each in (extensions if isinstance(extensions, list) else ())
    )


def _time(resource: Resource, name: str, times: Times) -> Moment | None:
    """The time of an element that is a date, a date in words, or an age."""
    found = parse_moment(resource.get(f"{name}DateTime"), times.zone)
    found = found or parse_moment(text_of(resource.get(f"{name}String")), times.zone)
    return found or _at_age(resource, name, times)


def _whole(period: Any, times: Times) -> Moment | None:
    """From the start of a period to its end, either of which may not be known."""
    if not isinstance(period, Mapping):
        return None
    start = parse_moment(period.get("start"), times.zone)
    end = parse_moment(period.get("end"), times.zone)
    if not (start or end) or (end is None and ("end" in period or "_end" in period)):
        return None
    low = start.low if start else EVER.low
    return Moment(low, end.high if end else EVER.high)


def _at_age(resource: Resource, name: str, times: Times) -> Moment | None:
    """The time at which the patient had an age, or was within a range of ages."""
    age = resource.get(f"{name}Age", resource.get(f"{name}Quantity"))
    if age is not None:
        return _after_birth(age, times)
    span = resource.get(f"{name}Range")
    if not isinstance(span, Mapping):
        return None
    first = _after_birth(span.get("low"), times)
    last = _after_birth(span.get("high"), times)
    if not (first or last):
        return None
    return Moment(first.low if first else EVER.low, last.high if last else _SOME_TIME)


_TICK = timedelta(microseconds=1)
_SOME_TIME = EVER.high - _TICK
"""An end that is not known; nothing is said to go on until then."""


def _after_birth(age: Any, times: Times) -> Moment | None:
    length = length_of(age)
    if times.born is None or length is None:
        return None
    begun = Duration(int(length.count), length.unit)
    over = Duration(begun.count + 1, begun.unit)
    low = begun.after(times.born.low, times.zone)
    # Born on a day, one is older with the beginning of that day.
    high = over.after(times.born.high - timedelta(days=1) + _TICK, times.zone)
    return Moment(low, high - _TICK)
