"""Who a caller is, how much of the server one may take, for how long a call may take.

An address is the word of a listed proxy, and of nobody else. Of all headers that
proxies send only ``X-Forwarded-For`` is read, and only from the right, as far as it was
written by proxies of the list. ``Forwarded``, and what is said of host, port and
scheme, is never read: the public URL is a setting.

Each worker counts for itself, in memory: to refuse a flood must not cost a row in the
database for each of its messages. Addresses are counted by the refusals they met, never
by their calls, since a whole hospital may call from behind one.
"""

import ipaddress
import math
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import NotFound

from ..config import Config
from ..protocol.errors import Throttled, Unavailable
from .layers import Layer

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
PREFIX = 64
"""Bits of an IPv6 address that tell subscribers apart."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Those whose word is taken."""

    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def of(cls, listed: Iterable[str]) -> "Proxies":
        """From addresses and networks, such as ``10.0.0.0/8``."""
        return cls(tuple(ipaddress.ip_network(each) for each in listed))

    def __contains__(self, address: IPAddress) -> bool:
        return any(address in network for network in self.networks)


def find_address(environ: Mapping[str, Any], proxies: Proxies) -> str | None:
    """Return the address a message came from, as far as that is known.

    It is a name to count under, not a proof: whoever is behind the first address that
    is no listed proxy shares it.
    """
    nearest = parse_address(str(environ.get("REMOTE_ADDR", "")))
    if nearest is None:
        return None
    said = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    while nearest in proxies and said:
        before = parse_address(said.pop())
        if before is None:
            break
        nearest = before
    return str(nearest)


def find_network(address: str | None) -> str:
    """Return whom an address belongs to: itself, or IPv6's network of a subscriber."""
    known = parse_address(address or "")
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, PREFIX), strict=False))
    return str(known)


def parse_address(text: str) -> IPAddress | None:
    """Return an address as proxies write it, with a port or not; else None."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


PATHS = re.compile(r"/(cds-services|wearables)(/|\Z)")
OVERLOADED = "cds_service.overloaded"
"""The WSGI variable of a request for which no thread is free; no header can set it."""
MOST_KEYS = 50_000
"""Callers that are remembered; who comes with more addresses makes it forget."""
MINUTE = 60.0

Clock = Callable[[], float]
"""Seconds that never run backwards."""


class Allowance:
    """So many a minute for each key: as many at once, then each when it is earned."""

    def __init__(
        self, per_minute: int, clock: Clock = time.monotonic, most: int = MOST_KEYS
    ) -> None:
        """Allow *per_minute*; with 0 everything."""
        self._interval = MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._most = most
        self._full_at: dict[Hashable, float] = {}
        """When each key has its whole allowance again."""
        self._lock = threading.Lock()

    def wait(self, key: Hashable) -> float:
        """Return seconds until the key may again; 0 if it may now."""
        with self._lock:
            return self._wait(key, self._clock())

    def take(self, key: Hashable) -> float:
        """Take one if there is one: 0; else the seconds until there is."""
        with self._lock:
            now = self._clock()
            seconds = self._wait(key, now)
            if not seconds and self._interval:
                self._forget(now)
                before = self._full_at.get(key, now)
                self._full_at[key] = max(before, now) + self._interval
            return seconds

    def _wait(self, key: Hashable, now: float) -> float:
        if not self._interval:
            return 0.0
        owed = self._full_at.get(key, now) - now
        # Earned to within a millisecond is earned: sums of intervals are not exact.
        seconds = owed - (MINUTE - self._interval)
        return seconds if seconds > 0.001 else 0.0

    def _forget(self, now: float) -> None:
        """Keep the memory bounded, at a cost that is small on average."""
        if len(self._full_at) < self._most:
            return
        owing = {key: at for key, at in self._full_at.items() if at > now}
        self._full_at = owing if len(owing) <= self._most // 2 else {}


class CallerLimits:
    """What each caller has left, in this worker."""

    def __init__(self, config: Config, clock: Clock = time.monotonic) -> None:
        self._calls = Allowance(config.rate_limit, clock)
        self._refusals = Allowance(config.refusal_limit, clock)
        self._told = Allowance(1, clock)

    def admit(self, kind: str, name: str) -> None:
        """Let a caller do one thing more.

        Raises:
            Throttled: if it did too much.
        """
        self._stop((kind, name), self._calls.take((kind, name)))

    def admit_address(self, address: str) -> None:
        """Let a message in of which nothing is known but where it came from.

        Raises:
            Throttled: if too many from there were not recognised.
        """
        self._stop(("refusals", address), self._refusals.wait(address))

    def count_refusal(self, address: str) -> None:
        """Remember that somebody from there was not recognised."""
        self._refusals.take(address)

    def _stop(self, key: Hashable, seconds: float) -> None:
        if seconds:
            again = self._told.take(key) > 0
            raise Throttled(math.ceil(seconds), again=again)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when a call is worth an answer."""

    at: float
    clock: Clock = time.monotonic

    @classmethod
    def of(cls, config: Config, clock: Clock = time.monotonic) -> "Deadline":
        """Return the deadline of a call that begins now."""
        allowed = config.gather_deadline_ms + config.answer_deadline_ms
        return cls(clock() + allowed / 1000, clock)

    def is_over(self) -> bool:
        """Check whether it is too late: nobody waits for these cards any more."""
        return self.clock() > self.at


def is_plain(environ: Mapping[str, Any]) -> bool:
    """Return whether the path stands in the request letter by letter.

    No path of ours has a character that has to be escaped, or an empty step. A proxy
    that keeps a path from somebody compares letters; the same path in other letters
    would pass it.
    """
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    path = _AUTHORITY.sub("", target.partition("?")[0])
    return "%" not in path and "//" not in path


_AUTHORITY = re.compile(r"\Ahttps?://[^/]*", re.IGNORECASE)
"""What a request to a proxy has before its path (RFC 9112, 3.2.2)."""


def limit_requests(app: Flask, config: Config) -> Layer:
    """Refuse, before anything is read, whom there is no room for."""
    limits = app.extensions["cds_limits"] = CallerLimits(config)
    proxies = Proxies.of(config.trusted_proxies)

    def admit() -> None:
        if not is_plain(request.environ):
            raise NotFound()
        request.remote_addr = find_address(request.environ, proxies)
        if request.method == "OPTIONS" or not PATHS.match(request.path):
            return
        if request.environ.get(OVERLOADED):
            raise Unavailable("The server is busy. Try again.")
        network = find_network(request.remote_addr)
        limits.admit_address(network)
        if request.method != "POST":
            limits.admit("address", network)

    def count(response: Response) -> Response:
        if response.status_code == 401:
            limits.count_refusal(find_network(request.remote_addr))
        return response

    return Layer(admit, count)


def admit(kind: str, name: str) -> None:
    """Let a caller, who proved who it is, make one call more.

    Raises:
        Throttled: if it made too many.
    """
    limits: CallerLimits = current_app.extensions["cds_limits"]
    limits.admit(kind, name)
