"""Limits of a patient's own: those that the clinic sets go before the device's.

What the clinic sets holds from a moment on until it ends or another is set. What is set
on the device is told with the vendor's alerts, and holds from the start of one on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from ...wearables.detection.detectors import DaysBeyond, Detector, SustainedBreach
from ...wearables.records import PatientKey, WearableAlert
from ...wearables.samples import microseconds
from ..database import Prepared
from ..rows import instant
from ..samples.rows import moment
from ..samples.tables import PATIENT
from ..tables import HOLDS, WEARABLE_ALERTS
from .records import Detection, OwnLimitRecord, Span
from .tables import OWN_LIMITS


def limits_of(
    connection: Connection, patient: PatientKey, detector: Detector
) -> Sequence[tuple[int, float]]:
    """Return from when on which limit holds, rising; none where none is the patient's.

    What ends is followed by the device's, or else by the detector's.
    """
    pattern = detector.pattern
    if not detector.own_limit or not isinstance(pattern, SustainedBreach | DaysBeyond):
        return ()
    whose = patient._asdict()
    clinic = [
        _record(each)
        for each in _CLINICS.ask(connection, {**whose, "of": detector.name})
    ]
    asked = {**whose, "told": detector.alert_type}
    device = [
        (round(each.start_utc * 1_000_000), each.threshold)
        for each in _DEVICES.ask(connection, asked)
    ]
    starts = {microseconds(each.since) for each in clinic}
    starts |= {microseconds(each.until) for each in clinic if each.until}
    starts |= {at for at, _ in device}
    found: list[tuple[int, float]] = []
    for at in sorted(starts):
        limit = _holding(clinic, device, at, pattern.limit)
        if not found or found[-1][1] != limit:
            found.append((at, limit))
    return found


@dataclass(frozen=True, slots=True)
class LimitsTold:
    """Limits of those of whom a vendor tells alerts, as they were before."""

    before: Mapping[tuple[PatientKey, Detector], Sequence[tuple[int, float]]]

    @classmethod
    def read(
        cls,
        connection: Connection,
        alerts: Iterable[WearableAlert],
        detection: Detection | None,
    ) -> "LimitsTold":
        """Return the limits that the alerts may change, none where nobody detects."""
        return cls(
            {
                (alert.patient, detector): limits_of(
                    connection, alert.patient, detector
                )
                for alert in alerts
                for detector in (detection.detectors if detection else ())
                if detector.own_limit and detector.alert_type == alert.type
            }
        )

    def add_changed(
        self,
        connection: Connection,
        changed: Mapping[tuple[PatientKey, str], Span],
        now: datetime,
    ) -> Mapping[tuple[PatientKey, str], Span]:
        """Return what has changed, with the time in which other limits hold by now."""
        spans, end = dict(changed), microseconds(now)
        for (patient, detector), before in self.before.items():
            after = limits_of(connection, patient, detector)
            if after != before:
                start = min(at for at, _ in {*after} ^ {*before})
                known = spans.get((patient, detector.metric), (start, end))
                spans[patient, detector.metric] = (
                    min(start, known[0]),
                    max(start, end, known[1]),
                )
        return spans


def read_limits(
    connection: Connection, patient: PatientKey
) -> tuple[OwnLimitRecord, ...]:
    """Return what the clinic has set, as it was set."""
    row = OWN_LIMITS.c
    asked = select(OWN_LIMITS).where(*_of(OWN_LIMITS, patient)).order_by(row.id)
    return tuple(map(_record, connection.execute(asked).all()))


def set_limit(
    connection: Connection,
    patient: PatientKey,
    detector: str,
    value: float | None,
    by: str,
    now: datetime,
) -> int:
    """Return how many limits end now; a *value* holds from now on."""
    row, now_us = OWN_LIMITS.c, microseconds(now)
    holding = or_(row.until_us.is_(None), row.until_us > now_us)
    ended = connection.execute(
        update(OWN_LIMITS)
        .where(*_of(OWN_LIMITS, patient), row.detector == detector, holding)
        .values(until_us=now_us)
    ).rowcount
    if value is not None:
        told = {
            **patient._asdict(),
            "detector": detector,
            "value": value,
            "since_us": now_us,
            "set_by": by,
            "set": instant(now),
        }
        connection.execute(insert(OWN_LIMITS).values(told))
    return ended


def _holding(
    clinic: Sequence[OwnLimitRecord],
    device: Sequence[tuple[int, float]],
    at_us: int,
    usual: float,
) -> float:
    """The limit at a moment: of several of the clinic's the one that was set last."""
    at = moment(at_us)
    for each in reversed(clinic):
        if each.since <= at and (each.until is None or at < each.until):
            return each.value
    return next((limit for start, limit in reversed(device) if start <= at_us), usual)


def _clinics() -> Prepared:
    """What the clinic has set of a detector, as it was set."""
    row = OWN_LIMITS.c
    whose = [row[name] == bindparam(name) for name in PATIENT]
    asked = select(OWN_LIMITS).where(*whose, row.detector == bindparam("of"))
    return Prepared(asked.order_by(row.id))


def _devices() -> Prepared:
    """What vendors' alerts of a type tell of the limits on devices, by their start."""
    alert = WEARABLE_ALERTS.c
    whose = [alert[name] == bindparam(name) for name in PATIENT]
    return Prepared(
        select(alert.start_utc, alert.threshold)
        .where(*whose, alert.type == bindparam("told"))
        .where(alert.detector == literal_column("''"), HOLDS)
        .where(alert.threshold.is_not(None))
        .order_by(alert.start_utc, alert.source, alert.id)
    )


def _of(table: Any, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]


def _record(row: Row[Any]) -> OwnLimitRecord:
    return OwnLimitRecord(
        id=row.id,
        detector=row.detector,
        value=row.value,
        since=moment(row.since_us),
        until=None if row.until_us is None else moment(row.until_us),
        set_by=row.set_by,
        set=datetime.fromisoformat(row.set),
    )


_CLINICS, _DEVICES = _clinics(), _devices()
