"""Patterns of days: when they are one, how long, and what could not be judged."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.days import Calendar
from cds_service.wearables.detection.daily import (
    Daily,
    DaysFound,
    detect_days,
    lookback,
)
from cds_service.wearables.detection.detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Direction,
    Gain,
    OwnLimit,
    Rest,
    SustainedBreach,
)
from cds_service.wearables.detection.episodes import (
    Closing,
    DayTally,
    Episode,
    NotJudged,
)
from cds_service.wearables.metrics import Night
from cds_service.wearables.samples import microseconds
from cds_service.wearables.summaries import DaySummary

VIENNA = ZoneInfo("Europe/Vienna")
THERE = Calendar(VIENNA, "Europe/Vienna", Night(time(22), time(8), time(18)))
FIRST = date(2026, 9, 1)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
LIMIT = DaysBeyond(Direction.AT_LEAST, 100, "mean", days=2, of=3, coverage=0.6)
SHIFT = BaselineShift(
    Direction.AT_LEAST,
    by=10,
    deviations=3,
    statistic="mean",
    days=2,
    baseline=6,
    least=4,
    left_out=2,
    coverage=0.6,
)
DECLINE = Decline(
    by=0.5,
    statistic="total",
    recent=3,
    before=5,
    least=3,
    worn=timedelta(hours=10),
)
REASONS = {
    NotJudged.LOW_COVERAGE: "low",
    NotJudged.TOO_FEW_DAYS: "few",
    NotJudged.WEAR_UNKNOWN: "wear?",
}


def detector(pattern: Daily, **told: object) -> Detector:
    known = Detector(
        name="pattern",
        version="1.2.0",
        title="Pattern",
        metric="rate",
        alert_type="high-rate",
        unit="/min",
        pattern=pattern,
        status="active",
        lateness=timedelta(days=3),
        cooldown=timedelta(days=7),
    )
    return replace(known, **told)  # type: ignore[arg-type]


def at(day: int) -> date:
    """The day of that number; the first is 1."""
    return FIRST + timedelta(days=day - 1)


def midnight(day: int) -> datetime:
    """When the day of that number begins."""
    return datetime.combine(at(day), time(), VIENNA).astimezone(UTC)


def row(day: int, mean: float | None, coverage: float | None = None) -> DaySummary:
    covered = None if coverage is None else coverage * 1440
    return DaySummary(
        "rate",
        at(day),
        "Europe/Vienna",
        1440,
        n=1,
        mean=mean,
        covered=covered,
        sources=("watch",),
        devices=("Series 9",),
    )


def written(values: str) -> list[DaySummary]:
    """Days from the first on: a mean, ``_`` for nothing, ``104*0.5`` half covered."""
    rows = []
    for day, value in enumerate(values.split(), 1):
        if value != "_":
            mean, _, coverage = value.partition("*")
            rows.append(row(day, float(mean), float(coverage) if coverage else None))
    return rows


def find(
    pattern: Daily,
    summaries: list[DaySummary],
    *,
    first: int = 1,
    last: int | None = None,
    now: datetime = LATER,
    limits: list[tuple[int, float]] | None = None,
    of: Detector | None = None,
) -> DaysFound:
    newest = max((each.day for each in summaries), default=FIRST)
    return detect_days(
        of or detector(pattern),
        pattern,
        summaries,
        THERE,
        at(first),
        at(last) if last else newest,
        now,
        limits=limits or (),
        priority=("watch", "garmin"),
    )


def spells(found: DaysFound) -> list[str]:
    """Of each: its first day, the one it opened with, the last, and why it is over."""
    told = []
    for each in found.episodes:
        end = each.end or each.last
        days = [
            (moment.astimezone(VIENNA).date() - FIRST).days
            for moment in (each.start + timedelta(days=1), each.opened, end)
        ]
        told.append(f"{days[0]}-{days[1]}-{days[2]} {each.closing or 'lasts'}")
    return told


def reasons(found: DaysFound) -> str:
    """Of each day that has a tally: ``+`` if it was judged, else why not."""
    return " ".join(
        "+" if each.judged else REASONS[next(iter(each.not_judged))]
        for each in found.tallies
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


STEADY = "60 60 60 60 60 60 60 60"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (f"{STEADY} 70 70", ["9-10-10 lasts"]),
        (f"{STEADY} 70 69.9", []),
        (f"{STEADY} 69.9 70", []),
        (f"{STEADY} 70 60 70", []),
        (f"{STEADY} 70 _ 70", []),
        (f"{STEADY} 70 70 60", ["9-10-10 recovered"]),
        (f"{STEADY} 70 70 _ 60", ["9-10-10 recovered"]),
        (f"{STEADY} 70 70 _ 70", ["9-10-12 lasts"]),
        (f"{STEADY} 70 70 _ _ _ 70", ["9-10-14 lasts"]),
        (f"{STEADY} 70 70 _ _ _ _ 70", ["9-10-10 no-data"]),
        (f"{STEADY} 70 70 70 70 70 70 70 70 70 70", ["9-10-18 lasts"]),
    ],
)
def test_days_are_higher_than_one_s_own_baseline(
    values: str, expected: list[str]
) -> None:
    assert spells(find(SHIFT, written(values))) == expected


def test_the_baseline_does_not_move_while_it_lasts() -> None:
    rising = f"{STEADY} 70 71 72 73 74 75 76 77 78 79 80"

    (episode,) = find(SHIFT, written(rising)).episodes

    assert (episode.threshold, episode.peak, episode.n) == (70, 80, 11)
    assert episode.closing is Closing.LASTS


@pytest.mark.parametrize(
    ("left_out", "opens", "said"), [(2, True, "+"), (1, False, "+"), (3, False, "few")]
)
def test_the_last_days_are_no_part_of_the_baseline(
    left_out: int, opens: bool, said: str
) -> None:
    pattern = replace(SHIFT, days=1, baseline=2, least=2, left_out=left_out)

    found = find(pattern, written("60 60 69 69 70"), first=5)

    assert (bool(found.episodes), reasons(found)) == (opens, said)


@pytest.mark.parametrize(
    ("before", "then", "opens"),
    [
        # Median 60, of deviations 6: 3 · 1.4826 · 6 = 26.6868.
        ("54 66 54 60 66 60 60 60", "86.7", True),
        ("54 66 54 60 66 60 60 60", "86.6", False),
    ],
)
def test_who_varies_more_has_to_be_higher_by_more(
    before: str, then: str, opens: bool
) -> None:
    pattern = replace(SHIFT, days=1)

    found = find(pattern, written(f"{before} {then}"), first=9)

    assert bool(found.episodes) is opens


@pytest.mark.parametrize(
    ("values", "opens", "said"),
    [
        ("60 60 60 60 _ _ _ _ 70", True, "+"),
        ("60 60 60 _ _ _ _ _ 70", False, "few"),
        ("60 60 60 60*0.5 _ _ _ _ 70", False, "few"),
    ],
)
def test_a_baseline_takes_so_many_days(values: str, opens: bool, said: str) -> None:
    found = find(replace(SHIFT, days=1), written(values), first=9)

    assert (bool(found.episodes), reasons(found)) == (opens, said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (f"{STEADY} 60 60", "few few few few few few + + + +"),
        (f"{STEADY} 70 70", "few few few few few few + + + +"),
        (f"{STEADY} _ 70", "few few few few few few + + few"),
        (f"{STEADY} _ 60", "few few few few few few + + +"),
    ],
)
def test_a_shift_is_not_judged_on_the_first_days_and_after_a_gap(
    values: str, said: str
) -> None:
    assert reasons(find(SHIFT, written(values))) == said


def test_a_day_whose_eve_has_no_baseline_yet_is_not_judged() -> None:
    # The baseline of the sixth day is of none of 4 days, that of the seventh is.
    found = find(SHIFT, written("60 60 60 60 60 80 80"), first=7)

    assert (spells(found), reasons(found)) == ([], "few")


def test_days_may_be_lower_than_the_baseline() -> None:
    pattern = replace(SHIFT, direction=Direction.AT_MOST)

    (episode,) = find(pattern, written(f"{STEADY} 50 49")).episodes

    assert (episode.peak, episode.threshold) == (49, 50)
    assert spells(find(pattern, written(f"{STEADY} 50 50.1"))) == []


def test_a_difference_in_how_numbers_are_reckoned_makes_none() -> None:
    steady = " ".join(["60.1"] * 8)

    assert 70.1 < 60.1 + 10.000000000000002
    assert spells(find(SHIFT, written(f"{steady} 70.1 70.1"))) == ["9-10-10 lasts"]


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


@pytest.mark.parametrize(
    ("pattern", "days"),
    [
        (LIMIT, 2),
        (SHIFT, 1 + 2 + 6),
        (DECLINE, 3 + 5 - 1),
        (Gain(((1, 1.4), (7, 2.3), (3, 2)), 5), 7),
        (
            SustainedBreach(
                Direction.ABOVE,
                100,
                95,
                *[timedelta(minutes=10), timedelta(minutes=3)],
                0.7,
                0.9,
                4,
                timedelta(),
                timedelta(minutes=10),
                timedelta(hours=1),
                Rest("steps", 10, timedelta(minutes=5), timedelta(minutes=15)),
            ),
            0,
        ),
    ],
)
def test_how_many_days_before_have_a_say(
    pattern: Daily | Gain | SustainedBreach, days: int
) -> None:
    assert lookback(pattern) == days


@pytest.mark.parametrize("pattern", [LIMIT, SHIFT])
def test_what_lies_further_back_than_that_has_no_say(pattern: Daily) -> None:
    rows = written("150 20 150 60 60 60 60 60 60 60 61 90 110 110 104")
    back = lookback(pattern)
    near = [each for each in rows if each.day >= at(14 - back)]

    assert find(pattern, rows, first=14) == find(pattern, near, first=14)


def test_days_in_any_order_make_the_same() -> None:
    rows = walked(f"{BEFORE} 500 500 500 900 900")

    assert find(DECLINE, rows[::-1]) == find(DECLINE, rows)
