"""``cds-service workbench login``: a way in for who is on the server's machine."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from cds_service.app import create_app
from cds_service.cli import main
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

OWN = {"Sec-Fetch-Site": "same-origin"}
Serve = Callable[[Flask], AbstractContextManager[str]]


@pytest.fixture
def settings(
    tmp_path: Path, new_database: Callable[[Path], str], alert_rules: Path
) -> dict[str, str]:
    return {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(alert_rules),
        "CDS_DATABASE_URL": new_database(tmp_path / "bench.sqlite"),
        "CDS_HOST": "127.0.0.1",
        "CDS_PORT": "9",
    }


@pytest.fixture
def world(settings: dict[str, str]) -> Iterator[World]:
    made = build_world(
        load_config(settings), check_folder(Path(settings["CDS_RULES"])).rulebook
    )
    yield made
    made.store.close()
    made.fhir.close()


def run(settings: dict[str, str], *options: str) -> Result:
    return CliRunner().invoke(main, ["workbench", "login", *options], env=settings)


def test_the_link_that_is_printed_lets_one_browser_in(
    settings: dict[str, str], world: World, serving: Serve
) -> None:
    app = create_app(world=world)
    with serving(app) as base:
        port = str(urlsplit(base).port)
        result = run({**settings, "CDS_PORT": port}, "--role", "author")

    assert result.exit_code == 0
    link = result.stdout.strip()
    assert re.fullmatch(
        rf"http://127\.0\.0\.1:{port}/workbench/login\?code=[\w-]{{43}}", link
    )
    assert "works once, within five minutes" in result.stderr
    code = link.rpartition("=")[2]
    entered = app.test_client().post(
        "/workbench/login", base_url=base, data={"code": code}, headers=OWN
    )
    assert (entered.status_code, entered.location) == (303, "/workbench/")


def test_without_a_server_nothing_is_printed_and_it_is_said_why(
    settings: dict[str, str],
) -> None:
    result = run(settings)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no server answers at http://127.0.0.1:9" in result.stderr
    assert "cds-service serve" in result.stderr


def test_a_workbench_that_is_off_is_said_to_be_off(settings: dict[str, str]) -> None:
    result = run({**settings, "CDS_WORKBENCH": "off"})

    assert (result.exit_code, result.stdout) == (1, "")
    assert "set CDS_WORKBENCH=on" in result.stderr


def test_a_server_that_was_started_without_it_is_named(
    settings: dict[str, str], world: World, serving: Serve
) -> None:
    with serving(Flask("other")) as base:
        result = run({**settings, "CDS_PORT": str(urlsplit(base).port)})

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"what answers at {base} has no workbench (404)" in result.stderr


def test_a_server_that_listens_elsewhere_alone_cannot_be_entered_by_a_link(
    settings: dict[str, str],
) -> None:
    result = run({**settings, "CDS_HOST": "10.1.2.3"})

    assert result.exit_code == 1
    assert "listens only on 10.1.2.3" in result.stderr
