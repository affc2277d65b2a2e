"""Which network addresses a server may be reached at. Pure.

A name is somebody's word, and what it resolves to is anybody's: of the addresses that a
name gives only those of the internet are taken, unless the administrator says that the
server stands in a private network. What the allow-list names itself, an address or
``localhost``, is meant.

Source: IANA special-purpose address registries; OWASP "SSRF Prevention".
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


class Reach(IntEnum):
    """How far inside the addresses of a server may lie; a larger value is further."""

    PUBLIC = 0
    """On the internet only."""
    PRIVATE = 1
    """In private networks as well."""
    LOCAL = 2
    """On this machine as well."""


@dataclass(frozen=True, slots=True)
class ListedServer:
    """A server on an allow-list."""

    url: str
    """Its base; what lies below is listed with it."""
    reach: Reach = Reach.PUBLIC
    ca_file: str = ""
    """PEM file of the authorities that vouch for it; empty for the public ones."""


_INSIDE = {"private": Reach.PRIVATE, "shared": Reach.PRIVATE, "loopback": Reach.LOCAL}
_KINDS = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "shared": ("100.64.0.0/10",),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "unspecified": ("0.0.0.0/8", "::/128"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "IPv4 inside IPv6": ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
    + ("2001::/32", "2002::/16"),
    "reserved": ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15")
    + ("198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4")
    + ("2001::/23", "2001:db8::/32", "3fff::/20"),
}
_NETWORKS: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(text), kind) for kind, texts in _KINDS.items() for text in texts
)
_INTERNET = ip_network("2000::/3")


def kind_of(address: str) -> str:
    """What kind of address it is, such as ``private``; empty for the internet's."""
    try:
        found = ip_address(address)
    except ValueError:
        return "reserved"
    for network, kind in _NETWORKS:
        if found.version == network.version and found in network:
            return kind
    return "" if found.version == 4 or found in _INTERNET else "reserved"


def refused_kind(host: str, address: str, reach: Reach) -> str:
    """The kind of *address* where *host* may not be reached at it; else empty."""
    if address == host:
        return ""
    if host == "localhost" or host.endswith(".localhost"):
        reach = Reach.LOCAL
    kind = kind_of(address)
    allowed = not kind or (kind in _INSIDE and _INSIDE[kind] <= reach)
    return "" if allowed else kind


def advice(kind: str) -> str:
    """What an administrator sets for a server that is meant to be at such a place."""
    if _INSIDE.get(kind) is Reach.PRIVATE:
        return "set private: true beside the url of this server in the clients file"
    return "list the server by its address instead of its name, if it is meant"
