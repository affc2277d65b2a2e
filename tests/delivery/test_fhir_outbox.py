"""Of the outbox a FHIR server has each episode once, however it behaves."""

import threading
from collections import Counter
from datetime import UTC

import pytest

from cds_service.delivery.dispatcher import Dispatcher, Surroundings
from cds_service.delivery.fhir import FhirSender
from cds_service.store.outbox.backlog import Chosen
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue

from ..waiting import PATIENCE
from .conftest import Clock, Deliver, alerts, take_in
from .fhir_simulator import DROPPED, MUTE, WELL, Hospital
from .test_fhir import MODES, SECONDS, telling_to


def misbehave(number: int, kind: str) -> str:
    """Refuse a third, and now and then commit and say nothing."""
    if number % 3 == 0:
        refusals = ("503", "429", "422" if kind == "Observation" else "500")
        return refusals[number // 3 % 3]
    if number % 205 == 1:
        return MUTE
    return DROPPED if number % 23 == 1 else WELL


def tell_all(store: Store, clock: Clock, sender: FhirSender) -> int:
    """Tell until nothing waits, as an operator who has retried what was given up."""
    gate = ConsentGate(Catalogue(), UTC, assumed=True)
    around = Surroundings(lambda tenant: gate, clock, chance=lambda: 0.0)
    retried = 0
    for _ in range(600):
        dispatcher = Dispatcher(store.outbox, sender, around)
        dispatcher.start(once=True)
        dispatcher.join()
        clock.turn(minutes=10)
        (backlog,) = store.outbox_desk.backlogs(clock())
        if backlog.dead:
            event = AuditEvent(clock(), "delivery", "north", "operator")
            retried += store.outbox_desk.retry(Chosen(destination="ehr"), event)
        elif not backlog.waiting:
            return retried
    raise AssertionError(backlog)


@pytest.mark.parametrize("update_create", MODES)
def test_200_episodes_are_200_observations_at_the_hospital(
    store: Store, clock: Clock, update_create: bool
) -> None:
    hospital = Hospital(update_create, fault=misbehave)
    told = alerts(patients=20, each=10, device="Watch")
    with telling_to(hospital, seconds=SECONDS) as sender:
        take_in(store, told)
        retried = tell_all(store, clock, sender)
        there = {each["id"] for each in hospital.all("Observation")}
        first = hospital.by_status()

        clock.turn(hours=1)
        take_in(
            store,
            [*alerts(20, 3, rev=1, value=150.0, unit="/min", device="Watch")],
            clock(),
        )
        retracted = [each for each in alerts(20, 5, rev=2, status="retracted")]
        take_in(store, [it for it in retracted if it.id >= "a003"], clock())
        tell_all(store, clock, sender)

    assert first == {"final": 200}
    assert retried
    assert hospital.by_status() == {
        "final": 100,
        "amended": 60,
        "entered-in-error": 40,
    }
    assert {each["id"] for each in hospital.all("Observation")} == there
    assert Counter(
        each["subject"]["reference"] for each in hospital.all("Observation")
    ) == {f"Patient/p{number:03}": 10 for number in range(20)}
    assert len(hospital.all("Device")) == 20
    assert len(hospital.all("Provenance")) == 200


def test_a_patients_episodes_reach_the_hospital_in_their_order(
    store: Store, deliver: Deliver
) -> None:
    hospital = Hospital()
    with telling_to(hospital) as sender:
        take_in(store, alerts(patients=4, each=6))
        deliver(sender)

    for patient in range(4):
        times = [
            each["effectivePeriod"]["start"]
            for each in hospital.all("Observation")
            if each["subject"]["reference"] == f"Patient/p{patient:03}"
        ]
        assert times == sorted(times) and len(times) == 6


def test_a_deliverer_that_dies_every_ten_seconds_tells_it_all_the_same(
    store: Store, clock: Clock
) -> None:
    hospital = Hospital(False)
    gate = ConsentGate(Catalogue(), UTC, assumed=True)
    around = Surroundings(lambda tenant: gate, clock, chance=lambda: 0.0)
    take_in(store, alerts(patients=1, each=1))
    (lane,) = store.outbox.claim("ehr", 1, clock())
    assert store.outbox.begin(lane, gate, clock()), "and died before it was sent"
    clock.turn(minutes=10)

    for _ in range(3):
        with telling_to(hospital) as sender:
            dispatcher = Dispatcher(store.outbox, sender, around)
            dispatcher.start(once=True)
            dispatcher.join()
        clock.turn(seconds=10)

    assert len(hospital.standing()) == 1
    (backlog,) = store.outbox_desk.backlogs(clock())
    assert (backlog.waiting, backlog.sent) == (0, 1)


def test_a_slow_hospital_is_told_by_several_connections_at_once(
    store: Store, deliver: Deliver
) -> None:
    together = threading.Barrier(8, timeout=PATIENCE)
    hospital = Hospital(kinds=("Observation",), before=together.wait)
    with telling_to(hospital) as sender:
        take_in(store, alerts(patients=8, each=1))
        deliver(sender, connections=8)

    assert len(hospital.standing()) == 8
