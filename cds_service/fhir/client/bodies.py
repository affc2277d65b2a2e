"""The bodies of a FHIR server's answers, as JSON that everything else can hold.

One odd value loses neither its resource nor the page: half a surrogate pair becomes the
replacement character, a number that no float holds becomes null.
"""

import json
import re
from math import isfinite
from typing import Any

_HTML = re.compile(r"\s*<(!doctype\s+)?html", re.IGNORECASE)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_DIGITS = 18
"""A whole number of so many fits into 64 bits."""


def parse_body(content: bytes) -> tuple[Any, str]:
    """The JSON value, or why there is none; errors may quote what they stumble on."""
    if not content.strip():
        return None, "empty body"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "not UTF-8"
    if _HTML.match(text):
        return None, "HTML"
    if _SURROGATE.search(text):
        text = _ESCAPES.sub(_paired, text)
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError):
        return None, "not JSON"
    return value, ""


def _paired(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape["lone"] else escape[0]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if isfinite(value) else None


def _whole(text: str) -> int | float | None:
    return int(text) if len(text) <= _DIGITS else _finite(text)
