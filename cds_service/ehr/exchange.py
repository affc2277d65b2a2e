"""One HTTP exchange with a server that may be anything: whole and bounded.

It is a person's command that asks: proxies and authorities are those of their shell.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
from urllib3 import PoolManager, ProxyManager, make_headers
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    SSLError,
    TimeoutError,
)

from ..protocol.conformance import Reply

PATIENCE = 60.0
"""Seconds to wait for any answer."""
LARGEST = 32 * 1024 * 1024
"""Bytes of an answer, unpacked, that are read."""
_CHUNK = 65_536
_ALWAYS = {"User-Agent": "cds-service", "Accept-Encoding": "gzip, deflate"}


class Incomplete(Exception):
    """A call that cannot be made as it was asked for; a sentence says what to give."""


class Unanswered(Exception):
    """The server could not be spoken to; the message is for a person."""


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    patience: float = PATIENCE,
) -> Reply:
    """Return the whole answer, whatever its status.

    Raises:
        Unanswered: if none came within *patience* seconds, or it cannot be read.
    """
    box: SimpleQueue[Reply | str] = SimpleQueue()

    def ask() -> None:
        outcome: Reply | str = f"{url} could not be read."
        try:
            outcome = _ask(method, url, dict(headers or {}), body, patience)
        except Unanswered as error:
            outcome = str(error)
        except (HTTPError, OSError, ValueError) as error:
            outcome = _explain(error, url, patience)
        finally:
            box.put(outcome)

    # A server that sends a byte now and then outlives every timeout of a socket.
    Thread(target=ask, daemon=True).start()
    try:
        found = box.get(timeout=patience + 1)
    except Empty:
        found = _late(url, patience)
    if isinstance(found, str):
        raise Unanswered(found)
    return found


def _ask(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes | None,
    patience: float,
) -> Reply:
    begun = time.perf_counter()
    with _way_to(url) as way:
        response = way.request(
            method,
            url,
            headers={**_ALWAYS, **headers},
            body=body,
            timeout=patience,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        first_byte = time.perf_counter() - begun
        content = bytearray()
        for chunk in response.stream(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > LARGEST:
                response.close()
                most = LARGEST // 1024 // 1024
                raise Unanswered(f"The answer of {url} is larger than {most} MiB.")
        named = {name.lower(): value for name, value in response.headers.items()}
        seconds = time.perf_counter() - begun
        return Reply(response.status, named, bytes(content), first_byte, seconds)


@contextmanager
def _way_to(url: str) -> Iterator[PoolManager]:
    """Connections to the host of *url*, through the proxy that the shell names."""
    trusted = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    authorities: Any = {"ca_certs": trusted or certifi.where()}
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise Unanswered(f"{url} is no address.")
    proxies = {} if proxy_bypass(parts.netloc) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        way = PoolManager(**authorities)
    else:
        account = urlsplit(proxy).netloc.rpartition("@")[0]
        told = make_headers(proxy_basic_auth=unquote(account)) if account else None
        way = ProxyManager(proxy, proxy_headers=told, **authorities)
    try:
        yield way
    finally:
        way.clear()


def _explain(error: Exception, url: str, patience: float) -> str:
    """Why there is no answer; the library's own words can hold what was sent."""
    if isinstance(error, NewConnectionError):
        return f"Nothing answers at {url}."
    if isinstance(error, SSLError):
        return f"{url}: its certificate or its TLS cannot be trusted."
    if isinstance(error, TimeoutError):
        return _late(url, patience)
    if isinstance(error, DecodeError):
        return f"{url} packed its answer in a way that cannot be unpacked."
    if isinstance(error, LocationValueError):
        return f"{url} is no address."
    if isinstance(error, ProtocolError):
        if "Connection aborted" in str(error):
            return f"{url} hung up, or did not answer in HTTP."
        return f"{url} broke off in the middle of its answer."
    if isinstance(error, HTTPError):
        return f"Nothing answers at {url}."
    return f"{url} could not be read."


def _late(url: str, patience: float) -> str:
    return f"{url} did not answer within {patience:g} s."
