"""Client profiles through the whole server: what exists for whom, and what leaves."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_service.decision import World
from cds_service.fhir.models import check_resource
from cds_service.protocol.conformance import AskedCall, Reply, judge_answer

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


def test_c_26_a_page_is_linked_for_the_client_that_opens_it_and_for_no_other(
    tmp_path: Path,
    build: Build,
    connect: Connect,
    keys: tuple[str, dict[str, Any]],
    request_body: Body,
) -> None:
    jwks, base = [{**keys[1], "kid": "k"}], "https://fhir.example.org/r4"
    opening = {"fhir_base": base, "fhir_servers": [base], "smart": {"client_id": "c"}}
    clients = [
        {"id": "plain", "iss": ISSUER, "keys": jwks},
        {"id": "other", "iss": f"{ISSUER}/other", "keys": jwks, **opening},
    ]
    file = tmp_path / "two.yaml"
    file.write_text(json.dumps({"clients": clients}))
    key = base64.b64encode(bytes(32)).decode()
    ehr = connect(build(clients_file=str(file), token_key=key))

    (plain,) = ehr.call(request_body).json["cards"]
    answer = ehr.call(request_body, **signed(ehr, SERVICE))
    (other,) = answer.json["cards"]

    assert {each["type"] for each in plain["links"]} == {"absolute"}
    pages = [each for each in other["links"] if each not in plain["links"]]
    assert [set(each) for each in pages] == [
        {"label", "url", "type", "appContext"} for _ in range(2)
    ]
    for each in pages:
        assert each["url"] == f"{ehr.world.config.public_url}/smart/launch"
        assert each["type"] == "smart"
    headers = {name.lower(): each for name, each in answer.headers.items()}
    assert judge_answer(Reply(200, headers, answer.data), AskedCall()) == []


def suggested(answer: Any) -> list[dict[str, Any]]:
    """The suggestions of the one card of an answer."""
    (card,) = answer.json["cards"]
    found: list[dict[str, Any]] = card["suggestions"]
    return found


def test_what_is_suggested_can_be_filed_as_it_is_sent(
    site: Callable[..., Caller], request_body: Body
) -> None:
    request_body["context"]["encounterId"] = "e1"

    suggestions = suggested(site().call(request_body))

    resources = [each["resource"] for s in suggestions for each in s["actions"]]
    for resource in resources:
        assert check_resource(resource) == []
        assert resource["encounter"] == {"reference": "Encounter/e1"}
        assert resource["requester"] == {"reference": "Practitioner/u1"}
        assert resource["authoredOn"] == "2026-11-22"
    codes = [each["code"] for each in resources if "code" in each]
    assert {each["coding"][0]["system"] for each in codes} == {"http://loinc.org"}
    task = resources[0]
    assert task["reasonReference"] == {"reference": "MedicationStatement/m"}


def test_what_is_suggested_names_no_encounter_where_the_call_has_none(
    site: Callable[..., Caller], request_body: Body
) -> None:
    request_body["context"]["userId"] = "Patient/p1"

    suggestions = suggested(site().call(request_body))

    (task,) = (each["resource"] for each in suggestions[0]["actions"])
    assert "encounter" not in task
    assert task["requester"] == {"reference": "Patient/p1"}


def test_suggestions_that_complement_each_other_are_one_more_where_one_is_taken(
    site: Callable[..., Caller], request_body: Body
) -> None:
    ehr = site(profile={"any": True}, tenant="elsewhere")

    plain = suggested(ehr.call(request_body))
    other = suggested(ehr.call(request_body, **signed(ehr, SERVICE)))

    each = [one["label"] for one in other]
    assert len(each) == 3
    assert [one["label"] for one in plain[:-1]] == each
    together = [action["description"] for action in plain[-1]["actions"]]
    assert together == [a["description"] for one in other for a in one["actions"]]
    accepted = {"id": plain[-1]["uuid"]}
    (card,) = ehr.call(request_body).json["cards"]
    told = {
        "card": card["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": card["suggestions"][-1]["uuid"]}],
        "outcomeTimestamp": "2026-11-22T14:00:00Z",
    }
    assert accepted["id"] == card["suggestions"][-1]["uuid"]
    assert ehr.feedback(told).status_code == 200
