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

from ...protocol.schemas.checks import Check, compile_schema
from ..document import Document
from ..findings import Findings
from .wording import Broken, tell, without_echoes

NAMES = (
    "rule",
    "rule-test",
    "fact",
    "valueset",
    "lexicon",
    "services",
    "site",
    "alert-types",
)
"""The kinds of file that have a schema."""


def check_shape(name: str, document: Document, findings: Findings) -> bool:
    """Whether *document* has the shape of a *name* file; if not, with findings."""
    if _quick_check(name)(document.data):
        return True
    errors = list(_validator(name).iter_errors(document.data))
    faults = {fault for error in errors for fault in tell(_broken(error))}
    for path, code, message, help, key, _ in without_echoes(faults):
        findings.error(document, path, code, message, help, key)
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


def whole_schema(name: str) -> Mapping[str, Any]:
    """The schema of a *name* file, with each definition in the place of its reference.

    It holds itself, where the grammar does.
    """
    schema = _validator(name).schema
    assert isinstance(schema, dict)
    return schema


def read_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _quick_check(name: str) -> Check:
    """Whether a file has the shape; why not is asked of jsonschema."""
    return compile_schema(whole_schema(name))


@cache
def _validator(name: str) -> Draft7Validator:
    schema, grammar = read_schema(name), read_schema("grammar")
    definitions = {
        **_definitions("#", schema),
        **_definitions("grammar.schema.json", grammar),
    }
    _link(grammar, _definitions("#", grammar))
    _link(schema, definitions)
    return Draft7Validator(schema, format_checker=FormatChecker(["date"]))


def _definitions(file: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    written = schema.get("definitions", {}).items()
    return {f"{file.rstrip('#')}#/definitions/{name}": each for name, each in written}


def _link(node: Any, definitions: Mapping[str, Any]) -> None:
    """Put each definition in the place of the references to it."""
    for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if not isinstance(inner, (dict, list)):
            continue
        if isinstance(inner, dict) and "$ref" in inner:
            node[key] = definitions[inner["$ref"]]
        else:
            _link(inner, definitions)
