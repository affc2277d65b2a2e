"""What a key server answers: fetched within bounds, read into keys or URLs.

No redirect is followed, the address is looked at before it is connected to, and
neither time nor size is the server's to choose.

Source: RFC 7517; OWASP "SSRF Prevention".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..http.addresses import Reach, parse_base
from ..http.bodies import parse_body
from ..http.connections import ConnectionPool
from ..http.exchange import OutgoingRequest, ReadFailure, send
from .clients import KeyFormat, KeyServer
from .keys import InvalidKeySet, KeySet, read_key_set

SECONDS = 2.0
"""For the whole answer."""
LARGEST = 128 * 1024
"""Bytes."""
MOST_URLS = 100
USUAL_AGE = 900.0
SHORTEST_AGE = 300.0
LONGEST_AGE = 86_400.0
"""Seconds that an answer is good for, whatever its server says."""
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,10})", re.IGNORECASE)
_NEVER = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)


class KeyServerUnread(Exception):
    """A key server could not be read; the message is a constant phrase."""


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """What a key server published."""

    keys: KeySet = KeySet({})
    urls: frozenset[str] = frozenset()
    """Of further key servers, where that is what it publishes."""
    age: float = USUAL_AGE
    """Seconds that it is good for."""


Fetch = Callable[[KeyServer], PublishedKeys]
"""Raises Unreadable."""
Read = Callable[[Any, KeyServer, float], PublishedKeys]
"""Takes the JSON value of an answer, whose it is, and seconds that it is good for.
Raises KeyServerUnread."""


def fetcher(
    pool: ConnectionPool, seconds: float = SECONDS, read: Read | None = None
) -> Fetch:
    """Return what fetches over connections whose addresses were looked at.

    Args:
        read: What reads a document; where it is not told, one of JWKs or URLs.
    """

    def fetch(server: KeyServer) -> PublishedKeys:
        listed = server.server
        request = OutgoingRequest(
            listed.url,
            {"Accept": "application/json"},
            seconds=seconds,
            bytes=LARGEST,
            reach=listed.reach,
            ca_file=listed.ca_file,
        )
        try:
            answer = send(pool, request)
        except ReadFailure as failure:
            raise KeyServerUnread(failure.reason) from None
        if answer.status != 200:
            raise KeyServerUnread(f"HTTP {answer.status}")
        value, problem = parse_body(answer.content)
        if problem:
            raise KeyServerUnread(problem)
        age = max_age(answer.headers.get("Cache-Control", ""))
        return (read or read_document)(value, server, age)

    return fetch


def read_document(
    value: Any, server: KeyServer, age: float = USUAL_AGE
) -> PublishedKeys:
    """Return what the JSON value of a key server's answer publishes.

    Raises:
        KeyServerUnread: if it is nothing of the kind that the server should publish.
    """
    if server.format is KeyFormat.URL_LIST:
        return PublishedKeys(urls=_urls(value, server), age=age)
    listed = value.get("keys") if isinstance(value, dict) else None
    if isinstance(value, list) and server.format is KeyFormat.JWK_LIST:
        listed = value
    try:
        return PublishedKeys(read_key_set(listed), age=age)
    except InvalidKeySet as error:
        raise KeyServerUnread(str(error)) from error


def max_age(cache_control: str) -> float:
    """Return seconds that an answer is good for, by ``Cache-Control``, in bounds."""
    if _NEVER.search(cache_control):
        return SHORTEST_AGE
    said = _MAX_AGE.search(cache_control)
    if said is None:
        return USUAL_AGE
    return min(LONGEST_AGE, max(SHORTEST_AGE, float(said[1])))


def _urls(value: Any, server: KeyServer) -> frozenset[str]:
    """The URLs of a list, or of the members ``jku`` or ``jwks_uri`` of its objects."""
    listed = value
    if isinstance(value, dict):
        lists = [each for each in value.values() if isinstance(each, list)]
        listed = lists[0] if len(lists) == 1 else None
    if not isinstance(listed, list) or len(listed) > MOST_URLS:
        raise KeyServerUnread("is no list of URLs")
    urls = set()
    for each in listed:
        url = each
        if isinstance(each, dict):
            url = each.get("jku", each.get("jwks_uri"))
        if not isinstance(url, str):
            raise KeyServerUnread("is no list of URLs")
        if _is_safe(url, server.server.reach):
            urls.add(url)
    return frozenset(urls)


def _is_safe(url: str, reach: Reach) -> bool:
    base = parse_base(url)
    return base is not None and (base.scheme == "https" or reach is Reach.LOCAL)
