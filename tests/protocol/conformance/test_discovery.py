import json
from typing import Any

import pytest

from cds_service.protocol.conformance import Reply, judge_discovery
from cds_service.protocol.services import Service, discovery

GOOD: dict[str, Any] = {
    "hook": "patient-view",
    "title": "Review",
    "description": "Reviews the chart.",
    "id": "review",
    "prefetch": {"patient": "Patient/{{context.patientId}}"},
    "version": "3.0.0",
    "hookVersion": "1.0",
}
JSON = {"content-type": "application/json"}


def judged(body: Any, service: str = "", headers: Any = JSON) -> list[tuple[str, str]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = judge_discovery(Reply(200, headers, content), service)
    return [(each.id, each.level.value) for each in found]


def entry(**changes: Any) -> dict[str, Any]:
    held = {**GOOD, **changes}
    return {"services": [{k: v for k, v in held.items() if v is not ...}]}


def test_a_good_answer_has_nothing_to_say() -> None:
    assert judged({"services": [GOOD]}) == []
    assert judged({"services": []}) == []


def test_what_we_send_is_good() -> None:
    ours = Service(
        "review", "patient-view", "Review", "Reviews.", prefetch={"p": "A/1"}
    )

    assert judged(discovery([ours], release="1.2.3")) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<html>", ("J-1", "must")),
        ([], ("D-2", "must")),
        ({}, ("D-2", "must")),
        ({"services": [3]}, ("D-2", "must")),
        (entry(hook=...), ("D-3", "must")),
        (entry(description=7), ("D-3", "must")),
        (entry(description="  "), ("J-7", "must")),
        (entry(title=...), ("D-4", "should")),
        (entry(id="a/b"), ("D-5", "must")),
        (entry(prefetch=[1]), ("D-6", "must")),
        (entry(prefetch={"a": 1}), ("D-6", "must")),
        (entry(prefetch={}), ("J-5", "must")),
        (entry(usageRequirements=1), ("D-7", "must")),
        (entry(version=...), ("D-8", "note")),
        (entry(version="STU3"), ("D-8", "should")),
        (entry(version=3), ("D-8", "must")),
        (entry(hookVersion=1), ("D-9", "must")),
        (entry(hook=7), ("D-3", "must")),
        (entry(prefetch=None), ("J-4", "must")),
        (entry(prefetch={"a": None}), ("J-4", "must")),
        (entry(prefetch={"a": ""}), ("J-5", "must")),
        (entry(hookVersion="9.9"), ("D-9", "must")),
        ({"services": [GOOD, GOOD]}, ("D-10", "must")),
        (entry(extension=[1]), ("X-2", "must")),
        (entry(extension={"short": 1}), ("X-3", "should")),
        (entry(name="Review"), ("X-1", "note")),
        (entry(usageRequirements=None), ("J-4", "must")),
        (entry(hook="my-hook", hookVersion=...), ("H-2", "must")),
        (entry(hook="order-review"), ("H-11", "note")),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_id(
    body: Any, found: tuple[str, str]
) -> None:
    assert judged(body) == [found]


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("Patient/{{Patient.id}}", [("P-1", "must")]),
        ("Patient/{{context.patientId", [("P-1", "must")]),
        ("Patient/{{patientId}}", [("P-2", "must")]),
        ("Patient/{{context.nothing}}", [("P-2", "should")]),
        ("Practitioner/{{context.userId}}", [("P-3", "should")]),
        ("Condition?_has:x=y", [("P-4", "should")]),
        ("A?date=gt{{today() - 90 days}}", [("P-8", "note")]),
        ("A?date=gt{{today() - 3 months}}", [("P-1", "must")]),
        ("A?_id={{%later.id}}", [("P-8", "note"), ("P-6", "must")]),
        ("A?_id={{%own.id}}", [("P-8", "note"), ("P-6", "must")]),
        ("A?_id={{context.patientId.ofType(string)}}", [("P-7", "must")]),
        ("{{context.userId}}", []),
        ("Practitioner/{{userPractitionerId}}", []),
    ],
)
def test_a_template_is_read_token_by_token(template: str, found: list[Any]) -> None:
    assert judged(entry(prefetch={"own": template, "later": "A/1"})) == found


def told_of(template: str) -> list[str]:
    """What is said of a template, whatever the rule."""
    content = json.dumps(entry(prefetch={"own": template})).encode()
    return [each.text for each in judge_discovery(Reply(200, JSON, content))]


@pytest.mark.parametrize(
    "template",
    [
        "Patient/{{context.patientId}}",
        "Encounter/{{context.encounterId}}",
        "Condition?patient={{context.patientId}}",
        "PractitionerRole?practitioner={{context.userId}}",
        "Observation?patient={{context.patientId}}"
        "&code=http://loinc.org|4548-4&_sort=-date&_count=1",
        "MedicationRequest?patient={{context.patientId}}"
        "&code:in=http://example.org/valueset&authoredon=ge2025-01-01",
        "Patient?_id={{context.patientId}}&_maxresults=1",
    ],
)
def test_p_1_to_p_4_templates_by_the_letter_pass(template: str) -> None:
    assert told_of(template) == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("sort:desc=date", "sort:desc"),
        ("_include=MedicationRequest:medication", "_include"),
        ("_has:Group:member:_id=1", "_has"),
        ("subject.name=x", "subject.name"),
        ("code:not=x", "code:not"),
        ("patient:Patient=1", "patient:Patient"),
        ("date=sa2025-01-01", "sa is outside the prefixes"),
        ("date=ne2025-01-01", "ne is outside the prefixes"),
        ("code=", "has no value"),
        ("code", "has no value"),
    ],
)
def test_p_4_queries_stay_in_the_widely_supported_subset(
    query: str, complaint: str
) -> None:
    (text,) = told_of("Condition?patient={{context.patientId}}&" + query)

    assert complaint in text


@pytest.mark.parametrize(
    "template",
    ["Condition", "/Condition?x=1", "condition?x=1", "Patient/1/_history"]
    + ["https://ehr.example.org/Patient/1", "Condition?"],
)
def test_p_4_a_template_is_a_read_or_a_search(template: str) -> None:
    assert told_of(template) == ["must be Type/id or Type?query."]


def test_another_service_of_the_same_server_is_not_judged() -> None:
    broken = {**GOOD, "id": "other", "title": None, "hook": "x"}

    assert judged({"services": [broken, GOOD]}, "review") == []


def test_the_media_type_is_looked_at() -> None:
    assert judged({"services": []}, headers={"content-type": "text/html"}) == [
        ("J-1", "should")
    ]
    assert judged({"services": []}, headers={}) == [("J-1", "should")]


def test_an_old_service_owes_what_its_version_asked_for() -> None:
    assert judged(entry(version="1.0.0", title="")) == [("J-5", "note")]
    assert judged(entry(version="1.0.0", prefetch={})) == [("J-5", "must")]
