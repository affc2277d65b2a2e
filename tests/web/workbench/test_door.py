"""The door of the workbench: who comes in, who does not, and when they are out."""

import json
import re
from typing import Any

import pytest

from .conftest import OWN, Browser, OpenBrowser

HOUR = 60


def outcomes(browser: Browser) -> list[Any]:
    return [
        json.loads(each.detail).get("outcome")
        for each in browser.world.store.audit_entries()
        if each.kind == "sign-in"
    ]


def test_a_link_opens_the_workbench_to_who_presses_the_button(
    browse: OpenBrowser,
) -> None:
    browser = browse()
    code = browser.offer("author")

    page = browser.get(f"/workbench/login?code={code}")
    assert (page.status_code, "Sign in</button>" in page.text) == (200, True)
    assert browser.get("/workbench/").status_code == 303

    answer = browser.post("/workbench/login", {"code": code})

    assert (answer.status_code, answer.location) == (303, "/workbench/")
    assert "Signed in as jane@desk, author." in browser.get("/workbench/").text
    assert outcomes(browser) == [None, "signed in"]


def test_a_link_is_good_once_and_for_five_minutes(browse: OpenBrowser) -> None:
    browser = browse()
    code = browser.offer()
    browser.clock.pass_by(minutes=5)
    assert browser.post("/workbench/login", {"code": code}).status_code == 403

    browser.sign_in()
    used = f"code-of-operator-{browser.clock.now}"
    again = browser.post("/workbench/login", {"code": used})

    assert (again.status_code, "was already used" in again.text) == (403, True)
    assert outcomes(browser)[-1] == "refused"


def test_looking_at_a_link_does_not_spend_it(browse: OpenBrowser) -> None:
    browser = browse()
    code = browser.offer()

    browser.get(f"/workbench/login?code={code}")
    browser.get(f"/workbench/login?code={code}")

    assert browser.post("/workbench/login", {"code": code}).status_code == 303


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://127.0.0.1:8080", "10.1.2.3"),
        ("https://cds.example.org", "127.0.0.1"),
        ("http://attacker.example", "127.0.0.1"),
    ],
)
def test_a_link_lets_nobody_in_from_elsewhere(
    browse: OpenBrowser, base: str, address: str
) -> None:
    browser = browse()
    browser.base, browser.address = base, address
    code = browser.offer()

    answer = browser.post("/workbench/login", {"code": code})

    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (403, None)


def test_somebody_who_guesses_links_is_slowed_down(browse: OpenBrowser) -> None:
    browser = browse()

    tried = [browser.post("/workbench/login", {"code": "x"}) for _ in range(31)]

    assert [each.status_code for each in tried] == [403] * 30 + [429]
    assert "Retry-After" not in tried[0].headers


def test_a_page_of_another_site_cannot_sign_anybody_in(browse: OpenBrowser) -> None:
    browser = browse()
    code = browser.offer()

    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://e.vil"}, {}):
        answer = browser.post("/workbench/login", {"code": code}, own=False, **headers)
        assert answer.status_code == 403

    assert browser.post("/workbench/login", {"code": code}).status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
    browse: OpenBrowser,
) -> None:
    browser = browse()
    answer = browser.post("/workbench/login", {"code": browser.offer()})

    told = answer.headers["Set-Cookie"]
    assert re.match(r"wb=[\w-]{43}; ", told)
    assert "HttpOnly" in told and "SameSite=Lax" in told and "Path=/" in told
    assert "Domain" not in told


def test_over_tls_the_cookie_is_for_this_very_host_alone(browse: OpenBrowser) -> None:
    browser = browse()
    browser.base = "https://localhost"
    answer = browser.post("/workbench/login", {"code": browser.offer()})

    told = answer.headers["Set-Cookie"]
    assert told.startswith("__Host-wb=") and "; Secure;" in told


def test_the_database_holds_no_key_that_opens_a_session(
    browse: OpenBrowser, rows: Any
) -> None:
    browser = browse().sign_in()

    (row,) = rows("SELECT * FROM workbench_sessions")
    assert browser.cookie().value not in json.dumps(row)


def test_who_is_not_signed_in_is_led_to_the_sign_in(browse: OpenBrowser) -> None:
    browser = browse()

    answer = browser.get("/workbench/")
    assert (answer.status_code, answer.location) == (303, "/workbench/login")
    assert browser.post("/workbench/logout").status_code == 403


def test_a_foreign_key_opens_nothing(browse: OpenBrowser) -> None:
    browser = browse()
    browser.http.set_cookie("wb", "somebody-elses-key", domain="127.0.0.1")

    assert browser.get("/workbench/").status_code == 303


def test_who_leaves_the_screen_alone_is_out_after_half_an_hour(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in()
    browser.clock.pass_by(minutes=29)
    assert browser.get("/workbench/").status_code == 200
    browser.clock.pass_by(minutes=29)
    assert browser.get("/workbench/").status_code == 200

    browser.clock.pass_by(minutes=31)

    assert browser.get("/workbench/").status_code == 303


def test_who_signs_out_is_out_in_the_database_too(browse: OpenBrowser) -> None:
    browser = browse().sign_in()
    key = browser.cookie().value
    browser.get("/workbench/")

    assert "You are signed out" in browser.post("/workbench/logout").text

    assert browser.cookie() is None
    browser.http.set_cookie("wb", key, domain="127.0.0.1")
    assert browser.get("/workbench/").status_code == 303
    assert outcomes(browser)[-1] == "signed out"


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_the_token_of_the_session_does_nothing(
    browse: OpenBrowser, token: str
) -> None:
    browser = browse().sign_in()

    answer = browser.http.post(
        "/workbench/logout",
        base_url=browser.base,
        data={"form_token": token},
        headers={"Sec-Fetch-Site": "same-origin"},
    )

    assert answer.status_code == 403
    assert browser.get("/workbench/").status_code == 200


def test_a_form_of_another_site_does_nothing_even_with_the_token(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in()
    browser.get("/workbench/")

    answer = browser.post("/workbench/logout", **{"Sec-Fetch-Site": "same-site"})

    assert answer.status_code == 403


def test_no_page_of_the_workbench_is_shown_in_a_frame_or_kept(
    browse: OpenBrowser,
) -> None:
    answer = browse().get("/workbench/login")

    policy = answer.headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/workbench/login", "/workbench/"])
def test_in_production_there_is_no_workbench_unless_it_is_switched_on(
    browse: OpenBrowser, path: str
) -> None:
    public = "https://cds.example.org"
    off = browse(profile="production", workbench="", public_url=public)
    on = browse(profile="production", public_url=public)

    assert off.get(path).status_code == 404
    assert off.get(path).mimetype == "application/json"
    assert on.get(path).status_code in (200, 303)


def test_in_development_there_is_a_workbench_and_it_wants_a_sign_in_too(
    browse: OpenBrowser,
) -> None:
    browser = browse(workbench="", auth="off")

    assert browser.get("/workbench/login").status_code == 200
    assert browser.get("/workbench/").status_code == 303


def test_who_is_not_signed_in_has_no_long_form_read(browse: OpenBrowser) -> None:
    browser = browse()

    answer = browser.http.post(
        "/workbench/login",
        base_url=browser.base,
        data=b"a&" * 40_000,
        content_type="application/x-www-form-urlencoded",
        headers=OWN,
        environ_base={"REMOTE_ADDR": browser.address},
    )

    assert answer.status_code == 413
    assert "larger than this server accepts" in answer.text
    assert "No such page" not in answer.text
