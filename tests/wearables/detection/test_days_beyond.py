"""So many days or nights beyond a limit: when they are one, and what has no say."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from cds_service.wearables.detection.daily import DaysFound
from cds_service.wearables.detection.detectors import Direction, OwnLimit
from cds_service.wearables.detection.episodes import (
    Closing,
    DayTally,
    Episode,
    NotJudged,
)
from cds_service.wearables.samples import microseconds
from cds_service.wearables.summaries import DaySummary

from .dated import (
    LIMIT,
    SHIFT,
    STEADY,
    VIENNA,
    at,
    detector,
    find,
    midnight,
    reasons,
    row,
    spells,
    written,
)


def test_what_is_said_of_an_episode_of_days() -> None:
    found = find(LIMIT, written("90 104 96 110 101 80 80"))

    assert found.episodes == [
        Episode(
            detector="pattern",
            version="1.2.0",
            alert_type="high-rate",
            start=midnight(2),
            opened=midnight(5),
            last=midnight(8),
            end=midnight(6),
            closing=Closing.RECOVERED,
            peak=110,
            median=102.5,
            threshold=100,
            n=4,
            coverage=1,
            source="watch",
            device="Series 9",
        )
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("100 100", ["1-2-2 lasts"]),
        ("100 99.9", []),
        ("100 90 100", ["1-3-3 lasts"]),
        ("100 90 90 100", []),
        ("90 100 100", ["2-3-3 lasts"]),
        ("100 _ 100", ["1-3-3 lasts"]),
        ("100 _ _ 100", []),
        ("100 100 90", ["1-2-3 lasts"]),
        ("100 100 90 90", ["1-2-2 recovered"]),
        ("100 100 90 100 90 90", ["1-2-4 recovered"]),
        ("100 100 90 90 100 100", ["1-2-2 recovered", "5-6-6 lasts"]),
        ("100 100 _ 90", ["1-2-2 recovered"]),
        ("100 100 _ 100", ["1-2-4 lasts"]),
        ("100 100 _ _ 100", ["1-2-5 lasts"]),
        ("100 100 _ _ _ 90", ["1-2-2 no-data"]),
        ("100 100 90 _ _ _", ["1-2-3 lasts"]),
        ("100", []),
        ("_ 100", []),
    ],
)
def test_so_many_of_the_last_days_are_beyond_the_limit(
    values: str, expected: list[str]
) -> None:
    assert spells(find(LIMIT, written(values))) == expected


@pytest.mark.parametrize(
    ("last", "expected"), [(4, ["1-2-2 lasts"]), (5, ["1-2-2 no-data"])]
)
def test_after_as_many_days_of_nothing_as_it_looks_at_nothing_is_known(
    last: int, expected: list[str]
) -> None:
    assert spells(find(LIMIT, written("100 100"), last=last)) == expected


@pytest.mark.parametrize(
    ("direction", "values", "opens"),
    [
        (Direction.ABOVE, "100 100", False),
        (Direction.ABOVE, "100.1 100.1", True),
        (Direction.BELOW, "100 100", False),
        (Direction.BELOW, "99.9 99.9", True),
        (Direction.AT_MOST, "100 100", True),
        (Direction.AT_MOST, "100.1 100.1", False),
    ],
)
def test_beyond_is_as_the_detector_says(
    direction: Direction, values: str, opens: bool
) -> None:
    found = find(replace(LIMIT, direction=direction), written(values))

    assert bool(found.episodes) is opens


def test_where_what_is_low_is_beyond_the_peak_is_the_lowest() -> None:
    found = find(replace(LIMIT, direction=Direction.BELOW), written("90 80 85"))

    assert [each.peak for each in found.episodes] == [80]


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        ("104*0.6 104*0.6", ["1-2-2 lasts"], "few +"),
        ("104*0.59 104*0.6", [], "low few"),
        ("104*0.6 104*0.59", [], "few low"),
        ("104*0.59 104*0.6 104*0.6", ["2-3-3 lasts"], "low few +"),
    ],
)
def test_a_day_of_which_too_little_was_measured_does_not_count(
    values: str, expected: list[str], said: str
) -> None:
    found = find(LIMIT, written(values))

    assert (spells(found), reasons(found)) == (expected, said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("90 90 90", "+ + +"),
        ("90 90 100", "+ + +"),
        ("_ 90 100", "+ few"),
        ("90 _ 100", "+ few"),
        ("100 100 100", "few + +"),
        ("_ 90", "+"),
    ],
)
def test_a_day_is_not_judged_where_what_was_not_measured_could_make_it_one(
    values: str, said: str
) -> None:
    assert reasons(find(LIMIT, written(values))) == said


def test_what_became_of_a_day_is_told_by_source() -> None:
    found = find(LIMIT, [row(1, 104, 0.5), row(2, 104, 0.9), row(3, 104, 0.9)])

    assert found.tallies == [
        DayTally("pattern", at(1), "watch", 0, {NotJudged.LOW_COVERAGE: 1}),
        DayTally("pattern", at(2), "watch", 0, {NotJudged.TOO_FEW_DAYS: 1}),
        DayTally("pattern", at(3), "watch", 1, {}, opened=1),
    ]


def test_the_coverage_of_an_episode_is_that_of_its_days() -> None:
    found = find(LIMIT, [row(1, 104, 0.8), row(3, 104, 0.7)])

    (episode,) = found.episodes
    assert round(episode.coverage, 9) == round((0.8 + 0.7 + 0) / 3, 9)
    assert episode.n == 2


def test_a_day_without_the_value_does_not_count() -> None:
    found = find(LIMIT, [row(1, None, 1.0), row(2, 104, 1.0), row(3, 104, 1.0)])

    assert (spells(found), reasons(found)) == (["2-3-3 lasts"], "low few +")


def test_what_a_vendor_tells_of_the_day_counts_without_coverage() -> None:
    vendor = replace(row(2, 104), source="garmin", sources=("garmin",))
    found = find(LIMIT, [row(1, 104, 0.9), row(2, 60, 0.1), vendor])

    assert spells(found) == ["1-2-2 lasts"]
    assert [each.source for each in found.tallies] == ["watch", "garmin"]


def test_what_was_measured_goes_before_what_vendors_tell_of_the_day() -> None:
    vendors = [
        replace(row(day, 104), source=source)
        for day in (1, 2)
        for source in ("garmin", "watch", "another")
    ]
    measured = [row(1, 60, 0.9), row(2, 60, 0.9)]
    by_source = [replace(vendors[0], mean=60), replace(vendors[3], mean=60)]

    assert spells(find(LIMIT, [*vendors, *measured])) == []
    assert spells(find(LIMIT, vendors)) == ["1-2-2 lasts"]
    assert spells(find(LIMIT, [*vendors[1:3], *by_source])) == []


def test_of_vendors_the_one_that_goes_first_tells_the_day() -> None:
    first = [replace(row(day, 60), source="watch") for day in (1, 2)]
    second = [replace(row(day, 104), source="garmin") for day in (1, 2)]
    unnamed = [replace(row(day, 104), source="another") for day in (1, 2)]

    assert spells(find(LIMIT, [*second, *first])) == []
    assert spells(find(LIMIT, [*unnamed, *second])) == ["1-2-2 lasts"]
    assert [each.source for each in find(LIMIT, [*unnamed, *second]).tallies] == [
        "garmin",
        "garmin",
    ]


def test_other_metrics_and_nights_are_not_asked() -> None:
    others = [replace(row(day, 104), metric="other") for day in (1, 2)]
    nights = [replace(row(day, 104), part="night") for day in (1, 2)]

    found = find(LIMIT, [*others, *nights])

    assert found == DaysFound([], [])


def test_a_day_that_is_not_over_is_not_judged() -> None:
    rows = written("104 104")

    before = find(LIMIT, rows, now=midnight(3) - timedelta(microseconds=1))
    after = find(LIMIT, rows, now=midnight(3))

    assert (spells(before), reasons(before)) == ([], "few")
    assert (spells(after), reasons(after)) == (["1-2-2 lasts"], "few +")


def test_days_before_the_first_have_a_say_and_no_episode() -> None:
    rows = written("104 104 104 90 104")

    found = find(LIMIT, rows, first=5)

    assert spells(found) == ["3-5-5 lasts"]
    assert [each.day for each in found.tallies] == [at(5)]
    assert found.episodes[0].n == 3


def test_a_patient_s_own_limit_holds_from_when_it_was_set() -> None:
    own = detector(LIMIT, own_limit=OwnLimit(90, 140))
    end_of_second = microseconds(midnight(3))

    def opened(limits: list[tuple[int, float]]) -> list[str]:
        return spells(find(LIMIT, written("110 110 110"), of=own, limits=limits))

    assert opened([]) == ["1-2-3 lasts"]
    assert opened([(0, 120)]) == []
    assert opened([(0, 120), (end_of_second - 1, 105)]) == ["1-2-3 lasts"]
    assert opened([(0, 120), (end_of_second, 105)]) == ["2-3-3 lasts"]
    assert opened([(end_of_second, 120)]) == ["1-2-2 recovered"]


def test_what_begins_after_an_episode_shares_no_day_with_it() -> None:
    pattern = replace(LIMIT, of=4)

    found = find(pattern, written("100 90 100 90 90 100 100"))

    assert spells(found) == ["1-3-3 recovered", "6-6-7 lasts"]
    assert [each.n for each in found.episodes] == [3, 2]


def test_what_begins_after_a_silence_shares_no_day_with_what_was_before() -> None:
    pattern = replace(SHIFT, days=3, left_out=0)
    values = f"{STEADY} 70 70 70 _ _ 70 70 70"

    assert spells(find(pattern, written(values))) == ["9-11-16 lasts"]


def test_the_limit_of_an_episode_is_the_one_with_which_it_opened() -> None:
    own = detector(LIMIT, own_limit=OwnLimit(90, 140))
    limits = [(0, 95.0), (microseconds(midnight(3)), 105.0)]

    (episode,) = find(LIMIT, written("110 110 110"), of=own, limits=limits).episodes

    assert episode.threshold == 95


def test_a_detector_that_is_not_in_force_yet_opens_nothing() -> None:
    later = detector(LIMIT, effective=at(3))

    assert spells(find(LIMIT, written("104 104 104"), of=later)) == ["2-3-3 lasts"]
    assert spells(find(LIMIT, written("104 104 90"), of=later)) == ["1-3-3 lasts"]


NIGHTS = replace(
    LIMIT, limit=0.05, statistic="band:below-88", part="night", coverage=0.3
)


def sleep(day: int, below: float, covered: float = 500) -> DaySummary:
    """A night in which so many minutes were below the limit."""
    last = datetime.combine(at(day), time(7), VIENNA).astimezone(UTC)
    return replace(
        row(day, None),
        part="night",
        minutes=500,
        covered=covered,
        bands={"below-88": below, "above": covered - below},
        last=last,
    )


@pytest.mark.parametrize(
    ("minutes", "opens"), [([25, 25], True), ([25, 24.9], False), ([25, 0, 25], True)]
)
def test_a_share_of_the_night_in_a_band_on_so_many_nights(
    minutes: list[float], opens: bool
) -> None:
    rows = [sleep(day, below) for day, below in enumerate(minutes, 1)]

    assert bool(find(NIGHTS, rows).episodes) is opens


def test_an_episode_of_nights_is_from_night_to_morning() -> None:
    (episode,) = find(NIGHTS, [sleep(1, 50), sleep(2, 50)]).episodes

    assert episode.start.astimezone(VIENNA) == datetime(2026, 8, 31, 22, tzinfo=VIENNA)
    assert episode.opened.astimezone(VIENNA) == datetime(2026, 9, 2, 8, tzinfo=VIENNA)
    assert episode.opened.tzinfo is UTC


def test_a_night_of_a_late_sleeper_is_over_with_its_last_reading() -> None:
    late = datetime(2026, 9, 2, 9, 30, tzinfo=UTC)

    (episode,) = find(NIGHTS, [sleep(1, 50), replace(sleep(2, 50), last=late)]).episodes

    assert episode.opened == late


@pytest.mark.parametrize(("covered", "said"), [(150, "few +"), (149, "few low")])
def test_a_night_of_which_too_little_was_measured_does_not_count(
    covered: float, said: str
) -> None:
    rows = [sleep(1, 50), sleep(2, 50, covered)]

    assert reasons(find(NIGHTS, rows)) == said
