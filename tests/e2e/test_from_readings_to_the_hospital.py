"""A watch tells an hour, and the hospital has an Observation: once, and corrected."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ..delivery.fhir_simulator import Hospital, serving
from ..waiting import PATIENCE, until
from .test_from_readings_to_a_card import (
    MINUTE,
    agree,
    beats,
    deliver,
    episodes,
    stillness,
)

pytestmark = pytest.mark.slow

Server = Any
TYPE = "high-heart-rate"


@pytest.fixture(scope="module")
def built() -> Hospital:
    """The FHIR server of all tests here, of which each has patients of its own."""
    return Hospital()


@pytest.fixture
def hospital(built: Hospital) -> Iterator[Hospital]:
    """The same with nothing in it, and nothing wrong with it."""
    built.resources.clear()
    yield built
    built.fault = sound


def sound(number: int, kind: str) -> str:
    """No fault of anything that is asked of a hospital."""
    return ""


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], built: Hospital) -> Iterator[Server]:
    """A server that is to tell that hospital, and uses nothing without a consent."""
    with serving(built) as url:
        told = {"id": "ehr", "kind": "fhir", "url": url, "episodes": [TYPE]}
        yield start_server(destinations=[told], wearables_consent="required")


def tell(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command said, once everything that was due is told."""
    return subprocess.run(
        [sys.executable, "-m", "cds_service.cli", "deliver", *words],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def an_hour(patient: str, value: float, rev: int) -> list[dict[str, Any]]:
    start = (datetime.now(UTC) - timedelta(hours=8)).replace(microsecond=0)
    hour = beats(patient, start, [value] * 60, rev=rev)
    return hour + stillness(patient, start - 5 * MINUTE, 65)


def test_an_episode_reaches_the_hospital_once_and_is_taken_back_there(
    server: Server, hospital: Hospital
) -> None:
    agree(server, "jane", "collect", "use", "disclose")
    hour = an_hour("jane", 115, rev=1)
    deliver(server, hour, "jane-1")
    ((episode, *_),) = episodes(server, "jane")

    first, again = tell(server, "--once"), tell(server, "--once")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    (observation,) = hospital.all("Observation")
    assert observation["status"] == "final"
    assert observation["subject"] == {"reference": "Patient/jane"}

    calm = [{**each, "value": 80, "rev": 2} for each in hour if "rev" in each]
    deliver(server, calm, "jane-2")
    last = tell(server, "--once")

    assert last.returncode == 0, last.stderr
    (taken_back,) = hospital.all("Observation")
    assert taken_back["status"] == "entered-in-error"
    assert taken_back["id"] == observation["id"]
    disclosed = server.rows(
        "select detail from audit where kind = 'disclosure' and patient_id = 'jane'"
    )
    assert len(disclosed) == 2 and all(episode in detail for (detail,) in disclosed)


def test_nothing_leaves_of_whom_it_is_not_permitted(
    server: Server, hospital: Hospital
) -> None:
    agree(server, "judy", "collect", "use", "disclose")
    deliver(server, an_hour("judy", 115, rev=1), "judy-1")
    assert len(episodes(server, "judy")) == 1
    agree(server, "judy", "collect", "use")

    done = tell(server, "--once")

    assert done.returncode == 0, done.stderr
    assert hospital.resources == {}
    agree(server, "judy", "collect", "use", "disclose")
    assert tell(server, "--once").returncode == 0
    assert len(hospital.all("Observation")) == 1


def test_what_the_hospital_refuses_is_said_and_told_when_somebody_retries(
    server: Server, hospital: Hospital
) -> None:
    hospital.fault = lambda number, kind: "422" if kind == "Observation" else ""
    agree(server, "jill", "collect", "use", "disclose")
    deliver(server, an_hour("jill", 115, rev=1), "jill-1")

    refused = tell(server, "--once")

    assert refused.returncode == 1
    assert "ehr: 1 given up, see `cds-service deliver list`" in refused.stderr
    hospital.fault = sound
    database = ("--database", server.database)
    assert tell(server, "retry", "--all", *database).stdout == "1 will be sent again\n"
    assert tell(server, "--once").returncode == 0
    assert len(hospital.all("Observation")) == 1


def test_a_deliverer_runs_until_it_is_told_to_end(
    server: Server, hospital: Hospital
) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "cds_service.cli", "deliver"],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    agree(server, "june", "collect", "use", "disclose")
    deliver(server, an_hour("june", 115, rev=1), "june-1")

    until(lambda: hospital.all("Observation"), process=running)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=PATIENCE)

    assert running.returncode == 0, said


@pytest.fixture
def clients_file(server: Server) -> Iterator[Path]:
    """That of the server; what a test makes of it is gone afterwards."""
    file: Path = server.folder / "clients.yaml"
    before = file.read_text()
    yield file
    file.write_text(before)


def test_a_deliverer_takes_up_the_clients_file_and_no_wrong_one(
    server: Server, hospital: Hospital, clients_file: Path
) -> None:
    file, log = clients_file, server.folder / "log-of-deliver"
    good, other = json.loads(file.read_text()), Hospital()
    with log.open("wb") as output, serving(other) as url:
        running = subprocess.Popen(
            [sys.executable, "-m", "cds_service.cli", "deliver"],
            env=server.environment,
            stdout=output,
            stderr=output,
        )
        agree(server, "jade", "collect", "use", "disclose")
        deliver(server, an_hour("jade", 115, rev=1), "jade-1")
        until(lambda: hospital.all("Observation"), log.read_text, running)

        file.write_text("clients: [")
        running.send_signal(signal.SIGHUP)
        until(lambda: "settings refused" in log.read_text(), log.read_text, running)
        good["destinations"][0]["url"] = url
        file.write_text(json.dumps(good))
        running.send_signal(signal.SIGHUP)
        until(lambda: "settings taken" in log.read_text(), log.read_text, running)
        agree(server, "joan", "collect", "use", "disclose")
        deliver(server, an_hour("joan", 115, rev=1), "joan-1")

        until(lambda: other.all("Observation"), log.read_text, running)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0, log.read_text()
    assert len(hospital.all("Observation")) == len(other.all("Observation")) == 1


def test_the_trail_keeps_the_settings_of_a_deliverer_apart_from_the_servers(
    start_server: Callable[..., Server],
) -> None:
    # Of the server above several deliverers with settings of their own were started.
    told = {"id": "ehr", "kind": "fhir", "url": "http://127.0.0.1:9/fhir"}
    server = start_server(destinations=[{**told, "episodes": [TYPE]}])

    said = [tell(server, "--once") for _ in range(2)]

    assert [each.returncode for each in said] == [0, 0], said[0].stderr
    names = [name for (name,) in server.rows("select server from configurations")]
    assert len(names) == len(set(names))
    assert [each for each in names if each.endswith("/deliver")]
