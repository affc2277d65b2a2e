"""A FHIR server that stores what it is told, each answer so many milliseconds late.

Runs as a process of its own, on one event loop, so that it never holds the measured
program's interpreter lock.
"""

import asyncio
import json
import re
import sys
from typing import Any

_HEAD = re.compile(rb"(GET|PUT|POST) (/fhir/\S*) HTTP/1.1\r\n")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ABLE = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "date": "2026-11-22",
    "kind": "instance",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [
        {
            "mode": "server",
            "resource": [
                {"type": each, "updateCreate": True, "conditionalCreate": True}
                for each in ("Observation", "Device", "Provenance")
            ],
        }
    ],
}


class Storing(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._came = seconds, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to answer."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answers later, once a request is whole."""
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        told = _LENGTH.search(head)
        size = int(told[1]) if told else 0
        if not end or len(body) < size:
            return
        self._came = body[size:]
        asked = _HEAD.match(head)
        assert asked
        verb, path = asked[1].decode(), asked[2].decode()
        answer = _answer(verb, path, body[:size])
        asyncio.get_running_loop().call_later(self._seconds, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _answer(verb: str, path: str, body: bytes) -> bytes:
    if path.endswith("/metadata"):
        return _wire("200 OK", ABLE)
    if verb == "GET":
        empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
        return _wire("200 OK", empty)
    resource = json.loads(body)
    resource["id"] = path.rsplit("/", 1)[-1] if verb == "PUT" else "1"
    resource["meta"] = {**resource.get("meta", {}), "versionId": "1"}
    place = f"Location: /fhir/{resource['resourceType']}/{resource['id']}/_history/1"
    return _wire("201 Created", resource, place, 'ETag: W/"1"')


def _wire(status: str, body: Any, *headers: str) -> bytes:
    raw = json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/fhir+json",
        f"Content-Length: {len(raw)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + raw


async def serve(seconds: float) -> None:
    """Serve until told to end; the port is printed first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Storing(seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
