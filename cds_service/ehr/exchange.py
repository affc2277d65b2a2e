"""One HTTP exchange with a server that may be anything: whole and bounded."""

import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from threading import Thread

import requests

from ..protocol.conformance import Reply

PATIENCE = 60.0
"""Seconds to wait for any answer."""
LARGEST = 32 * 1024 * 1024
"""Bytes of an answer, unpacked, that are read."""
_CHUNK = 65_536


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
        except (requests.RequestException, OSError, ValueError) as error:
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
    with requests.request(
        method,
        url,
        headers=headers,
        data=body,
        # An auth that does nothing keeps ~/.netrc from putting its own in place.
        auth=lambda prepared: prepared,
        timeout=patience,
        stream=True,
        allow_redirects=False,
    ) as response:
        first_byte = time.perf_counter() - begun
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > LARGEST:
                most = LARGEST // 1024 // 1024
                raise requests.RequestException(f"is larger than {most} MiB")
        named = {name.lower(): value for name, value in response.headers.items()}
        seconds = time.perf_counter() - begun
        return Reply(response.status_code, named, bytes(content), first_byte, seconds)


def _explain(error: Exception, url: str, patience: float) -> str:
    """Why there is no answer; the library's own words can hold what was sent."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"{url}: its certificate or its TLS cannot be trusted."
    if isinstance(error, requests.Timeout):
        return _late(url, patience)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{url} broke off in the middle of its answer."
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return f"{url} packed its answer in a way that cannot be unpacked."
    if isinstance(error, requests.exceptions.InvalidURL):
        return f"{url} is no address."
    if isinstance(error, requests.ConnectionError):
        if "timed out" in str(error):
            return _late(url, patience)
        if "Connection aborted" in str(error):
            return f"{url} hung up, or did not answer in HTTP."
        return f"Nothing answers at {url}."
    if type(error) is requests.RequestException:
        return f"The answer of {url} {error}."
    return f"{url} could not be read."


def _late(url: str, patience: float) -> str:
    return f"{url} did not answer within {patience:g} s."
