"""Violation: one rule that is not kept, how binding it is, and where it shows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Level(StrEnum):
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
    level: Level
    path: str
    """Where: ``$.cards[0].indicator``, ``Content-Type``, or empty for the whole."""
    text: str
    """One sentence; repeats no more than a few words of what came."""
    since: tuple[int, int] | None = None
    """The version that first had the rule, where its id alone does not tell."""

    def as_json(self) -> dict[str, str]:
        """The violation as plain data."""
        return {
            "id": self.id,
            "level": self.level.value,
            "path": self.path,
            "text": self.text,
        }


def must(id: str, path: str, text: str) -> Violation:
    """A rule that binds."""
    return Violation(id, Level.MUST, path, text)


def should(id: str, path: str, text: str) -> Violation:
    """A rule that is recommended."""
    return Violation(id, Level.SHOULD, path, text)


def note(id: str, path: str, text: str) -> Violation:
    """Something worth knowing."""
    return Violation(id, Level.NOTE, path, text)


def as_of(version: str, found: Iterable[Violation]) -> list[Violation]:
    """What was found, told to a service of *version* of the standard.

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
    if spoken is None or since is None or spoken >= since or each.level is Level.NOTE:
        return each
    text = f"{each.text} (a rule since {since[0]}.{since[1]})"
    return replace(each, level=Level.NOTE, text=text)


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
