"""The timeline under a pointer and under the keys, and without any script at all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.sign_in.records import SmartSession
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.samples import Device, Sample
from cds_service.web.smart.cookies import SESSION
from cds_service.web.smart.sessions import Gate

from ..ports import free_port
from ..shipped import rulebook
from ..web.smart.opening import CLIENT, open_session, url_of, with_ehrs
from .browsing import (
    WIDTHS,
    Visitor,
    hidden_focus,
    sideways,
    small_targets,
    violations,
)

Visit = Callable[..., Visitor]
NOW = datetime(2026, 11, 22, 19, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = "?metric=heart-rate&from=2026-11-21&to=2026-11-22"
CLOSER = "**from=2026-11-20T23*"
"""Where the day is looked at closer from its first reading on."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A server with a session about Jane, and the cookie that opens it."""

    base: str
    session: SmartSession
    cookie: dict[str, Any]

    def open(self, visit: Visit, query: str = DAY, **options: Any) -> Page:
        """Open her timeline in another browser."""
        return self.go(visit(self.base, **options), query)

    def go(self, visitor: Visitor, query: str = DAY) -> Page:
        """Open her timeline in this one."""
        visitor.context.add_cookies([self.cookie])  # type: ignore[list-item]
        return visitor.open(url_of(self.session, f"timeline{query}"))


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str]
) -> Iterator[Shown]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with ExitStack() as opened:
        world = build_shown(
            new_database(tmp_path_factory.mktemp("timeline") / "cds.sqlite"), base
        )
        opened.callback(world.store.close)
        opened.callback(world.fhir.close)
        tell(world)
        app = create_app(world=world)
        server = make_server("127.0.0.1", port, app, threaded=True)
        thread = threading.Thread(
            target=server.serve_forever, args=(0.05,), daemon=True
        )
        thread.start()
        http = app.test_client()
        session = open_session(world, http, fhir_base=key_of(world).fhir_base)
        name = Gate.of(world).cookies.name(SESSION, session.id)
        cookie = http.get_cookie(name)
        assert cookie is not None
        yield Shown(base, session, {"name": name, "value": cookie.value, "url": base})
        server.shutdown()
        server.server_close()
        thread.join(60)


def build_shown(url: str, base: str) -> World:
    """A server of which an EHR opens pages whose chart cannot be reached."""
    environ = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_PUBLIC_URL": base,
        "CDS_DATABASE_URL": url,
    }
    world = replace(build_world(load_config(environ), rulebook()), clock=lambda: NOW)
    world.store.migrate()
    closed = f"http://127.0.0.1:{free_port()}/fhir"
    servers = (ListedServer(closed, Reach.LOCAL),)
    client = replace(CLIENT, fhir_base=closed, fhir_servers=servers)
    return with_ehrs(world, client)


def key_of(world: World) -> PatientKey:
    client = world.clients.clients[-1].client
    return PatientKey(client.tenant, client.fhir_base, "jane")


def tell(world: World) -> None:
    """Two days of a watch that measures every minute, with an hour off the wrist."""
    whose, event = key_of(world), AuditEvent(NOW, "link")
    link = world.store.links.add(
        WearerLink(
            *("watch", whose, NOW - timedelta(days=9)),
            user="jane",
            time_zone="America/New_York",
        ),
        event,
    )
    start = datetime(2026, 11, 21, 5, tzinfo=UTC)
    items = [
        Sample(
            *("heart-rate", 60.0 + number % 10, "/min"),
            *(start + number * MINUTE, start + number * MINUTE),
            device=Device("w", "Watch"),
        )
        for number in range(2 * 24 * 60)
        if start + number * MINUTE < NOW and not 600 <= number < 660
    ]
    batch = SampleBatch(StreamOwner(whose, "watch", link.id), items)
    detection = world.detection(whose.tenant)
    rhythm = datetime(2026, 11, 21, 20, tzinfo=UTC)
    notice = WearableAlert(
        *("r1", whose, "irregular-rhythm", rhythm, rhythm, rhythm + 30 * MINUTE),
        status="closed",
        device="Watch",
    )
    told = Intake(samples=(batch,), alerts=(notice,), detection=detection)
    world.store.take_in(told, event, NOW)


def times_of(page: Page) -> tuple[str, str]:
    told = dict(parse_qsl(urlsplit(page.url).query))
    return told["from"], told["to"]


def test_arrows_go_along_the_readings_and_tell_each(visit: Visit, shown: Shown) -> None:
    page = shown.open(visit)
    page.locator(".plot-box").focus()
    readout = page.locator("#readout")

    page.keyboard.press("Home")
    expect(readout).to_have_text("21 Nov 2026, 00:00: 60 to 61 /min, 2 readings")
    page.keyboard.press("ArrowRight")
    expect(readout).to_have_text("21 Nov 2026, 00:02: 62 to 63 /min, 2 readings")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_have_text("21 Nov 2026, 00:00: 60 to 61 /min, 2 readings")
    page.keyboard.press("End")
    expect(readout).to_contain_text("21 Nov 2026, 23:59: 69 /min")
    assert readout.get_attribute("role") == "status"


