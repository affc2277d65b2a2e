"""The Postman collection, made of the description of the interface."""

import json
from typing import Any

import pytest

from cds_service.protocol.collection import build_collection, build_environment
from cds_service.protocol.openapi import build_openapi
from cds_service.protocol.services import Service

VIEW = Service(
    "review", "patient-view", "Review", "Reviews.", "",
    {"patient": "Patient/{{context.patientId}}", "conditions": "Condition?subject=x"},
)  # fmt: skip
SIGN = Service("review", "order-sign", "Review of orders", "Reviews.", "", {})
OTHER = Service("other", "patient-view", "Other", "Others.", "", {})
DOCUMENT = build_openapi(
    [VIEW, SIGN, OTHER], "0.1.0", "https://cds.example.org/base", ["garmin"]
)
COLLECTION = build_collection(DOCUMENT)


def folder(path: str) -> list[dict[str, Any]]:
    (found,) = (each["item"] for each in COLLECTION["item"] if each["name"] == path)
    assert isinstance(found, list)
    return found


def told(item: dict[str, Any]) -> Any:
    """What the script after a request holds its answer to."""
    first = item["event"][0]["script"]["exec"][0]
    return json.loads(json.loads(first.removeprefix("const TOLD = ").rstrip(";")))


def test_every_service_is_called_on_every_hook_that_it_is_offered_on() -> None:
    calls = folder("/cds-services/{id}")

    assert [(each["name"], each["request"]["url"]["raw"]) for each in calls] == [
        ("other on patient-view", "{{baseUrl}}/cds-services/other"),
        ("review on order-sign", "{{baseUrl}}/cds-services/review"),
        ("review on patient-view", "{{baseUrl}}/cds-services/review"),
        ("no call", "{{baseUrl}}/cds-services/other"),
    ]


def test_a_call_brings_along_all_that_the_service_asks_for_and_is_about_nobody() -> (
    None
):
    body = json.loads(folder("/cds-services/{id}")[2]["request"]["body"]["raw"])

    assert body["context"] == {"userId": "Practitioner/1", "patientId": "example"}
    assert body["prefetch"] == {
        "patient": {
            "resourceType": "Patient",
            "id": "example",
            "birthDate": "1970-01-01",
        },
        "conditions": {"resourceType": "Bundle", "type": "searchset", "entry": []},
    }


def test_what_is_asserted_is_the_status_and_the_schema_of_the_description() -> None:
    answered, refused = folder("/cds-services/{id}")[2:]

    assert told(answered)["expected"] == 200
    assert "cards" in told(answered)["schemas"]["200"]["properties"]
    assert told(refused)["expected"] == 400
    assert "issue" in told(refused)["schemas"]["400"]["properties"]


def test_a_schema_stands_by_itself() -> None:
    for path in DOCUMENT["paths"]:
        for item in [each for each in COLLECTION["item"] if each["name"] == path]:
            assert "#/components" not in json.dumps(item)


def test_nothing_is_delivered_about_anybody() -> None:
    deliveries = [
        each for name in ("alerts", "links", "samples", "consents")
        for each in folder(f"/wearables/v1/{name}")
    ]  # fmt: skip

    assert len(deliveries) == 4
    for each in deliveries:
        body = json.loads(each["request"]["body"]["raw"])
        assert [] in body.values() or body == {
            "resourceType": "Bundle",
            "type": "collection",
        }
        assert told(each)["expected"] == 422


@pytest.mark.parametrize(
    ("path", "header", "needs"),
    [
        ("/cds-services/{id}", "Authorization", "privateKey"),
        ("/cds-services/{id}/feedback", "Authorization", "privateKey"),
        ("/wearables/v1/alerts", "webhook-signature", "webhookSecret"),
        ("/health", "", ""),
    ],
)
def test_what_signs_is_asked_for_where_the_description_says_so(
    path: str, header: str, needs: str
) -> None:
    item = folder(path)[0]
    names = [each["key"] for each in item["request"]["header"]]

    assert header in names or not header and not names
    assert told(item)["needs"] == needs


def test_where_it_is_called_is_a_variable_and_no_secret_stands_in_it() -> None:
    variables = {each["key"]: each["value"] for each in COLLECTION["variable"]}

    assert variables["baseUrl"] == "https://cds.example.org/base"
    assert variables["audience"] == "https://cds.example.org/base"
    assert not variables["privateKey"] and not variables["webhookSecret"]
    urls = [i["request"]["url"]["raw"] for f in COLLECTION["item"] for i in f["item"]]
    assert {each.split("/")[0] for each in urls} == {"{{baseUrl}}"}


def test_a_key_to_throw_away_is_kept_as_a_secret_of_an_environment() -> None:
    made = build_environment("https://ehr.example.org", "k", '{"kty": "RSA"}')

    kept = {each["key"]: (each["value"], each["type"]) for each in made["values"]}
    assert kept["issuer"] == ("https://ehr.example.org", "default")
    assert kept["privateKey"] == ('{"kty": "RSA"}', "secret")


def test_it_is_the_same_each_time_it_is_made() -> None:
    assert build_collection(DOCUMENT) == COLLECTION
