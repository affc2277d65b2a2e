"""Of any document, what checks and what explains say the same, schema by schema."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from cds_service.protocol import schemas as wire
from cds_service.protocol.schemas import Validator
from cds_service.rulebook.language import schemas as files
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml

RULES = Path(__file__).parents[3] / "rules"

EXTENSION = {"org.example": {"a": [1, True, "x", {"b": 0}]}}
REASON = {"system": "http://s", "code": "c", "display": "C"}
ANSWER = {
    "cards": [
        {
            "uuid": "f6b95768-b1c8-40dc-8385-bf3504b82ffb",
            "summary": "Resting heart rate is high",
            "indicator": "warning",
            "source": {"label": "Example", "url": "https://example.org/cardiology"},
            "suggestions": [
                {
                    "uuid": "e56e1945-20b3-4393-8503-a1a20fd73152",
                    "label": "Order an ECG",
                    "isRecommended": True,
                    "actions": [
                        {
                            "type": "create",
                            "description": "Order an ECG",
                            "resource": {"resourceType": "ServiceRequest", "x": None},
                        },
                        {"type": "delete", "description": "X", "resourceId": "Task/1"},
                    ],
                }
            ],
            "selectionBehavior": "at-most-one",
            "overrideReasons": [REASON],
            "links": [{"label": "App", "url": "https://h/l", "type": "smart"}],
        }
    ],
    "systemActions": [{"type": "delete", "resource": "Task/1"}],
    "extension": EXTENSION,
}
SENT: dict[str, list[Any]] = {
    "response": [ANSWER],
    "discovery": [
        {
            "services": [
                {
                    "hook": "patient-view",
                    "title": "X",
                    "description": "X",
                    "id": "a-b.c_d~e",
                    "prefetch": {"k": "Patient/{{context.patientId}}"},
                    "version": "3.0.0",
                    "extension": EXTENSION,
                }
            ]
        }
    ],
    "operation-outcome": [
        {
            "resourceType": "OperationOutcome",
            "issue": [
                {"severity": "error", "code": "invalid", "expression": ["$.hook"]}
            ],
        }
    ],
    "feedback": [
        {
            "feedback": [
                {
                    "card": "x",
                    "outcome": "overridden",
                    "overrideReason": {"reason": REASON, "userComment": "no"},
                    "outcomeTimestamp": "2025-12-11T10:05:31Z",
                }
            ]
        }
    ],
    "hook-request": [
        {
            "hook": "patient-view",
            "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": {"userId": "Practitioner/1", "patientId": "p1"},
            "fhirServer": "https://fhir.example.org/r4",
            "prefetch": {"patient": {"resourceType": "Patient"}, "conditions": None},
        }
    ],
}
SHIPPED = {
    "rule": ["cardiology/av-nodal-agent-bradycardia.yaml"],
    "rule-test": ["cardiology/av-nodal-agent-bradycardia.test.yaml"],
    "detector": [
        "detectors/high-heart-rate-at-rest.yaml",
        "detectors/weight-gain.yaml",
    ],
    "detector-test": ["detectors/high-heart-rate-at-rest.test.yaml"],
    "fact": ["facts/pregnancy.yaml"],
    "valueset": ["valuesets/beta-blockers.yaml", "valuesets/pregnancy.yaml"],
    "lexicon": ["lexicon/english.yaml"],
    "services": ["services.yaml"],
    "site": ["site.yaml"],
    "alert-types": ["alert-types.yaml"],
    "metrics": ["metrics.yaml"],
    "outputs": ["outputs.yaml"],
    "units": ["units.yaml"],
}
KINDS = (*SENT, *files.NAMES)

LARGEST = 10**15 - 1
"""Of whole numbers, more than which no rule file may hold."""
WORDS = st.sampled_from(
    ["", " ", "\n", "x", "x\n", "\u2028", "\x1c", "\x85", "\ufeff", "\u0663", "😀",
     "2026-02-30", "0000-01-01", "$limit", "3 days", "https://h\r", "at-most-one",
     "smart", "delete", "Task/1", "patient-view", "all", "present", "beta-blockers"]
)  # fmt: skip
TEXTS = WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 0.5, 1.0, -0.0, 2**53, LARGEST, 99.75]),
    st.integers(-LARGEST, LARGEST),
    st.floats(allow_nan=False, allow_infinity=False),
)
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or object of a document, with each of its keys or indexes."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(inner):
        yield value, key
        if isinstance(each, (dict, list)):
            yield from places(each)


def spoil(document: dict[str, Any], draw: st.DrawFn) -> None:
    """Change one place of a document to something odd."""
    found = list(places(document))
    if not found:
        return
    holder, key = draw(st.sampled_from(found))
    other, its_key = draw(st.sampled_from(found))
    how = draw(
        st.sampled_from(["replace", "move", "remove", "add", "twice", "break", "end"])
    )
    if how == "replace":
        holder[key] = draw(ODD)
    elif how == "move":
        holder[key] = copy.deepcopy(other[its_key])
    elif how == "remove":
        del holder[key]
    elif how == "end" and isinstance(holder[key], str):
        holder[key] += draw(WORDS)
    elif how == "break" and isinstance(holder[key], str):
        place = draw(st.integers(0, len(holder[key])))
        holder[key] = holder[key][:place] + draw(TEXTS) + holder[key][place:]
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]) if how == "twice" else draw(ODD))
    else:
        holder[draw(TEXTS)] = draw(ODD)


@st.composite
def documents(draw: st.DrawFn, kind: str) -> Any:
    """A document that was good, with up to three places spoilt."""
    document = copy.deepcopy(draw(st.sampled_from(good(kind))))
    for _ in range(draw(st.integers(1, 3))):
        spoil(document, draw)
    return document


@cache
def good(kind: str) -> list[Any]:
    if kind in SENT:
        return SENT[kind]
    found = []
    for file in SHIPPED[kind]:
        document = parse_yaml((RULES / file).read_text("utf-8"), file, Findings())
        assert document is not None
        found.append(document.data)
    return found


@cache
def schema(kind: str) -> dict[str, Any]:
    return wire.read_schema(kind) if kind in SENT else files.bundle(kind)


@cache
def validator(kind: str) -> Validator:
    return Validator(schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_document_holds(kind: str) -> None:
    assert good(kind)
    for each in good(kind):
        assert validator(kind).holds(each)
        assert validator(kind).explain(each) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_checks_a_spoilt_document_and_what_explains_it_agree(kind: str) -> None:
    refused = 0

    @given(documents(kind))
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    def ask(document: Any) -> None:
        nonlocal refused
        faults = validator(kind).explain(document)

        assert validator(kind).holds(document) is not bool(faults)
        refused += bool(faults)

    ask()

    assert refused >= 10


DRAFTS = {"http://json-schema.org/draft-07/schema#": Draft7Validator}


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_of_its_draft(kind: str) -> None:
    DRAFTS.get(schema(kind)["$schema"], Draft202012Validator).check_schema(schema(kind))


KEYWORDS = {
    "$ref", "additionalProperties", "allOf", "anyOf", "const", "contains",
    "dependencies", "dependentRequired", "else", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "if", "items", "maxContains", "maxItems",
    "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength",
    "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern", "properties",
    "propertyNames", "required", "then", "type", "uniqueItems",
}  # fmt: skip
BESIDE = {
    "$schema", "$id", "$defs", "definitions", "title", "description", "examples",
    "default", "words", "defaultSnippets", "errorMessage", "patternErrorMessage",
    "typeErrorMessage", "keyErrorMessage", "markdownDescription",
    "markdownEnumDescriptions",
}  # fmt: skip
"""Words about the schema."""
NAMED = ("properties", "$defs", "definitions")
"""Behind these stand schemas by names, which are no keywords."""
SCHEMAS = ("additionalProperties", "contains", "else", "if", "items", "not", "then",
           "propertyNames")  # fmt: skip


def keywords(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    yield from node
    for keyword in NAMED:
        for each in node.get(keyword, {}).values():
            yield from keywords(each)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for each in node.get(keyword, ()):
            yield from keywords(each)
    for keyword in SCHEMAS:
        yield from keywords(node.get(keyword))


@pytest.mark.parametrize("kind", KINDS)
def test_no_keyword_is_misspelt_and_so_passed_over(kind: str) -> None:
    assert set(keywords(schema(kind))) <= KEYWORDS | BESIDE


@pytest.mark.parametrize("kind", KINDS)
def test_the_only_format_is_one_that_both_look_at(kind: str) -> None:
    formats = json.dumps(schema(kind)).split('"format": "')[1:]

    assert {each.partition('"')[0] for each in formats} <= {"date"}
