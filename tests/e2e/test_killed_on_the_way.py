"""Server and deliverer are killed again and again; two hospitals have all, once.

A watch tells of alerts and readings, each delivery until it is acknowledged. A FHIR
server and an integration engine are told of them. What was acknowledged stands at both
exactly once in the end, as it was told last, and nothing else does.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ..delivery.fhir_simulator import Hospital, serving
from ..delivery.mllp_peer import AA, HALVES, Engine
from ..waiting import PATIENCE, until
from .test_from_readings_to_a_card import MINUTE, beats, stillness

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("TEST_KILLS", "3"))
"""Of the server, and as many of the deliverer."""
PAUSE = 0.1
"""Seconds between two deliveries."""
LATER = 20
"""So many alerts after it some are corrected."""
WEARERS = [f"p{number}" for number in range(6)]
SLEEPERS = [f"r{number}" for number in range(30)]
"""Who tells readings, an hour of them each."""
Server = Any
Place = tuple[str, str]
"""Patient and start, which tells an episode from all others."""
Standing = Mapping[Place, float | None]
"""The highest heart rate of each episode; None where it was taken back."""


@dataclass(frozen=True)
class Delivery:
    """What the watch sends, and what is to stand once it is acknowledged."""

    id: str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    says: Standing = field(default_factory=dict)


@dataclass
class Watch:
    """It sends each delivery until that is acknowledged, and then the next."""

    server: Server
    stop: threading.Event = field(default_factory=threading.Event)
    standing: dict[Place, float | None] = field(default_factory=dict)
    acknowledged: int = 0
    tries: int = 0

    def send(self) -> None:
        """Send until it is stopped."""
        for each in deliveries(datetime.now(UTC).replace(microsecond=0)):
            while not self._takes(each):
                time.sleep(PAUSE)
            self.standing |= each.says
            self.acknowledged += 1
            if self.stop.wait(PAUSE):
                return

    def _takes(self, told: Delivery) -> bool:
        self.tries += 1
        with suppress(requests.RequestException):
            send, items = self.server.deliver, told.alerts
            if told.samples:
                send, items = self.server.measure, told.samples
            response = send(items, told.id)
            assert response.status_code in (202, 409, 503), response.text
            return bool(response.status_code == 202)
        return False


def deliveries(now: datetime) -> Iterator[Delivery]:
    """Alerts, some corrected or taken back, at once or later; hours of readings."""
    hours, begin = iter(SLEEPERS), now - timedelta(hours=6)
    for number in count():
        yield of_an_alert(number, begin)
        for earlier in (number, number - LATER):
            at_once = earlier % 2 == 0
            if earlier >= 0 and at_once == (earlier == number):
                if earlier % 3 == 0:
                    yield of_an_alert(earlier, begin, rev=1, value=142)
                if earlier % 5 == 0:
                    yield of_an_alert(earlier, begin, rev=2, status="retracted")
        if number % 8 == 5 and (sleeper := next(hours, "")):
            yield from an_hour(sleeper, begin - timedelta(hours=2))


def of_an_alert(number: int, begin: datetime, **changed: Any) -> Delivery:
    """One alert, as it is after so many changes."""
    patient = WEARERS[number % len(WEARERS)]
    start = begin + timedelta(seconds=number)
    alert = {
        "id": f"a{number}",
        "patient": patient,
        "type": "high-heart-rate",
        "start": start.isoformat(),
        "end": (start + 10 * MINUTE).isoformat(),
        "value": 121,
        "unit": "/min",
        "stat": "max",
        **changed,
    }
    value = None if "status" in changed else alert["value"]
    said = {(patient, start.isoformat()): value}
    return Delivery(f"a{number}-{alert.get('rev', 0)}", [alert], says=said)


def an_hour(patient: str, start: datetime) -> Iterator[Delivery]:
    """A fast heart at rest, the second half of it faster, in two deliveries."""
    place = (patient, start.isoformat())
    first = stillness(patient, start - 5 * MINUTE, 75) + beats(
        patient, start, [115] * 30
    )
    yield Delivery(f"{patient}-1", samples=first, says={place: 115})
    second = beats(patient, start + 30 * MINUTE, [125] * 30)
    yield Delivery(f"{patient}-2", samples=second, says={place: 125})


@dataclass
class Deliverer:
    """A real ``cds-service deliver``."""

    server: Server
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return Path(self.server.folder / "deliverer.log")

    def start(self) -> None:
        """Have it run; it is not waited for."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cds_service.cli", "deliver"]
                + ["--connections", "3"],
                env=self.server.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it at once, without a warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> int:
        """Have it settle what is under way, and return how it ended."""
        assert self.process is not None
        self.process.terminate()
        code, self.process = self.process.wait(PATIENCE), None
        return code


