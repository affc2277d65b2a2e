"""Who treats the patient reads what a rule saw, by name, number, time and place."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.describe.why import why_json
from cds_service.rulebook.engine.evaluate import open_case
from cds_service.rulebook.engine.rulebook import ServiceRules
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.worn import Wearables

from ...small_rules import AROUND, review
from .test_explain import FILES as TACHYCARDIA

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULE = TACHYCARDIA["cardiology/tachycardia.yaml"].replace(
    "governance:\n  owner: someone@example.org\n",
    """\
governance:
  owner: The cardiology group
  review_by: 2027-11-01
  evidence:
    - citation: A guideline
      url: https://example.org/guideline
      year: 2023
""",
)
FILES = {
    **AROUND,
    **TACHYCARDIA,
    "site.yaml": "format: 1\ntime_zone: America/New_York\nunapproved: serve\n",
    "services.yaml": review("tachycardia"),
    "cardiology/tachycardia.yaml": RULE,
}


@pytest.fixture(scope="module")
def why() -> dict[str, Any]:
    """Of a patient on metoprolol with a heart rate of 107 and a notice of a watch."""
    compiled = compile_rulebook(FILES)
    assert compiled.rulebook is not None, compiled.findings
    service: ServiceRules = compiled.rulebook.services["review", "patient-view"]
    reading = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "40443-4"}]},
        "effectiveDateTime": "2026-11-21T08:00:00-05:00",
        "valueQuantity": {"value": 107, "code": "/min"},
    }
    drug = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-01-05",
        "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
    }
    notice = WearableAlert(
        "w1",
        PatientKey("default", "-", "p1"),
        "high-resting-heart-rate",
        datetime(2026, 11, 22, 3, 12, tzinfo=UTC),
        datetime(2026, 11, 22, 4, 0, tzinfo=UTC),
        end=datetime(2026, 11, 22, 3, 40, tzinfo=UTC),
        value=118,
        unit="/min",
        device="Example Watch 4",
        source="watch",
    )
    loaded = SourceState.LOADED
    sources = {
        "conditions": Source("conditions", loaded),
        "medication_requests": Source("medication_requests", loaded, (drug,)),
        "medication_statements": Source("medication_statements", loaded),
        "observations": Source("observations", loaded, (reading,)),
    }
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
    case = open_case(
        service, Chart("p1", patient, sources), Wearables(alerts=(notice,)), NOW
    )
    return why_json(service.rules[0], case)


def test_a_reading_is_told_with_its_value_and_the_minute_by_the_clock_of_the_site(
    why: dict[str, Any],
) -> None:
    (told,) = why["facts"]["hr"]["rows"]

    assert told["resource"] == "Observation/o1"
    assert told["value"] == "107 /min"
    assert told["at"] == "2026-11-21 08:00"


def test_a_medicine_is_told_as_the_record_calls_it(why: dict[str, Any]) -> None:
    (told,) = why["facts"]["drug"]["rows"]

    assert told["resource"] == "MedicationRequest/m1"
    assert (told["name"], told["at"]) == ("Metoprolol 50 mg", "2026-01-05")


def test_a_notice_is_told_with_its_value_its_time_and_the_device(
    why: dict[str, Any],
) -> None:
    assert why["facts"]["watch"]["rows"] == [
        {
            "resource": "WearableAlert/w1",
            "name": "high resting heart rate",
            "value": "118 /min",
            "at": "2026-11-21 22:12",
            "until": "2026-11-21 22:40",
            "source": "watch",
            "device": "Example Watch 4",
        }
    ]


def test_facts_are_called_what_clinicians_call_them(why: dict[str, Any]) -> None:
    titles = {name: fact["title"] for name, fact in why["facts"].items()}

    assert titles["sinus"] == "Sinus node disease"
    assert titles["hr"] == "Heart rate"
    assert why["facts"]["hr"]["unit"] == ["/min", "/min"]
    assert titles["watch"] == "High resting heart rate"


def test_it_is_told_who_answers_for_the_rule_and_on_what_it_rests(
    why: dict[str, Any],
) -> None:
    assert why["version"] == "1.2.0"
    assert why["owner"] == "The cardiology group"
    assert why["approved"] is False
    assert why["review_by"] == "2027-11-01"
    assert why["evidence"] == [
        {
            "citation": "A guideline",
            "url": "https://example.org/guideline",
            "year": 2023,
        }
    ]
