"""Answers that a real authorization server does not give: none of them signs in."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cds_service.connect.smart import LaunchContext, ProviderKind

from .conftest import Attempt, public_set, signing_key
from .hostile import FOREIGN

CODE = {"code": "code-1"}


def test_an_ehr_that_does_well_signs_in(against: Attempt) -> None:
    signed_in = against.sign_in()

    assert signed_in.user == "Practitioner/7"
    assert signed_in.context == LaunchContext("p1")
    assert (signed_in.tokens.access, signed_in.tokens.refresh) == (
        "access-1",
        "refresh-1",
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_endpoint_that_redirects_carries_the_code_nowhere(
    against: Attempt, status: int
) -> None:
    against.ehr.tell("/token", status=status, Location=f"{against.ehr.origin}/evil")

    assert against.refusal() == "The server gave no token: redirect refused."
    assert "/evil" not in against.ehr.paths()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"token_type": "mac"}, "the token is not a bearer token"),
        ({"token_type": "DPoP"}, "the token is not a bearer token"),
        ({"access_token": None}, "the answer holds no access token"),
        ({"access_token": 7}, "the answer holds no access token"),
        ({"access_token": "a\r\nX-Y: z"}, "the answer holds no access token"),
        ({"access_token": "a token"}, "the answer holds no access token"),
    ],
)
def test_a_token_that_cannot_be_used_is_none(
    against: Attempt, changes: dict[str, Any], why: str
) -> None:
    against.ehr.token = changes

    assert against.refusal() == f"The server gave no token: {why}."


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", None])
def test_a_token_of_a_bearer_is_one_in_any_case(
    against: Attempt, token_type: str | None
) -> None:
    against.ehr.token = {"token_type": token_type}

    assert against.sign_in().tokens.access == "access-1"


@pytest.mark.parametrize("value", [b"<html>", b"[]", b'"text"', b"null", b""])
def test_an_answer_that_is_no_token_response_signs_nobody_in(
    against: Attempt, value: bytes
) -> None:
    against.ehr.tell("/token", value)

    assert against.refusal().startswith("The server gave no token: ")


def test_an_error_is_told_by_its_code_and_nothing_else(against: Attempt) -> None:
    told = {"error": "invalid_grant", "error_description": "Jane Doe, code-1"}
    against.ehr.tell("/token", told, 400)
    assert against.refusal() == "The server gave no token: invalid_grant."

    against.ehr.tell("/token", {"error": "Jane Doe"}, 400)
    assert against.refusal() == "The server gave no token: an error of its own."


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "iss is another"),
        ({"aud": "another app"}, "aud is another"),
        ({"azp": "another app"}, "azp is another"),
        ({"nonce": "of another sign-in"}, "nonce is not that of this sign-in"),
        ({"nonce": None}, "nonce is not that of this sign-in"),
        ({"exp": 1}, "it has expired"),
    ],
)
def test_an_id_token_for_something_else_signs_nobody_in(
    against: Attempt, claims: dict[str, Any], why: str
) -> None:
    against.ehr.claims = claims

    assert against.refusal() == f"The ID token is not believed: {why}."


def test_a_forged_id_token_signs_nobody_in(against: Attempt) -> None:
    against.ehr.key = FOREIGN

    assert against.refusal() == "The ID token is not believed: the signature is wrong."


def test_a_refused_sign_in_leaves_no_token_behind(against: Attempt) -> None:
    against.ehr.key = FOREIGN

    against.refusal()

    given_back = [form for path, _, form in against.ehr.asked if path == "/revoke"]
    assert [each["token"] for each in given_back] == ["refresh-1", "access-1"]


def test_an_id_token_without_kid_is_that_of_the_only_key(against: Attempt) -> None:
    against.ehr.headers = {}

    assert against.sign_in().user == "Practitioner/7"


def test_an_openid_provider_that_says_nothing_of_the_user_signs_nobody_in(
    against: Attempt,
) -> None:
    provider = replace(against.provider, kind=ProviderKind.OIDC)
    told = against.ehr.configuration(issuer=against.ehr.base)
    against.ehr.tell("/fhir/.well-known/openid-configuration", told)
    against.ehr.token = {"id_token": None}

    refused = replace(against, provider=provider).refusal()

    assert refused == "The server does not say who the user is."


def at_provider(attempt: Attempt, auth_time: Any, now: int) -> Attempt:
    """Before an OpenID provider that is to have its users prove who they are."""
    told = attempt.ehr.configuration(issuer=attempt.ehr.base)
    attempt.ehr.tell("/fhir/.well-known/openid-configuration", told)
    attempt.ehr.claims = {"iss": attempt.ehr.base, "auth_time": auth_time}
    provider = replace(attempt.provider, kind=ProviderKind.OIDC)
    moment = datetime.fromtimestamp(now, UTC)
    return replace(attempt, provider=provider, max_age=900, now=moment)


@pytest.mark.parametrize("seconds", [-60, -30, 0, 899, 960])
def test_a_provider_says_that_its_user_has_just_proved_who_they_are(
    against: Attempt, seconds: int
) -> None:
    now = int(datetime.now(UTC).timestamp())

    signed_in = at_provider(against, now - seconds, now).sign_in()

    assert signed_in.claims["auth_time"] == now - seconds


@pytest.mark.parametrize(
    ("auth_time", "why"),
    [
        (None, "auth_time is no number"),
        ("now", "auth_time is no number"),
        (True, "auth_time is no number"),
        (-961, "the user has not proved lately who they are"),
        (-86_400, "the user has not proved lately who they are"),
        (61, "the user has not proved lately who they are"),
    ],
)
def test_a_provider_that_does_not_have_them_prove_it_signs_nobody_in(
    against: Attempt, auth_time: Any, why: str
) -> None:
    now = int(datetime.now(UTC).timestamp())
    told = now + auth_time if type(auth_time) is int else auth_time

    refused = at_provider(against, told, now).refusal()

    assert refused == f"The ID token is not believed: {why}."


def test_an_ehr_is_never_asked_when_its_user_has_signed_in(against: Attempt) -> None:
    begun = replace(against, max_age=900).begin()

    assert "max_age" not in begun.url and "prompt" not in begun.url
    assert replace(against, max_age=900).sign_in().user == "Practitioner/7"


def test_where_no_scope_is_told_it_is_what_was_asked_for(against: Attempt) -> None:
    against.ehr.token = {"scope": None}

    signed_in = against.sign_in()

    assert "patient/Observation.rs" in signed_in.scopes
    assert signed_in.refused == ()


def test_more_than_was_asked_for_is_taken_as_it_is(against: Attempt) -> None:
    against.ehr.token = {"scope": "launch openid fhirUser patient/*.cruds"}

    signed_in = against.sign_in()

    assert signed_in.scopes == ("launch", "openid", "fhirUser", "patient/*.cruds")
    assert signed_in.refused == ("online_access",)


def test_an_ehr_that_drops_all_scopes_of_resources_is_found_out(
    against: Attempt,
) -> None:
    against.ehr.token = {"scope": "launch openid fhirUser"}

    assert against.sign_in().refused == (
        "online_access",
        "patient/Patient.rs",
        "patient/Condition.rs",
        "patient/Observation.rs",
    )


def test_a_scope_for_some_resources_lets_their_type_be_read(against: Attempt) -> None:
    narrow = "patient/Observation.rs?category=vital-signs"
    against.ehr.token = {"scope": f"launch patient/Patient.r {narrow}"}

    assert "patient/Observation.rs" not in against.sign_in().refused


def test_renewing_is_asked_for_also_where_it_is_not_listed(against: Attempt) -> None:
    listing = against.ehr.configuration(scopes_supported=["openid", "offline_access"])
    against.ehr.tell("/fhir/.well-known/smart-configuration", listing)

    assert "online_access" in against.begin().pending.scopes


def test_an_ehr_that_gives_no_refresh_token_signs_in_all_the_same(
    against: Attempt,
) -> None:
    against.ehr.token = {"refresh_token": None, "expires_in": "300"}

    tokens = against.sign_in().tokens

    assert tokens.refresh == ""
    assert tokens.expires is not None


def test_an_app_that_signs_signs_anew_for_each_request(against: Attempt) -> None:
    attempt = against.app(key=signing_key("ES384"))
    attempt.ehr.key = FOREIGN

    attempt.refusal()  # redeems, and gives two tokens back

    forms = [
        form for path, _, form in attempt.ehr.asked if path in ("/token", "/revoke")
    ]
    assertions = [form["client_assertion"] for form in forms]
    assert len(set(assertions)) == len(assertions) == 3
    assert all("client_id" not in form for form in forms)
    assert public_set("ES384")["keys"][0]["kid"] == "our-ES384"


def test_an_app_with_a_secret_does_not_name_itself_besides(against: Attempt) -> None:
    attempt = against.app(secret="s3cret")

    attempt.sign_in()

    ((_, headers, form),) = [each for each in attempt.ehr.asked if each[0] == "/token"]
    assert headers["Authorization"].startswith("Basic ")
    assert "client_id" not in form and "s3cret" not in str(form)


def test_a_public_app_names_itself_and_proves_nothing(against: Attempt) -> None:
    against.sign_in()

    ((_, headers, form),) = [each for each in against.ehr.asked if each[0] == "/token"]
    assert form["client_id"] == "us"
    assert "Authorization" not in headers
    assert set(form) == {
        *("grant_type", "code", "code_verifier", "redirect_uri", "client_id"),
    }


def test_the_patient_is_read_where_the_pages_are_opened_from(against: Attempt) -> None:
    against.sign_in()

    ((_, headers, _),) = [e for e in against.ehr.asked if e[0] == "/fhir/Patient/p1"]
    assert headers["Authorization"] == "Bearer access-1"


@pytest.mark.parametrize("status", [301, 307])
def test_the_token_follows_no_redirect_of_the_fhir_server(
    against: Attempt, status: int
) -> None:
    location = f"{against.ehr.origin}/evil"
    against.ehr.tell("/fhir/Patient/p1", status=status, Location=location)

    assert against.refusal() == "The patient could not be read: redirect refused."
    assert "/evil" not in against.ehr.paths()
