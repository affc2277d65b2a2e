"""What card text shows of days: numbers first, how much they tell, whose they are."""

from datetime import UTC, datetime
from typing import Any

import pytest

from .worn_days import RATE, STEPS, WEIGHT, day, weighed, worn

NEWEST = datetime(2026, 11, 22, 4, tzinfo=UTC)
PRESENT = "it: present"


def shown(found: Any, attribute: str) -> str | None:
    (item,) = found.items
    text = item.text("it", attribute)
    return text.text if text else None


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("latest", "96.5 /min"),
        ("mean", "88.25 /min"),
        ("rise", "16.5 /min"),
        ("days", "2"),
        ("count", "200"),
        ("coverage", "21.43 %"),
        ("device", "Watch"),
        ("source", "garmin"),
        ("age", "8 h"),
        ("span", "24 h"),
        ("unit", "/min"),
        ("name", "Heart rate"),
        ("latest_date", "2026-11-21"),
    ],
)
def test_a_card_shows_the_number_and_how_much_it_rests_on(
    rules: Any, chart: Any, attribute: str, text: str
) -> None:
    whose = {"sources": ("garmin", "fitbit"), "devices": ("Watch", "Phone")}
    told = worn(day(2, 80, covered=720.0, **whose), day(1, 96.5, last=NEWEST, **whose))

    found = rules.evaluate(RATE, PRESENT, chart(), worn=told)

    assert shown(found, attribute) == text


@pytest.mark.parametrize("attribute", ["device", "source", "age", "rise"])
def test_what_is_not_told_is_not_shown(rules: Any, chart: Any, attribute: str) -> None:
    found = rules.evaluate(RATE, PRESENT, chart(), worn=worn(day(1, 80)))

    assert shown(found, attribute) is None


def test_a_total_is_its_sources_own(rules: Any, chart: Any) -> None:
    told = day(1, None, metric="steps", total=6000.0, source="garmin", sources=("x",))

    found = rules.evaluate(STEPS, PRESENT, chart(), worn=worn(told))

    assert shown(found, "source") == "garmin"


def test_a_scale_has_no_coverage(rules: Any, chart: Any) -> None:
    found = rules.evaluate(WEIGHT % "kg", PRESENT, chart(), worn=worn(weighed(1, 80)))

    assert shown(found, "coverage") is None


def test_days_are_drawn_after_the_plain_numbers(rules: Any, chart: Any) -> None:
    told = worn(weighed(6, 82.0), weighed(5, 82.0), weighed(1, 83.5), weighed(0, 85.5))

    found = rules.evaluate(WEIGHT % "kg", PRESENT, chart(), worn=told)

    assert shown(found, "days_line") == (
        "82–85.5 kg on 4 of 7 days to 2026-11-22: ▁▁···▄█"
    )


def test_an_ehr_that_draws_nothing_is_told_the_plain_numbers(
    rules: Any, chart: Any
) -> None:
    found = rules.evaluate(
        WEIGHT % "kg", PRESENT, chart(), worn=worn(weighed(6, 82.0), weighed(0, 85.5))
    )

    found.case.draws = False

    assert shown(found, "days_line") == "82–85.5 kg on 2 of 7 days to 2026-11-22"


def test_days_that_are_all_alike_are_one_number(rules: Any, chart: Any) -> None:
    found = rules.evaluate(
        WEIGHT % "kg", PRESENT, chart(), worn=worn(weighed(1, 82.0), weighed(0, 82.0))
    )

    assert shown(found, "days_line") == "82 kg on 2 of 7 days to 2026-11-22: ·····▁▁"
