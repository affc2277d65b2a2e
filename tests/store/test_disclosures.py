"""Readings and days, taken out patient by patient and a little at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.store.upkeep import disclosures
from cds_service.store.upkeep.disclosures import Extent
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample

NOON = datetime(2025, 11, 22, 17, tzinfo=UTC)
ALL = Extent("north", "-", NOON - timedelta(days=1), NOON + timedelta(days=1))


@pytest.fixture
def told(store: Store) -> Store:
    """Seven readings of each of three patients, two of them at one moment."""
    for number in range(3):
        patient = PatientKey("north", "-", f"p{number}")
        beats = [
            Sample("heart-rate", 60.0 + n, "/min", at, at, device=Device(str(n % 2)))
            for n in range(7)
            for at in [NOON + n // 2 * timedelta(minutes=1)]
        ]
        batch = SampleBatch(StreamOwner(patient, "vendor"), beats)
        event = AuditEvent(NOON, "delivery", "north", "vendor")
        store.take_in(Intake(samples=(batch,)), event, NOON)
    return store


def taken(store: Store, extent: Extent = ALL) -> list[tuple[str, float]]:
    return [
        (patient.patient_id, each.kept.sample.value)
        for patient in store.disclosures.patients_with_readings(extent)
        for page in store.disclosures.readings(patient, extent)
        for each in page
    ]


def test_in_small_pages_each_reading_is_there_once(
    told: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taken(told)
    monkeypatch.setattr(disclosures, "READINGS_AT_ONCE", 2)
    monkeypatch.setattr(disclosures, "PATIENTS_AT_ONCE", 1)

    assert taken(told) == whole
    assert sorted(whole) == [
        (f"p{number}", 60.0 + n) for number in range(3) for n in range(7)
    ]


def test_only_what_begins_in_the_time_is_taken(told: Store) -> None:
    minute = timedelta(minutes=1)
    some = Extent("north", "-", NOON + minute, NOON + 2 * minute, "p1")

    assert sorted(taken(told, some)) == [("p1", 62.0), ("p1", 63.0)]


def test_of_another_tenant_nothing_is_taken(told: Store) -> None:
    assert taken(told, Extent("south", "-", ALL.since, ALL.until)) == []
