"""JSON Schemas of rule files, for editors and for us; the one door to jsonschema here.

A schema says what may stand where. What it breaks is told at its line and column and in
words that say what to do; `errorMessage` and `patternErrorMessage`, which editors know
too, hold those that only the author of the schema can give.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from ..document import Document
from ..findings import Findings
from .wording import Broken, tell

NAMES = (
    "rule",
    "rule-test",
    "fact",
    "valueset",
    "services",
    "site",
    "alert-types",
)
"""The kinds of file that have a schema."""

_GRAMMAR = "grammar.schema.json"


def check_shape(name: str, document: Document, findings: Findings) -> bool:
    """Whether *document* has the shape of a *name* file; if not, with findings."""
    errors = list(_validator(name).iter_errors(document.data))
    faults = {fault for error in errors for fault in tell(_broken(error))}
    for fault in faults:
        findings.error(document, *fault)
    return not errors


def _broken(error: ValidationError) -> Broken:
    return Broken(
        keyword=str(error.validator),
        argument=error.validator_value,
        schema=error.schema if isinstance(error.schema, dict) else {},
        value=error.instance,
        path=tuple(error.absolute_path),
        is_name="propertyNames" in error.absolute_schema_path,
    )


def read_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Draft7Validator:
    grammar = Resource.from_contents(read_schema("grammar"), DRAFT7)
    registry: Registry[bool | Mapping[str, Any]] = Registry().with_resource(
        _GRAMMAR, grammar
    )
    return Draft7Validator(
        read_schema(name), registry=registry, format_checker=FormatChecker(["date"])
    )
