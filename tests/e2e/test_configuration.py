"""Who is trusted, read from the trail of real servers that start again and again."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ..waiting import PATIENCE

pytestmark = pytest.mark.slow

SECRET = "whsec_Zml4dHVyZS1zZWNyZXQtb2YtdGhlLXdhdGNo"
Server = Any


def recorded(server: Server) -> list[dict[str, Any]]:
    rows = server.rows("select detail from audit where kind = 'configuration'")
    return [json.loads(detail) for (detail,) in rows]


def audit(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cds_service.cli", "audit", *arguments]
    return subprocess.run(
        [*command, "--database", server.database],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_the_trail_tells_who_was_trusted_from_when_on(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(workers="2")
    assert len(server.workers()) == 2
    (first,) = recorded(server)
    assert first["previous"] == ""
    assert first["added"]["client.ehr.iss"] == "https://ehr.example.org"
    assert first["added"]["settings.workers"] == 2

    server.kill()
    server.start()
    assert len(recorded(server)) == 1
    assert "configuration changed" not in (server.folder / "log").read_text()

    server.kill()
    clients = server.folder / "clients.yaml"
    known = json.loads(clients.read_text())
    known["clients"].append({**known["clients"][0], "id": "clinic", "iss": "clinic"})
    clients.write_text(json.dumps(known))
    server.start()

    first, second = recorded(server)
    assert second["previous"] == first["digest"]
    assert (second["removed"], second["changed"]) == ({}, {})
    assert {name.split(".")[1] for name in second["added"]} == {"clinic"}
    assert second["added"]["client.clinic.iss"] == "clinic"
    (kept,) = second["added"]["client.clinic.keys"]
    assert kept == first["added"]["client.ehr.keys"][0]
    log = (server.folder / "log").read_text()
    assert "Z: clients added: clinic\n" in log
    assert SECRET not in json.dumps([first, second]) + log

    verified = audit(server, "verify")
    assert (verified.returncode, "as they were written" in verified.stdout) == (0, True)
    events = audit(server, "export", "--all", "--format", "fhir").stdout.splitlines()
    codes = [
        each["subtype"][0]["code"]
        for each in map(json.loads, events)
        if "subtype" in each
    ]
    assert codes.count("110131") == 2
