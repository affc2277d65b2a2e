"""Tokens of wearers and at vendors are used in every way, and stand nowhere in clear.

A wearer's token delivers, well and badly; a permission at a vendor is given, used,
refused, renewed and taken back. Then everything that is written, printed or answered is
searched for each token, code and secret that ever was.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
import requests

from cds_service.connect.played import (
    PlayedAnswer,
    PlayedGoogle,
    PlayedRequest,
    serve_played,
)

from ..waiting import PATIENCE
from .conftest import Server
from .test_privacy import found, stored

pytestmark = pytest.mark.slow

KEY = "c2VjcmV0LWtleS1vZi10b2tlbnMtMzItYnl0ZXMhISE="
CLIENT_SECRET = "played-secretqx41c8a6b27e90"
STRAY = "cdsw_strayqx7d20e5f1b3a94c86"
COMMANDS = {
    "connect list": ("connect", "list", "--json"),
    "connect revoke": ("connect", "revoke", "--source", "fit", "--user", "u-7"),
    "audit export": ("audit", "export"),
    "export observations": ("export", "observations", "--since", "2026-01-01"),
    "link token --list": ("link", "token", "1", "--list"),
}


class Overheard(PlayedGoogle):
    """A played Google that remembers each code and token it has given."""

    given: list[str]

    def answer(self, *asked: Any) -> PlayedAnswer | None:
        told = super().answer(*asked)
        if told is not None:
            body = told.body if isinstance(told.body, dict) else {}
            names = ("access_token", "refresh_token")
            self.given += [body[each] for each in names if each in body]
            at = told.headers.get("Location", "")
            self.given += re.findall(r"[?&]code=([^&]+)", at)
        return told


@dataclass(slots=True)
class Told:
    """What was written, printed and answered, and what must stand nowhere in it."""

    server: Server
    google: Overheard
    wearer: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    printed: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    """A backup, and what is written out of the patient."""

    def secrets(self) -> dict[str, str]:
        marks = {f"of the vendor {n}": each for n, each in enumerate(self.google.given)}
        ours = {"wearer": self.wearer, "client secret": CLIENT_SECRET, "key": KEY}
        return {**marks, **ours, "stray": STRAY}

    def run(self, name: str, *words: str) -> bytes:
        """What a command prints, with the settings of the server."""
        done = subprocess.run(
            [sys.executable, "-m", "cds_service.cli", *words],
            env={**os.environ, **self.server.environment},
            capture_output=True,
            timeout=PATIENCE,
        )
        self.printed[name] = done.returncode, done.stdout + done.stderr
        return done.stdout

    def deliver(self, token: str, body: bytes) -> int:
        """The status of what a phone delivers by a token."""
        url = f"{self.server.base}/wearables/v1/samples"
        headers = {"Authorization": f"Bearer {token}"}
        headers["Content-Type"] = "application/json"
        answer = requests.post(url, body, headers=headers, timeout=PATIENCE)
        self.answers.append((answer.status_code, answer.content))
        return answer.status_code

    def get(self, path: str) -> bytes:
        """What is answered to everybody."""
        answer = requests.get(f"{self.server.base}{path}", timeout=PATIENCE)
        self.answers.append((answer.status_code, answer.content))
        return answer.content


@pytest.fixture(scope="module")
def google() -> Iterator[tuple[Overheard, str]]:
    played = Overheard(client_secret=CLIENT_SECRET, allows_at_once=True)
    played.given = []
    with serve_played(played) as base:
        yield played, base


@pytest.fixture(scope="module")
def told(
    start_server: Callable[..., Server],
    google: tuple[Overheard, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Told:
    """All of it, once."""
    played, base = google
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "fit.secret").write_text(CLIENT_SECRET)
    cloud = {"id": "fit", "vendor": "google-fit", "client_id": "played"}
    cloud |= {"client_secret_file": str(folder / "fit.secret"), "simulated": base}
    server = start_server(
        clouds=[{**cloud, "kinds": ["steps"]}],
        token_key=KEY,
        log_level="debug",
        wearables_consent="assumed",
    )
    told = Told(server, played)
    patient = ("--patient", "p1", "--from", "2026-01-01")
    told.run("link", *("link", "add", *patient, "--source", "fit", "--user", "u-7"))
    told.run("phone", *("link", "add", *patient, "--source", "watch", "--user", "u-8"))
    issued = told.run("token", *("link", "token", "2", "--format", "samples"))
    told.wearer = issued.decode().split()[-1]
    tell_by_token(told)
    tell_of_the_vendor(told)
    for name, words in COMMANDS.items():
        told.run(name, *words)
    if server.database.startswith("sqlite"):  # of the other it holds the same rows
        told.run("backup", "database", "backup", str(folder / "kept.backup"))
    one = ("--patient", "p1", "--out", str(folder / "kept.export"))
    told.run("patient export", "patient", "export", *one)
    told.kept = [each.read_bytes() for each in sorted(folder.glob("kept.*"))]
    for path in ("/metrics", "/health", "/connect/callback?state=x&code=" + STRAY):
        told.get(path)
    return told


def tell_by_token(told: Told) -> None:
    """A phone delivers readings: good ones, bad ones, and by tokens that are none."""
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    sample = {"metric": "heart-rate", "value": 72, "unit": "/min", "start": at}
    good = json.dumps({"samples": [{"id": "s1", **sample}]}).encode()
    told.deliver(told.wearer, good)
    told.deliver(told.wearer, good[:-3])
    told.deliver(told.wearer, json.dumps({"samples": [{"id": "s2"}]}).encode())
    told.deliver(STRAY, good)


def tell_of_the_vendor(told: Told) -> None:
    """A wearer permits it, and days are pulled on good days and bad ones."""
    words = ("connect", "google-fit", "--user", "u-7")
    with subprocess.Popen(
        [sys.executable, "-m", "cds_service.cli", *words],
        env={**os.environ, **told.server.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as asking:
        assert asking.stdout is not None
        lines = []
        for line in asking.stdout:
            lines.append(line)
            if line.startswith("http"):
                with urlopen(line.strip(), timeout=PATIENCE) as page:
                    told.answers.append((page.status, page.read()))
    told.printed["connect"] = asking.returncode, "".join(lines).encode()
    told.google.bad_days.append(PlayedAnswer(500, {"error": "no"}))
    told.run("pull on a bad day", "pull")
    told.google._access.clear()
    told.run("pull anew", "pull")
    told.google.end()
    told.google._access.clear()
    told.run("pull of what is over", "pull")


def test_all_of_it_happened(told: Told) -> None:
    assert [status for status, _ in told.answers][:5] == [202, 400, 422, 401, 200]
    assert len(told.google.given) >= 4, "a code, an access token, a refresh token, more"
    assert any(isinstance(each, PlayedRequest) for each in told.google.asked)
    backup = ["backup"] if told.server.database.startswith("sqlite") else []
    for name in ("connect", "pull anew", "patient export", *backup):
        assert told.printed[name][0] == 0, told.printed[name]
    assert b"invalid_grant" in told.printed["pull of what is over"][1]
    assert b"revoked" in told.printed["connect list"][1]


def test_no_log_line_holds_a_token(told: Told) -> None:
    log = (told.server.folder / "log").read_bytes()

    assert b"/wearables/v1/samples" in log
    assert found(log, told.secrets()) == []


def test_no_answer_and_no_figure_holds_a_token(told: Told) -> None:
    for status, answer in told.answers:
        assert found(answer, told.secrets()) == [], status


def test_no_command_prints_a_token_but_the_one_that_makes_it(told: Told) -> None:
    for name, (_, printed) in told.printed.items():
        expected = ["wearer"] if name == "token" else []
        assert found(printed, told.secrets()) == expected, name
        assert b"Traceback" not in printed, name


def test_neither_database_nor_backup_nor_export_holds_a_token_in_clear(
    told: Told,
) -> None:
    kept = b"\n".join(stored(told.server))

    assert told.kept
    for each in (kept, *told.kept):
        assert found(each, told.secrets()) == []
    assert b"u-7" in kept and b"u-7" in told.kept[-1]
