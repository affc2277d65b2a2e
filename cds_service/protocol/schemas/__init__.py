"""JSON Schemas of what crosses the wire, and the one door to jsonschema.

Every answer is checked before it leaves, so the check is quick where all is well: the
keywords that lead from a value to the values in it ask the other keywords directly, and
take jsonschema's own, thorough way only into what does not hold.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from ..errors import Problem

NAMES = ("response", "discovery", "operation-outcome", "feedback")
"""The schemas; each is the file of that name."""


def problems(name: str, value: Any) -> list[Problem]:
    """What breaks the schema *name*; says where and which rule, never the value."""
    return [
        Problem(f"{error.json_path}: {_rule(error)}", error.json_path)
        for error in _validator(name).iter_errors(value)
    ]


@cache
def _validator(name: str) -> Validator:
    validator: Validator = _QUICK(read_schema(name))
    return validator


def read_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _rule(error: ValidationError) -> str:
    """The rule that is broken, in the schema's words."""
    return f"{error.validator}: {json.dumps(error.validator_value)}"


def _holds(validator: Any, schema: Mapping[str, Any] | bool, value: Any) -> bool:
    """Whether *value* satisfies *schema*."""
    if isinstance(schema, bool):
        return schema
    keywords = validator.VALIDATORS
    for keyword, argument in schema.items():
        check = keywords.get(keyword)
        if check:
            for _ in check(validator, argument, value, schema) or ():
                return False
    return True


def _properties(
    validator: Any, schemas: Mapping[str, Any], value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for name, inner in value.items():
            wanted = schemas.get(name, True)
            if not _holds(validator, wanted, inner):
                yield from validator.descend(inner, wanted, path=name, schema_path=name)


def _items(
    validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if not _holds(validator, wanted, inner):
                yield from validator.descend(inner, wanted, path=index)


def _additional(
    validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for name, inner in value.items():
            if name not in known and not _holds(validator, wanted, inner):
                thorough = Draft202012Validator.VALIDATORS["additionalProperties"]
                yield from thorough(validator, wanted, value, schema)
                return


def _if(
    validator: Any, condition: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    branch = "then" if _holds(validator, condition, value) else "else"
    wanted = schema.get(branch, True)
    if not _holds(validator, wanted, value):
        yield from validator.descend(value, wanted, schema_path=branch)


_QUICK: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "properties": _properties,
        "additionalProperties": _additional,
        "items": _items,
        "if": _if,
    },
)
