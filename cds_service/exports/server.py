"""A FHIR server that is read whole: pages of a search, asked for until they come."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any, Protocol

from ..fhir.backend_services import TokenFailure
from ..fhir.client import FhirPool
from ..fhir.entries import is_resource, next_link
from ..fhir.foreign_text import outcome_text
from ..http.addresses import Base, Reach, resolve
from ..http.bodies import parse_body
from ..http.exchange import PASSING, OutgoingRequest, ReadFailure, Response, send
from ..http.pacing import TEMPORARY, Backoff, parse_retry_after, seconds_until_reset

LONGEST_WAIT = 900.0
"""Seconds that are waited because a server asks for it; for more a command stops."""
GONE = (400, 404, 410)
"""What servers answer for a page that they no longer keep."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a server, as messages name it."""

    kind: str
    """The resource type, such as ``Patient``."""

    @property
    def many(self) -> str:
        """Several of them, in a sentence."""
        return f"{self.kind.lower()}s"

    @property
    def scopes(self) -> tuple[str, str]:
        """What lets all be searched, and how SMART 1 calls that."""
        return f"system/{self.kind}.rs", f"system/{self.kind}.read"


class ServerFailure(Exception):
    """A page could not be had; the message is a sentence."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Credentials(Protocol):
    """Where tokens come from."""

    def token(self) -> str:
        """Return the token to send; empty for none."""

    def renew(self, refused: str) -> str:
        """Return another token than the refused one, or the same if there is none."""


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that was given, or none."""

    value: str = field(default="", repr=False)

    def token(self) -> str:
        """Return the token."""
        return self.value

    def renew(self, refused: str) -> str:
        """Return the same: there is no other."""
        return self.value


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Time and chance."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = SystemRandom().random


@dataclass(frozen=True, slots=True)
class Manners:
    """How a server is asked."""

    backoff: Backoff = Backoff()
    rate: float = 0.0
    """Requests a second at most; 0 for no limit of our own."""
    seconds: float = 60.0
    """For one answer until its last byte."""
    ca_file: str = ""


