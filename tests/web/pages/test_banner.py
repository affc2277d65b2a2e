"""The banner tells patients apart, whatever the record says of them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from cds_service.web.pages.banner import banner_context, build_banner, tell_age

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
TODAY = NOW.date()
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [
        {"use": "maiden", "family": "Before"},
        {"use": "official", "given": ["Ann", "Mary"], "family": "Example"},
    ],
    "birthDate": "1958-03-14",
    "gender": "female",
    "identifier": [
        {"system": "urn:insurance", "value": "A-1"},
        {"type": {"coding": [{"code": "MR"}]}, "value": " 004711 "},
    ],
}


def banner(patient: dict[str, Any], **more: Any) -> Any:
    context = banner_context(patient, TODAY, needs_banner=more.pop("needs", True))
    return build_banner(context, patient["id"], NOW, NOW)


def test_a_patient_is_named_with_birth_gender_and_record_number() -> None:
    shown = banner(PATIENT)

    assert shown.name == "Ann Mary Example"
    assert shown.facts == (
        ("Born", "14 Mar 1958 (68 years)"),
        ("Gender", "female"),
        ("MRN", "004711"),
    )
    assert shown.is_small is False


def test_what_the_record_does_not_say_is_said_to_be_missing() -> None:
    shown = banner({"resourceType": "Patient", "id": "p1"})

    assert shown.name == "Name not recorded"
    assert shown.facts == (
        ("Born", "not recorded"),
        ("Gender", "not recorded"),
        ("Id", "p1"),
    )


def test_a_year_of_birth_is_no_birthday() -> None:
    shown = banner({**PATIENT, "birthDate": "1958"})

    assert shown.facts[0] == ("Born", "1958")


def test_that_somebody_has_died_is_shown() -> None:
    assert ("Deceased", "yes") in banner({**PATIENT, "deceasedBoolean": True}).facts


def test_where_the_ehr_shows_the_patient_as_well_the_banner_is_small() -> None:
    assert banner(PATIENT, needs=False).is_small is True


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1958-11-22", "68 years"),
        ("1958-11-23", "67 years"),
        ("2024-11-22", "2 years"),
        ("2024-11-23", "23 months"),
        ("2026-10-22", "1 month"),
        ("2026-11-22", "0 months"),
        ("2027-01-01", ""),
        ("", ""),
    ],
)
def test_an_age_is_that_of_the_last_birthday(born: str, age: str) -> None:
    assert tell_age(born, date(2026, 11, 22)) == age
