"""Prefetch templates filled from whatever holds the chart.

Source: CDS Hooks 3.0.0 "Prefetch Template", "Example prefetch data".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ..protocol.prefetch_tokens import Filling, Unfillable, fill_template

Fetch: TypeAlias = Callable[[str], tuple[int, Any]]
"""Status and body of a GET below the FHIR base; raises ``Unread``."""

_QUERY = re.compile(r"[A-Z][A-Za-z]*(?:/(?!\$)[^/?]+(?:\?[^?]*)?|(\?)[^?]+)")


class Unread(Exception):
    """The FHIR server gave nothing that can be used; the message says why."""


@dataclass(slots=True)
class Prefetched:
    """What was filled, and what was not."""

    values: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Prefetch key to the reason."""
    queries: dict[str, str] = field(default_factory=dict)
    """Prefetch key to what was asked."""
    failed: set[str] = field(default_factory=set)
    """The keys of ``values`` that hold the OperationOutcome of a failure."""

    @property
    def is_complete(self) -> bool:
        """Whether every template was answered, and with all its pages."""
        whole = not any(has_next(each) for each in self.values.values())
        return whole and not self.left_out and not self.failed


def fill_templates(
    templates: Mapping[str, Any],
    filling: Filling,
    fetch: Fetch,
    errors_as_outcome: bool = False,
) -> Prefetched:
    """Every template answered, in the order given.

    A read that finds nothing is null. A template that cannot be filled, or whose query
    fails, is left out; a failure may be told by an OperationOutcome instead.
    """
    done = Prefetched()
    known: dict[str, Any] = {}

    def read(reference: str) -> Any:
        if reference not in known:
            known[reference] = _read(reference, fetch)
        return known[reference]

    for key, template in templates.items():
        now = replace(filling, answered=done.values, read=read)
        try:
            query = fill_template(str(template), now).lstrip("/")
            done.queries[key] = query
            done.values[key] = _answer(query, fetch)
        except Unfillable as error:
            done.left_out[key] = str(error)
        except Unread as error:
            if errors_as_outcome:
                done.values[key] = error.args[1] if len(error.args) > 1 else _outcome()
                done.failed.add(key)
            else:
                done.left_out[key] = str(error.args[0])
    return done


def has_next(value: Any) -> bool:
    """Whether a Bundle says that there are more pages."""
    links = value.get("link") if isinstance(value, Mapping) else None
    return isinstance(links, list) and any(
        isinstance(each, Mapping) and each.get("relation") == "next" for each in links
    )


def _answer(query: str, fetch: Fetch) -> Any:
    shape = _QUERY.fullmatch(query)
    if shape is None:
        raise Unread("it is neither a read nor a search")
    searches = bool(shape[1])
    status, body = fetch(query)
    if status in (404, 410) and not searches:
        return None
    kind = body.get("resourceType") if isinstance(body, Mapping) else None
    if status != 200:
        outcome = (body,) if kind == "OperationOutcome" else ()
        raise Unread(f"the FHIR server answered {status}", *outcome)
    if kind == "OperationOutcome":
        raise Unread("the FHIR server answered with an OperationOutcome", body)
    wanted = "Bundle" if searches else query.partition("/")[0]
    if kind != wanted:
        raise Unread(f"the FHIR server answered with something else than a {wanted}")
    return body


def _read(reference: str, fetch: Fetch) -> Any:
    try:
        return _answer(reference, fetch)
    except Unread:
        return None


def _outcome() -> dict[str, Any]:
    text = "The FHIR server could not be read."
    issue = {"severity": "error", "code": "transient", "details": {"text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
