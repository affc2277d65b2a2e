"""The bodies of other servers' answers, as JSON that everything else can hold.

One odd value loses neither its resource nor the page: half a character becomes the
replacement character, a number that no float holds becomes null. orjson refuses both,
and reads the bodies that hold neither; what it refuses is read by ``json``, slowly.
What is nested more than 254 levels deep is no JSON here, as in what we are sent.
"""

import codecs
import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import orjson

from ..protocol.formats import mend

_HTML = re.compile(r"\s*<(!doctype\s+)?html", re.IGNORECASE)
_DIGITS = 18
"""A whole number of so many fits into 64 bits."""


def parse_body(
    content: bytes, note: Callable[[int], None] = lambda halves: None
) -> tuple[Any, str]:
    """Return the JSON value, or why there is none; errors may quote the body.

    *note* is told how many halves of characters were replaced, where there were any.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        value, reason = orjson.loads(content), ""
    except orjson.JSONDecodeError:
        value, reason = _parse_odd(content, note)
    try:
        # Deeper than it writes: what compares, walks or sends it on would fail.
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return None, "not JSON"
    return value, reason


def _parse_odd(content: bytes, note: Callable[[int], None]) -> tuple[Any, str]:
    if not content.strip():
        return None, "empty body"
    try:
        text, halves = mend(content)
    except UnicodeDecodeError:
        return None, "not UTF-8"
    if _HTML.match(text):
        return None, "HTML"
    if halves:
        note(halves)
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError):
        return None, "not JSON"
    return value, ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if isfinite(value) else None


def _whole(text: str) -> int | float | None:
    return int(text) if len(text) <= _DIGITS else _finite(text)
