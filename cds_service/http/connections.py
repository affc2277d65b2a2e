"""Connections to other servers, each to an address that was looked at before.

A name is resolved once, where a connection is opened: every address that it gives must
be one that the server may be reached at, and the connection goes to one of those, so
that no second answer of the name's owner can lead it elsewhere. TLS and the ``Host``
header keep to the name.

Connections are urllib3's, and kept here rather than in its pools: those write every
address anew before they ask for it, which takes longer than all the rest of a request.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from socket import IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, gaierror, getaddrinfo, socket
from ssl import CERT_REQUIRED, SSLContext
from time import monotonic
from typing import Any, NamedTuple

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

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


class AddressRefused(Exception):
    """A server's name leads to where the server may not be."""


class Peer(NamedTuple):
    """A server as it is connected to.

    Who may not reach it so far inside, or trusts other authorities, names another peer,
    and finds no connection to this one.
    """

    scheme: str
    host: str
    port: int
    reach: Reach
    """How far inside its addresses may lie."""
    ca_file: str = ""
    """PEM file of the authorities that vouch for it; empty for the public ones."""


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
        """*size* is how many connections are kept while nobody uses them."""
        _silence_urllib3()
        self.log = log
        self._size = size
        self._doors = {reach: _Door(reach, resolve, log) for reach in Reach}
        self._lock = threading.Lock()
        self._idle: deque[tuple[Peer, HTTPConnection]] = deque()
        self._closed = False

    def take(self, peer: Peer) -> HTTPConnection:
        """Return a connection to *peer* for one who asks; it may have to be opened."""
        while (connection := self._find(peer)) is not None:
            if connection.is_connected:
                return connection
            # Its server has closed it, or has said something that nobody asked for.
            connection.close()
        door = self._doors[peer.reach]
        return (_TlsConnection if peer.scheme == "https" else _Connection)(peer, door)

    def give_back(self, peer: Peer, connection: HTTPConnection) -> None:
        """Keep a connection whose answer was read to its end, for who asks next."""
        if connection.is_closed:
            return
        with self._lock:
            surplus = connection if self._closed else None
            if surplus is None:
                self._idle.append((peer, connection))
                if len(self._idle) > self._size:
                    _, surplus = self._idle.popleft()
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close every idle connection, and each that is given back later."""
        with self._lock:
            self._closed = True
            idle = [connection for _, connection in self._idle]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _find(self, peer: Peer) -> HTTPConnection | None:
        """The idle connection to *peer* that was used last, if there is one."""
        with self._lock:
            for at in range(len(self._idle) - 1, -1, -1):
                if self._idle[at][0] == peer:
                    _, connection = self._idle[at]
                    del self._idle[at]
                    return connection
        return None


def cut(waiting: socket) -> None:
    """End the wait of whatever thread reads from the socket."""
    with suppress(OSError):
        # The plain shutdown: that of a TLS socket is not for another thread.
        socket.shutdown(waiting, SHUT_RDWR)


class _Door:
    """Opens sockets to the addresses that servers of one reach may have."""

    def __init__(self, reach: Reach, resolve: Resolve, log: Log) -> None:
        self._reach = reach
        self._resolve = resolve
        self._log = log
        self._quiet_until: dict[str, float] = {}

    def open(self, connection: HTTPConnection) -> socket:
        """Return a socket to one of the host's addresses, all of which were looked at.

        Raises AddressRefused, and OSError where none answers.
        """
        host, port = connection.host, connection.port
        addresses = list(self._resolve(host, port))
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
        raise failure

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


class _Connection(HTTPConnection):
    def __init__(self, peer: Peer, door: _Door, **kwargs: Any) -> None:
        super().__init__(peer.host, peer.port, **kwargs)
        self._door = door

    def _new_conn(self) -> socket:
        return self._door.open(self)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS: what it adds runs before what urllib3 does for TLS."""

    def __init__(self, peer: Peer, door: _Door) -> None:
        if peer.ca_file:
            # Read for each connection: a file that was renewed counts.
            trust = {"cert_reqs": CERT_REQUIRED, "ca_certs": peer.ca_file}
        else:
            trust = {"ssl_context": _public_authorities()}
        super().__init__(peer, door, **trust)


@cache
def _public_authorities() -> SSLContext:
    """Read once: it is a long file."""
    context = create_urllib3_context(cert_reqs=CERT_REQUIRED)
    context.load_verify_locations(certifi.where())
    return context


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
