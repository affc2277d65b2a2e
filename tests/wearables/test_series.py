"""Of several sources at one minute, the one that the metric prefers counts."""

from datetime import UTC, datetime, timedelta, timezone

from cds_service.wearables.samples import Device, Flag, Sample, Stat
from cds_service.wearables.series import (
    Point,
    Series,
    Voice,
    chosen,
    series_of,
    voices_in_order,
)

MINUTE = 60_000_000
NOON = 1_795_348_800_000_000
"""2026-11-22T12:00:00Z."""
Told = tuple[str, str, Point]
"""By which source, and which of its devices."""


def at(
    source: str,
    minute: float,
    value: float,
    length: float = 0,
    flags: Flag = Flag(0),
    device: str = "",
) -> Told:
    start = NOON + round(minute * MINUTE)
    end = start + round(length * MINUTE)
    stat = Stat.TOTAL if length else Stat.INSTANT
    return source, device, Point(start, end, value, 0, stat, flags=flags)


def values(told: list[Told], *priority: str) -> list[float]:
    tellers = list(dict.fromkeys((source, device) for source, device, _ in told))
    voices = [Voice(source, device=Device(name=name)) for source, name in tellers]
    points = [
        point._replace(voice=tellers.index((source, device)))
        for source, device, point in sorted(told, key=lambda each: each[2].start_us)
    ]
    series = voices_in_order(Series("m", voices, points), priority)
    return [each.value for each in chosen(series)]


def test_of_one_minute_the_preferred_source_counts() -> None:
    told = [at("phone", 0.2, 70), at("watch", 0.7, 72)]

    assert values(told, "watch", "phone") == [72]
    assert values(told, "phone", "watch") == [70]


def test_all_that_the_preferred_source_tells_of_a_minute_counts() -> None:
    told = [at("watch", 0.5, 72), at("watch", 0.1, 71), at("phone", 0.3, 70)]

    assert values(told, "watch") == [71, 72]


def test_a_gap_of_the_one_is_filled_by_the_other() -> None:
    told = [at("watch", 0, 72), at("phone", 0, 70), at("phone", 1, 69)]

    assert values(told, "watch") == [72, 69]


def test_who_is_not_named_comes_last_and_by_name() -> None:
    told = [at("b", 0, 1), at("a", 0, 2), at("named", 0, 3), at("b", 1, 4)]

    assert values(told, "named") == [3, 4]
    assert values(told[:2]) == [2]


def test_an_interval_counts_only_where_none_of_its_minutes_is_told_better() -> None:
    told = [
        at("phone", 0, 100, length=10),
        at("phone", 10, 90, length=10),
        at("watch", 9, 12, length=1),
    ]

    assert values(told, "watch", "phone") == [12, 90]


def test_what_ends_where_another_begins_does_not_meet_it() -> None:
    told = [at("phone", 0, 100, length=5), at("watch", 5, 12, length=1)]

    assert values(told, "watch") == [100, 12]


def test_a_total_of_the_day_neither_hides_nor_is_hidden_by_its_minutes() -> None:
    day = Flag.DAY_TOTAL
    told = [
        at("phone", 0, 6000, 1440, day),
        at("watch", 0, 6120, 1440, day),
        at("watch", 3, 40, 1),
        at("phone", 4, 30, 1),
    ]

    assert values(told, "watch") == [6120, 40, 30]


def test_of_devices_of_one_source_the_one_that_tells_of_more_minutes_counts() -> None:
    told = [
        at("app", 0, 1, device="armband"),
        *(at("app", minute, 2, device="watch") for minute in (0, 1, 2)),
        at("app", 15, 3, device="armband"),
    ]

    assert values(told) == [2, 2, 2, 3]


def test_of_devices_that_tell_of_as_much_the_first_by_name_counts() -> None:
    told = [
        *(at("app", minute, 2, device="watch") for minute in (0, 1)),
        *(at("app", minute, 1, device="phone") for minute in (0, 1)),
    ]

    assert values(told) == [1, 1]


def test_no_minute_is_counted_twice_where_devices_take_turns() -> None:
    told = [
        at("app", 10, 100, length=10, device="watch"),
        at("app", 15, 40, length=5, device="phone"),
        at("app", 20, 40, length=5, device="phone"),
    ]

    assert values(told) == [40, 40]


def test_what_counts_does_not_depend_on_what_stands_before_it() -> None:
    told = [at("b", 0, 2), at("a", 0, 1), at("b", 0.5, 3)]

    assert values(told) == values(told[::-1]) == [1]


def test_voices_that_stand_in_their_order_stay() -> None:
    series = Series("m", [Voice("a"), Voice("b")], [Point(NOON, NOON, 1, 1)])

    assert voices_in_order(series, ["a"]) is series


def test_samples_of_a_file_are_series_by_metric_and_device() -> None:
    at = datetime(2026, 11, 22, 7, tzinfo=timezone(timedelta(hours=-5)))
    watch = Device("w-1", "Watch")
    samples = [
        Sample("hr", 72, "/min", at + timedelta(minutes=1), at, device=watch),
        Sample("hr", 70, "/min", at, at, local=True),
        Sample("steps", 40, "{steps}", at, at + timedelta(minutes=1), stat=Stat.TOTAL),
    ]

    found = series_of(samples, "file")

    assert found["hr"].voices == [Voice("file", device=watch), Voice("file")]
    assert [
        (each.start_us, each.value, each.voice, each.offset_s)
        for each in found["hr"].points
    ] == [(NOON, 70, 1, -18_000), (NOON + MINUTE, 72, 0, None)]
    assert found["steps"].points == [
        Point(NOON, NOON + MINUTE, 40, 0, Stat.TOTAL, offset_s=None)
    ]


def test_of_a_sample_that_is_told_again_the_highest_revision_holds() -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    first, second, third = (
        Sample("hr", value, "/min", at, at, revision=revision)
        for value, revision in [(70, 1), (80, 2), (75, 2)]
    )

    def value(*samples: Sample) -> list[float]:
        return [each.value for each in series_of(samples, "file")["hr"].points]

    assert value(first, second) == value(second, first) == [80]
    assert value(first, second, third) == [75]
