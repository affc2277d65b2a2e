"""What a change of a rule means for its version.

Patch: text and governance. Minor: limits narrower or wider. Major: what is asked.
"""

from dataclasses import dataclass
from enum import IntEnum


class VersionStep(IntEnum):
    """How far a version must move; larger is further."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One way in which a rule differs from what it was."""

    file: str
    """Of the new rule, in its folder."""
    line: int
    text: str
    step: VersionStep
    effect: str = ""
    """``narrower``, ``wider`` or ``either way``; empty where it does not apply."""


def moved(old: str, new: str) -> VersionStep:
    """The step from one version to the next; NONE if it is the same or lower."""
    was, now = _parts(old), _parts(new)
    if now <= was:
        return VersionStep.NONE
    for index, step in enumerate((VersionStep.MAJOR, VersionStep.MINOR)):
        if now[index] != was[index]:
            return step
    return VersionStep.PATCH


def following(version: str, step: VersionStep) -> str:
    """The least version that is *step* further."""
    major, minor, patch = _parts(version)
    if step is VersionStep.MAJOR:
        return f"{major + 1}.0.0"
    if step is VersionStep.MINOR:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}" if step is VersionStep.PATCH else version


def is_lower(new: str, old: str) -> bool:
    """Return whether a version went back."""
    return _parts(new) < _parts(old)


def _parts(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch
