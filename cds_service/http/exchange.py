"""Requests to other servers, bounded in time and size: many GETs, or a single one.

No redirect is followed. What fails is named by a constant phrase in which neither
patient data nor a token can stand, and the library's own exceptions, in which they can,
go no further than this module.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from socket import socket
from threading import Lock, Timer
from time import monotonic
from typing import Any, Self

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, SSLError
from urllib3 import Retry
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, InvalidHeader, ReadTimeoutError

from .addresses import Reach
from .bodies import parse_body
from .connections import AddressRefused, ConnectionPool, cut, set_waiter

_CHUNK = 65_536
_RETRY = Retry(total=2, allowed_methods=["GET"], status_forcelist=[429, 502, 503, 504])
_BACKOFF_SECONDS = 0.05
_UNSAID = (401, 403)
"""Refusals of the token, which no other form of a query changes."""
READABLE_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")


class ReadFailure(Exception):
    """A read that failed; ``reason`` is a constant phrase, such as ``HTTP 503``.

    Where a server refused it, ``status`` is what it answered, and ``outcome`` the JSON
    that came with it, which may name the patient: it is for reading, never for telling.
    """

    def __init__(self, reason: str, status: int = 0, outcome: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.outcome = outcome


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
    """What fhirclient takes for its session: GETs until a point in time.

    One per CDS request; several threads may use it at once.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        limits: ReadLimits,
        reach: Reach = Reach.PUBLIC,
        ca_file: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """*headers* go with every request, beside those of its own."""
        self._session = pool.session(reach)
        self._headers = headers or {}
        self._verify = ca_file or True
        self._limits = limits
        self._ends = 0.0
        self._stopped = threading.Event()
        self._stopped.set()
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[HTTPConnection, socket | None]] = {}

    def start(self, ends: float) -> None:
        """Let GETs run until *ends*, as ``time.monotonic`` counts."""
        self._ends = ends
        self._stopped.clear()

    def stop(self) -> None:
        """Let no more GETs run, and cut off those that still wait."""
        with self._lock:
            self._stopped.set()
            for connection, waiting in self._waiting.values():
                if getattr(connection, "exchange", None) is self:
                    cut(waiting)

    def get(self, url: str, headers: Mapping[str, str]) -> GetOutcome:
        """Return the answer with status 200. Raises ReadFailure for any other."""
        headers = {**headers, **self._headers}
        for failed in range(int(_RETRY.total or 0) + 1):
            attempt = self._ask(url, headers)
            if not attempt.reason:
                return attempt
            if attempt.again_after is None:
                break
            pause = max(attempt.again_after, _BACKOFF_SECONDS * 2**failed)
            if pause >= self._left() or self._stopped.wait(pause):
                break
        if not attempt.refused:
            raise ReadFailure(attempt.reason)
        outcome, _ = parse_body(attempt.content)
        raise ReadFailure(attempt.reason, attempt.status_code, outcome)

    def wait_on(self, connection: HTTPConnection) -> None:
        """Note that this thread awaits an answer on *connection*."""
        with self._lock:
            connection.exchange = self  # type: ignore[attr-defined]
            # A connection forgets its socket where the answer closes it.
            self._waiting[threading.get_ident()] = connection, connection.sock
            if self._stopped.is_set():
                cut(connection.sock)

    @property
    def over(self) -> bool:
        """Whether nothing may be asked any more."""
        return self._left() <= 0

    def _left(self) -> float:
        return 0.0 if self._stopped.is_set() else self._ends - monotonic()

    def _ask(self, url: str, headers: Mapping[str, str]) -> GetOutcome:
        left = self._left()
        if left <= 0:
            return GetOutcome(reason="timeout")
        set_waiter(self)
        try:
            with self._session.get(
                url,
                headers=headers,
                stream=True,
                timeout=(min(left, self._limits.connect_seconds), left),
                allow_redirects=False,
                verify=self._verify,
            ) as response:
                return self._read(response)
        except AddressRefused:
            return GetOutcome(reason="address refused")
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # ValueError: what http.client makes of a negative chunk.
            return self._failed(error)
        finally:
            set_waiter(None)
            with self._lock:
                self._waiting.pop(threading.get_ident(), None)

    def _read(self, response: requests.Response) -> GetOutcome:
        status = response.status_code
        if 300 <= status < 400:
            return GetOutcome(reason="redirect refused", status_code=status)
        if status != 200:
            return self._refusal(response)
        encoding = response.headers.get("Content-Encoding", "")
        if encoding.strip().lower() not in READABLE_ENCODINGS:
            return GetOutcome(reason="unreadable encoding")
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > self._limits.bytes:
                return GetOutcome(reason="size limit")
            if self._left() <= 0:
                break
        if self._left() <= 0:
            # A body that ends where the connection does looks whole when it is cut.
            return GetOutcome(reason="timeout")
        return GetOutcome(content=bytes(content))

    def _refusal(self, response: requests.Response) -> GetOutcome:
        status = response.status_code
        header = response.headers.get("Retry-After")
        again_after = None
        if _RETRY.is_retry("GET", status, has_retry_after=header is not None):
            again_after = 0.0
            with suppress(InvalidHeader):
                again_after = _RETRY.parse_retry_after(header) if header else 0.0
        said = b""
        if again_after is None and status not in _UNSAID:
            with suppress(requests.RequestException, HTTPError, OSError, ValueError):
                said = next(response.iter_content(_CHUNK), b"")
        return GetOutcome(said, f"HTTP {status}", status, True, again_after)

    def _failed(self, error: Exception) -> GetOutcome:
        reason = _why(error, late=self._left() <= 0)
        broken = reason == _BROKEN and isinstance(error, OSError)
        return GetOutcome(reason=reason, again_after=0.0 if broken else None)


# A single request, the whole answer of which is wanted: status, headers, body


_BROKEN = "connection failed"
PASSING = frozenset({"timeout", _BROKEN, "connection closed early"})
"""Reasons for which asking again may help."""

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """What is asked, and how much may come of it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    """What to post; without it the request is a GET."""
    seconds: float = 60.0
    """Until the last byte."""
    bytes: int = 64 * 1024 * 1024
    """Of the body after decompression."""
    ca_file: str = ""
    """PEM file of the authorities to trust instead of the usual ones."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Found by their names in any case."""
    content: bytes


def send(session: requests.Session, request: OutgoingRequest) -> Response:
    """Return the answer to one request over a session of a ConnectionPool.

    It is not repeated: whoever asks decides what an answer means.

    Raises ReadFailure where none came, or not all of it.
    """
    limit = _TimeLimit(request.seconds)
    try:
        with limit, session.request(
            "GET" if request.form is None else "POST",
            request.url,
            headers=dict(request.headers),
            data=request.form,
            stream=True,
            timeout=(min(_CONNECT_SECONDS, request.seconds), request.seconds),
            allow_redirects=False,
            verify=request.ca_file or True,
        ) as response:
            content = _read(response, request.bytes)
            if limit.over:
                # A body that ends where the connection does looks whole when cut.
                raise ReadFailure("timeout")
            return Response(response.status_code, response.headers, content)
    except AddressRefused:
        raise ReadFailure("address refused") from None
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        # ValueError: what http.client makes of a negative chunk.
        # From None: what the libraries say holds addresses, and those name patients.
        raise ReadFailure(_why(error, late=limit.over)) from None


def _read(response: requests.Response, most: int) -> bytes:
    encoding = response.headers.get("Content-Encoding", "")
    if encoding.strip().lower() not in READABLE_ENCODINGS:
        raise ReadFailure("unreadable encoding")
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > most:
            raise ReadFailure("size limit")
    return bytes(content)


class _TimeLimit:
    """Cuts the connection that this thread waits on when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds
        self._lock = Lock()
        self._waiting: socket | None = None
        self._timer = Timer(seconds, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        set_waiter(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        set_waiter(None)
        with self._lock:
            self._waiting = None

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return monotonic() >= self._ends

    def wait_on(self, connection: HTTPConnection) -> None:
        """Note that this thread awaits an answer on *connection*."""
        with self._lock:
            self._waiting = connection.sock
            if self.over:
                cut(connection.sock)

    def _stop(self) -> None:
        with self._lock:
            cut(self._waiting)


# What fails, in either


def _why(error: Exception, *, late: bool) -> str:
    """The phrase for a failure; *late* where the time was over."""
    cause = error.args[0] if error.args else None
    slow = (requests.Timeout, ReadTimeoutError)
    if late or isinstance(error, slow) or isinstance(cause, ReadTimeoutError):
        return "timeout"
    if isinstance(error, SSLError):
        return "TLS failure"
    if isinstance(error, ContentDecodingError):
        return "unreadable encoding"
    if isinstance(error, ChunkedEncodingError):
        return "connection closed early"
    return _BROKEN
