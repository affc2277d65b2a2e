"""A watch tells of an alert, and the integration engine has an ORU^R01, or says why."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert

from cds_service.store.outbox.tables import TOLD
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ..delivery.mllp_peer import AA, AR, Engine
from ..waiting import PATIENCE

pytestmark = pytest.mark.slow

Server = Any


@pytest.fixture(scope="module")
def running() -> Iterator[Engine]:
    """The engine of all tests here, of which each has a patient of its own."""
    with Engine() as engine:
        yield engine


@pytest.fixture
def engine(running: Engine) -> Iterator[Engine]:
    """The same: nothing came to it yet, and it takes all that it is told."""
    running.came.clear()
    running.taken.clear()
    yield running
    running.behave = take


def take(number: int) -> str:
    """Return that a message is accepted."""
    return AA


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], running: Engine) -> Server:
    """A server of which that engine is a destination."""
    told = {"id": "engine", "kind": "hl7", "host": "127.0.0.1", "port": running.port}
    return start_server(destinations=[{**told, "receiving_application": "MIRTH"}])


def link(server: Server, patient: str, mrn: str) -> None:
    """Have the hospital call a patient by a number."""
    store, now = Store.open(server.database), datetime.now(UTC)
    event = AuditEvent(now, "link", "default", "operator")
    whose = PatientKey("default", "-", patient)
    new = WearerLink("watch", whose, now - timedelta(days=9), user=patient)
    store.links.add(replace(new, mrn=mrn, authority="HOSP"), event)
    store.close()


def an_alert(patient: str, **changed: Any) -> dict[str, Any]:
    start = datetime.now(UTC) - timedelta(hours=1)
    return {
        "id": f"{patient}-1",
        "patient": patient,
        "type": "high-heart-rate",
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=12)).isoformat(),
        "value": 131,
        "unit": "/min",
        "stat": "max",
        **changed,
    }


def run(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """What ``deliver`` said."""
    database = ("--database", server.database) if words[0][:2] != "--" else ()
    return subprocess.run(
        [sys.executable, "-m", "cds_service.cli", "deliver", *words, *database],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def letters(message: bytes) -> list[str]:
    """OBX-11 of each value."""
    lines = message.decode().split("\r")
    return [each.split("|")[11] for each in lines if each.startswith("OBX|")]


def test_an_alert_reaches_the_engine_once_and_is_taken_back_there(
    server: Server, engine: Engine
) -> None:
    link(server, "jane", "M-17")
    alert = an_alert("jane")
    assert server.deliver([alert], "first").status_code == 202

    said = [run(server, "--once") for _ in range(2)]

    assert [each.returncode for each in said] == [0, 0], said[0].stderr
    (message,) = engine.came
    assert b"|MIRTH|" in message and b"PID|1||M-17^^^HOSP^MR|" in message
    assert b"|131|/min^" in message
    taken_back = {**alert, "rev": 1, "status": "retracted"}
    assert server.deliver([taken_back], "second").status_code == 202
    assert run(server, "--once").returncode == 0
    assert [set(letters(each)) for each in engine.came] == [{"F"}, {"D"}]
    assert len(engine.taken) == 2


def test_what_the_engine_rejects_is_kept_with_its_words_until_somebody_retries(
    server: Server, engine: Engine
) -> None:
    link(server, "jill", "M-18")
    engine.behave = lambda number: AR
    assert server.deliver([an_alert("jill")], "rejected").status_code == 202

    rejected = run(server, "--once")

    words = "AR: no such patient; PID-3 Unknown key identifier"
    assert rejected.returncode == 1
    assert "engine: 1 given up, see `cds-service deliver list`" in rejected.stderr
    assert "no such patient" not in rejected.stderr
    listed = run(server, "list").stdout.splitlines()
    assert listed[0] == "engine: 0 waiting (0 due), 0 withheld, 1 given up"
    assert listed[1].endswith(f"tried 1 times: {words}")
    id = listed[1].split()[0]
    shown = json.loads(run(server, "show", id).stdout)
    assert (shown["destination"], shown["problem"]) == ("engine", words)
    assert (shown["state"], shown["thing"]) == ("dead", "watch|jill-1")

    engine.behave = take
    assert run(server, "retry", id).stdout == "1 will be sent again\n"
    assert run(server, "--once").returncode == 0

    assert len(engine.came) == 2 and len(engine.taken) == 1
    assert run(server, "list").stdout.splitlines() == [
        "engine: 0 waiting (0 due), 0 withheld, 0 given up"
    ]


def test_what_this_program_cannot_read_of_its_own_ends_a_single_run_with_a_fault(
    server: Server, engine: Engine
) -> None:
    link(server, "joan", "M-19")
    assert server.deliver([an_alert("joan")], "unread").status_code == 202
    tell_as(server, "joan", "from a later version")

    broken = run(server, "--once")
    tell_as(server, "joan", "final")

    assert broken.returncode == 1
    assert "engine: 1 to retry, broke off by ValueError at " in broken.stderr
    assert "report this line, and see `cds-service deliver list`" in broken.stderr
    assert "Traceback" not in broken.stderr and "joan" not in broken.stderr
    assert engine.came == []


def tell_as(server: Server, patient: str, status: str) -> None:
    """Have it stand in the database that the engine was told of a patient's alert."""
    told = {
        "destination": "engine",
        "tenant": "default",
        "fhir_base": "-",
        "patient_id": patient,
        "kind": "episode",
        "thing": f"watch|{patient}-1",
        "rev": 1,
        "remote": "1",
        "digest": "",
        "status": status,
        "told_us": 1,
    }
    engine = create_engine(server.database)
    with engine.begin() as connection:
        connection.execute(delete(TOLD).where(TOLD.c.patient_id == patient))
        connection.execute(insert(TOLD).values(told))
    engine.dispose()
