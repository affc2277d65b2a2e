"""JSON Schemas of what crosses the wire, and the one door to jsonschema.

Every answer is checked before it leaves, so the check is quick where all is well:
compiled functions say whether the schema holds, and jsonschema only why it does not.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from ..errors import Problem
from .checks import Check, compile_schema

NAMES = ("response", "discovery", "operation-outcome", "feedback", "hook-request")
"""The schemas; each is the file of that name."""


def problems(name: str, value: Any) -> list[Problem]:
    """What breaks the schema *name*; says where and which rule, never the value."""
    holds, validator = _compiled(name)
    if holds(value):
        return []
    return [
        Problem(f"{error.json_path}: {_rule(error)}", error.json_path)
        for error in validator.iter_errors(value)
    ]


@cache
def _compiled(name: str) -> tuple[Check, Draft202012Validator]:
    schema = read_schema(name)
    return compile_schema(schema), Draft202012Validator(schema)


def read_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _rule(error: ValidationError) -> str:
    """The rule that is broken, in the schema's words."""
    return f"{error.validator}: {json.dumps(error.validator_value)}"
