"""A load client whose every request has a token of its own.

Tokens are made before the clock starts: what they cost the client is no part of what
the server costs. Runs as a process of its own, as ``bench/load.py`` does.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from uuid import uuid4

from .load import INSTANCE, ask

PATIENT = b"bench-0000"
"""Stands in the body where each request names the next of so many patients."""


class Tokens:
    """Hands each token out once; thread-safe. Without any, none is sent."""

    def __init__(self, tokens: list[str], again: bool) -> None:
        self._tokens = tokens
        self._again = again
        self._next = 0
        self._lock = Lock()

    def __iter__(self) -> Iterator[str]:
        while True:
            with self._lock:
                number, self._next = self._next, self._next + 1
            if not self._tokens:
                yield ""
            elif self._again:
                yield self._tokens[number % len(self._tokens)]
            elif number < len(self._tokens):
                yield self._tokens[number]
            else:
                return


class Load:
    """Requests of several connections until a moment, each at its pace."""

    def __init__(
        self,
        port: int,
        path: str,
        body: bytes,
        status: str,
        rate: float,
        patients: int,
    ) -> None:
        self.port, self.path, self.body = port, path, body
        self.status = f" {status} ".encode()
        self.rate = rate
        """Requests a second of each connection; 0 for as many as are answered."""
        self.patients = patients
        self.numbers = count()
        self.took: list[float] = []
        self.bad: list[str] = []

    def run(self, tokens: Tokens, until: float) -> None:
        """Ask on one connection until the time is up, or no token is left."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            due = time.perf_counter()
            for token in tokens:
                if time.perf_counter() >= until:
                    return
                message = self._message(token)
                begun = time.perf_counter()
                answer = ask(connection, message)
                self.took.append(time.perf_counter() - begun)
                if self.status not in answer[:16] or b'{"cards":[]' in answer:
                    self.bad.append(answer[:300].decode("utf-8", "replace"))
                if self.rate:
                    due += 1 / self.rate
                    time.sleep(max(0.0, due - time.perf_counter()))

    def _message(self, token: str) -> bytes:
        body = self.body.replace(INSTANCE, str(uuid4()).encode())
        if self.patients:
            patient = b"%b%04d" % (PATIENT[:-4], next(self.numbers) % self.patients)
            body = body.replace(PATIENT, patient)
        signed = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{signed}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def main() -> None:
    """Read what to do as JSON from stdin; print what each request took."""
    told = json.load(sys.stdin)
    body = Path(told["body"]).read_bytes()
    names = ("status", "rate", "patients")
    load = Load(told["port"], told["path"], body, *(told[each] for each in names))
    tokens = Tokens(told["tokens"], told["again"])
    begun = time.perf_counter()
    until = begun + told["seconds"]
    threads = [
        Thread(target=load.run, args=(tokens, until))
        for _ in range(told["connections"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    print(json.dumps({"took": load.took, "elapsed": elapsed, "bad": load.bad[:3]}))


if __name__ == "__main__":
    main()
