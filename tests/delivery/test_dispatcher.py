"""Destinations are told in order, once, however they and we behave."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.records import Declined, Later, Reply, Uncertain
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.telling import Telling

from ..waiting import PATIENCE, until
from .conftest import NOW, Clock, Deliver, alerts, take_in
from .hostile import HostileDestination, OtherSide

CHILD = [sys.executable, "-m", "tests.delivery.hostile"]


def things(other: OtherSide) -> list[tuple[str, str]]:
    return [(patient, thing) for patient, thing, _, _ in other.taken()]


def states(store: Store) -> dict[str, int]:
    (backlog,) = store.outbox_desk.backlogs(NOW + timedelta(days=9))
    counts = (backlog.waiting, backlog.withheld, backlog.dead)
    return dict(zip(("waiting", "withheld", "dead"), counts))


def test_each_patient_is_told_of_in_order(
    store: Store, other: OtherSide, deliver: Deliver
) -> None:
    take_in(store, alerts(patients=5, each=6))

    dispatcher = deliver(HostileDestination(other, seconds=0.005))

    assert dispatcher.progress.sent == 30
    for patient in range(5):
        own = [thing for whose, thing in things(other) if whose == f"p{patient:03}"]
        assert own == [f"watch|a{number:03}" for number in range(6)]
    assert states(store) == {"waiting": 0, "withheld": 0, "dead": 0}


def test_connections_tell_of_several_patients_at_once(
    store: Store, other: OtherSide, deliver: Deliver
) -> None:
    take_in(store, alerts(patients=4, each=1))
    together = threading.Barrier(4, timeout=PATIENCE)

    def meet(telling: Telling) -> Reply | None:
        together.wait()
        return None

    deliver(HostileDestination(other, before=meet), connections=4)

    assert len(things(other)) == 4


def test_what_is_refused_is_given_up_and_the_rest_is_told(
    store: Store, other: OtherSide, deliver: Deliver
) -> None:
    take_in(store, alerts(patients=2, each=3))

    def refuse(telling: Telling) -> Reply | None:
        return Declined("no such code") if telling.key == "watch|a001" else None

    deliver(HostileDestination(other, before=refuse))

    assert Counter(thing for _, thing in things(other)) == {
        "watch|a000": 2,
        "watch|a002": 2,
    }
    assert states(store) == {"waiting": 0, "withheld": 0, "dead": 2}


def test_who_commits_after_our_time_out_has_it_once(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=3, each=2))
    late = HostileDestination(other, after=lambda telling: Uncertain("no answer"))
    deliver(late)

    clock.turn(minutes=1)
    deliver(HostileDestination(other))
    clock.turn(minutes=1)
    deliver(HostileDestination(other))

    assert sorted(things(other)) == sorted(set(things(other)))
    assert len(things(other)) == 6
    assert states(store)["waiting"] == 0


def test_what_broke_off_here_is_looked_for_there(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=1, each=1))

    def break_off(telling: Telling) -> Reply | None:
        raise RuntimeError("a bug, and a name")

    said = []

    def log(event: str, **facts: Any) -> None:
        said.append((event, facts["problem"], facts["at"][0].partition(":")[0]))

    deliver(HostileDestination(other, after=break_off), log=log)
    assert {*said} == {("delivery failed", "RuntimeError", "dispatcher.py")}
    clock.turn(minutes=1)
    deliver(HostileDestination(other))

    assert things(other) == [("p000", "watch|a000")]


def test_after_eight_tries_it_is_given_up_where_others_are_taken(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=1, each=1))
    good = alerts(patients=2, each=9)[3::2]

    def busy(telling: Telling) -> Reply | None:
        patient = telling.identity.patient.patient_id
        return Later("500") if patient == "p000" else None

    destination = HostileDestination(other, before=busy)
    for each in good[:8]:
        assert states(store)["dead"] == 0
        take_in(store, [each], clock())
        deliver(destination, connections=1, chance=1.0)
        clock.turn(minutes=10)

    assert states(store)["dead"] == 1
    assert sum(busy(each) is not None for each in destination.asked) == 8


def test_what_is_only_looked_for_wears_out_neither_thing_nor_destination(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=1, each=1))
    not_yet = Uncertain("not found yet", looked=True)
    looking = HostileDestination(other, before=lambda telling: not_yet)

    for _ in range(20):
        deliver(looking)
        clock.turn(seconds=3)

    assert len(looking.asked) == 20
    assert states(store) == {"waiting": 1, "withheld": 0, "dead": 0}
    assert store.outbox.health("ehr").failures == 0
    deliver(HostileDestination(other))
    assert things(other) == [("p000", "watch|a000")]


def test_after_a_day_of_looking_it_is_given_up(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=1, each=1))
    not_yet = Uncertain("not found yet", looked=True)
    looking = HostileDestination(other, before=lambda telling: not_yet)

    deliver(looking)
    clock.turn(hours=25)
    deliver(looking)

    assert states(store)["dead"] == 1


def test_after_a_day_it_is_given_up(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=1, each=1))
    down = HostileDestination(other, before=lambda telling: Later("down"))
    deliver(down, chance=1.0)

    clock.turn(hours=23, minutes=59)
    deliver(down, chance=1.0)
    before = states(store)
    clock.turn(minutes=20)
    deliver(down, chance=1.0)

    assert before["dead"] == 0
    assert states(store)["dead"] == 1


def test_a_destination_that_is_down_is_left_alone(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=50, each=1))
    down = HostileDestination(other, before=lambda telling: Later("refused"))

    deliver(down, connections=1, chance=1.0)
    first = len(down.asked)
    clock.turn(seconds=6)
    deliver(down, connections=1, chance=1.0)

    assert first == 5
    assert len(down.asked) == 6
    clock.turn(minutes=1)
    deliver(HostileDestination(other))
    assert len(things(other)) == 50


def test_a_destination_that_is_tried_and_fails_is_left_alone_no_longer_than_is_said(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    """Five seconds, ten, twenty: whoever looks after it knows when it is tried."""
    take_in(store, alerts(patients=50, each=1))
    down = HostileDestination(other, before=lambda telling: Later("refused"))
    deliver(down, connections=1, chance=1.0)

    asked = []
    for seconds in (6, 9, 2, 19, 2):
        clock.turn(seconds=seconds)
        deliver(down, connections=1, chance=1.0)
        asked.append(len(down.asked))

    assert asked == [6, 6, 7, 7, 8]


def test_who_asks_to_come_again_later_is_left_alone_until_then(
    store: Store, other: OtherSide, deliver: Deliver, clock: Clock
) -> None:
    take_in(store, alerts(patients=3, each=1))
    limited = HostileDestination(
        other, before=lambda telling: Later("429", timedelta(minutes=10))
    )
    deliver(limited, connections=1)

    clock.turn(minutes=9)
    deliver(limited, connections=1)
    asked = len(limited.asked)
    clock.turn(minutes=2)
    deliver(HostileDestination(other))

    assert asked == 1
    assert len(things(other)) == 3


def test_a_revision_that_comes_while_it_is_sent_is_told_as_such(
    store: Store, other: OtherSide, deliver: Deliver
) -> None:
    (alert,) = alerts(patients=1, each=1)
    take_in(store, [alert])

    def revise(telling: Telling) -> Reply | None:
        if telling.rev == 1:
            take_in(store, [replace(alert, rev=1, value=130.0)])
        return None

    deliver(HostileDestination(other, before=revise))

    assert [each[1:] for each in other.taken()] == [
        ("watch|a000", 1, "final"),
        ("watch|a000", 2, "amended"),
    ]


def test_a_stop_settles_what_is_under_way(
    store: Store, other: OtherSide, clock: Clock
) -> None:
    take_in(store, alerts(patients=2, each=50))
    gate = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
    stopping = threading.Event()

    def stop(telling: Telling) -> Reply | None:
        stopping.set()
        time.sleep(0.6)
        return None

    destination = HostileDestination(other, after=stop)
    around = Surroundings(lambda tenant: gate, clock)
    dispatcher = Dispatcher(store.outbox, destination, around, connections=2)
    run([dispatcher], stopping)

    told = len(things(other))
    assert told == dispatcher.progress.sent
    assert 0 < told < 100
    assert destination.closed
    # Whoever comes next need not wait for a lease to end.
    assert len(store.outbox.claim("ehr", 8, clock())) == 2


def test_what_goes_wrong_here_before_one_is_told_keeps_no_other_from_being_told(
    store: Store, other: OtherSide, clock: Clock
) -> None:
    take_in(store, alerts(patients=2, each=1))
    gate = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
    broken, said = [RuntimeError("a bug, and a name")], []

    def gate_of(tenant: str) -> ConsentGate:
        if broken:
            raise broken.pop()
        return gate

    def log(event: str, **facts: Any) -> None:
        said.append((event, facts["problem"]))

    around = Surroundings(gate_of, clock, log)
    destination = HostileDestination(other)
    dispatcher = Dispatcher(store.outbox, destination, around, connections=1)

    dispatcher.start()
    try:
        until(lambda: bool(things(other)) or not dispatcher.is_alive())
    finally:
        dispatcher.stop()
        dispatcher.join()

    assert things(other) == [("p001", "watch|a000")]
    assert said == [("nothing delivered", "RuntimeError")]
    assert dispatcher.progress.fault.startswith("RuntimeError at dispatcher.py:")
    assert "a name" not in dispatcher.progress.fault


def test_four_who_deliver_share_six_hundred_things_without_a_double(
    store: Store, other: OtherSide, url: str
) -> None:
    take_in(store, alerts(patients=150, each=4))

    children = [start_child(url, other, "0.004") for _ in range(4)]
    for each in children:
        go(each)
    shares = [each.communicate(timeout=PATIENCE)[0] for each in children]

    assert len(things(other)) == len(set(things(other))) == 600
    assert sum(map(int, shares)) == 600
    for patient in range(150):
        own = [thing for whose, thing in things(other) if whose == f"p{patient:03}"]
        assert own == sorted(own)


@pytest.mark.parametrize("kills", [6])
def test_who_is_killed_loses_nothing_and_doubles_nothing(
    store: Store, other: OtherSide, url: str, kills: int
) -> None:
    take_in(store, alerts(patients=40, each=10))
    seed = random.Random(7)

    for _ in range(kills):
        child = start_child(url, other)
        go(child)
        wanted = len(things(other)) + seed.randint(5, 50)
        until(lambda: len(things(other)) >= wanted or child.poll() is not None)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=PATIENCE)
    last = start_child(url, other)
    go(last)
    last.communicate(timeout=PATIENCE)

    assert len(things(other)) == len(set(things(other))) == 400
    assert states(store)["waiting"] == 0
    for patient in range(40):
        own = [thing for whose, thing in things(other) if whose == f"p{patient:03}"]
        assert own == sorted(own)


def start_child(
    url: str, other: OtherSide, seconds: str = "0.01"
) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [*CHILD, url, str(other.file), seconds],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout and child.stdout.readline() == "ready\n"
    return child


def go(child: "subprocess.Popen[str]") -> None:
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()
