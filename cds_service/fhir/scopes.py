"""What a SMART scope lets us ask. Pure.

Source: SMART App Launch 1.0 and 2.2, "Scopes for requesting FHIR Resources".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl

_SCOPE = re.compile(
    r"(?:patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]*)"
    r"\.(?P<verbs>read|write|\*|c?r?u?d?s?)(?:\?(?P<filter>.+))?",
    re.ASCII,
)
_VERBS = {"read": "rs", "write": "cud", "*": "cruds"}


class Grant(Enum):
    """What may be asked about a resource type."""

    FULL = "in scope"
    NARROWED = "narrowed by scope"
    NONE = "not in scope"


@dataclass(frozen=True, slots=True)
class _Scope:
    type: str
    verbs: str
    filter: str


def grant(scope: str, query: str) -> Grant:
    """What *scope* lets the filled query, a search or a read, find.

    A scope text that cannot be read grants everything: the FHIR server decides.
    """
    asked = [token for token in scope.split() if "/" in token]
    scopes = list(_parsed(asked))
    if not scopes or len(scopes) < len(asked):
        return Grant.FULL
    path, _, parameters = query.partition("?")
    verb = "r" if "/" in path else "s"
    fits = [
        each
        for each in scopes
        if each.type in ("*", path.partition("/")[0]) and verb in each.verbs
    ]
    if not fits:
        return Grant.NONE
    narrowed = all(_adds(each.filter, parameters) for each in fits)
    return Grant.NARROWED if narrowed else Grant.FULL


def _parsed(tokens: list[str]) -> Iterator[_Scope]:
    for token in tokens:
        match = _SCOPE.fullmatch(token)
        if match and match["verbs"]:
            verbs = _VERBS.get(match["verbs"], match["verbs"])
            yield _Scope(match["type"], verbs, match["filter"] or "")


def _adds(constraint: str, parameters: str) -> bool:
    """Whether a scope's constraint asks for more than the query itself does."""
    return not set(parse_qsl(constraint)) <= set(parse_qsl(parameters)) or (
        bool(constraint) and not parse_qsl(constraint)
    )
