"""From an EHR to a session about the patient that is open there, and out again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.publishing.housekeeping import Housekeeper
from cds_service.store.upkeep.pruning import Keep
from cds_service.web.smart.cookies import hash_of
from cds_service.web.smart.leaving import NOT_LISTED, give_back_when_over

from ..conftest import NOW
from .opening import form_of, open_session, with_ehrs
from .played_ehr import PlayedEhr, playing
from .visitor import (
    BASE,
    Visitor,
    audited,
    client_of,
    cookies_of,
    id_of,
    open_in,
    refer,
)

SAME = {"Sec-Fetch-Site": "same-origin"}


def test_a_launch_asks_the_ehr_of_the_launch_and_binds_this_browser(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    sent = visitor.launch(ehr)

    url = urlsplit(sent.headers["Location"])
    asked = dict(parse_qsl(url.query))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ehr.base}/authorize"
    assert asked["aud"] == ehr.fhir and asked["launch"] == "l-1"
    assert asked["redirect_uri"] == f"{BASE}/smart/callback"
    assert asked["code_challenge_method"] == "S256"
    ((name, kept),) = cookies_of(sent).items()
    assert name == f"__Host-l-{asked['state'].partition('.')[0]}"
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=None", "Partitioned"):
        assert attribute in kept
    assert "Domain" not in kept


def test_who_signs_in_has_a_session_about_the_patient_that_is_open(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    path = visitor.enter(ehr)

    session = open_in(opened, visitor, path)
    assert (session.patient, session.user) == ("jane", "Practitioner/7")
    assert session.fhir_base == ehr.fhir
    assert session.context["name"] == "Jane Example"
    (told,) = audited(opened)
    assert (told["signIn"], told["patient"], told["user"]) == (
        *("launched", "jane", "Practitioner/7"),
    )


def test_an_iss_with_a_final_slash_is_the_same_ehr(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    sent = visitor.http.get(f"/smart/launch?iss={ehr.fhir}/&launch=l")

    assert sent.status_code == 303
    asked = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
    assert asked["aud"] == f"{ehr.fhir}/"


def test_without_an_ehr_one_chooses_where_to_sign_in(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    listed = visitor.http.get("/smart/start")

    assert 'href="/base/smart/start?ehr=chart"' in listed.text
    assert "<form" not in listed.text
    sent = visitor.http.get("/smart/start?ehr=chart")
    asked = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
    assert "launch" not in asked
    assert "launch/patient" in asked["scope"].split()
    done = visitor.come_back(visitor.signed_in(sent))
    assert done.status_code == 303
    assert visitor.http.get("/smart/start?ehr=other").status_code == 404


def test_no_secret_stands_in_an_address_a_page_or_a_log(
    capfdbinary: Any, opened: World, ehr: PlayedEhr
) -> None:
    visitor = Visitor(create_app(world=opened).test_client())
    back = visitor.signed_in(visitor.launch(ehr, "launch-secret"))
    done = visitor.come_back(back)

    path = urlsplit(done.headers["Location"]).path
    key = visitor.http.get_cookie(f"__Host-s-{id_of(path.removeprefix('/base'))}")
    assert key is not None and key.value not in done.headers["Location"]
    assert done.headers["Referrer-Policy"] == "no-referrer"
    assert done.headers["Cache-Control"] == "no-store"
    logged = capfdbinary.readouterr().out.decode()
    code = dict(parse_qsl(urlsplit(back).query))
    for secret in (code["code"], code["state"], key.value, "launch-secret", "jane"):
        assert secret not in logged
    assert '"launch":"launched"' in logged


def test_the_card_that_was_pressed_is_opened_on_its_page(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    refer(opened, ehr, "a-reference", "timeline")
    ehr.app_context = "a-reference"

    path = visitor.enter(ehr)

    assert path.endswith("/timeline")
    assert open_in(opened, visitor, path).reference == "a-reference"
    (told,) = audited(opened)
    assert told["card"] == "card-1"


@pytest.fixture
def by_role(build: Callable[..., World], ehr: PlayedEhr) -> World:
    """A server whose EHR has shown a card to somebody by their role."""
    world = with_ehrs(build(), client_of(ehr, practitioner_roles=True))
    refer(world, ehr, "a-reference", "timeline", user="PractitionerRole/9")
    ehr.app_context = "a-reference"
    return world


def test_a_card_that_was_shown_to_a_role_is_opened_by_whom_the_role_belongs_to(
    by_role: World, ehr: PlayedEhr
) -> None:
    ehr.practitioners["9"] = f"{ehr.fhir}/Practitioner/7"
    visitor = Visitor(create_app(world=by_role).test_client())

    path = visitor.enter(ehr)

    session = open_in(by_role, visitor, path)
    assert path.endswith("/timeline")
    assert (session.user, session.known_as) == (
        *("Practitioner/7", ("PractitionerRole/9",)),
    )
    assert session.reference == "a-reference"
    (told,) = audited(by_role)
    assert (told["card"], told["knownAs"]) == ("card-1", ["PractitionerRole/9"])


@pytest.mark.parametrize("practitioners", [{"9": "Practitioner/8"}, {}])
def test_a_card_that_was_shown_to_a_role_of_another_or_an_unread_one_is_not_opened(
    by_role: World, ehr: PlayedEhr, practitioners: dict[str, str]
) -> None:
    ehr.practitioners = practitioners
    visitor = Visitor(create_app(world=by_role).test_client())

    path = visitor.enter(ehr)

    session = open_in(by_role, visitor, path)
    assert path.endswith("/why")
    assert (session.reference, session.known_as) == (None, ())
    (told,) = audited(by_role)
    assert told["appContext"] == "not opened"
    assert ("GET", "/fhir/PractitionerRole/9") in ehr.asked


def test_a_card_of_another_patient_asks_for_no_role(
    by_role: World, ehr: PlayedEhr
) -> None:
    refer(by_role, ehr, "theirs", "timeline", "john", user="PractitionerRole/9")
    ehr.app_context, ehr.practitioners["9"] = "theirs", "Practitioner/7"
    visitor = Visitor(create_app(world=by_role).test_client())

    assert visitor.enter(ehr).endswith("/why")
    assert ("GET", "/fhir/PractitionerRole/9") not in ehr.asked


def test_where_the_ehr_does_not_say_who_the_user_is_nobody_is_named(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    ehr.user = None

    assert open_in(opened, visitor, visitor.enter(ehr)).user is None


def test_a_site_that_needs_a_user_lets_nobody_in_without(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    ehr.user = None
    world = with_ehrs(build(), client_of(ehr, user_required=True))
    visitor = Visitor(create_app(world=world).test_client())

    done = visitor.come_back(visitor.signed_in(visitor.launch(ehr)))

    assert done.status_code == 403
    (told,) = audited(world)
    assert told["signIn"] == "refused" and "who the user is" in told["reason"]


def test_a_patient_that_reads_as_another_is_refused_and_audited(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    ehr.reads_patient = "john"

    done = visitor.come_back(visitor.signed_in(visitor.launch(ehr)))

    assert done.status_code == 403
    assert "__Host-s-" not in str(cookies_of(done))
    (told,) = audited(opened)
    assert told["signIn"] == "refused"


def test_where_the_cookie_does_not_come_back_that_is_said_with_another_way(
    visit: Callable[[], Visitor], ehr: PlayedEhr
) -> None:
    first, without = visit(), visit()
    back = first.signed_in(first.launch(ehr))

    done = without.come_back(back)

    assert done.status_code == 403
    assert "did not return its cookie" in done.text
    assert 'href="/base/smart/start"' in done.text
    assert first.come_back(back).status_code == 303


def test_who_logs_out_has_no_session_and_the_ehr_no_token_of_ours(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    path = visitor.enter(ehr)
    session = open_in(opened, visitor, path)
    assert len(ehr.alive) == 2

    done = visitor.http.post(
        f"/smart/s/{session.id}/logout",
        data=form_of(opened, visitor.http, session),
        headers=SAME,
    )

    assert done.status_code == 200 and "logged out" in done.text
    assert ehr.alive == set()
    assert "Max-Age=0" in cookies_of(done)[f"__Host-s-{session.id}"]
    assert opened.store.smart_sessions.tokens(session.launch) is None
    told = audited(opened)[-1]
    assert (told["signIn"], told["why"]) == ("ended", "logged out")


def test_who_just_goes_away_leaves_the_ehr_no_token_of_ours_either(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now, said = [NOW], list[str]()
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    Visitor(create_app(world=world).test_client()).enter(ehr)
    give_back = give_back_when_over(world, lambda event, **facts: None)
    keeper = Housekeeper(
        world.store,
        Keep(),
        world.clock,
        lambda event, **facts: said.append(event),
        give_back=give_back,
    )
    keeper.look()
    assert len(ehr.alive) == 2

    now[0] += timedelta(minutes=15)
    keeper.look()

    assert (ehr.alive, said) == (set(), [])
    assert audited(world)[-1]["why"] == "nobody used it"


def test_tokens_that_nobody_can_give_back_are_said_to_be_left_at_the_ehr(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now, said = [NOW], list[dict[str, object]]()
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    Visitor(create_app(world=world).test_client()).enter(ehr)
    without = replace(world, clients=build().clients)
    keeper = Housekeeper(
        world.store,
        Keep(),
        world.clock,
        lambda event, **facts: said.append(facts),
        give_back=give_back_when_over(without, lambda event, **facts: None),
    )

    now[0] += timedelta(minutes=15)
    keeper.look()

    assert len(ehr.alive) == 2
    assert said == [{"level": "warning", "problem": NOT_LISTED}]


def test_a_session_ends_even_where_the_ehr_does_not_take_the_tokens_back(
    build: Callable[..., World],
) -> None:
    with playing(PlayedEhr(NOW)) as gone:
        world = with_ehrs(build(), client_of(gone))
        visitor = Visitor(create_app(world=world).test_client())
        path = visitor.enter(gone)
    session = open_in(world, visitor, path)

    done = visitor.http.post(
        f"/smart/s/{session.id}/logout",
        data=form_of(world, visitor.http, session),
        headers=SAME,
    )

    assert done.status_code == 200
    assert world.store.smart_sessions.tokens(session.launch) is None
    assert audited(world)[-1]["notRevoked"]


def test_a_window_of_its_own_is_another_session_about_the_same_patient(
    visit: Callable[[], Visitor], ehr: PlayedEhr, opened: World
) -> None:
    framed, window = visit(), visit()
    session = open_in(opened, framed, framed.enter(ehr))
    form = {**form_of(opened, framed.http, session), "page": "timeline"}
    offered = framed.http.post(f"/smart/s/{session.id}/window", data=form, headers=SAME)
    ticket = offered.text.partition('name="ticket" value="')[2].partition('"')[0]
    told = {"ticket": ticket, "page": "timeline"}

    done = window.http.post("/smart/window", data=told, headers=SAME)

    path = urlsplit(done.headers["Location"]).path.removeprefix("/base")
    assert ticket not in done.headers["Location"]
    assert path.endswith("/timeline") and id_of(path) != session.id
    doubled = open_in(opened, window, path)
    assert (doubled.patient, doubled.launch) == ("jane", session.launch)
    again = visit().http.post("/smart/window", data=told, headers=SAME)
    assert again.status_code == 403 and "Set-Cookie" not in again.headers
    framed.http.post(
        f"/smart/s/{session.id}/logout",
        data=form_of(opened, framed.http, session),
        headers=SAME,
    )
    assert open_in(opened, window, path) is None


def test_a_window_opens_within_a_minute(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now = [NOW]
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    http = create_app(world=world).test_client()
    session = open_session(world, http, fhir_base=ehr.fhir)
    world.store.smart_sessions.give_ticket(
        session.id, hash_of("t"), NOW + timedelta(minutes=1)
    )

    now[0] += timedelta(minutes=1)
    late = http.post("/smart/window", data={"ticket": "t"}, headers=SAME)
    assert late.status_code == 403


def test_a_browser_keeps_twenty_launches_and_forgets_the_oldest(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now = [NOW]
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    visitor = Visitor(create_app(world=world).test_client())
    first = visitor.launch(ehr)
    for _ in range(24):
        now[0] += timedelta(seconds=1)
        visitor.launch(ehr)

    kept = [each for each in visitor.http._cookies.values() if each.value]
    assert len(kept) == 20
    (oldest,) = cookies_of(first)
    assert visitor.http.get_cookie(oldest) is None


def test_whose_chart_was_closed_by_a_twenty_first_is_told_to_open_it_again(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now = [NOW]
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    visitor = Visitor(create_app(world=world).test_client())
    paths = []
    for _ in range(21):
        now[0] += timedelta(seconds=1)
        paths.append(visitor.enter(ehr))
    oldest, *others = [path.replace("/why", "/consent") for path in paths]

    answer = visitor.http.get(oldest)
    sent = visitor.http.post(oldest.replace("consent", "feedback"), headers=SAME)

    for each in (answer, sent):
        assert (each.status_code, each.mimetype) == (404, "text/html")
        assert "<h1>Open this page again</h1>" in each.text
        assert "Open it from the EHR again" in each.text
        assert "more than 20 charts" in each.text and "the oldest" in each.text
        assert 'href="/base/smart/start"' in each.text
        assert "Jane" not in each.text
    assert [visitor.http.get(path).status_code for path in others] == [200] * 20


def test_whose_sign_in_was_given_up_for_twenty_others_is_told_to_open_it_again(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    back = visitor.signed_in(visitor.launch(ehr))
    for _ in range(20):
        visitor.launch(ehr)

    answer = visitor.come_back(back)

    assert answer.status_code == 403
    assert "more than 20 charts" in answer.text
    assert "Open it from the EHR again" in answer.text


def test_over_http_on_this_machine_the_cookies_have_plain_names(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    told = {"public_url": "http://127.0.0.1:8000"}
    world = with_ehrs(build(), client_of(ehr), **told)
    sent = Visitor(create_app(world=world).test_client()).launch(ehr)

    ((name, kept),) = cookies_of(sent).items()
    assert name.startswith("l-") and "SameSite=Lax" in kept and "HttpOnly" in kept
    assert "Secure" not in kept and "Partitioned" not in kept


def test_launches_are_counted_by_what_became_of_them(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    visitor.enter(ehr)
    visitor.http.get("/smart/launch?iss=https://evil.example&launch=1")

    metrics = visitor.http.get("/metrics").text

    for outcome in ("begun", "launched", "unlisted"):
        assert f'cds_launches_total{{outcome="{outcome}"}} 1.0' in metrics


@pytest.mark.parametrize(
    "query",
    ["", "launch=1", "iss=", "iss=%s", "iss=%s&iss=%s&launch=1", "iss=%s&launch="],
)
def test_an_address_that_is_not_right_leads_to_a_page_that_says_so(
    visitor: Visitor, ehr: PlayedEhr, query: str
) -> None:
    answer = visitor.http.get(f"/smart/launch?{query.replace('%s', ehr.fhir)}")

    assert answer.status_code in (400, 403)
    assert answer.mimetype == "text/html"
    assert "Set-Cookie" not in answer.headers
    assert ehr.asked == []


def test_an_address_of_nothing_is_a_page_and_calls_are_told_in_json(
    visitor: Visitor,
) -> None:
    assert visitor.http.get("/smart/nothing").mimetype == "text/html"
    assert visitor.http.get("/smart/nothing").status_code == 404
    assert visitor.http.get("/cds-services/x/y").mimetype == "application/json"
