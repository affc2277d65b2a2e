"""One cookie for each launch, and one for each session: the only thing that opens it.

Its name ends with the public id that stands in the address, so that two patients in two
tabs never share one. In a frame of another site a browser gives a cookie back only if
it is partitioned, and keeps it for pages under that very site.

Source: RFC 6265bis, "Cookie Name Prefixes"; CHIPS, "Partitioned".
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, request

from ...config import Config

LAUNCH, SESSION = "l", "s"
"""What a cookie is of."""
MOST = 20
"""Launches that one browser may have open; a browser has about 10 kB for us."""
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cookies:
    """How cookies are called and kept, by the address that browsers know us by."""

    plain: bool
    """Over http, on this machine alone: no browser would keep them otherwise."""

    @classmethod
    def of(cls, config: Config) -> "Cookies":
        """Return those of a server."""
        parts = urlsplit(config.public_url)
        loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
        return cls(plain=parts.scheme == "http" and loopback)

    def name(self, kind: str, id: str) -> str:
        """Return what the cookie of a launch or session is called."""
        return f"{self._stem(kind)}{id}"

    def read(self, kind: str, id: str) -> str:
        """Return the key that this browser has; empty where it has none."""
        return request.cookies.get(self.name(kind, id), "")

    def put(self, response: Response, kind: str, id: str, key: str) -> None:
        """Have the browser keep a key for as long as it runs."""
        self._set(response, self.name(kind, id), key)

    def drop(self, response: Response, kind: str, id: str) -> None:
        """Have the browser forget a key."""
        self._set(response, self.name(kind, id), "", age=0)

    def here(self) -> Iterator[tuple[str, str]]:
        """Yield kind and id of every cookie of ours that the browser has sent."""
        for name in request.cookies:
            for kind in (LAUNCH, SESSION):
                stem = self._stem(kind)
                if name.startswith(stem) and is_id(name.removeprefix(stem)):
                    yield kind, name.removeprefix(stem)

    def _stem(self, kind: str) -> str:
        return f"{kind}-" if self.plain else f"__Host-{kind}-"

    def _set(
        self, response: Response, name: str, value: str, age: int | None = None
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=age,
            path="/",
            httponly=True,
            secure=not self.plain,
            samesite="Lax" if self.plain else "None",
            partitioned=not self.plain,
        )


def new_id() -> str:
    """Return a new public id; 64 random bits, so that none comes twice."""
    return secrets.token_hex(8)


def new_key() -> str:
    """Return what a cookie holds: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Check whether it is such an id by its form."""
    return _ID.fullmatch(text) is not None


def hash_of(secret: str) -> str:
    """Return what the database knows of a key, a state or a ticket.

    No salt is needed: each is random, and long enough that none can be guessed.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
