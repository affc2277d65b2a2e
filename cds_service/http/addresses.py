"""Where a server is, and whether an address lies inside it. Pure."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*", re.ASCII)
_LONGEST_NAME = 253
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
"""What may be taken for an IPv4 address: ``127.1``, ``0x7f000001``, ``017.1``."""
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?", re.ASCII)
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
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.has_default_port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def has_default_port(self) -> bool:
        """Whether the address need not say its port."""
        return self.port == _DEFAULT_PORTS[self.scheme]


def parse_base(text: str) -> Base | None:
    """The base that *text* names; none where it is no plain http(s) address."""
    parts = _split(text)
    if parts is None or parts.query or parts.fragment:
        return None
    return _base(parts)


def covers(allowed: Base, base: Base) -> bool:
    """Whether *base* is *allowed* itself or lies below it."""
    same_origin = _origin(allowed) == _origin(base)
    return same_origin and _below(allowed.path, base.path)


def same_place(one: Base, other: Base) -> bool:
    """Whether two bases name one server, be it over http or https."""
    same_port = one.port == other.port or (
        one.has_default_port and other.has_default_port
    )
    return same_port and (one.host, one.path) == (other.host, other.path)


def resolve(base: Base, link: str, current: str) -> str | None:
    """The address that *link* on the page *current* means, rebuilt on the base.

    None where scheme, host, port or base path differ, or it carries user info.
    """
    if not link or _UNSAFE.search(link):
        return None
    parts = _split(_joined(current, link))
    if parts is None:
        return None
    target = _base(parts)
    if not covers(base, target):
        return None
    origin = str(base).removesuffix(base.path) if base.path else str(base)
    return origin + parts.path + (f"?{parts.query}" if parts.query else "")


def _joined(current: str, link: str) -> str:
    try:
        return urljoin(current, link)
    except ValueError:
        return ""


def _split(text: str) -> SplitResult | None:
    if _UNSAFE.search(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not _host(parts) or port == 0:
        return None
    if "@" in parts.netloc or not parts.netloc.isascii() or _climbs(parts.path):
        return None
    return parts


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
    """Whether a path has a dot segment, encoded or not, with parameters or not."""
    for _ in range(_DECODINGS):
        parts = re.split(r"[/\\]", path)
        if any(part.partition(";")[0] in _DOTS for part in parts):
            return True
        path = unquote(path)
    return False


def _base(parts: SplitResult) -> Base:
    return Base(
        scheme=parts.scheme,
        host=_host(parts),
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
    )


def _origin(base: Base) -> tuple[str, str, int]:
    return base.scheme, base.host, base.port


def _below(parent: str, path: str) -> bool:
    return path == parent or path.startswith(parent + "/")
