"""What card text shows of days: numbers first, how much they tell, whose they are."""

from datetime import UTC, datetime
from typing import Any

import pytest

from .worn_days import IN_RANGE, RATE, STEPS, WEIGHT, day, weighed, worn

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


@pytest.mark.parametrize("attribute", ["device", "source"])
def test_the_words_of_a_wearable_are_those_of_a_record(
    rules: Any, chart: Any, attribute: str
) -> None:
    whose = {"sources": ("garmin",), "devices": ("Watch",)}

    found = rules.evaluate(RATE, PRESENT, chart(), worn=worn(day(1, 80, **whose)))

    assert found.items[0].text("it", attribute).trusted is False


@pytest.mark.parametrize("draws", [True, False])
@pytest.mark.parametrize(
    "attribute", ["days", "coverage", "age", "name", "latest_date", "days_line"]
)
def test_the_numbers_of_days_are_our_own_words(
    rules: Any, chart: Any, attribute: str, draws: bool
) -> None:
    told = worn(day(1, 80, last=NEWEST))

    found = rules.evaluate(RATE, PRESENT, chart(), worn=told)
    found.case.draws = draws

    assert found.items[0].text("it", attribute).trusted is True


@pytest.mark.parametrize("attribute", ["age", "name", "days_line", "latest_date"])
def test_where_no_day_was_told_nothing_is_shown_of_any(
    rules: Any, chart: Any, attribute: str
) -> None:
    found = rules.evaluate(RATE, "it: {days: {at_most: 0}}", chart(), worn=worn())

    assert shown(found, attribute) is None


def test_a_day_has_the_date_of_its_wearer_at_any_hospital(
    rules: Any, chart: Any
) -> None:
    rules.files["site.yaml"] = "format: 1\ntime_zone: Pacific/Auckland\n"

    found = rules.evaluate(RATE, PRESENT, chart(), worn=worn(day(1, 80)))

    assert shown(found, "latest_date") == "2026-11-21"


def test_a_value_without_a_unit_is_followed_by_its_days(rules: Any, chart: Any) -> None:
    fact = "it: {wearable: {metric: steps, within: 7 days}}"
    told = day(1, None, metric="steps", total=6000.0)

    found = rules.evaluate(fact, PRESENT, chart(), worn=worn(told))

    assert shown(found, "days_line") == "6000 on 1 of 7 days to 2026-11-21: ······▁"


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


def test_a_table_has_a_row_a_day_and_says_where_there_is_no_data(
    rules: Any, chart: Any
) -> None:
    told = worn(day(3, 80, covered=720.0), day(1, 96.5, covered=1440.0))
    fact = "it: {wearable: {metric: heart-rate, within: 3 days, unit: /min}}"

    found = rules.evaluate(fact, PRESENT, chart(), worn=told)

    assert shown(found, "days_table") == (
        "\n| Day | Mean, /min | Readings for |"
        "\n| --- | ---: | ---: |"
        "\n| 2026-11-19 | 80 | 50 % |"
        "\n| 2026-11-20 | no data | |"
        "\n| 2026-11-21 | 96.5 | 100 % |\n"
    )


def test_a_table_without_coverage_or_unit_has_no_column_of_it(
    rules: Any, chart: Any
) -> None:
    fact = "it: {wearable: {metric: steps, within: 2 days}}"
    told = worn(day(1, None, metric="steps", total=6000.0, covered=None))

    found = rules.evaluate(fact, PRESENT, chart(), worn=told)

    assert shown(found, "days_table") == (
        "\n| Day | Total |\n| --- | ---: |"
        "\n| 2026-11-20 | no data |\n| 2026-11-21 | 6000 |\n"
    )


def test_a_table_has_at_most_the_last_fourteen_days(rules: Any, chart: Any) -> None:
    fact = "it: {wearable: {metric: heart-rate, within: 20 days, unit: /min}}"
    told = worn(*(day(ago, 60.0 + ago) for ago in range(1, 21)))

    table = shown(rules.evaluate(fact, PRESENT, chart(), worn=told), "days_table")

    rows = (table or "").split("\n")[3:-1]
    assert len(rows) == 14
    assert rows[0].startswith("| 2026-11-08 | 74 ")
    assert rows[-1].startswith("| 2026-11-21 | 61 ")


def test_an_ehr_that_draws_nothing_and_days_without_data_have_no_table(
    rules: Any, chart: Any
) -> None:
    told = rules.evaluate(RATE, PRESENT, chart(), worn=worn(day(1, 80)))
    untold = rules.evaluate(RATE, "it: {days: {at_most: 0}}", chart(), worn=worn())
    told.case.draws = False

    assert shown(told, "days_table") is None
    assert shown(untold, "days_table") is None


def test_the_head_of_a_table_says_of_which_night_what_is_told(
    rules: Any, chart: Any
) -> None:
    fact = "it: {wearable: {metric: heart-rate, summary: min, part: night, %s}}"
    told = worn(day(0, None, part="night", min=41.0, covered=None))

    found = rules.evaluate(
        fact % "within: 1 day, unit: /min", PRESENT, chart(), worn=told
    )

    assert (shown(found, "days_table") or "").splitlines()[
        1
    ] == "| Night to | Min, /min |"


def test_a_table_of_a_share_says_of_what(rules: Any, chart: Any) -> None:
    told = day(1, 150, metric="sensor-glucose", bands={"in-range": 1008.0})

    found = rules.evaluate(IN_RANGE, PRESENT, chart(), worn=worn(told))
    table = found.items[0].text("it", "days_table")

    assert table.text.splitlines()[1].startswith("| Day | In range, % |")
    assert table.trusted is True
