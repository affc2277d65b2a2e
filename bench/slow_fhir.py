"""A FHIR server that takes its time: every answer comes so many milliseconds late.

Runs as a process of its own, on one event loop, so that it never holds the measured
server's interpreter lock and thousands of answers can be late at once.
"""

import asyncio
import json
import re
import sys
from typing import Any

from .content import PATIENT, build_body

MANY = "bench-many"
"""The patient of so many orders."""
ORDERS, PAGE = 1_000, 20
_PATH = re.compile(rb"GET /fhir/([^? ]+)(?:\?([^ ]*))? ")
_EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}


class Answers:
    """What is answered, by type and id; built once."""

    def __init__(self, base: str) -> None:
        came = json.loads(build_body())["prefetch"]
        self.empty = _wire(_EMPTY)
        self.by_path = {
            f"Patient/{PATIENT}": _wire(came["patient"]),
            f"Patient/{MANY}": _wire({**came["patient"], "id": MANY}),
            "Condition": _wire(came["conditions"]),
            "MedicationStatement": _wire(came["medication-statements"]),
        }
        pages = ORDERS // PAGE
        self.pages = [_wire(_page(number, pages, base)) for number in range(pages)]

    def find(self, path: str, query: str) -> bytes:
        """The answer to a GET below the base."""
        if MANY in query:
            if path != "MedicationRequest":
                return self.empty
            _, _, number = query.partition("page=")
            return self.pages[int(number or 0)]
        return self.by_path.get(path, self.empty)


class Late(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, answers: Answers, seconds: float) -> None:
        self._answers = answers
        self._seconds = seconds
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to answer."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answers later, once the head of a request is whole."""
        self._came += data
        if not self._came.endswith(b"\r\n\r\n"):
            return
        found = _PATH.match(self._came)
        self._came = b""
        path, query = (found[1], found[2] or b"") if found else (b"", b"")
        answer = self._answers.find(path.decode(), query.decode())
        if self._seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(self._seconds, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def main() -> None:
    """``python -m bench.slow_fhir PORT MILLISECONDS``."""
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))


async def _serve(port: int, seconds: float) -> None:
    answers = Answers(f"http://127.0.0.1:{port}/fhir")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Late(answers, seconds), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


def _page(number: int, pages: int, base: str) -> dict[str, Any]:
    entries = [
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": f"order-{number}-{n}",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": {
                    "coding": [
                        {
                            "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                            "code": str(8_000_000 + number * PAGE + n),
                            "display": "Generated medicine 50 MG Oral Tablet",
                        }
                    ]
                },
                "subject": {"reference": f"Patient/{MANY}"},
                "authoredOn": "2026-01-05T10:00:00Z",
            }
        }
        for n in range(PAGE)
    ]
    page = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    if number + 1 < pages:
        url = f"{base}/MedicationRequest?patient={MANY}&page={number + 1}"
        page["link"] = [{"relation": "next", "url": url}]
    return page


def _wire(value: Any) -> bytes:
    content = json.dumps(value).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


if __name__ == "__main__":
    main()
