"""What a worker says of the rulebook that it serves."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.decision import World
from cds_service.publishing.serving import Serving
from cds_service.rulebook.terminology.expansions import KnownProducts
from cds_service.store.publications import Draft
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

Build = Callable[..., World]
Connect = Callable[[World], Any]
FINDING = {
    "file": "cardiology/a.yaml",
    "line": 3,
    "column": 7,
    "code": "CDS031",
    "level": "error",
    "message": "`lastest` does not apply to",
}


def publish(world: World, digest: str) -> None:
    now = world.clock()
    draft = Draft(digest, {}, "checked", rules=1)
    event = AuditEvent(now, "rulebook", detail={})
    world.store.publications.publish(draft, event, "node")


def refuse(world: World, count: int = 1) -> None:
    event = AuditEvent(world.clock(), "rulebook", detail={})
    world.store.publications.refuse("c", [FINDING] * count, event, "node")


def test_a_worker_names_what_it_serves_and_what_is_published(ehr: Any) -> None:
    publish(ehr.world, ehr.world.rulebook.digest)
    ehr.world.store.publications.take_lease("watcher", ehr.world.clock(), 10)

    told = ehr.http.get("/health").json

    assert told["status"] == "ok"
    assert told["rulebook"]["digest"] == ehr.world.rulebook.digest
    assert told["rulebook"]["swaps"] == 0
    assert told["published"]["digest"] == ehr.world.rulebook.digest
    assert told["published"]["publisher"] == "node"
    assert (told["watched"], told["problems"]) == (True, [])
    assert told["rulebook_error"] is None


def test_a_refusal_is_shown_with_file_line_and_column(ehr: Any) -> None:
    publish(ehr.world, ehr.world.rulebook.digest)
    refuse(ehr.world, count=12)

    told = ehr.http.get("/health").json
    ready = ehr.http.get("/health/ready")

    said = "cardiology/a.yaml:3:7: CDS031: `lastest` does not apply to"
    assert told["status"] == "degraded"
    assert told["rulebook_error"]["findings"] == [said] * 10
    assert told["rulebook_error"]["more"] == 2
    assert ready.status_code == 200
    assert ready.json["rulebook_error"] == told["rulebook_error"]


def test_a_folder_that_nobody_watches_is_a_problem_unless_that_is_meant(
    build: Build, connect: Connect
) -> None:
    watched, unwatched = connect(build()), connect(build(reload="off"))

    assert watched.http.get("/health").json["problems"] == [
        "no process watches the rules folder"
    ]
    told = unwatched.http.get("/health").json
    assert (told["watched"], told["status"]) == ("off", "ok")


def test_a_worker_that_cannot_follow_says_why(build: Build, connect: Connect) -> None:
    world = build(reload="off")
    world.serving.problem = "the published rules do not compile here"
    ehr = connect(world)

    told = ehr.http.get("/health").json

    assert told["status"] == "degraded"
    assert told["problems"] == ["the published rules do not compile here"]
    assert metric(ehr, "cds_rulebook_behind") == ["1.0"]


def test_without_its_database_a_worker_still_says_what_it_serves(
    build: Build, connect: Connect, tmp_path: Path
) -> None:
    empty = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    ehr = connect(replace(build(), store=empty))

    told = ehr.http.get("/health").json

    assert told["status"] == "failing"
    assert told["rulebook"]["digest"] == ehr.world.rulebook.digest
    assert ehr.http.get("/metrics").status_code == 200
    empty.close()


def metric(ehr: Any, name: str) -> list[str]:
    lines = ehr.http.get("/metrics").text.splitlines()
    found = [re.match(rf"{name}(?:{{| )(.*)", each) for each in lines]
    return [each[1] for each in found if each]


def test_the_metrics_follow_swaps_and_refusals(ehr: Any) -> None:
    rulebook = ehr.world.rulebook
    (info,) = metric(ehr, "cds_rulebook_info")
    assert f'digest="{rulebook.digest}"' in info
    assert metric(ehr, "cds_rulebook_refused") == ["0.0"]

    refuse(ehr.world)
    ehr.world.serving.swap(replace(rulebook, digest="another"), ehr.world.clock())

    (info,) = metric(ehr, "cds_rulebook_info")
    assert 'digest="another"' in info
    assert metric(ehr, "cds_rulebook_refused") == ["1.0"]
    assert metric(ehr, "cds_rulebook_swaps_total") == ["1.0"]


def test_health_says_whether_products_are_told_by_their_codes(
    build: Build, connect: Connect
) -> None:
    world = build()
    name, drugs = next(
        each for each in world.rulebook.valuesets.items() if each[1].names
    )
    filled = replace(drugs, known=KnownProducts(frozenset({"866436"})))
    sets = {**world.rulebook.valuesets, name: filled}
    imported = Serving(replace(world.rulebook, valuesets=sets), world.clock())

    without = connect(world).http.get("/health").json["rulebook"]["rxnorm"]
    with_it = connect(replace(world, serving=imported)).http.get("/health").json

    assert without == "not imported: products match by name"
    assert with_it["rulebook"]["rxnorm"] == "imported"


@pytest.mark.parametrize(("days", "count"), [(0, 0), (1, 1)])
def test_overdue_reviews_are_counted_by_the_sites_calendar(
    build: Build, connect: Connect, days: int, count: int
) -> None:
    world = build()
    rulebook = world.rulebook
    today = world.clock().astimezone(rulebook.site.time_zone).date()
    far, due = date(2999, 1, 1), today - timedelta(days=days)
    rules = {
        name: replace(each, review_by=far, status="active")
        for name, each in rulebook.rules.items()
    }
    name = next(iter(rules))
    rules[name] = replace(rules[name], review_by=due, effective=None, expires=None)
    book = replace(rulebook, rules=rules)
    ehr = connect(replace(world, serving=Serving(book, world.clock())))

    assert ehr.http.get("/health").json["rulebook"]["review_overdue"] == count
    assert metric(ehr, "cds_rules_review_overdue") == [f"{count}.0"]
