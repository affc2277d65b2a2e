"""Pages in the frame of an EHR, in a browser that keeps no cookies of others there.

The EHR's page is on one site, where one signs in on another, and we are on a third.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Blueprint, Flask, Response, g, request
from playwright.sync_api import Browser, BrowserContext, Frame, Page
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.starting import build_world
from cds_service.web.pages.shell import render_page
from cds_service.web.smart.forms import make_form_token
from cds_service.web.smart.sessions import UNDER, guard

from ..cli.mllp.authority import make_authority
from ..ports import free_port
from ..shipped import rulebook
from ..waiting import PATIENCE, until
from ..web.smart.opening import with_ehrs
from ..web.smart.played_ehr import PlayedEhr, playing
from ..web.smart.visitor import client_of
from .browsing import need_browser, running_browser, sideways, small_targets, violations

FRAMES = "<!doctype html><title>{title}</title>{frames}"


@dataclass(frozen=True, slots=True)
class Sites:
    """Three sites, each under a name of its own."""

    us: str
    chart: str
    """Whose pages frame ours."""
    evil: str
    """Whose pages would like to."""
    ehr: PlayedEhr
    world: World

    def launch(self, launch: str = "l-1") -> str:
        """The address that an EHR opens."""
        asked = urlencode({"iss": self.ehr.fhir, "launch": launch})
        return f"{self.us}/smart/launch?{asked}"


@contextmanager
def serving(app: Flask, certificate: tuple[str, str], port: int) -> Iterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = make_server("127.0.0.1", port, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def framing() -> Flask:
    """A site that frames what it is told to."""
    site = Flask("framing")

    @site.get("/")
    def page() -> Response:
        frames = "".join(
            f'<iframe name="f{number}" src="{url}"></iframe>'
            for number, url in enumerate(request.args.getlist("url"))
        ).replace("&", "&amp;")
        html = FRAMES.format(title="A chart", frames=frames)
        return Response(html, mimetype="text/html")

    return site


def add_probe(app: Flask, world: World) -> None:
    """A page about the patient, and no more."""
    pages = Blueprint("probe", __name__, url_prefix=UNDER)
    guard(pages, world)

    @pages.get("/probe")
    def probe() -> Response:
        texts = (f"About {g.session.patient}.",)
        return render_page("notice.html", title="Probe", texts=texts)

    app.register_blueprint(pages)


@pytest.fixture(scope="module")
def sites(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str]
) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("sites")
    authority, sign = make_authority(folder)
    ports = [free_port() for _ in range(3)]
    us, chart, evil = (
        f"https://{name}.test:{port}"
        for name, port in zip(("app", "chart", "evil"), ports)
    )
    clients = folder / "clients.yaml"
    clients.write_text("clients: []")
    environ = {
        "CDS_PUBLIC_URL": us,
        "CDS_CLIENTS_FILE": str(clients),
        "CDS_DATABASE_URL": new_database(folder / "cds.sqlite"),
    }
    world = build_world(load_config(environ), rulebook())
    with ExitStack() as stack:
        stack.callback(world.store.close)
        stack.callback(world.fhir.close)
        ehr = PlayedEhr(datetime.now(UTC))
        stack.enter_context(playing(ehr, sign("localhost")))
        client = client_of(ehr, frame_ancestors=(chart,))
        listed = ListedServer(ehr.fhir, Reach.LOCAL, authority)
        world = with_ehrs(world, replace(client, fhir_servers=(listed,)))
        app = create_app(world=world)
        add_probe(app, world)
        for name, site, port in (
            ("app.test", app, ports[0]),
            ("chart.test", framing(), ports[1]),
            ("evil.test", framing(), ports[2]),
        ):
            stack.enter_context(serving(site, sign(name), port))
        yield Sites(us, chart, evil, ehr, world)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    need_browser()
    with running_browser("--host-resolver-rules=MAP *.test 127.0.0.1") as started:
        yield started


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(ignore_https_errors=True)
    made.set_default_timeout(PATIENCE * 1000)
    yield made
    made.close()


def framed(context: BrowserContext, site: str, *urls: str) -> Page:
    """A tab with a page of a site that frames these addresses."""
    page = context.new_page()
    page.goto(f"{site}/?{urlencode([('url', each) for each in urls])}")
    return page


def entered(page: Page, name: str = "f0") -> Frame:
    """A frame, once it is at a page of a session."""
    frame = page.frame(name)
    assert frame is not None
    frame.wait_for_url("**/smart/s/**")
    return frame


def probe_of(frame: Frame | Page) -> str:
    """What the page about the patient says in a frame or tab."""
    frame.goto(f"{frame.url.rpartition('/')[0]}/probe")
    return frame.inner_text("main")


def test_in_the_frame_of_the_ehr_the_session_is_there_page_after_page(
    sites: Sites, context: BrowserContext
) -> None:
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(f"{sites.chart}/?{urlencode({'url': sites.launch()})}")
    frame = entered(page)
    assert "Jane Example" in frame.inner_text("header")
    for name in ("card", "timeline", "consent"):
        frame.goto(f"{frame.url.rpartition('/')[0]}/{name}")
        assert "Jane Example" in frame.inner_text("header")

    assert "About jane." in probe_of(frame)
    policy = [said for said in complaints if "Failed to load resource" not in said]
    assert policy == [], complaints
    cookies = [each for each in context.cookies() if "-s-" in str(each.get("name"))]
    (cookie,) = cookies
    assert cookie.get("httpOnly") and cookie.get("secure")
    assert frame.evaluate("document.cookie") == ""


def test_two_charts_in_two_tabs_that_open_at_once_never_mix(
    sites: Sites, context: BrowserContext
) -> None:
    told = []
    for patient in ("jane", "john"):
        sites.ehr.patient = patient
        page = framed(context, sites.chart, sites.launch(patient))
        told.append((patient, entered(page)))
    sites.ehr.patient = "jane"

    for patient, frame in [*told, *reversed(told), *told]:
        assert f"About {patient}." in probe_of(frame)


def test_two_launches_in_one_page_find_each_its_own_way_back(
    sites: Sites, context: BrowserContext
) -> None:
    page = framed(context, sites.chart, sites.launch("a"), sites.launch("b"))
    first, second = entered(page, "f0"), entered(page, "f1")

    assert "About jane." in probe_of(first) and "About jane." in probe_of(second)
    assert first.url != second.url


def test_another_site_sees_nothing_in_its_frame(
    sites: Sites, context: BrowserContext
) -> None:
    """Neither a launch nor a page of a session that this browser has."""
    mine = context.new_page()
    mine.goto(sites.launch())
    mine.wait_for_url("**/smart/s/**")
    assert "About jane." in probe_of(mine)

    for url in (sites.launch(), mine.url, f"{sites.us}/smart/register"):
        page = framed(context, sites.evil, url)
        frame = page.frames[1]
        until(lambda: page.title() and frame.url.startswith("chrome-error://"))
        assert "jane" not in frame.content() and "Register" not in frame.content()


def test_the_address_of_a_frame_opens_nothing_in_a_tab(
    sites: Sites, context: BrowserContext
) -> None:
    frame = entered(framed(context, sites.chart, sites.launch()))
    probe_of(frame)
    tab = context.new_page()

    answer = tab.goto(frame.url)

    assert answer is not None and answer.status == 404
    assert "Open the pages outside the EHR" in tab.inner_text("main")


def test_a_window_that_a_frame_opens_shows_the_same_patient(
    sites: Sites, context: BrowserContext
) -> None:
    page = framed(context, sites.chart, sites.launch())
    frame = entered(page)
    session = urlsplit(frame.url).path.split("/")[3]
    submit(frame, f"/smart/s/{session}/window", token_of(context, session))

    with context.expect_page() as opened:
        frame.click("text=Open the window")
    window = opened.value
    window.wait_for_url("**/smart/s/**")

    assert session not in window.url
    assert "About jane." in probe_of(window)
    frame.goto(f"{sites.us}/smart/s/{session}/probe")
    assert "About jane." in frame.inner_text("main")


def token_of(context: BrowserContext, session: str) -> str:
    """What the forms of a session bear."""
    (key,) = [
        str(each.get("value"))
        for each in context.cookies()
        if each.get("name") == f"__Host-s-{session}"
    ]
    return make_form_token(key)


def submit(frame: Frame | Page, action: str, token: str) -> None:
    """Send a form as a page of ours has it."""
    with frame.expect_navigation():
        frame.evaluate(
            """([action, token]) => {
              const form = document.createElement('form');
              form.method = 'post'; form.action = action;
              const field = document.createElement('input');
              field.name = 'form_token'; field.value = token;
              form.append(field); document.body.append(form); form.submit();
            }""",
            [action, token],
        )


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("path", ["start", "register", "launch?iss=x", "nothing"])
def test_the_pages_around_a_sign_in_are_for_everybody(
    sites: Sites, context: BrowserContext, path: str, width: int
) -> None:
    """axe finds nothing, nothing is too small to press, nothing is cut off."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{sites.us}/smart/{path}")

    assert violations(page) == []
    assert small_targets(page) == []
    assert sideways(page) == 0


def test_what_a_log_out_and_a_window_say_is_for_everybody(
    sites: Sites, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(sites.launch())
    page.wait_for_url("**/smart/s/**")
    session = urlsplit(page.url).path.split("/")[3]
    for action in ("window", "logout"):
        token = token_of(context, session)
        submit(page, f"/smart/s/{session}/{action}", token)
        assert violations(page) == []
        assert small_targets(page) == []


def test_a_form_on_another_site_ends_no_session_even_with_the_token(
    sites: Sites, context: BrowserContext
) -> None:
    mine = context.new_page()
    mine.goto(sites.launch())
    mine.wait_for_url("**/smart/s/**")
    session = urlsplit(mine.url).path.split("/")[3]
    token = token_of(context, session)
    evil = framed(context, sites.evil)

    submit(evil, f"{sites.us}/smart/s/{session}/logout", token)

    assert "nothing was changed" in evil.inner_text("main")
    assert "About jane." in probe_of(mine)
    submit(mine, f"/smart/s/{session}/logout", token)
    assert "logged out" in mine.inner_text("main").lower()
