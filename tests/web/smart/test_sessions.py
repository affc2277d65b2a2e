"""Who may see the pages of a session: the browser that has its cookie, for a while."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Blueprint, Response, g
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.web.pages.shell import show_notice
from cds_service.web.smart.sessions import UNDER, guard

from ..conftest import NOW
from .opening import APP, CLIENT, FRAME, form_of, open_session, url_of, with_ehrs

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def world(build: Callable[..., World]) -> World:
    return with_ehrs(build())


def browser(world: World) -> FlaskClient:
    """A browser before a server that has one page about the patient, and a form."""
    pages = Blueprint("probe", __name__, url_prefix=UNDER)
    guard(pages, world)

    @pages.get("/probe")
    def show() -> Response:
        return show_notice("Probe", g.session.patient, g.session.context["name"])

    @pages.post("/probe")
    def change() -> Response:
        return show_notice("Done", g.session.patient)

    app = create_app(world=world)
    app.register_blueprint(pages)
    return app.test_client()


@pytest.fixture
def http(world: World) -> FlaskClient:
    return browser(world)


def test_who_has_the_cookie_sees_the_patient_of_the_session(
    world: World, http: FlaskClient
) -> None:
    session = open_session(world, http)

    answer = http.get(url_of(session, "probe"))

    assert answer.status_code == 200
    assert "jane" in answer.text and "Jane Example" in answer.text


def test_two_patients_in_two_tabs_never_mix(world: World, http: FlaskClient) -> None:
    jane = open_session(world, http)
    john = open_session(world, http, patient="john", context={"name": "John"})

    for _ in range(2):
        assert "jane" in http.get(url_of(jane, "probe")).text
        assert "john" in http.get(url_of(john, "probe")).text
    crossed = replace(jane, id=john.id)
    assert "jane" not in http.get(url_of(crossed, "probe")).text


def test_unknown_over_and_anothers_are_one_answer(
    world: World, http: FlaskClient
) -> None:
    mine = open_session(world, http)
    foreign = open_session(world, browser(world))
    over = open_session(world, http, idle_until=NOW)
    unknown = replace(mine, id="0123456789abcdef")
    no_id = replace(mine, id="no-id")

    answers = [
        http.get(url_of(each, "probe")) for each in (foreign, over, unknown, no_id)
    ]

    assert [each.status_code for each in answers] == [404] * 4
    assert len({each.text for each in answers}) == 1
    policies = {each.headers["Content-Security-Policy"] for each in answers}
    assert len(policies) == 1
    assert "Open the pages outside the EHR" in answers[0].text


def test_a_page_may_be_framed_by_its_own_ehr_alone(world: World) -> None:
    other = replace(
        CLIENT,
        id="other",
        fhir_base="https://fhir.other.example",
        smart=replace(APP, frame_ancestors=()),
    )
    world = with_ehrs(replace(world, clients=replace(world.clients, clients=())))
    world = with_ehrs(world, other)
    http = browser(world)
    framed = http.get(url_of(open_session(world, http), "probe"))
    never = http.get(url_of(open_session(world, http, client="other"), "probe"))

    assert ancestors(framed) == [FRAME]
    assert ancestors(never) == ["'none'"]
    assert "X-Frame-Options" not in framed.headers


def ancestors(answer: Any) -> list[str]:
    policy = answer.headers["Content-Security-Policy"]
    (told,) = [e for e in policy.split("; ") if e.startswith("frame-ancestors")]
    return list(told.split()[1:])


def test_a_session_of_an_ehr_that_is_listed_no_more_opens_nothing(
    world: World, http: FlaskClient
) -> None:
    session = open_session(world, http, client="gone")

    assert http.get(url_of(session, "probe")).status_code == 404


def test_each_page_makes_the_session_last(world: World) -> None:
    now = [NOW]
    moving = replace(world, clock=lambda: now[0])
    http = browser(moving)
    session = open_session(moving, http)

    for _ in range(3):
        now[0] += timedelta(minutes=14)
        assert http.get(url_of(session, "probe")).status_code == 200
    now[0] += timedelta(minutes=15)
    assert http.get(url_of(session, "probe")).status_code == 404


def test_what_a_session_holds_is_closed_where_its_key_is_gone(
    world: World, http: FlaskClient
) -> None:
    session = open_session(world, http)
    other = with_ehrs(world, token_key="B" * 43 + "=")
    cookie = http.get_cookie(f"__Host-s-{session.id}")
    assert cookie is not None
    elsewhere = browser(other)
    elsewhere.set_cookie(cookie.key, cookie.value, secure=True)

    assert elsewhere.get(url_of(session, "probe")).status_code == 404


def test_a_form_of_the_session_is_taken(world: World, http: FlaskClient) -> None:
    session = open_session(world, http)
    form, url = form_of(world, http, session), url_of(session, "probe")

    by_site = http.post(url, data=form, headers=SAME)
    by_origin = http.post(url, data=form, headers={"Origin": "https://cds.example.org"})

    assert (by_site.status_code, by_origin.status_code) == (200, 200)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://cds.example.org"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_its_token(
    world: World, http: FlaskClient, headers: dict[str, str]
) -> None:
    session = open_session(world, http)
    form = form_of(world, http, session)

    answer = http.post(url_of(session, "probe"), data=form, headers=headers)

    assert answer.status_code == 403
    assert "nothing was changed" in answer.text


def test_a_form_without_its_token_or_with_another_sessions_is_refused(
    world: World, http: FlaskClient
) -> None:
    session, other = open_session(world, http), open_session(world, http)
    url = url_of(session, "probe")

    for form in ({}, {"form_token": ""}, form_of(world, http, other)):
        assert http.post(url, data=form, headers=SAME).status_code == 403
