"""Alerts, days and readings as FHIR Observations. Pure.

What was measured is told with what it rests on: how much of the time readings speak
for, how many they were, which limit there was. What is not known is left out, never
told as nought. An event is an Observation and never a Condition.

Source: FHIR R4 "Observation"; HL7 Physical Activity 1.0.0, CGM 1.0.0, Personal Health
Records (ballot).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ..clock import find_zone
from ..days import Calendar, moment
from ..metrics import Catalogue, Metric
from ..records import AlertType, PatientKey, WearableAlert
from ..samples import Flag, KeptSample, Sample, Stat, microseconds
from ..summaries import DaySummary
from .contents import BANDS, Concept, DayOutput, MetricOutput, Outputs
from .naming import ALERT_TYPE, OBSERVATION, Naming

UCUM = "http://unitsofmeasure.org"
PERCENT = "%"
FINAL, AMENDED, ENTERED_IN_ERROR = "final", "amended", "entered-in-error"
EVENT = "episode"
"""The value of an episode's Observation, beside ``total`` and the like of a day's."""

Json = dict[str, Any]
NOTHING = MetricOutput()
_METHODS = {
    Flag.MANUAL: "manual",
    Flag.ESTIMATED: "estimated",
    Flag.GROUPED: "grouped",
    Flag.DAY_TOTAL: "day-total",
}


@dataclass(frozen=True, slots=True)
class OutputFrame:
    """What all Observations about one patient have in common."""

    patient: PatientKey
    naming: Naming
    catalogue: Catalogue
    """What is told, and how."""
    device: Mapping[str, Any] = field(default_factory=dict)
    """A Reference to the Device, or one that only displays its name; empty for none."""

    @property
    def outputs(self) -> Outputs:
        """How everything is told."""
        return self.catalogue.outputs

    @property
    def subject(self) -> Json:
        """A Reference to the patient."""
        return {"reference": f"Patient/{self.patient.patient_id}"}


def episode_observation(
    alert: WearableAlert, names: tuple[str, ...], status: str, frame: OutputFrame
) -> Json:
    """Return the Observation of an alert or episode.

    Args:
        names: What tells it from all others of the patient; they make its id.
        status: ``final``, ``amended`` or ``entered-in-error``.
    """
    known = frame.catalogue.alert_types.get(alert.type)
    metric = frame.outputs.metrics.get(alert.metric, NOTHING)
    return _filled(
        _head((*names, EVENT), status, frame),
        category=_categories(
            metric.categories or frame.outputs.episode_categories, frame
        ),
        code=_event(alert, known, frame).as_json(),
        **_about(frame),
        **_time(alert.start, alert.end, alert.local),
        method={"text": alert.detector} if alert.detector else None,
        component=list(_parts(alert, metric, frame)),
    )


def day_observations(
    day: DaySummary,
    names: tuple[str, ...],
    status: str,
    frame: OutputFrame,
    now: datetime,
) -> dict[str, Json]:
    """Return the Observations of a day, by value as ``total``; none before it is over.

    A value that the day has not makes none. Time asleep is told of a night, and
    everything else of a day.

    Args:
        names: As of an episode.
        status: As of an episode.
    """
    metric = frame.catalogue.metrics.get(day.metric)
    told = frame.outputs.metrics.get(day.metric)
    zone = find_zone(day.zone) or UTC
    begin, end = Calendar(zone, day.zone).day(day.day)
    if metric is None or told is None or microseconds(now) < end:
        return {}
    if day.part != ("night" if metric.sleep and frame.catalogue.night else "day"):
        return {}
    when = _day_time(day, zone, begin, end)
    found = {
        each.value: _day_observation(day, each, metric, (*names, each.value), frame)
        for each in told.days
    }
    return {
        value: {**_head((*names, value), status, frame, profiles), **body, **when}
        for value, (profiles, body) in found.items()
        if body
    }


def reading_observation(kept: KeptSample, key: bytes, frame: OutputFrame) -> Json:
    """Return the Observation of one reading, as a source has told it.

    Args:
        key: What tells it from others of its source, metric and start.
    """
    sample, outputs = kept.sample, frame.outputs
    told = outputs.metrics.get(sample.metric, NOTHING)
    metric = frame.catalogue.metrics.get(sample.metric)
    title = metric.title if metric else sample.metric
    codes = told.codes or outputs.in_order(metric.codes if metric else ())
    statistic = outputs.statistics.get(sample.stat)
    plain = statistic is None or sample.stat is Stat.INSTANT
    code = Concept(title, codes) if plain else _of_several(title, codes, statistic)
    names = ("reading", kept.source, str(kept.link), sample.metric)
    place = (str(microseconds(sample.start)), key.hex())
    # The core profiles are of a moment: none of them holds of a mean over some minutes.
    profiles = told.profiles if sample.start == sample.end else ()
    value = _quantity(sample.value, sample.unit, told.unit_text, frame)
    if sample.comparator:
        value["comparator"] = sample.comparator
    methods = (outputs.methods.get(name) for name in _methods(sample))
    method = ", ".join(filter(None, methods))
    device = sample.device.name or sample.device.app or sample.device.id
    if device and not frame.device:
        frame = replace(frame, device={"display": device})
    return _filled(
        _head((*names, *place), FINAL, frame, profiles),
        category=_categories(told.categories, frame),
        code=code.as_json(),
        **_about(frame),
        **_time(sample.start, sample.end, sample.local),
        method={"text": method} if method else None,
        valueQuantity=value,
    )


def observation_id(names: tuple[str, ...], frame: OutputFrame) -> str:
    """Return the id of an Observation of ours.

    Args:
        names: Of the thing, and the value of it that the Observation tells.
    """
    return frame.naming.id(frame.patient, OBSERVATION, *names)


def taken_back(resource: Mapping[str, Any]) -> Json:
    """Return a resource as it stands once it is known not to hold."""
    return {**resource, "status": ENTERED_IN_ERROR}


# What the Observations are made of


def _head(
    names: tuple[str, ...],
    status: str,
    frame: OutputFrame,
    profiles: tuple[str, ...] = (),
) -> Json:
    id = observation_id(names, frame)
    return _filled(
        {"resourceType": "Observation", "id": id},
        meta={"profile": list(profiles)} if profiles else None,
        identifier=[frame.naming.identifier(OBSERVATION, id)],
        status=status,
    )


def _about(frame: OutputFrame) -> Json:
    return _filled(
        {"subject": frame.subject, "performer": [frame.subject]},
        device=dict(frame.device),
    )


def _filled(told: Json, **members: Any) -> Json:
    """*told*, and the members that hold anything."""
    found = {name: each for name, each in members.items() if each not in (None, [], {})}
    return told | found


def _categories(names: tuple[str, ...], frame: OutputFrame) -> list[Json]:
    known = frame.outputs.categories
    return [known[each].as_json() for each in names if each in known]


def _event(
    alert: WearableAlert, known: AlertType | None, frame: OutputFrame
) -> Concept:
    """What happened: as others call it, then as this server does, then in words."""
    written = known.names.get("fhir", ()) if known else ()
    others = [each.partition("|")[::2] for each in written]
    own = (frame.naming.system(ALERT_TYPE), alert.type)
    title = known.title if known else alert.type
    codes = frame.outputs.in_order([(system, code) for system, code in others])
    return Concept(title, (*codes, own))


def _parts(
    alert: WearableAlert, metric: MetricOutput, frame: OutputFrame
) -> Iterator[Json]:
    """What an alert rests on, as far as it is known."""
    outputs = frame.outputs
    known = frame.catalogue.metrics.get(alert.metric)
    same_unit = known is not None and known.unit == alert.unit
    text = metric.unit_text if same_unit else ""

    def amount(concept: Concept, value: float | None) -> Iterator[Json]:
        if value is not None and alert.unit and (concept.text or concept.codes):
            quantity = _quantity(value, alert.unit, text, frame)
            yield {"code": concept.as_json(), "valueQuantity": quantity}

    def measured(statistic: str) -> Concept:
        title = known.title if known else alert.type
        codes = metric.codes or outputs.in_order(known.codes if known else ())
        words = outputs.statistics.get(statistic)
        return _of_several(title, codes if same_unit else (), words)

    yield from amount(outputs.threshold, alert.threshold)
    yield from amount(measured(alert.stat), alert.value)
    if alert.stat != "median":
        yield from amount(measured("median"), alert.median)
    yield from _share(outputs.coverage, alert.coverage, frame)
    if alert.n is not None and outputs.readings.text:
        yield {"code": outputs.readings.as_json(), "valueInteger": alert.n}


def _of_several(
    title: str, codes: tuple[tuple[str, str], ...], words: Concept | None
) -> Concept:
    """What is measured, and which of several values it is."""
    if words is None:
        return Concept(title, codes)
    return Concept(f"{title}, {words.text}", (*codes, *words.codes))


def _share(concept: Concept, value: float | None, frame: OutputFrame) -> Iterator[Json]:
    if value is not None and (concept.text or concept.codes):
        quantity = _quantity(100 * value, PERCENT, PERCENT, frame)
        yield {"code": concept.as_json(), "valueQuantity": quantity}


def _quantity(value: float, unit: str, text: str, frame: OutputFrame) -> Json:
    words = text or frame.outputs.units.get(unit, unit)
    return {"value": _number(value), "unit": words, "system": UCUM, "code": unit}


def _number(value: float) -> float:
    """A value without the noise of binary fractions."""
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _day_observation(
    day: DaySummary,
    output: DayOutput,
    metric: Metric,
    names: tuple[str, ...],
    frame: OutputFrame,
) -> tuple[tuple[str, ...], Json]:
    """The profiles of one value of a day, and what it says; nothing without one."""
    told = frame.outputs.metrics[day.metric]
    values: Json
    if output.value == BANDS:
        values = {"component": list(_bands(day, output, frame))}
    else:
        values = _day_value(day, output, metric, told, frame)
    if not any(values.values()):
        return (), {}
    extra = list(_beside(day, output, frame))
    body = _filled(
        {},
        category=_categories(output.categories or told.categories, frame),
        code=output.concept.as_json(),
        **_about(frame),
        **{**values, "component": [*values.get("component", []), *extra]},
    )
    return output.profiles, body


def _day_value(
    day: DaySummary,
    output: DayOutput,
    metric: Metric,
    told: MetricOutput,
    frame: OutputFrame,
) -> Json:
    value = day.statistic(output.value)
    if value is None:
        return {}
    if output.value == "coverage":
        quantity = _quantity(100 * value, PERCENT, PERCENT, frame)
    else:
        text = output.unit_text or ("" if output.unit else told.unit_text)
        quantity = _quantity(value, output.unit or metric.unit, text, frame)
    return {"valueQuantity": quantity}


def _bands(day: DaySummary, output: DayOutput, frame: OutputFrame) -> Iterator[Json]:
    for band, concept in output.members.items():
        yield from _share(concept, day.statistic(f"band:{band}"), frame)


def _beside(day: DaySummary, output: DayOutput, frame: OutputFrame) -> Iterator[Json]:
    """For how much of the day anything was measured."""
    if output.value not in (BANDS, "coverage"):
        yield from _share(frame.outputs.coverage, day.coverage, frame)
    if day.worn is not None and day.minutes:
        yield from _share(frame.outputs.wear, day.worn / day.minutes, frame)


def _methods(sample: Sample) -> Iterator[str]:
    return (name for flag, name in _METHODS.items() if sample.flags & flag)


# Times, with the offset of the wearer's clock where it is known


def _time(start: datetime, end: datetime | None, local: bool) -> Json:
    if end == start:
        return {"effectiveDateTime": written(start, local)}
    period = {"start": written(start, local)}
    if end is not None:
        # In the offset of the start: what the clock showed at the end nobody has told.
        period["end"] = written(end.astimezone(start.tzinfo), local)
    return {"effectivePeriod": period}


def _day_time(day: DaySummary, zone: tzinfo, begin: int, end: int) -> Json:
    """The civil day, 23 or 25 hours where clocks change; of a night, what was slept."""
    if day.part == "night" and day.first and day.last:
        return _time(day.first.astimezone(zone), day.last.astimezone(zone), True)
    if find_zone(day.zone) is None:
        return {"effectivePeriod": dict.fromkeys(("start", "end"), str(day.day))}
    # The end of a Period is a part of it, to its last second.
    last = moment(end) - timedelta(seconds=1)
    first = moment(begin).astimezone(zone)
    return {
        "effectivePeriod": {
            "start": written(first, True),
            "end": written(last.astimezone(zone), True),
        }
    }


def written(at: datetime, local: bool) -> str:
    """Return a FHIR dateTime, in UTC where it is not known what a clock showed."""
    offset = at.utcoffset() or timedelta()
    if not local or offset % timedelta(minutes=1):
        return written_utc(at)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")


def written_utc(at: datetime) -> str:
    """Return a FHIR instant in UTC."""
    text = at.astimezone(UTC).isoformat(
        timespec="milliseconds" if at.microsecond else "seconds"
    )
    return text.removesuffix("+00:00") + "Z"
