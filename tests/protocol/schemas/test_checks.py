"""Compiled schemas say what jsonschema says, keyword by keyword."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.protocol.schemas import NAMES, read_schema
from cds_service.protocol.schemas.checks import UnknownKeyword, compile_schema

VALUES: list[Any] = [
    None, True, False, 0, 1, 1.5, "", "a", "ab", "B", "a\n", [], [1], ["a"],
    ["a", "ab"], ["a", "a"], {}, {"a": 1}, {"a": "a"}, {"b": "a"}, {"a": "a", "b": "a"},
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


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{}]},
        {"items": {"format": "uri"}},
        {"properties": {"a": {"multipleOf": 2}}},
        {"type": "integer"},
        {"enum": ["a", 1]},
        {"const": 1},
    ],
    ids=str,
)
def test_what_cannot_be_compiled_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnknownKeyword):
        compile_schema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_of_ours_can_be_compiled(name: str) -> None:
    assert not compile_schema(read_schema(name))(None)
