"""What may stand between ``{{`` and ``}}`` of a prefetch template.

Source: CDS Hooks 3.0.0 "Prefetch tokens", "Prefetch tokens containing Simpler
FHIRPath".
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

_USERS = {
    "userPractitionerId": "Practitioner",
    "userPractitionerRoleId": "PractitionerRole",
    "userPatientId": "Patient",
    "userRelatedPersonId": "RelatedPerson",
}
_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|`[^`]+`)"
_ROOT = re.compile(r"%?context(?=\.|$)|%(?P<key>`[^`]+`|[A-Za-z0-9_-]+)")
_STEP = re.compile(
    r"\.(?:ofType\(\s*(?:FHIR\.)?(?P<type>[A-Za-z]+)\s*\)"
    rf"|(?P<resolve>resolve\(\))|(?P<element>{_NAME})(?!\w*\())"
)
_TODAY = re.compile(r"today\(\)\s*(?:([+-])\s*(\d{1,9})\s*days?)?")
_FUNCTION = re.compile(r"\.(\w+)\(")
DATA_TYPES = frozenset(
    "Reference CodeableConcept Coding Quantity Period Range Ratio Identifier HumanName "
    "Address ContactPoint Attachment Annotation Age Timing Dosage Money Meta "
    "Extension Narrative BackboneElement Element".split()
)
"""Types of FHIR that are no resources."""


class BadToken(ValueError):
    """The text is no token; the message says why."""


class BadType(BadToken):
    """``ofType()`` was given something that is no resource type."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a path: an element, ``ofType()`` or ``resolve()``."""

    element: str = ""
    resource_type: str = ""
    resolves: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A way through the context, or through what another key gave."""

    steps: tuple[PathStep, ...]
    key: str = ""
    """The other key; empty for the context."""

    @property
    def is_plain(self) -> bool:
        """Whether it is ``context.<field>``, which clients of any version know."""
        return not self.key and len(self.steps) == 1 and bool(self.steps[0].element)


@dataclass(frozen=True, slots=True)
class Day:
    """``today()`` and so many days."""

    offset: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """The id of the user, if the user is a resource of this type."""

    resource_type: str


Term: TypeAlias = Path | Day | User


def parse_token(text: str) -> tuple[Term, ...]:
    """Return the terms of a token; their values are joined.

    Raises:
        BadToken: if it is outside the grammar.
    """
    return tuple(_term(each.strip()) for each in text.split("|"))


def _term(text: str) -> Term:
    if text in _USERS:
        return User(_USERS[text])
    if text.startswith("today"):
        return _day(text)
    root = _ROOT.match(text)
    if not root:
        raise BadToken(
            "is neither context.<field>, today(), %<key> nor a token of the user"
        )
    steps, place = [], root.end()
    while place < len(text):
        found = _STEP.match(text, place)
        if not found:
            raise _unknown(text[place:])
        steps.append(_step(found))
        place = found.end()
    key = (root["key"] or "").strip("`")
    if not key and not steps:
        raise BadToken("names no field of the context")
    return Path(tuple(steps), key)


def _day(text: str) -> Day:
    found = _TODAY.fullmatch(text)
    if not found:
        raise BadToken("dates are written today(), today() - 90 days, today() + 1 day")
    sign, days = found.groups()
    return Day(int(f"{sign}{days}") if days else 0)


def _step(found: re.Match[str]) -> PathStep:
    if found["resolve"]:
        return PathStep(resolves=True)
    if found["type"]:
        if not found["type"][0].isupper() or found["type"] in DATA_TYPES:
            raise BadType(f"ofType({found['type']}) names no FHIR resource type")
        return PathStep(resource_type=found["type"])
    return PathStep(element=found["element"].strip("`"))


def _unknown(rest: str) -> BadToken:
    function = _FUNCTION.match(rest)
    if function:
        return BadToken(f"{function[1]}() is outside the FHIRPath that templates know")
    return BadToken(f"cannot be read at {rest[:40]!r}")
