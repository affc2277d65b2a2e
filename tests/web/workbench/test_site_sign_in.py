"""Coming into the workbench by the site's own sign-in, at a real OpenID provider."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from ...smart_server import SmartServer, walk
from .conftest import HERE, Browser, OpenBrowser

CALLBACK = f"{HERE}/workbench/callback"
KEY = "aGVyZSBhcmUgdGhpcnR5LXR3byByYW5kb20gYnl0ZXM="
Arrive = Callable[..., Browser]


@pytest.fixture
def arrive(browse: OpenBrowser, smart_server: SmartServer, tmp_path: Path) -> Arrive:
    """Opens a browser before a server whose people sign in at the provider."""

    def make(groups: Any, **changes: Any) -> Browser:
        smart_server.set(claims={"groups": groups})
        told = {
            "issuer": smart_server.issuer,
            "client_id": smart_server.register(CALLBACK),
            "claim": "groups",
            "roles": {"author": ["rule-authors"], "operator": ["cds-operators"]},
            **changes,
        }
        file = tmp_path / "with-sign-in.yaml"
        file.write_text(json.dumps({"workbench": told}))
        browser = browse(clients_file=str(file), token_key=KEY)
        browser.clock.now = datetime.now(UTC)
        return browser

    return make


def go(browser: Browser, path: str = "/workbench/begin") -> dict[str, str]:
    """What the browser brings back from the provider."""
    sent = browser.get(path)
    assert sent.status_code == 303
    return walk(sent.location, CALLBACK)


def retry(browser: Browser) -> str:
    """Where it leads to change what is served, of which there is nothing."""
    browser.get("/workbench/operations")
    return str(browser.post("/workbench/operations/retry").location)


def come_back(browser: Browser, told: dict[str, str]) -> Any:
    return browser.get(f"/workbench/callback?{urlencode(told)}")


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["rule-authors"], "author"),
        (["cds-operators", "rule-authors"], "operator"),
        ("cds-operators", "operator"),
    ],
)
def test_a_claim_of_the_provider_says_what_somebody_may_do(
    arrive: Arrive, groups: Any, role: str
) -> None:
    browser = arrive(groups)

    answer = come_back(browser, go(browser))

    assert (answer.status_code, answer.location) == (303, "/workbench/")
    page = browser.get("/workbench/").text
    assert f", {role}." in page
    assert "Somebody" in page


@pytest.mark.parametrize("groups", [["nurses"], [], None, {"rule-authors": True}, [7]])
def test_nobody_comes_in_whom_no_role_names(arrive: Arrive, groups: Any) -> None:
    browser = arrive(groups)

    answer = come_back(browser, go(browser))

    assert answer.status_code == 403
    assert "None of your roles" in answer.text
    assert browser.get("/workbench/").status_code == 303
    last = list(browser.world.store.audit_entries())[-1]
    assert json.loads(last.detail)["outcome"] == "refused"


def test_the_page_of_the_sign_in_leads_to_the_provider(
    arrive: Arrive, smart_server: SmartServer
) -> None:
    page = arrive(["rule-authors"]).get("/workbench/login").text

    assert 'href="/workbench/begin">Sign in at 127.0.0.1</a>' in page


def test_the_provider_is_asked_with_proof_of_the_browser_and_of_the_code(
    arrive: Arrive,
) -> None:
    sent = arrive(["rule-authors"]).get("/workbench/begin")

    asked = dict(parse_qsl(urlsplit(sent.location).query))
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == CALLBACK
    assert len(asked["nonce"]) >= 22 and len(asked["state"]) >= 43
    assert asked["scope"] == "openid profile"
    assert "HttpOnly" in sent.headers["Set-Cookie"]


def test_an_address_that_was_used_is_good_no_more(arrive: Arrive) -> None:
    browser = arrive(["rule-authors"])
    told = go(browser)
    come_back(browser, told)

    assert come_back(browser, told).status_code == 400


def test_what_another_browser_brings_back_lets_nobody_in_and_burns_nothing(
    arrive: Arrive,
) -> None:
    browser = arrive(["rule-authors"])
    told = go(browser)
    stranger = Browser(
        browser.http.application.test_client(), browser.world, browser.clock
    )

    assert come_back(stranger, told).status_code == 403
    assert come_back(browser, told).status_code == 303


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("state", "made-up", 400),
        ("iss", "https://evil.example", 403),
        ("code", "made-up", 403),
    ],
)
def test_an_answer_that_was_changed_lets_nobody_in(
    arrive: Arrive, name: str, value: str, status: int
) -> None:
    browser = arrive(["rule-authors"])

    answer = come_back(browser, {**go(browser), name: value})

    assert answer.status_code == status
    assert browser.get("/workbench/").status_code == 303


def test_who_comes_back_after_five_minutes_begins_anew(arrive: Arrive) -> None:
    browser = arrive(["rule-authors"])
    told = go(browser)
    browser.clock.pass_by(minutes=5)

    assert come_back(browser, told).status_code == 400


def test_who_signs_out_is_led_out_at_the_provider_too(
    arrive: Arrive, smart_server: SmartServer
) -> None:
    browser = arrive(["rule-authors"])
    come_back(browser, go(browser))
    browser.get("/workbench/")

    page = browser.post("/workbench/logout").text

    assert f'href="{smart_server.issuer}/session/end?client_id=' in page
    assert browser.get("/workbench/").status_code == 303


def test_a_provider_that_is_not_there_is_said_to_be_so(arrive: Arrive) -> None:
    browser = arrive(["rule-authors"], issuer="http://127.0.0.1:9")

    answer = browser.get("/workbench/begin")

    assert answer.status_code == 502
    assert "cannot sign in now" in answer.text


def test_without_a_provider_there_is_no_way_to_one(browse: OpenBrowser) -> None:
    browser = browse()

    assert browser.get("/workbench/begin").status_code == 404
    assert "/workbench/begin" not in browser.get("/workbench/login").text


# A sign-in of the last minutes, for who changes what others are served

AGAIN = "/workbench/login?again=1"
OPERATIONS = "/workbench/operations"


def test_whom_the_provider_knew_already_proves_it_again_before_anything_is_changed(
    arrive: Arrive,
) -> None:
    browser = arrive(["cds-operators"])
    come_back(browser, go(browser))
    assert retry(browser) == AGAIN
    assert 'href="/workbench/begin?again=1"' in browser.get(AGAIN).text

    sent = browser.get("/workbench/begin?again=1")
    asked = dict(parse_qsl(urlsplit(sent.location).query))
    come_back(browser, walk(sent.location, CALLBACK))

    assert (asked["prompt"], asked["max_age"]) == ("login", "900")
    assert retry(browser) == OPERATIONS


def test_who_signs_in_for_the_first_time_is_not_asked_for_more_than_the_provider_asks(
    arrive: Arrive,
) -> None:
    sent = arrive(["cds-operators"]).get("/workbench/begin")

    asked = dict(parse_qsl(urlsplit(sent.location).query))
    assert "prompt" not in asked and "max_age" not in asked


def test_a_provider_that_says_when_is_believed_without_being_asked(
    arrive: Arrive, smart_server: SmartServer
) -> None:
    saying = smart_server.register(CALLBACK, require_auth_time=True)
    browser = arrive(["cds-operators"], client_id=saying)
    come_back(browser, go(browser))

    assert retry(browser) == OPERATIONS
    browser.clock.pass_by(minutes=14)
    assert retry(browser) == OPERATIONS
    browser.clock.pass_by(minutes=2)
    assert retry(browser) == AGAIN


def test_a_sign_in_of_an_hour_ago_at_the_provider_changes_nothing_here(
    arrive: Arrive, smart_server: SmartServer
) -> None:
    saying = smart_server.register(CALLBACK, require_auth_time=True)
    browser = arrive(["cds-operators"], client_id=saying)
    smart_server.set(authenticated=3600)

    come_back(browser, go(browser))

    assert browser.get("/workbench/").status_code == 200
    assert retry(browser) == AGAIN
