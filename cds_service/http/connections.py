"""Connections to other servers, each to an address that was looked at before.

A name is resolved once, where a connection is opened: every address that it gives must
be one that the server may be reached at, and the connection goes to one of those, so
that no second answer of the name's owner can lead it elsewhere. TLS and the ``Host``
header keep to the name.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from socket import IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, gaierror, getaddrinfo, socket
from time import monotonic
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.connection import create_connection

from .addresses import Reach, advice, refused_kind

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host, as text; raises OSError where there is none."""
Log = Callable[..., object]
"""Takes an event and its facts; patient data is never among them."""

FRESH: Mapping[str, str] = {"Cache-Control": "no-cache"}
"""Headers that ask for what is so now: servers answer an equal search from what they
kept, and a medicine of a minute ago is not in it. Source: RFC 9111 §5.2.1.4.
"""

_SECONDS_BETWEEN_WARNINGS = 60.0

_thread = threading.local()


class AddressRefused(Exception):
    """A server's name leads to where the server may not be."""


class Waiter(Protocol):
    """Whoever wants to know on which connection a thread waits."""

    def wait_on(self, connection: HTTPConnection) -> None:
        """Note that this thread awaits an answer on *connection*."""

    @property
    def over(self) -> bool:
        """Whether nothing may be asked any more."""


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return the addresses of *host*, as the operating system finds them."""
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    except UnicodeError as error:
        raise gaierror(str(error)) from error
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def keep_quiet(event: str, **facts: object) -> None:
    """Log nothing."""


class ConnectionPool:
    """The process's connections to other servers. They know no token and no cookie."""

    def __init__(
        self,
        size: int = 64,
        resolve: Resolve = resolve_by_system,
        log: Log = keep_quiet,
    ) -> None:
        """*size* is how many reads may be under way at once."""
        _silence_urllib3()
        self.log = log
        # One session a reach: who may not reach a place finds no connection to it.
        self._sessions = {
            reach: _session(_Door(reach, resolve, log), size) for reach in Reach
        }

    def session(self, reach: Reach) -> requests.Session:
        """Return the connections to servers whose addresses may lie so far inside."""
        return self._sessions[reach]

    def close(self) -> None:
        """Close every idle connection."""
        for session in self._sessions.values():
            session.close()


def set_waiter(waiter: Waiter | None) -> None:
    """Tell *waiter* from now on what this thread waits on."""
    _thread.waiter = waiter


def cut(waiting: socket | None) -> None:
    """End the wait of whatever thread reads from the socket."""
    if waiting is not None:
        with suppress(OSError):
            # The plain shutdown: that of a TLS socket is not for another thread.
            socket.shutdown(waiting, SHUT_RDWR)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: else requests reads the body of every redirect, without a limit, to
        prepare a request that nobody sends.
        """
        return None


def _session(door: "_Door", size: int) -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = "cds-service"
    session.headers["Accept-Encoding"] = "gzip"
    session.headers.update(FRESH)
    adapter = _Adapter(door, size)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _Door:
    """Opens sockets to the addresses that servers of one reach may have."""

    def __init__(self, reach: Reach, resolve: Resolve, log: Log) -> None:
        self._reach = reach
        self._resolve = resolve
        self._log = log
        self._quiet_until: dict[str, float] = {}

    def open(self, connection: HTTPConnection) -> socket:
        """Return a socket to one of the host's addresses, all of which were looked at.

        Raises AddressRefused, and urllib3's errors where none answers.
        """
        host, port = connection.host, connection.port
        try:
            addresses = list(self._resolve(host, port))
        except OSError as error:
            named = gaierror(*error.args)
            raise NameResolutionError(host, connection, named) from error
        self._refuse_elsewhere(host, addresses)
        return self._connect(connection, addresses)

    def _refuse_elsewhere(self, host: str, addresses: Sequence[str]) -> None:
        for address in addresses:
            kind = refused_kind(host, address, self._reach)
            if kind:
                self._warn(host, address, kind)
                raise AddressRefused(kind)

    def _connect(self, connection: HTTPConnection, addresses: Sequence[str]) -> socket:
        ends = monotonic() + float(connection.timeout or 0)
        failure = OSError("the name has no address")
        for index, address in enumerate(addresses):
            # One that does not answer leaves their share of time to those after it.
            share = max(0.001, ends - monotonic()) / (len(addresses) - index)
            try:
                return create_connection(
                    (address, connection.port),
                    share,
                    connection.source_address,
                    connection.socket_options,
                )
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(connection, "timeout") from failure
        raise NewConnectionError(connection, "no address answers") from failure

    def _warn(self, host: str, address: str, kind: str) -> None:
        now = monotonic()
        if now < self._quiet_until.get(host, now):
            return
        self._quiet_until[host] = now + _SECONDS_BETWEEN_WARNINGS
        self._log(
            "FHIR server not asked",
            host=host,
            address=address,
            problem=f"the address is {kind}",
            help=advice(kind),
        )


def _note_wait(connection: HTTPConnection) -> None:
    waiter: Waiter | None = getattr(_thread, "waiter", None)
    if waiter is not None:
        waiter.wait_on(connection)


def _refuse_late(connection: HTTPConnection) -> None:
    """Let nothing be sent, the token least of all, once nobody waits for an answer.

    Names may be slow to resolve and handshakes slow to end, and neither can be cut off.
    """
    waiter: Waiter | None = getattr(_thread, "waiter", None)
    if waiter is not None and waiter.over:
        connection.close()
        raise ConnectTimeoutError(connection, "timeout")


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, door: _Door, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door

    def _new_conn(self) -> socket:
        return self._door.open(self)

    def connect(self) -> None:
        super().connect()
        _refuse_late(self)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _note_wait(self)
        return super().getresponse()


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS: what it adds runs before what urllib3 does for TLS."""


class _Connections(HTTPConnectionPool):
    kind = _Connection

    def __init__(self, *args: Any, door: _Door, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ConnectionCls = partial(self.kind, door=door)  # type: ignore


class _TlsConnections(_Connections, HTTPSConnectionPool):
    kind = _TlsConnection


class _Adapter(HTTPAdapter):
    def __init__(self, door: _Door, size: int) -> None:
        self._door = door
        super().__init__(pool_connections=size, pool_maxsize=size)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Connections, door=self._door),
            "https": partial(_TlsConnections, door=self._door),
        }


def _silence_urllib3() -> None:
    """Withholds what urllib3 says: it says addresses, and those name patients.

    By filters: a level is set back wherever somebody turns logging up.
    """
    for name in list(logging.root.manager.loggerDict):
        if name == "urllib3" or name.startswith("urllib3."):
            logger = logging.getLogger(name)
            if _withhold not in logger.filters:
                logger.addFilter(_withhold)


def _withhold(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
