"""Requests to other servers, bounded in time and size: many GETs, or a single one.

No redirect is followed. What fails is named by a constant phrase in which neither
patient data nor a token can stand, and the library's own exceptions, in which they can,
go no further than this module.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from socket import socket
from ssl import SSLError
from threading import Lock, Timer
from time import monotonic
from typing import Any, Protocol, Self
from urllib.parse import urlencode

from urllib3 import HTTPResponse, Retry
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    InvalidHeader,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as TlsError

from .addresses import Base, Reach, locate, request_target
from .bodies import parse_body
from .connections import FRESH, AddressRefused, ConnectionPool, Peer, cut

_CHUNK = 65_536
_RETRY = Retry(total=2, allowed_methods=["GET"], status_forcelist=[429, 502, 503, 504])
_BACKOFF_SECONDS = 0.05
_UNSAID = (401, 403)
"""Refusals of the token, which no other form of a query changes."""
READABLE_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
_ALWAYS = {"User-Agent": "cds-service", "Accept-Encoding": "gzip", **FRESH}
"""Headers of every request."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class ReadFailure(Exception):
    """A read that failed; ``reason`` is a constant phrase, such as ``HTTP 503``.

    Where a server refused it, ``status`` is what it answered, and ``outcome`` the JSON
    that came with it, which may name the patient: it is for reading, never for telling.
    """

    def __init__(
        self, reason: str, status: int = 0, outcome: Any = None, sent: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        """Whether the request may have reached the server, and been carried out."""
        self.status = status
        self.outcome = outcome


# One request and its answer, in either of the two ways of asking below


class _Waiter(Protocol):
    """Whoever says how long an answer is waited for, and can end the wait."""

    @property
    def left(self) -> float:
        """Seconds that are left; none or less where nothing may be asked any more."""

    def wait_on(self, waiting: socket | None) -> None:
        """Note what this thread awaits an answer on; None for nothing any more."""


class _Exchange:
    """One request and its answer, over a connection of the pool.

    The connection is given back where the answer was read to its end. Else it is
    closed: what is left of one answer is never read as the next one.
    """

    def __init__(self, pool: ConnectionPool, peer: Peer, waiter: _Waiter) -> None:
        self._pool = pool
        self._peer = peer
        self._waiter = waiter
        self._connection: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._is_whole = False
        self.sent = False
        """Whether any of the request may have reached the server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # First of all: what is given back is another's, and not to be cut off.
        self._waiter.wait_on(None)
        if self._connection is not None and self._is_whole:
            self._pool.give_back(self._peer, self._connection)
            return
        for each in (self._connection, self._response):
            if each is not None:
                each.close()

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect_seconds: float = 10.0,
    ) -> HTTPResponse:
        """Return the answer once its head came. Raises AddressRefused, or a failure."""
        waiter = self._waiter
        connection = self._connection = self._pool.take(self._peer)
        if connection.is_closed:
            connection.timeout = max(0.001, min(connect_seconds, waiter.left))
            connection.connect()
        left = waiter.left
        if left <= 0:
            # Names may be slow to resolve and handshakes slow to end, and neither can
            # be cut off: nothing is sent, the token least of all, for nobody.
            raise TimeoutError
        connection.timeout = left
        waiter.wait_on(connection.sock)
        self.sent = True
        with suppress(BrokenPipeError):  # it may have answered before it closed
            connection.request(
                method,
                target,
                body=body,
                headers={**_ALWAYS, **headers},
                preload_content=False,
            )
        self._response = connection.getresponse()
        return self._response

    def read(self, most: int) -> tuple[bytes, str]:
        """Return the body after decompression, and why it is not all of it.

        Of a body of more than *most* bytes, so many or a few more were read.
        """
        assert self._response is not None
        encoding = self._response.headers.get("Content-Encoding", "")
        if encoding.strip().lower() not in READABLE_ENCODINGS:
            return b"", "unreadable encoding"
        content = bytearray()
        for chunk in self._response.stream(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > most:
                return bytes(content), "size limit"
            if self._waiter.left <= 0:
                break
        if self._waiter.left <= 0:
            # A body that ends where the connection does looks whole when it is cut.
            return b"", "timeout"
        self._is_whole = True
        return bytes(content), ""


_FAILURES = (AddressRefused, HTTPException, HTTPError, OSError, ValueError)
"""What asking and reading raise. ValueError: what http.client makes of a negative chunk
and ``ssl`` of a certificate."""
_BROKEN = "connection failed"
PASSING = frozenset({"timeout", _BROKEN, "connection closed early"})
"""Reasons for which asking again may help."""


def _why(error: Exception, *, late: bool) -> str:
    """The phrase for a failure; *late* where the time was over."""
    if isinstance(error, AddressRefused):
        return "address refused"
    if late or isinstance(error, (TimeoutError, ReadTimeoutError)):
        return "timeout"
    if isinstance(error, (SSLError, TlsError)):
        return "TLS failure"
    if isinstance(error, DecodeError):
        return "unreadable encoding"
    if isinstance(error, ProtocolError):
        return "connection closed early"
    return _BROKEN


# Many GETs to one server until a point in time


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much one GET may bring, and how long a connection may take."""

    bytes: int = 8 * 1024 * 1024
    """Of a body after decompression."""
    connect_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class GetOutcome:
    """What one GET came to; ``content`` is all of the body where reason is empty."""

    content: bytes = b""
    reason: str = ""
    status_code: int = 200
    refused: bool = False
    """Whether the server answered, and not with what was asked for; ``content`` is then
    what it says about that, as far as it came."""
    again_after: float | None = None
    """Seconds after which asking again may help; none where it would not."""


class DeadlineSession:
    """What fhirclient takes for its session: GETs from one server, until a deadline.

    One per CDS request; several threads may use it at once.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        base: Base,
        limits: ReadLimits,
        reach: Reach = Reach.PUBLIC,
        ca_file: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """*headers* go with every request, beside those of its own."""
        self._pool = pool
        self._peer = Peer(base.scheme, base.host, base.port, reach, ca_file)
        self._origin = base.origin
        self._headers = headers or {}
        self._limits = limits
        self._ends = 0.0
        self._stopped = threading.Event()
        self._stopped.set()
        self._lock = Lock()
        self._waiting: dict[int, socket] = {}

    def start(self, ends: float) -> None:
        """Let GETs run until *ends*, as ``time.monotonic`` counts."""
        self._ends = ends
        self._stopped.clear()

    def stop(self) -> None:
        """Let no more GETs run, and cut off those that still wait."""
        with self._lock:
            self._stopped.set()
            for waiting in self._waiting.values():
                cut(waiting)

    def get(self, url: str, headers: Mapping[str, str]) -> GetOutcome:
        """Return the answer with status 200. Raises ReadFailure for any other."""
        rest = url.removeprefix(self._origin)
        if rest == url or rest[:1] not in ("", "/", "?"):
            raise ReadFailure("cannot be asked")
        target = request_target(rest)
        headers = {**headers, **self._headers}
        for failed in range(int(_RETRY.total or 0) + 1):
            attempt = self._ask(target, headers)
            if not attempt.reason:
                return attempt
            if attempt.again_after is None:
                break
            pause = max(attempt.again_after, _BACKOFF_SECONDS * 2**failed)
            if pause >= self.left or self._stopped.wait(pause):
                break
        if not attempt.refused:
            raise ReadFailure(attempt.reason)
        outcome, _ = parse_body(attempt.content)
        raise ReadFailure(attempt.reason, attempt.status_code, outcome)

    def wait_on(self, waiting: socket | None) -> None:
        """Note what this thread awaits an answer on; None for nothing any more."""
        with self._lock:
            if waiting is None:
                self._waiting.pop(threading.get_ident(), None)
                return
            self._waiting[threading.get_ident()] = waiting
            if self._stopped.is_set():
                cut(waiting)

    @property
    def left(self) -> float:
        """Seconds that are left; none or less where nothing may be asked any more."""
        return 0.0 if self._stopped.is_set() else self._ends - monotonic()

    def _ask(self, target: str, headers: Mapping[str, str]) -> GetOutcome:
        if self.left <= 0:
            return GetOutcome(reason="timeout")
        with _Exchange(self._pool, self._peer, self) as exchange:
            try:
                response = exchange.ask(
                    "GET",
                    target,
                    headers,
                    connect_seconds=self._limits.connect_seconds,
                )
            except _FAILURES as error:
                reason = _why(error, late=self.left <= 0)
                return GetOutcome(
                    reason=reason, again_after=0.0 if reason == _BROKEN else None
                )
            try:
                return self._read(exchange, response)
            except _FAILURES as error:
                return GetOutcome(reason=_why(error, late=self.left <= 0))

    def _read(self, exchange: _Exchange, response: HTTPResponse) -> GetOutcome:
        status = response.status
        if 300 <= status < 400:
            return GetOutcome(reason="redirect refused", status_code=status)
        if status != 200:
            return self._refusal(exchange, response)
        content, reason = exchange.read(self._limits.bytes)
        return GetOutcome(b"" if reason else content, reason)

    def _refusal(self, exchange: _Exchange, response: HTTPResponse) -> GetOutcome:
        status = response.status
        header = response.headers.get("Retry-After")
        again_after = None
        if _RETRY.is_retry("GET", status, has_retry_after=header is not None):
            again_after = 0.0
            with suppress(InvalidHeader):
                again_after = _RETRY.parse_retry_after(header) if header else 0.0
        said = b""
        if again_after is None and status not in _UNSAID:
            with suppress(*_FAILURES):
                said, _ = exchange.read(_CHUNK)
        return GetOutcome(said, f"HTTP {status}", status, True, again_after)


# A single request, the whole answer of which is wanted: status, headers, body


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """What is asked, and how much may come of it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    """What to post as a form."""
    body: bytes | None = None
    """What to post as it stands; the headers say what it is."""
    method: str = ""
    """Where it is another than POST of what there is to send, or GET of nothing."""
    seconds: float = 60.0
    """Until the last byte."""
    bytes: int = 64 * 1024 * 1024
    """Of the body after decompression."""
    reach: Reach = Reach.PUBLIC
    """How far inside the addresses of the server may lie."""
    ca_file: str = ""
    """PEM file of the authorities to trust instead of the usual ones."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Found by their names in any case."""
    content: bytes


def send(pool: ConnectionPool, request: OutgoingRequest) -> Response:
    """Return the answer to one request.

    It is not repeated: whoever asks decides what an answer means.

    Raises ReadFailure where none came, or not all of it.
    """
    located = locate(request.url)
    if located is None:
        raise ReadFailure("cannot be asked")
    base, target = located
    peer = Peer(base.scheme, base.host, base.port, request.reach, request.ca_file)
    headers, body = dict(request.headers), request.body
    if request.form is not None:
        headers |= _FORM
        body = urlencode(request.form).encode()
    limit = _TimeLimit(request.seconds)
    reason = ""
    exchange = _Exchange(pool, peer, limit)
    with limit, exchange:
        try:
            usual = "GET" if body is None else "POST"
            response = exchange.ask(request.method or usual, target, headers, body)
            content, reason = exchange.read(request.bytes)
        except _FAILURES as error:
            reason = _why(error, late=limit.left <= 0)
    if reason:
        # Not from the error: what the libraries say holds addresses and names patients.
        raise ReadFailure(reason, sent=exchange.sent)
    return Response(response.status, response.headers, content)


class _TimeLimit:
    """Cuts off what this thread waits on when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._lock = Lock()
        self._waiting: socket | None = None
        self._timer = Timer(seconds, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self._ends - monotonic()

    def wait_on(self, waiting: socket | None) -> None:
        """Note what this thread awaits an answer on; None for nothing any more."""
        with self._lock:
            self._waiting = waiting
            if waiting is not None and self.left <= 0:
                cut(waiting)

    def _stop(self) -> None:
        with self._lock:
            if self._waiting is not None:
                cut(self._waiting)
