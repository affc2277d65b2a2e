"""One request to a server the whole answer of which is wanted: status, headers, body.

It is bounded in time and size, follows no redirect and is not repeated: whoever asks
decides what an answer means. What fails is named as in ``exchange``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from socket import socket
from threading import Lock, Timer
from time import monotonic
from typing import Self

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, SSLError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from .connections import AddressRefused, cut, set_waiter
from .exchange import READABLE_ENCODINGS, ReadFailure

PASSING = frozenset({"timeout", "connection failed", "connection closed early"})
"""Reasons for which asking again may help."""

_CHUNK = 65_536
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Request:
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


def send(session: requests.Session, request: Request) -> Response:
    """The answer to one request over a session of a ConnectionPool.

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
        raise ReadFailure(_reason(error, limit)) from None


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
        """Notes that this thread awaits an answer on *connection*."""
        with self._lock:
            self._waiting = connection.sock
            if self.over:
                cut(connection.sock)

    def _stop(self) -> None:
        with self._lock:
            cut(self._waiting)


def _reason(error: Exception, limit: _TimeLimit) -> str:
    cause = error.args[0] if error.args else None
    slow = (requests.Timeout, ReadTimeoutError)
    if limit.over or isinstance(error, slow) or isinstance(cause, ReadTimeoutError):
        return "timeout"
    if isinstance(error, SSLError):
        return "TLS failure"
    if isinstance(error, ContentDecodingError):
        return "unreadable encoding"
    if isinstance(error, ChunkedEncodingError):
        return "connection closed early"
    return "connection failed"
