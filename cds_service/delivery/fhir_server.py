"""A FHIR server that is written to: what is asked of it, and what its answers mean.

An answer that may be another when asked again ends a telling for now; one that will
stay as it is ends it for good, in the server's words. Where no answer came to a request
that may have been carried out, nobody knows; only looking tells.

Source: FHIR R4 "RESTful API": update as create, conditional create, version-aware
updates; RFC 9110.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from ..fhir.backend_services import BackendServices, TokenFailure
from ..fhir.client import FhirPool
from ..fhir.entries import is_resource
from ..fhir.foreign_text import outcome_text
from ..fhir.subjects import bundle_resources
from ..http.addresses import Base, ListedServer, Reach
from ..http.bodies import parse_body
from ..http.exchange import OutgoingRequest, ReadFailure, Response, send
from ..http.pacing import TEMPORARY, parse_retry_after
from .records import Declined, Later, Reply, Uncertain

ANSWER_SECONDS = 30.0
"""For one answer, until its last byte."""
LONGEST_ANSWER = 4 * 1024 * 1024
JSON_TYPE = "application/fhir+json"
GONE = (404, 410)
_CREATING = {"create", "update"}
CONFLICT = (409, 412)
_MAYBE_DONE = frozenset({500, 502, 504})
"""What is answered by servers, and by those between, that may have carried it out."""
_PLACE = re.compile(r"/([A-Za-z0-9.-]{1,64})(?:/_history/([^/?#]+))?/?$")
_VERSION = re.compile(r'(?:W/)?"([^"]*)"')


class Stopped(Exception):
    """The telling ends here, for now or for good."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(getattr(reply, "problem", ""))
        self.reply = reply


class OtherVersion(Exception):
    """The server holds another version, or has several such resources, or one."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A resource as the server holds it."""

    id: str
    version: str = ""
    """Of the ETag; empty where the server tells none."""
    new: bool = True
    """Whether it was not there before."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server says that it lets be done."""

    by_id: bool = True
    """Whether a resource can be put under an id of ours that is not there yet."""
    on_condition: bool = True
    """Whether it is created only where nothing like it is there, if that is asked."""
    kinds: frozenset[str] = frozenset({"Observation", "Device", "Provenance"})
    """What may be created."""


def read_abilities(statement: Any) -> Abilities | None:
    """Return what a CapabilityStatement says; None for anything else."""
    if not is_resource(statement, "CapabilityStatement"):
        return None
    resources: dict[str, Mapping[str, Any]] = {}
    for rest in _each(statement.get("rest")):
        if rest.get("mode", "server") == "server":
            for each in _each(rest.get("resource")):
                resources[str(each.get("type"))] = each
    kinds = {
        kind
        for kind, each in resources.items()
        if _CREATING & {it.get("code") for it in _each(each.get("interaction"))}
    }
    told = resources.get("Observation", {})
    return Abilities(
        told.get("updateCreate") is True,
        told.get("conditionalCreate") is True,
        frozenset(kinds),
    )


def _each(value: Any) -> list[Mapping[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, Mapping)]


