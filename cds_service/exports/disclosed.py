"""Readings and days of wearers, taken out as lines: FHIR Observations, or a table.

Of what a patient does not permit to disclose nothing is given, and it is counted. Into
a file it goes patient by patient, so that an export that was interrupted goes on.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from ..store.records import AuditEvent
from ..store.upkeep.disclosures import Disclosures, Extent, KeptReading
from ..wearables.consent import Consent, ConsentAction, data_limits
from ..wearables.consent_gate import ConsentGate
from ..wearables.outputs.naming import Naming
from ..wearables.outputs.observations import (
    FINAL,
    OutputFrame,
    day_observations,
    reading_observation,
)
from ..wearables.records import PatientKey
from ..wearables.samples import Flag
from ..wearables.summaries import STATISTICS, DaySummary, turn
from ..wearables.telling import DAY, day_key, end_of_day
from .files import csv_lines
from .journal import ExportFiles, FilePosition

NDJSON, CSV = "ndjson", "csv"
SAVED_EVERY = 1.0
"""Seconds; the disk is waited for that often, and no more."""
OBSERVATIONS, SUMMARIES = "observations", "summaries"
READING_COLUMNS = (
    *("patient", "metric", "value", "comparator", "unit", "statistic"),
    *("start", "end", "local", "context", "flags", "source", "device", "received"),
)
DAY_COLUMNS = (
    *("patient", "metric", "day", "part", "zone", "unit", "minutes", "n"),
    *(*STATISTICS, "bands", "told_by", "sources", "devices", "version"),
)


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes something out, of whom, as what."""

    disclosures: Disclosures
    gate: ConsentGate
    naming: Naming
    extent: Extent
    form: str
    """``ndjson`` or ``csv``."""
    by: str
    now: datetime

    def event(self, what: str, patient: PatientKey | None) -> AuditEvent:
        """Return the row of the trail that says that something is taken out."""
        told = {
            "export": what,
            "form": self.form,
            "since": self.extent.since.isoformat(),
            "until": self.extent.until.isoformat(),
        }
        tenant = self.extent.tenant
        return AuditEvent(self.now, "disclosure", tenant, self.by, patient, told)


@dataclass(slots=True)
class Taken:
    """What was taken out so far."""

    patients: int = 0
    """Of whom something was given."""
    given: int = 0
    """Readings or days."""
    withheld: int = 0
    """Readings or days that their patients do not permit to disclose."""
    unfinished: int = 0
    """Days that are not over, of which no Observation is made."""

    def told(self) -> dict[str, int]:
        """Return the numbers by name; none that is nought but for what was given."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {name: n for name, n in told.items() if n or name == "given"}


Look = Callable[[Taken], None]
"""Told now and then how far it is."""


class TakenPage(NamedTuple):
    """A part of what is taken out."""

    text: str
    of: str = ""
    """The patient of whom nothing comes after it; empty where more may."""


Take = Callable[[Taker, Taken, Look], Iterator[TakenPage]]


@dataclass(frozen=True, slots=True)
class TakenPosition(FilePosition):
    """How far an export of readings or days is."""

    until: str
    """Before when what is taken out began."""
    after: str = ""
    """Of this patient, and of those before, everything is there."""
    over: bool = False
    patients: int = 0
    given: int = 0
    withheld: int = 0
    unfinished: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all patients are there."""
        return self.over


def take_into(
    files: ExportFiles[TakenPosition],
    taker: Taker,
    take: Take,
    position: TakenPosition,
    look: Look = lambda taken: None,
    every: float = SAVED_EVERY,
) -> Taken:
    """Write what is taken out to its files, from a position on, and return how much.

    Args:
        every: Seconds between two moments from which it can go on.

    Raises:
        StoreError: if it cannot be read, or that it is taken cannot be recorded.
        OSError: if it cannot be written.
    """
    names = Taken.__slots__
    taken = Taken(**{name: getattr(position, name) for name in names})
    rest = replace(taker, extent=replace(taker.extent, after=position.after))
    saved = time.monotonic()
    for page in take(rest, taken, look):
        files.write(page.text)
        if page.of:
            position = replace(position, after=page.of, **asdict(taken))
            if time.monotonic() - saved >= every:
                position, saved = files.add("", position), time.monotonic()
    files.add("", replace(position, over=True))
    return taken


def take_readings(
    taker: Taker, taken: Taken, look: Look = lambda taken: None
) -> Iterator[TakenPage]:
    """Yield the readings of all patients, some at a time.

    Raises:
        StoreError: if they cannot be read, or that they are taken cannot be recorded.
    """
    for patient in taker.disclosures.patients_with_readings(taker.extent):
        consents = taker.gate.read(taker.disclosures.consents_of(patient))
        begun = False
        for page in taker.disclosures.readings(patient, taker.extent):
            permitted = list(_permitted(page, consents, taker))
            taken.withheld += len(page) - len(permitted)
            if permitted and not begun:
                begun = True
                taker.disclosures.audit(taker.event(OBSERVATIONS, patient))
                taken.patients += 1
            taken.given += len(permitted)
            yield TakenPage(_readings_as(taker, patient, permitted))
            look(taken)
        yield TakenPage("", patient.patient_id)
    taker.disclosures.audit(taker.event(OBSERVATIONS, None), **taken.told())


