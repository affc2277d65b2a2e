"""JSON on the wire: parsed strictly, rendered compactly.

orjson refuses NaN, Infinity, numbers beyond a double, invalid UTF-8 and deep nesting,
but lets the last of two members with the same name win. A body that means one thing
here and another at the next reader is refused: a repeated name loses its value, so what
was parsed, written again, has fewer quotation marks around strings than what was sent.
Compact JSON is, written again, the very same bytes, and needs no counting. A repeated
name is refused whoever sends it: of two ``patientId``, none is the right one to read.

Half a character in a text is no reason to refuse a chart: it is replaced and counted.

Nothing here takes more than a time in proportion to the length of the body. What a body
becomes in memory is bounded by the number of values in it, counted before it is parsed.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any

import orjson
from flask import request
from gunicorn.http.errors import ParseException

from ..protocol.errors import InvalidRequest, Problem, TooLarge, UnsupportedMediaType
from ..protocol.formats import mend

BOM = b"\xef\xbb\xbf"
DEEPEST = 254
"""Levels of nesting that orjson writes."""
MOST_VALUES = 100_000
"""Members and items; a chart of a megabyte has about 40,000."""


def parse_json(
    body: bytes,
    most_values: int = MOST_VALUES,
    note: Callable[[int], None] = lambda halves: None,
) -> Any:
    """Return the value that *body* holds.

    *note* is told how many halves of characters were replaced, where there were any.

    Raises:
        InvalidRequest: if it is not JSON, not UTF-8, nested too deeply, or if an object
            names a member twice.
        TooLarge: if it has more than *most_values* members and items.

    Source: RFC 8259; a byte order mark at the start is ignored (its section 8.1).
    """
    text = body.removeprefix(BOM)
    if not text.strip():
        raise InvalidRequest("The body is empty; a JSON document is expected.")
    if _count(text) > most_values and _count_exactly(text) > most_values:
        raise TooLarge(f"The body has more than {most_values} members and items.")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        text, value = _mended(text, error, note)
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(_TOO_DEEP) from error
    if written != text and _string_marks(text) != _string_marks(written):
        raise InvalidRequest(_repeated(text))
    return value


def render_json(value: Any) -> bytes:
    """Return the value as compact UTF-8 JSON."""
    return orjson.dumps(value)


def _mended(
    text: bytes, error: orjson.JSONDecodeError, note: Callable[[int], None]
) -> tuple[bytes, Any]:
    """The text that is no JSON for *error*, without half characters, and its value."""
    try:
        whole, halves = mend(text)
    except UnicodeDecodeError:
        halves = 0
    if not halves:
        raise InvalidRequest(_not_json(error)) from error
    text = whole.encode()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as again:
        raise InvalidRequest(_not_json(again)) from again
    note(halves)
    return text, value


def _not_json(error: orjson.JSONDecodeError) -> str:
    if "depth" in error.msg:
        return _TOO_DEEP
    place = f"line {error.lineno}, column {error.colno}"
    if "infinity" in error.msg:
        return f"A number is too large: {place}."
    return f"The body is not valid JSON: {place}."


def _count(text: bytes) -> int:
    """No fewer than the members and items of this JSON text.

    Each follows a comma or is the first of its object or array.
    """
    return text.count(b",") + text.count(b"{") + text.count(b"[")


def _count_exactly(text: bytes) -> int:
    """The members and items of this JSON text, which may be none.

    A string that does not end is taken to go on to the end of the text: then no place
    is looked at twice.
    """
    bare = _STRING.sub(b"0", text).translate(None, b" \t\r\n")
    return _count(bare) - bare.count(b"{}") - bare.count(b"[]")


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


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_FIELD = re.compile(r"[A-Za-z][A-Za-z-]{0,63}")
_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."


MEDIA_TYPES = ("application/json", "application/fhir+json")


def read_body(limit: int, media_types: Collection[str] = MEDIA_TYPES) -> bytes:
    """Return the body of the current request.

    What ``Content-Length`` says is believed only to refuse; the bytes that come are
    counted, in a body of unknown length too. What came of a body that broke off may be
    JSON all the same, and is not what was meant.

    Raises:
        UnsupportedMediaType: if it does not claim to be one of these, and plain.
        TooLarge: if it has more than *limit* bytes.
        InvalidRequest: if it broke off, or was not chunked as HTTP asks.
    """
    if request.mimetype not in media_types:
        named = next(iter(media_types))
        raise UnsupportedMediaType(f"The Content-Type must be {named}.")
    if request.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("The body must not be compressed.")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body has more than {limit} bytes.")
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False)
    except (ParseException, OSError) as error:
        raise InvalidRequest("The body ended early.") from error
    if len(body) > limit:
        raise TooLarge(f"The body has more than {limit} bytes.")
    if len(body) < (request.content_length or 0):
        raise InvalidRequest("The body ended early.")
    return body
