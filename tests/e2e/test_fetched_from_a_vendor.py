"""Google Fit as the page shows it: a wearer permits it, and the days are there."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin
from urllib.request import urlopen

import pytest

from ..delivery.fhir_simulator import Hospital, serving
from ..ports import free_port
from ..waiting import PATIENCE
from .conftest import HOME

PAGE = (HOME / "docs" / "wearables.md").read_text("utf-8")
END = "the end of the page"
DAY = r"^20\S+  steps  total (\d{4}) \{steps\}"
COMMAND = ".venv/bin/cds-service"
OURS = shlex.join([sys.executable, "-m", "cds_service.cli"])


def shown() -> list[str]:
    """The lines of the page, on a port that is free."""
    section = PAGE.partition("\n### Google Fit\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.S)
    assert block is not None
    return block[1].splitlines()


class Form(HTMLParser):
    """The fields of the consent page, every box of it ticked."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.action = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "form":
            self.action = told["action"] or ""
        if tag == "input":
            self.fields.append((told["name"] or "", told["value"] or ""))


def permit(link: str, decision: str) -> str:
    """What the wearer sees in the end, who follows a link and decides."""
    with urlopen(link) as answer:
        form = Form(answer.read().decode())
    told = urlencode([*form.fields, ("decision", decision)]).encode()
    with urlopen(urljoin(link, form.action), told) as answer:
        seen: str = answer.read().decode()
    return seen


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def script(tmp_path: Path, hospital: Hospital) -> Iterator[subprocess.Popen[str]]:
    """The commands of the page, one after another, in a folder of their own."""
    lines = "\n".join(shown()).replace(COMMAND, OURS)
    # A port that nobody else has, which the file of clouds has to name as well.
    port = str(free_port())
    ehr = ExitStack()
    base = ehr.enter_context(serving(hospital))
    lines = lines.replace("http://127.0.0.1:9200/fhir", base)
    process = subprocess.Popen(
        ["bash", "-e"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "CDS_RULES": str(HOME / "rules")},
    )
    assert process.stdin is not None
    process.stdin.write(lines.replace("9100", port) + f"\necho {END}\n")
    process.stdin.close()
    patience = PATIENCE * len(lines.splitlines())
    overdue = threading.Timer(patience, os.killpg, [process.pid, signal.SIGKILL])
    overdue.start()
    yield process
    overdue.cancel()
    os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    process.stdout.close()
    process.wait()
    ehr.close()


def test_a_wearer_permits_it_and_the_steps_of_their_days_are_there(
    script: subprocess.Popen[str], hospital: Hospital
) -> None:
    assert script.stdout is not None
    said: list[str] = []
    link, is_played = "", False
    # What is played starts beside what asks it, and either may be the first.
    while not (link and is_played) and (line := script.stdout.readline()):
        said.append(line)
        link = line.strip() if line.startswith("http") else link
        is_played = is_played or line.startswith("Google Fit is simulated at ")
    assert link.startswith("http://127.0.0.1") and is_played, said
    assert "It worked." in permit(link, "allow")

    rest = []
    for line in script.stdout:
        # What is played goes on, and so the output does not end by itself.
        if line.strip() == END:
            break
        rest.append(line)

    whole = "".join(rest)
    assert "Connected to Google Fit (fit): steps" in whole, said + rest
    assert len(re.findall(r"^fit u-7 steps 20\S+: 1 new$", whole, re.M)) == 7, whole
    told = [each["valueQuantity"]["value"] for each in hospital.all("Observation")]
    steps = [float(each) for each in re.findall(DAY, whole, re.M)]
    assert len(steps) == 7
    # A day is told an hour after it is over on the wearer's clock.
    assert told in (steps, steps[:-1]), whole
