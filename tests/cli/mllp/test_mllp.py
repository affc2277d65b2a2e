"""``cds-service mllp`` as a process: what it has acknowledged is stored, whatever ends
it, and what devices tell becomes readings or does not.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from cds_service.cli.mllp import mllp
from cds_service.config import load_config
from cds_service.starting import open_rulebook
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.adapters.hl7v2.acknowledging import read_acknowledgement
from cds_service.wearables.adapters.hl7v2.framing import frame
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ...waiting import PATIENCE, until
from .authority import make_authority

RULES = Path(__file__).parents[3] / "rules"
FIXTURES = Path(__file__).parents[3] / "fixtures" / "wearables" / "hl7v2"
PATIENT = PatientKey("default", "-", "p1")
Rows = Callable[[str], list[dict[str, Any]]]
CLIENTS = {
    "webhooks": [
        {
            "id": "engine",
            "formats": ["hl7v2"],
            "proof": {"kind": "mllp", "addresses": ["127.0.0.1"]},
        }
    ]
}


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    port: int
    health: int
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


@dataclass
class House:
    folder: Path
    env: dict[str, str]
    store: Store

    @contextmanager
    def run(self, *options: str) -> Iterator[Running]:
        log = self.folder / "log"
        command = [
            sys.executable,
            "-m",
            "cds_service.cli",
            "mllp",
            "--source",
            "engine",
        ]
        own = ["--port", "0", "--health-port", "0", *options]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *own], env=self.env, stdout=output, stderr=output
            )
        try:
            listening = re.compile(r'"port": ?(\d+), ?"health_port": ?(\d+)')
            found = until(
                lambda: listening.search(log.read_text()), log.read_text, process
            )
            assert found
            yield Running(process, int(found[1]), int(found[2]), log)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def house(
    database_url: str, tmp_path: Path, revise: Callable[[Path, int], object]
) -> Iterator[House]:
    """A database with rules and one patient who is linked."""
    rules = tmp_path / "rules"
    revise(rules, 1)
    for name in ("metrics.yaml", "alert-types.yaml"):
        shutil.copy(RULES / name, rules / name)
    (tmp_path / "clients.yaml").write_text(json.dumps(CLIENTS))
    own = {
        "CDS_PROFILE": "development",
        "CDS_RULES": str(rules),
        "CDS_CLIENTS_FILE": str(tmp_path / "clients.yaml"),
        "CDS_DATABASE_URL": database_url,
    }
    store = Store.open(database_url)
    open_rulebook(load_config(own), store, "test")
    store.publications.give_lease_back("test")
    event = AuditEvent(datetime.now(UTC), "link", "default", "operator")
    since = datetime(2020, 1, 1, tzinfo=UTC)
    store.links.add(WearerLink("engine", PATIENT, since, "HOSP|12345"), event)
    usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    yield House(tmp_path, {**usual, **own}, store)
    store.close()


def oru(number: int, pid: str = "12345^^^HOSP^MR") -> bytes:
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)
    return (
        f"MSH|^~\\&|MON|ICU|CDS|HOSP|20261122080100-0500||ORU^R01|M-{number}|P|2.5.1\r"
        f"PID|1||{pid}\rOBR|1||O-1^MON|VS\r"
        f"OBX|1|NM|8867-4^^LN||74|/min|||||F|||{at:%Y%m%d%H%M%S}+0000||||SN-1\r"
    ).encode()


def ask(connection: socket.socket, message: bytes) -> str:
    """MSA-1 of the answer to a message, which is about it."""
    connection.sendall(frame(message))
    answer = b""
    while not answer.endswith(b"\x1c\r"):
        part = connection.recv(4096)
        if not part:
            raise ConnectionError
        answer += part
    told = read_acknowledgement(answer)
    assert told
    return told.code


def kept(store: Store) -> int:
    around = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    return len(store.samples.of(PATIENT, "heart-rate", *around))


@pytest.mark.slow
def test_what_devices_tell_becomes_readings_but_not_demonstrations_and_sentinels(
    house: House, rows: Rows
) -> None:
    told = {}
    with house.run() as running, running.connect() as connection:
        for each in sorted(FIXTURES.glob("*/*.hl7")):
            raw = each.read_bytes().replace(b"\n", b"\r")
            told[each.stem] = ask(connection, raw)
        with urlopen(f"http://127.0.0.1:{running.health}/health/ready") as ready:
            assert ready.status == 200
        with urlopen(f"http://127.0.0.1:{running.health}/metrics") as counted:
            text = counted.read().decode()

    assert told == {
        "admission": "AR",
        "no-header": "AR",
        "readings-that-are-none": "AE",
        "bedside-monitor-2.3-nobody-named": "AA",
        "corrected-and-deleted-2.5.1": "AA",
        "engine-file-of-batches": "AA",
        "home-blood-pressure-2.6": "AA",
    }
    values = rows("SELECT value FROM samples")
    assert {74.0, 81.4} <= {each["value"] for each in values}
    assert not {-999.0, -99.9, -100.0} & {each["value"] for each in values}
    refused = 'cds_requests_total{method="ORU",route="mllp",status="422"} 2.0'
    assert refused in text


@pytest.mark.slow
def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(
    house: House,
) -> None:
    acknowledged, number = 0, 0
    for _ in range(3):
        with house.run() as running, running.connect() as connection:
            upto = number + 20
            while number < upto:
                assert ask(connection, oru(number)) == "AA"
                acknowledged += 1
                number += 1
            connection.sendall(frame(oru(number)))
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
        assert kept(house.store) in (acknowledged, acknowledged + 1)
    with house.run() as running, running.connect() as connection:
        assert {ask(connection, oru(each)) for each in range(number + 1)} == {"AA"}
    assert kept(house.store) == number + 1


@pytest.mark.slow
def test_sigterm_answers_what_is_under_way_and_ends(house: House) -> None:
    with house.run() as running, running.connect() as connection:
        assert ask(connection, oru(1)) == "AA"
        running.process.terminate()
        assert running.process.wait(PATIENCE) == 0
        assert connection.recv(1) == b""
        log = running.log.read_text()

    assert "mllp ended" in log
    assert "12345" not in log and "SN-1" not in log


@pytest.mark.slow
def test_sighup_takes_up_who_may_connect_and_no_wrong_file(
    house: House, tmp_path: Path
) -> None:
    (engine,) = CLIENTS["webhooks"]
    strangers = {"kind": "mllp", "addresses": ["192.0.2.1"]}
    file = tmp_path / "clients.yaml"
    with house.run() as running, running.connect() as connection:
        assert ask(connection, oru(1)) == "AA"

        def heard(event: str, clients: str) -> None:
            file.write_text(clients)
            running.process.send_signal(signal.SIGHUP)
            until(
                lambda: event in running.log.read_text(),
                running.log.read_text,
                running.process,
            )

        heard("settings refused", "webhooks: [")
        assert ask(connection, oru(2)) == "AA"
        heard(
            "settings taken", json.dumps({"webhooks": [{**engine, "proof": strangers}]})
        )
        assert connection.recv(1) == b""
        with running.connect() as another:
            assert another.recv(1) == b""
        running.process.terminate()
        assert running.process.wait(PATIENCE) == 0
    assert kept(house.store) == 2


@pytest.mark.slow
def test_a_peer_without_the_right_certificate_is_not_heard(
    house: House, tmp_path: Path
) -> None:
    ca, sign = make_authority(tmp_path)
    ours, right, wrong = (
        sign("localhost"),
        sign("engine.example"),
        sign("other.example"),
    )
    proof = {"kind": "mllp", "certificates": ["engine.example"]}
    (engine,) = CLIENTS["webhooks"]
    clients = {"webhooks": [{**engine, "proof": proof}]}
    (tmp_path / "clients.yaml").write_text(json.dumps(clients))
    tls = ["--tls-cert", ours[0], "--tls-key", ours[1], "--tls-client-ca", ca]

    def told(pair: tuple[str, str] | None) -> str:
        context = ssl.create_default_context(cafile=ca)
        if pair:
            context.load_cert_chain(*pair)
        try:
            with ExitStack() as opened:
                plain = opened.enter_context(running.connect())
                connection = context.wrap_socket(plain, server_hostname="localhost")
                return ask(opened.enter_context(connection), oru(1))
        except OSError as error:
            return type(error).__name__

    with house.run(*map(str, tls)) as running:
        assert told(right) == "AA"
        assert told(wrong) != "AA"
        assert told(None) != "AA"
    assert kept(house.store) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--source", "other"], "no webhook 'other' has the proof mllp"),
        (["--source", "engine"], "no rules are published"),
        (["--source", "engine", "--host", "0.0.0.0"], "messages arrive unencrypted"),
    ],
)
def test_what_keeps_it_from_starting_is_said(
    database_url: str, tmp_path: Path, options: list[str], expected: str
) -> None:
    (tmp_path / "clients.yaml").write_text(json.dumps(CLIENTS))
    env = {
        "CDS_PROFILE": "development",
        "CDS_CLIENTS_FILE": str(tmp_path / "clients.yaml"),
        "CDS_DATABASE_URL": database_url,
    }

    result = CliRunner().invoke(mllp, [*options, "--port", "0"], env=env)

    assert result.exit_code == 1
    assert expected in result.output