def test_plus_looks_closer_and_minus_wider_and_back_is_back(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit)
    says = page.locator("figcaption p")
    page.locator(".plot-box").focus()
    page.keyboard.press("Home")

    page.keyboard.press("+")
    page.wait_for_url(CLOSER)
    assert times_of(page) == ("2026-11-20T23:00:30Z", "2026-11-21T11:00:30Z")
    expect(says).to_contain_text("361 readings")
    expect(page.locator("#readout")).to_contain_text("361 readings")
    expect(page.locator(".plot-box")).to_be_focused()

    page.keyboard.press("-")
    page.wait_for_url("**to=2026-11-21T17*")
    expect(says).to_contain_text("661 readings")
    page.go_back()
    page.go_back()
    expect(says).to_contain_text("1,380 readings")
    assert page.url.endswith(DAY)


def test_a_time_that_comes_late_does_not_take_the_place_of_the_one_asked_for_since(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit)
    page.locator(".plot-box").focus()
    page.keyboard.press("Home")
    page.keyboard.press("+")
    page.wait_for_url(CLOSER)
    page.keyboard.press("-")
    page.wait_for_url("**to=2026-11-21T17*")
    page.route(CLOSER, lambda route: None)

    page.go_back()
    with page.expect_event("requestfailed", lambda gone: "T23" in gone.url):
        page.go_back()

    expect(page.locator("figcaption p")).to_contain_text("1,380 readings")


def test_a_pointer_tells_what_it_is_over(visit: Visit, shown: Shown) -> None:
    page = shown.open(visit)
    box = page.locator("svg.plot").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    expect(page.locator("#readout")).to_contain_text("21 Nov 2026, 12:0")
    assert page.locator("svg.plot > .cross").count() == 1
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 200)
    expect(page.locator("#readout")).to_be_empty()
    assert page.locator("svg.plot > .cross").count() == 0


def test_what_a_pointer_is_drawn_across_is_looked_at_closer(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit)
    box = page.locator("svg.plot").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120, steps=4)
    page.mouse.up()

    page.wait_for_url("**from=2026-11-21T1*")
    start, end = times_of(page)
    assert start.startswith("2026-11-21T11:0") or start.startswith("2026-11-21T10:5")
    assert end.startswith("2026-11-21T17:0") or end.startswith("2026-11-21T16:5")


def test_links_change_what_is_shown_without_leaving_the_page(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit)
    page.evaluate("window.stays = true")

    page.get_by_role("link", name="Week").click()

    expect(page.locator("figcaption p")).to_contain_text("15 Nov 2026 to 21 Nov 2026")
    assert page.evaluate("window.stays") is True


def test_a_session_that_is_over_is_said_and_not_drawn_over(
    visit: Visit, shown: Shown
) -> None:
    visitor = visit(shown.base)
    visitor.expected.append("Failed to load resource: the server responded with a")
    page = shown.go(visitor)
    page.context.clear_cookies()
    page.locator(".plot-box").focus()

    page.keyboard.press("-")

    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Open this page again")


def test_without_a_script_the_page_has_its_links_its_plot_and_its_tables(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit, java_script_enabled=False)

    assert page.locator("svg.plot path.line").count() == 1
    page.get_by_role("link", name="Earlier").click()
    page.wait_for_url("**from=2026-11-20*")
    assert times_of(page) == ("2026-11-20", "2026-11-21")
    page.get_by_role("link", name="Later").click()
    page.wait_for_url("**from=2026-11-21*")
    assert page.get_by_role("table").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_it(
    visit: Visit, shown: Shown, width: int, scheme: str
) -> None:
    size = {"width": width, "height": WIDTHS[width]}
    page = shown.open(visit, viewport=size, color_scheme=scheme)

    assert violations(page) == []
    assert small_targets(page) == []
    assert hidden_focus(page) == []
    assert sideways(page) == 0


def test_nothing_is_scrolled_sideways_on_a_small_phone(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit, viewport={"width": 320, "height": 640})

    assert sideways(page) == 0


def test_colours_that_somebody_forces_are_kept(visit: Visit, shown: Shown) -> None:
    page = shown.open(visit, forced_colors="active")

    assert violations(page) == []


def test_on_paper_there_is_the_plot_and_nothing_to_press(
    visit: Visit, shown: Shown
) -> None:
    page = shown.open(visit)
    page.emulate_media(media="print")

    assert page.locator("svg.plot").is_visible()
    assert page.locator(".banner").is_visible()
    assert not page.get_by_role("link", name="Week").is_visible()
    assert not page.locator("#readout").is_visible()
    assert len(page.pdf()) > 10_000
