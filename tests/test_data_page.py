"""Every command of the page about data does what the page says, in its order."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from tests.postgresql import Server, program

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    shlex.split(line)
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
]
SERVER = "postgresql+psycopg://cds@db.example.org/cds"


@pytest.fixture
def folder(tmp_path: Path, new_database: Callable[[Path], str]) -> Path:
    """The folders of the page, with a database that a server has used."""
    for name in ("var/lib/cds", "backup", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    used(new_database(tmp_path / "var/lib/cds/cds.sqlite"))
    return tmp_path


@pytest.fixture
def databases(postgresql: Server) -> Iterator[tuple[str, str]]:
    """One that a server has used, and an empty one beside it."""
    names = postgresql.create(), postgresql.create("template0")
    used(postgresql.url(names[0]))
    yield postgresql.url(names[0]), postgresql.url(names[1])
    for name in names:
        postgresql.drop(name)


def used(url: str) -> None:
    store = Store.open(url)
    for _ in range(3):
        store.record_audit(AuditEvent(datetime.now(UTC), "call"))
    store.close()


def placed(word: str, folder: Path) -> str:
    """A word of a command, with the folders of the page where they are here."""
    return re.sub("/(?=(var/lib/cds|backup|elsewhere)/)", f"{folder}/", word)


def done(words: list[str], folder: Path) -> str:
    """What a command says that went well."""
    assert words[0] == "cds-service"
    env = {"PATH": str(program("pg_dump").parent)}
    ran = CliRunner(env=env).invoke(main, words[1:])
    assert ran.exit_code == 0, (words, ran.output)
    return ran.output


def about(server: bool) -> list[list[str]]:
    return [
        each
        for each in COMMANDS
        if any("db.example.org" in word for word in each) is server
    ]


def test_the_commands_about_a_file_do_what_they_say(folder: Path) -> None:
    said = [
        done([placed(word, folder) for word in each], folder) for each in about(False)
    ]

    assert any("restored; 3 rows" in each for each in said)


def test_the_commands_about_postgresql_do_what_they_say(
    databases: tuple[str, str], folder: Path
) -> None:
    old, new = databases
    for each in about(True):
        words = [placed(word, folder) for word in each]
        restores = "pg_restore" in words or "verify" in words
        url = new if restores else old
        words = [word.replace(SERVER, url) for word in words]
        plain = url.replace("+psycopg", "")
        words = [word.replace(SERVER.replace("+psycopg", ""), plain) for word in words]
        if words[0] == "pg_restore":
            kept = str(folder / "elsewhere/anchors.jsonl")
            options = ["--database", old, "--out", kept]
            done(["cds-service", "audit", "anchors", *options], folder)
            subprocess.run([program(words[0]), *words[1:]], check=True)
        else:
            assert done(words, folder)
