"""Compiled schemas say what jsonschema says, keyword by keyword."""

from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from cds_service.protocol.schemas import NAMES, read_schema
from cds_service.protocol.schemas.checks import UnknownKeyword, compile_schema

VALUES: list[Any] = [
    None, True, False, 0, 1, 1.5, "", "a", "ab", "B", "a\n", [], [1], ["a"],
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
def test_a_compiled_schema_says_what_jsonschema_says(schema: dict[str, Any]) -> None:
    holds = compile_schema(schema)
    validator = Draft202012Validator(schema)

    assert [holds(value) for value in VALUES] == [
        validator.is_valid(value) for value in VALUES
    ]


def test_a_schema_may_hold_itself() -> None:
    tree: dict[str, Any] = {"type": ["object", "string"], "maxProperties": 1}
    tree["additionalProperties"] = tree
    holds = compile_schema(tree)

    assert holds({"a": {"b": {"c": "d"}}})
    assert not holds({"a": {"b": {"c": 1}}})
    assert not holds({"a": {"b": {"c": "d", "e": "f"}}})


@pytest.mark.parametrize(
    "written",
    ["2026-11-22", "2026-02-30", "20261122", "2026-W47-7", "0000-01-01", "", 20261122],
)
def test_a_date_is_one_of_the_calendar(written: Any) -> None:
    checker = FormatChecker(["date"])
    validator = Draft202012Validator({"format": "date"}, format_checker=checker)

    assert compile_schema({"format": "date"})(written) is validator.is_valid(written)


@pytest.mark.parametrize(
    ("draft", "schema"),
    [(Draft7Validator, {"dependencies": {"a": ["b"], "b": ["a"]}})],
)
def test_keywords_of_draft_7(draft: Any, schema: dict[str, Any]) -> None:
    holds = compile_schema(schema)

    assert [holds(each) for each in VALUES] == [
        draft(schema).is_valid(each) for each in VALUES
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"patternProperties": {"a": {}}},
        {"items": {"format": "uri"}},
        {"properties": {"a": {"contentEncoding": "base64"}}},
        {"type": "whole"},
        {"dependencies": {"a": {"type": "string"}}},
    ],
    ids=str,
)
def test_what_cannot_be_compiled_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnknownKeyword):
        compile_schema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_of_ours_can_be_compiled(name: str) -> None:
    assert not compile_schema(read_schema(name))(None)