def take_days(
    taker: Taker, taken: Taken, look: Look = lambda taken: None
) -> Iterator[TakenPage]:
    """Yield the days of all patients, patient by patient; as of readings."""
    first, last = taker.extent.since.date(), taker.extent.until.date()
    for patient in taker.disclosures.patients_with_days(taker.extent):
        consents = taker.gate.read(taker.disclosures.consents_of(patient))
        found = taker.disclosures.days(patient, first, last)
        permitted = [
            each
            for each in found
            if taker.gate.permits_day(ConsentAction.DISCLOSE, each, consents, taker.now)
        ]
        taken.withheld += len(found) - len(permitted)
        text = ""
        if permitted:
            taker.disclosures.audit(taker.event(SUMMARIES, patient))
            taken.patients += 1
            taken.given += len(permitted)
            text = "".join(_days_as(taker, patient, permitted, taken))
        yield TakenPage(text, patient.patient_id)
        look(taken)
    taker.disclosures.audit(taker.event(SUMMARIES, None), **taken.told())


def _permitted(
    page: Sequence[KeptReading], consents: Sequence[Consent], taker: Taker
) -> Iterator[KeptReading]:
    """Those that may be disclosed: asked once, unless it depends on the time."""
    by_time, known = any(data_limits(consents)), dict[str, bool]()
    for each in page:
        sample = each.kept.sample
        if by_time or sample.metric not in known:
            known[sample.metric] = taker.gate.permits_reading(
                ConsentAction.DISCLOSE,
                sample.metric,
                sample.start,
                consents,
                taker.now,
            )
        if known[sample.metric]:
            yield each


def _readings_as(
    taker: Taker, patient: PatientKey, readings: Iterable[KeptReading]
) -> str:
    if taker.form == CSV:
        return csv_lines(_reading_row(patient, each) for each in readings)
    frame = OutputFrame(patient, taker.naming, taker.gate.catalogue)
    return "".join(
        _line(reading_observation(each.kept, each.key, frame)) for each in readings
    )


def _reading_row(patient: PatientKey, reading: KeptReading) -> Sequence[Any]:
    kept, sample = reading.kept, reading.kept.sample
    flags = " ".join(
        str(each.name).lower().replace("_", "-") for each in Flag if each & sample.flags
    )
    device = sample.device
    return (
        *(patient.patient_id, sample.metric, sample.value, sample.comparator),
        *(sample.unit, str(sample.stat), sample.start.isoformat()),
        *(sample.end.isoformat(), str(sample.local).lower(), str(sample.context)),
        *(flags, kept.source, device.name or device.app or device.id),
        kept.received.isoformat(),
    )


def _days_as(
    taker: Taker, patient: PatientKey, days: Sequence[DaySummary], taken: Taken
) -> Iterator[str]:
    metrics = taker.gate.catalogue.metrics
    if taker.form == CSV:
        rows = []
        for each in days:
            metric = metrics.get(each.metric)
            rows.append(_day_row(patient, each, metric.unit if metric else ""))
        yield csv_lines(rows)
        return
    for day in _to_be_read(days, {name: it.priority for name, it in metrics.items()}):
        if taker.now < end_of_day(day.day, day.zone):
            taken.unfinished += 1
            continue
        frame = OutputFrame(
            *(patient, taker.naming, taker.gate.catalogue),
            device={"display": day.devices[0]} if day.devices else {},
        )
        names = (DAY, day_key(day.metric, day.day.isoformat(), day.part))
        for told in day_observations(day, names, FINAL, frame, taker.now).values():
            yield _line(told)


def _to_be_read(
    days: Iterable[DaySummary], priorities: Mapping[str, Sequence[str]]
) -> Iterator[DaySummary]:
    """Of several summaries of one day of a metric the one that goes first."""
    chosen: dict[tuple[str, str, str], DaySummary] = {}
    for each in days:
        place = (str(each.day), each.metric, each.part)
        priority = priorities.get(each.metric, ())
        before = chosen.get(place)
        if before is None or turn(each, priority) < turn(before, priority):
            chosen[place] = each
    return iter(chosen.values())


def _day_row(patient: PatientKey, day: DaySummary, unit: str) -> Sequence[Any]:
    return (
        *(patient.patient_id, day.metric, day.day.isoformat(), day.part, day.zone),
        *(unit, day.minutes, day.n, *(day.statistic(name) for name in STATISTICS)),
        *(" ".join(f"{name}={each:g}" for name, each in day.bands.items()), day.source),
        *(" ".join(day.sources), "; ".join(day.devices), day.version),
    )


def _line(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False) + "\n"
