"""Client profiles through the whole server: what exists for whom, and what leaves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_service.decision import World

ISSUER = "https://ehr.example.org"
SERVICE = "/cds-services/wearable-review"

Caller = Any
Body = dict[str, Any]
Build = Callable[..., World]
Connect = Callable[[World], Caller]


@pytest.fixture
def site(
    tmp_path: Path, build: Build, connect: Connect, keys: tuple[str, dict[str, Any]]
) -> Callable[..., Caller]:
    """A server with two clients: one under the usual issuer, one under another."""

    def make(**other: Any) -> Caller:
        jwks = [{**keys[1], "kid": "k"}]
        clients = [
            {"id": "plain", "iss": ISSUER, "keys": jwks},
            {"id": "other", "iss": f"{ISSUER}/other", "keys": jwks, **other},
        ]
        file = tmp_path / "two.yaml"
        file.write_text(json.dumps({"clients": clients}))
        return connect(build(clients_file=str(file), discovery="authenticated"))

    return make


def signed(ehr: Caller, path: str) -> dict[str, dict[str, str]]:
    token = ehr.token(path, iss=f"{ISSUER}/other")
    return {"headers": {"Authorization": f"Bearer {token}"}}


def found(ehr: Caller, **more: Any) -> list[str]:
    response = ehr.send("/cds-services", method="GET", **more)
    assert response.status_code == 200
    return [each["id"] for each in response.json["services"]]


def test_a_service_that_a_client_is_not_given_does_not_exist_for_it(
    site: Callable[..., Caller], request_body: Body
) -> None:
    ehr = site(services=["something-else"])
    feedback = {"feedback": []}

    for path, body in ((SERVICE, request_body), (f"{SERVICE}/feedback", feedback)):
        refused = ehr.send(path, body, **signed(ehr, path))
        unknown = "/cds-services/nothing" + path.removeprefix(SERVICE)
        nothing = ehr.send(unknown, body, **signed(ehr, unknown))
        assert (refused.status_code, refused.data) == (404, nothing.data)
        assert ehr.send(path, body).status_code == 200

    assert found(ehr, **signed(ehr, "/cds-services")) == []
    assert found(ehr) == ["wearable-review"]


def test_a_refusal_of_a_service_names_the_client_in_the_audit_trail(
    site: Callable[..., Caller], request_body: Body
) -> None:
    ehr = site(services=["something-else"])

    ehr.send(SERVICE, request_body, **signed(ehr, SERVICE))

    (row,) = ehr.audited()
    assert (row["kind"], row["client"], row["status"]) == ("refusal", "other", 404)


def without_identity(card: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in card.items() if name != "uuid"}


def test_v_6_the_same_request_under_two_issuers_differs_in_gated_members_alone(
    site: Callable[..., Caller], request_body: Body
) -> None:
    profile = {
        "version": "3.0",
        "any": True,
        "action_selection_behavior": True,
        "system_actions": True,
        "autolaunchable": True,
        "fhirpath_tokens": True,
    }
    ehr = site(profile=profile, tenant="elsewhere")

    plain = ehr.call(request_body).json
    other = ehr.call(request_body, **signed(ehr, SERVICE)).json

    assert set(plain) == set(other) == {"cards"}
    gated = {"selectionBehavior", "suggestions", "links"}
    assert plain["cards"] and len(plain["cards"]) == len(other["cards"])
    for one, two in zip(plain["cards"], other["cards"], strict=True):
        one, two = without_identity(one), without_identity(two)
        assert set(one) ^ set(two) <= gated
        assert {name for name in one if one[name] != two.get(name)} <= gated
