"""Prefetch templates filled from whatever holds the chart, a FHIR server for one.

Source: CDS Hooks 3.0.0 "Prefetch Template", "Example prefetch data".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ..http.addresses import Base, resolve
from ..http.connections import FRESH
from ..protocol.conformance import read_json
from ..protocol.prefetch_tokens import Filling, Unfillable, fill_template
from .exchange import PATIENCE, Unanswered, exchange

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
    """Return every template answered, in the order given.

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
    """Check whether a Bundle says that there are more pages."""
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


# A FHIR server, asked below its base and by GET alone

MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class FhirSource:
    """A FHIR server that is asked by GET alone."""

    base: Base
    token: str = field(default="", repr=False)
    all_pages: bool = False
    """Whether the pages of a search become one Bundle."""
    patience: float = PATIENCE

    def fetch(self, query: str) -> tuple[int, Any]:
        """Return status and body of a read or search relative to the base.

        Raises:
            Unread: if the answer is no JSON, or none came, or it leads elsewhere.
        """
        url = resolve(self.base, query, f"{self.base}/")
        if url is None:
            raise Unread("it leads away from the FHIR server")
        status, body = self._get(url)
        if self.all_pages and status == 200 and isinstance(body, dict):
            self._follow(url, body)
        return status, body

    def _get(self, url: str) -> tuple[int, Any]:
        headers = {"Accept": "application/fhir+json", **FRESH}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            reply = exchange("GET", url, headers=headers, patience=self.patience)
        except Unanswered as error:
            raise Unread(str(error).rstrip(".")) from error
        if 300 <= reply.status < 400:
            raise Unread(f"the FHIR server redirects ({reply.status})")
        body = read_json(reply.content)
        if not body.is_json and reply.status == 200:
            raise Unread("the FHIR server did not answer in JSON")
        return reply.status, body.value

    def _follow(self, url: str, bundle: dict[str, Any]) -> None:
        """Add the pages that follow; what could not be had stays as the next link."""
        seen, link = {url}, _next(bundle)
        while link and len(seen) < MOST_PAGES:
            following = resolve(self.base, link, url)
            if following is None or following in seen:
                break
            seen.add(following)
            try:
                status, page = self._get(following)
            except Unread:
                break
            if status != 200 or not isinstance(page, dict):
                break
            if page.get("resourceType") != "Bundle":
                break
            entries = page.get("entry")
            if isinstance(entries, list):
                bundle["entry"] = [*(bundle.get("entry") or []), *entries]
            url, link = following, _next(page)
        _set_next(bundle, link)


def _links(bundle: Mapping[str, Any]) -> list[Any]:
    links = bundle.get("link")
    return links if isinstance(links, list) else []


def _next(bundle: Mapping[str, Any]) -> str:
    for each in _links(bundle):
        if isinstance(each, Mapping) and each.get("relation") == "next":
            return str(each.get("url") or "")
    return ""


def _set_next(bundle: dict[str, Any], link: str) -> None:
    links = [
        each
        for each in _links(bundle)
        if not (isinstance(each, Mapping) and each.get("relation") == "next")
    ]
    if link:
        links.append({"relation": "next", "url": link})
    bundle.pop("link", None)
    if links:
        bundle["link"] = links
