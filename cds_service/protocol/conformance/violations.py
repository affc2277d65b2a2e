"""Violation: one rule that is not kept, how binding it is, and where it shows.

Below, the rules that single members of an object may break: there, of the right kind,
well written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ..formats import is_reverse_domain


class Obligation(StrEnum):
    """How binding a rule is."""

    MUST = "must"
    """SHALL, REQUIRED, or an invariant that is an error."""
    SHOULD = "should"
    """SHOULD, RECOMMENDED, or an invariant that is a warning."""
    NOTE = "note"
    """Not stated; worth knowing for whoever calls."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that is not kept."""

    id: str
    """Of the rule, such as ``C-4``."""
    level: Obligation
    path: str
    """Where: ``$.cards[0].indicator``, ``Content-Type``, or empty for the whole."""
    text: str
    """One sentence; repeats no more than a few words of what came."""
    since: tuple[int, int] | None = None
    """The version that first had the rule, where its id alone does not tell."""

    def as_json(self) -> dict[str, str]:
        """Return the violation as plain data."""
        return {
            "id": self.id,
            "level": self.level.value,
            "path": self.path,
            "text": self.text,
        }


def must(id: str, path: str, text: str) -> Violation:
    """Return a rule that binds."""
    return Violation(id, Obligation.MUST, path, text)


def should(id: str, path: str, text: str) -> Violation:
    """Return a rule that is recommended."""
    return Violation(id, Obligation.SHOULD, path, text)


def note(id: str, path: str, text: str) -> Violation:
    """Something worth knowing."""
    return Violation(id, Obligation.NOTE, path, text)


def as_of(version: str, found: Iterable[Violation]) -> list[Violation]:
    """Return what was found, told to a service of *version* of the standard.

    A rule of a later version is a note. Without a version all of them hold.
    """
    spoken = parse_version(version)
    return [_told(each, spoken) for each in found]


def parse_version(text: str) -> tuple[int, int] | None:
    """Major and minor number; None where the text is no version."""
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0] or "0"
    if not (
        major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()
    ):
        return None
    return int(major[:4]), int(minor[:4])


def _told(each: Violation, spoken: tuple[int, int] | None) -> Violation:
    since = each.since or _SINCE.get(each.id)
    if (
        spoken is None
        or since is None
        or spoken >= since
        or each.level is Obligation.NOTE
    ):
        return each
    text = f"{each.text} (a rule since {since[0]}.{since[1]})"
    return replace(each, level=Obligation.NOTE, text=text)


_SINCE = {
    "D-8": (3, 0),
    "C-16": (2, 0),
    "C-21": (2, 0),
    "C-22": (2, 0),
    "C-23": (1, 1),
    "E-2": (3, 0),
    "X-3": (2, 0),
}
"""The version that first had a rule, where it was not there from 1.0 on."""


# Single members

Members: TypeAlias = Mapping[str, Any]

_WHITE = re.compile(r"[\s\x00-\x1f]")


def text_member(
    id: str, value: Members, name: str, path: str, required: bool = False
) -> Iterator[Violation]:
    """A member that holds text; *required* text must not be blank."""
    held = value.get(name)
    if held is None:
        if required and name not in value:
            yield must(id, f"{path}.{name}", "is required.")
    elif not isinstance(held, str):
        yield must(id, f"{path}.{name}", "must be a string.")
    elif held and not held.strip():
        yield must("J-7" if required else id, f"{path}.{name}", "is blank.")


def enum_member(
    id: str, value: Members, name: str, path: str, allowed: Iterable[str]
) -> Iterator[Violation]:
    """A required member that is one of a few words."""
    held = value.get(name)
    choices = ", ".join(allowed)
    if name not in value:
        yield must(id, f"{path}.{name}", f"is required: one of {choices}.")
    elif held is not None and held not in tuple(allowed):
        shown = f"{str(held)[:40]!r} is" if isinstance(held, str) else "is"
        yield must(id, f"{path}.{name}", f"{shown} none of {choices}.")


def flag_member(id: str, value: Members, name: str, path: str) -> Iterator[Violation]:
    """An optional member that is true or false."""
    if not isinstance(value.get(name, False), bool | None):
        yield must(id, f"{path}.{name}", "must be true or false.")


def url_member(
    id: str, value: Members, name: str, path: str, required: bool = False
) -> Iterator[Violation]:
    """A member that holds an absolute web address."""
    yield from text_member(id, value, name, path, required)
    held = value.get(name)
    if not isinstance(held, str) or not held.strip():
        return
    where = f"{path}.{name}"
    scheme, host = _address(held)
    if scheme == "data":
        yield note(id, where, "holds the data itself; many clients show no such URL.")
    elif scheme not in ("http", "https") or not host:
        text = f"is no absolute http(s) URL: {held[:40]!r}."
        yield must(id, where, text)
    elif scheme == "http":
        yield note(id, where, "is http; a client over https may refuse to show it.")


def _address(text: str) -> tuple[str, str]:
    if _WHITE.search(text):
        return "", ""
    try:
        parts = urlsplit(text)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return "", ""


def coding(
    id: str, value: Any, path: str, display: bool = False
) -> Iterator[Violation]:
    """A Coding with code and system, and a *display* where people choose by it."""
    if not isinstance(value, dict):
        yield must(id, path, "must be a Coding: an object with code and system.")
        return
    for name in ("code", "system", *(["display"] if display else [])):
        yield from text_member(id, value, name, path, required=True)
    if not display:
        yield from text_member(id, value, "display", path)


def list_member(
    id: str, value: Members, name: str, path: str
) -> Iterator[Violation | tuple[str, Any]]:
    """The items of an optional array with their paths; or that it is none."""
    held = value.get(name)
    if held is None:
        return
    if not isinstance(held, list):
        yield must(id, f"{path}.{name}", "must be an array.")
        return
    yield from ((f"{path}.{name}[{place}]", each) for place, each in enumerate(held))


def others(value: Members, known: frozenset[str], path: str) -> Iterator[Violation]:
    """The extension of an object, and members that the standard does not know."""
    for name in value:
        if name not in known and name != "extension":
            where = f"{path}.{name[:60]}"
            text = "is not in the standard; additions belong into extension."
            yield note("X-1", where, text)
    held = value.get("extension")
    if held is None:
        return
    if not isinstance(held, dict):
        yield must("X-2", f"{path}.extension", "must be an object.")
        return
    for name in held:
        if not is_reverse_domain(name):
            text = f"the key {name[:40]!r} is not unique, as org.example.name would be."
            yield should("X-3", f"{path}.extension", text)
