"""What came over HTTP, read as strictly as JSON is defined."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .violations import Violation, must, note, should

DEEPEST = 100
"""Levels of nesting that are read; FHIR needs a tenth of it."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, whole."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    content: bytes
    first_byte: float = 0.0
    """Seconds until the head of the answer was there."""
    seconds: float = 0.0
    """Seconds until all of it was there."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an answer as data."""

    value: Any = None
    is_json: bool = False
    violations: list[Violation] = field(default_factory=list)


def read_json(content: bytes) -> Body:
    """Return a body as data, with everything in its form that JSON does not allow.

    Source: RFC 8259; CDS Hooks 3.0.0 "Use of JSON".
    """
    found: list[Violation] = []
    if content.startswith(_BOM):
        found.append(should("J-10", "", "The body begins with a byte order mark."))
        content = content.removeprefix(_BOM)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return Body(violations=[*found, must("J-10", "", "The body is not UTF-8.")])
    if text.lstrip()[:1] == "<":
        return Body(violations=[*found, must("J-1", "", "The body is HTML or XML.")])
    repeated: list[str] = []
    constants: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held = dict(pairs)
        if len(held) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in held if names.count(name) > 1)
        return held

    try:
        value = json.loads(
            text, object_pairs_hook=collect, parse_constant=constants.append
        )
    except (ValueError, RecursionError):
        what = "The body is empty." if not text.strip() else "The body is not JSON."
        return Body(violations=[*found, must("J-1", "", what)])
    if _depth(value) > DEEPEST:
        text = f"The body nests deeper than {DEEPEST} levels."
        return Body(violations=[*found, must("J-11", "", text)])
    found += [
        must("J-3", "", f"{name} is no number that JSON knows.")
        for name in dict.fromkeys(constants)
    ]
    found += [
        should("J-3", "", f"The name {name[:40]!r} stands twice in one object.")
        for name in dict.fromkeys(repeated)
    ]
    return Body(value, True, found)


def find_empty(
    value: Any, root: str, allowed: frozenset[str] = frozenset()
) -> Iterator[Violation]:
    """Yield every null and empty value outside FHIR resources and extensions.

    *root* is the path of the value; at those *allowed* an empty array may stand.
    """
    waiting = [(root, value)]
    while waiting:
        path, each = waiting.pop()
        if each is None:
            yield must("J-4", path, "is null; what has no value is left out.")
        elif each == {}:
            yield must("J-5", path, "is empty; what has no value is left out.")
        elif each == "" or (each == [] and path not in allowed):
            empty = must("J-5", path, "is empty; what has no value is left out.")
            yield replace(empty, since=(2, 0))
        elif isinstance(each, list):
            inside = [(f"{path}[{place}]", item) for place, item in enumerate(each)]
            waiting += reversed(inside)
        elif isinstance(each, dict) and "resourceType" not in each:
            members = [
                (f"{path}.{name[:60]}", item)
                for name, item in each.items()
                if name != "extension"
            ]
            waiting += reversed(members)


def judge_media_type(reply: Reply, body: Body) -> Iterator[Violation]:
    """Yield what is wrong where the answer does not say what it is."""
    sent = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent in ("application/json", "application/fhir+json") or not reply.content:
        return
    said = f"says {sent[:60]}" if sent else "is missing"
    text = f"{said}; application/json was expected."
    yield (should if body.is_json else note)("J-1", "Content-Type", text)


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        each, level = waiting.pop()
        deepest = max(deepest, level)
        if isinstance(each, dict):
            each = list(each.values())
        if isinstance(each, list):
            waiting += [(item, level + 1) for item in each]
    return deepest