class WrittenServer:
    """One FHIR server; threads share it."""

    def __init__(
        self,
        base: Base,
        listed: ListedServer,
        pool: FhirPool,
        tokens: BackendServices | None = None,
        seconds: float = ANSWER_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.base = base
        self._reach: Reach = listed.reach
        self._ca_file = listed.ca_file
        self._pool = pool
        self._tokens = tokens
        self._seconds = seconds
        self._clock = clock

    def abilities(self, ends: float) -> Abilities | None:
        """Return what it says that it can do; None where it says nothing usable.

        Raises Stopped where it may say so later.
        """
        answer = self._ask("GET", "metadata", ends)
        if answer.status != 200:
            self._stop_if_passing(answer)
            return None
        return read_abilities(parse_body(answer.content)[0])

    def find(
        self, kind: str, query: Mapping[str, str], ends: float
    ) -> list[Mapping[str, Any]]:
        """Return what a search finds, the oldest first. Raises Stopped."""
        answer = self._ask("GET", f"{kind}?{urlencode(query)}", ends)
        if answer.status != 200:
            raise Stopped(self._refusal(answer, f"a search of {kind}"))
        page = parse_body(answer.content)[0]
        if not is_resource(page, "Bundle"):
            raise Stopped(Later(f"It answers a search of {kind} with no Bundle."))
        found = [each for _, each in bundle_resources([page], kind)]
        return sorted(found, key=_age)

    def read(self, kind: str, id: str, ends: float) -> Mapping[str, Any] | None:
        """Return a resource; None where there is none. Raises Stopped."""
        answer = self._ask("GET", f"{kind}/{id}", ends)
        if answer.status in GONE:
            return None
        value = parse_body(answer.content)[0]
        if answer.status != 200 or not is_resource(value, kind):
            raise Stopped(self._refusal(answer, f"a read of {kind}"))
        found: Mapping[str, Any] = value
        return found

    def put(
        self, resource: Mapping[str, Any], ends: float, version: str = ""
    ) -> Holding | None:
        """Return a resource as it is kept under its id; None where it was deleted.

        Args:
            version: The only one that it may take the place of; empty for any.

        Raises:
            OtherVersion: if another version is there.
            Stopped: if it is not kept, or may not be.
        """
        kind, id = resource["resourceType"], resource["id"]
        headers = {"If-Match": f'W/"{version}"'} if version else {}
        answer = self._ask("PUT", f"{kind}/{id}", ends, resource, headers)
        if answer.status in GONE:
            return None
        # To put the same again is harmless, whatever became of it.
        return self._kept(answer, f"a {kind}", id)

    def create(
        self, resource: Mapping[str, Any], query: Mapping[str, str], ends: float
    ) -> Holding:
        """Return a resource as it is kept under an id of the server's.

        Args:
            query: A search that finds it: where it finds one, that is returned.

        Raises:
            OtherVersion: if there are several.
            Stopped: if it is not kept, or may not be.
        """
        kind = resource["resourceType"]
        body = {name: each for name, each in resource.items() if name != "id"}
        headers = {"If-None-Exist": urlencode(query)} if query else {}
        answer = self._ask("POST", kind, ends, body, headers)
        if answer.status in _MAYBE_DONE:
            message = f"It answers a {kind} with HTTP {answer.status}."
            raise Stopped(Uncertain(message))
        return self._kept(answer, f"a {kind}", "")

    def _ask(
        self,
        method: str,
        path: str,
        ends: float,
        resource: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Response:
        """The answer to one request; a token that is refused is renewed once."""
        try:
            token = self._tokens.token() if self._tokens else ""
            answer = self._send(method, path, ends, resource, headers, token)
            if answer.status == 401 and self._tokens:
                token = self._tokens.renew(token)
                answer = self._send(method, path, ends, resource, headers, token)
        except TokenFailure as failure:
            after = failure.again_after
            wait = None if after is None else timedelta(seconds=after)
            raise Stopped(Later(str(failure), wait)) from None
        except ReadFailure as failure:
            message = f"{self.base}: {failure.reason}."
            unknown = failure.sent and method == "POST"
            reply = Uncertain(message) if unknown else Later(message)
            raise Stopped(reply) from None
        if answer.status == 401:
            raise Stopped(Later(self._told(answer, "does not accept the token")))
        return answer

    def _send(
        self,
        method: str,
        path: str,
        ends: float,
        resource: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        token: str,
    ) -> Response:
        seconds = min(self._seconds, ends - time.monotonic())
        if seconds <= 0:
            raise Stopped(Later("There was no time left to send the request."))
        sent = {"Accept": JSON_TYPE, **headers}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        body = None
        if resource is not None:
            sent |= {"Content-Type": JSON_TYPE, "Prefer": "return=minimal"}
            body = json.dumps(resource, separators=(",", ":")).encode()
        request = OutgoingRequest(
            f"{self.base}/{path}",
            sent,
            body=body,
            method=method,
            seconds=seconds,
            bytes=LONGEST_ANSWER,
            reach=self._reach,
            ca_file=self._ca_file,
        )
        return send(self._pool, request)

    def _kept(self, answer: Response, what: str, id: str) -> Holding:
        if answer.status in CONFLICT:
            raise OtherVersion
        if answer.status not in (200, 201):
            raise Stopped(self._refusal(answer, what))
        kept = read_kept(answer, id)
        if kept is None:
            message = f"It answers {what} with HTTP {answer.status} and names no id."
            raise Stopped(Uncertain(message))
        return kept

    def _stop_if_passing(self, answer: Response) -> None:
        if answer.status in TEMPORARY:
            raise Stopped(self._refusal(answer, "for its CapabilityStatement"))

    def _refusal(self, answer: Response, what: str) -> Reply:
        """What a refusal means: later, or never."""
        told = self._told(answer, f"answers {what} with HTTP {answer.status}")
        if answer.status not in TEMPORARY:
            return Declined(told)
        after = parse_retry_after(answer.headers.get("Retry-After"), self._clock())
        return Later(told, None if after is None else timedelta(seconds=after))

    def _told(self, answer: Response, what: str) -> str:
        said = outcome_text(parse_body(answer.content)[0])
        return f"{self.base} {what}{f': {said}' if said else ''}."


def read_kept(answer: Response, id: str) -> Holding | None:
    """Return as what a resource is kept, by the head or the body of an answer."""
    headers = answer.headers
    place = headers.get("Location") or headers.get("Content-Location") or ""
    found = _PLACE.search(place)
    value = parse_body(answer.content)[0] if answer.content else None
    body: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if not found and not id and isinstance(body.get("id"), str):
        id = body["id"]
    if not id:
        if not found:
            return None
        id = found[1]
    etag = _VERSION.fullmatch(headers.get("ETag", "").strip())
    meta = body.get("meta")
    told = meta.get("versionId") if isinstance(meta, Mapping) else ""
    version = etag[1] if etag else (found[2] if found else "") or told or ""
    return Holding(id, str(version), answer.status == 201)


def _age(resource: Mapping[str, Any]) -> tuple[str, str]:
    meta = resource.get("meta")
    told = meta.get("lastUpdated") if isinstance(meta, Mapping) else ""
    return str(told or ""), str(resource.get("id"))
