"""What is due to be judged, judged: after a delivery, and by and by in a thread.

Of all processes on one database the one that has the lease of it works through what is
due, a transaction at a time. Where nothing is due, it looks for episodes that last
though nothing comes any more.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from ..audit import build_detection_event
from ..publishing.serving import Log, find_lines
from ..store.detection.keeping import AT_ONCE
from ..store.detection.records import Detection, DetectionOutcome
from ..store.publications import DETECTING
from ..store.records import StoreError
from ..store.store import Store
from ..wearables.records import PatientKey

LOOK = 5.0
"""Seconds between two looks for what is due."""
PAUSE = 0.02
"""Seconds between two transactions, for deliveries that wait."""
LEASE = 60.0
"""Seconds after which another process goes on for one that died."""
ROUND = 60.0
"""Seconds between two looks for episodes of which nothing comes any more, and for what
patients may permit by now."""
DetectionOf = Callable[[str], Detection | None]
"""By what a tenant's readings are judged at this moment; None where nobody does."""


def catch_up(
    patients: Iterable[PatientKey],
    store: Store,
    detection_of: DetectionOf,
    now: datetime,
    transactions: int = 1,
) -> DetectionOutcome:
    """Return what came of what was due of these patients.

    Of each in so many transactions at most; what is left stays due. So does what the
    database refuses, and whoever waits for an answer gets it all the same.
    """
    done = DetectionOutcome()
    for patient in sorted(set(patients)):
        detection = detection_of(patient.tenant)
        if detection is None:
            continue
        event = build_detection_event(now, patient)
        with suppress(StoreError):
            for _ in range(transactions):
                part = store.detections.detect_due(patient, detection, event)
                done += part
                if not part.due:
                    break
    return done


class DueDetection:
    """Judges what is due, beside what is delivered."""

    def __init__(
        self,
        store: Store,
        detection_of: DetectionOf,
        clock: Callable[[], datetime],
        log: Log,
        count: Callable[[DetectionOutcome], None] = lambda detected: None,
        silent_at_once: int = AT_ONCE,
    ) -> None:
        """Take where it is due, and who is told what came of it.

        Args:
            silent_at_once: So many episodes of a tenant, of which nothing comes any
                more, are seen to a round.
        """
        self._store = store
        self._detection_of = detection_of
        self._clock = clock
        self._log = log
        self._count = count
        self._holder = str(uuid4())
        self._patients: Iterator[PatientKey] = iter(())
        self._patient: PatientKey | None = None
        self._round: datetime | None = None
        self._silent_at_once = silent_at_once
        self._seen_to: dict[str, tuple[Any, ...] | None] = {}

    def start(self) -> None:
        """Look from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="detection", daemon=True).start()

    def look(self) -> float:
        """Judge a part of what is due, if it is this process's turn.

        A patient with whom that fails makes way for the next, and stays due.

        Returns:
            Seconds until the next look.
        """
        now = self._clock()
        try:
            leases = self._store.publications
            if not leases.take_lease(self._holder, now, LEASE, DETECTING):
                return LOOK
            return self._step(now)
        except StoreError as error:
            self._log("nothing judged", level="error", problem=str(error))
        except Exception as error:
            # The thread would end, and nothing be judged any more.
            facts = {"problem": type(error).__name__, "at": find_lines(error)}
            self._log("nothing judged", level="error", **facts)
        self._patient = None
        return LOOK

    def _run(self) -> None:
        while True:
            time.sleep(self.look())

    def _step(self, now: datetime) -> float:
        patient = self._patient or next(self._patients, None)
        if patient is None:
            self._patients = iter(self._find(now))
            self._patient = next(self._patients, None)
            return PAUSE if self._patient else LOOK
        detection = self._detection_of(patient.tenant)
        done = DetectionOutcome()
        if detection:
            event = build_detection_event(now, patient)
            done = self._store.detections.detect_due(patient, detection, event)
            self._count(done)
        self._patient = patient if done.due else None
        return PAUSE

    def _find(self, now: datetime) -> tuple[PatientKey, ...]:
        """Of whom something is due; at times also those who may permit it by now."""
        detections, begun = self._store.detections, self._round
        whole = begun is None or abs((now - begun).total_seconds()) >= ROUND
        if whole:
            self._round = now
            for tenant in detections.tenants_watched():
                self._note_silent(tenant, now)
        return detections.patients_due(withheld=whole)

    def _note_silent(self, tenant: str, now: datetime) -> None:
        """Some of the episodes of which nothing comes any more; others next time."""
        detection = self._detection_of(tenant)
        if detection:
            looked = self._store.detections.note_silent(
                *(detection.detectors, tenant, now, self._seen_to.get(tenant)),
                most=self._silent_at_once,
            )
            self._seen_to[tenant] = looked.last
