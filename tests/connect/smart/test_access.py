"""Tokens of sessions: renewed once however many ask, and given back at the end."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from cds_service.connect.smart import (
    NoAccess,
    Provider,
    SignedIn,
    TokenDesk,
    access,
    revoke,
    seal_tokens,
    with_access,
)
from cds_service.protocol.errors import Problem, TokenRefused
from cds_service.store.records import AuditEvent
from cds_service.store.sign_in.records import SmartSession
from cds_service.store.store import Store
from cds_service.trust.id_tokens import lasting_claims
from cds_service.trust.vault import Vault, parse_vault_keys

from ...smart_server import SmartServer
from .conftest import Attempt, Clinic
from .hostile import FOREIGN

KEY = base64.b64encode(bytes(range(32))).decode()
VAULT = Vault(parse_vault_keys(KEY))
SECOND = timedelta(seconds=1)
SIGNED_IN = 1_790_000_000
"""When the user did, as `auth_time` tells it."""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


class Session:
    """A session that was opened by a sign-in, and the time that it lives in."""

    def __init__(self, store: Store, attempt: "Clinic | Attempt", came: SignedIn):
        self.provider: Provider = attempt.provider
        self.passed = timedelta()
        self.slept: list[float] = []
        self.asked: list[str] = []
        self.desk = TokenDesk(
            attempt.desk, store.smart_sessions, VAULT, self.clock, self.sleep
        )
        now = self.clock()
        self.session = SmartSession(
            id="s1",
            launch="l1",
            tenant="north",
            client="ehr",
            fhir_base=attempt.provider.server.url,
            patient=came.context.patient,
            encounter=None,
            user=came.user,
            scopes=came.scopes,
            identity=lasting_claims(came.claims),
            opened_at=now,
            idle_until=now + timedelta(minutes=15),
            until=now + timedelta(hours=8),
        )
        self.event = AuditEvent(now, "sign-in", "north", "ehr", None, {})
        sealed = seal_tokens(VAULT, "l1", came.tokens)
        store.smart_sessions.open(self.session, "k1", sealed, self.event)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def stand_still(self) -> None:
        """Have no time go by: nobody waits for too long, however busy the machine."""
        now = self.clock()
        self.desk = replace(self.desk, clock=lambda: now)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        threading.Event().wait(seconds)

    def access(self) -> str:
        return access(self.desk, self.provider, self.session)

    def refusal(self, *refusing: str) -> NoAccess:
        with pytest.raises(NoAccess) as refused:
            if refusing:
                self.ask(*refusing)
            else:
                self.access()
        return refused.value

    def ask(self, *refusing: str) -> str:
        """The token by which a question was answered, which these are not."""

        def ask(token: str) -> str:
            self.asked.append(token)
            if token in refusing:
                raise TokenRefused(Problem("HTTP 401"))
            return token

        return with_access(self.desk, self.provider, self.session, ask)

    @property
    def lives(self) -> bool:
        """Whether it can be found still."""
        found = self.desk.sessions.find("s1", "k1", self.clock())
        return found is not None

    def end(self) -> None:
        self.desk.sessions.end("l1", "logged out", self.event)


@pytest.fixture
def open_session(store: Store, clinic: Clinic) -> Callable[..., Session]:
    """Opens a session at a real EHR."""

    def opened(**state: object) -> Session:
        clinic.server.set(**state)
        session = Session(store, clinic, clinic.sign_in(clinic.server.launch()))
        clinic.server.seen()
        return session

    return opened


def reads(server: SmartServer, token: str) -> int:
    """The status of a read of the patient with a token."""
    url = f"{server.base}/Patient/p1"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(url, headers=headers, timeout=60).status_code


def test_a_token_that_lasts_is_given_as_it_is(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session()

    assert session.access() == session.access()
    assert smart_server.seen() == []


def test_a_token_is_renewed_a_minute_before_it_is_over(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=600)
    first = session.access()
    session.passed = timedelta(seconds=480)
    assert session.access() == first

    session.passed = timedelta(seconds=540)
    second = session.access()

    assert second != first
    assert smart_server.seen() == ["POST /token"]
    assert reads(smart_server, second) == 200


def test_a_refresh_token_that_took_the_place_of_another_is_used_next(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=30)

    tokens = {session.access() for _ in range(4)}

    assert len(tokens) == 4
    assert smart_server.seen() == ["POST /token"] * 4


def test_a_refresh_token_that_none_takes_the_place_of_is_used_again(
    open_session: Callable[..., Session],
) -> None:
    session = open_session(accessSeconds=30, rotate=False)

    assert session.access() != session.access()


def test_of_many_who_ask_at_once_one_renews(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=30)
    session.stand_still()
    smart_server.set(accessSeconds=3600)
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        return session.access()

    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(ask, range(8)))

    assert len(tokens) == 1
    assert smart_server.seen() == ["POST /token"]
    assert reads(smart_server, tokens.pop()) == 200


def test_a_permission_that_was_taken_back_ends_the_session(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=30)
    smart_server.revoke()

    refused = session.refusal()

    assert refused.ended
    assert str(refused) == "The EHR permits it no longer."
    assert not session.lives


def test_the_context_need_not_be_told_again(
    open_session: Callable[..., Session],
) -> None:
    session = open_session(accessSeconds=30, again={"patient": None})

    assert session.access()


def test_an_ehr_that_goes_to_another_patient_ends_the_session(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=30, again={"patient": "p2"})

    refused = session.refusal()

    assert refused.ended
    assert str(refused) == "The EHR has switched to another patient."
    assert not session.lives
    revoked = [each for each in smart_server.seen() if "revocation" in each]
    assert len(revoked) == 2


def test_the_trail_says_why_a_session_has_ended(
    open_session: Callable[..., Session],
    smart_server: SmartServer,
    rows: Callable[[str], list[dict[str, Any]]],
) -> None:
    session = open_session(accessSeconds=30)
    smart_server.revoke()

    session.refusal()
    session.refusal()

    told = [json.loads(each["detail"]) for each in rows("SELECT detail FROM audit")]
    ended = [each["why"] for each in told if each.get("signIn") == "ended"]
    assert ended == ["The EHR permits it no longer."]


def test_without_a_refresh_token_a_session_lasts_as_long_as_its_token(
    open_session: Callable[..., Session],
) -> None:
    session = open_session(accessSeconds=600, refreshes=False)
    first = session.access()
    session.passed = timedelta(seconds=545)
    assert session.access() == first

    session.passed = timedelta(seconds=610)
    refused = session.refusal()

    assert refused.ended
    assert "cannot be renewed" in str(refused)
    assert not session.lives


def test_a_session_that_ended_has_no_token(
    open_session: Callable[..., Session],
) -> None:
    session = open_session()
    session.end()

    refused = session.refusal()

    assert refused.ended
    assert str(refused) == "The session has ended."


def test_a_session_that_ends_while_its_token_is_renewed_gives_the_new_one_back(
    store: Store, against: Attempt
) -> None:
    against.ehr.token = {"expires_in": 30}
    session = Session(store, against, against.sign_in())
    against.ehr.meanwhile = session.end
    against.ehr.token = {"access_token": "a2", "refresh_token": "r2"}

    assert str(session.refusal()) == "The session has ended."
    given_back = [form for path, _, form in against.ehr.asked if path == "/revoke"]
    assert [each["token"] for each in given_back] == ["r2", "a2"]


@pytest.mark.parametrize("status", [500, 503])
def test_an_ehr_that_is_down_ends_nothing_while_the_token_lasts(
    store: Store, against: Attempt, status: int
) -> None:
    against.ehr.token = {"expires_in": 30}
    session = Session(store, against, against.sign_in())
    against.ehr.tell("/token", status=status)
    assert session.access() == "access-1"

    session.passed = timedelta(seconds=31)
    refused = session.refusal()

    assert not refused.ended
    assert str(refused) == "The EHR does not renew its permission at the moment."
    assert session.lives
    against.ehr.told.clear()
    against.ehr.token = {"access_token": "a2"}
    assert session.access() == "a2"


def test_a_renewal_that_broke_off_is_taken_up_by_another_after_a_minute(
    store: Store, against: Attempt
) -> None:
    against.ehr.token = {"expires_in": 90}
    session = Session(store, against, against.sign_in())
    session.passed = timedelta(seconds=40)
    held = session.desk.sessions.tokens("l1")
    assert held is not None
    now = session.clock()
    assert session.desk.sessions.hold_tokens(held, now, now + 60 * SECOND)
    session.passed += timedelta(seconds=61)
    against.ehr.token = {"access_token": "a2", "expires_in": 3600}

    assert session.access() == "a2"


def test_nobody_is_waited_for_without_end(store: Store, against: Attempt) -> None:
    against.ehr.token = {"expires_in": 45}
    session = Session(store, against, against.sign_in())
    held = session.desk.sessions.tokens("l1")
    assert held is not None
    now = session.clock()
    session.desk.sessions.hold_tokens(held, now, now + 60 * SECOND)

    def pass_time(seconds: float) -> None:
        session.passed += timedelta(seconds=6)

    session.desk = replace(session.desk, sleep=pass_time)

    assert session.access() == "access-1"
    session.passed = timedelta(seconds=46)
    assert not session.refusal().ended


def test_tokens_under_a_key_that_is_gone_end_the_session(
    open_session: Callable[..., Session],
) -> None:
    session = open_session()
    other = Vault(parse_vault_keys(base64.b64encode(bytes(32)).decode()))
    session.desk = replace(session.desk, vault=other)

    refused = session.refusal()

    assert refused.ended
    assert str(refused).startswith("The token cannot be read: ")


def test_at_the_end_both_tokens_are_given_back(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session()
    token = session.access()
    assert reads(smart_server, token) == 200
    smart_server.seen()

    assert revoke(session.desk, session.provider, session.session) == ""

    assert smart_server.seen() == ["POST /token/revocation"] * 2
    assert reads(smart_server, token) == 401


def test_an_ehr_that_does_not_take_them_back_is_named_and_nothing_else(
    store: Store, against: Attempt
) -> None:
    session = Session(store, against, against.sign_in())
    against.ehr.tell("/revoke", status=503)

    told = revoke(session.desk, session.provider, session.session)

    assert told == "refresh_token: HTTP 503; access_token: HTTP 503"


def test_an_ehr_without_a_place_for_it_is_not_asked(
    store: Store, against: Attempt
) -> None:
    configuration = against.ehr.configuration(revocation_endpoint=None)
    against.ehr.tell("/fhir/.well-known/smart-configuration", configuration)
    session = Session(store, against, against.sign_in())

    assert revoke(session.desk, session.provider, session.session) == ""
    assert "/revoke" not in against.ehr.paths()


def test_nothing_is_given_back_of_a_session_that_has_ended(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session()
    session.end()

    assert revoke(session.desk, session.provider, session.session) == ""
    assert smart_server.seen() == []


def test_a_token_that_never_ends_as_far_as_is_told_is_not_renewed(
    store: Store, against: Attempt
) -> None:
    against.ehr.token = {"expires_in": None}
    session = Session(store, against, against.sign_in())
    session.passed = timedelta(hours=7)

    assert session.access() == "access-1"


# Tokens that the EHR takes no more before their time is over


def test_a_token_that_is_taken_no_more_is_renewed_once_and_the_question_asked_again(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session()
    first = session.access()

    second = session.ask(first)

    assert second != first
    assert session.asked == [first, second]
    assert smart_server.seen() == ["POST /token"]
    assert session.ask() == second


def test_of_many_whose_token_is_taken_no_more_one_renews_it(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session()
    session.stand_still()
    first = session.access()
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        return session.ask(first)

    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(ask, range(8)))

    assert len(tokens) == 1
    assert smart_server.seen() == ["POST /token"]


def test_an_ehr_that_takes_the_new_token_no_more_either_is_asked_no_third_time(
    store: Store, against: Attempt
) -> None:
    session = Session(store, against, against.sign_in())
    against.ehr.token = {"access_token": "a2", "refresh_token": "r2"}

    refused = session.refusal("access-1", "a2")

    assert refused.ended and not session.lives
    assert session.asked == ["access-1", "a2"]
    assert against.ehr.paths().count("/token") == 2
    given_back = [form for path, _, form in against.ehr.asked if path == "/revoke"]
    assert [each["token"] for each in given_back] == ["r2", "a2"]


def test_an_ehr_that_gives_the_same_token_again_is_asked_no_third_time(
    store: Store, against: Attempt
) -> None:
    session = Session(store, against, against.sign_in())

    assert session.refusal("access-1").ended
    assert session.asked == ["access-1"] * 2
    assert against.ehr.paths().count("/token") == 2


def test_a_token_that_is_taken_no_more_and_cannot_be_renewed_ends_the_session(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(refreshes=False)

    refused = session.refusal(session.access())

    assert refused.ended and not session.lives
    assert str(refused).startswith("The EHR no longer accepts our token ")
    assert smart_server.seen() == []


def test_an_ehr_that_is_down_while_its_token_is_renewed_ends_nothing(
    store: Store, against: Attempt
) -> None:
    session = Session(store, against, against.sign_in())
    against.ehr.tell("/token", status=503)

    refused = session.refusal("access-1")

    assert not refused.ended and session.lives
    assert session.asked == ["access-1"]


# ID tokens that come with a token that is renewed


def renewing(store: Store, against: Attempt, **claims: Any) -> Session:
    """A session whose token is to be renewed, of a user who signed in at one moment."""
    against.ehr.claims = {"auth_time": SIGNED_IN, **claims}
    against.ehr.token = {"expires_in": 30}
    session = Session(store, against, against.sign_in())
    against.ehr.token = {"access_token": "a2", "refresh_token": "r2"}
    return session


def test_who_the_user_is_may_be_told_again_by_a_real_server(
    open_session: Callable[..., Session], smart_server: SmartServer
) -> None:
    session = open_session(accessSeconds=30)

    tokens = {session.access() for _ in range(3)}

    assert len(tokens) == 3 and session.lives


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"nonce": None},
        {"auth_time": None},
        {"fhirUser": None},
        {"aud": ["us", "another"], "azp": "us"},
    ],
)
def test_an_id_token_of_the_same_user_leaves_the_session_as_it_is(
    store: Store, against: Attempt, claims: dict[str, Any]
) -> None:
    session = renewing(store, against)
    against.ehr.claims = {"auth_time": SIGNED_IN, **claims}

    assert session.access() == "a2"
    assert session.lives


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": "somebody else"}, "sub is another"),
        ({"sub": None}, "no sub"),
        ({"iss": "https://evil.example"}, "iss is another"),
        ({"aud": "another app"}, "aud is another"),
        ({"azp": "another app"}, "azp is another"),
        ({"nonce": "of another sign-in"}, "nonce is not that of this sign-in"),
        ({"iat": 1_700_000_000}, "it is older than the sign-in"),
        ({"iat": None}, "iat is no number"),
        ({"exp": 1_700_000_000}, "it has expired"),
        ({"auth_time": SIGNED_IN + 1}, "auth_time is another"),
        ({"auth_time": "then"}, "auth_time is another"),
    ],
)
def test_an_id_token_of_somebody_or_something_else_ends_the_session(
    store: Store,
    against: Attempt,
    rows: Callable[[str], list[dict[str, Any]]],
    claims: dict[str, Any],
    why: str,
) -> None:
    session = renewing(store, against)
    against.ehr.claims = {"auth_time": SIGNED_IN, **claims}

    refused = session.refusal()

    assert refused.ended and not session.lives
    assert str(refused) == f"The ID token is not believed: {why}."
    told = [json.loads(each["detail"]) for each in rows("SELECT detail FROM audit")]
    assert told[-1]["why"] == str(refused)
    given_back = [form for path, _, form in against.ehr.asked if path == "/revoke"]
    assert [each["token"] for each in given_back] == ["r2", "a2"]


def test_a_forged_id_token_ends_the_session(store: Store, against: Attempt) -> None:
    session = renewing(store, against)
    against.ehr.key = FOREIGN

    refused = session.refusal()

    assert refused.ended
    assert str(refused) == "The ID token is not believed: the signature is wrong."


@pytest.mark.parametrize("value", ["no token", 7, {"sub": "u"}])
def test_what_is_no_id_token_ends_the_session(
    store: Store, against: Attempt, value: object
) -> None:
    session = renewing(store, against)
    against.ehr.token |= {"id_token": value}

    assert session.refusal().ended


def test_where_none_comes_again_the_first_is_good(
    store: Store, against: Attempt
) -> None:
    session = renewing(store, against)
    against.ehr.token |= {"id_token": None}

    assert session.access() == "a2"


def test_where_none_came_at_first_a_later_one_has_to_be_for_us_and_names_nobody(
    store: Store, against: Attempt
) -> None:
    against.ehr.token = {"expires_in": 30, "id_token": None}
    session = Session(store, against, against.sign_in())
    against.ehr.token = {"access_token": "a2", "expires_in": 30}
    against.ehr.claims = {"nonce": None}

    assert session.access() == "a2"
    assert session.session.user is None
    against.ehr.claims = {"nonce": None, "aud": "another app"}
    assert session.refusal().ended
