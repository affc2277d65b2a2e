"""Detection in the transaction that is open: of what has changed, and of what is due.

What a patient does not permit to use is not judged, and stays due until they do. What
spans more days than one transaction may take becomes due as well.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from ...wearables.detection.episodes import DayTally, NotJudged
from ...wearables.detection.reassessing import reassess
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ..database import Prepared
from ..samples.aging import SAMPLES_MARK
from ..samples.records import Skewed
from ..samples.streams import LONG_AGO
from ..tables import MARKS
from .due import DAY_US, OF_CONSENT, OF_LENGTH, note_done, note_due, read_due
from .evidence import StoredEvidence
from .permission import UsePermission
from .records import Detection, DetectionOutcome, DueRange, Span, hull
from .saving import add_tallies, save

Spans = Mapping[str, Span]
"""By metric."""
MARGIN_DAYS = 2
"""So near to where readings have been pruned nothing is judged anew."""


def detect(
    connection: Connection,
    changed: Mapping[tuple[PatientKey, str], Span],
    detection: Detection,
    now: datetime,
) -> DetectionOutcome:
    """Return what came of readings that have changed, and of what was due of them.

    Their patients are guarded: nobody else writes of them until the transaction ends.
    """
    done = DetectionOutcome()
    for patient in sorted({patient for patient, _ in changed}):
        of_patient = {
            metric: span
            for (whose, metric), span in changed.items()
            if whose == patient
        }
        done += _Watch(connection, patient, detection, now).judge(of_patient)
    return done


def detect_due(
    connection: Connection, patient: PatientKey, detection: Detection, now: datetime
) -> DetectionOutcome:
    """Return what came of the oldest days that are due of a patient.

    As many as one transaction may take; ``due`` is what is left of what may be judged.
    """
    return _Watch(connection, patient, detection, now).judge_due()


def count_skewed(
    connection: Connection, skewed: Skewed, detection: Detection, now: datetime
) -> DetectionOutcome:
    """Return what detectors could not judge, since the readings are of the future.

    They are not kept: that they came is told of the wearer's day on which they came.
    """
    done, skewed_clock = DetectionOutcome(), NotJudged.CLOCK_SKEWED
    for (owner, metric), number in skewed.items():
        evidence = _evidence(connection, owner.patient, detection, now)
        day = now.astimezone(evidence.zone).date()
        tallies = [
            (each, DayTally(each.name, day, owner.source, 0, {skewed_clock: number}))
            for each in detection.detectors
            if each.is_evaluated and each.metric == metric
        ]
        done += add_tallies(connection, owner.patient, tallies)
    return done


def _evidence(
    connection: Connection, patient: PatientKey, detection: Detection, now: datetime
) -> StoredEvidence:
    permission = UsePermission.read(connection, patient, detection.gate, now)
    return StoredEvidence(connection, patient, detection, permission)


class _Watch:
    """Judges what is kept of one patient."""

    def __init__(
        self,
        connection: Connection,
        patient: PatientKey,
        detection: Detection,
        now: datetime,
    ) -> None:
        self._begun = time.perf_counter()
        self._connection, self._patient = connection, patient
        self._detection, self._now = detection, now
        self._permission = UsePermission.read(connection, patient, detection.gate, now)
        self._longest = detection.days * DAY_US

    def judge(self, changed: Spans) -> DetectionOutcome:
        """What has changed; what was due as well, if all together is short enough."""
        judged = dict[str, Span]()
        for metric, span in changed.items():
            if span[1] - span[0] > self._longest:
                self._note(metric, span, OF_LENGTH)
            else:
                self._note_denied(metric, span)
                if any(self._permission.spans(metric, span)):
                    judged[metric] = span
        for each in self._permitted_due():
            whole = hull([each.span, *judged.values()])
            if whole[1] - whole[0] <= self._longest:
                judged[each.metric] = hull(
                    [each.span, judged.get(each.metric, each.span)]
                )
                self._done(each.metric, each.span)
        return self._reassess(judged)

    def judge_due(self) -> DetectionOutcome:
        """The oldest of what is due, as much as one transaction may take."""
        due = self._permitted_due()
        if not due:
            return DetectionOutcome()
        first = min(each.span[0] for each in due)
        judged = dict[str, Span]()
        for each in due:
            if each.span[0] <= first + self._longest:
                part = (each.span[0], min(each.span[1], first + self._longest))
                judged[each.metric] = hull([part, judged.get(each.metric, part)])
                self._done(each.metric, part)
        for metric, span in judged.items():
            self._note_denied(metric, span)
        return self._reassess(judged)

    def _permitted_due(self) -> list[DueRange]:
        """What is due, as far as it may be used."""
        return [
            replace(each, span=span)
            for each in read_due(self._connection, self._patient)
            for span in self._permission.spans(each.metric, each.span)
        ]

    def _note_denied(self, metric: str, span: Span) -> None:
        """Note what may not be used of it, and of what is judged together with it."""
        together = {metric}.union(
            *(
                self._detection.reads(each)
                for each in self._detection.detectors
                if metric in self._detection.reads(each)
            )
        )
        for about in sorted(together):
            for part in self._permission.denied(about, span):
                self._note(about, part, OF_CONSENT)

    def _note(self, metric: str, span: Span, why: str) -> None:
        now_us = microseconds(self._now)
        note_due(self._connection, self._patient, metric, span, why, now_us)

    def _done(self, metric: str, span: Span) -> None:
        note_done(self._connection, self._patient, metric, span)

    def _reassess(self, spans: Spans) -> DetectionOutcome:
        floor = _floor(self._connection)
        kept = {
            metric: (max(start, floor), end)
            for metric, (start, end) in spans.items()
            if end >= floor
        }
        done = self._save(kept) if kept else DetectionOutcome()
        left = len(self._permitted_due())
        return replace(done, due=left, seconds=time.perf_counter() - self._begun)

    def _save(self, spans: Spans) -> DetectionOutcome:
        detectors = self._detection.detectors
        evidence = StoredEvidence(
            self._connection, self._patient, self._detection, self._permission
        )
        catalogue = self._detection.gate.catalogue
        found = reassess(detectors, catalogue, evidence, spans, self._now)
        named = {each.name: each for each in detectors}
        return save(self._connection, self._patient, found, named, self._now)


def _floor(connection: Connection) -> int:
    """From when on samples are all there, with room for what is judged beside them."""
    for mark in _MARK.ask(connection, {"name": SAMPLES_MARK}):
        return int(mark.at_utc * 1_000_000) + MARGIN_DAYS * DAY_US
    return LONG_AGO


_MARK = Prepared(select(MARKS.c.at_utc).where(MARKS.c.name == bindparam("name")))
