"""JSON Schemas of rule files, for editors and for us.

A schema says what may stand where. What it breaks is told at its line and column and in
words that say what to do; `errorMessage` and `patternErrorMessage`, which editors know
too, hold those that only the author of the schema can give. Files are checked by what
editors are given: the schema with all that it refers to inside it.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ....protocol.schemas import Validator
from ..diagnostics import Findings
from ..document import Document
from .wording import tell, without_echoes

NAMES = (
    "rule",
    "rule-test",
    "detector",
    "detector-test",
    "fact",
    "valueset",
    "lexicon",
    "services",
    "site",
    "alert-types",
    "metrics",
    "outputs",
    "units",
)
"""The kinds of file that have a schema."""
FROM_GRAMMAR = "grammar."
"""What the name of a definition that all kinds share begins with, in a bundle."""

Schema = dict[str, Any]


def check_shape(name: str, document: Document, findings: Findings) -> bool:
    """Return whether *document* has a *name* file's shape; findings say why not."""
    broken = _validator(name).faults(document.data)
    faults = {fault for each in broken for fault in tell(each)}
    for path, code, message, help, key, _ in without_echoes(faults):
        findings.error(document, path, code, message, help, key)
    return not broken


@cache
def _validator(name: str) -> Validator:
    return Validator(bundle(name))


def read_schema(name: str) -> Schema:
    """Return the JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.schema.json").read_text("utf-8")
    schema: Schema = json.loads(text)
    return schema


def bundle(name: str) -> Schema:
    """Return the schema of a *name* file with all that it refers to inside it."""
    schema = read_schema(name)
    if name == "grammar":
        return schema
    grammar = read_schema("grammar")["definitions"]
    own = schema.get("definitions", {})
    _redirect(schema, "grammar.schema.json#/definitions/")
    _redirect(grammar, "#/definitions/")
    needed = _reachable(schema, grammar)
    schema["definitions"] = own | {FROM_GRAMMAR + key: grammar[key] for key in needed}
    _walk(schema, _show_as_markdown)
    return schema


@cache
def whole_schema(name: str) -> Mapping[str, Any]:
    """Return the bundle with each definition in the place of its reference.

    It holds itself, where the grammar does.
    """
    schema = bundle(name)
    _link(schema, schema["definitions"])
    return schema


def _link(node: Any, definitions: Mapping[str, Any]) -> None:
    """Put each definition in the place of the references to it."""
    for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if not isinstance(inner, (dict, list)):
            continue
        if isinstance(inner, dict) and "$ref" in inner:
            node[key] = definitions[inner["$ref"].removeprefix(_HERE)]
        else:
            _link(inner, definitions)


def _redirect(node: Any, prefix: str) -> None:
    """Turn references to the grammar into references inside the schema."""

    def turn(each: Schema) -> None:
        target = each.get("$ref")
        if isinstance(target, str) and target.startswith(prefix):
            each["$ref"] = f"{_HERE}{FROM_GRAMMAR}{target[len(prefix):]}"

    _walk(node, turn)


def _reachable(schema: Schema, grammar: Schema) -> list[str]:
    """The definitions of the grammar that a schema needs, in the grammar's order."""
    found: set[str] = set()
    waiting: list[Any] = [schema]

    def follow(each: Schema) -> None:
        target = each.get("$ref")
        if isinstance(target, str) and target.startswith(_HERE + FROM_GRAMMAR):
            name = target.removeprefix(_HERE + FROM_GRAMMAR)
            if name not in found:
                found.add(name)
                waiting.append(grammar[name])

    while waiting:
        _walk(waiting.pop(), follow)
    return [name for name in grammar if name in found]


def _show_as_markdown(each: Schema) -> None:
    """Let editors show a description as it is meant, with its backquotes."""
    text = each.get("description")
    if isinstance(text, str) and ("`" in text or "**" in text):
        each["markdownDescription"] = text


def _walk(node: Any, visit: Callable[[Schema], None]) -> None:
    if isinstance(node, dict):
        visit(node)
    inner = node.values() if isinstance(node, dict) else node
    for each in list(inner):
        if isinstance(each, (dict, list)):
            _walk(each, visit)


_HERE = "#/definitions/"
