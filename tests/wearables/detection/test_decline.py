"""Days that are lower by a share than those before, while it was worn."""

from dataclasses import replace

import pytest

from cds_service.wearables.summaries import DaySummary

from .dated import DECLINE, find, reasons, row, spells


def steps(day: int, total: float | None, hours: float | None = 12) -> list[DaySummary]:
    """The steps of a day, and for how many hours of it a watch was worn."""
    walked = [replace(row(day, None), total=total)] if total is not None else []
    if hours is None:
        return walked
    return [*walked, replace(row(day, 70), metric="heart-rate", worn=hours * 60)]


def walked(values: str) -> list[DaySummary]:
    """Days from the first on: steps, ``_`` for nothing, ``500/9`` worn for 9 hours."""
    rows = []
    for day, value in enumerate(values.split(), 1):
        if value != "_":
            total, _, hours = value.partition("/")
            worn = None if hours == "?" else float(hours or 12)
            rows += steps(day, float(total), worn)
    return rows


BEFORE = "800 1200 1000 1000 1000"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (f"{BEFORE} 500 500 500", ["6-7-8 lasts"]),
        (f"{BEFORE} 400 900 500", ["6-8-8 lasts"]),
        (f"{BEFORE} 501 501 500", []),
        (f"{BEFORE} 500 500 500 900 900", ["6-7-9 recovered"]),
        (f"{BEFORE} 500 500 500 900 500", ["6-7-10 lasts"]),
        (f"{BEFORE} 900 500 500", ["7-8-8 lasts"]),
        (f"{BEFORE} 900 500 _", []),
        (f"{BEFORE} 500 500 500 _ 500", ["6-7-8 lasts"]),
        (f"{BEFORE} 500 500 500 _ _ _", ["6-7-8 lasts"]),
    ],
)
def test_the_last_days_are_lower_by_a_share_than_those_before(
    values: str, expected: list[str]
) -> None:
    assert spells(find(DECLINE, walked(values))) == expected


@pytest.mark.parametrize(
    ("last", "expected"), [(10, ["6-7-8 lasts"]), (11, ["6-7-8 no-data"])]
)
def test_a_decline_of_which_nothing_more_is_told_is_over_without_recovery(
    last: int, expected: list[str]
) -> None:
    rows = walked(f"{BEFORE} 500 500 500 _ _")

    assert spells(find(DECLINE, rows, last=last)) == expected


def test_days_too_few_to_tell_keep_no_decline_alive() -> None:
    rows = walked(f"{BEFORE} 500 500 500 _ _ 500 _ _ 500")

    assert spells(find(DECLINE, rows)) == ["6-7-8 no-data"]


def test_the_peak_of_a_decline_is_its_lowest_day() -> None:
    (episode,) = find(DECLINE, walked(f"{BEFORE} 400 300 500")).episodes

    assert (episode.peak, episode.median, episode.threshold) == (300, 400, 500)
    assert (episode.source, episode.device, episode.n) == ("watch", "Series 9", 3)


@pytest.mark.parametrize(
    ("values", "opens", "said"),
    [
        ("1000 1000 1000 _ _ 500 500 500", True, "few few few few few +"),
        ("1000 1000 _ _ _ 500 500 500", False, "few few few few few"),
        (f"{BEFORE} 900 500 500/10", True, "few few few few few + + +"),
        (f"{BEFORE} 900 500 500/9.9", False, "few few few few few + + low"),
        (f"{BEFORE} 900 500/9 500", False, "few few few few few + low few"),
        (f"{BEFORE} 900 500 500/?", False, "few few few few few + + wear?"),
    ],
)
def test_only_days_on_which_it_was_worn_count(
    values: str, opens: bool, said: str
) -> None:
    found = find(DECLINE, walked(values))

    assert (bool(found.episodes), reasons(found)) == (opens, said)


def test_it_was_worn_for_as_long_as_that_which_shows_most_of_it_says() -> None:
    rows = walked(f"{BEFORE} 900 500 500/9")
    oxygen = replace(row(8, 97), metric="oxygen", worn=600)
    at_night = replace(oxygen, part="night")
    other = replace(oxygen, worn=30)

    assert find(DECLINE, [*rows, at_night, other]).episodes == []
    assert len(find(DECLINE, [*rows, oxygen, other]).episodes) == 1


def test_of_sums_of_a_day_the_highest_counts_and_none_is_added() -> None:
    rows = walked(f"{BEFORE} 500 500 500")
    phone = replace(row(8, None), total=3000, source="phone", sources=("phone",))
    little = replace(phone, total=10)

    assert len(find(DECLINE, [*rows, little]).episodes) == 1
    assert find(DECLINE, [*rows, phone, little]).episodes == [
        replace(each, n=3) for each in find(DECLINE, [*rows, phone]).episodes
    ]
    (episode,) = find(DECLINE, [*rows, phone]).episodes
    assert episode.median == 500


def test_days_in_any_order_make_the_same() -> None:
    rows = walked(f"{BEFORE} 500 500 500 900 900")

    assert find(DECLINE, rows[::-1]) == find(DECLINE, rows)
