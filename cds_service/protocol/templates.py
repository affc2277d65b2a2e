"""Prefetch templates: whether a client of any version can expand and run them.

Source: CDS Hooks 3.0.0 "Prefetch tokens", "Prefetch query restrictions".
"""

import re
from collections.abc import Iterator, Mapping

from .errors import Problem
from .hooks import HOOKS, Hook, build_own_hook

USER_TOKENS = frozenset(
    {
        "userPractitionerId",
        "userPractitionerRoleId",
        "userPatientId",
        "userRelatedPersonId",
    }
)
"""The tokens that are not fields of the context; known since CDS Hooks 2.0."""

_TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
_READ = re.compile(
    r"[A-Z][A-Za-z]*/[A-Za-z0-9.{}-]+|\{\{context\.(userId|performer)\}\}"
)
_SEARCH = re.compile(r"[A-Z][A-Za-z]*\?([^?]+)")
_PARAMETER = re.compile(
    r"[a-z][A-Za-z0-9-]*(:in)?|_id|_lastUpdated|_count|_maxresults|_sort"
)
_OTHER_PREFIX = re.compile(r"(ne|sa|eb|ap)[0-9]")
_USER_AS_ID = re.compile(r"(/|\b_id=)\{\{context\.(userId|performer)")


def check_templates(hook: str, prefetch: Mapping[str, str]) -> list[Problem]:
    """What keeps clients from running the templates of a service on *hook*."""
    definition = HOOKS.get(hook) or build_own_hook(hook)
    return [
        Problem(f"{template}: {text}", f"$.prefetch.{key}")
        for key, template in prefetch.items()
        for text in (*_in_tokens(template, definition), *problems_in_query(template))
    ]


def _in_tokens(template: str, hook: Hook) -> Iterator[str]:
    known = {field.name for field in hook.fields if field.token}
    required = {field.name for field in hook.required}
    if not {"{", "}"}.isdisjoint(_TOKEN.sub("", template)):
        yield "braces outside a {{token}}"
    for token in _TOKEN.findall(template):
        space, _, name = token.partition(".")
        if token in USER_TOKENS:
            continue
        if space != "context" or not name:
            yield f"{{{{{token}}}}} is neither context.<field> nor a user token"
        elif hook.version and name not in known:
            yield f"{hook.name} has no token {{{{{token}}}}}"
        elif name == "userId" and name not in required:
            yield f"{hook.name} may come without a user"
    if _USER_AS_ID.search(template):
        yield "the token holds Type/id; it cannot stand where an id is meant"


def problems_in_query(template: str) -> Iterator[str]:
    """What leads a query out of the subset that clients widely support."""
    if _READ.fullmatch(template):
        return
    search = _SEARCH.fullmatch(_TOKEN.sub("token", template))
    if not search:
        yield "must be Type/id or Type?query"
        return
    for parameter in search[1].split("&"):
        name, equals, value = parameter.partition("=")
        if not equals or not value:
            yield f"the parameter {name} has no value"
        if not _PARAMETER.fullmatch(name):
            yield f"{name} is outside the widely supported subset"
        if _OTHER_PREFIX.match(value):
            yield f"{value[:2]} is outside the prefixes eq, lt, gt, ge, le"
