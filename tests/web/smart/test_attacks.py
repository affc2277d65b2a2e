"""Attacks on sign-ins and sessions, each tried over HTTP; none works."""

import base64
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.connect.smart import access, provider_of
from cds_service.decision import World
from cds_service.trust import TrustedClient
from cds_service.web.smart import signing_in
from cds_service.web.smart.cookies import SESSION, hash_of, new_id
from cds_service.web.smart.sessions import Gate, token_desk

from ..conftest import NOW
from .opening import form_of, open_session, url_of, with_ehrs
from .played_ehr import CLIENT_ID, Claims, PlayedEhr, playing
from .visitor import (
    Visitor,
    audited,
    client_of,
    cookies_of,
    id_of,
    open_in,
    refer,
)

Visit = Callable[[], Visitor]
SAME = {"Sec-Fetch-Site": "same-origin"}


def is_let_in(answer: TestResponse) -> bool:
    return any(name.startswith("__Host-s-") for name in cookies_of(answer))


def test_a_replayed_callback_lets_nobody_in(visitor: Visitor, ehr: PlayedEhr) -> None:
    back = visitor.signed_in(visitor.launch(ehr))
    cookie = next(iter(visitor.http._cookies.values()))
    assert is_let_in(visitor.come_back(back))
    visitor.http.set_cookie(cookie.key, cookie.value, secure=True)

    again = visitor.come_back(back)

    assert again.status_code == 400 and not is_let_in(again)


def test_a_callback_that_comes_twice_at_once_lets_one_in(
    opened: World, ehr: PlayedEhr
) -> None:
    first = Visitor(create_app(world=opened).test_client())
    second = Visitor(create_app(world=opened).test_client())
    back = first.signed_in(first.launch(ehr))
    cookie = next(iter(first.http._cookies.values()))
    second.http.set_cookie(cookie.key, cookie.value, secure=True)
    start, let_in = threading.Barrier(2), list[bool]()

    def come(visitor: Visitor) -> None:
        start.wait()
        let_in.append(is_let_in(visitor.come_back(back)))

    threads = [threading.Thread(target=come, args=[e]) for e in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(let_in) == [False, True]
    assert ehr.asked.count(("POST", "/token")) == 1


def test_a_code_that_was_used_opens_nothing(visitor: Visitor, ehr: PlayedEhr) -> None:
    back = visitor.signed_in(visitor.launch(ehr))
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    visitor.come_back(back)
    other = visitor.signed_in(visitor.launch(ehr))

    answer = visitor.come_back(other, code=code)

    assert answer.status_code == 403 and not is_let_in(answer)


def test_a_strangers_callback_lets_the_victim_into_nothing_and_burns_nothing(
    visit: Visit, ehr: PlayedEhr, opened: World
) -> None:
    attacker, victim = visit(), visit()
    back = attacker.signed_in(attacker.launch(ehr))
    victim.launch(ehr)

    answer = victim.come_back(back)

    assert answer.status_code == 403 and not is_let_in(answer)
    assert ("POST", "/token") not in ehr.asked
    assert is_let_in(attacker.come_back(back))
    assert any("another browser" in str(e) for e in audited(opened, "refusal"))


def test_the_address_of_anothers_session_opens_nothing(
    visit: Visit, opened: World
) -> None:
    one, other = visit(), visit()
    mine = open_session(opened, one.http)
    theirs = open_session(opened, other.http)
    names = Gate.of(opened).cookies
    own = one.http.get_cookie(names.name(SESSION, mine.id))
    assert own is not None
    form = form_of(opened, one.http, mine)

    bare = one.http.post(url_of(theirs, "logout"), data=form, headers=SAME)
    one.http.set_cookie(names.name(SESSION, theirs.id), own.value, secure=True)
    with_own_key = one.http.post(url_of(theirs, "logout"), data=form, headers=SAME)

    assert [bare.status_code, with_own_key.status_code] == [404, 404]
    assert opened.store.smart_sessions.tokens(theirs.launch) is not None


def test_an_ehr_that_is_not_listed_is_asked_nothing(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    with playing(PlayedEhr(NOW)) as counterfeit:
        for issuer in (
            counterfeit.fhir,
            f"{counterfeit.fhir}/../fhir",
            f"{ehr.base}@{urlsplit(counterfeit.base).netloc}/fhir",
            f"{ehr.fhir}/deeper",
            f"{ehr.fhir}?",
            f"{ehr.fhir}#",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ):
            asked = urlencode({"iss": issuer, "launch": "1"})
            answer = visitor.http.get(f"/smart/launch?{asked}")
            assert answer.status_code == 403 and "Location" not in answer.headers
        assert counterfeit.asked == [] == ehr.asked
    told = audited(opened, "refusal")
    assert any("not listed" in str(each) for each in told)
    assert str(counterfeit.base) not in str(told)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ],
)
def test_a_form_on_a_foreign_page_changes_nothing(
    visitor: Visitor, opened: World, headers: dict[str, str]
) -> None:
    session = open_session(opened, visitor.http)
    token = form_of(opened, visitor.http, session)
    opened.store.smart_sessions.give_ticket(
        session.id, hash_of("t"), NOW + timedelta(minutes=1)
    )

    out = visitor.http.post(url_of(session, "logout"), data=token, headers=headers)
    window = visitor.http.post("/smart/window", data={"ticket": "t"}, headers=headers)
    bare = visitor.http.post(url_of(session, "logout"), data={}, headers=SAME)

    assert [each.status_code for each in (out, window, bare)] == [403, 403, 403]
    assert opened.store.smart_sessions.tokens(session.launch) is not None
    assert not is_let_in(window)


