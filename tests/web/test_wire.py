"""What every answer looks like on the wire, id by id of the checklist."""

import json
import re
from typing import Any

import pytest

REVERSE_DOMAIN = re.compile(r"[a-z]+(\.[A-Za-z0-9-]+)+")
TOKEN = re.compile(r"\{\{(.*?)\}\}")


def refuse(token: str) -> Any:
    raise AssertionError(f"{token} is no JSON")


def strict(text: str) -> Any:
    """The JSON of *text*, by RFC 8259 and without a name twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once, parse_constant=refuse)


@pytest.fixture
def card(ehr: Any, request_body: Any) -> dict[str, Any]:
    """The card that fires for the smallest request."""
    (only,) = ehr.call(request_body).json["cards"]
    found: dict[str, Any] = only
    return found


def test_j_1_j_3_every_body_is_strict_json(ehr: Any, request_body: Any) -> None:
    answers = [
        ehr.http.get("/cds-services"),
        ehr.call(request_body),
        ehr.call({}),
        ehr.http.get("/nowhere"),
    ]

    for answer in answers:
        assert answer.content_type.startswith("application/json")
        assert isinstance(strict(answer.text), dict)


def test_d_4_to_d_8_an_entry_says_what_it_is(ehr: Any) -> None:
    (entry,) = ehr.http.get("/cds-services").json["services"]

    assert entry["title"].strip() and entry["description"].strip()
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", entry["id"])
    assert isinstance(entry["usageRequirements"], str)
    assert entry["version"] == "3.0.0"
    assert all(isinstance(each, str) and each for each in entry["prefetch"].values())


def test_d_5_every_advertised_id_is_an_endpoint(ehr: Any) -> None:
    (entry,) = ehr.http.get("/cds-services").json["services"]

    assert ehr.send(f"/cds-services/{entry['id']}", {}).status_code == 400


def test_p_5_to_p_9_templates_need_no_fhirpath_and_only_what_rules_read(
    ehr: Any,
) -> None:
    (entry,) = ehr.http.get("/cds-services").json["services"]

    tokens = {each for t in entry["prefetch"].values() for each in TOKEN.findall(t)}
    assert tokens == {"context.patientId"}
    (service,) = ehr.world.rulebook.services.values()
    assert set(entry["prefetch"]) == {query.key for query in service.queries}


def test_q_12_j_8_extensions_of_any_content_change_nothing(
    ehr: Any, request_body: Any
) -> None:
    extended = {**request_body, "extension": {"com.x.y": {"a": [1, None]}}}

    assert ehr.call(extended).json == ehr.call(request_body).json


def test_q_17_the_answer_is_the_response(ehr: Any, request_body: Any) -> None:
    assert ehr.call(request_body).status_code == 200


def test_q_13_resources_of_another_fhir_version_never_break_a_call(
    ehr: Any, request_body: Any
) -> None:
    dstu2 = {
        "resourceType": "Condition",
        "id": "old",
        "patient": {"reference": "Patient/p1"},
        "clinicalStatus": "active",
        "code": {"text": "Old"},
    }
    bundle = {"resourceType": "Bundle", "entry": [{"resource": dstu2}]}
    prefetch = {**request_body["prefetch"], "conditions": bundle}

    assert ehr.call({**request_body, "prefetch": prefetch}).status_code == 200


def test_r_3_r_5_r_6_nothing_stands_beside_the_cards(
    ehr: Any, request_body: Any
) -> None:
    assert set(ehr.call(request_body).json) == {"cards"}


def test_r_10_c_5_a_card_names_its_source_and_urgency(card: dict[str, Any]) -> None:
    assert card["source"]["label"].strip()
    assert card["indicator"] in {"info", "warning", "critical"}


def test_c_9_c_10_c_14_c_18_suggestions_are_whole(card: dict[str, Any]) -> None:
    assert card["selectionBehavior"] == "at-most-one"
    for suggestion in card["suggestions"]:
        assert suggestion["uuid"] and suggestion["label"] and suggestion["actions"]
        for action in suggestion["actions"]:
            assert action["type"] == "create"
            assert action["description"]


def test_j_2_c_19_c_31_a_proposed_resource_is_fhir_json_about_the_patient(
    card: dict[str, Any],
) -> None:
    resources = [
        action["resource"]
        for suggestion in card["suggestions"]
        for action in suggestion["actions"]
    ]

    assert resources
    for resource in resources:
        assert isinstance(resource["resourceType"], str)
        about = resource.get("subject") or resource["for"]
        assert about == {"reference": "Patient/p1"}


def test_c_16_c_28_what_a_client_may_not_know_is_not_sent(
    card: dict[str, Any],
) -> None:
    text = json.dumps(card)

    assert "actionSelectionBehavior" not in text
    assert "autolaunchable" not in text


def test_c_23_c_24_reasons_are_codings_with_a_display(card: dict[str, Any]) -> None:
    hl7 = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"

    assert all(
        each["code"] and each["system"] and each["display"]
        for each in card["overrideReasons"]
    )
    assert hl7 in {each["system"] for each in card["overrideReasons"]}


def test_c_29_no_link_holds_the_patient(card: dict[str, Any]) -> None:
    urls = [card["source"].get("url", ""), *(each["url"] for each in card["links"])]

    assert all(url.startswith("https://") and "p1" not in url for url in urls)


def test_x_1_x_2_x_3_extensions_are_objects_under_names_of_our_own(
    ehr: Any, card: dict[str, Any]
) -> None:
    (entry,) = ehr.http.get("/cds-services").json["services"]

    for extension in (entry["extension"], card["extension"]):
        assert extension
        assert all(REVERSE_DOMAIN.fullmatch(name) for name in extension)


def test_x_6_what_is_needed_is_said_in_words_too(card: dict[str, Any]) -> None:
    assert "awaits local approval" in card["detail"]
    assert "name only" not in card["detail"]


def test_r_7_r_8_e_4_p_13_what_is_absent_and_required_is_412(
    ehr: Any, request_body: Any
) -> None:
    prefetch = {k: v for k, v in request_body["prefetch"].items() if k != "conditions"}

    answer = ehr.call({**request_body, "prefetch": prefetch})

    assert answer.status_code == 412
    errors = [each for each in answer.json["issue"] if each["severity"] == "error"]
    assert [each["diagnostics"] for each in errors] == ["conditions"]
