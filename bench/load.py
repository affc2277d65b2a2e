"""A load client: keep-alive connections, each asking again once it is answered.

Runs as a process of its own, so that it never holds the server's interpreter lock.
"""

import json
import re
import socket
import sys
import time
from pathlib import Path
from threading import Thread
from uuid import uuid4

INSTANCE = b"00000000-0000-4000-8000-000000000000"
"""Stands in the body where each request gets a ``hookInstance`` of its own."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def ask(connection: socket.socket, message: bytes) -> bytes:
    """The whole answer to one request."""
    connection.sendall(message)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    found = LENGTH.search(head)
    while found and len(body) < int(found[1]):
        body += _receive(connection)
    return head + b"\r\n\r\n" + body


def keep_asking(
    port: int,
    path: str,
    body: bytes,
    until: float,
    took: list[float],
    bad: list[str],
    ended: list[float],
) -> None:
    """Ask on one connection until the time is up; note every duration and failure."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            message = head + body.replace(INSTANCE, str(uuid4()).encode(), 1)
            begun = time.perf_counter()
            answer = ask(connection, message)
            took.append(time.perf_counter() - begun)
            ended.append(time.time())
            if b" 200 " not in answer[:16] or b'"summary"' not in answer:
                bad.append(answer[:300].decode("utf-8", "replace"))


def main() -> None:
    """``python -m bench.load PORT PATH BODY CONNECTIONS SECONDS`` -> JSON."""
    port, path, file, connections, seconds = sys.argv[1:]
    body = Path(file).read_bytes()
    took: list[float] = []
    bad: list[str] = []
    ended: list[float] = []
    begun = time.perf_counter()
    until = begun + float(seconds)
    asked = (int(port), path, body, until)
    notes: list[tuple[list[float], list[str], list[float]]]
    notes = [([], [], []) for _ in range(int(connections))]
    threads = [Thread(target=keep_asking, args=(*asked, *each)) for each in notes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    for durations, failures, moments in notes:
        took += durations
        bad += failures
        ended += moments
    told = {"took": took, "ended": ended, "elapsed": elapsed}
    print(json.dumps({**told, "failed": len(bad), "bad": bad[:3]}))


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


if __name__ == "__main__":
    main()
