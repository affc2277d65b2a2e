"""What to type where, from the settings of the server as it runs."""

from collections.abc import Callable
from dataclasses import replace

from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.decision import World

from .opening import APP, CLIENT, FHIR, with_ehrs
from .visitor import BASE


def page(world: World) -> str:
    http: FlaskClient = create_app(world=world).test_client()
    answer = http.get("/smart/register")
    assert answer.status_code == 200
    return answer.text


def test_who_registers_the_server_reads_its_addresses(
    build: Callable[..., World],
) -> None:
    text = page(build())

    for path in ("/smart/launch", "/smart/callback", "/.well-known/jwks.json"):
        assert f"{BASE}{path}" in text
    for name in ("Epic", "Oracle Health", "athenahealth", "SMART App Launcher"):
        assert name in text
    assert "None yet" in text


def test_the_scopes_are_those_that_the_rules_need(build: Callable[..., World]) -> None:
    text = page(with_ehrs(build()))

    assert "patient/Observation.rs" in text and "patient/Observation.read" in text
    assert "launch launch/patient" not in text and "openid fhirUser" in text
    assert "patient/*" not in text and ".write" not in text


def test_no_secret_is_on_the_page(build: Callable[..., World]) -> None:
    secret = replace(CLIENT, smart=replace(APP, secret="very-secret"))

    text = page(with_ehrs(build(), secret))

    assert "very-secret" not in text and "a secret" in text
    assert "our-id" in text and FHIR in text
