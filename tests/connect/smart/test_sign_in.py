"""Sign-ins at a real authorization server: launched by an EHR, or from our own page."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from cds_service.connect.smart import (
    LaunchContext,
    NotSignedIn,
    Provider,
    ProviderKind,
    SignedIn,
)
from cds_service.http.addresses import ListedServer, Reach

from ...smart_server import PATIENT, walk
from .conftest import REDIRECT, STATE, Clinic

READ = ("patient/Patient.rs", "patient/Condition.rs", "patient/Observation.rs")


def asked(url: str) -> dict[str, str]:
    return {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}


def test_an_ehr_opens_the_page_with_its_patient_and_user(clinic: Clinic) -> None:
    launch = clinic.server.launch("p1", encounter="e1")

    signed_in = clinic.sign_in(launch)

    assert signed_in.context == LaunchContext("p1", "e1")
    assert signed_in.patient == PATIENT
    assert signed_in.user == "Practitioner/7"
    assert signed_in.refused == ()
    assert set(READ) < set(signed_in.scopes)
    assert signed_in.tokens.access and signed_in.tokens.refresh
    assert signed_in.tokens.access not in repr(signed_in)


def test_what_an_ehr_is_asked_for(clinic: Clinic) -> None:
    begun = clinic.begin("xyz")

    told = asked(begun.url)
    assert begun.url.startswith(f"{clinic.server.issuer}/auth?")
    assert told["response_type"] == "code"
    assert told["client_id"] == clinic.provider.app.client_id
    assert told["redirect_uri"] == REDIRECT
    assert told["launch"] == "xyz"
    assert told["state"] == STATE
    assert told["aud"] == clinic.server.base
    assert told["code_challenge_method"] == "S256"
    assert told["nonce"] == begun.pending.nonce
    assert begun.pending.verifier not in begun.url
    assert told["scope"] == (
        "launch openid fhirUser online_access patient/Patient.rs patient/Condition.rs"
        " patient/Observation.rs"
    )


def test_the_ehr_is_named_as_it_has_named_itself(clinic: Clinic) -> None:
    begun = clinic.begin("xyz", issuer=f"{clinic.server.base}/")

    assert asked(begun.url)["aud"] == f"{clinic.server.base}/"


def test_of_a_page_that_no_ehr_has_opened_the_patient_is_asked_for(
    clinic: Clinic,
) -> None:
    clinic.server.set(patient="p1")
    begun = clinic.begin(None)

    signed_in = clinic.complete(begun.pending, walk(begun.url, REDIRECT))

    told = asked(begun.url)
    assert "launch" not in told
    assert told["scope"].split()[:3] == ["launch/patient", "openid", "fhirUser"]
    assert "online_access" not in told["scope"]
    assert signed_in.context.patient == "p1"
    assert signed_in.tokens.refresh == ""


def standalone(clinic: Clinic, **state: object) -> tuple[dict[str, str], SignedIn]:
    """What a server is asked for that opened no page, and what comes of it."""
    clinic.server.set(patient="p1", **state)
    begun = clinic.begin(None)
    return asked(begun.url), clinic.complete(begun.pending, walk(begun.url, REDIRECT))


@pytest.mark.parametrize(
    "state",
    [
        {"supported": ["openid", "launch/patient", "offline_access"]},
        {"more": ["permission-offline"]},
    ],
    ids=["scope", "capability"],
)
def test_a_page_that_no_ehr_has_opened_may_be_renewed_where_the_server_says_so(
    clinic: Clinic, state: dict[str, object]
) -> None:
    told, signed_in = standalone(clinic, **state)

    assert told["scope"].split()[:4] == [
        *("launch/patient", "openid", "fhirUser", "offline_access"),
    ]
    assert told["prompt"] == "consent"
    assert signed_in.tokens.refresh
    assert signed_in.refused == ()


def test_where_a_server_renews_for_who_is_there_no_more_than_that_is_asked_for(
    clinic: Clinic,
) -> None:
    listed = ["openid", "offline_access", "online_access"]

    told, signed_in = standalone(clinic, supported=listed)

    assert "online_access" in told["scope"].split()
    assert "offline_access" not in told["scope"].split() and "prompt" not in told
    assert signed_in.tokens.refresh


@pytest.mark.parametrize(
    "state",
    [
        {"supported": "offline_access"},
        {"supported": ["openid"]},
        {"more": ["permission-online"]},
    ],
    ids=["no list", "not listed", "for launches alone"],
)
def test_where_a_server_does_not_say_so_nothing_is_asked_for_to_renew(
    clinic: Clinic, state: dict[str, object]
) -> None:
    told, signed_in = standalone(clinic, **state)

    assert "line_access" not in told["scope"] and "prompt" not in told
    assert signed_in.tokens.refresh == ""


def test_an_ehr_that_opens_the_page_is_asked_to_renew_for_who_is_there(
    clinic: Clinic,
) -> None:
    clinic.server.set(supported=["openid", "offline_access"])

    begun = clinic.begin("xyz")

    assert "online_access" in begun.pending.scopes
    assert "offline_access" not in begun.pending.scopes


def test_no_two_sign_ins_have_a_secret_in_common(clinic: Clinic) -> None:
    one, other = clinic.begin("xyz").pending, clinic.begin("xyz").pending

    assert one.verifier != other.verifier
    assert one.nonce != other.nonce
    assert one.verifier not in repr(one)


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [("a secret of ours", ""), ("", "RS384"), ("", "ES384")],
    ids=["secret", "RS384", "ES384"],
)
def test_a_confidential_app_proves_who_it_is(
    known_as: Callable[..., Clinic], secret: str, algorithm: str
) -> None:
    clinic = known_as(secret, algorithm)

    signed_in = clinic.sign_in(clinic.server.launch())

    assert signed_in.user == "Practitioner/7"


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "ES256", "ES384"])
def test_who_the_user_is_may_be_signed_in_four_ways(
    known_as: Callable[..., Clinic], algorithm: str
) -> None:
    clinic = known_as(id_token_signed_response_alg=algorithm)

    assert clinic.sign_in(clinic.server.launch()).user == "Practitioner/7"


def test_an_app_with_the_wrong_secret_gets_no_token(
    known_as: Callable[..., Clinic],
) -> None:
    clinic = known_as("a secret of ours").app(secret="another")

    with pytest.raises(NotSignedIn, match="gave no token: invalid_client"):
        clinic.sign_in(clinic.server.launch())


def test_a_code_is_worth_nothing_with_another_verifier(clinic: Clinic) -> None:
    begun = clinic.begin(clinic.server.launch())
    told = walk(begun.url, REDIRECT)
    other = replace(begun.pending, verifier="v" * 64)

    with pytest.raises(NotSignedIn, match="gave no token: invalid_grant"):
        clinic.complete(other, told)


def test_a_code_is_worth_nothing_the_second_time(clinic: Clinic) -> None:
    begun = clinic.begin(clinic.server.launch())
    told = walk(begun.url, REDIRECT)
    clinic.complete(begun.pending, told)

    with pytest.raises(NotSignedIn, match="gave no token: invalid_grant"):
        clinic.complete(begun.pending, told)


def test_a_nonce_of_another_sign_in_is_refused_and_the_tokens_given_back(
    clinic: Clinic,
) -> None:
    begun = clinic.begin(clinic.server.launch())
    told = walk(begun.url, REDIRECT)
    clinic.server.seen()

    with pytest.raises(NotSignedIn, match="nonce is not that of this sign-in"):
        clinic.complete(replace(begun.pending, nonce="another"), told)

    revoked = [each for each in clinic.server.seen() if "revocation" in each]
    assert len(revoked) == 2


def test_an_answer_that_names_another_server_is_refused_before_the_code_is_used(
    clinic: Clinic,
) -> None:
    begun = clinic.begin(clinic.server.launch())
    told = walk(begun.url, REDIRECT)
    clinic.server.seen()

    with pytest.raises(NotSignedIn, match="The answer came from another server"):
        clinic.complete(begun.pending, {**told, "iss": "https://evil.example"})

    assert clinic.server.seen() == []


def test_an_answer_that_names_no_server_is_refused_where_it_always_does(
    clinic: Clinic,
) -> None:
    begun = clinic.begin(clinic.server.launch())
    told = walk(begun.url, REDIRECT)
    del told["iss"]

    with pytest.raises(NotSignedIn, match="does not say whose it is"):
        clinic.complete(begun.pending, told)


def test_what_the_ehr_refuses_is_told_in_words_of_ours(clinic: Clinic) -> None:
    begun = clinic.begin("never given")
    told = walk(begun.url, REDIRECT)
    hostile = {"iss": clinic.server.issuer, "error": "<script>alert(1)</script>"}
    denied = {"iss": clinic.server.issuer, "error": "access_denied"}

    for parameters, text in (
        (told, "The server answered invalid_request."),
        (hostile, "The server answered an error of its own."),
        (denied, "It was not permitted."),
        ({"iss": clinic.server.issuer}, "The address that led here is incomplete."),
    ):
        with pytest.raises(NotSignedIn) as refused:
            clinic.complete(begun.pending, parameters)
        assert str(refused.value) == text


# What EHRs make of it


def test_scopes_that_were_dropped_are_named(clinic: Clinic) -> None:
    clinic.server.set(drop=["patient/Observation.rs", "online_access"])

    signed_in = clinic.sign_in(clinic.server.launch())

    assert signed_in.refused == ("online_access", "patient/Observation.rs")
    assert "patient/Observation.rs" not in signed_in.scopes
    assert signed_in.tokens.refresh == ""


def test_an_ehr_of_smart_1_is_asked_in_its_own_words(clinic: Clinic) -> None:
    clinic.server.set(newer=False)

    signed_in = clinic.sign_in(clinic.server.launch())

    assert "patient/Observation.read" in signed_in.scopes
    assert signed_in.refused == ()


def test_a_site_says_which_scopes_an_app_was_registered_for(clinic: Clinic) -> None:
    begun = clinic.app(scopes="v1").begin("xyz")

    assert "patient/Observation.read" in begun.pending.scopes


def test_a_user_who_is_a_whole_address_is_the_same_user(clinic: Clinic) -> None:
    clinic.server.set(absolute=True)

    assert clinic.sign_in(clinic.server.launch()).user == "Practitioner/7"


def test_a_user_elsewhere_is_text(clinic: Clinic) -> None:
    launch = clinic.server.launch(user="https://other.example/Practitioner/7")

    assert clinic.sign_in(launch).user == "https://other.example/Practitioner/7"


def test_a_user_who_is_not_known_is_said_or_refused_as_the_site_wants(
    clinic: Clinic,
) -> None:
    assert clinic.sign_in(clinic.server.launch(user="")).user is None

    with pytest.raises(NotSignedIn, match="does not say who the user is"):
        clinic.app(user_required=True).sign_in(clinic.server.launch(user=""))


def test_without_openid_there_is_no_user(clinic: Clinic) -> None:
    clinic.server.set(drop=["openid", "fhirUser"])

    signed_in = clinic.sign_in(clinic.server.launch())

    assert (signed_in.user, signed_in.claims) == (None, {})
    assert signed_in.refused == ("openid", "fhirUser")


@pytest.mark.parametrize(
    ("came", "read"),
    [
        ({"appContext": "r-1"}, LaunchContext("p1", app_context="r-1")),
        ({"appContext": {"ref": "r-1"}}, LaunchContext("p1", app_context="r-1")),
        (
            {"appContext": {"ref": "r-1", "n": 1}},
            LaunchContext("p1", app_context='{"ref": "r-1", "n": 1}'),
        ),
        ({"appContext": 7}, LaunchContext("p1")),
        ({"intent": "timeline"}, LaunchContext("p1", intent="timeline")),
        ({"tenant": "north"}, LaunchContext("p1", tenant="north")),
        ({"need_patient_banner": False}, LaunchContext("p1", needs_banner=False)),
        ({"need_patient_banner": "false"}, LaunchContext("p1", needs_banner=False)),
        ({"need_patient_banner": "true"}, LaunchContext("p1")),
        ({"encounter": "../Patient/p2"}, LaunchContext("p1")),
        ({"fhirContext": [{"reference": "Patient/p2"}]}, LaunchContext("p1")),
        ({"smart_style_url": "https://evil.example/x.css"}, LaunchContext("p1")),
    ],
)
def test_what_is_open_in_the_ehr(
    clinic: Clinic, came: dict[str, object], read: LaunchContext
) -> None:
    launch = clinic.server.launch(**came)

    assert clinic.sign_in(launch).context == read


@pytest.mark.parametrize("patient", [None, "", 7, "p1/../p2", "Patient/p1?x"])
def test_without_a_patient_nobody_is_signed_in(clinic: Clinic, patient: object) -> None:
    clinic.server.set(context={"patient": patient})

    with pytest.raises(NotSignedIn, match="does not say which patient it is about"):
        clinic.sign_in(clinic.server.launch())


def test_a_patient_who_cannot_be_read_is_not_shown(clinic: Clinic) -> None:
    with pytest.raises(NotSignedIn, match="patient could not be read: HTTP 404"):
        clinic.sign_in(clinic.server.launch("p2"))


def test_another_patient_than_the_ehr_has_opened_is_not_shown(clinic: Clinic) -> None:
    clinic.server.chart({**PATIENT, "id": "p1"})
    clinic.server._control("chart", {"Patient/p1": {**PATIENT, "id": "p2"}})

    with pytest.raises(NotSignedIn, match="another patient than it has opened"):
        clinic.sign_in(clinic.server.launch())


# The older way, and an OpenID provider


def test_where_only_the_capability_statement_says_it_the_issuer_must_be_told(
    clinic: Clinic,
) -> None:
    clinic.server.set(published=False)

    with pytest.raises(NotSignedIn):
        clinic.sign_in(clinic.server.launch())
    told = clinic.app(issuer=clinic.server.issuer, scopes="v1")
    again = replace(told, desk=type(clinic.desk)(clinic.desk.pool))

    assert again.sign_in(clinic.server.launch()).user == "Practitioner/7"


def test_at_an_openid_provider_it_is_the_user_and_nothing_else(clinic: Clinic) -> None:
    provider = Provider(
        "workbench",
        ListedServer(clinic.server.issuer, Reach.LOCAL),
        clinic.provider.app,
        ProviderKind.OIDC,
    )
    clinic.server.set(claims={"groups": ["authors"]})
    workbench = replace(clinic, provider=provider)
    begun = workbench.begin(None)

    signed_in = workbench.complete(begun.pending, walk(begun.url, REDIRECT))

    told = asked(begun.url)
    assert told["scope"] == "openid profile"
    assert "aud" not in told and "launch" not in told
    assert signed_in.claims["groups"] == ["authors"]
    assert signed_in.claims["sub"]
    assert (signed_in.patient, signed_in.context) == (None, LaunchContext())
