"""What an operator's machinery reads of a server: what is counted, and how it fares."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cds_service.decision import World
from cds_service.publishing.serving import Follower
from cds_service.store.records import Attempt, StoreError
from cds_service.store.store import Store
from cds_service.web.metrics import Load

Build = Callable[..., World]
Connect = Callable[[World], Any]


def read(ehr: Any) -> dict[str, float]:
    """Every number without a label, by its name."""
    text = ehr.http.get("/metrics").text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


@pytest.fixture
def unready(build: Build, connect: Connect, tmp_path: Path) -> Iterator[Any]:
    """A server whose database has no schema."""
    store = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield connect(replace(build(), store=store))
    store.close()


def test_what_the_database_was_not_asked_is_missing_and_not_0(unready: Any) -> None:
    told = read(unready)

    assert told["cds_database_up"] == 0
    assert "cds_rulebook_refused" not in told
    assert "cds_rules_watched" not in told
    assert "cds_delivery_unanswered_seconds" not in told
    assert told["cds_workers"] == 1


def test_a_server_tells_how_much_its_database_takes_and_what_room_is_left(
    ehr: Any,
) -> None:
    told = read(ehr)

    assert told["cds_database_up"] == 1
    assert told["cds_database_size_bytes"] > 10_000
    assert told["cds_database_free_bytes"] > 10_000
    assert told["cds_database_connections_busy"] == 0
    assert told["cds_database_connections_most"] == 0


def test_a_worker_tells_how_many_threads_are_busy_and_how_many_requests_wait(
    ehr: Any,
) -> None:
    metrics = ehr.http.application.extensions["cds_metrics"]
    metrics.workload = lambda: Load(busy=64, waiting=3, connections=200)

    told = read(ehr)

    assert told["cds_threads"] == ehr.world.config.threads == 64
    assert told["cds_threads_busy"] == 64
    assert told["cds_requests_waiting"] == 3
    assert told["cds_connections_open"] == 200


def test_a_worker_that_cannot_record_is_counted_until_it_can(ehr: Any) -> None:
    condition = ehr.world.store.condition
    assert read(ehr)["cds_workers_unready"] == 0

    condition.failed(StoreError("the disk is full", kind="SQLITE_FULL"))
    assert read(ehr)["cds_workers_unready"] == 1

    condition.went_well(large=True)
    assert read(ehr)["cds_workers_unready"] == 0


def test_a_delivery_that_was_begun_and_has_no_answer_grows_old(ehr: Any) -> None:
    store, now = ehr.world.store, ehr.world.clock()
    assert read(ehr)["cds_delivery_unanswered_seconds"] == 0

    attempt = Attempt("watch", "k")
    store.begin_delivery(attempt, "digest", now - timedelta(minutes=7))
    assert read(ehr)["cds_delivery_unanswered_seconds"] == 420

    store.abandon_delivery(attempt)
    assert read(ehr)["cds_delivery_unanswered_seconds"] == 0


def test_it_shows_that_nobody_watches_the_rules_unless_that_is_meant(
    build: Build, connect: Connect
) -> None:
    watched, unwatched = connect(build()), connect(build(reload="off"))

    assert read(watched)["cds_rules_watched"] == 0
    assert "cds_rules_watched" not in read(unwatched)

    world = watched.world
    world.store.publications.take_lease("watcher", world.clock(), 10)
    assert read(watched)["cds_rules_watched"] == 1


def test_it_shows_when_a_worker_last_heard_what_is_published(ehr: Any) -> None:
    world = ehr.world
    begun = world.serving.since.timestamp()
    name = "cds_rulebook_checked_timestamp_seconds"
    assert read(ehr)[name] == begun

    later = world.clock() + timedelta(seconds=9)
    Follower(world.serving, world.store, lambda: later, print).look()

    assert read(ehr)[name] == later.timestamp()
    assert read(ehr)["cds_rulebook_loaded_timestamp_seconds"] == begun


def test_a_worker_that_cannot_hear_what_is_published_keeps_its_old_time(
    unready: Any,
) -> None:
    world = unready.world
    later = world.clock() + timedelta(seconds=9)

    Follower(world.serving, world.store, lambda: later, lambda *_, **__: None).look()

    told = read(unready)
    since = world.serving.since.timestamp()
    assert told["cds_rulebook_checked_timestamp_seconds"] == since
    assert told["cds_rulebook_behind"] == 1


def test_it_is_read_as_prometheus_reads(ehr: Any) -> None:
    answer = ehr.http.get("/metrics")

    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    names = [each.name for each in text_string_to_metric_families(answer.text)]
    assert len(names) == len(set(names))
    assert all(each.startswith("cds_") for each in names)
