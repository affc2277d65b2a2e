"""Judging what is due, as verbs of the command line do it: whose, and what came."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import click

from ...audit import build_detection_event
from ...exports.consents import Tenancy
from ...store.detection.records import DAYS_AT_ONCE, Detection, DetectionOutcome
from ...store.records import StoreError
from ...store.store import Store
from ...wearables.records import PATIENT_ID, PatientKey
from ..consents import tenancy_options
from ..database import database_option, open_store, shown
from ..database.patient import operator_option
from ..terminal import ProgressLine


@dataclass(frozen=True, slots=True)
class Bench:
    """An open database, whose patients, and who works on it."""

    store: Store
    tenancy: Tenancy
    by: str
    now: datetime
    url: str

    @property
    def detection(self) -> Detection:
        """By what readings are judged."""
        return Detection(self.tenancy.detectors, self.tenancy.gate, DAYS_AT_ONCE)

    @property
    def later(self) -> Detection:
        """The same, of which only what is due is noted."""
        return replace(self.detection, days=0)

    def patient(self, id: str) -> PatientKey:
        """Return a patient of the tenant.

        Raises:
            click.UsageError: if it is no id.
        """
        if not PATIENT_ID.fullmatch(id):
            raise click.UsageError("--patient must be the id of a FHIR Patient.")
        return self.tenancy.patient(id)


def with_bench(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that gets an open database as ``bench``, and its options."""

    @wraps(command)
    def open_bench(database: str, by: str, tenancy: Tenancy, **arguments: Any) -> None:
        store = open_store(database)
        now = datetime.now(UTC)
        bench = Bench(store, tenancy, f"operator:{by}", now, database)
        try:
            command(bench=bench, **arguments)
        except StoreError as error:
            raise click.ClickException(f"{shown(database)}: {error}") from error
        finally:
            store.close()

    return tenancy_options(database_option(operator_option(open_bench)))


@dataclass(slots=True)
class JudgingTotals:
    """What came of the patients that were judged so far."""

    patients: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    """To episodes."""

    def add(self, detected: DetectionOutcome) -> None:
        """Count what came of one transaction."""
        for each in detected.episodes:
            self.happened.update(each.happened)

    def told(self) -> dict[str, int]:
        """Return the numbers by name."""
        names = ("opened", "closed", "revised", "retracted")
        return {
            "patients": self.patients,
            **{each: self.happened[each] for each in names},
        }


def judge_due(
    store: Store,
    patients: Iterable[PatientKey],
    detection: Detection,
    by: str,
    clock: Callable[[], datetime],
) -> JudgingTotals:
    """Return what came of all that is due of these patients.

    Raises:
        StoreError: if some of it could not be stored; what was before it is.
    """
    judged, line = JudgingTotals(), ProgressLine()
    try:
        for patient in patients:
            left = True
            while left:
                event = build_detection_event(clock(), patient, by)
                done = store.detections.detect_due(patient, detection, event)
                judged.add(done)
                left = bool(done.due)
                line.say(f"{judged.patients:,} patients judged")
            judged.patients += 1
    finally:
        line.clear()
    return judged
