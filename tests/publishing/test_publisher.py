"""From a folder to what is served: published when it is good, refused when not."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.publishing.publisher import (
    Lease,
    Publisher,
    Watcher,
    digest_of_all,
)
from cds_service.rulebook.compile.compiler import digest_of
from cds_service.rulebook.engine.rules import unchecked
from cds_service.rulebook.watch import Watch
from cds_service.store.publications import Draft
from cds_service.store.store import Store

from ..waiting import PATIENCE

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Revise = Callable[[Path, int], dict[str, str]]


class Bench:
    """A publisher of a folder, and what it wrote to its log."""

    def __init__(self, folder: Path, revise: Revise) -> None:
        self.folder = folder / "rules"
        self.file = folder / "store.sqlite"
        self.store = Store.open(f"sqlite:///{self.file}")
        self.store.migrate()
        self.log: list[dict[str, Any]] = []
        self.publisher = Publisher(
            self.folder, self.store, "node", unchecked, lambda: NOW, self.note
        )
        self.files = revise(self.folder, 1)

    def note(self, event: str, **facts: Any) -> None:
        self.log.append({"event": event, **facts})

    @property
    def served(self) -> str:
        newest = self.store.publications.newest()
        return newest.digest if newest else ""

    @property
    def errors(self) -> list[str]:
        """File, line and code of what stands against the newest rules."""
        refusal = self.store.publications.refusal()
        found = refusal.findings if refusal else ()
        return [f"{each['file']}:{each['line']}: {each['code']}" for each in found]


@pytest.fixture
def bench(tmp_path: Path, revise: Revise) -> Iterator[Bench]:
    made = Bench(tmp_path, revise)
    yield made
    made.store.close()


def test_good_rules_are_published_once(bench: Bench) -> None:
    first, again = bench.publisher.publish(), bench.publisher.publish()

    assert (first.published, again.published) == (True, False)
    assert bench.served == digest_of(bench.files)
    assert [each["event"] for each in bench.log] == ["rulebook published"]


def test_tests_are_no_part_of_what_is_served(bench: Bench) -> None:
    bench.publisher.publish()

    assert "revised.test.yaml" not in bench.store.publications.files(bench.served)


def test_the_log_names_the_files_that_changed(bench: Bench, revise: Revise) -> None:
    bench.publisher.publish()
    revise(bench.folder, 2)
    bench.publisher.publish()

    assert bench.log[-1]["changed"] == ["revised.yaml"]


def test_a_rule_that_does_not_compile_changes_nothing(bench: Bench) -> None:
    bench.publisher.publish()
    before = bench.served
    rule = bench.folder / "revised.yaml"
    rule.write_text(rule.read_text().replace("present", "presnt"))

    verdict = bench.publisher.publish()

    assert verdict.rulebook is None and bench.served == before
    line = 1 + rule.read_text().splitlines().index("    - diabetes: presnt")
    assert any(each.startswith(f"revised.yaml:{line}:") for each in bench.errors)
    assert bench.log[-1]["event"] == "rulebook refused"
    assert any(f"revised.yaml:{line}:" in each for each in bench.log[-1]["errors"])


def test_a_rule_whose_test_fails_changes_nothing(bench: Bench) -> None:
    bench.publisher.publish()
    before = bench.served
    rule = bench.folder / "revised.yaml"
    rule.write_text(rule.read_text().replace("diabetes: present", "diabetes: absent"))

    bench.publisher.publish()

    assert bench.served == before
    assert {each.split(": ")[1] for each in bench.errors} == {"CDS708"}


def test_a_folder_that_vanished_is_no_empty_rulebook(bench: Bench) -> None:
    bench.publisher.publish()
    before = bench.served
    bench.folder.rename(bench.folder.with_name("away"))

    assert bench.publisher.publish().rulebook is None

    assert bench.served == before
    assert [each.split(": ")[1] for each in bench.errors] == ["CDS001"]


def test_a_file_that_cannot_be_read_is_no_missing_file(bench: Bench) -> None:
    bench.publisher.publish()
    before = bench.served
    (bench.folder / "cardiology.yaml").symlink_to("nowhere.yaml")

    bench.publisher.publish()

    assert bench.served == before
    assert [each.split(": ")[1] for each in bench.errors] == ["CDS001"]


def test_the_same_refusal_is_said_once(bench: Bench) -> None:
    (bench.folder / "site.yaml").write_text("format: 2\n")
    for _ in range(3):
        bench.publisher.publish()

    assert [each["event"] for each in bench.log] == ["rulebook refused"]
    assert len(list(bench.store.audit_entries())) == 1


def test_a_repair_lifts_the_refusal_even_where_nothing_new_is_served(
    bench: Bench, revise: Revise
) -> None:
    bench.publisher.publish()
    (bench.folder / "site.yaml").write_text("format: 2\n")
    bench.publisher.publish()
    assert bench.errors

    revise(bench.folder, 1)

    assert bench.publisher.publish().published is False
    assert bench.errors == []


def fail_its_test(bench: Bench) -> dict[str, str]:
    """Make the folder's rule one that its test refuses; gives the files."""
    rule = bench.folder / "revised.yaml"
    rule.write_text(rule.read_text().replace("diabetes: present", "diabetes: absent"))
    return {**bench.files, "revised.yaml": rule.read_text()}


def remember(bench: Bench, files: dict[str, str], checked: str, digest: str) -> None:
    """Have the database say that files passed."""
    bench.store.publications.confirm(Draft(digest, files, checked, rules=1), NOW)


