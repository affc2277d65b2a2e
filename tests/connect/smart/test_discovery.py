"""Where users sign in: asked of listed servers, and led to no host of others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.config import Clients
from cds_service.connect.smart import (
    NotSignedIn,
    Provider,
    ProviderKind,
    find_launching,
    provider_of,
)
from cds_service.connect.smart.configuration import (
    OAUTH_URIS,
    NoConfiguration,
    SignInConfiguration,
    read_configuration,
    read_statement,
)
from cds_service.http.addresses import ListedServer, Reach
from cds_service.trust import RegisteredClient, SmartApp, TrustedClient

from .conftest import Attempt

BASE = "https://ehr.example/fhir/r4"
EHR = Provider("ehr", ListedServer(BASE), SmartApp("us", hosts=("login.example",)))
AUTHORIZE, TOKEN = "https://ehr.example/auth", "https://ehr.example/token"
USUAL = {"authorization_endpoint": AUTHORIZE, "token_endpoint": TOKEN}
NOW = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
CONFIGURATION = "/fhir/.well-known/smart-configuration"


# Who opens pages


def client(base: str, smart: SmartApp | None = SmartApp("us")) -> Clients:
    servers = (
        ListedServer("https://other.example/fhir", Reach.LOCAL),
        ListedServer("https://ehr.example/fhir", Reach.PRIVATE, "ca.pem"),
    )
    known = TrustedClient("ehr", "north", "i", base, servers, smart=smart)
    return Clients((RegisteredClient(known),))


@pytest.mark.parametrize(
    "issuer",
    [
        BASE,
        f"{BASE}/",
        "https://EHR.example/fhir/r4",
        "https://ehr.example:443/fhir/r4",
    ],
)
def test_an_ehr_is_known_by_its_fhir_base(issuer: str) -> None:
    found = find_launching(client(BASE), issuer)

    assert found is not None and found.id == "ehr"


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://evil.example/fhir/r4",
        "http://ehr.example/fhir/r4",
        f"{BASE}/more",
        f"{BASE}?x=1",
        "https://ehr.example/fhir",
        "https://ehr.example@evil.example/fhir/r4",
        "https://ehr.example/fhir/../fhir/r4",
    ],
)
def test_who_is_not_listed_opens_nothing(issuer: str) -> None:
    assert find_launching(client(BASE), issuer) is None


def test_a_client_without_an_app_opens_nothing() -> None:
    known = client(BASE, smart=None)

    assert find_launching(known, BASE) is None
    assert provider_of(known.clients[0].client) is None


def test_it_is_reached_as_the_list_of_fhir_servers_says() -> None:
    found = provider_of(client(BASE).clients[0].client)

    server = ListedServer(BASE, Reach.PRIVATE, "ca.pem")
    assert found == Provider("ehr", server, SmartApp("us"))


# What a configuration says


def test_relative_endpoints_are_below_the_fhir_base() -> None:
    told = read_configuration(
        {"authorization_endpoint": "auth", "token_endpoint": "/oauth/token"}, EHR
    )

    assert told.authorize == f"{BASE}/auth"
    assert told.token == "https://ehr.example/oauth/token"


def test_all_that_is_read_of_it() -> None:
    told = read_configuration(
        {
            **USUAL,
            "token_endpoint": "https://login.example/token",
            "issuer": "https://ehr.example",
            "jwks_uri": "https://ehr.example/jwks",
            "revocation_endpoint": "https://ehr.example/revoke",
            "end_session_endpoint": "https://ehr.example/logout",
            "capabilities": ["launch-ehr", "permission-v2"],
            "authorization_response_iss_parameter_supported": True,
        },
        EHR,
    )

    assert told == SignInConfiguration(
        authorize=AUTHORIZE,
        token="https://login.example/token",
        revoke="https://ehr.example/revoke",
        end_session="https://ehr.example/logout",
        jwks="https://ehr.example/jwks",
        issuer="https://ehr.example",
        newer_scopes=True,
        sends_issuer=True,
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"token_endpoint": None}, "The server names no token_endpoint."),
        (
            {"authorization_endpoint": ""},
            "The server names no authorization_endpoint.",
        ),
        ({"token_endpoint": 7}, "The server's token_endpoint is not a URL."),
        (
            {"token_endpoint": "http://ehr.example/token"},
            "The server's token_endpoint is not https.",
        ),
        (
            {"token_endpoint": "http://127.0.0.1/token"},
            "The server's token_endpoint is not https.",
        ),
        (
            {"token_endpoint": "https://ehr.example@evil.example/token"},
            "The server's token_endpoint is not a plain URL.",
        ),
        (
            {"authorization_endpoint": "javascript:alert(1)"},
            "The server's authorization_endpoint is not a plain URL.",
        ),
        (
            {"token_endpoint": "//evil.example/token"},
            "The server's token_endpoint is on evil.example, which is not one of its"
            " hosts; list it as one if it is meant.",
        ),
        (
            {"jwks_uri": "https://evil.example/jwks"},
            "The server's jwks_uri is on evil.example, which is not one of its hosts;"
            " list it as one if it is meant.",
        ),
        (
            {"revocation_endpoint": "https://ehr.example.evil.example/x"},
            "The server's revocation_endpoint is on ehr.example.evil.example, which is"
            " not one of its hosts; list it as one if it is meant.",
        ),
    ],
)
def test_no_code_and_no_token_goes_elsewhere(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(NoConfiguration) as refused:
        read_configuration({**USUAL, **changes}, EHR)

    assert str(refused.value) == why


@pytest.mark.parametrize("value", [None, [], "text", {}, {"authorization": 1}])
def test_a_server_without_endpoints_is_not_an_open_one(value: Any) -> None:
    with pytest.raises(NoConfiguration, match="names no authorization_endpoint"):
        read_configuration(value, EHR)


def statement(*uris: dict[str, Any]) -> dict[str, Any]:
    extension = {"url": OAUTH_URIS, "extension": list(uris)}
    rest = [{"mode": "server", "security": {"extension": [extension]}}]
    return {"resourceType": "CapabilityStatement", "rest": rest}


def test_the_older_way_is_read_as_well() -> None:
    told = read_statement(
        statement(
            {"url": "authorize", "valueUri": AUTHORIZE},
            {"url": "token", "valueUri": TOKEN},
            {"url": "revoke", "valueUri": f"{TOKEN}/revoke"},
            {"url": "manage", "valueUri": "https://evil.example"},
        ),
        EHR,
    )

    assert told == SignInConfiguration(AUTHORIZE, TOKEN, f"{TOKEN}/revoke")


def test_the_older_way_leads_nowhere_else_either() -> None:
    evil = {"url": "token", "valueUri": "https://evil.example/token"}

    with pytest.raises(NoConfiguration, match="is on evil.example"):
        read_statement(
            statement({"url": "authorize", "valueUri": AUTHORIZE}, evil), EHR
        )


def test_what_another_extension_says_is_nothing_to_us() -> None:
    uris = statement({"url": "authorize", "valueUri": AUTHORIZE})
    (extension,) = uris["rest"][0]["security"]["extension"]
    extension["url"] = "https://other.example/oauth-uris"

    with pytest.raises(NoConfiguration, match="names no authorization_endpoint"):
        read_statement(uris, EHR)


@pytest.mark.parametrize(
    "value", [statement(), {}, {"rest": 1}, {"rest": [{"security": 1}]}, None]
)
def test_a_statement_without_endpoints_is_not_that_of_an_open_server(
    value: Any,
) -> None:
    with pytest.raises(NoConfiguration, match="names no authorization_endpoint"):
        read_statement(value, EHR)


@pytest.mark.parametrize("issuer", ["https://evil.example", None, f"{BASE}/x"])
def test_an_openid_provider_is_who_it_says(issuer: str | None) -> None:
    provider = replace(EHR, kind=ProviderKind.OIDC)

    with pytest.raises(NoConfiguration, match="names another issuer"):
        read_configuration({**USUAL, "issuer": issuer}, provider)
    assert read_configuration({**USUAL, "issuer": f"{BASE}/"}, provider)


# How it is asked


def test_a_configuration_is_kept_for_ten_minutes(against: Attempt) -> None:
    for minutes in (0, 5, 9.9):
        against.begin(NOW + timedelta(minutes=minutes))
    assert against.ehr.paths() == [CONFIGURATION]

    against.begin(NOW + timedelta(minutes=10))

    assert against.ehr.paths() == [CONFIGURATION] * 2


@pytest.mark.parametrize("status", [404, 410])
def test_the_older_way_is_asked_where_there_is_no_newer_one(
    against: Attempt, status: int
) -> None:
    origin = against.ehr.origin
    against.ehr.tell(CONFIGURATION, status=status)
    against.ehr.tell(
        "/fhir/metadata",
        statement(
            {"url": "authorize", "valueUri": f"{origin}/old/auth"},
            {"url": "token", "valueUri": f"{origin}/old/token"},
        ),
    )

    begun = against.begin()

    assert begun.url.startswith(f"{origin}/old/auth?")
    assert "patient/Patient.read" in begun.pending.scopes


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_any_other_answer_is_an_error_and_no_reason_to_ask_elsewhere(
    against: Attempt, status: int
) -> None:
    against.ehr.tell(CONFIGURATION, status=status)

    assert against.refusal() == f"The server answers with HTTP {status}."
    assert against.ehr.paths() == [CONFIGURATION]


def test_no_redirect_is_followed(against: Attempt) -> None:
    against.ehr.tell(CONFIGURATION, status=302, Location="/elsewhere")

    assert against.refusal() == "The server redirects, which is not followed."
    assert against.ehr.paths() == [CONFIGURATION]


def test_what_is_no_json_is_refused(against: Attempt) -> None:
    against.ehr.tell(CONFIGURATION, b"<html>")

    assert against.refusal().startswith("What the server says cannot be read")


def test_a_server_that_is_not_there_is_said_so(against: Attempt) -> None:
    against.ehr.close()

    with pytest.raises(NotSignedIn) as refused:
        against.begin()
    assert str(refused.value) == "The server could not be asked: connection failed."
    assert refused.value.status == 502


def test_a_failure_is_not_kept(against: Attempt) -> None:
    against.ehr.tell(CONFIGURATION, status=503)
    assert against.refusal() == "The server answers with HTTP 503."
    del against.ehr.told[CONFIGURATION]

    assert against.begin().url.startswith(f"{against.ehr.origin}/auth?")


def test_a_counterfeit_configuration_gets_no_browser_and_no_code(
    against: Attempt,
) -> None:
    evil = against.ehr.configuration(token_endpoint="https://evil.example/token")
    against.ehr.tell(CONFIGURATION, evil)

    assert "is on evil.example, which is not one of its hosts" in against.refusal()
    assert against.ehr.paths() == [CONFIGURATION]


def test_an_address_of_sign_in_keeps_the_query_that_it_has(against: Attempt) -> None:
    address = f"{against.ehr.origin}/auth?tenant=north"
    told = against.ehr.configuration(authorization_endpoint=address)
    against.ehr.tell(CONFIGURATION, told)

    assert against.begin().url.startswith(f"{address}&response_type=code&client_id=us&")


def test_where_only_the_issuer_says_where_its_keys_are_it_is_asked(
    against: Attempt,
) -> None:
    origin = against.ehr.origin
    against.ehr.tell(CONFIGURATION, against.ehr.configuration(jwks_uri=None))
    against.ehr.tell(
        "/.well-known/openid-configuration",
        against.ehr.configuration(issuer=origin, jwks_uri=f"{origin}/jwks"),
    )

    assert against.sign_in().user == "Practitioner/7"


def test_an_issuer_on_a_host_that_is_not_listed_is_not_asked(against: Attempt) -> None:
    elsewhere = against.ehr.origin.replace("127.0.0.1", "localhost")
    told = against.ehr.configuration(jwks_uri=None, issuer=elsewhere)
    against.ehr.tell(CONFIGURATION, told)

    assert against.begin().url.startswith(f"{against.ehr.origin}/auth?")
    assert against.ehr.paths() == [CONFIGURATION]


def test_an_id_token_whose_issuer_publishes_no_keys_is_not_believed(
    against: Attempt,
) -> None:
    against.ehr.tell(CONFIGURATION, against.ehr.configuration(jwks_uri=None))

    assert against.refusal().startswith("An ID token came, and the server does not say")