class _Trouble(Exception):
    """An attempt that failed."""

    def __init__(
        self,
        message: str,
        status: int = 0,
        passing: bool = False,
        again_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.passing = passing
        self.again_after = again_after


class FhirServer:
    """A FHIR server, asked politely, one request at a time."""

    def __init__(
        self,
        base: Base,
        wanted: Wanted,
        credentials: Credentials,
        pool: FhirPool,
        manners: Manners = Manners(),
        clockwork: Clockwork = Clockwork(),
        waits: Callable[[str], None] = lambda text: None,
    ) -> None:
        """*waits* is told why and how long nothing is asked."""
        self.base = base
        self.wanted = wanted
        self.credentials = credentials
        self._pool = pool
        self._manners = manners
        self._clockwork = clockwork
        self._waits = waits
        self._not_before = 0.0

    def page(self, address: str) -> Mapping[str, Any]:
        """Return the Bundle at an address. Raises ServerFailure."""
        failed = 0
        while True:
            try:
                return self._bundle(self._ask(address))
            except _Trouble as trouble:
                failed += 1
                if not trouble.passing or failed >= self._manners.backoff.max_attempts:
                    tried = f" (asked {failed} times)" if failed > 1 else ""
                    raise ServerFailure(f"{trouble}{tried}", trouble.status) from None
                self._wait(failed, trouble)

    def following(self, page: Mapping[str, Any], address: str) -> str:
        """Return the address of the page after *page*; empty where it is the last.

        Raises ServerFailure for an address outside the base.
        """
        link = next_link(page)
        if link is None:
            return ""
        target = resolve(self.base, link, address)
        if target is None:
            raise ServerFailure(
                f"The server says that the next page is outside {self.base}; it is not "
                f"asked there, where the token and the {self.wanted.many} are nobody's "
                "business."
            )
        if target == address:
            raise ServerFailure("The server says that the next page is the same again.")
        return target

    def _wait(self, failed: int, trouble: _Trouble) -> None:
        asked = trouble.again_after
        if asked is not None and asked > LONGEST_WAIT:
            message = f"{trouble} It asks to be left alone for {asked:.0f} seconds."
            raise ServerFailure(message, trouble.status) from None
        pause = self._manners.backoff.pause(failed, asked, self._clockwork.random)
        self._waits(f"waiting {pause:.0f} s: {trouble}")
        self._clockwork.sleep(pause)

    def _ask(self, address: str) -> Response:
        try:
            token = self.credentials.token()
            answer = self._send(address, token)
            if answer.status == 401:
                renewed = self.credentials.renew(token)
                if renewed != token:
                    answer = self._send(address, renewed)
            return answer
        except TokenFailure as failure:
            raise _Trouble(
                str(failure), passing=failure.passing, again_after=failure.again_after
            ) from None
        except ReadFailure as failure:
            message = f"The server could not be read: {failure.reason}."
            if failure.reason == "size limit":
                message = f"A page is too large; ask for fewer {self.wanted.many} with "
                message += "--count."
            passing = failure.reason in PASSING
            raise _Trouble(message, passing=passing) from None

    def _send(self, address: str, token: str) -> Response:
        pause = self._not_before - self._clockwork.seconds()
        if pause > 0:
            self._waits(f"waiting {pause:.0f} s: no more may be asked before")
            self._clockwork.sleep(pause)
        started = self._clockwork.seconds()
        if self._manners.rate:
            self._not_before = started + 1 / self._manners.rate
        headers = {"Accept": "application/fhir+json, application/json;q=0.9"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = OutgoingRequest(
            address,
            headers,
            seconds=self._manners.seconds,
            reach=Reach.LOCAL,
            ca_file=self._manners.ca_file,
        )
        answer = send(self._pool, request)
        reset = seconds_until_reset(answer.headers, self._clockwork.now())
        if 0 < reset <= LONGEST_WAIT:
            again = self._clockwork.seconds() + reset
            self._not_before = max(self._not_before, again)
        return answer

    def _bundle(self, answer: Response) -> Mapping[str, Any]:
        value, reason = parse_body(answer.content)
        if answer.status != 200:
            raise self._refusal(answer, value)
        if reason == "HTML":
            raise _Trouble(
                f"{self.base} answers with an HTML page, not with FHIR; is it the base "
                "address of the FHIR server, and nobody's login in between?"
            )
        if reason:
            message = f"A page is cut off or no JSON ({reason})."
            raise _Trouble(message, passing=True)
        if is_resource(value, "OperationOutcome"):
            said = outcome_text(value) or "it does not say why"
            many = self.wanted.many
            raise _Trouble(f"The server answers without {many}: {said}.")
        entries = value.get("entry", []) if is_resource(value, "Bundle") else None
        if not isinstance(entries, list):
            raise _Trouble("The server answers with something other than a Bundle.")
        found: Mapping[str, Any] = value
        return found

    def _refusal(self, answer: Response, value: Any) -> _Trouble:
        status = answer.status
        if 300 <= status < 400:
            message = f"leads elsewhere (HTTP {status}), which is not followed; name "
            message += "the address it is at"
        elif status == 401 and not self.credentials.token():
            message = "asks for a token (HTTP 401); give --bearer-file, or --client-id "
            message += "with --key"
        elif status in _REFUSALS:
            newer, older = self.wanted.scopes
            message = _REFUSALS[status].format(
                many=self.wanted.many, newer=newer, older=older
            )
        else:
            message = f"answers with HTTP {status}"
        said = outcome_text(value)
        told = f"{self.base} {message}{f': {said}' if said else ''}."
        now = self._clockwork.now()
        again = parse_retry_after(answer.headers.get("Retry-After"), now)
        return _Trouble(told, status, status in TEMPORARY, again)


_REFUSALS = {
    401: "does not accept the token (HTTP 401); it may be over, or be for another "
    "server",
    403: "does not permit a search of {many} with this token (HTTP 403); it takes the "
    "scope {newer}, or {older}",
    404: "has no {many} to search (HTTP 404); is it the base address of the FHIR "
    "server?",
}
