"""The page for EHR vendors: what is offered, a request to send, and who may sign it."""

import html
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cds_service.ehr.tokens import Claims, build_token
from cds_service.trust import read_key

from ..conftest import ISSUER
from .conftest import HERE, Browser, OpenBrowser

PAGE = "/workbench/vendors"
SERVICE = "/cds-services/wearable-review"


def area(text: str) -> str:
    """What stands in the form."""
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
    assert found
    return html.unescape(found[1])


def send(browser: Browser, proof: str, **fields: str) -> str:
    body = area(browser.get(PAGE).text)
    told = {"path": SERVICE, "body": body, "proof": proof, **fields}
    answer = browser.post(f"{PAGE}/send", told)
    assert answer.status_code == 200, answer.text
    return answer.text


def status(text: str) -> str:
    found = re.search(r'id="answer".*?<span class="mark \w+">(\d+)</span>', text, re.S)
    assert found, text
    return found[1]


def test_a_vendor_sees_discovery_and_an_example_that_can_be_sent(
    browse: OpenBrowser,
) -> None:
    text = browse().sign_in("viewer").get(PAGE).text

    example = json.loads(area(text))
    assert example["hook"] == "patient-view"
    assert example["context"]["patientId"] == "example"
    shown = html.unescape(text[text.index('id="discovery"') :])
    assert '"usageRequirements"' in shown and "wearable-review" in shown


def test_a_request_signed_by_a_key_made_for_it_is_answered_with_cards(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in("viewer")

    text = send(browser, "made")

    assert status(text) == "200"
    assert "It violates nothing on the checklist." in text
    assert "server-timing" in text and "&#34;cards&#34;" in text


def test_a_key_to_throw_away_signs_for_a_client_of_its_own_without_fhir(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in("viewer")
    send(browser, "made")

    (call,) = browser.world.store.recent.calls(5)
    assert (call.client, call.tenant) == ("workbench", "workbench")
    (made,) = [
        json.loads(each.detail)
        for each in browser.world.store.audit_entries()
        if "key made" in each.detail
    ]
    assert made["kid"].startswith("throw-away-")


def test_a_key_to_throw_away_reads_no_fhir_server(browse: OpenBrowser) -> None:
    browser = browse().sign_in("viewer")
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "https://fhir.example.org/r4",
        "fhirAuthorization": {
            "access_token": "secret", "token_type": "Bearer", "expires_in": 300,
            "scope": "patient/*.rs", "subject": "cds-service",
        },
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
    }  # fmt: skip

    assert status(send(browser, "made", body=json.dumps(body))) in ("400", "412")


def test_a_key_to_throw_away_is_good_for_an_hour_and_no_private_half_is_kept(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in("viewer")
    browser.get(PAGE)
    given = browser.post(f"{PAGE}/environment.json")
    values = {each["key"]: each["value"] for each in given.json["values"]}
    keys, now = browser.world.store.throwaway_keys, browser.clock.now

    kept = keys.find(values["kid"], now)

    assert kept is not None
    assert set(json.loads(kept)) == {"kty", "n", "e", "kid", "alg", "use"}
    assert read_key(json.loads(kept)).algorithms == ("RS384",)
    assert json.loads(values["privateKey"])["d"]
    browser.clock.pass_by(minutes=59)
    assert keys.find(values["kid"], browser.clock.now) is not None
    browser.clock.pass_by(minutes=1)
    assert keys.find(values["kid"], browser.clock.now) is None


def test_in_production_no_key_is_made_and_the_page_says_how_to_make_one(
    browse: OpenBrowser,
) -> None:
    browser = browse(profile="production", public_url="https://cds.example.org")
    browser.base, browser.address = "http://127.0.0.1:8080", "127.0.0.1"
    browser.sign_in("viewer")
    text = browser.get(PAGE).text

    assert "temporary key" not in text.lower() and "cds-service token mint" in text
    assert browser.post(f"{PAGE}/environment.json").status_code == 404
    browser.get(PAGE)
    answer = browser.post(
        f"{PAGE}/send", {"path": SERVICE, "body": "{}", "proof": "made"}
    )
    assert status(answer.text) == "401"
    ids = [each.client.id for each in browser.world.clients.clients]
    assert "workbench" not in ids


def test_a_vendor_sends_with_a_token_of_their_own(
    browse: OpenBrowser, keys: tuple[str, dict[str, Any]]
) -> None:
    browser = browse().sign_in("viewer")
    private = load_pem_private_key(keys[0].encode(), None)
    claims = Claims(ISSUER, HERE + SERVICE, "k")
    token = build_token(private, claims, browser.clock.now)

    text = send(browser, "own", token=token)

    assert status(text) == "200"
    assert token not in text
    assert status(send(browser, "own", token=token)) == "401"


def test_a_token_that_a_terminal_has_broken_into_lines_is_one(
    browse: OpenBrowser, keys: tuple[str, dict[str, Any]]
) -> None:
    browser = browse().sign_in("viewer")
    private = load_pem_private_key(keys[0].encode(), None)
    token = build_token(private, Claims(ISSUER, HERE + SERVICE, "k"), browser.clock.now)

    text = send(browser, "own", token=f"{token[:40]}\r\n {token[40:]}\n")

    assert status(text) == "200"


def test_a_body_that_is_nested_without_end_is_refused_as_an_ehr_would_see_it(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in("viewer")

    text = send(browser, "made", body='{"a":' * 2000 + "1" + "}" * 2000)

    assert status(text) == "400"
    assert "nested" in text


def test_a_request_that_is_wrong_is_refused_as_an_ehr_would_see_it(
    browse: OpenBrowser,
) -> None:
    browser = browse().sign_in("viewer")

    text = send(browser, "made", body='{"hook": "patient-view"}')

    assert status(text) == "400"
    assert "OperationOutcome" in text and "hookInstance" in text


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/cds-services", "//evil.example", "/metrics", "/workbench/"],
)
def test_a_request_goes_to_this_server_and_only_where_ehrs_call(
    browse: OpenBrowser, path: str
) -> None:
    browser = browse().sign_in("viewer")
    browser.get(PAGE)

    answer = browser.post(f"{PAGE}/send", {"path": path, "body": "{}", "proof": "none"})

    assert answer.status_code == 404


def test_the_request_is_shown_for_a_shell_without_a_token_in_it(
    browse: OpenBrowser,
) -> None:
    text = html.unescape(browse().sign_in("viewer").get(PAGE).text)

    curl = text[text.index('<pre class="tall" id="curl"') :]
    assert f"curl -sS {HERE}{SERVICE}" in curl
    assert '"Authorization: Bearer $TOKEN"' in curl
    assert '{"hook":"patient-view"' in curl


def test_the_collection_is_to_be_downloaded(browse: OpenBrowser) -> None:
    answer = browse().sign_in("viewer").get(f"{PAGE}/collection.json")

    assert "attachment" in answer.headers["Content-Disposition"]
    names = [each["name"] for each in answer.json["item"]]
    assert "/cds-services/{id}" in names and "/wearables/v1/samples" in names


def test_an_open_server_needs_no_key_and_makes_none(browse: OpenBrowser) -> None:
    browser = browse(auth="off").sign_in("viewer")

    text = send(browser, "none")

    assert status(text) == "200" and "this server requires none" in text
    assert browser.post(f"{PAGE}/environment.json").status_code == 404
