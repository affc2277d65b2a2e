"""What a SMART token lets us ask. Pure.

Source: SMART App Launch 1.0 and 2.2, "Scopes for requesting FHIR Resources".
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl

from ..protocol.requests import FhirAuthorization

_SCOPE = re.compile(
    r"(?:patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]*)"
    r"\.(?P<verbs>read|write|\*|c?r?u?d?s?)(?:\?(?P<filter>.*))?",
    re.ASCII,
)
_VERBS = {"read": "rs", "write": "cud", "*": "cruds"}
_CONTEXT = re.compile(r"launch(/.*)?")
"""Asks for a context; says nothing about resources."""


class Grant(Enum):
    """What may be asked about a resource type."""

    FULL = "in scope"
    NARROWED = "narrowed by scope"
    NONE = "not in scope"


@dataclass(frozen=True, slots=True)
class _Permission:
    type: str
    verbs: str
    narrowed: bool
    """Whether it is for some resources of the type only."""
    filter: tuple[tuple[str, str], ...]
    """The parameters that say which; empty where they cannot be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token's scope says about resources."""

    permissions: tuple[_Permission, ...] = ()
    unclear: bool = True
    """Whether some of it, or all, cannot be read."""


def parse_scope(text: str) -> Scope:
    """Return the permissions in *text*, of SMART 1 and 2 in any mixture."""
    permissions = []
    unclear = False
    for token in text.split():
        match = _SCOPE.fullmatch(token)
        if match and match["verbs"]:
            constraint = match["filter"]
            permissions.append(
                _Permission(
                    match["type"],
                    _VERBS.get(match["verbs"], match["verbs"]),
                    constraint is not None,
                    tuple(parse_qsl(constraint or "", keep_blank_values=True)),
                )
            )
        elif "/" in token and not _CONTEXT.fullmatch(token):
            unclear = True
    return Scope(tuple(permissions), unclear or not permissions)


def grant(scope: Scope, query: str) -> Grant:
    """Return what *scope* lets the filled query, a search or a read, find.

    A scope of which something cannot be read grants everything that it does not narrow:
    the FHIR server decides.
    """
    path, _, parameters = query.partition("?")
    kind, _, identifier = path.partition("/")
    verb = "r" if identifier else "s"
    fits = [
        each
        for each in scope.permissions
        if each.type in ("*", kind) and verb in each.verbs
    ]
    if not fits:
        return Grant.FULL if scope.unclear else Grant.NONE
    asked = parse_qsl(parameters, keep_blank_values=True)
    narrowed = all(each.narrowed and not _asks_within(asked, each) for each in fits)
    return Grant.NARROWED if narrowed else Grant.FULL


def why_not_fetched(
    granted: FhirAuthorization | None, client_id: str, seconds: float
) -> str:
    """Return why a token must be left alone; empty where it may be used.

    It has to last for *seconds*. *client_id* is who we are at the client's
    authorization server; empty where that is not known, and then nobody can tell for
    whom the token was made.

    Source: CDS Hooks 3.0.0 "Passing the Access Token to the CDS Service".
    """
    if granted is None:
        return ""
    if is_for_another(granted, client_id):
        return "the token was issued to another client"
    if granted.expires_in is not None and granted.expires_in < max(seconds, 1):
        return "the token expires too soon"
    return ""


def is_for_another(granted: FhirAuthorization | None, client_id: str) -> bool:
    """Check whether the token was issued to a client that we know we are not."""
    return granted is not None and client_id not in ("", granted.subject)


def _asks_within(asked: list[tuple[str, str]], permission: _Permission) -> bool:
    """Return whether the query asks for nothing that the permission leaves out."""
    return bool(permission.filter) and all(
        any(_is_within(name, value, constraint) for name, value in asked)
        for constraint in permission.filter
    )


def _is_within(name: str, value: str, constraint: tuple[str, str]) -> bool:
    if (name, value) == constraint:
        return True
    if name != constraint[0] or ":" in name or "\\" in value + constraint[1]:
        return False
    return set(value.split(",")) <= set(constraint[1].split(","))
