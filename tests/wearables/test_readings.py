"""Of several sources at one minute, the one that the metric prefers counts."""

from datetime import UTC, datetime, timedelta

from cds_service.wearables.readings import KeptSample, choose
from cds_service.wearables.samples import Flag, Sample, Stat

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(
    source: str, minute: float, value: float, length: float = 0, flags: Flag = Flag(0)
) -> KeptSample:
    start = NOON + timedelta(minutes=minute)
    end = start + timedelta(minutes=length)
    stat = Stat.TOTAL if length else Stat.INSTANT
    sample = Sample("m", value, "1", start, end, stat=stat, flags=flags)
    return KeptSample(sample, source, 0, NOON)


def values(kept: list[KeptSample], *priority: str) -> list[float]:
    return [each.sample.value for each in choose(kept, priority)]


def test_of_one_minute_the_preferred_source_counts() -> None:
    kept = [at("phone", 0.2, 70), at("watch", 0.7, 72)]

    assert values(kept, "watch", "phone") == [72]
    assert values(kept, "phone", "watch") == [70]


def test_all_that_the_preferred_source_tells_of_a_minute_counts() -> None:
    kept = [at("watch", 0.5, 72), at("watch", 0.1, 71), at("phone", 0.3, 70)]

    assert values(kept, "watch") == [71, 72]


def test_a_gap_of_the_one_is_filled_by_the_other() -> None:
    kept = [at("watch", 0, 72), at("phone", 0, 70), at("phone", 1, 69)]

    assert values(kept, "watch") == [72, 69]


def test_who_is_not_named_comes_last_and_by_name() -> None:
    kept = [at("b", 0, 1), at("a", 0, 2), at("named", 0, 3), at("b", 1, 4)]

    assert values(kept, "named") == [3, 4]
    assert values(kept[:2]) == [2]


def test_an_interval_counts_only_where_none_of_its_minutes_is_told_better() -> None:
    kept = [
        at("phone", 0, 100, length=10),
        at("phone", 10, 90, length=10),
        at("watch", 9, 12, length=1),
    ]

    assert values(kept, "watch", "phone") == [12, 90]


def test_what_ends_where_another_begins_does_not_meet_it() -> None:
    kept = [at("phone", 0, 100, length=5), at("watch", 5, 12, length=1)]

    assert values(kept, "watch") == [100, 12]


def test_a_total_of_the_day_neither_hides_nor_is_hidden_by_its_minutes() -> None:
    day = Flag.DAY_TOTAL
    kept = [
        at("phone", 0, 6000, 1440, day),
        at("watch", 0, 6120, 1440, day),
        at("watch", 3, 40, 1),
        at("phone", 4, 30, 1),
    ]

    assert values(kept, "watch") == [6120, 40, 30]
