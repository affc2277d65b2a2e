"""Who the patient is: born when, of which sex, and whether alive."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import Chart
from cds_service.fhir.moments import Moment, parse_moment
from cds_service.rulebook.engine.person import (
    age,
    alive,
    birth,
    birth_moment,
    earliest_birth,
    sex,
)
from cds_service.rulebook.values.intervals import Duration
from cds_service.rulebook.values.truth import Reason, ReasonKind, Unknown

NOW = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
"""Half past eleven in the evening of the 21st in New York."""
ZONE = ZoneInfo("America/New_York")
TODAY = date(2026, 11, 21)


@dataclass
class Patient:
    """What criteria ask of a case about its patient."""

    chart: Chart
    born: Moment | None
    now: datetime = NOW
    zone: ZoneInfo = ZONE
    today: date = TODAY
    of_patient: dict[str, Any] = field(default_factory=dict)


def patient(known: bool = True, **said: Any) -> Any:
    resource = {"resourceType": "Patient", "id": "p", **said} if known else None
    born = birth_moment(resource or {}, NOW, ZONE)
    return Patient(Chart("p", resource, {}), born)


def unknown(kind: ReasonKind, *sources: str) -> Unknown:
    """An unknown about the patient, whom reading more may decide or not."""
    said = kind not in (ReasonKind.NOT_RECORDED, ReasonKind.BOUNDARY)
    return Unknown((Reason(kind, "patient", sources),), said, said)


NOT_READ = unknown(ReasonKind.NOT_READ, "patient")
NOT_RECORDED = unknown(ReasonKind.NOT_RECORDED)
UNUSABLE = unknown(ReasonKind.UNUSABLE)
BOUNDARY = unknown(ReasonKind.BOUNDARY)


@pytest.mark.parametrize(
    ("comparison", "born", "expected"),
    [
        ("at_least", "2008-11-20", True),
        ("at_least", "2008-11-21", True),
        ("at_least", "2008-11-22", False),
        ("above", "2008-11-20", True),
        ("above", "2008-11-21", False),
        ("above", "2008-11-22", False),
        ("below", "2008-11-20", False),
        ("below", "2008-11-21", False),
        ("below", "2008-11-22", True),
        ("at_most", "2008-11-20", False),
        ("at_most", "2008-11-21", True),
        ("at_most", "2008-11-22", True),
        ("at_least", "2007", True),
        ("at_least", "2009", False),
        ("at_least", "2008", BOUNDARY),
        ("at_least", "2008-11", BOUNDARY),
        ("at_least", "2008-10", True),
        ("at_least", None, NOT_RECORDED),
        ("at_least", "spring 2008", UNUSABLE),
        ("at_least", "2027", UNUSABLE),
        ("at_least", "1890", UNUSABLE),
    ],
)
def test_an_age_is_counted_by_the_calendar_of_the_site(
    comparison: str, born: str | None, expected: bool | Unknown
) -> None:
    asked = age(comparison, Duration(18, "year"))

    assert asked(patient(birthDate=born)) == expected


def test_two_ages_of_one_patient_are_two_questions() -> None:
    child = patient(birthDate="2010-05-01")

    for _ in range(2):
        assert age("at_least", Duration(18, "year"))(child) is False
        assert age("at_least", Duration(16, "year"))(child) is True
        assert age("at_least", Duration(17, "month"))(child) is True
        assert age("below", Duration(18, "year"))(child) is True
    assert len(child.of_patient) == 4


@pytest.mark.parametrize(
    "ask", [age("at_least", Duration(18, "year")), sex(("female",)), alive()]
)
def test_of_a_patient_who_was_not_read_nothing_is_known(
    ask: Callable[[Any], Any],
) -> None:
    assert ask(patient(known=False)) == NOT_READ


@pytest.mark.parametrize(
    ("born", "moment"),
    [
        ("1958-03-14", parse_moment("1958-03-14", ZONE)),
        ("1958", parse_moment("1958", ZONE)),
        # Born today, this year, or on a day that has not begun at the site.
        ("2026-11-21", parse_moment("2026-11-21", ZONE)),
        ("2026", parse_moment("2026", ZONE)),
        ("2026-11-22", None),
        # The oldest that somebody may be.
        ("1895-11-22", parse_moment("1895-11-22", ZONE)),
        ("1895", parse_moment("1895", ZONE)),
        ("1895-11-21", None),
        ("1894", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_birth_is_one_that_can_be_true(born: Any, moment: Moment | None) -> None:
    assert birth_moment({"birthDate": born}, NOW, ZONE) == moment


def test_the_first_day_on_which_somebody_who_lives_may_be_born() -> None:
    assert earliest_birth(TODAY) == date(1895, 11, 22)


@pytest.mark.parametrize(
    ("born", "days"),
    [
        ("1958-03-14", (date(1958, 3, 14), date(1958, 3, 14))),
        ("1958", (date(1958, 1, 1), date(1958, 12, 31))),
        ("2026", (date(2026, 1, 1), TODAY)),
        ("1895", (date(1895, 11, 22), date(1895, 12, 31))),
        (None, ReasonKind.NOT_RECORDED),
        ("soon", ReasonKind.UNUSABLE),
    ],
)
def test_a_birth_is_on_one_of_the_days_that_are_recorded_and_possible(
    born: Any, days: Any
) -> None:
    assert birth(patient(birthDate=born)) == days
    assert birth(patient(known=False)) is ReasonKind.NOT_RECORDED


@pytest.mark.parametrize(
    ("gender", "expected"),
    [
        ("female", True),
        (" Female ", True),
        ("other", True),
        ("male", False),
        ("unknown", NOT_RECORDED),
        (None, NOT_RECORDED),
        ("f", UNUSABLE),
        ("", UNUSABLE),
        (["female"], UNUSABLE),
    ],
)
def test_a_sex_is_one_of_those_that_are_asked_for(
    gender: Any, expected: bool | Unknown
) -> None:
    assert sex(("female", "other"))(patient(gender=gender)) == expected


def test_what_is_said_of_a_patient_under_a_modifier_is_not_taken_for_what_it_says() -> (
    None
):
    modified = {"modifierExtension": [{"url": "https://ehr.example/not-the-patient"}]}

    assert sex(("female",))(patient(gender="female", **modified)) == UNUSABLE
    assert sex(("female",))(patient(**modified)) == NOT_RECORDED
    old = age("above", Duration(18, "year"))
    assert old(patient(birthDate="1958-03-14", **modified)) == UNUSABLE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, True),
        ({"deceasedBoolean": False}, True),
        ({"deceasedBoolean": "false"}, True),
        ({"deceasedBoolean": True}, False),
        ({"deceasedBoolean": "true"}, False),
        ({"deceasedDateTime": "2026-11-20"}, False),
        # What is recorded of today has happened; nobody knows a death that lies ahead.
        ({"deceasedDateTime": "2026-11-21"}, False),
        ({"deceasedDateTime": "2026"}, False),
        ({"deceasedDateTime": "2026-11-22T04:30:00Z"}, False),
        ({"deceasedDateTime": "2026-11-22T04:30:01Z"}, UNUSABLE),
        ({"deceasedDateTime": "2026-11-22"}, UNUSABLE),
        ({"deceasedDateTime": "2027"}, UNUSABLE),
        ({"deceasedBoolean": "perhaps"}, UNUSABLE),
        ({"deceasedDateTime": "lately"}, UNUSABLE),
        ({"_deceasedDateTime": {"extension": []}}, UNUSABLE),
        ({"_deceasedBoolean": {"extension": []}}, UNUSABLE),
        ({"deceasedBoolean": True, "deceasedDateTime": "2027"}, UNUSABLE),
        ({"deceasedBoolean": False, "_deceasedBoolean": {"extension": []}}, UNUSABLE),
        ({"deceasedBoolean": True, "_deceasedBoolean": {"id": "a"}}, False),
        ({"_deceasedDateTime": None}, True),
        ({"deceased": True}, UNUSABLE),
        ({"deceased": None}, True),
        ({"deceasedDate": "2026-01-01"}, UNUSABLE),
        ({"deceasedAge": {"value": 80, "unit": "a"}}, UNUSABLE),
        ({"DeceasedBoolean": True}, UNUSABLE),
        ({"_deceased": {"extension": []}}, UNUSABLE),
        ({"deceasedBoolean": False, "deceasedString": "yes"}, UNUSABLE),
        ({"deceasedBoolean": True, "deceasedDateTime": "2026-01-01"}, False),
        ({"deceasedBoolean": False, "deceasedDateTime": "2026-01-01"}, UNUSABLE),
        ({"deceasedBoolean": None, "deceasedDateTime": "2026-01-01"}, False),
        ({"modifierExtension": [{"url": "x"}]}, UNUSABLE),
        ({"modifierExtension": []}, True),
    ],
    ids=str,
)
def test_a_patient_is_alive_who_is_not_said_to_have_died(
    said: dict[str, Any], expected: bool | Unknown
) -> None:
    person = patient(**said)

    assert alive()(person) == expected
    assert person.of_patient == {"alive": expected}
