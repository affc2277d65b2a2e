"""What editors show of the schemas: every key explained, every choice told apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.rulebook.language.schemas import NAMES, read_schema

HOME = Path(__file__).parents[3]
SCHEMAS = {name: read_schema(name) for name in (*NAMES, "grammar")}


def nodes(name: str) -> Iterator[tuple[str, Any]]:
    """Every place of a schema, by its path."""
    waiting: list[tuple[str, Any]] = [("", SCHEMAS[name])]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        inner = node.items() if isinstance(node, dict) else enumerate(node)
        waiting += [
            (f"{path}/{key}", each)
            for key, each in inner
            if isinstance(each, (dict, list))
        ]


def described(name: str, node: Any) -> bool:
    """Whether an editor has something to show, here or where it refers to."""
    while "description" not in node and "$ref" in node:
        file, _, pointer = node["$ref"].partition("#/definitions/")
        name = file.removesuffix(".schema.json") or name
        node = SCHEMAS[name]["definitions"][pointer]
    return bool(node.get("description"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_and_every_item_is_described(name: str) -> None:
    silent = []
    for path, node in nodes(name):
        if path.endswith("/properties"):
            silent += [
                f"{path}/{key}" for key in node if not described(name, node[key])
            ]
        elif isinstance(node, dict):
            silent += [
                f"{path}/{keyword}"
                for keyword in ("items", "additionalProperties")
                if isinstance(node.get(keyword), dict)
                and not path.endswith("properties")
                and not described(name, node[keyword])
            ]

    assert silent == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_choice_is_explained(name: str) -> None:
    for path, node in nodes(name):
        if isinstance(node, dict) and isinstance(node.get("enum"), list):
            explained = node.get("markdownEnumDescriptions", [])
            assert len(explained) == len(node["enum"]), path


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_says_what_it_is(name: str) -> None:
    schema = SCHEMAS[name]

    assert schema["$id"] == f"{name}.schema.json"
    assert schema["title"] and schema["description"]
