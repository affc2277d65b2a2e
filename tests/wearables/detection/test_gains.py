"""Weight that rises on one scale, on which others stand as well."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from cds_service.wearables.days import Calendar
from cds_service.wearables.detection.daily import DaysFound
from cds_service.wearables.detection.detectors import Detector, Gain
from cds_service.wearables.detection.episodes import (
    Closing,
    DayTally,
    Episode,
    NotJudged,
)
from cds_service.wearables.detection.gains import detect_gains
from cds_service.wearables.samples import Device, Flag, Stat, microseconds
from cds_service.wearables.series import Point, Series, Voice

from .dated import LATER, VIENNA, detector

THERE = Calendar(VIENNA, "Europe/Vienna")
FIRST = date(2026, 11, 1)
RISE = Gain(((1, 1.4), (3, 2.0), (7, 2.3)), implausible=5)
SCALE = Voice("withings", device=Device(id="s-1", name="Body+"))


WEIGHT = detector(
    RISE,
    name="weight-gain",
    version="1.0.0",
    metric="body-weight",
    alert_type="rapid-weight-gain",
    unit="kg",
)


def at(day: int, clock: str = "07:00") -> datetime:
    """A time on the day of that number; the first is 1."""
    there = datetime.combine(
        FIRST + timedelta(days=day - 1), time.fromisoformat(clock), VIENNA
    )
    return there.astimezone(UTC)


def weighed(
    day: int, value: float, clock: str = "07:00", voice: int = 0, **told: object
) -> Point:
    us = microseconds(at(day, clock))
    return Point(us, us, value, voice, **told)  # type: ignore[arg-type]


def written(values: str, voice: int = 0) -> list[Point]:
    """Days from the first on; ``_`` for nothing, ``80/70`` for one after the other."""
    return [
        weighed(day, float(value), f"07:{minute:02}", voice)
        for day, told in enumerate(values.split(), 1)
        if told != "_"
        for minute, value in enumerate(told.split("/"))
    ]


def find(
    points: list[Point],
    *voices: Voice,
    pattern: Gain = RISE,
    first: int = 1,
    last: int = 20,
    now: datetime = LATER,
    of: Detector | None = None,
) -> DaysFound:
    days = [FIRST + timedelta(days=each - 1) for each in (first, last)]
    series = Series("body-weight", voices or (SCALE,), points)
    return detect_gains(
        of or replace(WEIGHT, pattern=pattern),
        pattern,
        series,
        THERE,
        days[0],
        days[1],
        now,
    )


def day_of(moment: datetime) -> int:
    return (moment.astimezone(VIENNA).date() - FIRST).days + 1


def spells(found: DaysFound) -> list[str]:
    """Of each: the day from which it rose, the one it opened on, the last, why over."""
    return [
        f"{day_of(each.start)}-{day_of(each.opened)}-{day_of(each.end or each.last)}"
        f" {each.closing or 'lasts'}"
        for each in found.episodes
    ]


def until(values: str, last: int | None = None) -> list[str]:
    """What is found up to the last day that is written."""
    return spells(find(written(values), last=last or len(values.split())))


def test_what_is_said_of_a_gain() -> None:
    found = find(written("80 80.5 81 82 80.9"), last=5)

    assert found.episodes == [
        Episode(
            detector="weight-gain",
            version="1.0.0",
            alert_type="rapid-weight-gain",
            start=at(1),
            opened=at(4),
            last=at(5),
            end=at(5),
            closing=Closing.RECOVERED,
            peak=82,
            median=80.75,
            threshold=82,
            n=4,
            coverage=1,
            source="withings",
            device="Body+",
        )
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("80 81.4", ["1-2-2 lasts"]),
        ("80 81.3", []),
        ("80 80 80 82", ["3-4-4 lasts"]),
        ("80 80.7 81.3 82", ["1-4-4 lasts"]),
        ("80 80.7 81.3 81.9", []),
        ("80 80.3 80.6 80.9 81.2 81.6 82 82.3", ["1-8-8 lasts"]),
        ("80 80.3 80.6 80.9 81.2 81.6 82 82.2", []),
        ("80 _ _ 82", ["1-4-4 lasts"]),
        ("80 _ _ _ 82", []),
        ("80 _ _ _ _ _ _ 82.3", ["1-8-8 lasts"]),
        ("80 _ _ _ _ _ _ _ 84", []),
        ("82 81 80", []),
        ("80", []),
    ],
)
def test_a_rise_within_days_by_as_much_as_it_takes(
    values: str, expected: list[str]
) -> None:
    assert until(values) == expected


def test_where_there_was_no_reading_so_long_ago_the_first_after_that_counts() -> None:
    assert until("82 81 80 80.9 82.2") == []
    assert until("82 _ 80 80.9 82.2") == ["3-5-5 lasts"]


@pytest.mark.parametrize(
    ("values", "last", "expected"),
    [
        ("80 82 82 82", 4, ["1-2-4 lasts"]),
        ("80 82 80.5", 3, ["1-2-3 recovered"]),
        ("80 82 _ _ _ _ _", 8, ["1-2-2 lasts"]),
        ("80 82 _ _ _ _ _ _", 9, ["1-2-2 no-data"]),
        ("80 82 _ _ _ _ _ _ 82", 9, ["1-2-9 recovered"]),
        ("80 82 80 82", 4, ["1-2-3 recovered", "3-4-4 lasts"]),
        ("80 82 80.9 82.1", 4, ["1-2-3 recovered", "3-4-4 lasts"]),
        ("80 82 96/96/96", 3, ["1-2-2 lasts"]),
    ],
)
def test_a_gain_lasts_until_a_reading_has_not_risen(
    values: str, last: int, expected: list[str]
) -> None:
    assert until(values, last) == expected


def test_a_gain_lasts_while_the_weight_stays_higher_than_a_week_ago() -> None:
    assert until("80 82.5 82.5 82.5 82.5 82.5 82.5 82.5 82.5") == ["1-2-9 recovered"]


def test_silence_until_now_is_known_and_what_is_to_come_is_not() -> None:
    points = written("80 82")

    assert spells(find(points, now=at(8, "23:59"))) == ["1-2-2 lasts"]
    assert spells(find(points, now=at(9, "00:00"))) == ["1-2-2 no-data"]


def test_the_first_reading_of_a_day_counts() -> None:
    assert until("80/78 80/83") == []
    assert until("80/83 82/80") == ["1-2-2 lasts"]


def test_a_day_is_that_of_the_wearer() -> None:
    late = [weighed(1, 80, "23:59"), weighed(2, 82, "00:00"), weighed(2, 80, "07:00")]

    assert spells(find(late, last=2)) == ["1-2-2 lasts"]


@pytest.mark.parametrize(
    ("values", "expected", "others"),
    [
        ("80 80 85", ["2-3-3 lasts"], []),
        ("80 80 85.1", [], [3]),
        ("80 80 62 80", [], [3]),
        ("80 80 _ 90", ["1-4-4 lasts"], []),
        ("80 80 _ 90.1", [], [4]),
        ("80 80 62/82 80", ["2-3-4 recovered"], [3]),
        ("62 80 80 81.5", ["3-4-4 lasts"], [2]),
        ("80 80 80 95 96 97", [], [4, 5, 6]),
    ],
)
def test_more_than_anybody_gains_in_that_time_is_somebody_else(
    values: str, expected: list[str], others: list[int]
) -> None:
    found = find(written(values), last=len(values.split()))

    told = [
        day_of(datetime.combine(each.day, time(), VIENNA))
        for each in found.tallies
        if NotJudged.SOMEBODY_ELSE in each.not_judged
    ]
    assert (spells(found), told) == (expected, others)


def test_of_two_readings_that_lie_too_far_apart_neither_is_a_gain() -> None:
    assert until("80 95") == until("95 80") == []


def test_what_a_scale_says_is_never_held_against_another() -> None:
    other = replace(SCALE, device=Device(id="s-2", name="Old scale"))
    points = [*written("80 _ 80"), *written("_ 82 _ 82", 1)]

    assert spells(find(points, SCALE, other)) == []
    assert spells(find(points, SCALE, SCALE, last=4)) == [
        "1-2-3 recovered",
        "3-4-4 lasts",
    ]


def test_a_scale_is_told_by_its_id_and_else_by_its_name() -> None:
    def opens(one: Device, other: Device, source: str = "withings") -> bool:
        voices = Voice("withings", device=one), Voice(source, device=other)
        points = [weighed(1, 80), weighed(2, 82, voice=1)]
        return bool(find(points, *voices, last=2).episodes)

    assert opens(Device(id="1", name="A"), Device(id="1", name="B"))
    assert not opens(Device(id="1", name="A"), Device(id="2", name="A"))
    assert opens(Device(name="A"), Device(name="A"))
    assert not opens(Device(name="A"), Device(name="B"))
    assert not opens(Device(id="1"), Device(id="1"), "fitbit")


def test_one_gain_on_two_scales_is_one() -> None:
    other = replace(SCALE, device=Device(id="s-2", name="Old scale"))
    both = [*written("80 80 82"), *written("80 80.5 80.5 82.5", 1)]

    assert spells(find(both, SCALE, other, last=4)) == ["2-3-3 lasts"]


def test_a_gain_on_another_scale_after_the_first_is_over_is_another() -> None:
    other = replace(SCALE, device=Device(id="s-2", name="Old scale"))
    points = [*written("80 82 80"), *written("_ _ _ 80 82", 1)]

    assert spells(find(points, SCALE, other, last=5)) == [
        "1-2-3 recovered",
        "4-5-5 lasts",
    ]


@pytest.mark.parametrize(
    "flag",
    [Flag.MANUAL, Flag.DAY_TOTAL, Flag.GROUPED, Flag.BELOW, Flag.ABOVE],
)
def test_what_is_typed_or_of_an_unknown_time_is_no_weighing(flag: Flag) -> None:
    points = [weighed(1, 80), weighed(2, 84, flags=flag)]

    assert find(points, last=2).episodes == []
    assert len(find(points, last=2).tallies) == 1


@pytest.mark.parametrize(
    ("stat", "opens"),
    [(Stat.MEAN, True), (Stat.MIN, False), (Stat.MAX, False), (Stat.MEDIAN, False)],
)
def test_the_least_and_the_greatest_of_some_time_is_no_weighing(
    stat: Stat, opens: bool
) -> None:
    points = [weighed(1, 80), weighed(2, 84, stat=stat)]

    assert bool(find(points, last=2).episodes) is opens


def test_what_became_of_each_day_is_told() -> None:
    found = find(written("80 80.5 62/80.5 _ 82.5"), last=5)

    def day(number: int) -> date:
        return FIRST + timedelta(days=number - 1)

    assert found.tallies == [
        DayTally("weight-gain", day(1), "withings", 0, {NotJudged.TOO_FEW_DAYS: 1}),
        DayTally("weight-gain", day(2), "withings", 1),
        DayTally("weight-gain", day(3), "withings", 1, {NotJudged.SOMEBODY_ELSE: 1}),
        DayTally("weight-gain", day(5), "withings", 1, {}, 1),
    ]


def test_the_days_of_all_scales_of_a_source_are_told_together() -> None:
    other = replace(SCALE, device=Device(id="s-2", name="Old scale"))
    points = [*written("80 82"), *written("70 72", 1)]

    found = find(points, SCALE, other, last=2)

    assert [(each.judged, each.opened) for each in found.tallies] == [(0, 0), (2, 2)]
    assert found.tallies[0].not_judged == {NotJudged.TOO_FEW_DAYS: 2}


def test_what_could_not_be_judged_of_several_scales_is_told_together() -> None:
    other = replace(SCALE, device=Device(id="s-2", name="Old scale"))
    points = [*written("_ 80"), *written("70 70 70", 1), weighed(2, 95, "07:05", 1)]

    found = find(points, SCALE, other, last=2)

    assert found.tallies[1].not_judged == {
        NotJudged.TOO_FEW_DAYS: 1,
        NotJudged.SOMEBODY_ELSE: 1,
    }


def test_days_before_the_first_have_a_say_and_no_episode() -> None:
    points = written("80 82 82.5")

    assert spells(find(points, first=3, last=3)) == ["1-3-3 lasts"]
    assert len(find(points, first=3, last=3).tallies) == 1


def test_a_detector_that_is_not_in_force_yet_opens_nothing() -> None:
    later = replace(WEIGHT, effective=FIRST + timedelta(days=2))

    assert spells(find(written("80 82"), of=later)) == []
    assert spells(find(written("80 82 82.5"), of=later, last=3)) == ["1-3-3 lasts"]


@pytest.mark.parametrize("kind", [list, reversed, lambda points: [*points, *points]])
def test_the_order_and_the_number_of_copies_make_no_difference(kind: object) -> None:
    points = written("80 80/62 82 82/80 80")

    assert callable(kind)
    assert find(list(kind(points))) == find(points)
    assert find(points).episodes


def test_a_device_is_named_by_its_name_and_else_by_its_id() -> None:
    for device, shown in ((Device("s-1", "Body+"), "Body+"), (Device("s-1"), "s-1")):
        (episode,) = find(written("80 82"), Voice("w", device=device), last=2).episodes

        assert (episode.device, episode.source) == (shown, "w")


def test_the_coverage_of_a_gain_is_the_share_of_days_with_a_reading() -> None:
    (episode,) = find(written("80 _ 80.7 82"), last=4).episodes

    assert (episode.n, episode.coverage) == (3, 0.75)
