"""What the page tells a hospital to type is typed, in a folder that is the machine.

Nothing is installed, no service is started and nobody becomes root: what would do that
is a program that looks at what it is told and writes it down.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cds_service.config import load_config

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "hospital.md").read_text("utf-8")
COMPOSE = Path(sys.executable).with_name("docker-compose")
PLACES = ("/opt/cds-service", "/etc/cds-service", "/etc/systemd")
PROGRAMS = {
    "systemctl": 'for each; do case "$each" in *.service|*.timer) '
    'test -f "$ROOT/etc/systemd/system/$each" || exit 1;; esac; done',
    "python3": 'test "$1 $2 $3" = "-m venv $ROOT/opt/cds-service"',
    "pip": 'while [ "$1" ]; do case "$1" in --requirement) test -f "$2" || exit 1;; '
    ".) test -f setup.cfg || exit 1;; esac; shift; done",
    "chown": 'who=$1; shift; test "$who" = 10001 && ls "$@"',
    "curl": 'test "$3" = http://127.0.0.1:8080/health/ready',
    "docker": f'shift; set -- "$1" "$2" config; exec {COMPOSE} "$@"',
}
"""What each does in the place of the one that needs a machine of its own."""


def blocks(section: str) -> str:
    """What a section says to type."""
    text = PAGE[PAGE.index(f"## {section}\n") :]
    text = text[: text.find("\n## ", 1)]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


class Machine:
    """A folder that is laid out as a machine is."""

    def __init__(self, root: Path) -> None:
        self.root, self.source = root, root / "source"
        self.said = root / "said"
        ignored = shutil.ignore_patterns("__pycache__", "secrets")
        for name in ("deploy", "rules"):
            shutil.copytree(HOME / name, self.source / name, ignore=ignored)
        for name in ("setup.cfg", "requirements.lock"):
            shutil.copy(HOME / name, self.source)
        for name in ("deploy/secrets/", *PLACES, "/bin", "/etc/systemd/system"):
            place = self.source if name[0] != "/" else root
            (place / name.strip("/")).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(root / "etc/cds-service")
        (self.source / "clients.yaml").write_text("format: 1\n")
        for name in ("tls.pem", "tls.key", "database-url"):
            (self.source / name).write_text("a secret of the site")
        own = root / "opt/cds-service/bin"
        own.mkdir(parents=True)
        (own / "cds-service").symlink_to(Path(sys.executable).with_name("cds-service"))
        for name, does in PROGRAMS.items():
            file = (own if name == "pip" else root / "bin") / name
            file.write_text(f'#!/bin/sh\necho {name} "$@" >> {self.said}\n{does}\n')
            file.chmod(0o755)

    def type(self, text: str) -> None:
        """Type what the page says, one line after another, until one fails."""
        for place in PLACES:
            text = text.replace(place, f"{self.root}{place}")
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", text],
            cwd=self.source,
            env={**os.environ, "PATH": path, "ROOT": str(self.root)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def files(self, place: str) -> Mapping[str, int]:
        """The files below a place and who may do what with them."""
        below = self.root / place
        return {
            each.relative_to(below).as_posix(): each.stat().st_mode & 0o777
            for each in below.rglob("*")
            if each.is_file() and "rules/" not in f"{each.relative_to(below)}"
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path)


def test_one_machine_is_set_up_as_the_page_says(machine: Machine) -> None:
    machine.type(blocks("One machine, with systemd"))

    assert machine.files("etc/cds-service") == {
        "clients.yaml": 0o600,
        "environment": 0o644,
    }
    assert set(machine.files("etc/systemd/system")) == {
        "cds-service.service",
        "cds-service-backup.service",
        "cds-service-backup.timer",
        "cds-service-deliver.service",
        "cds-service-mllp.service",
        "cds-service-pull.service",
    }
    assert (machine.root / "etc/cds-service/rules/services.yaml").is_file()
    said = machine.said.read_text().splitlines()
    assert said[-1].startswith("systemctl enable --now cds-service.service ")


def test_several_machines_and_an_upgrade_follow_from_that(machine: Machine) -> None:
    machine.type(blocks("One machine, with systemd"))
    machine.type(blocks("Several machines"))
    machine.type(blocks("Upgrade"))

    assert machine.files("etc/cds-service")["database-url"] == 0o600
    assert "cds-service.service.d/postgresql.conf" in machine.files(
        "etc/systemd/system"
    )
    said = machine.said.read_text()
    backup = said.index("systemctl start cds-service-backup.service")
    assert backup < said.index("--force-reinstall") < said.rindex("systemctl restart")


def test_containers_get_secrets_that_the_server_can_read(machine: Machine) -> None:
    machine.type(blocks("One machine, with systemd"))
    machine.type(blocks("In containers"))

    secrets = machine.files("source/deploy/secrets")
    assert set(secrets) == {
        "clients.yaml",
        "database-password",
        "database-url",
        "tls.key",
        "tls.pem",
    }
    assert {secrets[each] for each in ("database-url", "clients.yaml", "tls.key")} == {
        0o400
    }
    folder = machine.source / "deploy" / "secrets"
    config = load_config(
        {
            "CDS_PUBLIC_URL": "https://cds.hospital.example",
            "CDS_CLIENTS_FILE": str(folder / "clients.yaml"),
            "CDS_DATABASE_URL_FILE": str(folder / "database-url"),
        }
    )
    password = (folder / "database-password").read_text().strip()
    assert len(password) == 48
    assert config.database_url == f"postgresql+psycopg://cds:{password}@database/cds"


def test_every_section_that_shows_commands_is_typed_here() -> None:
    shown = [
        part.partition("\n")[0] for part in PAGE.split("\n## ")[1:] if "```" in part
    ]

    assert shown == [
        "One machine, with systemd",
        "Several machines",
        "In containers",
        "Upgrade",
    ]
