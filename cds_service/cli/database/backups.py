"""``cds-service database backup`` and ``restore``: a copy that was looked at."""

import os
import shlex
import shutil
import subprocess  # nosec B404 # pg_dump is a program of its own
from collections.abc import Iterable
from pathlib import Path

import click

from ...audit import Anchor, anchors, verify
from ...store.database import read_url
from ...store.opening import find_file
from ...store.records import StoreError
from ...store.store import Store
from ...store.upkeep.backup import (
    copy_file,
    database_out_of_use,
    put_in_place,
    room_beside,
    server_version,
)
from . import database_option, open_store, shown
from .audit import count, read_anchors

anchors_option = click.option(
    "--anchors",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that `audit anchors` wrote before; the copy must have these rows.",
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@database_option
@anchors_option
def backup(file: Path, database: str, kept: Path | None) -> None:
    """Write the whole database into FILE, beside a server that goes on.

    The copy is looked at before it gets its name: SQLite finds it sound, and its audit
    trail is as it was written and has the newest rows that the database had before.
    For PostgreSQL it runs pg_dump, if there is one for the server's version. Exit code
    0: written; 1: not, and an older FILE is as it was.
    """
    try:
        source = find_file(database)
        if source is None:
            _dump(database, file)
        else:
            _back_up(database, source, file, read_anchors(kept) if kept else [])
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_option
@anchors_option
@click.option("--replace", is_flag=True, help="Replace the existing database.")
def restore(file: Path, database: str, kept: Path | None, replace: bool) -> None:
    """Put the backup in FILE where the database is to be.

    It is refused while a server or a command uses the database. The copy is looked at
    and brought to the schema of this program before it takes its place, all at once.
    Exit code 0: restored; 1: not, and what was there is as it was.
    """
    known = read_anchors(kept) if kept else []
    try:
        target = find_file(database)
        if target is None:
            raise StoreError(
                "stop all servers on the database, and into an empty one restore it"
                f" with {_restore_command(database, file)}"
            )
        if target.exists() and not replace:
            raise StoreError(
                "a database already exists; --replace replaces it with the backup"
            )
        with room_beside(target) as copy, database_out_of_use(target):
            copy_file(file, copy)
            rows = _look_at(copy, known)
            put_in_place(copy, target)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    click.echo(f"{target}: restored; {rows}")


def _back_up(database: str, source: Path, file: Path, kept: list[Anchor]) -> None:
    store = open_store(database)
    try:
        newest = anchors(store)
    finally:
        store.close()
    with room_beside(file.absolute()) as copy:
        copy_file(source, copy)
        rows = _look_at(copy, [*kept, *newest])
        put_in_place(copy, file.absolute())
    click.echo(f"{file}: {file.stat().st_size:,} bytes; {rows}")


def _look_at(copy: Path, kept: Iterable[Anchor]) -> str:
    """What the audit trail of a copy has, if it is as it was written."""
    store = Store.open(f"sqlite:///{copy}", create=False)
    try:
        store.migrate()
        breaks, number = verify(store, kept), count(store)
    finally:
        store.close()
    if breaks:
        first = breaks[0]
        raise StoreError(
            f"the audit trail of the copy has {len(breaks)} breaks, the first at"
            f" writer {first.writer}, row {first.sequence}: {first.problem}"
        )
    return f"{number} rows of the audit trail, as they were written"


# PostgreSQL, by its own tools


def _dump(database: str, file: Path) -> None:
    """Run pg_dump, if there is one for the server's version; else say what to run."""
    command = ["pg_dump", "--format=custom", f"--dbname={_plain_url(database)}"]
    version = server_version(database)
    program = shutil.which("pg_dump")
    if program is None or _version_of(program) < version:
        told = shlex.join([*command, f"--file={file}"])
        raise StoreError(
            f"pg_dump {version} or newer is needed and not on the PATH; where it is,"
            f" run: {told}"
        )
    with room_beside(file.absolute()) as copy:
        _run([program, *command[1:], f"--file={copy}"], database)
        copy.chmod(0o600)
        put_in_place(copy, file.absolute())
    click.echo(
        f"{file}: {file.stat().st_size:,} bytes; to look at it, restore it into an"
        " empty database and run `cds-service audit verify` there"
    )


def _version_of(program: str) -> int:
    said = subprocess.run(  # nosec B603 # pg_dump, no shell
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    numbers = [each for each in said.replace(".", " ").split() if each.isdigit()]
    return int(numbers[0]) if numbers else 0


def _run(command: list[str], database: str) -> None:
    password = read_url(database).password
    secret = {"PGPASSWORD": str(password)} if password else {}
    done = subprocess.run(  # nosec B603 # pg_dump, no shell
        command,
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(f"pg_dump failed: {done.stderr.strip()}")


def _restore_command(database: str, file: Path) -> str:
    options = ["--no-owner", "--exit-on-error", "--single-transaction"]
    into = f"--dbname={_plain_url(database)}"
    return shlex.join(["pg_restore", *options, into, str(file)])


def _plain_url(database: str) -> str:
    """The URL as libpq takes it, without the password."""
    url = read_url(database).set(drivername="postgresql", password=None)
    return url.render_as_string(hide_password=False)
