"""What to ask: for each prefetch key what came with the call, and what it lacks. Pure.

A template is filled and encoded, and asks for nothing that the token's scope denies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from ..protocol.requests import HookRequest
from .chart import SourceQuery
from .entries import next_link
from .scopes import Grant, Scope, grant

_TOKEN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_SAFE = "/?&=:,$%*!'();@~"
"""What a template may hold as it is; a pipe or a space is encoded."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """What was obtained for one prefetch key, before it is read."""

    pages: tuple[Any, ...] = ()
    """As it came: the value of the key, or the pages of a search, in order."""
    why: str = ""
    """Why nothing came, or why more may exist; a constant phrase."""
    origin: str = ""
    """``prefetch`` or ``fhir``."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prefetch key."""

    query: SourceQuery
    came: Obtained
    """With the call; all of it where nothing is asked for."""
    asks: str = ""
    """The query for what is lacking; empty where nothing is, or it may not be asked."""
    narrowed: str = ""
    """Why the answer may lack some of what there is."""


def plan(
    asked: Sequence[SourceQuery],
    hook_request: HookRequest,
    scope: Scope | None,
    why_unread: str,
) -> tuple[Question, ...]:
    """Return the question of each key.

    *scope* is what may be asked; none where no server can be, and *why_unread* says
    why.

    Source: CDS Hooks 3.0.0 "Prefetch Template".
    """
    return tuple(_question(each, hook_request, scope, why_unread) for each in asked)


def _question(
    query: SourceQuery,
    hook_request: HookRequest,
    scope: Scope | None,
    why_unread: str,
) -> Question:
    if query.key in hook_request.prefetch:
        pages = (hook_request.prefetch[query.key],)
        if next_link(pages[0]) is None:
            return Question(query, Obtained(pages, "", "prefetch"))
        if scope is None:
            why = "more pages, not fetched"
            return Question(query, Obtained(pages, why, "prefetch"))
        return _within(scope, query, pages, "prefetch", hook_request)
    if scope is None:
        return Question(query, Obtained(why=f"not supplied, and {why_unread}"))
    return _within(scope, query, (), "fhir", hook_request)


def _within(
    scope: Scope,
    query: SourceQuery,
    pages: tuple[Any, ...],
    origin: str,
    hook_request: HookRequest,
) -> Question:
    """The question for what *pages* lack, unless it cannot or may not be asked."""
    asks = fill(query.template, hook_request)
    if asks is None:
        return Question(query, Obtained(pages, "cannot be asked", origin))
    if not shows_medications(scope):
        # Those that the query would bring along.
        asks = without(asks, "_include")
    granted = grant(scope, asks)
    if granted is Grant.NONE:
        return Question(query, Obtained(pages, granted.value, origin))
    narrowed = granted.value if granted is Grant.NARROWED else ""
    return Question(query, Obtained(pages, "", origin), asks, narrowed)


def shows_medications(scope: Scope) -> bool:
    """Check whether Medications may be searched or read."""
    asked = ("Medication?_id=", "Medication/id")
    return any(grant(scope, each) is not Grant.NONE for each in asked)


def medication_queries(ids: Sequence[str], scope: Scope) -> list[str]:
    """Return as few queries for the Medications of these ids as the scope allows."""
    if ids and grant(scope, "Medication?_id=") is not Grant.NONE:
        lots = range(0, len(ids), _IDS_PER_SEARCH)
        return [
            f"Medication?_id={','.join(ids[start : start + _IDS_PER_SEARCH])}"
            for start in lots
        ]
    if grant(scope, "Medication/id") is not Grant.NONE:
        return [f"Medication/{each}" for each in ids[:_MOST_READS]]
    return []


_IDS_PER_SEARCH = 50
_MOST_READS = 20
"""Medications that are read one by one, where a token may read and not search."""


def fill(template: str, hook_request: HookRequest) -> str | None:
    """Return the query with every token filled and encoded; none if one has no value.

    Source: CDS Hooks 3.0.0 "Prefetch tokens".
    """
    filled = []
    for index, part in enumerate(_literals_and_tokens(template)):
        if index % 2 == 0:
            filled.append(part)
            continue
        value = _value(part, hook_request)
        if value is None:
            return None
        filled.append(value)
    return "".join(filled)


@lru_cache(maxsize=1024)
def _literals_and_tokens(template: str) -> tuple[str, ...]:
    """The parts of a template in turn, literals encoded; services have a few dozens."""
    parts = _TOKEN.split(template.lstrip("/"))
    parts[::2] = [quote(each, safe=_SAFE) for each in parts[::2]]
    return tuple(parts)


def _value(token: str, hook_request: HookRequest) -> str | None:
    known = {
        "context.patientId": (hook_request.patient_id, ""),
        "context.userId": (hook_request.user_id, "/"),
        "context.encounterId": (hook_request.encounter_id, ""),
    }
    value, safe = known.get(token, (None, ""))
    return quote(value, safe=safe) if value else None


def is_search(query: str) -> bool:
    """Check whether a query or template searches, rather than reads one resource."""
    path, question, _ = query.partition("?")
    return bool(question) or "/" not in path.strip("/")


def with_count(query: str, count: int) -> str:
    """Return the search with a page size."""
    if re.search(r"[?&]_count=", query):
        return query
    return f"{query}{'&' if '?' in query else '?'}_count={count}"


def without(query: str, name: str) -> str:
    """Return the search without a parameter."""
    path, _, parameters = query.partition("?")
    pairs = filter(None, parameters.split("&"))
    kept = [each for each in pairs if each.partition("=")[0] != name]
    return f"{path}?{'&'.join(kept)}" if kept else path
