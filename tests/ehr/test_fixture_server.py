import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cds_service.ehr.fixture_server import (
    FixtureServer,
    Records,
    answer,
    load_records,
    serve_records,
)

from ..waiting import PATIENCE


def entry(resource: dict[str, Any], full_url: str = "") -> dict[str, Any]:
    return {"resource": resource, **({"fullUrl": full_url} if full_url else {})}


def observation(id: str, code: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "category": [{"coding": [{"code": "vital-signs"}]}],
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": day,
    }


@pytest.fixture
def records() -> Records:
    return load_records(
        [
            {
                "resourceType": "Bundle",
                "entry": [
                    entry({"resourceType": "Patient", "id": "1"}),
                    entry(observation("a", "8867-4", "2026-03-01")),
                    entry(observation("b", "8867-4", "2026-03-03T10:00:00Z")),
                    entry(observation("c", "40443-4", "2026-03-02")),
                    entry(
                        {
                            "resourceType": "MedicationRequest",
                            "id": "r",
                            "status": "active",
                            "subject": {"reference": "Patient/1"},
                            "medicationReference": {"reference": "Medication/m"},
                        }
                    ),
                    entry({"resourceType": "Medication", "id": "m"}),
                    entry({"resourceType": "Medication", "id": "n"}),
                ],
            }
        ]
    )


def ids(records: Records, target: str) -> list[str]:
    status, body = answer(records, target)
    assert status == 200
    return [each["resource"]["id"] for each in body.get("entry", [])]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("Observation?patient=1", ["a", "b", "c"]),
        ("Observation?subject=Patient/1&_sort=-date", ["b", "c", "a"]),
        ("Observation?patient=2", []),
        ("Observation?patient=1&code=http://loinc.org|40443-4", ["c"]),
        ("Observation?code=http%3A%2F%2Floinc.org%7C8867-4,40443-4", ["a", "b", "c"]),
        ("Observation?code=8867-4", ["a", "b"]),
        ("Observation?code=http://snomed.info/sct|8867-4", []),
        ("Observation?code=http://loinc.org|", ["a", "b", "c"]),
        ("Observation?category=vital-signs&status=final,amended", ["a", "b", "c"]),
        ("Observation?date=ge2026-03-02", ["b", "c"]),
        ("Observation?date=lt2026-03-02", ["a"]),
        ("Observation?date=2026-03-03", ["b"]),
        ("Medication?_id=m,n", ["m", "n"]),
        ("MedicationRequest?patient=1", ["r"]),
        (
            "MedicationRequest?patient=1&_include=MedicationRequest:medication",
            ["r", "m"],
        ),
    ],
)
def test_a_search_finds_what_it_asks_for(
    records: Records, target: str, found: list[str]
) -> None:
    assert ids(records, target) == found


def test_a_read_answers_the_resource_or_404(records: Records) -> None:
    assert answer(records, "Patient/1")[1]["id"] == "1"
    status, body = answer(records, "Patient/2")
    assert (status, body["resourceType"]) == (404, "OperationOutcome")


@pytest.mark.parametrize(
    ("target", "status"),
    [("Observation?nonsense=1", 400), ("", 404), ("Patient/1/_history", 404)],
)
def test_what_it_does_not_do_is_an_operation_outcome(
    records: Records, target: str, status: int
) -> None:
    found, body = answer(records, target)

    assert found == status
    assert body["resourceType"] == "OperationOutcome"


def test_references_within_a_bundle_become_type_and_id() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "entry": [
            entry({"resourceType": "Patient"}, "urn:uuid:u-1"),
            entry(
                {
                    "resourceType": "Condition",
                    "subject": {"reference": "urn:uuid:u-1"},
                    "evidence": [{"detail": [{"reference": "http://ehr/Obs/9"}]}],
                },
                "http://ehr/Condition/c9",
            ),
            entry({"resourceType": "Observation", "id": "o"}, "http://ehr/Obs/9"),
            entry(
                {
                    "resourceType": "Condition",
                    "subject": {"reference": "urn:uuid:elsewhere"},
                }
            ),
        ],
    }

    records = load_records([bundle])

    assert list(records.of("Patient")) == ["u-1"]
    condition = records.of("Condition")["c9"]
    assert condition["subject"] == {"reference": "Patient/u-1"}
    assert condition["evidence"][0]["detail"] == [{"reference": "Observation/o"}]
    assert records.of("Condition")["condition-3"]["subject"] == {
        "reference": "urn:uuid:elsewhere"
    }


def ask(server: FixtureServer, target: str, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = target if target.startswith("http") else f"{server.base}/{target}"
    try:
        with urlopen(Request(url, headers=headers), timeout=PATIENCE) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_pages_are_linked_until_everything_is_served(records: Records) -> None:
    with serve_records(records, page_size=2) as server:
        status, first = ask(server, "Observation?patient=1")
        _, second = ask(server, first["link"][0]["url"])

    assert status == 200
    assert first["total"] == 3
    assert [each["resource"]["id"] for each in first["entry"]] == ["a", "b"]
    assert [each["resource"]["id"] for each in second["entry"]] == ["c"]
    assert "link" not in second
    assert server.seen == [
        "Observation?patient=1",
        "Observation?patient=1&_offset=2",
    ]


def test_a_token_is_demanded_when_told_to(records: Records) -> None:
    with serve_records(records, token="secret") as server:
        assert ask(server, "Patient/1")[0] == 401
        assert ask(server, "Patient/1", "wrong")[0] == 401
        assert ask(server, "Patient/1", "secret")[0] == 200


def test_a_query_it_cannot_read_is_400(records: Records) -> None:
    with serve_records(records) as server:
        assert ask(server, "Observation?_count=many")[0] == 400
        assert ask(server, "Observation?date=xx2026")[0] == 400
