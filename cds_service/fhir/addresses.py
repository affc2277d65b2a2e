"""Where a FHIR server is, and whether an address lies inside it. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_DOTS = (".", "..")


@dataclass(frozen=True, slots=True)
class Base:
    """The base address of a FHIR server; the path has no slash at its end."""

    scheme: str
    host: str
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
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        return None
    if "@" in parts.netloc or not parts.netloc.isascii() or _climbs(parts.path):
        return None
    return parts


def _climbs(path: str) -> bool:
    """Whether a path has a dot segment, encoded or not."""
    return any(part in _DOTS for part in re.split(r"[/\\]", unquote(path)))


def _base(parts: SplitResult) -> Base:
    return Base(
        scheme=parts.scheme,
        host=(parts.hostname or "").lower(),
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
    )


def _origin(base: Base) -> tuple[str, str, int]:
    return base.scheme, base.host, base.port


def _below(parent: str, path: str) -> bool:
    return path == parent or path.startswith(parent + "/")
