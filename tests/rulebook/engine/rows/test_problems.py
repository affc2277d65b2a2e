"""When a problem began, was written down and ended, in every form of FHIR."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.moments import EVER, Moment, parse_moment
from cds_service.rulebook.engine.rows.problems import (
    Abated,
    Ending,
    Times,
    abated,
    abatement_moment,
    condition_moment,
    entered_moment,
    is_long_ago,
    without_onset,
)
from cds_service.rulebook.engine.rows.readings import (
    Row,
    items,
    length_of,
    reference_of,
)
from cds_service.rulebook.engine.rows.standing import problem_ending
from cds_service.rulebook.values.intervals import Duration

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
TIMES = Times(NOW, ZONE, parse_moment("1958-03-14", ZONE))


def moment(low: str, high: str) -> Moment:
    """From the first to the last microsecond before the second."""
    last = datetime.fromisoformat(f"{high}Z")
    return Moment(datetime.fromisoformat(f"{low}Z"), last.replace(microsecond=999999))


def age(value: float, unit: str = "a") -> dict[str, Any]:
    return {"value": value, "code": unit}


FORMS = [
    ("DateTime", "2020-07", "2020-07-01T04:00:00", "2020-08-01T03:59:59"),
    ("String", "2020", "2020-01-01T05:00:00", "2021-01-01T04:59:59"),
    ("Age", age(60), "2018-03-14T04:00:00", "2019-03-14T03:59:59"),
    ("Age", age(3, "mo"), "1958-06-14T04:00:00", "1958-07-14T03:59:59"),
    ("Age", age(30, "d"), "1958-04-13T05:00:00", "1958-04-14T04:59:59"),
    ("Quantity", age(60), "2018-03-14T04:00:00", "2019-03-14T03:59:59"),
    (
        "Range",
        {"low": age(50), "high": age(55)},
        "2008-03-14T04:00:00",
        "2014-03-14T03:59:59",
    ),
    ("Range", {"high": age(50)}, "0001-01-01T00:00:00", "2009-03-14T03:59:59"),
]


@pytest.mark.parametrize(("form", "value", "low", "high"), FORMS)
def test_a_problem_begins_and_ends_at_a_time_of_the_sites_calendar(
    form: str, value: Any, low: str, high: str
) -> None:
    assert condition_moment({f"onset{form}": value}, TIMES) == moment(low, high)
    ended = abatement_moment({f"abatement{form}": value}, TIMES)
    assert ended == moment(low, high)


def test_from_an_age_on_is_at_some_time_and_does_not_go_on() -> None:
    begun = condition_moment({"onsetRange": {"low": age(50)}}, TIMES)

    assert begun and begun.low == datetime(2008, 3, 14, 4, tzinfo=UTC)
    assert EVER.low < begun.high < EVER.high


@pytest.mark.parametrize(
    ("record", "low", "high"),
    [
        (
            {"onsetPeriod": {"start": "2020-07-01", "end": "2020-08-01"}},
            "2020-08-01T04:00:00",
            "2020-08-02T03:59:59",
        ),
        (
            {"onsetPeriod": {"start": "2020-07-01"}},
            "2020-07-01T04:00:00",
            "9999-12-31T23:59:59",
        ),
        (
            {"onsetPeriod": {"start": "2020-07-01", "end": "9999-12-31"}},
            "2020-07-01T04:00:00",
            "9999-12-31T23:59:59",
        ),
        ({"recordedDate": "2021-07-01"}, "0001-01-01T00:00:00", "2021-07-02T03:59:59"),
        ({"assertedDate": "2021-07-01"}, "0001-01-01T00:00:00", "2021-07-02T03:59:59"),
        ({"dateRecorded": "2021-07-01"}, "0001-01-01T00:00:00", "2021-07-02T03:59:59"),
        (
            {"onsetString": "spring", "recordedDate": "2021-07-01"},
            "0001-01-01T00:00:00",
            "2021-07-02T03:59:59",
        ),
        (
            {"onsetDateTime": "2020-07-01", "recordedDate": "2021-07-01"},
            "2020-07-01T04:00:00",
            "2020-07-02T03:59:59",
        ),
    ],
    ids=str,
)
def test_a_problem_began_in_its_period_or_before_it_was_written_down(
    record: dict[str, Any], low: str, high: str
) -> None:
    assert condition_moment(record, TIMES) == moment(low, high)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"onsetRange": {}},
        {"onsetRange": "fifties"},
        {"onsetPeriod": {}},
        {"onsetPeriod": "2020"},
        {"onsetPeriod": {"start": "2020-07-01", "end": "soon"}},
        {"onsetPeriod": {"start": "2020-07-01", "_end": {"id": "e"}}},
        {"onsetAge": {"value": 60}, "recordedDate": "2021-07-01"},
        {"onsetDateTime": "spring", "recordedDate": "2021-07-01"},
    ],
    ids=str,
)
def test_a_beginning_that_cannot_be_read_is_no_beginning(
    record: dict[str, Any],
) -> None:
    assert condition_moment(record, TIMES) is None


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "onset not recorded"),
        ({"onsetString": "spring"}, "onset recorded in words only"),
        ({"onsetDateTime": "2020"}, ""),
        ({"onsetString": "spring", "onsetDateTime": "2020"}, ""),
    ],
    ids=str,
)
def test_a_record_says_when_it_began_in_words_or_not_at_all(
    record: dict[str, Any], said: str
) -> None:
    assert without_onset(record) == said


def test_a_problem_was_entered_when_it_was_written_down() -> None:
    entered = moment("2021-07-01T04:00:00", "2021-07-02T03:59:59")

    for name in ("recordedDate", "assertedDate", "dateRecorded"):
        record = {name: "2021-07-01", "onsetDateTime": "2020"}
        assert entered_moment(record, TIMES) == (entered, "")
    assert entered_moment({"recordedDate": "soon"}, TIMES) == (None, "")


@pytest.mark.parametrize(
    ("record", "since"),
    [
        ({}, EVER.low),
        ({"onsetDateTime": "2020"}, datetime(2020, 1, 1, 5, tzinfo=UTC)),
        ({"onsetDateTime": "2030"}, NOW),
    ],
    ids=str,
)
def test_a_problem_that_was_written_down_nobody_says_when_was_since_it_began(
    record: dict[str, Any], since: datetime
) -> None:
    assert entered_moment(record, TIMES) == (
        Moment(since, NOW),
        "date of entry not recorded",
    )


@pytest.mark.parametrize(
    ("changed", "until"),
    [
        ("2021-07-01T04:00:00Z", datetime(2021, 7, 1, 4, tzinfo=UTC)),
        # Before it began, in the future, and no time at all.
        ("2019-07-01T04:00:00Z", NOW),
        ("2027-07-01T04:00:00Z", NOW),
        ("soon", NOW),
        # The moment that it began, and a day of the site's calendar.
        ("2020-01-01T05:00:00Z", datetime(2020, 1, 1, 5, tzinfo=UTC)),
        ("2020-01-01T04:59:59Z", NOW),
        ("2021-06-30", datetime(2021, 7, 1, 3, 59, 59, 999999, tzinfo=UTC)),
        (None, NOW),
    ],
)
def test_a_problem_was_entered_before_its_record_was_last_changed(
    changed: str | None, until: datetime
) -> None:
    record = {"onsetDateTime": "2020", "meta": {"lastUpdated": changed}}
    since = datetime(2020, 1, 1, 5, tzinfo=UTC)

    entered, said = entered_moment(record, TIMES)

    assert (entered, said) == (Moment(since, until), "date of entry not recorded")


def test_a_record_that_nobody_has_changed_for_years_was_not_entered_lately(
    rules: Any, chart: Any
) -> None:
    written = {
        "resourceType": "Condition",
        "id": "c",
        "meta": {"lastUpdated": "2021-07-01T04:00:00Z"},
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]
        },
    }
    facts = "dm: {condition: {in: diabetes, recorded_within: 12 months}}"
    patient = chart(conditions=[written])

    assert rules.verdict(facts, "dm: absent", patient) is True


@pytest.mark.parametrize(
    ("record", "long_ago"),
    [
        ({"recordedDate": "2025-11-21"}, True),
        ({"recordedDate": "2025-11-22"}, False),
        ({"recordedDate": "2025-11-22T07:00:00-05:00"}, False),
        ({"recordedDate": "2025-11-22T06:59:59-05:00"}, True),
        ({"recordedDate": "2024"}, True),
        ({"recordedDate": "2025"}, False),
        ({"recordedDate": "2026-11-01", "onsetDateTime": "2020"}, False),
        ({"onsetDateTime": "2020"}, True),
        ({}, None),
    ],
    ids=str,
)
def test_what_was_diagnosed_at_an_encounter_is_long_ago_after_a_year(
    record: dict[str, Any], long_ago: bool | None
) -> None:
    assert is_long_ago(record, TIMES) is long_ago


def test_a_year_ago_is_one_of_the_sites_calendar() -> None:
    # Half past eleven in the evening; a year before, summer time had not begun.
    evening = Times(datetime(2026, 3, 9, 3, 30, tzinfo=UTC), ZONE)

    def long_ago(written: str) -> bool | None:
        return is_long_ago({"recordedDate": written}, evening)

    assert long_ago("2025-03-09T04:30:00Z") is False
    assert long_ago("2025-03-09T04:29:59Z") is True


def over(period: dict[str, Any], now: str) -> Abated:
    """What a period says at an instant in UTC of having ended."""
    times = Times(datetime.fromisoformat(f"{now}Z"), ZONE)
    return abated({"abatementPeriod": period}, times)


@pytest.mark.parametrize(
    ("period", "now", "expected"),
    [
        ({"start": "2026-11-22"}, "2026-11-22T04:59:59", Abated.NO),
        ({"start": "2026-11-22"}, "2026-11-22T05:00:00", Abated.OPEN),
        ({"end": "2026-11-22"}, "2026-11-23T04:59:59", Abated.OPEN),
        ({"end": "2026-11-22"}, "2026-11-23T05:00:00", Abated.YES),
        ({"start": "2027", "end": "2028"}, "2026-11-22T12:00:00", Abated.NO),
        ({"start": "2027", "end": "soon"}, "2026-11-22T12:00:00", Abated.OPEN),
        ({"start": "2027", "_end": {"id": "e"}}, "2026-11-22T12:00:00", Abated.OPEN),
        ({"start": "2027", "end": None}, "2026-11-22T12:00:00", Abated.OPEN),
    ],
    ids=str,
)
def test_a_problem_ends_with_the_last_day_of_a_period_at_the_site(
    period: dict[str, Any], now: str, expected: Abated
) -> None:
    assert over(period, now) is expected


IN_2020 = moment("2020-01-01T05:00:00", "2021-01-01T04:59:59")


@pytest.mark.parametrize(
    ("record", "ending"),
    [
        (
            {"clinicalStatus": "resolved", "abatementDateTime": "2020"},
            Ending("resolved", IN_2020),
        ),
        ({"clinicalStatus": "inactive"}, Ending("inactive", None)),
        ({"clinicalStatus": "remission"}, Ending("in remission", None)),
        ({"abatementDateTime": "2020"}, Ending("ended", IN_2020)),
        ({"abatementBoolean": True}, Ending("ended", None)),
        ({"clinicalStatus": "active", "abatementDateTime": "2020"}, None),
        ({"clinicalStatus": "quite otherwise"}, None),
        (
            {"clinicalStatus": {"coding": [{"code": "A"}, {"code": "inactive"}]}},
            Ending("inactive", None),
        ),
        (
            {
                "clinicalStatus": "resolved",
                "verificationStatus": {"coding": [{"code": "A"}, {"code": "refuted"}]},
            },
            None,
        ),
        ({"clinicalStatus": "resolved", "verificationStatus": "refuted"}, None),
        ({"abatementDateTime": "2020", "verificationStatus": "entered-in-error"}, None),
        ({"abatementDateTime": "2030"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_problem_is_over_by_its_status_or_by_its_end(
    record: dict[str, Any], ending: Ending | None
) -> None:
    assert problem_ending(record, TIMES) == ending


@pytest.mark.parametrize(
    ("quantity", "length"),
    [
        (age(60), Duration(60, "year")),
        (age(0), Duration(0, "year")),
        (age(1.5), Duration(547.5, "day")),
        (age(2.5, "mo"), Duration(75, "day")),
        (age(1.5, "wk"), Duration(1.5, "week")),
        ({"value": 3, "unit": " Years "}, Duration(3, "year")),
        ({"value": 3, "code": "d", "unit": "years"}, Duration(3, "day")),
        (age(200), Duration(200, "year")),
        (age(201), None),
        (age(105_120_000, "min"), Duration(105_120_000, "minute")),
        (age(105_120_001, "min"), None),
        (age(-1), None),
        (age(60, "fortnight"), None),
        ({"value": 60}, None),
        ({"value": "60", "code": "a"}, None),
        ({"value": True, "code": "a"}, None),
        ("60 years", None),
        (None, None),
    ],
    ids=str,
)
def test_a_length_of_time_is_read_as_people_and_ucum_write_it(
    quantity: Any, length: Duration | None
) -> None:
    assert length_of(quantity) == length


def test_a_window_looks_at_the_time_that_it_is_named_for() -> None:
    started, seen, entered = (Moment(NOW, NOW.replace(hour=at)) for at in (13, 14, 15))
    undated = Row("Condition/c", moment=seen, untimed="onset not recorded")
    dated = replace(undated, dated=True, entered=entered, not_entered="no entry")
    course = replace(dated, since=started)

    assert undated.time("within") == (None, "onset not recorded")
    assert undated.time("taken_for") == (None, "onset not recorded")
    for window in ("within", "onset_within", "taken_for", "started_within"):
        assert dated.time(window) == (seen, "onset not recorded")
    for window in ("taken_for", "started_within"):
        assert course.time(window) == (started, "onset not recorded")
    assert course.time("within") == (seen, "onset not recorded")
    assert course.time("recorded_within") == (entered, "no entry")


@pytest.mark.parametrize(
    ("resource", "reference"),
    [
        ({"resourceType": "Condition", "id": "c"}, "Condition/c"),
        ({"resourceType": "Condition"}, "Condition/?"),
        ({"id": "c"}, "?/c"),
    ],
    ids=str,
)
def test_a_record_is_named_by_its_type_and_id(
    resource: dict[str, Any], reference: str
) -> None:
    assert reference_of(resource) == reference


@pytest.mark.parametrize(
    ("value", "found"),
    [([7, {}], [7, {}]), ({"a": 7}, [{"a": 7}]), (7, []), ("a", []), (None, [])],
)
def test_one_object_stands_for_a_list_of_it(value: Any, found: list[Any]) -> None:
    assert items(value) == found
