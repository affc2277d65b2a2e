"""What a process begins with, and what it does once it only serves."""

import gc
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.app import settle
from cds_service.audit import verify
from cds_service.config import load_config
from cds_service.rulebook.compile.compiler import digest_of
from cds_service.rulebook.load import InvalidRulebook
from cds_service.starting import Opening, open_rulebook, record_configuration
from cds_service.store.records import AuditEvent, Intake, StoreError
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from .waiting import PATIENCE


@pytest.fixture(autouse=True)
def unsettled() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_loaded_is_not_searched_for_garbage_again() -> None:
    kept = [{"loaded": "before the first call"}]

    settle()

    assert not any(each is kept for each in gc.get_objects())
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Revise = Callable[[Path, int], dict[str, str]]


class Site:
    """A rules folder, a database and the settings that name them."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "rules"
        self.file = folder / "store.sqlite"
        url = f"sqlite:///{self.file}"
        self.store = Store.open(url)
        self.store.migrate()
        self.settings = {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(self.rules),
            "CDS_DATABASE_URL": url,
        }

    def open(self, holder: str, **settings: str) -> Opening:
        config = load_config({**self.settings, **settings})
        return open_rulebook(config, self.store, holder)

    def refuse_records(self) -> None:
        """Have the database take no row about a configuration."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON configurations"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
        connection.close()

    def record(self, **settings: str) -> str:
        config = load_config({**self.settings, **settings})
        return record_configuration(config, self.store, NOW)

    @property
    def recorded(self) -> list[dict[str, Any]]:
        return [
            json.loads(each.detail)
            for each in self.store.audit_entries()
            if each.kind == "configuration"
        ]

    @property
    def served(self) -> str:
        newest = self.store.publications.newest()
        return newest.digest if newest else ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_a_good_folder_is_published_and_served(site: Site, revise: Revise) -> None:
    digest = digest_of(revise(site.rules, 1))

    opening = site.open("a")

    assert (opening.rulebook.digest, opening.notice) == (digest, "")
    assert site.served == digest


def test_a_broken_folder_with_nothing_published_is_not_served(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    (site.rules / "site.yaml").unlink()

    with pytest.raises(InvalidRulebook, match="site.yaml:1:1"):
        site.open("a")


def test_a_broken_folder_leaves_what_was_published_and_says_so(
    site: Site, revise: Revise
) -> None:
    digest = digest_of(revise(site.rules, 1))
    site.open("a")
    (site.rules / "site.yaml").unlink()

    opening = site.open("a")

    assert opening.rulebook.digest == digest
    assert "cannot be served" in opening.notice
    assert "site.yaml:1:1" in opening.notice


def test_a_start_says_that_identifiers_rest_on_another_address_than_its_own(
    site: Site,
) -> None:
    site.record(CDS_PUBLIC_URL="http://old.example")
    site.store.outbox.subscribe([Subscription("ehr", "default")])
    jane = PatientKey("default", "-", "jane")
    alert = WearableAlert("a1", jane, "high-heart-rate", NOW, NOW, source="watch")
    site.store.take_in(Intake(alerts=(alert,)), AuditEvent(NOW, "delivery"), NOW)
    outbox, gate = site.store.outbox, ConsentGate(Catalogue(), UTC, assumed=True)
    (lane,) = outbox.claim("ehr", 1, NOW)
    outbox.begin(lane, gate, NOW)

    said = site.record(CDS_PUBLIC_URL="http://new.example")
    same = site.record(
        CDS_PUBLIC_URL="http://new.example", CDS_IDENTIFIER_BASE="http://old.example/"
    )

    assert "identifiers of what is told rest on http://old.example" in said
    assert "rest on" not in same
    with pytest.raises(StoreError, match="under http://new.example it would be told"):
        site.record(CDS_IDENTIFIER_BASE="http://new.example")


def test_a_start_serves_no_texts_that_are_not_those_that_passed(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    site.open("a")
    (site.rules / "site.yaml").unlink()
    with closing(sqlite3.connect(site.file)) as database, database:
        damage = "replace(files, 'diabetes: present', 'diabetes: absent')"
        database.execute(f"UPDATE rulebooks SET files = {damage}")

    with pytest.raises(StoreError, match="is damaged"):
        site.open("a")


def test_what_was_parsed_at_the_start_need_not_be_parsed_again(
    site: Site, revise: Revise
) -> None:
    files = revise(site.rules, 1)
    first, again = site.open("a"), site.open("a")

    of_tests = {"revised.test.yaml"}
    assert set(first.documents) == set(again.documents) == set(files) - of_tests
    assert all(each.text == files[name] for name, each in again.documents.items())


def test_a_link_to_itself_leaves_what_was_published_served(
    site: Site, revise: Revise
) -> None:
    digest = digest_of(revise(site.rules, 1))
    site.open("a")
    (site.rules / "loop.yaml").symlink_to("loop.yaml")

    opening = site.open("a")

    assert opening.rulebook.digest == digest
    assert "loop.yaml:1:1: error[CDS001]: this link points to itself" in opening.notice


def test_while_another_server_publishes_its_rules_are_served(
    site: Site, revise: Revise
) -> None:
    digest = digest_of(revise(site.rules, 1))
    site.open("a")
    revise(site.rules, 2)

    opening = site.open("b")

    assert opening.rulebook.digest == digest == site.served
    assert "another server" in opening.notice


def test_without_a_watcher_the_folder_is_read_at_start(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    site.open("a")
    digest = digest_of(revise(site.rules, 2))

    opening = site.open("b", CDS_RELOAD="off")

    assert opening.rulebook.digest == digest == site.served


def test_what_a_server_starts_with_is_recorded_and_said_where_it_is_otherwise(
    site: Site,
) -> None:
    assert site.record() == ""
    assert site.record() == ""
    assert site.record(CDS_THREADS="3", CDS_WORKERS="2") == (
        "configuration changed since 2026-11-22T12:00:00.000000Z:"
        " settings: threads, workers"
    )

    first, second = site.recorded
    assert first["added"]["settings.threads"] == 64
    assert second["changed"] == {
        "settings.threads": [64, 3],
        "settings.workers": [1, 2],
    }


def test_what_cannot_be_recorded_is_a_sentence(site: Site) -> None:
    site.refuse_records()

    with pytest.raises(StoreError, match="cannot be recorded, so nothing is served"):
        site.record()


def test_apps_of_another_process_manager_record_once_what_they_start_with(
    site: Site, revise: Revise
) -> None:
    revise(site.rules, 1)
    usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    script = "from cds_service.app import create_app; create_app()"

    def start(**settings: str) -> list[str]:
        """What two that start at once say."""
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script],
                env={**usual, **site.settings, **settings},
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        said = [process.communicate(timeout=PATIENCE)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        return [each for each in said if each]

    assert start() == []
    (said,) = start(CDS_THREADS="3")

    first, second = site.recorded
    assert second["changed"] == {"settings.threads": [64, 3]}
    assert second["previous"] == first["digest"]
    assert said.endswith("Z: settings: threads\n")
    assert verify(site.store) == []
