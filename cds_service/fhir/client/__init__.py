"""The EHR's FHIR server, read with fhirclient inside narrow bounds.

No address outside the base is asked, no redirect is followed, the token goes nowhere
else and outlives no request.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fhirclient.auth import FHIRAuth
from fhirclient.server import FHIRServer

from ...http.addresses import (
    Base,
    ListedServer,
    Reach,
    covers,
    inside,
    parse_base,
    resolve,
)
from ...http.bodies import parse_body
from ...http.connections import (
    ConnectionPool,
    Log,
    Resolve,
    keep_quiet,
    resolve_by_system,
)
from ...http.exchange import DeadlineSession, ReadFailure, ReadLimits
from ...protocol.requests import HookRequest
from ..entries import is_resource, next_link
from ..forms import Form
from ..questions import is_search
from ..scopes import parse_scope
from .asking import AskedServer, Habits, Spent, search

__all__ = ["FhirLimits", "FhirPool", "FhirReader", "open_reader"]

_TOKEN = re.compile(r"[\x21-\x7e]*")

_new_server: Any = FHIRServer
_new_auth: Any = FHIRAuth.create


@dataclass(frozen=True, slots=True)
class FhirLimits(ReadLimits):
    """How much one query may bring; once its pages pass ``bytes``, no more is asked."""

    pages: int = 20
    resources: int = 5_000


class FhirPool(ConnectionPool):
    """The process's connections to FHIR servers, and the threads that read from them.

    They know no token and no cookie, but how servers want to be asked.
    """

    def __init__(
        self,
        size: int = 64,
        resolve: Resolve = resolve_by_system,
        log: Log = keep_quiet,
    ) -> None:
        """*size* is how many reads may be under way at once."""
        super().__init__(size, resolve, log)
        self.habits = Habits()
        self.threads = ThreadPoolExecutor(size, "fhir")

    def close(self) -> None:
        """Close every idle connection, and end every thread that waits for work."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        super().close()


class FhirReader:
    """Reads one FHIR server for one CDS request; is never shared or kept."""

    def __init__(
        self,
        base: Base,
        token: str,
        scope: str,
        pool: FhirPool,
        limits: FhirLimits,
        reach: Reach = Reach.PUBLIC,
        ca_file: str = "",
        forms: Sequence[Form] = (),
        traceparent: str = "",
    ) -> None:
        self.base = base
        self.scope = scope
        self.threads = pool.threads
        self._limits = limits
        self._halves: list[int] = []
        self._statuses: list[int] = []
        told = {"traceparent": traceparent} if traceparent else {}
        self._exchange = DeadlineSession(pool, base, limits, reach, ca_file, told)
        self._client = _new_server(None, base_uri=f"{base}/")
        self._client.session = self._exchange
        if token:
            state = {"app_id": "cds-service", "access_token": token}
            self._client.auth = _new_auth("oauth2", state=state)
        self._server = AskedServer(
            str(base),
            parse_scope(scope),
            self,
            pool.threads,
            pool.habits,
            forms,
            pool.log,
        )

    def __repr__(self) -> str:
        return f"FhirReader({self.base})"

    @property
    def halves(self) -> int:
        """How many halves of characters were replaced in what came."""
        return sum(self._halves)

    @property
    def token_refused(self) -> bool:
        """Whether the server refused the token (401), and gave nothing for it."""
        return 401 in self._statuses and 200 not in self._statuses

    @contextmanager
    def until(self, ends: float) -> Iterator[None]:
        """Let reads run until *ends*, as ``time.monotonic`` counts.

        Whatever still waits when the block is left is cut off.
        """
        self._exchange.start(ends)
        try:
            yield
        finally:
            self._exchange.stop()

    def pages(self, query: str) -> Iterator[Any]:
        """Yield the pages that *query*, relative to the base, gives; plain JSON.

        Raises ReadFailure where one cannot be had, after yielding those before it.
        """
        if is_search(query):
            yield from search(self._server, query)
        else:
            yield self.first(query, Spent())

    def pages_after(self, page: Any, query: str) -> Iterator[Any]:
        """Yield the pages after *page*, which came in the prefetch for *query*."""
        yield from self.rest(query, page, Spent())

    def first(self, query: str, spent: Spent) -> Any:
        """Return the first page of *query* as it is written. Raises ReadFailure."""
        if spent.bytes >= self._limits.bytes:
            raise ReadFailure("size limit")
        return self._get(self._address(query), spent)

    def rest(self, query: str, page: Any, spent: Spent) -> Iterator[Any]:
        """Yield the pages after *page* of *query*.

        Raises ReadFailure where one cannot be had, after yielding those before it.
        """
        link = next_link(page)
        if link is None:
            return
        address = self._address(query)
        seen, resources = {address}, _entries(page)
        while link is not None:
            following = resolve(self.base, link, address)
            if following is None:
                raise ReadFailure("page link refused")
            if following in seen:
                raise ReadFailure("pages repeat")
            if len(seen) >= self._limits.pages:
                raise ReadFailure("page limit")
            if spent.bytes >= self._limits.bytes or resources >= self._limits.resources:
                raise ReadFailure("size limit")
            address = following
            seen.add(address)
            page = self._get(address, spent)
            if not is_resource(page, "Bundle"):
                outcome = is_resource(page, "OperationOutcome")
                raise ReadFailure("OperationOutcome" if outcome else "wrong shape")
            resources += _entries(page)
            yield page
            link = next_link(page)

    def _address(self, query: str) -> str:
        address = inside(self.base, f"{self.base}/{query}")
        if address is None:
            raise ReadFailure("cannot be asked")
        return address

    def _get(self, address: str, spent: Spent) -> Any:
        try:
            content: bytes = self._client.request_data(address)
        except ReadFailure as failure:
            self._statuses.append(failure.status)
            raise
        self._statuses.append(200)
        spent.bytes += len(content)
        value, reason = parse_body(content, self._halves.append)
        if reason:
            raise ReadFailure(reason)
        return value


def open_reader(
    hook_request: HookRequest,
    allowed_servers: Collection[ListedServer],
    open_servers: Collection[ListedServer],
    pool: FhirPool,
    limits: FhirLimits = FhirLimits(),
    forms: Sequence[Form] = (),
    traceparent: str = "",
) -> FhirReader | None:
    """Return a reader of the request's FHIR server; none where it may not be read.

    Without a token only *open_servers* may be read, with one *allowed_servers* too.
    *forms* say how the server wants to be asked, where that is known. *traceparent*
    is told to it with every question, unless it is empty.
    Source: CDS Hooks 3.0.0 "FHIR Resource Access".
    """
    granted = hook_request.fhir_authorization
    token = granted.access_token if granted else ""
    base = parse_base(hook_request.fhir_server or "")
    if base is None or not _TOKEN.fullmatch(token):
        return None
    if granted and granted.expires_in is not None and granted.expires_in <= 0:
        return None
    servers = [*open_servers, *(allowed_servers if token else ())]
    listed = [each for each in servers if _lists(each, base)]
    if not listed:
        return None
    reach = max(each.reach for each in listed)
    ca_file = next((each.ca_file for each in listed if each.ca_file), "")
    scope = granted.scope if granted and token else ""
    return FhirReader(
        base, token, scope, pool, limits, reach, ca_file, forms, traceparent
    )


def _lists(server: ListedServer, base: Base) -> bool:
    listed = parse_base(server.url)
    return listed is not None and covers(listed, base)


def _entries(page: Any) -> int:
    entries = page.get("entry") if isinstance(page, dict) else None
    return len(entries) if isinstance(entries, list) else 0
