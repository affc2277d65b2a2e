"""Episodes, days, own limits and what is due of one database, for all who ask."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, tuple_, update

from ...wearables.detection.day_search import silence_of
from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import DayTally, NotJudged
from ...wearables.detection.tracing import TracedReading, trace
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ...wearables.summaries import DaySummary
from ..consents import guard
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEvent
from ..samples.rows import moment
from ..samples.tables import PATIENT, SAMPLES, STREAMS
from ..tables import LASTING, WEARABLE_ALERTS
from .detecting import detect_due
from .due import OF_CONSENT, OF_DETECTORS, OF_SILENCE, note_due, read_due
from .evidence import StoredEvidence
from .limits import read_limits, set_limit
from .permission import UsePermission
from .records import (
    Detection,
    DetectionOutcome,
    DueRange,
    JudgedBefore,
    KeptEpisode,
    OwnLimitRecord,
    SilentLook,
    Span,
    told_of_episodes,
)
from .rows import day_summary, day_tally, stored_episode
from .tables import DUE, SUMMARIES, TALLIES
from .timeline import Choose, Timeline, read_timeline

AT_ONCE = 1000
"""Episodes that are looked at in one go."""


class Detections:
    """What detectors made of the samples of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def episodes(
        self, patient: PatientKey, *, retracted: bool = False
    ) -> tuple[KeptEpisode, ...]:
        """Return the patient's episodes by their start.

        Args:
            retracted: Those as well that were taken back.
        """
        alert = WEARABLE_ALERTS.c
        asked = select(WEARABLE_ALERTS).where(
            *_of(WEARABLE_ALERTS, patient), alert.detector != ""
        )
        if not retracted:
            asked = asked.where(alert.status != "retracted")
        with self._database.reading() as connection:
            order = (alert.start_utc, alert.stored_us, alert.id)
            found = connection.execute(asked.order_by(*order)).all()
        return tuple(map(_kept, found))

    def summaries(
        self, patient: PatientKey, first: date, last: date, metric: str = ""
    ) -> tuple[DaySummary, ...]:
        """Return what the days were from the first to the last, which is included.

        Args:
            metric: Empty for all.
        """
        row = SUMMARIES.c
        asked = select(SUMMARIES).where(*_of(SUMMARIES, patient))
        # Not BETWEEN: PostgreSQL takes no collation of its bounds.
        asked = asked.where(row.day >= first.isoformat(), row.day <= last.isoformat())
        if metric:
            asked = asked.where(row.metric == metric)
        order = (row.day, row.metric, row.part, row.source)
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(*order)).all()
        return tuple(map(day_summary, found))

    def tallies(
        self, tenant: str, first: date, patient: PatientKey | None = None
    ) -> tuple[DayTally, ...]:
        """Return what detectors made of days, from a first on; of all patients, or one.

        Those of several patients are put together: one a detector, source and day.
        """
        row = TALLIES.c
        asked = select(TALLIES).where(row.tenant == tenant)
        asked = asked.where(row.day >= first.isoformat())
        if patient is not None:
            asked = asked.where(*_of(TALLIES, patient))
        order = (row.detector, row.source, row.day)
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(*order)).all()
        return tuple(_together(map(day_tally, found)))

    def judged_before(
        self, tenant: str, detectors: Iterable[Detector]
    ) -> tuple[JudgedBefore, ...]:
        """Return what days were judged by detectors as they are no longer.

        Of those from which on each has effect; those before stay as they were found.
        """
        row = TALLIES.c
        others = [
            and_(
                row.detector == each.name,
                row.judged_by.not_in(("", each.content)),
                row.day >= (each.effective or date.min).isoformat(),
            )
            for each in detectors
            if each.is_evaluated
        ]
        if not others:
            return ()
        asked = select(row.detector, func.count(), func.min(row.day))
        asked = asked.where(row.tenant == tenant, or_(*others)).group_by(row.detector)
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(row.detector)).all()
        return tuple(
            JudgedBefore(name, days, date.fromisoformat(first))
            for name, days, first in found
        )

    def trace(
        self, patient: PatientKey, detection: Detection, span: Span, now: datetime
    ) -> Iterator[tuple[Detector, TracedReading]]:
        """Yield what each detector makes of each reading of a time.

        Of what the patient does not permit to use there is nothing.
        """
        with self._database.reading() as connection:
            permission = UsePermission.read(connection, patient, detection.gate, now)
            evidence = StoredEvidence(connection, patient, detection, permission)
            for each in detection.detectors:
                catalogue = detection.gate.catalogue
                for traced in trace(each, catalogue, evidence, span, now):
                    yield each, traced

    def timeline(
        self,
        patient: PatientKey,
        detection: Detection,
        choose: Choose,
        now: datetime,
    ) -> Timeline:
        """Return what is kept of a patient, of metrics and a time.

        Args:
            choose: Which, once it is known what there is.

        Raises:
            StoreError: if it cannot be read.
        """
        return self._database.read(
            lambda connection: read_timeline(
                connection, patient, detection, choose, now
            )
        )

    def limits(self, patient: PatientKey) -> tuple[OwnLimitRecord, ...]:
        """Return what limits of the patient's own the clinic has set, and when."""
        with self._database.reading() as connection:
            return read_limits(connection, patient)

    def set_limit(
        self,
        patient: PatientKey,
        detector: str,
        value: float | None,
        by: str,
        audit_event: AuditEvent,
    ) -> int:
        """Return how many limits ended; *value* holds from now on, None for none.

        What is measured from now on is judged by it, and what was is not.
        """
        ended: list[int] = []

        def work(connection: Connection) -> None:
            guard(connection, changed=[patient])
            now = audit_event.at
            ended.append(set_limit(connection, patient, detector, value, by, now))

        self._recorder.record(audit_event, work)
        return ended[-1]

    def due(self, patient: PatientKey | None = None) -> tuple[DueRange, ...]:
        """Return what is to be judged still, of a patient or of all."""
        with self._database.reading() as connection:
            return read_due(connection, patient)

    def count_due(self) -> Mapping[str, int]:
        """Return how many times of patients and metrics are due, by why they are."""
        asked = select(DUE.c.why, func.count()).group_by(DUE.c.why)
        with self._database.reading() as connection:
            return {why: number for why, number in connection.execute(asked)}

    def due_since(self) -> Mapping[str, datetime]:
        """Return since when the oldest of what is due waits, by why it is due."""
        asked = select(DUE.c.why, func.min(DUE.c.noted_us)).group_by(DUE.c.why)
        with self._database.reading() as connection:
            return {why: moment(at) for why, at in connection.execute(asked)}

    def patients_due(self, *, withheld: bool) -> tuple[PatientKey, ...]:
        """Return patients of whom something is due, those first that wait longest.

        Args:
            withheld: Those as well of whom nothing may be used, when it was last tried.
        """
        columns = [DUE.c[name] for name in PATIENT]
        asked = select(*columns).group_by(*columns)
        if not withheld:
            asked = asked.where(DUE.c.why != OF_CONSENT)
        order = (func.min(DUE.c.noted_us), *columns)
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(*order)).all()
        return tuple(PatientKey(*each) for each in found)

    def patients(self, tenant: str) -> tuple[PatientKey, ...]:
        """Return every patient of a tenant of whom there are samples."""
        columns = [STREAMS.c[name] for name in PATIENT]
        asked = select(*columns).where(STREAMS.c.tenant == tenant).distinct()
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(*columns)).all()
        return tuple(PatientKey(*each) for each in found)

    def note_silent(
        self,
        detectors: Iterable[Detector],
        tenant: str,
        now: datetime,
        after: tuple[Any, ...] | None = None,
        most: int = AT_ONCE,
    ) -> SilentLook:
        """Return which episodes last though nothing comes any more; they are due.

        Args:
            after: Where the last look ended: some stay open whoever judges them, as
                where the patient does not permit it, and must keep no other waiting.
        """
        alert = WEARABLE_ALERTS.c
        silent = [
            and_(
                alert.detector == each.name,
                alert.last_utc < (now - silence_of(each.pattern)).timestamp(),
            )
            for each in detectors
        ]
        if not silent:
            return SilentLook()
        names = ("last_utc", "fhir_base", "patient_id", "source", "id")
        order = tuple(alert[name] for name in names)
        asked = select(*order, alert.metric).where(
            alert.tenant == tenant, LASTING, or_(*silent)
        )
        if after is not None:
            asked = asked.where(tuple_(*order) > tuple_(*after))
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(*order).limit(most)).all()
        for each in found:
            at = round(each.last_utc * 1_000_000)
            patient = PatientKey(tenant, each.fhir_base, each.patient_id)
            self._note(patient, {each.metric: (at, at)}, OF_SILENCE, now)
        more = len(found) == most
        return SilentLook(len(found), tuple(found[-1][:-1]) if more else None)

    def tenants_watched(self) -> tuple[str, ...]:
        """Return the tenants of patients of whom an episode lasts."""
        alert = WEARABLE_ALERTS.c
        asked = select(alert.tenant).where(LASTING).distinct()
        with self._database.reading() as connection:
            return tuple(connection.execute(asked.order_by(alert.tenant)).scalars())

    def note_all(
        self,
        patient: PatientKey,
        now: datetime,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> bool:
        """Have all that is kept of a patient be judged anew; whether there is any."""
        stream, sample = STREAMS.c, SAMPLES.c
        first = (
            select(func.min(sample.start_us))
            .where(sample.stream == stream.id)
            .scalar_subquery()
        )
        asked = select(stream.metric, first, stream.newest_us)
        with self._database.reading() as connection:
            found = connection.execute(asked.where(*_of(STREAMS, patient))).all()
        spans: dict[str, tuple[int, int]] = {}
        for metric, start, end in found:
            if start is None:
                continue
            start = max(start, microseconds(since)) if since else start
            end = min(end, microseconds(until)) if until else end
            known = spans.get(metric, (start, end))
            if start <= end:
                spans[metric] = (min(start, known[0]), max(end, known[1]))
        if spans:
            self._note(patient, spans, OF_DETECTORS, now)
        return bool(spans)

    def detect_due(
        self, patient: PatientKey, detection: Detection, audit_event: AuditEvent
    ) -> DetectionOutcome:
        """Return what came of the oldest days that are due of a patient.

        In one transaction, with its row in the trail. ``due`` is what is left of what
        may be judged; what the patient does not permit to use waits until they do.
        """
        now, done = audit_event.at, list[DetectionOutcome]()
        if not self._prepare(patient, detection, now):
            return DetectionOutcome()

        def work(connection: Connection) -> Mapping[str, Any]:
            guard(connection, changed=[patient])
            done.append(detect_due(connection, patient, detection, now))
            return told_of_episodes(done[-1].episodes)

        self._recorder.record(audit_event, work)
        return done[-1]

    def _prepare(
        self, patient: PatientKey, detection: Detection, now: datetime
    ) -> bool:
        """Whether any of what is due may be judged; what may not be is told apart."""
        with self._database.reading() as connection:
            due = read_due(connection, patient)
            permission = UsePermission.read(connection, patient, detection.gate, now)
        if any(any(permission.spans(each.metric, each.span)) for each in due):
            return True
        if any(each.why != OF_CONSENT for each in due):

            def work(connection: Connection) -> None:
                whose = _of(DUE, patient)
                connection.execute(update(DUE).where(*whose).values(why=OF_CONSENT))

            self._database.write(work)
        return False

    def _note(
        self,
        patient: PatientKey,
        spans: Mapping[str, tuple[int, int]],
        why: str,
        now: datetime,
    ) -> None:
        def work(connection: Connection) -> None:
            guard(connection, changed=[patient])
            for metric, span in spans.items():
                note_due(connection, patient, metric, span, why, microseconds(now))

        self._database.write(work)


def _kept(row: Any) -> KeptEpisode:
    return KeptEpisode(
        stored_episode(row), row.metric, row.unit, row.stat, row.status, row.replaced_by
    )


def _together(tallies: Iterable[DayTally]) -> Iterator[DayTally]:
    """Those of one detector, source and day as one; they come in that order."""
    for (detector, source, day), some in groupby(tallies, _OF_A_DAY):
        told = list(some)
        reasons = Counter[NotJudged]()
        for each in told:
            reasons.update(each.not_judged)
        judged = sum(each.judged for each in told)
        opened = sum(each.opened for each in told)
        yield DayTally(detector, day, source, judged, dict(reasons), opened)


_OF_A_DAY = attrgetter("detector", "source", "day")


def _of(table: Any, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
