"""From nothing to a first signed call, as docs/ehr.md tells it, word for word."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from ..ports import free_port
from ..waiting import PATIENCE, breaks_no_rule, until

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "ehr.md").read_text("utf-8")
SECTION = PAGE.partition("\n## A first signed call\n")[2].partition("\n## ")[0]
SERVE, CURL, CALL, CHECK = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.S | re.M)

CURL_STAND_IN = """\
import sys, urllib.error, urllib.request
words = sys.argv[1:]
(url,) = [each for each in words if each.startswith("http")]
heads = [words[n + 1] for n, each in enumerate(words) if each == "-H"]
body = words[words.index("-d") + 1].encode()
request = urllib.request.Request(url, body, dict(each.split(": ", 1) for each in heads))
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as refused:
    answer = refused
sys.stdout.write(answer.read().decode())
"""
"""For machines without curl."""


@pytest.fixture(scope="module")
def port() -> str:
    return str(free_port())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a newcomer stands: the repository, with what ``make run`` installs."""
    made = tmp_path_factory.mktemp("first")
    for name in ("rules", "fixtures"):
        (made / name).symlink_to(HOME / name)
    program(made / ".venv" / "bin" / "cds-service", "-m cds_service.cli")
    if shutil.which("curl") is None:
        (made / "curl.py").write_text(CURL_STAND_IN)
        program(made / "bin" / "curl", str(made / "curl.py"))
    return made


def program(file: Path, module: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
    file.chmod(0o755)


def environ(folder: Path, port: str) -> dict[str, str]:
    kept = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    path = f"{folder / 'bin'}:{kept['PATH']}"
    return {**kept, "PYTHONPATH": str(HOME), "CDS_PORT": port, "PATH": path}


def shell(folder: Path, port: str, block: str) -> subprocess.CompletedProcess[str]:
    """What a block prints; the port is the only word that differs."""
    return subprocess.run(
        ["bash", "-e", "-c", block.replace(":8080", f":{port}")],
        cwd=folder,
        env=environ(folder, port),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def serving(folder: Path, port: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-e", "-c", SERVE],
            cwd=folder,
            env=environ(folder, port),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: is_ready(port), (folder / "log").read_text, process)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)


def is_ready(port: str) -> bool:
    with suppress(requests.ConnectionError):
        url = f"http://127.0.0.1:{port}/health/ready"
        return requests.get(url, timeout=PATIENCE).status_code == 200
    return False


@pytest.fixture(scope="module")
def server(folder: Path, port: str) -> Iterator[None]:
    with serving(folder, port):
        yield


@pytest.mark.usefixtures("server")
def test_the_first_signed_call_by_curl_is_answered_as_the_page_says(
    folder: Path, port: str
) -> None:
    done = shell(folder, port, CURL)

    assert (done.returncode, done.stderr) == (0, "")
    (shown,) = re.findall(r"The answer is `([^`]+)`", SECTION)
    assert done.stdout == shown


@pytest.mark.usefixtures("server")
def test_call_signs_with_the_same_key_and_nothing_else_said(
    folder: Path, port: str
) -> None:
    block = CALL.replace(" --key", f" --base http://127.0.0.1:{port} --key")

    done = shell(folder, port, block)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "╭" in done.stdout  # a card
    assert breaks_no_rule(done.stdout)


@pytest.mark.usefixtures("server")
def test_a_token_for_discovery_is_refused_and_told_what_aud_must_be(
    folder: Path, port: str
) -> None:
    url = f"http://127.0.0.1:{port}/cds-services"
    mistaken = CURL.replace("/cds-services/wearable-review)", "/cds-services)")

    done = shell(folder, port, mistaken)

    (issue,) = json.loads(done.stdout)["issue"]
    assert issue["details"]["text"] == "Authentication is required."
    assert issue["diagnostics"] == (
        f"aud is not the URL that was called; aud must be {url}/wearable-review"
    )


@pytest.mark.usefixtures("server")
def test_a_token_is_checked_as_the_page_says(folder: Path, port: str) -> None:
    done = shell(folder, port, CHECK)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "trusted as my-ehr" in done.stdout
