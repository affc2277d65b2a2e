"""Samples taken in: once, in any order, and the newest revision of each."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.store.samples.bulk import AT_ONCE
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import (
    Context,
    Device,
    Flag,
    Removal,
    Sample,
    Stat,
)

from .conftest import EIGHT, JANE, NOW, Deliver, deliver_batches

MakeSample = Callable[..., Sample]
Rows = Callable[[str], list[dict[str, Any]]]


def values(store: Store, metric: str = "heart-rate") -> list[float]:
    """What is kept of the patient, by time."""
    day = timedelta(days=1)
    kept = store.samples.of(JANE.patient, metric, EIGHT - day, EIGHT + day)
    return [each.sample.value for each in kept]


def test_sixty_readings_are_accepted_and_under_another_key_are_duplicates(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    readings = [make_sample(minute, 70 + minute) for minute in range(60)]

    assert deliver(*readings) == ["accepted"] * 60
    assert deliver(*readings) == ["duplicate"] * 60

    assert values(store) == [70 + minute for minute in range(60)]


def test_a_reading_comes_back_as_it_was_told(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    told = make_sample(
        end=EIGHT + timedelta(minutes=5),
        value=71.5,
        device=Device("w1", "Jane's Watch", "Health"),
        revision=3,
        stat=Stat.MEDIAN,
        context=Context.ASLEEP,
        flags=Flag.MANUAL | Flag.ESTIMATED,
    )

    deliver(told)

    (kept,) = store.samples.of(
        JANE.patient, "heart-rate", EIGHT, EIGHT + timedelta(minutes=1)
    )
    assert kept.sample == told
    assert kept.sample.start.utcoffset() == timedelta(hours=-5)
    assert (kept.source, kept.link, kept.received) == ("watch", 0, NOW)


@pytest.mark.parametrize("bound", [Flag.BELOW, Flag.ABOVE])
def test_a_bound_is_kept_as_one_and_the_number_itself_is_a_revision(
    store: Store, deliver: Deliver, make_sample: MakeSample, bound: Flag
) -> None:
    assert deliver(make_sample(value=40, flags=bound)) == ["accepted"]
    (kept,) = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)
    assert (kept.sample.value, kept.sample.flags) == (40, bound)

    assert deliver(make_sample(value=40, flags=bound)) == ["duplicate"]
    assert deliver(make_sample(value=40)) == ["revised"]
    (kept,) = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)
    assert (kept.sample.value, kept.sample.flags) == (40, Flag(0))


def test_a_clock_that_is_not_known_stays_unknown(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(make_sample(local=False))

    (kept,) = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)

    assert (kept.sample.local, kept.sample.start.utcoffset()) == (False, timedelta(0))


def test_a_clock_that_is_told_later_is_kept_and_changes_nothing_else(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(make_sample(local=False))

    assert deliver(make_sample()) == ["duplicate"]

    (kept,) = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)
    assert (kept.sample.local, kept.sample.start) == (True, EIGHT)


def test_another_value_is_a_revision_and_the_older_is_kept(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(value=72))

    assert deliver(make_sample(value=75)) == ["revised"]

    assert values(store) == [75]
    assert rows("SELECT value, revision FROM sample_revisions") == [
        {"value": 72, "revision": 0}
    ]


def test_a_lower_revision_is_outdated_however_late_it_comes(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(value=75, revision=2))

    assert deliver(make_sample(value=72, revision=1)) == ["outdated"]

    assert values(store) == [75]
    assert rows("SELECT value FROM sample_revisions") == []


def test_the_same_value_in_a_higher_revision_outdates_what_is_between(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(make_sample(value=72, revision=1))

    assert deliver(make_sample(value=72, revision=3)) == ["duplicate"]
    assert deliver(make_sample(value=75, revision=2)) == ["outdated"]

    assert values(store) == [72]


def test_what_one_delivery_tells_twice_is_judged_in_its_order(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    told = [make_sample(value=each) for each in (72, 72, 75)]

    assert deliver(*told) == ["accepted", "duplicate", "revised"]

    assert values(store) == [75]


def test_a_reading_that_has_an_id_may_move_in_time(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(0, source_id="r-1", revision=1))

    assert deliver(make_sample(5, source_id="r-1", revision=2)) == ["revised"]

    (kept,) = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)
    assert kept.sample.start == EIGHT + timedelta(minutes=5)
    assert len(rows("SELECT start_us FROM sample_revisions")) == 1


def test_two_devices_of_one_source_at_one_minute_are_two_readings(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    told = [make_sample(device=Device(each)) for each in ("w1", "w2")]

    assert deliver(*told) == ["accepted"] * 2
    assert len(values(store)) == 2


def test_two_sources_at_one_minute_are_both_kept(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(make_sample(value=72))
    deliver(make_sample(value=74), owner=JANE._replace(source="phone"))

    kept = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)

    assert [(each.source, each.sample.value) for each in kept] == [
        *(("phone", 74), ("watch", 72)),
    ]


def test_the_total_of_a_day_is_beside_the_readings_of_that_day(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    day = {"end": EIGHT + timedelta(days=1), "stat": Stat.TOTAL}

    assert deliver(
        make_sample(value=6000, **day),
        make_sample(value=6120, **day, flags=Flag.DAY_TOTAL),
    ) == ["accepted", "accepted"]


def test_what_a_source_takes_back_by_id_is_gone_and_kept_beside(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(source_id="r-1"), make_sample(1, source_id="r-2"))

    assert deliver(Removal(source_id="r-1")) == ["removed"]
    assert deliver(Removal(source_id="r-1")) == ["duplicate"]

    assert len(values(store)) == 1
    assert len(rows("SELECT key FROM sample_revisions")) == 1


@pytest.mark.parametrize("metric", ["heart-rate", ""])
def test_what_was_taken_back_before_it_came_never_appears(
    store: Store, deliver: Deliver, make_sample: MakeSample, metric: str
) -> None:
    deliver(Removal(source_id="r-1", metric=metric, revision=5))

    assert deliver(make_sample(source_id="r-1", revision=5)) == ["outdated"]
    assert values(store) == []
    assert deliver(make_sample(source_id="r-1", revision=6)) == ["accepted"]


def test_a_metric_is_taken_back_in_an_interval_and_no_other(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    readings = [make_sample(minute, minute) for minute in range(5)]
    steps = make_sample(2, metric="steps", unit="{steps}")
    deliver(*readings, steps)

    gone = Removal(metric="heart-rate", start=readings[1].start, end=readings[3].start)
    assert deliver(gone) == ["removed"]

    assert values(store) == [0, 3, 4]
    assert values(store, "steps") == [72]
    assert deliver(*readings) == [
        *("duplicate", "outdated", "outdated", "duplicate", "duplicate"),
    ]


def test_an_interval_takes_back_more_than_one_statement_holds(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    second = timedelta(seconds=1)
    deliver(*(make_sample(start=EIGHT + second * n, end=EIGHT + second * n)
              for n in range(AT_ONCE + 10)))  # fmt: skip

    deliver(Removal(metric="heart-rate", start=EIGHT, end=EIGHT + second * AT_ONCE))

    assert len(values(store)) == 10


def test_of_one_revision_the_removal_holds_whichever_came_first(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    reading, gone = make_sample(source_id="r-1"), Removal(source_id="r-1")

    assert deliver(gone, reading) == ["removed", "outdated"]
    assert values(store) == []


def test_several_patients_of_one_delivery_keep_apart(
    store: Store, make_sample: MakeSample
) -> None:
    john = StreamOwner(PatientKey("north", "-", "john"), "watch")
    batches = [
        SampleBatch(JANE, [make_sample(value=72)]),
        SampleBatch(john, [make_sample(value=99), make_sample(1, value=98)]),
    ]

    assert deliver_batches(store, "k", batches) == ["accepted"] * 3

    assert values(store) == [72]


def test_another_unit_of_a_metric_is_another_stream(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    glucose = {"metric": "glucose"}
    deliver(make_sample(value=90, unit="mg/dL", **glucose))
    deliver(make_sample(value=5, unit="mmol/L", **glucose))

    kept = store.samples.of(JANE.patient, "glucose", EIGHT, NOW)

    assert {(each.sample.value, each.sample.unit) for each in kept} == {
        *((90.0, "mg/dL"), (5.0, "mmol/L")),
    }


def test_readings_that_differ_in_everything_are_told_apart(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    """And those that differ in nothing but their time, which are told shorter."""
    told = [
        make_sample(0, 60.0),
        make_sample(
            1,
            61.5,
            end=EIGHT + timedelta(minutes=3),
            local=False,
            device=Device("w2", "Ring"),
            source_id="r-1",
            revision=7,
            stat=Stat.MAX,
            context=Context.REST,
            flags=Flag.GROUPED,
        ),
        make_sample(2, 60.0),
    ]

    deliver(*told)

    kept = store.samples.of(JANE.patient, "heart-rate", EIGHT, NOW)
    assert [each.sample for each in kept] == [
        *(told[0], replace(told[1], source_id=""), told[2]),
    ]


def test_a_delivery_of_one_metric_is_no_news_of_another(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(), make_sample(metric="steps", unit="{steps}"))
    deliver(make_sample(1), at=NOW + timedelta(minutes=1))

    heard = rows("SELECT DISTINCT received_us FROM sample_streams")
    assert len(heard) == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_what_comes_after_all_else_and_before_is_looked_up_alike(
    store: Store, deliver: Deliver, make_sample: MakeSample, order: tuple[int, ...]
) -> None:
    told = [make_sample(minute) for minute in order]

    assert deliver(*told[:2]) == ["accepted"] * 2
    assert deliver(*told, *told) == [
        *("duplicate", "duplicate", "accepted"),
        *("duplicate", "duplicate", "duplicate"),
    ]


def test_the_answer_is_made_of_what_became_of_the_items_and_repeated(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    deliver(make_sample(), make_sample(1))

    (row,) = rows("SELECT status, body FROM deliveries")
    assert row == {"status": 202, "body": "{'accepted': 2}"}


def test_how_many_there_are_and_when_a_source_was_heard(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(*(make_sample(minute) for minute in (3, 0)))
    deliver(make_sample(metric="steps", unit="{steps}"), at=NOW + timedelta(minutes=1))

    heart, steps = store.samples.count(JANE.patient)

    assert (heart.stream.metric, heart.samples) == ("heart-rate", 2)
    assert (heart.first, heart.last) == (EIGHT, EIGHT + timedelta(minutes=3))
    assert store.samples.count(JANE.patient, "steps") == (steps,)
    (heard,) = store.samples.arrivals()
    assert (heard.tenant, heard.source) == ("north", "watch")
    assert heard.received == NOW + timedelta(minutes=1)
    assert heard.newest == EIGHT + timedelta(minutes=3)


def told(number: int) -> Sample | Removal:
    """One of 48 things that a source may say; a revision of a reading says one."""
    which, revision, kind = number % 3, number // 3 % 4, number // 12
    start = EIGHT + timedelta(minutes=which)
    if kind == 0:
        return Removal(source_id=f"id-{which}", revision=revision)
    if kind == 1:
        end = EIGHT + timedelta(minutes=2)
        return Removal(metric="m", start=start, end=end, revision=revision)
    moved = start + timedelta(seconds=revision if kind == 2 else 0)
    name = f"id-{which}" if kind == 2 else ""
    value = 70 + revision // 2
    return Sample("m", value, "1", moved, moved, source_id=name, revision=revision)


SAYINGS = st.lists(st.integers(0, 47), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAYINGS, data=st.data())
def test_any_order_split_and_repetition_leaves_the_same_samples(
    store: Store, deliver: Deliver, said: list[int], data: st.DataObject
) -> None:
    repeated = said + data.draw(st.lists(st.sampled_from(said), max_size=6))
    otherwise = data.draw(st.permutations(repeated))
    cuts = data.draw(st.lists(st.integers(0, len(otherwise)), max_size=4))
    first, second = (PatientKey("north", "-", str(uuid4())) for _ in range(2))

    for patient, sayings, ends in ((first, said, []), (second, otherwise, cuts)):
        edges = [0, *sorted(ends), len(sayings)]
        for start, end in zip(edges, edges[1:]):
            items = map(told, sayings[start:end])
            deliver(*items, owner=StreamOwner(patient, "watch"))

    kept = [store.samples.of(each, "m", EIGHT, NOW) for each in (first, second)]
    assert kept[0] == kept[1]
