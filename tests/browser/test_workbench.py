"""The workbench in a real browser: a chart, a card, what goes wrong, and why."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent
from cds_service.store.workbench.sessions import WorkbenchLink

from ..shipped import rulebook
from .browsing import (
    WIDTHS,
    Visitor,
    hidden_focus,
    sideways,
    small_targets,
    violations,
    walk,
)

HOSTILE = Path(__file__).parents[1] / "hostile_texts.json"
NUMBERS = count()
Enter = Callable[..., tuple[Visitor, Page]]


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str]
) -> Iterator[tuple[str, World]]:
    """A server with a workbench, and its base URL."""
    folder = tmp_path_factory.mktemp("bench")
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_DATABASE_URL": new_database(folder / "bench.sqlite"),
    }
    world = build_world(load_config(settings), rulebook())
    server = make_server("127.0.0.1", 0, create_app(world=world), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", world
    server.shutdown()
    server.server_close()
    thread.join()
    world.store.close()
    world.fhir.close()


@pytest.fixture
def enter(visit: Callable[..., Visitor], bench: tuple[str, World]) -> Enter:
    """Has somebody sign in by a link, and gives the page Try."""
    base, world = bench

    def open_page(**options: object) -> tuple[Visitor, Page]:
        code, now = f"code-{next(NUMBERS)}", datetime.now(UTC)
        hash, until = sha256(code.encode()).hexdigest(), now + timedelta(minutes=5)
        link = WorkbenchLink(hash, "jane@desk", "author", until)
        world.store.workbench.offer(link, AuditEvent(now, "sign-in"))
        visitor = visit(base, **options)
        page = visitor.open(f"/workbench/login?code={code}")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/workbench/")
        page.get_by_role("link", name="Try", exact=True).first.click()
        return visitor, page

    return open_page


def card(page: Page) -> str:
    return page.locator(".card .summary").first.inner_text()


def test_somebody_chooses_a_fixture_and_sees_its_card(enter: Enter) -> None:
    _, page = enter()
    assert "despite metoprolol" in card(page)

    page.get_by_label("Whose").select_option(label="slow on three medicines")

    expect(page.locator(".card .summary").first).not_to_contain_text("despite")
    assert page.get_by_label("Whose").input_value().endswith("slow-on-three-medicines")


def test_a_key_that_is_left_out_makes_its_rule_not_known_at_once(enter: Enter) -> None:
    _, page = enter()

    page.get_by_label("medication-requests").select_option(label="Left out")

    expect(page.locator("#sum")).to_contain_text("could not be decided")
    expect(page.locator(".card")).to_have_count(0)
    assert page.url.endswith("/workbench/try")


def test_the_clock_is_moved_and_the_card_goes(enter: Enter) -> None:
    _, page = enter()

    page.get_by_label("Time of the call").select_option(label="in 30 days")

    expect(page.locator(".card")).to_have_count(0)


def test_what_is_chosen_before_the_script_is_there_counts(enter: Enter) -> None:
    _, page = enter()
    page.wait_for_load_state()
    held: list[Route] = []
    page.route("**/assets/play.*.js", lambda route: held.append(route))
    with page.expect_request("**/assets/play.*.js"):
        page.goto(page.url, wait_until="commit")

    page.get_by_label("Time of the call").select_option(label="in 30 days")
    assert card(page)
    held[0].continue_()

    expect(page.locator(".card")).to_have_count(0)


def test_a_card_is_overridden_and_the_feedback_is_found(enter: Enter) -> None:
    _, page = enter()

    page.get_by_text("Override").click()
    page.get_by_label("Reason").select_option(index=1)
    page.get_by_label("Comment").fill("seen yesterday")
    page.get_by_role("button", name="Send").click()

    told = page.get_by_role("region", name="Feedback that was sent")
    expect(told).to_contain_text("on record for beta-blocker-resting-tachycardia@")
    expect(told).to_contain_text("seen yesterday")
    expect(told).to_contain_text("1 held back")


def test_why_leads_to_the_json_of_what_a_criterion_rests_on(enter: Enter) -> None:
    _, page = enter()

    page.get_by_role("button", name="Why, rule by rule").click()
    page.locator(".seen a").first.click()

    opened = page.locator(".resource[open]")
    expect(opened).to_have_count(1)
    expect(opened.locator("pre")).to_contain_text("resourceType")


def test_the_link_of_a_card_to_why_opens_why_of_the_same_play(enter: Enter) -> None:
    _, page = enter()
    page.get_by_label("Time of the call").select_option(label="in 2 hours")
    expect(page.locator("#sum")).to_contain_text("1 card")
    shown = page.locator("article.card").first
    expect(shown.locator(".links")).to_contain_text("What the wearable measured")
    expect(shown.get_by_role("link", name="What the wearable")).to_have_count(0)

    shown.get_by_role("button", name="Why this card").click()

    expect(page).to_have_url(re.compile("/workbench/why$"))
    assert page.get_by_label("Time of the call").input_value() == "2h"
    expect(page.locator("#sum")).to_contain_text("wearable-review")


def test_consent_is_withdrawn_and_what_the_watch_told_is_gone(enter: Enter) -> None:
    _, page = enter()
    page.get_by_label("Whose").select_option(label="fast hour")
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_label("The patient's watch sends").select_option("hour steady_tachy")
    expect(page.locator(".card")).to_have_count(1)

    page.get_by_label("The wearer’s consent").select_option(label="was withdrawn")

    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#assumed")).to_contain_text("withdrawn after")


def test_without_scripts_the_same_form_does_the_same(enter: Enter) -> None:
    _, page = enter(java_script_enabled=False)

    page.get_by_label("medication-requests").select_option(label="Left out")
    page.get_by_role("button", name="Open the chart").click()

    expect(page.locator("#sum")).to_contain_text("could not be decided")
    expect(page.locator(".card")).to_have_count(0)


def test_all_of_it_is_done_with_the_keyboard_alone(enter: Enter) -> None:
    _, page = enter()

    stops = walk(page)
    assert stops[0] == "a Skip to the content"
    assert "select Whose chart" in stops and "button Open the chart" in stops
    assert stops.index("select Whose chart") < stops.index("button Open the chart")

    page.get_by_label("Time of the call").focus()
    page.keyboard.press("End")

    expect(page.locator(".card")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "shift"


@pytest.mark.parametrize("name", ["try", "why"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_by_how_a_page_is_made(
    enter: Enter, name: str, scheme: str
) -> None:
    visitor, page = enter(color_scheme=scheme)
    page.goto(f"{visitor.base}/workbench/{name}")

    for width, height in {320: 640, **WIDTHS}.items():
        page.set_viewport_size({"width": width, "height": height})
        assert sideways(page) == 0
        assert small_targets(page) == []
    assert violations(page) == []
    assert hidden_focus(page) == []


def test_a_hostile_chart_does_nothing_but_stand_there(
    enter: Enter, tmp_path: Path
) -> None:
    words = [
        each
        for group in json.loads(HOSTILE.read_text("utf-8")).values()
        for each in group
        if isinstance(each, str) and len(each) < 5_000
    ]
    conditions = [
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "subject": {"reference": "Patient/p1", "display": word},
            "code": {"text": word, "coding": [{"display": word, "code": word}]},
        }
        for number, word in enumerate(words)
    ]
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
    entries = [{"resource": each} for each in (patient, *conditions)]
    file = tmp_path / "hostile.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "entry": entries}))
    visitor, page = enter()
    page.on("dialog", lambda dialog: visitor.complaints.append(dialog.message))

    page.get_by_text("Upload a Bundle").click()
    page.get_by_label("A FHIR Bundle in JSON").set_input_files(file)
    expect(page.get_by_label("Whose")).to_have_value("upload")
    page.get_by_role("button", name="Why, rule by rule").click()

    expect(page.locator(".resource").first).to_be_attached()
    assert page.locator("main img, main iframe, main script").count() == 0
