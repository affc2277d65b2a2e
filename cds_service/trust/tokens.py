"""A token before PyJWT verifies it: looked at strictly, compared with a given clock.

Strictly, so that nobody reads it differently: one way to write each part, UTF-8, no
member twice. PyJWT takes the last of two members, and UTF-16 for JSON.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients"; RFC 7515, 7519, 8725.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..protocol.errors import Unauthenticated
from ..protocol.formats import is_whole
from .algorithms import ALGORITHMS

LEEWAY = 60
"""Seconds by which the clocks of client and server may differ."""
LONGEST_TOKEN = 16 * 1024
LONGEST_JTI = 256
_BEARER = re.compile(r"[ \t]*bearer[ \t]+(\S(?:.*\S)?)[ \t]*", re.IGNORECASE)
_PART = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_LAST_SECOND = datetime.max.replace(tzinfo=UTC).timestamp() - 2 * LEEWAY


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says; nothing of it is believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: str
    """The whole, in its compact form."""


def read_token(authorization: str | None) -> Token:
    """The token that a header ``Authorization`` carries, whatever blanks are in it.

    Raises:
        Unauthenticated: if there is none, or it is no JWT in its compact form.
    """
    bearer = _BEARER.fullmatch(authorization or "")
    if bearer is None:
        raise Unauthenticated("no bearer token")
    text = bearer[1]
    if len(text) > LONGEST_TOKEN:
        raise Unauthenticated("the token is too long")
    parts = text.split(".")
    if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
        raise Unauthenticated("the token cannot be read")
    try:
        head, body, _ = map(_decoded, parts)
        header = json.loads(head.decode(), object_pairs_hook=_once)
        claims = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("the token cannot be read") from error
    if not isinstance(header, dict):
        raise Unauthenticated("the header is no object")
    if not isinstance(claims, dict):
        raise Unauthenticated("the claims are no object")
    return Token(header, claims, text)


def check_header(header: Mapping[str, Any]) -> None:
    """Raise Unauthenticated where no client at all may send such a header."""
    if header.get("typ") != "JWT":
        raise Unauthenticated("typ is not JWT")
    if "crit" in header or "b64" in header:
        raise Unauthenticated("the header asks for an extension")
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        raise Unauthenticated("no kid")
    if header.get("alg") not in ALGORITHMS:
        raise Unauthenticated("the algorithm is never allowed")
    if not isinstance(header.get("jku", ""), str):
        raise Unauthenticated("jku is no text")


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raise Unauthenticated unless the token was made for the URL *audience*."""
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise Unauthenticated("no aud")
    if audience not in named:
        raise Unauthenticated("aud is not the URL that was called")


def check_times(claims: Mapping[str, Any], lifetime: int, now: datetime) -> datetime:
    """Until when the token could be used.

    Raises:
        Unauthenticated: if it cannot be used now, or for longer than *lifetime*.
    """
    at = now.timestamp()
    expires, issued = _number_claim(claims, "exp"), _number_claim(claims, "iat")
    if expires + LEEWAY <= at:
        raise Unauthenticated("the token has expired")
    if issued - LEEWAY > at:
        raise Unauthenticated("the token was issued in the future")
    if "nbf" in claims and _number_claim(claims, "nbf") - LEEWAY > at:
        raise Unauthenticated("the token is not valid yet")
    if not 0 < expires - issued <= lifetime:
        raise Unauthenticated("the token lives too long")
    return datetime.fromtimestamp(expires + LEEWAY, UTC)


def read_jti(claims: Mapping[str, Any]) -> str:
    """The token's own name.

    Raises:
        Unauthenticated: if it has none.
    """
    value = claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_JTI:
        raise Unauthenticated(f"jti is no text of up to {LONGEST_JTI} characters")
    if not is_whole(value):
        raise Unauthenticated("jti holds half a character")
    if "\0" in value:
        raise Unauthenticated("jti holds a NUL")
    return value


def _number_claim(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated(f"{name} is no number")
    if not abs(value) <= _LAST_SECOND:
        raise Unauthenticated(f"{name} is out of range")
    return float(value)


def _decoded(part: str) -> bytes:
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != part:
        raise ValueError("there is another way to write this")
    return decoded


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) < len(members):
        raise ValueError("a member stands twice")
    return read
