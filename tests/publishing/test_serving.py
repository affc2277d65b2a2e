"""What a process serves, and how it follows what is published."""

import gc
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.publishing.publisher import Publisher
from cds_service.publishing.serving import Follower, Serving
from cds_service.rulebook.compile.compiler import compile_rulebook, digest_of
from cds_service.rulebook.engine.rules import unchecked
from cds_service.store import postgresql
from cds_service.store import sqlite as sqlite_file
from cds_service.store.publications import Draft
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

from ..waiting import until

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Revise = Callable[[Path, int], dict[str, str]]


class Bench:
    """A process that serves revision 1 of a folder, and its log."""

    def __init__(self, folder: Path, revise: Revise) -> None:
        self.folder = folder / "rules"
        self.file = folder / "store.sqlite"
        self.store = Store.open(f"sqlite:///{self.file}")
        self.store.migrate()
        self.log: list[dict[str, Any]] = []
        rulebook = compile_rulebook(revise(self.folder, 1)).rulebook
        assert rulebook
        self.serving = Serving(rulebook, NOW)
        clock = datetime(2026, 11, 23, tzinfo=UTC)
        self.follower = Follower(self.serving, self.store, lambda: clock, self.note)

    def note(self, event: str, **facts: Any) -> None:
        self.log.append({"event": event, **facts})

    def publish(self) -> None:
        args = (self.store, "node", unchecked, lambda: NOW, lambda event, **_: None)
        assert Publisher(self.folder, *args).publish().published


@pytest.fixture
def bench(tmp_path: Path, revise: Revise) -> Iterator[Bench]:
    made = Bench(tmp_path, revise)
    yield made
    gc.unfreeze()
    made.store.close()


def test_between_two_looks_is_a_second_and_another_is_left_to_compile() -> None:
    assert max(sqlite_file.LOOK_SECONDS, postgresql.LOOK_SECONDS) <= 1


@pytest.fixture
def served(tmp_path: Path, revise: Revise) -> Serving:
    """What one node of two serves at first."""
    rulebook = compile_rulebook(revise(tmp_path, 1)).rulebook
    assert rulebook
    return Serving(rulebook, NOW)


@pytest.fixture
def follower(url: str, served: Serving) -> Iterator[Follower]:
    """What keeps that node at the newest publication."""
    with closing(Store.open(url)) as store:
        yield Follower(served, store, lambda: NOW, lambda *_, **__: None)
    gc.unfreeze()


@pytest.fixture
def other(url: str, tmp_path: Path, revise: Revise) -> Iterator[Callable[[int], str]]:
    """Another node, which publishes a revision and gives its digest."""
    with closing(Store.open(url)) as store:
        args = (unchecked, lambda: NOW, lambda event, **_: None)
        publisher = Publisher(tmp_path, store, "node", *args)

        def publish(number: int) -> str:
            files = revise(tmp_path, number)
            assert publisher.publish().published
            return digest_of(files)

        yield publish


def test_what_another_node_publishes_is_served_with_the_next_look(
    served: Serving, follower: Follower, other: Callable[[int], str]
) -> None:
    for number in (1, 2, 3, 4):
        digest = other(number)
        follower.look()

        assert served.rulebook.digest == digest


def test_who_follows_looks_by_itself(
    served: Serving, follower: Follower, other: Callable[[int], str]
) -> None:
    follower.start()
    for number in (1, 2, 3, 4):
        digest = other(number)
        until(lambda: served.rulebook.digest == digest)
    follower.stop()


def test_what_is_published_is_served(bench: Bench, revise: Revise) -> None:
    files = revise(bench.folder, 2)
    bench.publish()

    bench.follower.look()

    assert bench.serving.rulebook.digest == digest_of(files)
    assert bench.serving.swaps == 1
    assert bench.serving.since > NOW
    assert [each["event"] for each in bench.log] == ["rulebook swapped"]


