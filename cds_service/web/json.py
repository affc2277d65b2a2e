"""JSON on the wire: parsed strictly, rendered compactly.

orjson refuses NaN, Infinity, numbers beyond a double, invalid UTF-8 and deep nesting,
but lets the last of two members with the same name win. A body that means one thing
here and another at the next reader is refused: a repeated name loses its value, so what
was parsed, written again, has fewer quotation marks around strings than what was sent.
Compact JSON is, written again, the very same bytes, and needs no counting.
"""

import json
import re
from typing import Any

import orjson

from ..protocol.errors import InvalidRequest, Problem

BOM = b"\xef\xbb\xbf"
DEEPEST = 254
"""Levels of nesting that orjson writes."""


def parse_json(body: bytes) -> Any:
    """The value that *body* holds.

    Raises:
        InvalidRequest: if it is not JSON, not UTF-8, nested too deeply, or if an object
            names a member twice.

    Source: RFC 8259; a byte order mark at the start is ignored (its section 8.1).
    """
    text = body.removeprefix(BOM)
    if not text.strip():
        raise InvalidRequest("The body is empty; a JSON document is expected.")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_not_json(error)) from error
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(_TOO_DEEP) from error
    if written != text and _string_marks(text) != _string_marks(written):
        raise InvalidRequest(_repeated(text))
    return value


def render_json(value: Any) -> bytes:
    """The value as compact UTF-8 JSON."""
    return orjson.dumps(value)


def _not_json(error: orjson.JSONDecodeError) -> str:
    if "depth" in error.msg:
        return _TOO_DEEP
    return f"The body is not valid JSON: line {error.lineno}, column {error.colno}."


def _string_marks(text: bytes) -> int:
    """How many quotation marks begin or end a string in this valid JSON text."""
    if b"\\" not in text:
        return text.count(b'"')
    unescaped = text.replace(rb"\\", b"")
    return unescaped.count(b'"') - unescaped.count(rb"\"")


def _repeated(text: bytes) -> Problem:
    names: list[str] = []

    def notice(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                names.append(name)
            seen.add(name)

    json.loads(text, object_pairs_hook=notice)
    named = next((f" ({name})" for name in names if _FIELD.fullmatch(name)), "")
    return Problem(f"An object names a member twice{named}.")


_FIELD = re.compile(r"[A-Za-z][A-Za-z-]{0,63}")
_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."
