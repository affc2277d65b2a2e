"""Where a server is, what lies inside it, and which addresses it may have. Pure.

A name is somebody's word, and what it resolves to is anybody's: of the addresses that a
name gives only those of the internet are taken, unless the administrator says that the
server stands in a private network. What the allow-list names itself, an address or
``localhost``, is meant.

Source: IANA special-purpose address registries; OWASP "SSRF Prevention".
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*", re.ASCII)
_LONGEST_NAME = 253
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
"""What may be taken for an IPv4 address: ``127.1``, ``0x7f000001``, ``017.1``."""
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?", re.ASCII)
_IN_TARGETS = "!$&'()*+,;=:@/?"
"""What stands in a path or a query as it is, besides what is never escaped."""
_TARGET = re.compile(
    rf"/(?:[A-Za-z0-9._~{re.escape(_IN_TARGETS)}-]|%[0-9A-Fa-f]{{2}})*", re.ASCII
)
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTS = (".", "..")
_DECODINGS = 3


@dataclass(frozen=True, slots=True)
class Base:
    """The base address of a server; the path has no slash at its end."""

    scheme: str
    host: str
    """In lower case; an IP address in its one usual form."""
    port: int
    path: str

    def __str__(self) -> str:
        return self.origin + self.path

    @property
    def origin(self) -> str:
        """The address without the path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.has_default_port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def has_default_port(self) -> bool:
        """Whether the address need not say its port."""
        return self.port == _DEFAULT_PORTS[self.scheme]


def parse_base(text: str) -> Base | None:
    """Return the base that *text* names; none where it is no plain http(s) address."""
    parts, base = _read(text)
    return None if parts is None or parts.query or parts.fragment else base


def covers(allowed: Base, base: Base) -> bool:
    """Check whether *base* is *allowed* itself or lies below it."""
    same_origin = _origin(allowed) == _origin(base)
    return same_origin and _below(allowed.path, base.path)


def same_place(one: Base, other: Base) -> bool:
    """Check whether two bases name one server, be it over http or https."""
    same_port = one.port == other.port or (
        one.has_default_port and other.has_default_port
    )
    return same_port and (one.host, one.path) == (other.host, other.path)


def resolve(base: Base, link: str, current: str) -> str | None:
    """Return the address that *link* on the page *current* means, rebuilt on the base.

    None where scheme, host, port or base path differ, or it carries user info.
    """
    if not link or _UNSAFE.search(link):
        return None
    return inside(base, _joined(current, link))


def inside(base: Base, address: str) -> str | None:
    """Return *address*, rebuilt on the base, if it lies below that; else none."""
    parts, target = _read(address)
    if parts is None or target is None or not covers(base, target):
        return None
    return base.origin + _path_and_query(parts)


def locate(url: str) -> tuple[Base, str] | None:
    """Return the server of an address, and what is asked of it in a request line.

    None where it is no plain http(s) address.
    """
    parts, base = _read(url)
    if parts is None or base is None:
        return None
    return base, request_target(_path_and_query(parts))


def request_target(text: str) -> str:
    """Return a path and its query as they stand in a request line.

    Either may be empty. What may not stand there is escaped, and what is escaped stays.
    Source: RFC 3986 sections 2.1, 3.3 and 3.4; RFC 9112 section 3.2.1.
    """
    if not text.startswith("/"):
        text = f"/{text}"
    if _TARGET.fullmatch(text):
        return text
    return quote(_NO_ESCAPE.sub("%25", text), safe=_IN_TARGETS + "%")


def _path_and_query(parts: SplitResult) -> str:
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _joined(current: str, link: str) -> str:
    try:
        return urljoin(current, link)
    except ValueError:
        return ""


def _read(text: str) -> tuple[SplitResult, Base] | tuple[None, None]:
    """The parts of a plain http(s) address, and the base that they name."""
    if _UNSAFE.search(text):
        return None, None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None, None
    if parts.scheme not in _DEFAULT_PORTS or port == 0:
        return None, None
    if "@" in parts.netloc or not parts.netloc.isascii() or _climbs(parts.path):
        return None, None
    host = _host(parts)
    if not host:
        return None, None
    port = port or _DEFAULT_PORTS[parts.scheme]
    return parts, Base(parts.scheme, host, port, parts.path.rstrip("/"))


def _host(parts: SplitResult) -> str:
    """The host in the form in which it can be compared; empty where there is none.

    A name in other letters than ASCII, an IPv4 address in another form than four
    decimal numbers and a name that ends in a dot are none: what they mean depends on
    who reads them.
    """
    host = (parts.hostname or "").lower()
    try:
        if "[" in parts.netloc:
            plain = _BRACKETED.fullmatch(parts.netloc)
            return IPv6Address(host).compressed if plain else ""
        if _NUMERIC.fullmatch(host):
            return str(IPv4Address(host))
    except ValueError:
        return ""
    named = _NAME.fullmatch(host) and len(host) <= _LONGEST_NAME
    return host if named else ""


def _climbs(path: str) -> bool:
    """Check if a path has a dot segment, encoded or not, with parameters or not."""
    for _ in range(_DECODINGS):
        parts = re.split(r"[/\\]", path)
        if any(part.partition(";")[0] in _DOTS for part in parts):
            return True
        path, decoded_before = unquote(path), path
        if path == decoded_before:
            break
    return False


def _origin(base: Base) -> tuple[str, str, int]:
    return base.scheme, base.host, base.port


def _below(parent: str, path: str) -> bool:
    return path == parent or path.startswith(parent + "/")


# Which network addresses a server may be reached at


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
    """Return the kind of an address, such as ``private``; empty for the internet's."""
    try:
        found = ip_address(address)
    except ValueError:
        return "reserved"
    for network, kind in _NETWORKS:
        if found.version == network.version and found in network:
            return kind
    return "" if found.version == 4 or found in _INTERNET else "reserved"


def refused_kind(host: str, address: str, reach: Reach) -> str:
    """Return the kind of *address* if *host* may not be reached at it, or nothing."""
    if address == host:
        return ""
    if host == "localhost" or host.endswith(".localhost"):
        reach = Reach.LOCAL
    kind = kind_of(address)
    allowed = not kind or (kind in _INSIDE and _INSIDE[kind] <= reach)
    return "" if allowed else kind


def advice(kind: str) -> str:
    """Return what an administrator sets for a server that is meant to be there."""
    if _INSIDE.get(kind) is Reach.PRIVATE:
        return "set private: true beside the url of this server in the clients file"
    return "list the server by its address instead of its name, if it is meant"
