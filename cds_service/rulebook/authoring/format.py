"""Rule files in the house's style: keys in the order of the grammar, comments kept.

The order of keys is that of the schemas, so that it stands nowhere twice. The text is
rearranged, never written anew from data: a library that does the latter folds long
lines, breaks up what the author put in brackets, and leaves a comment behind when the
key below it moves.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..language.diagnostics import Finding, Findings
from ..language.document import Document
from ..language.schemas import check_shape, whole_schema
from ..language.source import parse_yaml
from .layout import Block, write_layout
from .layout_reader import NotPlain, comments, read_layout

__all__ = ["NotPlain", "format_text"]


def format_text(text: str, file: str, kind: str) -> tuple[str, tuple[Finding, ...]]:
    """A *kind* file in the house's style, and what is wrong with it.

    Lines end with a line feed. A file with findings comes back as it is.

    Raises:
        NotPlain: where it cannot be put in order without changing what it says.
    """
    findings = Findings()
    document = parse_yaml(_LINE_BREAK.sub("\n", text), file, findings)
    if document is None or not check_shape(kind, document, findings):
        return text, tuple(findings)
    if findings.has_errors:
        return text, tuple(findings)
    if document.text[document.marks[()].start] == "{":
        raise NotPlain(1, "the whole file stands in braces")
    head, block = read_layout(document)
    arrange(block, whole_schema(kind))
    written = write_layout(head, block)
    if not says_the_same(document, written):
        raise NotPlain(1, "this cannot be put in order without changing what it says")
    return written, ()


def says_the_same(document: Document, written: str) -> bool:
    """Return whether *written* holds the same data and the same comments."""
    again = parse_yaml(written, document.file, Findings())
    return (
        again is not None
        and _exact(again.data) == _exact(document.data)
        and sorted(comments(again)) == sorted(comments(document))
    )


def arrange(block: Block, schema: Mapping[str, Any]) -> None:
    """Put the keys of a block, and of all in it, in the order of a schema."""
    if not block.is_list:
        order = {name: number for number, name in enumerate(_properties(schema))}
        block.entries.sort(key=lambda entry: order.get(entry.name, len(order)))
    for entry in block.entries:
        if isinstance(entry.value, Block):
            arrange(entry.value, _inner(schema, entry.name, block.is_list))


def _inner(schema: Mapping[str, Any], name: str, is_list: bool) -> Mapping[str, Any]:
    """The schema of an item, or of the value under a key; empty if there is none."""
    found: Any = None
    if is_list:
        found = next((each["items"] for each in _parts(schema) if "items" in each), {})
    else:
        found = _properties(schema).get(name)
        for each in _parts(schema):
            found = found or each.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in _parts(schema):
        for name, inner in each.get("properties", {}).items():
            found.setdefault(name, inner)
    return found


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and what it is put together from."""
    yield schema
    for keyword in ("then", "else"):
        if isinstance(schema.get(keyword), dict):
            yield from _parts(schema[keyword])
    for keyword in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(keyword, ()):
            yield from _parts(each)


def _exact(value: Any) -> Any:
    """Data in which a number, a truth value and a text are never equal."""
    if isinstance(value, dict):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    return type(value).__name__, value


_LINE_BREAK = re.compile(r"\r\n?")
