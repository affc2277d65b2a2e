from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.models import check_resource
from cds_service.rulebook.testing.example_patients import PatientWriter
from cds_service.wearables.records import AlertType

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TYPES = {"low-heart-rate": AlertType("low-heart-rate", "Low", "heart-rate", "/min")}


def write(**patient: Any) -> PatientWriter:
    return PatientWriter(patient, NOW, ZoneInfo("America/New_York"))


def only(source: str, **patient: Any) -> Any:
    (resource,) = write(**patient).chart().sources[source].resources
    return resource


def test_everything_that_is_written_is_valid_fhir() -> None:
    writer = write(
        born="1958-03-14",
        sex="female",
        conditions=[{"code": "icd10cm|I10", "name": "Hypertension", "onset": "2011"}],
        medications=[
            {"code": "rxnorm|6918", "name": "Metoprolol", "started": "9 days ago"},
            {"as": "statement", "name": "Something", "ended": "2 days ago"},
            {"name": "Timolol", "form": "eye drops"},
        ],
        observations=[{"code": "loinc|8867-4", "unit": "/min", "values": "60 _ >70"}],
    )
    chart = writer.chart()

    assert chart.patient is not None
    written = [chart.patient, *chart.medications.values()]
    for source in chart.sources.values():
        written += source.resources
    assert len(written) == 8
    assert [check_resource(each) for each in written] == [[]] * 8


def test_a_series_ends_when_it_says_and_leaves_the_missing_day_out() -> None:
    observations = [
        {"code": "loinc|8867-4", "ends": "6 hours ago", "values": "60 _ 62"}
    ]
    chart = write(observations=observations).chart()

    assert [
        (each["effectiveDateTime"], each["valueQuantity"]["value"])
        for each in chart.sources["observations"].resources
    ] == [("2026-11-20T06:00:00Z", 60), ("2026-11-22T06:00:00Z", 62)]


def test_a_panel_carries_its_readings_as_components() -> None:
    observation = only(
        "observations",
        observations=[
            {"code": "loinc|8480-6", "panel": "loinc|85354-9", "values": 120}
        ],
    )

    assert observation["code"]["coding"][0]["code"] == "85354-9"
    assert "valueQuantity" not in observation
    assert observation["component"][0]["valueQuantity"]["value"] == 120


def test_a_part_of_a_date_stays_a_part() -> None:
    condition = only("conditions", conditions=[{"name": "x", "onset": "2024-11"}])

    assert condition["onsetDateTime"] == "2024-11"


def test_a_problem_may_have_a_category_and_no_status() -> None:
    said = {"name": "x", "category": "encounter-diagnosis", "clinical": "none"}

    condition = only("conditions", conditions=[{**said, "recorded": "2016-05-02"}])

    assert condition["category"][0]["coding"][0]["code"] == "encounter-diagnosis"
    assert condition["recordedDate"] == "2016-05-02"
    assert "clinicalStatus" not in condition


def test_a_medicine_by_reference_stands_in_the_chart_s_medications() -> None:
    writer = write(medications=[{"code": "rxnorm|6918", "by_reference": True}])
    chart = writer.chart()
    (order,) = chart.sources["medication_requests"].resources

    assert order["medicationReference"]["reference"] in chart.medications
    assert "medicationCodeableConcept" not in order


def test_a_source_that_was_not_loaded_is_missing_and_holds_nothing() -> None:
    writer = write(conditions=[{"name": "x"}], not_loaded=["Condition", "Patient"])
    chart = writer.chart()

    assert chart.state("conditions") is SourceState.MISSING
    assert chart.sources["conditions"].resources == ()
    assert chart.patient is None
    assert chart.state("observations") is SourceState.LOADED


def test_draft_orders_are_a_source_of_their_own() -> None:
    draft = only("draft_orders", draft_orders=[{"code": "rxnorm|6918"}])

    assert (draft["resourceType"], draft["status"]) == ("MedicationRequest", "draft")


def test_an_alert_keeps_its_offset_and_takes_its_type_s_unit() -> None:
    written = {"type": "low-heart-rate", "at": "2026-11-21T09:00:00+01:00", "value": 42}
    (alert,) = write(wearable_alerts=[written]).alerts(TYPES) or ()

    assert alert.start.isoformat() == "2026-11-21T09:00:00+01:00"
    assert (alert.value, alert.unit, alert.metric) == (42, "/min", "heart-rate")
    assert alert.duration(NOW).total_seconds() == 15 * 60


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ({"status": "open"}, 120),
        ({"for": "20 minutes"}, 20),
        ({"ended": "90 minutes ago"}, 30),
    ],
)
def test_an_alert_ends_as_written(written: dict[str, str], minutes: int) -> None:
    writer = write(
        wearable_alerts=[{"type": "low-heart-rate", "at": "2 hours ago", **written}]
    )
    (alert,) = writer.alerts(TYPES) or ()

    assert alert.duration(NOW).total_seconds() == minutes * 60


def test_alerts_that_could_not_be_read_are_not_none_of_them() -> None:
    assert write(not_loaded=["wearable_alerts"]).alerts(TYPES) is None
    assert write().alerts(TYPES) == ()
