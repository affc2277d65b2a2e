"""When medicines were taken is what each order and statement says of it."""

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.engine.medicines import (
    MedicinesTaken,
    MedicineTaken,
    medicines_taken,
)

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def day(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def order(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
        "authoredOn": "2026-11-17T10:00:00Z",
        **members,
    }


def statement(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationCodeableConcept": {"text": "Apixaban 5 mg"},
        "effectivePeriod": {"start": "2026-01-05"},
        **members,
    }


def taken(
    *resources: dict[str, Any], zone: tzinfo = UTC, **medications: Any
) -> MedicinesTaken:
    kinds = {
        "medication_requests": "MedicationRequest",
        "medication_statements": "MedicationStatement",
    }
    sources = {
        name: Source(
            name,
            SourceState.LOADED,
            tuple(each for each in resources if each["resourceType"] == kind),
        )
        for name, kind in kinds.items()
    }
    return medicines_taken(Chart("p1", None, sources, medications), NOW, zone)


def test_an_order_is_taken_from_when_it_was_written_and_goes_on() -> None:
    told = datetime(2026, 11, 17, 10, tzinfo=UTC)

    assert taken(order()) == MedicinesTaken(
        (MedicineTaken("Metoprolol 50 mg", told, None, False),)
    )


@pytest.mark.parametrize(
    ("members", "until", "is_over"),
    [
        ({"effectivePeriod": {"start": "2026-01-05", "end": "2026-03-01"}}, 3, True),
        (
            {
                "status": "completed",
                "effectivePeriod": {"start": "2026-01-05", "end": "2026-03-01"},
            },
            3,
            True,
        ),
        ({"status": "stopped"}, 0, True),
        ({"effectivePeriod": {"start": "2026-01-05", "end": "9999-12-31"}}, 0, False),
    ],
)
def test_a_statement_ends_where_it_says_so(
    members: dict[str, Any], until: int, is_over: bool
) -> None:
    (found,) = taken(statement(**members)).taken

    assert found.since == day("2026-01-05")
    assert (found.until and found.until.month) == (until or None)
    assert found.is_over is is_over


@pytest.mark.parametrize(
    "resource",
    [
        order(status="draft"),
        order(status="on-hold"),
        order(intent="plan"),
        order(status="entered-in-error"),
        order(doNotPerform=True),
        statement(status="not-taken"),
        statement(status="intended"),
    ],
)
def test_what_was_not_taken_is_no_part_of_it(resource: dict[str, Any]) -> None:
    assert taken(resource) == MedicinesTaken()


def test_what_was_not_taken_hides_nothing_that_was() -> None:
    (found,) = taken(statement(status="not-taken"), statement()).taken

    assert found.since == day("2026-01-05")


def test_a_medicine_begins_and_ends_with_days_of_the_sites_calendar() -> None:
    period = {"start": "2026-01-05", "end": "2026-03-01"}

    (found,) = taken(
        statement(effectivePeriod=period), zone=ZoneInfo("America/New_York")
    ).taken

    assert found.since == datetime(2026, 1, 5, 5, tzinfo=UTC)
    assert found.until == datetime(2026, 3, 2, 4, 59, 59, 999999, tzinfo=UTC)


def test_an_order_that_was_carried_out_is_over_when_its_supply_was() -> None:
    supply = {"expectedSupplyDuration": {"value": 3, "code": "d", "unit": "days"}}

    (found,) = taken(order(status="completed", dispenseRequest=supply)).taken

    assert found.until == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.is_over


def test_a_medicine_is_called_what_its_medication_is_called() -> None:
    referring = order(medicationReference={"reference": "Medication/7"})
    del referring["medicationCodeableConcept"]
    medication = {"resourceType": "Medication", "code": {"text": "Digoxin 0.125 mg"}}

    (found,) = taken(referring, **{"Medication/7": medication}).taken

    assert found.name == "Digoxin 0.125 mg"


@pytest.mark.parametrize(
    "resource",
    [
        order(medicationCodeableConcept={}),
        order(authoredOn="soon"),
        statement(effectivePeriod="always"),
    ],
)
def test_what_cannot_be_placed_is_counted(resource: dict[str, Any]) -> None:
    assert taken(resource) == MedicinesTaken(unplaced=1)


def test_each_that_cannot_be_placed_is_counted_beside_what_can() -> None:
    nameless = order(medicationCodeableConcept={})
    undated = order(authoredOn="soon")

    found = taken(nameless, undated, order())

    assert found.unplaced == 2
    assert [each.name for each in found.taken] == ["Metoprolol 50 mg"]


def test_they_stand_by_their_names_and_then_by_their_starts() -> None:
    later = statement(effectivePeriod={"start": "2026-06-01"})
    undated = statement(effectivePeriod={"end": "2025-01-01"}, status="completed")

    found = taken(order(), later, statement(), undated).taken

    assert [(each.name[:4], each.since and each.since.month) for each in found] == [
        ("Apix", None),
        ("Apix", 1),
        ("Apix", 6),
        ("Meto", 11),
    ]
