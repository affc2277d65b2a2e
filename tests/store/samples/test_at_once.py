"""Several who write samples at once, on either database: each reading once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from cds_service.store.records import AuditEvent, Intake, Outdated
from cds_service.store.samples.links import LinkOverlaps
from cds_service.store.samples.records import (
    HeldBatch,
    QuarantineLimits,
    SampleBatch,
    StreamOwner,
    UnknownWearer,
)
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Removal, Sample

from .conftest import EIGHT, NOW
from .test_links import EVENT, JANE, JOHN, kept, link

DELIVERY = AuditEvent(NOW, "delivery")
MakeSample = Callable[..., Sample]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as threads:
        return [each.result() for each in [threads.submit(work) for work in works]]


def test_the_same_readings_by_eight_at_once_are_accepted_once(
    store: Store, make_sample: MakeSample
) -> None:
    """In both orders of two patients: who locks in another order would wait."""

    def deliver(hour: int, backwards: bool) -> dict[str, int]:
        told = [make_sample(60 * hour + minute) for minute in range(60)]
        whose = [JOHN, JANE] if backwards else [JANE, JOHN]
        batches = [SampleBatch(StreamOwner(each, "watch"), told) for each in whose]
        return store.take_in(Intake(samples=tuple(batches)), DELIVERY, NOW).count()

    deliver(0, False)
    for hour in range(1, 5):
        done = at_once(
            *(lambda each=n % 2: deliver(hour, bool(each)) for n in range(8))
        )

        assert sum(each.get("accepted", 0) for each in done) == 120
        assert sum(each.get("duplicate", 0) for each in done) == 7 * 120
    assert len(kept(store, JANE)) == len(kept(store, JOHN)) == 300


def test_of_many_revisions_at_once_the_highest_holds(
    store: Store, make_sample: MakeSample
) -> None:
    def deliver(minute: int, revision: int) -> None:
        told = make_sample(minute, 60.0 + revision, revision=revision)
        batch = SampleBatch(StreamOwner(JANE, "watch"), [told])
        store.take_in(Intake(samples=(batch,)), DELIVERY, NOW)

    for minute in range(8):
        deliver(minute, 0)
        revisions = (3, 1, 7, 2, 6, 5, 4)
        at_once(*(lambda each=each: deliver(minute, each) for each in revisions))

    assert kept(store) == [67] * 8


def test_what_is_taken_back_while_it_comes_is_gone(
    store: Store, make_sample: MakeSample
) -> None:
    """Each of a metric of its own, of which there is nothing yet."""
    owner = StreamOwner(JANE, "watch")

    def deliver(*items: Sample | Removal) -> None:
        intake = Intake(samples=(SampleBatch(owner, items),))
        store.take_in(intake, DELIVERY, NOW)

    deliver(make_sample())
    for number in range(20):
        told = make_sample(metric=f"m{number}", source_id=f"r-{number}")
        gone = Removal(source_id=f"r-{number}")
        at_once(lambda: deliver(told), lambda: deliver(gone))

    counted = {each.stream.metric: each.samples for each in store.samples.count(JANE)}
    assert counted.pop("heart-rate") == 1
    assert set(counted.values()) <= {0}


def test_of_two_patients_who_get_one_wearer_at_once_one_is_refused(
    store: Store,
) -> None:
    def add(patient: PatientKey) -> WearerLink | None:
        try:
            return store.links.add(link(patient), EVENT)
        except LinkOverlaps:
            return None

    made = at_once(*(lambda each=each: add(each) for each in (JANE, JOHN) * 4))

    assert {each for each in made if each} == set(store.links.all("north"))
    assert len(store.links.all("north")) == 1


def test_what_is_held_at_once_keeps_to_the_limits(
    store: Store, make_sample: MakeSample
) -> None:
    def hold(number: int) -> dict[str, int]:
        wearer = UnknownWearer("north", "cloud", f"u-{number}", "")
        told = [make_sample(minute) for minute in range(3)]
        held = HeldBatch(wearer, "f", told)
        limits = QuarantineLimits(per_wearer=2, whole=7)
        return store.take_in(Intake(held=(held,), limits=limits), DELIVERY, NOW).count()

    done = at_once(*(lambda each=each: hold(each) for each in range(6)))

    assert sum(each.get("quarantined", 0) for each in done) == 7
    assert sum(each.items for each in store.quarantine.wearers("north")) == 7


def test_what_is_held_is_released_once_by_whoever_is_first(
    store: Store, make_sample: MakeSample
) -> None:
    wearer = UnknownWearer("north", "cloud", "u-9", "")
    held = HeldBatch(wearer, "f", [make_sample(minute) for minute in range(5)])
    store.take_in(Intake(held=(held,)), DELIVERY, NOW)
    items = store.quarantine.items(wearer)

    def release(patient: PatientKey) -> bool:
        owner = StreamOwner(patient, "cloud")
        batch = SampleBatch(owner, [each.item for each in items])
        ids = tuple(each.id for each in items)
        try:
            store.take_in(Intake(samples=(batch,), released=ids), EVENT, NOW)
        except Outdated:
            return False
        return True

    done = at_once(lambda: release(JANE), lambda: release(JOHN))

    assert sorted(done) == [False, True]
    assert sorted([len(kept(store, JANE)), len(kept(store, JOHN))]) == [0, 5]


def test_what_comes_while_its_link_is_taken_back_is_withdrawn_or_refused(
    store: Store, make_sample: MakeSample
) -> None:
    for number in range(10):
        patient = PatientKey("north", "-", f"p{number}")
        made = store.links.add(link(patient, user=f"u-{number}"), EVENT)
        owner = StreamOwner(patient, "cloud", made.id)
        batch = SampleBatch(owner, [make_sample()])

        def deliver() -> None:
            try:
                store.take_in(Intake(links=(made,), samples=(batch,)), DELIVERY, NOW)
            except Outdated:
                pass

        at_once(deliver, lambda: store.links.retract(made.id, EVENT))

        since, until = EIGHT - timedelta(days=1), NOW
        assert store.samples.of(patient, "heart-rate", since, until) == ()