@pytest.fixture
def hospital() -> Hospital:
    """A FHIR server that names what it keeps: what is created twice is there twice."""
    return Hospital(update_create=False, delay=0.01)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine whose acknowledgements often come in two pieces."""
    with Engine(lambda number: HALVES if number % 2 else AA) as running:
        yield running


@pytest.fixture
def server(
    start_server: Callable[..., Server], hospital: Hospital, engine: Engine
) -> Iterator[Server]:
    """A server that is to tell both."""
    with serving(hospital) as url:
        takes = {"episodes": ["high-heart-rate"]}
        place = {"host": "127.0.0.1", "port": engine.port}
        running = start_server(
            destinations=[
                {"id": "ehr", "kind": "fhir", "url": url, **takes},
                {"id": "engine", "kind": "hl7", **place, **takes},
            ]
        )
        number_all(running)
        yield running
        running.kill()


def number_all(server: Server) -> None:
    """Have the hospital call each patient by a number."""
    store, now = Store.open(server.database), datetime.now(UTC)
    for each in WEARERS + SLEEPERS:
        event = AuditEvent(now, "link", "default", "operator")
        whose = PatientKey("default", "-", each)
        new = WearerLink("watch", whose, now - timedelta(days=9), user=each)
        store.links.add(replace(new, mrn=f"M-{each}", authority="HOSP"), event)
    store.close()


def test_whatever_is_killed_each_hospital_has_all_that_was_acknowledged_once(
    server: Server, hospital: Hospital, engine: Engine
) -> None:
    watch, deliverer, chance = Watch(server), Deliverer(server), random.Random(16)
    with ThreadPoolExecutor(1) as pool, ExitStack() as ending:
        ending.callback(watch.stop.set)
        ending.callback(deliverer.kill)
        sending = pool.submit(watch.send)
        for _ in range(KILLS):
            deliverer.start()
            let_go_on(watch, hospital, engine, deliverer, chance)
            one, other = chance.sample((server.kill, deliverer.kill), 2)
            one()
            time.sleep(chance.uniform(0, 0.5))
            other()
            server.start()
        deliverer.start()
        watch.stop.set()
        sending.result(PATIENCE)
        while left := waiting(server):
            told = partial(has_told, server, left)
            until(told, deliverer.log.read_text, deliverer.process)
        assert deliverer.end() == 0

    report(watch, hospital, engine)
    assert server.rows("select problem from outbox") == []
    for found in (at_hospital(hospital), at_engine(engine)):
        assert upright(found) == upright(watch.standing)
        assert found.keys() <= watch.standing.keys()
    assert server.breaks() == []


def let_go_on(
    watch: Watch,
    hospital: Hospital,
    engine: Engine,
    deliverer: Deliverer,
    chance: random.Random,
) -> None:
    """Wait until some was told and taken; now and then not even for that."""
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0, 2))
        return
    wanted = (
        watch.acknowledged + chance.randint(1, 10),
        hospital.writes + chance.randint(1, 30),
        len(engine.came) + chance.randint(1, 10),
    )

    def went_on() -> bool:
        reached = (watch.acknowledged, hospital.writes, len(engine.came))
        return all(it >= goal for it, goal in zip(reached, wanted))

    until(went_on, deliverer.log.read_text, deliverer.process)
    time.sleep(chance.uniform(0, 0.1))


def upright(standing: Standing) -> Standing:
    """Without what was taken back: who was never told of it has nothing of it."""
    return {place: value for place, value in standing.items() if value is not None}


def waiting(server: Server) -> int:
    """How much is to be told still."""
    ((number,),) = server.rows("select count(*) from outbox where state = 'waiting'")
    return int(number)


def has_told(server: Server, left: int) -> bool:
    """Whether less than that is to be told by now."""
    return waiting(server) < left


def at_hospital(hospital: Hospital) -> Standing:
    """What stands there, each episode and where it comes from once.

    What was taken back before a killed deliverer could say where it comes from stays
    without that: it is no statement any more.
    """
    found, stands = {}, set()
    for each in hospital.all("Observation"):
        patient = each["subject"]["reference"].removeprefix("Patient/")
        start = datetime.fromisoformat(each["effectivePeriod"]["start"])
        place = (patient, start.astimezone(UTC).isoformat())
        assert place not in found, place
        value = next(
            part["valueQuantity"]["value"]
            for part in each["component"]
            if part["code"]["text"] == "Heart rate, highest"
        )
        taken_back = each["status"] == "entered-in-error"
        found[place] = None if taken_back else value
        if not taken_back:
            stands.add(f"Observation/{each['id']}")
    targets = [
        target["reference"]
        for each in hospital.all("Provenance")
        for target in each["target"]
    ]
    assert len(targets) == len(set(targets)) <= len(found)
    assert stands <= set(targets)
    return found


def at_engine(engine: Engine) -> Standing:
    """What stands there, each message taken once by its MSH-10."""
    found: dict[Place, float | None] = {}
    orders: dict[Place, str] = {}
    said = Counter[tuple[str, str, float | None]]()
    for message in engine.taken.values():
        lines = [each.split("|") for each in message.decode().split("\r")]
        (patient,) = [each[3] for each in lines if each[0] == "PID"]
        (order,) = [each for each in lines if each[0] == "OBR"]
        start = datetime.strptime(order[7], "%Y%m%d%H%M%S%z").astimezone(UTC)
        patient = patient.removeprefix("M-").removesuffix("^^^HOSP^MR")
        place = (patient, start.isoformat())
        (value,) = [
            float(each[5]) if each[11] != "D" else None
            for each in lines
            if each[0] == "OBX" and "highest" in each[3]
        ]
        assert orders.setdefault(place, order[3]) == order[3]
        said[order[3], order[25], value] += 1
        found[place] = value
    assert len(set(orders.values())) == len(orders)
    assert set(said.values()) <= {1}, said.most_common(3)
    return found


def report(watch: Watch, hospital: Hospital, engine: Engine) -> None:
    """Print what it came to."""
    again = len(engine.came) - len(engine.taken)
    print(
        f"{KILLS} kills of each; {watch.acknowledged} deliveries acknowledged in"
        f" {watch.tries} tries; {len(watch.standing)} episodes;"
        f" {len(hospital.all('Observation'))} Observations {hospital.by_status()} by"
        f" {hospital.writes} writes; {len(engine.taken)} messages taken, {again} came"
        " again"
    )
