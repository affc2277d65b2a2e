"""A vendor runs the Postman collection against a server, with newman."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..keeper import MARK
from ..on_node import need_node
from ..waiting import PATIENCE
from .conftest import PUBLIC, SECRET, Server

pytestmark = pytest.mark.slow

VENDOR = "https://vendor.example.org"


@pytest.fixture(scope="module")
def newman() -> list[str]:
    """The command."""
    node, folder = need_node("newman")
    return [node, "--no-deprecation", str(folder / "bin" / "newman.js"), "run"]


def command(*arguments: str | Path) -> str:
    """What a command of ours prints."""
    done = subprocess.run(
        [sys.executable, "-m", "cds_service.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A key to throw away: its file, and what the clients file holds of it."""
    file = tmp_path_factory.mktemp("key") / "vendor.pem"
    made = command("token", "key", "--alg", "RS384", "--kid", "v", "--out", file)
    return file, json.loads(made)


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server], key: tuple[Path, Any]
) -> tuple[Server, Path]:
    """A server that knows the vendor's key, and the folder with the collection."""
    vendor = {"id": "vendor", "iss": VENDOR, "keys": key[1]}
    server = start_server(clients=[vendor])
    folder = server.folder
    command(
        "postman", "--base", server.base, "--out", folder / "collection.json",
        "--key", key[0], "--iss", VENDOR, "--environment", folder / "environment.json",
    )  # fmt: skip
    return server, folder


def run(newman: list[str], folder: Path, *more: str) -> dict[str, Any]:
    """What newman found."""
    report = folder / "report.json"
    subprocess.run(
        [*newman, str(folder / "collection.json"), *more]
        + ["--reporters", "json", "--reporter-json-export", str(report)],
        env={"HOME": str(folder), MARK: os.environ[MARK]},
        capture_output=True,
        timeout=PATIENCE,
    )
    found: dict[str, Any] = json.loads(report.read_text())["run"]
    return found


def answered(found: dict[str, Any]) -> dict[str, int]:
    """The status of each request, by its name."""
    return {
        each["item"]["name"]: each["response"]["code"] for each in found["executions"]
    }


def failures(found: dict[str, Any]) -> list[str]:
    return [
        f"{e['source']['name']}: {e['error']['message']}" for e in found["failures"]
    ]


def test_a_vendor_with_a_key_sees_every_request_answered_as_described(
    server: tuple[Server, Path], newman: list[str]
) -> None:
    told, folder = server
    environment = ("--environment", str(folder / "environment.json"))
    where = ("--env-var", f"baseUrl={told.base}", "--env-var", f"audience={PUBLIC}")

    found = run(
        newman, folder, *environment, *where, "--env-var", f"webhookSecret={SECRET}"
    )

    assert failures(found) == []
    statuses = answered(found)
    assert statuses["wearable-review on patient-view"] == 200
    assert statuses["no call"] == 400
    assert statuses["nothing to say"] == 200
    assert statuses["nothing"] == 422
    assert found["stats"]["requests"]["total"] >= 14
    assert found["stats"]["assertions"]["total"] >= 40


def test_a_vendor_without_a_key_sees_what_is_open_and_the_rest_refused(
    server: tuple[Server, Path], newman: list[str]
) -> None:
    told, folder = server

    found = run(newman, folder, "--env-var", f"baseUrl={told.base}")

    assert failures(found) == []
    assert answered(found)["wearable-review on patient-view"] == 401


def test_an_answer_that_is_not_as_described_is_found(
    server: tuple[Server, Path], newman: list[str]
) -> None:
    told, folder = server
    collection = json.loads((folder / "collection.json").read_text())
    (health,) = (each for each in collection["item"] if each["name"] == "/health")
    script = health["item"][0]["event"][0]["script"]["exec"]
    script[0] = script[0].replace("200", "404")
    other = folder / "other"
    other.mkdir()
    (other / "collection.json").write_text(json.dumps({**collection, "item": [health]}))

    found = run(newman, other, "--env-var", f"baseUrl={told.base}")

    (failed,) = failures(found)
    assert "expected [ 404 ] to include 200" in failed


def test_nobody_is_on_record_for_what_the_collection_sent(
    server: tuple[Server, Path],
) -> None:
    told, _ = server

    assert told.rows("select count(*) from wearable_alerts") == [(0,)]
    assert told.rows("select count(*) from samples") == [(0,)]
    assert told.rows("select distinct patient_id from calls") == [("example",)]