def test_the_verdict_on_the_very_same_files_is_kept(bench: Bench) -> None:
    files = fail_its_test(bench)
    remember(bench, files, digest_of_all(files), digest_of(files))

    # Were its test asked, it would be refused.
    assert bench.publisher.publish().published


@pytest.mark.parametrize(
    ("checked", "digest"),
    [
        ("by another version of the program", "own"),
        ("damaged", "own"),
        ("own", "of another rulebook"),
    ],
)
def test_a_verdict_that_is_foreign_or_damaged_is_none(
    bench: Bench, checked: str, digest: str
) -> None:
    files = fail_its_test(bench)
    told = {
        "own": digest_of_all(files),
        "by another version of the program": digest_of_all(files, "0.0.9"),
        "damaged": digest_of_all(files)[:-1],
    }
    known = digest_of(files if digest == "own" else bench.files)
    remember(bench, files, told[checked], known)

    assert bench.publisher.publish().rulebook is None
    assert bench.served == ""
    assert {each.split(": ")[1] for each in bench.errors} == {"CDS708"}


def test_a_changed_test_has_a_verdict_of_its_own(bench: Bench) -> None:
    bench.publisher.publish()
    test = bench.folder / "revised.test.yaml"
    test.write_text(test.read_text().replace("card: info", "card: critical"))

    assert bench.publisher.publish().rulebook is None


def test_new_rules_are_published_although_those_before_are_damaged(
    bench: Bench, revise: Revise
) -> None:
    bench.publisher.publish()
    with closing(sqlite3.connect(bench.file)) as database, database:
        database.execute("UPDATE rulebooks SET files = 'torn'")
    files = revise(bench.folder, 2)

    assert bench.publisher.publish().published

    assert bench.served == digest_of(files)
    assert [each["event"] for each in bench.log] == [
        "rulebook published",
        "rulebook damaged",
        "rulebook published",
    ]


def test_who_begins_to_watch_what_is_served_already_has_nothing_to_do(
    bench: Bench, revise: Revise
) -> None:
    bench.publisher.publish()
    lease = Lease(bench.store, "a", lambda: NOW)
    lease.epoch = bench.store.publications.take_lease("a", NOW, 10)
    watcher = Watcher(bench.publisher, lease, Watch(bench.folder, quiet=0.0))

    assert watcher.look() is None
    revise(bench.folder, 2)
    verdict = watcher.look()

    assert verdict is not None and verdict.published


def test_only_the_holder_of_the_lease_watches(bench: Bench) -> None:
    lease = Lease(bench.store, "a", lambda: NOW)
    watcher = Watcher(bench.publisher, lease, Watch(bench.folder, quiet=0.0))

    assert watcher.look() is None and bench.served == ""
    lease.epoch = bench.store.publications.take_lease("a", NOW, 10)
    assert watcher.look() is not None and bench.served != ""
    assert watcher.look() is None


def lay_loop(folder: Path) -> Path:
    loop = folder / "loop.yaml"
    loop.symlink_to("loop.yaml")
    return loop


def lay_folder(folder: Path) -> Path:
    named = folder / "named.yaml"
    named.mkdir()
    return named


def lay_nameless(folder: Path) -> Path:
    link = folder / "nameless.yaml"
    link.symlink_to("n" * 300)
    return link


@pytest.mark.parametrize("lay", [lay_loop, lay_folder, lay_nameless])
def test_a_watcher_outlives_what_it_cannot_read_and_sees_it_go(
    bench: Bench, lay: Callable[[Path], Path]
) -> None:
    lease = Lease(bench.store, "a", lambda: NOW)
    lease.epoch = bench.store.publications.take_lease("a", NOW, 10)
    watcher = Watcher(bench.publisher, lease, Watch(bench.folder, quiet=0.0))
    watcher.look()
    before = bench.served
    wrong = lay(bench.folder)

    refused = watcher.look()

    assert refused is not None and refused.rulebook is None
    assert bench.served == before != ""
    assert bench.errors == [f"{wrong.name}:1: CDS001"]
    wrong.unlink() if wrong.is_symlink() else wrong.rmdir()
    assert watcher.look() is not None
    assert (bench.served, bench.errors) == (before, [])


def test_who_takes_over_publishes_the_folder_of_its_own(
    bench: Bench, revise: Revise
) -> None:
    lease = Lease(bench.store, "a", lambda: NOW)
    lease.epoch = bench.store.publications.take_lease("a", NOW, 10)
    watcher = Watcher(bench.publisher, lease, Watch(bench.folder, quiet=0.0))
    watcher.look()
    mine = bench.served
    lease.epoch = 0
    watcher.look()
    other = bench.folder.with_name("other")
    revise(other, 7)
    args = (bench.store, "other", unchecked, lambda: NOW, bench.note)
    Publisher(other, *args).publish()
    assert bench.served != mine

    lease.epoch = 1
    watcher.look()

    assert bench.served == mine


def test_a_lease_is_kept_until_it_is_given_back(bench: Bench) -> None:
    publications = bench.store.publications
    with Lease(bench.store, "a", lambda: NOW) as lease:
        waited = threading.Event()
        for _ in range(PATIENCE * 10):
            if lease.epoch:
                break
            waited.wait(0.1)
        assert not publications.take_lease("b", NOW, 10)

    assert publications.take_lease("b", NOW, 10)
