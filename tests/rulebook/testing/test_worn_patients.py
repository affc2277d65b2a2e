"""The wearables of a rule test's patient, as the engine is given them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.rulebook.testing.example_patients import PatientWriter
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.metrics import Band, Catalogue, Metric
from cds_service.wearables.worn import AgreedStream, Wearables

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
CATALOGUE = Catalogue(
    {
        "weight": Metric("weight", "Weight", "kg", 1, 400),
        "steps": Metric("steps", "Steps", "{steps}", 0, 1e6, cumulative=True),
        "glucose": Metric(
            "glucose",
            "Glucose",
            "mg/dL",
            20,
            600,
            speaks_for=timedelta(minutes=5),
            bands=(Band("low", 0, 70), Band("in-range", 70, 181)),
        ),
    }
)


def write(wearables: Any = None, **patient: Any) -> Wearables:
    told = patient if wearables is None else {"wearables": wearables, **patient}
    return PatientWriter(told, NOW, NEW_YORK).wearables(CATALOGUE)


def test_values_are_of_days_in_a_row_the_last_of_them_yesterday() -> None:
    told = write({"days": [{"metric": "weight", "values": "80 _ 82.5"}]})

    assert [(each.day, each.mean) for each in told.days or ()] == [
        (date(2026, 11, 19), 80),
        (date(2026, 11, 21), 82.5),
    ]


def test_values_end_on_the_day_that_is_named() -> None:
    told = write({"days": [{"metric": "weight", "values": 80, "ends": "now"}]})

    assert [each.day for each in told.days or ()] == [date(2026, 11, 22)]


def test_a_value_is_of_the_statistic_that_the_metric_usually_has() -> None:
    told = write({"days": [{"metric": "steps", "values": 6000, "part": "day"}]})

    (day,) = told.days or ()
    assert (day.total, day.mean, day.coverage) == (6000, None, None)


def test_a_share_of_a_band_is_written_in_percent() -> None:
    written = {"metric": "glucose", "summary": "band:in-range", "values": 64}
    told = write({"days": [{**written, "coverage": 0.5}]})

    (day,) = told.days or ()
    assert day.coverage == 0.5
    assert round(day.statistic("band:in-range") or 0, 9) == 0.64


def test_several_values_of_one_day_are_of_one_summary() -> None:
    bands = ({"summary": f"band:{name}"} for name in ("low", "in-range"))
    told = write(
        {"days": [{"metric": "glucose", "values": 25, **each} for each in bands]}
    )

    (day,) = told.days or ()
    assert day.statistic("band:low") == day.statistic("band:in-range") == 0.25


def test_a_day_is_as_long_as_it_is_in_the_zone() -> None:
    told = write(
        {"days": [{"metric": "weight", "values": 80, "ends": "2026-11-01T12:00:00Z"}]}
    )

    (day,) = told.days or ()
    assert (day.minutes, day.zone) == (1500, "America/New_York")


def test_a_day_says_who_told_it_and_how_often() -> None:
    whose = {"device": "Scale", "source": "withings", "readings": 3}
    told = write({"days": [{"metric": "weight", "values": 80, **whose}]})

    (day,) = told.days or ()
    assert (day.devices, day.sources, day.n) == (("Scale",), ("withings",), 3)


def test_a_stream_says_since_when_it_was_agreed_and_heard() -> None:
    told = write(
        {
            "streams": [
                {"metric": "steps", "agreed": "9 days ago", "last": "4 days ago"},
                {"metric": "weight", "agreed": "9 days ago", "source": "scale"},
            ]
        }
    )

    agreed = NOW - timedelta(days=9)
    assert told.streams == (
        AgreedStream("steps", "test", agreed, NOW - timedelta(days=4)),
        AgreedStream("weight", "scale", agreed),
    )


def test_what_was_not_judged_is_told_day_by_day() -> None:
    written = {"detector": "fast", "reason": "rest-unknown", "values": "3 _ 5"}
    told = write({"not_judged": [written]})

    why = NotJudged.REST_UNKNOWN
    assert told.tallies == (
        DayTally("fast", date(2026, 11, 19), "test", 0, {why: 3}),
        DayTally("fast", date(2026, 11, 21), "test", 0, {why: 5}),
    )


def test_readings_that_were_not_loaded_are_unread() -> None:
    told = write({"days": []}, not_loaded=["wearable_readings"])

    assert (told.alerts, told.days, told.streams, told.tallies) == (
        *((),),
        *(None, None, None),
    )


def test_a_patient_without_wearables_has_none() -> None:
    assert write() == Wearables()
