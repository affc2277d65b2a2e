"""A wearer's permission: asked for by a link that is good once, and kept encrypted."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import pytest

from cds_service.connect.callback import HEADERS, Loopback, render_page
from cds_service.connect.granting import (
    CONNECTED,
    CloudDesk,
    Return,
    invite,
    kinds_of,
    renew,
    reseal,
    revoke,
    take_back,
    unseal,
)
from cds_service.connect.oauth import OAuthFailure, read_tokens
from cds_service.connect.played import PlayedGoogle
from cds_service.connect.vendors.google_fit import GOOGLE_FIT
from cds_service.connect.vendors.records import Call, Tokens, Vendor, WearerIdentity
from cds_service.store.grants.records import CloudGrant, GrantState
from cds_service.store.store import Store
from cds_service.trust.vault import Vault, parse_vault_keys
from cds_service.wearables.records import PatientKey

from ..waiting import PATIENCE
from .conftest import KEY, NOW, Clock, Connect, visit

BACK = "http://127.0.0.1:9/callback"
OTHER_KEY = "A" * 43 + "="
ACTIVITY = "https://www.googleapis.com/auth/fitness.activity.read"


def granted(store: Store, user: str = "u-7") -> CloudGrant:
    found = store.grants.find("north", "fit", user)
    assert found is not None
    return found


def test_the_link_asks_for_what_the_site_reads_by_pkce_and_for_a_refresh_token(
    desk: CloudDesk, clock: Clock
) -> None:
    asked = invite(desk, "u-7", BACK, "me", NOW)

    told = dict(parse_qsl(urlsplit(asked.link).query))
    assert asked.link.startswith(desk.cloud.vendor.authorize_url)
    assert told["scope"] == ACTIVITY
    assert (told["code_challenge_method"], len(told["code_challenge"])) == ("S256", 43)
    assert (told["access_type"], told["prompt"]) == ("offline", "consent")
    assert (told["redirect_uri"], told["response_type"]) == (BACK, "code")
    assert len(told["state"]) == 43


def test_who_comes_back_is_connected_and_nothing_readable_is_kept(
    desk: CloudDesk, connect: Connect, store: Store, google: PlayedGoogle, rows: Any
) -> None:
    done = connect()

    assert done.text == CONNECTED
    grant = granted(store)
    assert unseal(desk, grant, "refresh") in google._refresh
    assert unseal(desk, grant, "access") in google._access
    assert grant.tokens.expires == NOW + timedelta(hours=1)
    assert [each.name for each in kinds_of(grant, desk.cloud)] == ["steps"]
    whole = str(rows("SELECT * FROM grants") + rows("SELECT * FROM sign_ins"))
    assert not any(each in whole for each in google._access | google._refresh)


def test_the_trail_says_who_asked_and_what_was_given(
    connect: Connect, store: Store
) -> None:
    connect()

    told = [
        (each.patient_id, each.client, json.loads(each.detail).get("grant"))
        for each in store.audit_entries()
        if '"grant"' in each.detail
    ]
    assert told[0] == ("jane", "me", "asked for")
    assert [each[0] for each in told] == ["jane", "jane"]


def test_a_link_is_good_once(desk: CloudDesk, clock: Clock, store: Store) -> None:
    told = visit(invite(desk, "u-7", BACK, "me", NOW).link)
    assert take_back([desk], told, NOW).text == CONNECTED

    again = take_back([desk], told, NOW)

    assert again.text.startswith("This link was already used")
    assert again.grant is None


def test_a_link_is_good_for_ten_minutes(desk: CloudDesk) -> None:
    told = visit(invite(desk, "u-7", BACK, "me", NOW).link)

    done = take_back([desk], told, NOW + timedelta(minutes=10))

    assert "has expired" in done.text


def test_a_state_that_nobody_was_given_is_refused(desk: CloudDesk) -> None:
    for told in ({}, {"state": "x", "code": "y"}, {"state": "\ud800"}):
        assert take_back([desk], told, NOW).text.startswith(
            "This link was already used"
        )


def test_who_waits_for_one_wearer_takes_back_no_other(
    desk: CloudDesk, store: Store
) -> None:
    jane = invite(desk, "u-7", BACK, "me", NOW)
    told = visit(invite(desk, "u-8", BACK, "me", NOW).link)

    assert take_back([desk], told, NOW, jane.state).grant is None
    assert store.grants.find("north", "fit", "u-8") is None
    assert take_back([desk], told, NOW).text == CONNECTED


def test_a_code_that_was_brought_to_another_state_is_worth_nothing(
    desk: CloudDesk,
) -> None:
    mine = visit(invite(desk, "u-7", BACK, "me", NOW).link)
    theirs = visit(invite(desk, "u-8", BACK, "me", NOW).link)

    done = take_back([desk], {**mine, "code": theirs["code"]}, NOW)

    assert done.text == "Google Fit gave no token: invalid_grant."


def test_an_answer_of_another_issuer_is_refused(desk: CloudDesk) -> None:
    told = visit(invite(desk, "u-7", BACK, "me", NOW).link)

    done = take_back([desk], {**told, "iss": "https://evil.example"}, NOW)

    assert done.text == "The answer did not come from Google Fit."


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("access_denied", "It was not permitted."),
        ("server_error", "Google Fit answered server_error."),
        ("<script>alert(1)</script>", "Google Fit answered an error of its own."),
    ],
)
def test_a_wearer_who_does_not_permit_it_is_not_connected(
    desk: CloudDesk, store: Store, error: str, text: str
) -> None:
    asked = invite(desk, "u-7", BACK, "me", NOW)
    state = dict(parse_qsl(urlsplit(asked.link).query))["state"]

    done = take_back([desk], {"state": state, "error": error}, NOW)

    assert done.text == text
    assert store.grants.outcome(asked.state) == text
    assert list(store.grants.all()) == []


def test_where_nothing_of_use_is_permitted_the_token_is_given_back(
    google: PlayedGoogle, connect: Connect, store: Store
) -> None:
    google.granted = ("https://www.googleapis.com/auth/fitness.sleep.read",)

    done = connect()

    assert done.text == "None of the data read here were permitted."
    assert list(store.grants.all()) == []
    assert len(google.revoked) == 1


def test_a_wrong_secret_of_ours_is_said(
    desk: CloudDesk, connect: Connect, store: Store
) -> None:
    wrong = replace(desk, cloud=replace(desk.cloud, client_secret="other"))

    assert connect(desk=wrong).text == "Google Fit gave no token: invalid_client."


def test_the_played_page_asks_for_each_scope_and_hears_no(desk: CloudDesk) -> None:
    asked = invite(desk, "u-7", BACK, "me", NOW)
    google = PlayedGoogle()
    query = urlsplit(asked.link).query

    page = google.answer("GET", f"/o/oauth2/v2/auth?{query}", {}, b"")
    assert page is not None and f'value="{ACTIVITY}"' in page.body
    form = {"asked": json.dumps(dict(parse_qsl(query))), "decision": "deny"}
    denied = google.answer("POST", "/o/oauth2/v2/auth", {}, urlencode(form).encode())

    assert denied is not None and denied.status == 302
    told = {
        n: v[0] for n, v in parse_qs(urlsplit(denied.headers["Location"]).query).items()
    }
    assert take_back([desk], told, NOW).text == "It was not permitted."


def test_a_grant_is_revoked_at_the_vendor_and_gone_here(
    desk: CloudDesk, connect: Connect, google: PlayedGoogle, store: Store
) -> None:
    connect()

    assert revoke(desk, granted(store), "me", NOW) == ""

    assert len(google.revoked) == 1
    grant = granted(store)
    assert (grant.state, grant.tokens.refresh) == (GrantState.REVOKED, "")


def test_a_grant_ends_here_even_where_the_vendor_cannot_be_told(
    desk: CloudDesk, connect: Connect, google: PlayedGoogle, store: Store
) -> None:
    connect()
    google.end()

    assert revoke(desk, granted(store), "me", NOW) == "HTTP 400"
    assert granted(store).state is GrantState.REVOKED


def test_a_grant_that_is_renewed_while_it_is_revoked_ends_all_the_same(
    desk: CloudDesk, connect: Connect, store: Store
) -> None:
    connect()
    before = granted(store)
    renew(desk, before, NOW)

    revoke(desk, before, "me", NOW)

    assert granted(store).state is GrantState.REVOKED


def test_tokens_are_encrypted_anew_and_open_without_the_old_key(
    desk: CloudDesk, connect: Connect, store: Store
) -> None:
    connect()
    old = unseal(desk, granted(store), "refresh")
    both = Vault(parse_vault_keys(f"{OTHER_KEY},{KEY}"))
    new = replace(desk, vault=Vault(parse_vault_keys(OTHER_KEY)))

    assert store.grants.reseal(lambda each: reseal(both, each)) == (1, 1)

    assert unseal(new, granted(store), "refresh") == old
    assert store.grants.reseal(lambda each: reseal(both, each)) == (0, 1)


def test_a_token_that_no_key_opens_ends_no_grant(
    desk: CloudDesk, connect: Connect, store: Store
) -> None:
    connect()
    other = replace(desk, vault=Vault(parse_vault_keys(OTHER_KEY)))

    with pytest.raises(OAuthFailure, match="cannot be read"):
        renew(other, granted(store), NOW)

    assert granted(store).state is GrantState.ACTIVE


# What token endpoints answer

BEARER = {"access_token": "a", "token_type": "bearer"}


@pytest.mark.parametrize(
    ("answer", "expires", "scopes"),
    [
        (BEARER, None, None),
        ({**BEARER, "expires_in": 60}, NOW + timedelta(seconds=60), None),
        ({**BEARER, "expires_in": "60"}, NOW + timedelta(seconds=60), None),
        ({**BEARER, "expires_in": None, "scope": "a  b a"}, None, ("a", "b")),
        (
            {**BEARER, "expires_in": 10**30, "scope": ["a"]},
            NOW + timedelta(400),
            ("a",),
        ),
    ],
)
def test_a_token_response_is_read_as_far_as_it_tells(
    answer: Mapping[str, Any], expires: Any, scopes: Any
) -> None:
    told = read_tokens(answer, GOOGLE_FIT, NOW)

    assert (told.expires, told.scopes) == (expires, scopes)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({}, "no access token"),
        ({"access_token": 7}, "no access token"),
        ({"access_token": "a", "token_type": "mac"}, "not a bearer token"),
    ],
)
def test_what_is_no_token_of_a_bearer_is_refused(
    answer: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(OAuthFailure, match=why):
        read_tokens(answer, GOOGLE_FIT, NOW)


@contextmanager
def answering(*lines: str) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each POST so, and what was posted."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, _, rest = lines[len(heard) - 1].partition(" ")
            header, _, body = rest.partition("|")
            self.send_response(int(status))
            if header:
                self.send_header(*header.split(": ", 1))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    server.server_close()


def refusal(desk: CloudDesk, answer: str) -> OAuthFailure:
    with answering(answer) as (base, _):
        moved = replace(desk, cloud=replace(desk.cloud, simulated=base))
        with pytest.raises(OAuthFailure) as refused:
            moved.oauth.refresh("r1", NOW)
    return refused.value


def test_a_token_endpoint_that_leads_elsewhere_is_not_followed(desk: CloudDesk) -> None:
    with answering("200 |{}") as (elsewhere, heard):
        refused = refusal(desk, f"307 Location: {elsewhere}/token|")

    assert str(refused) == "redirect refused"
    assert heard == []


def test_a_busy_token_endpoint_says_when_to_come_again(desk: CloudDesk) -> None:
    refused = refusal(desk, "429 Retry-After: 90|busy")

    assert (str(refused), refused.passing, refused.again_after) == (
        "HTTP 429",
        True,
        90,
    )
    assert not refused.ended


@pytest.mark.parametrize(
    ("answer", "why", "ended"),
    [
        ('400 |{"error": "invalid_grant"}', "invalid_grant", True),
        ('401 |{"error": "invalid_client"}', "invalid_client", False),
        ('400 |{"error": "patient jane"}', "an error of its own", False),
        ("200 |<html>", "HTTP 200", False),
        ("403 |[]", "HTTP 403", False),
        ("200 |{}", "the answer holds no access token", False),
    ],
)
def test_what_a_vendor_says_is_told_by_codes_of_oauth_alone(
    desk: CloudDesk, answer: str, why: str, ended: bool
) -> None:
    refused = refusal(desk, answer)

    assert (str(refused), refused.ended) == (why, ended)


def test_a_vendor_is_told_what_it_wants_to_be_told_in_its_own_way(
    desk: CloudDesk,
) -> None:
    vendor = Vendor(
        *("v", "V", "https://v.example/a", "", "https://v.example/api", ()),
        tokens=Tokens(
            client_auth="client_secret_basic",
            request={"action": "requesttoken"},
            unwrap=lambda told: told["body"],
            user=lambda token: str(token["userid"]),
        ),
        identity=WearerIdentity(Call("/me"), lambda told: str(told["id"])),
    )
    told = '{"body": {"access_token": "a", "userid": 7, "scope": "x"}}'
    with answering(f"200 |{told}") as (base, heard):
        client = replace(desk.oauth, vendor=replace(vendor, token_url=f"{base}/token"))
        issued = client.refresh("r1", NOW)

    assert (issued.access, issued.user, issued.scopes) == ("a", "7", ("x",))
    assert parse_qs(heard[0].decode()) == {
        "action": ["requesttoken"],
        "grant_type": ["refresh_token"],
        "refresh_token": ["r1"],
    }


# The page


def asked_of(url: str) -> tuple[int, Mapping[str, str], str]:
    """Status, headers and body of what is refused."""
    with pytest.raises(HTTPError) as refused:
        urlopen(url)
    with refused.value as answer:
        return answer.code, dict(answer.headers), answer.read().decode()


def test_the_page_of_this_machine_says_what_came_of_it_and_loads_nothing() -> None:
    page = Loopback()
    page.listen(lambda told: Return(f"not {told['state']}"))
    try:
        status, headers, body = asked_of(
            f"{page.url}?state=<b>x</b>&redirect=https://evil.example"
        )
        assert (status, headers["Cache-Control"]) == (400, "no-store")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "not &lt;b&gt;x" in body and "evil.example" not in body
        assert page.wait(PATIENCE) == Return("not <b>x</b>")
        assert asked_of(page.url.replace("/callback", "/other"))[0] == 404
    finally:
        page.close()


def test_nobody_is_answered_before_somebody_listens() -> None:
    page = Loopback()
    try:
        assert asked_of(f"{page.url}?state=x")[0] == 404
        assert page.wait(0.01) is None
    finally:
        page.close()


def test_a_page_that_says_it_worked_leads_nowhere() -> None:
    page = render_page(Return(CONNECTED))

    assert "It worked." in page
    assert "href" not in page and "src=" not in page and "<script" not in page
    assert HEADERS["Referrer-Policy"] == "no-referrer"


def test_a_patient_of_another_tenant_is_not_named(
    connect: Connect, store: Store
) -> None:
    connect(link=False)

    assert PatientKey("north", "-", "jane") not in {
        PatientKey(e.tenant, e.fhir_base, e.patient_id) for e in store.audit_entries()
    }