def test_nothing_changes_by_looking(visitor: Visitor, opened: World) -> None:
    session = open_session(opened, visitor.http)

    for page in ("logout", "window"):
        assert visitor.http.get(url_of(session, page)).status_code == 404
    assert visitor.http.get("/smart/window").status_code == 404
    assert opened.store.smart_sessions.tokens(session.launch) is not None


def test_a_stolen_code_is_worth_nothing_without_the_verifier(
    visit: Visit, ehr: PlayedEhr
) -> None:
    """The code of one sign-in in another: its verifier is not that of this one."""
    ehr.user = None  # an id token would give it away by its nonce
    victim, attacker = visit(), visit()
    stolen = dict(parse_qsl(urlsplit(victim.signed_in(victim.launch(ehr))).query))
    own = attacker.signed_in(attacker.launch(ehr))

    answer = attacker.come_back(own, code=stolen["code"])

    assert answer.status_code == 403 and not is_let_in(answer)


def none(ehr: PlayedEhr, claims: Claims) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def by_public_key(ehr: PlayedEhr, claims: Claims) -> str:
    """HS256 with what everybody can read as the secret."""
    secret = json.dumps(ehr.jwks()["keys"][0]).encode()
    told = [encoded({"alg": "HS256", "kid": "k1"}), encoded(claims)]
    digest = hmac.digest(secret, ".".join(told).encode(), "sha256")
    return ".".join([*told, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()])


def encoded(value: Claims) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def by_other_key(ehr: PlayedEhr, claims: Claims) -> str:
    other = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims, other, "ES256", headers={"kid": "k1"})


def changed(**changes: Any) -> Callable[[PlayedEhr, Claims], str]:
    def sign(ehr: PlayedEhr, claims: Claims) -> str:
        told = {**claims, **changes}
        return jwt.encode(told, ehr.key, "ES256", headers={"kid": "k1"})

    return sign


@pytest.mark.parametrize(
    "sign",
    [
        none,
        by_public_key,
        by_other_key,
        changed(nonce="another"),
        changed(aud="another-app"),
        changed(aud=[CLIENT_ID, "another"], azp="another"),
        changed(iss="https://evil.example"),
        changed(exp=int(NOW.timestamp()) - 3600),
    ],
)
def test_a_forged_id_token_names_nobody(
    visitor: Visitor, ehr: PlayedEhr, sign: Callable[[PlayedEhr, Claims], str]
) -> None:
    ehr.sign = sign

    answer = visitor.come_back(visitor.signed_in(visitor.launch(ehr)))

    assert answer.status_code in (403, 502) and not is_let_in(answer)
    assert ehr.alive == set()


def test_a_token_endpoint_that_leads_elsewhere_is_not_followed(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    heard: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802  as http.server calls it
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))

        do_GET = do_POST

    with HTTPServer(("127.0.0.1", 0), Listener) as elsewhere:
        elsewhere.timeout = 0.2
        ehr.token_moved_to = f"http://127.0.0.1:{elsewhere.server_port}/token"

        answer = visitor.come_back(visitor.signed_in(visitor.launch(ehr)))
        elsewhere.handle_request()

    assert not is_let_in(answer) and answer.status_code in (403, 502)
    assert heard == []


