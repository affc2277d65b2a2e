"""Rules, Operations and Vendors in a real browser, before a server as it is run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from cds_service.ehr.tokens import generate_key
from cds_service.rulebook.compile.compiler import digest_of
from cds_service.store.outbox.backlog import Chosen
from cds_service.store.outbox.sending import FailedAttempt
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from ..conftest import Revise
from ..on_node import need_node
from ..ports import free_port
from ..waiting import PATIENCE, until
from .browsing import (
    WIDTHS,
    Visitor,
    hidden_focus,
    sideways,
    small_targets,
    violations,
)

Enter = Callable[..., tuple[Visitor, Page]]


@dataclass(frozen=True, slots=True)
class Bench:
    """A server with its watcher, beside a folder that an author edits."""

    base: str
    folder: Path
    environment: dict[str, str]

    def link(self, role: str) -> str:
        """What the command line prints for somebody on the server's machine."""
        words = [sys.executable, "-m", "cds_service.cli", "workbench", "login"]
        done = subprocess.run(
            [*words, "--role", role],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        (link,) = (each for each in done.stdout.split() if "code=" in each)
        return link.removeprefix(self.base)

    def health(self) -> Any:
        """What the server says of itself, and of the rules that it serves."""
        return requests.get(f"{self.base}/health", timeout=PATIENCE).json()

    @property
    def store(self) -> Store:
        """The server's database."""
        return Store.open(self.environment["CDS_DATABASE_URL"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, revise: Revise) -> Iterator[Bench]:
    """A server of small rules, which follows what is saved."""
    home = tmp_path_factory.mktemp("desk")
    folder, port = home / "rules", free_port()
    folder.mkdir()
    revise(folder, 1)
    _, public = generate_key()
    client = {"id": "ehr", "iss": "https://ehr.example.org"}
    clients = {"clients": [{**client, "keys": [{**public, "kid": "k"}]}]}
    (home / "clients.yaml").write_text(json.dumps(clients))
    base = f"http://127.0.0.1:{port}"
    others = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    environment = {
        **others,
        "CDS_PROFILE": "development",
        "CDS_RULES": str(folder),
        "CDS_CLIENTS_FILE": str(home / "clients.yaml"),
        "CDS_DATABASE_URL": f"sqlite:///{home / 'desk.sqlite'}",
        "CDS_PUBLIC_URL": base,
        "CDS_PORT": str(port),
        "CDS_THREADS": "8",
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service.cli", "serve"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until(lambda: is_ready(base), (home / "log").read_text, process)
    yield Bench(base, folder, environment)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def is_ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/health/ready", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def enter(visit: Callable[..., Visitor], bench: Bench) -> Enter:
    """Has somebody sign in by a link, and go to a page."""

    def open_page(
        name: str, role: str = "operator", **options: object
    ) -> tuple[Visitor, Page]:
        visitor = visit(bench.base, **options)
        page = visitor.open(bench.link(role))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/workbench/")
        page.goto(f"{bench.base}/workbench/{name}")
        return visitor, page

    return open_page


def give_up(store: Store) -> int:
    """A destination refuses an episode; the id of what was given up."""
    now = datetime.now(UTC)
    store.outbox.subscribe([Subscription("ehr", "default")])
    patient = PatientKey("default", "-", "patient-jane")
    alert = WearableAlert(
        *("a1", patient, "high-heart-rate"), start=now, opened=now, source="watch"
    )
    store.take_in(Intake(alerts=(alert,)), AuditEvent(now, "delivery"), now)
    gate = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
    (lane,) = store.outbox.claim("ehr", 1, now)
    begun = store.outbox.begin(lane, gate, now)
    assert begun is not None
    store.outbox.fail(lane, begun, FailedAttempt("HTTP 422", None), gate, now)
    (row,) = store.outbox_desk.rows(Chosen(), 2)
    return row.id


def test_an_author_breaks_a_rule_sees_where_and_what_changed_once_it_is_mended(
    enter: Enter, bench: Bench, revise: Revise
) -> None:
    _, page = enter("rules", "author")
    expect(page.get_by_role("link", name="revised")).to_be_visible()
    rule = bench.folder / "revised.yaml"

    rule.write_text(rule.read_text().replace("severity: info", "severity: loud"))

    expect(
        page.get_by_text("The rules folder has errors and is not served")
    ).to_be_visible()
    expect(page.get_by_text("revised.yaml:6:11")).to_be_visible()
    served = bench.health()
    assert served["rulebook"]["rules"] == 1 and served["rulebook_error"]

    revise(bench.folder, 2)

    expect(page.get_by_text("card: summary Revision 2, was Revision 1")).to_be_visible()
    expect(
        page.get_by_text("The rules folder has errors and is not served")
    ).to_have_count(0)


def test_what_changed_is_shown_also_to_who_hears_first_that_the_errors_are_gone(
    enter: Enter, bench: Bench, revise: Revise
) -> None:
    """They are, for a moment in which the rules of before are served still."""
    before = digest_of(revise(bench.folder, 3))
    until(lambda: bench.health()["rulebook"]["digest"] == before)
    rule = bench.folder / "revised.yaml"
    rule.write_text(rule.read_text().replace("severity: info", "severity: loud"))
    store = bench.store
    until(store.publications.refusal)
    store.close()
    _, page = enter("rules", "author")
    seen = json.loads(
        page.locator("script[data-seen]").get_attribute("data-seen") or ""
    )
    assert seen["served"] == before and seen["refused"]
    moment = [{**seen, "refused": ""}]

    def tell(route: Route) -> None:
        """What was so a while ago, until the new rules are served."""
        if bench.health()["rulebook"]["digest"] == before:
            route.fulfill(json=seen)
        elif moment:
            route.fulfill(json=moment.pop())
        else:
            route.fallback()

    page.route("**/workbench/rules/state", tell)
    revise(bench.folder, 4)

    expect(page.get_by_text("card: summary Revision 4, was Revision 3")).to_be_visible()
    assert not moment
    page.unroute_all(behavior="wait")


def test_an_author_runs_the_tests_of_a_rule_and_the_page_follows(
    enter: Enter, bench: Bench
) -> None:
    _, page = enter("rules/revised", "author")

    page.get_by_role("button", name="Run the tests", exact=True).click()

    expect(page.get_by_text("3 passed, 0 failed")).to_be_visible()


def test_an_operator_has_a_dead_letter_tried_again(enter: Enter, bench: Bench) -> None:
    store = bench.store
    row = give_up(store)
    _, page = enter("operations")

    page.get_by_role("button", name=f"Try {row} again").click()

    expect(page.get_by_text("1 will be sent again")).to_be_visible()
    (waits,) = store.outbox_desk.backlogs(datetime.now(UTC) + timedelta(seconds=1))
    assert (waits.dead, waits.waiting) == (0, 1)
    store.close()


def test_a_vendor_edits_a_request_sends_it_and_sees_the_cards(enter: Enter) -> None:
    _, page = enter("vendors", "viewer")
    area = page.get_by_label("Body", exact=True)
    body = json.loads(area.input_value())
    coding = [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]
    body["prefetch"]["conditions"]["entry"] = [
        {
            "resource": {
                "resourceType": "Condition",
                "id": "c1",
                "subject": {"reference": "Patient/example"},
                "code": {"coding": coding},
            }
        }
    ]
    area.fill(json.dumps(body, indent=2))

    page.get_by_role("button", name="Send").click()

    answer = page.get_by_role("region", name="The answer")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text("Revision")
    expect(answer).to_contain_text("It violates nothing on the checklist.")


def test_a_vendor_takes_collection_and_key_and_newman_finds_nothing_wrong(
    enter: Enter, tmp_path: Path
) -> None:
    node, newman = need_node("newman")
    _, page = enter("vendors", "viewer")
    files = {}
    for name, press in (
        ("collection", page.get_by_role("link", name="Postman collection")),
        ("environment", page.get_by_role("button", name="Postman environment")),
    ):
        with page.expect_download() as taken:
            press.click()
        files[name] = tmp_path / f"{name}.json"
        taken.value.save_as(files[name])

    done = subprocess.run(
        [node, "--no-deprecation", str(newman / "bin/newman.js"), "run"]
        + [str(files["collection"]), "--environment", str(files["environment"])],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stdout
    assert "wearable-review" in done.stdout or "on patient-view" in done.stdout


@pytest.mark.parametrize("name", ["rules", "rules/revised", "operations", "vendors"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_by_how_these_pages_are_made(
    enter: Enter, name: str, scheme: str
) -> None:
    _, page = enter(name, color_scheme=scheme)

    for width, height in {320: 640, **WIDTHS}.items():
        page.set_viewport_size({"width": width, "height": height})
        assert sideways(page) == 0
        assert small_targets(page) == []
        if shots := os.environ.get("CDS_SCREENSHOTS"):
            file = f"{name.replace('/', '-')}-{width}-{scheme}.png"
            page.screenshot(path=f"{shots}/{file}", full_page=True)
    assert violations(page) == []
    assert hidden_focus(page, 40) == []


@pytest.mark.parametrize("name", ["rules", "operations", "vendors"])
def test_these_pages_say_the_same_without_scripts(enter: Enter, name: str) -> None:
    _, page = enter(name, java_script_enabled=False)

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation", name="Workbench")).to_be_visible()
