"""What holds for each run: databases, and a rules folder for tests that change it."""

import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from .keeper import keep_watch
from .small_rules import AROUND, review
from .smart_server import smart_server, smart_server_process  # noqa: F401

if TYPE_CHECKING:
    from tests.postgresql import Server

# How long an example takes says how busy the machine is, and nothing of the code. They
# are the same each time: what else there is to find is for the long run of tests/fuzz.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
    derandomize=True,
)
settings.load_profile("untimed")
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=15)

FILES = {
    **{
        name: AROUND[name]
        for name in ("site.yaml", "alert-types.yaml", "valuesets/diabetes.yaml")
    },
    "services.yaml": review("revised"),
    "valuesets/asthma.yaml": """\
        format: 1
        valueset: asthma
        version: 1.0.0
        title: Asthma
        include: [{system: icd10cm, under: [J45]}]
        """,
    "revised.test.yaml": """\
        test: revised
        now: 2026-11-22T12:00:00Z
        patients:
          base:
            conditions: [{code: icd10cm|E11.9, name: Diabetes}]
        cases:
          - name: diabetes
            patient: base
            expect: {card: info}
          - name: nothing
            patient: base
            set: {conditions: []}
            expect: no card
          - name: conditions that were not read
            patient: base
            set: {not_loaded: [Condition]}
            expect: unknown
        """,
    "revised.yaml": """\
        format: 1
        rule: revised
        version: 1.0.<number>
        title: Diabetes without asthma
        status: active
        severity: info
        hooks: [patient-view]
        facts:
          diabetes: {condition: {in: diabetes}}
          asthma: {condition: {in: asthma}}
        if_unknown: silent
        card:
          summary: Revision <number>
          source: {label: Test}
        when:
          all:
            - diabetes: present
            - asthma: absent
        """,
}

Revise = Callable[[Path, int], dict[str, str]]


KEEPER = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Have the garbage collector come less often, and what tests start hear and end."""
    gc.set_threshold(100_000, 20, 20)
    hear_for_others()
    if not is_worker(config):
        config.stash[KEEPER] = keep_watch(os.environ)


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over the tests themselves.

    Thousands of them are half a million objects that stay to the end. To walk over them
    again and again would take a seventh of the time of the quick loop.
    """
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Have what tests started and left ended before the run ends."""
    if not is_worker(config):
        config.stash[KEEPER].communicate()


def is_worker(config: pytest.Config) -> bool:
    """Return whether this is one of several that share a run, and that its first
    process has started.
    """
    return hasattr(config, "workerinput")


def hear_for_others() -> None:
    """Give what tests start the default action of the signals that this run ignores.

    A script starts what it puts into the background with SIGINT and SIGQUIT ignored,
    and whatever is started from there would inherit that. A signal that is heard is
    back at its default in a new program. The run itself stays as deaf as it was.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def revise() -> Revise:
    """Writes a revision of the folder, whose card says its number; gives its files."""

    def write(folder: Path, number: int) -> dict[str, str]:
        files = {
            name: dedent(text).replace("<number>", str(number))
            for name, text in FILES.items()
        }
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_text("utf-8") != text:
                file.write_text(text, "utf-8")
        return files

    return write


@pytest.fixture
def settings_table() -> list[tuple[str, str, str]]:
    """Name, default and description of every setting, as docs/operators.md has them."""

    from cds_service.config import Config
    from cds_service.config.settings import PREFIX

    def shown(default: object) -> str:
        if isinstance(default, tuple):
            return ", ".join(default)
        return "" if default is None else str(default)

    return [
        (PREFIX + name.upper(), shown(field.default), field.description or "")
        for name, field in Config.model_fields.items()
    ]


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Makes a file a database of our schema that holds nothing, and gives its URL."""
    from cds_service.store.store import Store

    template = tmp_path_factory.mktemp("template") / "cds.sqlite"
    store = Store.open(f"sqlite:///{template}")
    store.migrate()
    store.close()

    def copy(file: Path) -> str:
        shutil.copy(template, file)
        return f"sqlite:///{file}"

    return copy


@pytest.fixture(scope="session")
def postgresql() -> Iterator["Server"]:
    """A server with a database of our schema, to copy from."""
    from cds_service.store.store import Store
    from tests.postgresql import running_server

    with running_server() as server:
        store = Store.open(server.url(server.template()))
        store.migrate()
        store.close()
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database; a test that is about one of them says so instead."""
    return str(request.param)


@pytest.fixture
def empty(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a database is or will be that holds nothing."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: "Server" = request.getfixturevalue("postgresql")
    database = server.create("template0")
    yield server.url(database)
    server.drop(database)


@pytest.fixture
def database_url(
    kind: str,
    tmp_path: Path,
    new_database: Callable[[Path], str],
    request: pytest.FixtureRequest,
) -> Iterator[str]:
    """Where a database of our schema is that holds nothing."""
    if kind == "sqlite":
        yield new_database(tmp_path / "cds.sqlite")
        return
    server: "Server" = request.getfixturevalue("postgresql")
    with server.lend() as database:
        yield server.url(database)


@pytest.fixture
def url(database_url: str) -> str:
    """The same, where no other URL is at hand."""
    return database_url


@pytest.fixture
def rows(database_url: str) -> Callable[[str], list[dict[str, Any]]]:
    """What the database itself answers to a query."""
    from sqlalchemy import create_engine

    def ask(sql: str) -> list[dict[str, Any]]:
        engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.exec_driver_sql(sql)
                return list(map(dict, found.mappings())) if found.returns_rows else []
        finally:
            engine.dispose()

    return ask