def test_a_key_that_an_attacker_has_planted_becomes_no_session(
    visit: Visit, ehr: PlayedEhr, opened: World
) -> None:
    victim = visit()
    planted = new_id()
    victim.http.set_cookie(f"__Host-s-{planted}", "known", secure=True)
    sent = victim.launch(ehr)
    (launch,) = cookies_of(sent)
    launch_key = victim.http.get_cookie(launch)

    done = victim.come_back(victim.signed_in(sent))

    path = urlsplit(done.headers["Location"]).path.removeprefix("/base")
    id = id_of(path)
    key = victim.http.get_cookie(f"__Host-s-{id}")
    assert key is not None and launch_key is not None
    assert id != planted and id not in launch
    assert key.value not in ("known", launch_key.value)
    assert victim.http.get_cookie(launch) is None


def test_another_launch_never_joins_a_session_that_is_open(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    jane = visitor.enter(ehr)
    ehr.patient = "john"
    john = visitor.enter(ehr)

    assert id_of(jane) != id_of(john)
    assert open_in(opened, visitor, jane).patient == "jane"
    assert open_in(opened, visitor, john).patient == "john"


def test_the_answer_of_another_ehr_is_not_taken_for_the_one_that_was_asked(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    with playing(PlayedEhr(NOW)) as evil:
        world = with_ehrs(build(), client_of(ehr), client_of(evil, "evil"))
        visitor = Visitor(create_app(world=world).test_client())
        back = visitor.signed_in(visitor.launch(ehr))
        asked = len(evil.asked)

        mixed = visitor.come_back(back, iss=evil.base)

        assert mixed.status_code == 403 and not is_let_in(mixed)
        assert len(evil.asked) == asked
        assert ("POST", "/token") not in ehr.asked


def test_an_answer_that_does_not_say_whose_it_is_is_refused_where_it_has_to(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    parts = urlsplit(visitor.signed_in(visitor.launch(ehr)))
    told = dict(parse_qsl(parts.query))
    del told["iss"]

    answer = visitor.http.get(f"{parts.path}?{urlencode(told)}")

    assert answer.status_code == 403 and not is_let_in(answer)


def test_nothing_in_an_address_says_where_it_goes_on(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    back = visitor.signed_in(visitor.launch(ehr))
    evil = {"next": "https://evil.example", "redirect_uri": "https://evil.example"}

    done = visitor.come_back(back, **evil, page="//evil.example")
    start = visitor.http.get(f"/smart/start?next={quote('https://evil.example')}")

    led = urlsplit(done.headers["Location"])
    assert (led.scheme, led.netloc, led.query) == ("", "", "")
    assert led.path.startswith("/base/smart/s/")
    assert "evil.example" not in start.text


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
def test_an_address_that_says_something_twice_is_believed_in_neither(
    visitor: Visitor, ehr: PlayedEhr, name: str
) -> None:
    back = visitor.signed_in(visitor.launch(ehr))

    answer = visitor.http.get(f"{back}&{name}=other&{name}=again")

    assert answer.status_code == 400 and not is_let_in(answer)
    assert ("POST", "/token") not in ehr.asked
    assert is_let_in(visitor.come_back(back))


def test_an_intent_that_is_no_page_of_ours_leads_to_the_usual_one(
    visitor: Visitor, ehr: PlayedEhr, opened: World
) -> None:
    ehr.app_context = "https://evil.example/../../x"

    path = visitor.enter(ehr)

    assert path.rpartition("/")[2] == signing_in.FIRST


def test_two_windows_that_refresh_at_once_use_the_refresh_token_once(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    ehr.lifetime = 61
    now = [NOW]
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    visitor = Visitor(create_app(world=world).test_client())
    session = open_in(world, visitor, visitor.enter(ehr))
    now[0] += timedelta(seconds=30)
    client: TrustedClient = client_of(ehr)
    provider = provider_of(client)
    assert provider is not None
    desk = token_desk(world)
    ehr.lifetime = 3600
    start, tokens = threading.Barrier(6), list[str]()

    def ask() -> None:
        start.wait()
        tokens.append(access(desk, provider, session))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert not ehr.family_ended
    assert len(tokens) == 6 and len(set(tokens)) == 1
    assert ehr.asked.count(("POST", "/token")) == 2


@pytest.mark.parametrize("why", ["another patient", "unknown", "another user"])
def test_a_foreign_app_context_opens_no_card(
    visitor: Visitor, ehr: PlayedEhr, opened: World, why: str
) -> None:
    refer(opened, ehr, "theirs", "timeline", patient="john")
    ehr.app_context = "unknown" if why == "unknown" else "theirs"
    if why == "another user":
        refer(opened, ehr, "users", "timeline", user="Practitioner/other")
        ehr.app_context = "users"

    path = visitor.enter(ehr)

    assert path.endswith(f"/{signing_in.FIRST}")
    session = open_in(opened, visitor, path)
    assert (session.patient, session.reference) == ("jane", None)
    (told,) = audited(opened)
    assert told["appContext"] == "not opened" and "card" not in told


def test_a_stolen_database_opens_no_session_and_holds_no_token(
    visitor: Visitor, ehr: PlayedEhr, opened: World, rows: Any
) -> None:
    waiting = visitor.launch(ehr, "launch-secret")
    state = dict(parse_qsl(urlsplit(waiting.headers["Location"]).query))["state"]
    path = visitor.enter(ehr)
    session = open_in(opened, visitor, path)
    visitor.http.post(
        url_of(session, "window"),
        data=form_of(opened, visitor.http, session),
        headers=SAME,
    )

    tables = ("pending_sign_ins", "smart_sessions", "smart_tokens", "smart_tickets")
    whole = str([rows(f"SELECT * FROM {each}") for each in (*tables, "audit")])

    keys = [each.value for each in visitor.http._cookies.values()]
    names = ["Jane Example", "1958-03-14"]
    for secret in (*ehr.alive, *keys, state, "launch-secret", *names):
        assert secret not in whole
    cookie = visitor.http.get_cookie(Gate.of(opened).cookies.name(SESSION, session.id))
    assert cookie is not None
    assert hash_of(cookie.value) in whole
    thief = Visitor(create_app(world=opened).test_client())
    thief.http.set_cookie(cookie.key, hash_of(cookie.value), secure=True)
    form = form_of(opened, thief.http, session)
    out = thief.http.post(url_of(session, "logout"), data=form, headers=SAME)
    assert out.status_code == 404


def test_a_session_is_over_after_a_quarter_of_an_hour_without_a_page(
    build: Callable[..., World], ehr: PlayedEhr
) -> None:
    now = [NOW]
    world = replace(with_ehrs(build(), client_of(ehr)), clock=lambda: now[0])
    visitor = Visitor(create_app(world=world).test_client())
    session = open_session(world, visitor.http, fhir_base=ehr.fhir)
    now[0] += timedelta(minutes=15)

    form = form_of(world, visitor.http, session)
    answer = visitor.http.post(url_of(session, "logout"), data=form, headers=SAME)

    assert answer.status_code == 404


def test_a_flood_of_launches_is_held_up_and_keeps_no_row_of_its_own(
    build: Callable[..., World], ehr: PlayedEhr, rows: Any
) -> None:
    world = with_ehrs(build(), client_of(ehr))
    visitor = Visitor(create_app(world=world).test_client())
    unlisted = "/smart/launch?iss=https://evil.example&launch=1"

    answers: list[int] = []
    while 429 not in answers:
        assert len(answers) < 5_000
        answer = visitor.http.get(unlisted)
        answers.append(answer.status_code)

    assert len(answers) > 600 and set(answers[:-1]) == {403}
    assert int(answer.headers["Retry-After"]) >= 1
    assert rows("SELECT * FROM pending_sign_ins") == []
    assert rows("SELECT count(*) AS n FROM audit") == [{"n": 1}]
    assert ehr.asked == []


def test_clickjacking_finds_a_page_that_no_other_site_may_frame(
    visitor: Visitor, ehr: PlayedEhr
) -> None:
    foreign = "/smart/s/0123456789abcdef/logout"
    for path in ("/smart/start", "/smart/launch?iss=x", foreign):
        policy = visitor.http.get(path).headers["Content-Security-Policy"]
        assert "frame-ancestors https://chart.ehr.example" in policy
        assert "form-action 'self'" in policy and "unsafe" not in policy
    register = visitor.http.get("/smart/register").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in register


@pytest.mark.parametrize("filler", [b"a&" * 40_000, b"ticket=" + b"a" * 80_000])
def test_a_form_that_is_longer_than_any_of_ours_is_not_read(
    visitor: Visitor, opened: World, filler: bytes
) -> None:
    mine = open_session(opened, visitor.http)
    token = urlencode(form_of(opened, visitor.http, mine)).encode()

    def send(url: str) -> int:
        answer = visitor.http.post(
            url,
            data=token + b"&" + filler,
            content_type="application/x-www-form-urlencoded",
            headers=SAME,
        )
        return answer.status_code

    urls = "/smart/window", url_of(mine, "feedback"), url_of(mine, "logout")
    assert [send(url) for url in urls] == [413, 413, 413]
    assert opened.store.smart_sessions.tokens(mine.launch) is not None