def test_what_is_served_already_is_left_alone(bench: Bench) -> None:
    bench.follower.look()
    before = bench.serving.rulebook
    bench.publish()
    bench.follower.look()

    assert bench.serving.rulebook is before
    assert (bench.serving.swaps, bench.log) == (0, [])


def test_a_service_knows_the_rulebook_that_it_is_part_of(
    bench: Bench, revise: Revise
) -> None:
    (begun,) = bench.serving.rulebook.services.values()
    revise(bench.folder, 2)
    bench.publish()
    bench.follower.look()

    (now,) = bench.serving.rulebook.services.values()
    assert now.digest == bench.serving.rulebook.digest != begun.digest
    assert begun.rules[0].version == "1.0.1"


def test_what_does_not_compile_here_is_said_once_and_not_served(bench: Bench) -> None:
    before = bench.serving.rulebook
    files = {"site.yaml": "format: 2\n"}
    draft = Draft(digest_of(files), files, "c", rules=0)
    event = AuditEvent(NOW, "rulebook", detail={})
    bench.store.publications.publish(draft, event, "a newer program")

    bench.follower.look()
    with closing(sqlite3.connect(bench.file)) as database, database:
        database.execute("DELETE FROM rulebooks")
    for _ in range(2):
        # Whoever tried again would miss the texts by now.
        bench.follower.look()

    assert bench.serving.rulebook is before
    assert "alert-types.yaml:1:1: CDS010" in bench.serving.problem
    assert [each["event"] for each in bench.log] == ["rulebook not followed"]


DAMAGES = [
    "UPDATE rulebooks SET files = replace(files, 's: present', 's: absent')",
    "UPDATE rulebooks SET files = substr(files, 1, 100)",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_texts_that_are_not_those_that_passed_are_not_served(
    bench: Bench, revise: Revise, damage: str
) -> None:
    before = bench.serving.rulebook
    revise(bench.folder, 2)
    bench.publish()
    with closing(sqlite3.connect(bench.file)) as database, database:
        assert database.execute(damage).rowcount == 1

    for _ in range(2):
        bench.follower.look()

    assert bench.serving.rulebook is before
    assert bench.serving.problem.endswith("is damaged")
    assert [each["event"] for each in bench.log] == ["rulebook not followed"]


def test_damaged_texts_are_mended_by_who_publishes_them_again(
    bench: Bench, revise: Revise
) -> None:
    files = revise(bench.folder, 2)
    bench.publish()
    with closing(sqlite3.connect(bench.file)) as database, database:
        database.execute(DAMAGES[0])
    args = (bench.store, "node", unchecked, lambda: NOW, lambda event, **_: None)

    assert not Publisher(bench.folder, *args).publish().published
    bench.follower.look()

    assert bench.serving.rulebook.digest == digest_of(files)


def test_a_database_that_does_not_answer_changes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    empty = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    follower = Follower(bench.serving, empty, lambda: NOW, bench.note)
    before = bench.serving.rulebook

    follower.look()
    assert bench.serving.rulebook is before
    assert "cannot be read" in bench.serving.problem

    empty.migrate()
    follower.look()
    assert bench.serving.problem == ""
    empty.close()


def test_a_change_after_others_is_compiled_as_if_it_were_the_first(
    bench: Bench, revise: Revise
) -> None:
    bench.publish()
    for number in (2, 3, 2):
        files = revise(bench.folder, number)
        bench.publish()
        bench.follower.look()

        afresh = compile_rulebook(files).rulebook
        served = bench.serving.rulebook
        assert afresh and served.digest == afresh.digest
        assert served.rules["revised"].version == f"1.0.{number}"
        assert served.valuesets == afresh.valuesets


def test_the_interpreter_is_as_before_after_a_swap(
    bench: Bench, revise: Revise
) -> None:
    before = sys.getswitchinterval()
    revise(bench.folder, 2)
    bench.publish()

    bench.follower.look()

    assert sys.getswitchinterval() == before
    assert gc.isenabled()
