"""The description of the interface."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.protocol.openapi import build_openapi
from cds_service.protocol.services import Service

SERVICE = Service("wearable-review", "patient-view", "Review", "Reviews.", "", {})
DOCUMENT = build_openapi([SERVICE], "0.1.0", "https://cds.example.org", ["garmin"])


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if "$ref" in node else []
        return found + [each for value in node.values() for each in references(value)]
    if isinstance(node, list):
        return [each for value in node for each in references(value)]
    return []


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)

    assert len(found) > 10
    for reference in found:
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_services_are_those_that_are_offered() -> None:
    (parameter,) = DOCUMENT["paths"]["/cds-services/{id}"]["parameters"]

    assert parameter["schema"]["enum"] == ["wearable-review"]


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_refusal_is_an_operation_outcome() -> None:
    for path in DOCUMENT["paths"].values():
        for method in ("get", "post"):
            for status, answer in path.get(method, {}).get("responses", {}).items():
                if status >= "400":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema["$ref"].endswith("/OperationOutcome"), status


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
