"""Prefetch templates as queries to ask. Pure."""

import re
from urllib.parse import quote

from ..protocol.requests import HookRequest

_TOKEN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_SAFE = "/?&=:,$%*!'();@~"
"""What a template may hold as it is; a pipe or a space is encoded."""


def fill(template: str, hook_request: HookRequest) -> str | None:
    """The query with every token filled and encoded; none where one has no value.

    Source: CDS Hooks 3.0.0 "Prefetch tokens".
    """
    literals_and_tokens = _TOKEN.split(template.lstrip("/"))
    filled = []
    for index, part in enumerate(literals_and_tokens):
        if index % 2 == 0:
            filled.append(quote(part, safe=_SAFE))
            continue
        value = _value(part, hook_request)
        if value is None:
            return None
        filled.append(value)
    return "".join(filled)


def is_search(query: str) -> bool:
    """Whether a query or template searches, rather than reads one resource."""
    path, question, _ = query.partition("?")
    return bool(question) or "/" not in path.strip("/")


def with_count(query: str, count: int) -> str:
    """The search with a page size."""
    if re.search(r"[?&]_count=", query):
        return query
    return f"{query}{'&' if '?' in query else '?'}_count={count}"


def without(query: str, name: str) -> str:
    """The search without a parameter."""
    path, _, parameters = query.partition("?")
    pairs = filter(None, parameters.split("&"))
    kept = [each for each in pairs if each.partition("=")[0] != name]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _value(token: str, hook_request: HookRequest) -> str | None:
    known = {
        "context.patientId": (hook_request.patient_id, ""),
        "context.userId": (hook_request.user_id, "/"),
        "context.encounterId": (hook_request.encounter_id, ""),
    }
    value, safe = known.get(token, (None, ""))
    return quote(value, safe=safe) if value else None
