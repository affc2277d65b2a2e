"""GETs to a FHIR server as an EHR makes them: below its base, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..http.addresses import Base, resolve
from ..http.connections import FRESH
from ..protocol.conformance import read_json
from .exchange import PATIENCE, Unanswered, exchange
from .prefetch import Unread

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
        """Status and body of a read or search relative to the base.

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
        """Adds the pages that follow; what could not be had stays as the next link."""
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
