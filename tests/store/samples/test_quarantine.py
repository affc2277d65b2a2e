"""Quarantine: held in bounds, the oldest kept, released once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cds_service.store.records import AuditEvent, Intake, Outdated, TakenIn
from cds_service.store.samples.records import (
    HeldBatch,
    QuarantineLimits,
    SampleBatch,
    UnknownWearer,
)
from cds_service.store.store import Store
from cds_service.wearables.held import Holdable
from cds_service.wearables.samples import Notice, Removal, Sample

from .conftest import EIGHT, JANE, NOW
from .test_links import EVENT, kept

SOMEBODY = UnknownWearer("north", "cloud", "u-9", "w-9")
FEW = QuarantineLimits(per_wearer=3, whole=5)
MakeSample = Callable[..., Sample]


def hold(store: Store, *items: Holdable, wearer: UnknownWearer = SOMEBODY) -> list[str]:
    intake = Intake(held=(HeldBatch(wearer, "garmin", items),), limits=FEW)
    return outcomes(store.take_in(intake, AuditEvent(NOW, "delivery"), NOW))


def outcomes(taken: TakenIn) -> list[str]:
    return [str(each) for batch in (*taken.samples, *taken.held) for each in batch]


def test_what_is_held_is_listed_and_shown(
    store: Store, make_sample: MakeSample
) -> None:
    notice = Notice("low-heart-rate", "n-1", EIGHT + timedelta(hours=1), None)
    told = [make_sample(), notice, Removal(source_id="r-1")]

    assert hold(store, *told) == ["quarantined"] * 3

    (summary,) = store.quarantine.wearers("north")
    assert (summary.wearer, summary.items, summary.since) == (SOMEBODY, 3, NOW)
    assert (summary.first, summary.last) == (EIGHT, notice.start)
    items = store.quarantine.items(SOMEBODY)
    assert [each.item for each in items] == told
    assert {each.format for each in items} == {"garmin"}
    assert store.quarantine.wearers("south") == ()
    assert store.quarantine.items(SOMEBODY, after=items[0].id, most=1) == items[1:2]


def test_the_same_again_takes_no_room_and_a_newer_revision_its_place(
    store: Store, make_sample: MakeSample
) -> None:
    hold(store, make_sample(value=70, revision=1))

    assert hold(store, make_sample(value=70, revision=1)) == ["duplicate"]
    assert hold(store, make_sample(value=71, revision=2)) == ["duplicate"]
    assert hold(store, make_sample(value=69, revision=0)) == ["outdated"]

    (item,) = store.quarantine.items(SOMEBODY)
    assert item.item == make_sample(value=71, revision=2)


def test_of_one_wearer_so_many_are_held_and_the_oldest_stay(
    store: Store, make_sample: MakeSample
) -> None:
    assert hold(store, *(make_sample(each, each) for each in range(5))) == [
        *("quarantined", "quarantined", "quarantined", "no-room", "no-room"),
    ]
    assert hold(store, make_sample(9)) == ["no-room"]
    assert hold(store, make_sample(0, 0)) == ["duplicate"]

    items = store.quarantine.items(SOMEBODY)
    assert [each.item for each in items] == [
        make_sample(each, each) for each in range(3)
    ]


def test_of_all_wearers_together_so_many_are_held(
    store: Store, make_sample: MakeSample
) -> None:
    others = [SOMEBODY._replace(user=each) for each in ("a", "b")]
    for each in others:
        hold(store, make_sample(0), make_sample(1), wearer=each)

    assert hold(store, make_sample(0), make_sample(1)) == ["quarantined", "no-room"]


def test_what_is_held_is_released_once(store: Store, make_sample: MakeSample) -> None:
    hold(store, make_sample(0, 60.0), make_sample(1, 61.0))
    items = store.quarantine.items(SOMEBODY)
    batch = SampleBatch(JANE, [each.item for each in items])
    intake = Intake(samples=(batch,), released=tuple(each.id for each in items))

    taken = store.take_in(intake, EVENT, NOW)

    assert outcomes(taken) == ["accepted"] * 2
    assert kept(store, JANE.patient) == [60, 61]
    assert store.quarantine.wearers("north") == ()
    with pytest.raises(Outdated):
        store.take_in(intake, EVENT, NOW)


def test_what_somebody_dropped_meanwhile_is_not_released(
    store: Store, make_sample: MakeSample
) -> None:
    hold(store, make_sample())
    (item,) = store.quarantine.items(SOMEBODY)
    assert store.quarantine.drop(SOMEBODY, EVENT) == 1
    batch = SampleBatch(JANE, [make_sample()])

    with pytest.raises(Outdated):
        store.take_in(Intake(samples=(batch,), released=(item.id,)), EVENT, NOW)

    assert kept(store, JANE.patient) == []
    assert store.quarantine.drop(SOMEBODY, EVENT) == 0


def test_what_is_held_is_no_bodys_reading(
    store: Store, make_sample: MakeSample
) -> None:
    hold(store, replace(make_sample(), source_id="r"))

    assert store.samples.arrivals() == ()
