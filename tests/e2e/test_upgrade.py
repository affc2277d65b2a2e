"""An upgrade in place, the way back, and a database that is newer than the program."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from cds_service.audit import verify
from cds_service.store.store import Store

from ..waiting import PATIENCE, children_of, is_running, until

pytestmark = pytest.mark.slow

Server = Any
Chart = Any
HOME = Path(__file__).parents[2]


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """One worker; what was stored in the end is an unbroken chain."""
    running = start_server()
    yield running
    assert verify(Store.open(running.database)) == []
    assert "Traceback" not in (running.folder / "log").read_text()
    running.kill()


def call(server: Server, chart: Chart) -> int:
    status: int = server.post(json.dumps(chart.request()).encode()).status
    return status


def masters(server: Server) -> list[int]:
    """Every master that ever listened, in the order of their starts."""
    log = (server.folder / "log").read_text()
    return [int(each) for each in re.findall(r"Listening at: \S+ \((\d+)\)", log)]


def take_over(server: Server) -> tuple[int, int]:
    """The master of before and a new one beside it, both with workers that answer."""
    old, before = masters(server)[-1], len(masters(server))
    os.kill(old, signal.SIGUSR2)
    until(lambda: len(masters(server)) > before, (server.folder / "log").read_text)
    new = masters(server)[-1]
    until(lambda: children_of(new))
    return old, new


def test_a_new_program_takes_over_and_no_call_is_dropped(
    server: Server, open_chart: Callable[[Server], Chart]
) -> None:
    chart = open_chart(server)
    assert call(server, chart) == 200

    old, new = take_over(server)
    assert [call(server, chart) for _ in range(8)] == [200] * 8
    os.kill(old, signal.SIGTERM)
    while is_running(old):
        server.process.poll()
        assert call(server, chart) == 200

    assert [call(server, chart) for _ in range(8)] == [200] * 8
    assert is_running(new)
    os.kill(new, signal.SIGTERM)
    until(lambda: not is_running(new))


def test_the_way_back_is_to_end_the_new_program(
    server: Server, open_chart: Callable[[Server], Chart]
) -> None:
    chart = open_chart(server)
    old, new = take_over(server)

    os.kill(new, signal.SIGTERM)
    while is_running(new):
        assert call(server, chart) == 200

    assert is_running(old)
    assert [call(server, chart) for _ in range(8)] == [200] * 8


def test_a_program_that_is_older_than_the_database_says_so_and_does_not_serve(
    url: str,
) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    own = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_PORT": "0",
        "CDS_RULES": str(HOME / "rules"),
        "CDS_DATABASE_URL": url,
    }
    usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}

    done = subprocess.run(
        [sys.executable, "-m", "cds_service.cli", "serve"],
        env={**usual, **own},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 3
    assert "the database belongs to a newer version of this program" in done.stderr
    assert "its schema is 9999" in done.stderr
    assert "Traceback" not in done.stderr
