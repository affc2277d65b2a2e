"""A schema is asked quickly, and explained by the same notions."""

import math
import subprocess
import sys
from datetime import date
from threading import Thread
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from cds_service.protocol.schemas import NO_JSON, Validator, problems

VALUES: list[Any] = [
    None, True, False, 0, 1, 1.5, "", "a", "ab", "B", "a\r", [], [1], ["a"],
    ["a", "ab"], ["a", "a"], {}, {"a": 1}, {"a": "a"}, {"b": "a"}, {"a": "a", "b": "a"},
    1.0, -2, [1, 1.0], [1, True], [{"a": 1}, {"a": 1.0}], [[1], [1]],
    {"a": {"a": {"a": 1}}}, {"a": {"a": "a"}}, {"a": None, "c": 1},
]  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "array"},
        {"type": "string"},
        {"type": "boolean"},
        {"type": "number"},
        {"type": ["number", "string"]},
        {"type": ["number", "boolean"]},
        {"enum": ["a", "B"]},
        {"const": "a"},
        {"const": True},
        {"const": False},
        {"required": ["a", "b"]},
        {"dependentRequired": {"a": ["b"], "b": ["a"]}},
        {"minLength": 1},
        {"maxLength": 1},
        {"minItems": 1},
        {"minProperties": 1},
        {"pattern": "^a$"},
        {"pattern": "b"},
        {"propertyNames": {"pattern": "a"}},
        {"additionalProperties": False},
        {"additionalProperties": {"type": "string"}},
        {"properties": {"a": True}, "additionalProperties": False},
        {"properties": {"a": {"type": "string"}, "b": False}},
        {"properties": {"a": {}}, "additionalProperties": {"type": "number"}},
        {"items": {"type": "string", "maxLength": 1}},
        {"contains": {"type": "string"}},
        {"contains": {"const": "a"}, "minContains": 0, "maxContains": 1},
        {"contains": {"const": "a"}, "minContains": 2},
        {"if": {"type": "string"}, "then": {"minLength": 1}},
        {"if": {"type": "string"}, "else": {"type": "object"}},
        {"not": {"type": "string"}},
        {"not": {}},
        {"type": "integer"},
        {"type": ["integer", "string"]},
        {"type": ["integer", "boolean"]},
        {"type": "null"},
        {"enum": ["a", 1, None]},
        {"const": 1},
        {"const": [1]},
        {"uniqueItems": True},
        {"uniqueItems": False},
        {"maxItems": 1},
        {"maxProperties": 1},
        {"minimum": 1},
        {"maximum": 1},
        {"exclusiveMinimum": 1},
        {"exclusiveMaximum": 1},
        {"multipleOf": 0.5},
        {"allOf": [{"type": "string"}, {"minLength": 2}]},
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"anyOf": [{"type": "string"}, {"required": ["a"]}]},
        {
            "$ref": "#/$defs/deep",
            "$defs": {
                "deep": {
                    "type": ["object", "string"],
                    "properties": {"a": {"$ref": "#/$defs/deep"}},
                }
            },
        },
        {"title": "x", "description": "y", "type": "string", "minLength": 2},
    ],
    ids=str,
)
def test_the_quick_check_says_what_jsonschema_says(schema: dict[str, Any]) -> None:
    validator, other = Validator(schema), Draft202012Validator(schema)

    assert [validator.holds(value) for value in VALUES] == [
        other.is_valid(value) for value in VALUES
    ]


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22", "2026-02-30", "20261122", "2026-W47-7", "0000-01-01", "",
        20261122, "2026-11-22\n", "２０26-11-22",
    ],
)  # fmt: skip
def test_a_date_is_one_of_the_calendar(written: Any) -> None:
    checker = FormatChecker(["date"])
    schema = {"format": "date"}
    expected = Draft202012Validator(schema, format_checker=checker).is_valid(written)

    assert Validator(schema).holds(written) is expected
    assert [each.keyword for each in Validator(schema).explain(written)] == (
        [] if expected else ["format"]
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"dependencies": {"a": ["b"], "b": ["a"]}},
        {"$ref": "#/definitions/x", "type": "null", "definitions": {"x": True}},
    ],
)
def test_the_schema_says_of_which_draft_it_is(schema: dict[str, Any]) -> None:
    of_draft_7 = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    validator, other = Validator(of_draft_7), Draft7Validator(schema)

    for value in VALUES:
        assert validator.holds(value) is other.is_valid(value)
        assert (validator.explain(value) == []) is other.is_valid(value)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[a-z]+$", "name", True),
        ("^[a-z]+$", "name\n", False),
        ("^[a-z]+$", "name\nname", False),
        ("^[0-9]$", "\u0663", False),
        ("^\\d$", "\u0663", False),
        ("\\S", "\u00a0\u3000\ufeff", False),
        ("\\S", "\x85", True),
        ("^.{2}$", "\U0001f600\U0001f600", True),
    ],
)
def test_a_pattern_means_what_it_means_to_editors(
    pattern: str, text: str, matches: bool
) -> None:
    """Source: ECMA 262 sections 22.2.2.4 and 22.2.2.9, read by code points."""
    validator = Validator({"pattern": pattern})

    assert validator.holds(text) is matches
    assert (validator.explain(text) == []) is matches


ODD = {
    "half a character": "\ud800",
    "half a character in a name": {"org.\ud800": 1},
    "no number": math.nan,
    "more than any number": math.inf,
    "a number of 70 bits": 2**70,
    "a number of 400 digits": -(10**400),
    "a name that is no text": {1: 2},
    "a name that is nothing": {None: 1},
    "a type that JSON does not know": date(2026, 11, 22),
    "bytes": b"x",
    "a set": {1, 2},
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "x"},
    {"type": "number", "minimum": 3, "exclusiveMaximum": 9},
    {"type": "object", "propertyNames": {"maxLength": 3}},
    {"enum": ["x", 1, None]},
    {"not": {"type": "integer"}},
    {"additionalProperties": {"type": "string"}},
]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_json_has_no_way_to_write_is_a_fault_and_no_accident(odd: Any) -> None:
    for schema in SCHEMAS:
        for value in (odd, [odd], {"x": odd}):
            validator = Validator(schema)

            assert (validator.faults(value) == []) is validator.holds(value)


def test_a_fault_that_no_keyword_has_is_told_all_the_same() -> None:
    (fault,) = Validator({"items": {"type": "number"}}).faults([1, math.nan])

    assert fault.keyword == NO_JSON


def test_an_answer_that_json_cannot_write_has_a_problem_without_the_value() -> None:
    (problem,) = problems("response", {"cards": [], "extension": {"org.x": math.inf}})

    assert problem.expression == "$"
    assert "inf" not in problem.text.replace("finite", "")


def test_a_value_may_be_nested_as_deeply_as_any_reader_allows() -> None:
    deep: Any = 1
    for _ in range(2_000):
        deep = {"a": deep}
    answers: list[bool] = []

    def ask() -> None:
        value = {"cards": [], "extension": {"org.x": deep}}
        answers.append(problems("response", value) == [])

    beside = Thread(target=ask)
    beside.start()
    beside.join()

    assert answers == [True]


def test_what_explains_is_imported_when_there_is_something_to_explain() -> None:
    program = """
import sys
from cds_service.protocol.schemas import problems
assert problems("response", {"cards": []}) == []
assert "jsonschema" not in sys.modules
assert problems("response", {"cards": [{}]})
assert "jsonschema" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
