"""Where a message came from: the word of a listed proxy, and of nobody else.

Of all headers that proxies send only ``X-Forwarded-For`` is read, and only from the
right, as far as it was written by proxies of the list. ``Forwarded``, and what is said
of host, port and scheme, is never read: the public URL is a setting.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
    """The address a message came from, as far as that is known.

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
    """Whom an address belongs to: itself, or of IPv6 the network of a subscriber."""
    known = parse_address(address or "")
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, PREFIX), strict=False))
    return str(known)


def parse_address(text: str) -> IPAddress | None:
    """An address as proxies write it, with or without port; None if it is none."""
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
