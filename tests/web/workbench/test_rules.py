"""The page about rules: which there are, how they fare, and what is wrong with them."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from cds_service.fhir.models import check_resource
from cds_service.publishing.publisher import Publisher
from cds_service.rulebook.engine import Rulebook
from cds_service.store.records import AuditEvent
from cds_service.store.reports import RuleReport, Sampled
from cds_service.store.workbench.runs import WorkbenchRun
from cds_service.web.workbench.figures import RulesWanted, Share, list_rules

from ...conftest import Revise
from ...waiting import until
from .conftest import Browser, OpenBrowser

PAGE = "/workbench/rules"


class Site:
    """A rules folder that an author edits, and the browser beside it."""

    def __init__(self, browser: Browser, folder: Path, revise: Revise) -> None:
        self.browser, self.folder, self._revise = browser, folder, revise

    def save(self, number: int, change: tuple[str, str] = ("", "")) -> None:
        """Save a revision, and have the watcher look at it."""
        self._revise(self.folder, number)
        rule = self.folder / "revised.yaml"
        rule.write_text(rule.read_text().replace(*change))
        world = self.browser.world
        publisher = Publisher(
            self.folder, world.store, "watcher", check_resource, world.clock, ignore
        )
        verdict = publisher.publish()
        if verdict.rulebook:
            world.serving.swap(verdict.rulebook, world.clock())

    @property
    def digest(self) -> str:
        return self.browser.world.rulebook.digest


def ignore(event: str, **facts: object) -> None:
    """Log nothing."""


@pytest.fixture
def site(browse: OpenBrowser, tmp_path: Path, revise: Revise) -> Callable[[str], Site]:
    """Opens the workbench in a role, before a server of small rules."""

    def make(role: str = "author") -> Site:
        folder = tmp_path / "small"
        folder.mkdir()
        browser = browse(auth="off", rules=str(folder)).sign_in(role)
        made = Site(browser, folder, revise)
        made.save(1)
        return made

    return make


def test_every_rule_is_listed_with_version_status_owner_and_review(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in("viewer")

    text = browser.get(PAGE).text

    rules = browser.world.rulebook.rules
    assert len(rules) > 10
    for rule in rules.values():
        assert f"/workbench/rules/{rule.id}" in text and rule.version in text
    assert f"{len(rules)} of {len(rules)} rules" in text
    assert "No call was recorded yet" in text


def test_rules_are_found_by_words_and_status_without_a_script(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    every = len(browser.world.rulebook.rules)

    text = browser.get(f"{PAGE}?q=af-fast&status=active&order=review").text

    assert f"1 of {every} rules" in text
    assert "af-fast-rate" in text and "av-nodal-agent" not in text
    assert "No rule matches" in browser.get(f"{PAGE}?q=nothing-like-it").text
    assert browser.get(f"{PAGE}?status=x&order=y").status_code == 200


def test_a_rule_says_how_often_it_fired_was_shown_and_overridden(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    told = browser.http.post("/cds-services/wearable-review", json=request_body).json
    assert told is not None
    (card,) = told["cards"]
    entry = {"card": card["uuid"], "outcome": "overridden",
             "outcomeTimestamp": "2026-11-22T14:00:00Z"}  # fmt: skip
    said = browser.http.post(
        "/cds-services/wearable-review/feedback", json={"feedback": [entry]}
    )
    assert said.status_code == 200, said.text

    text = browser.get(f"{PAGE}/beta-blocker-resting-tachycardia").text

    assert "In the newest 1 calls" in text
    figures = text[text.index('id="figures"') : text.index('id="runs"')]
    assert figures.count("1 of 1") == 3


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (Share(0, 0), "–"),
        (Share(3, 7), "3 of 7"),
        (Share(0, 29), "0 of 29"),
        (Share(1, 30), "3.3 %"),
        (Share(12, 30), "40 %"),
        (Share(0, 5000), "0 %"),
    ],
)
def test_a_share_of_few_is_named_as_that(share: Share, told: str) -> None:
    assert str(share) == told


def test_a_version_of_before_keeps_its_own_figures(rulebook: Rulebook) -> None:
    rule = rulebook.rules["af-fast-rate"]
    reports = (
        RuleReport(rule.id, "0.9.0", fired=4, shown=2),
        RuleReport(rule.id, "0.10.0", fired=1),
        RuleReport(rule.id, rule.version, fired=10, shown=8),
    )
    sampled = Sampled({("wearable-review", "patient-view"): 40}, None, reports)

    (row,) = list_rules(rulebook, sampled, date(2026, 1, 1), RulesWanted(rule.id))

    assert [each.version for each in row.figures] == [rule.version, "0.10.0", "0.9.0"]
    assert [str(each.fires) for each in row.figures] == ["25 %", "2.5 %", "10 %"]


def test_figures_are_of_the_newest_calls_however_many_there_were(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off")
    for number in range(3):
        body = {**request_body, "hookInstance": f"d1577c69-dfbe-44ad-ba6d-{number:012}"}
        browser.http.post("/cds-services/wearable-review", json=body)

    reports = browser.world.store.reports
    two = reports.newest(browser.clock.now, 2)

    assert sum(two.calls.values()) == 2
    fired = {each.rule: each.fired for each in two.rules}
    assert fired["beta-blocker-resting-tachycardia"] == 2
    assert sum(reports.newest(browser.clock.now, 10).calls.values()) == 3


def test_the_page_of_a_rule_is_what_doc_writes(site: Callable[[str], Site]) -> None:
    text = site("viewer").browser.get(f"{PAGE}/revised").text

    assert "Diabetes without asthma" in text
    assert "<h3>Tests (3)</h3>" in text and "conditions that were not read" in text
    assert "Only authors can run them" in text


def test_a_rule_that_is_not_there_has_no_page(site: Callable[[str], Site]) -> None:
    answer = site("viewer").browser.get(f"{PAGE}/nowhere")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_rule_that_is_broken_is_shown_with_line_and_column_and_the_old_one_serves(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")
    served = desk.digest

    desk.save(2, ("severity: info", "severity: loud"))

    text = desk.browser.get(f"{PAGE}/revised").text
    assert "The rules folder has errors and is not served" in text
    assert "<code>revised.yaml:6:11</code>" in text
    assert served[:12] in text and desk.digest == served
    assert "Diabetes without asthma" in text


def test_a_rule_that_was_mended_is_shown_with_what_changed(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")
    served = desk.digest
    desk.save(2, ("severity: info", "severity: loud"))

    desk.save(3)

    text = desk.browser.get(f"{PAGE}?since={served}").text
    assert "The rules folder has errors and is not served" not in text
    assert "1.0.1" in text and "1.0.3" in text
    assert "card: summary Revision 3, was Revision 1" in text
    assert f"?since={served}" in desk.browser.get(PAGE).text


def test_a_page_learns_from_a_few_bytes_that_something_has_changed(
    site: Callable[[str], Site],
) -> None:
    desk = site("viewer")
    before = desk.browser.get(f"{PAGE}/state")

    desk.save(2, ("severity: info", "severity: loud"))
    broken = desk.browser.get(f"{PAGE}/state")
    desk.save(3)
    mended = desk.browser.get(f"{PAGE}/state")

    assert len(before.data) < 300
    assert before.json["served"] == broken.json["served"] != mended.json["served"]
    assert not before.json["refused"] and broken.json["refused"]
    assert not mended.json["refused"]


def test_what_was_never_published_is_compared_with_nothing(
    site: Callable[[str], Site],
) -> None:
    text = site("viewer").browser.get(f"{PAGE}?since=0000").text

    assert "It could not be compared" in text


def run(desk: Site, kind: str) -> str:
    """What the page says once a run is over."""
    desk.browser.get(f"{PAGE}/revised")
    answer = desk.browser.post(f"{PAGE}/revised/runs", {"kind": kind})
    assert (answer.status_code, answer.location) == (303, f"{PAGE}/revised#runs")
    store = desk.browser.world.store
    until(lambda: store.runs.current(desk.browser.clock.now) is None)
    return desk.browser.get(f"{PAGE}/revised").text


@pytest.mark.slow
def test_an_author_runs_the_tests_of_a_rule_and_its_mutants(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")

    assert "3 passed, 0 failed" in run(desk, "tests")
    text = run(desk, "mutants")

    assert "small mistakes were noticed" in text
    kept = [
        json.loads(each.detail)
        for each in desk.browser.world.store.audit_entries()
        if each.kind == "view"
    ]
    assert [(each["ran"], each["outcome"]) for each in kept] == [
        ("tests", "begun"),
        ("mutants", "begun"),
    ]


@pytest.mark.slow
def test_a_test_that_fails_is_shown_with_its_place_and_why(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")
    tests = desk.folder / "revised.test.yaml"
    tests.write_text(tests.read_text().replace("card: info", "card: warning"))

    text = run(desk, "tests")

    assert "2 passed, 1 failed" in text
    assert "<code>revised.test.yaml:" in text and "warning" in text


def test_one_thing_runs_at_a_time_and_can_be_cancelled(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")
    browser, store = desk.browser, desk.browser.world.store
    browser.get(f"{PAGE}/revised")
    browser.post(f"{PAGE}/revised/runs", {"kind": "mutants"})
    assert "running</span> the mutants" in browser.get(f"{PAGE}/revised").text

    second = browser.post(f"{PAGE}/revised/runs", {"kind": "tests"})
    assert second.location == f"{PAGE}/revised?busy=1#runs"
    browser.get(f"{PAGE}/revised")
    browser.post(f"{PAGE}/revised/runs/cancel")

    assert store.runs.current(desk.browser.clock.now) is None
    assert "cancelled</span>" in browser.get(f"{PAGE}/revised").text
    # Its process is ended by who looks after it, and says nothing any more.
    until(lambda: "workbench run" not in {each.name for each in enumerate_threads()})
    assert "cancelled</span>" in browser.get(f"{PAGE}/revised").text


def test_a_run_whose_machine_died_is_not_waited_for(
    site: Callable[[str], Site],
) -> None:
    desk = site("author")
    browser, clock = desk.browser, desk.browser.clock
    runs = browser.world.store.runs
    key = sha256(browser.cookie().value.encode()).hexdigest()
    run = WorkbenchRun(
        0, "jane@desk", "revised", "tests", "running", "gone", clock.now, None, ""
    )
    assert runs.begin(run, key, AuditEvent(clock.now, "view")) > 0
    assert runs.begin(run, key, AuditEvent(clock.now, "view")) == 0
    assert "disabled" in browser.get(f"{PAGE}/revised").text

    clock.pass_by(seconds=21)

    text = browser.get(f"{PAGE}/revised").text
    assert "it stopped responding" in text and "disabled" not in text
    again = replace(run, begun=clock.now)
    assert runs.begin(again, key, AuditEvent(clock.now, "view")) > 0


def test_a_viewer_runs_nothing_and_no_kind_is_made_up(
    site: Callable[[str], Site],
) -> None:
    desk = site("viewer")
    desk.browser.get(f"{PAGE}/revised")

    refused = desk.browser.post(f"{PAGE}/revised/runs", {"kind": "tests"})

    assert refused.status_code == 403
    assert desk.browser.world.store.runs.current(desk.browser.clock.now) is None


def test_a_thousand_rules_are_listed_at_once(rulebook: Rulebook) -> None:
    rules = {
        f"{name}-{number}": rule
        for number in range(60)
        for name, rule in rulebook.rules.items()
    }
    many = Rulebook(
        rulebook.digest, rulebook.site, rulebook.services, rules, rulebook.catalogue,
        rulebook.valuesets,
    )  # fmt: skip
    begun = time.process_time()

    rows = list_rules(many, Sampled({}, None, ()), date(2026, 1, 1), RulesWanted())

    assert len(rows) > 1000
    assert time.process_time() - begun < timedelta(seconds=2).total_seconds()
