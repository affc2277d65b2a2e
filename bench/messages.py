"""``python -m bench messages``: messages of HL7 v2 a second, in and out, over MLLP.

Beside them a bare socket loop: the same frames over the same connection, answered by a
constant acknowledgement. In: one connection and eight, each message a reading that is
stored, audited and judged before it is answered. Out: one connection, each message
built, found valid, sent and acknowledged.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from cds_service.cli.mllp.running import Receiver
from cds_service.cli.mllp.server import MllpBounds, MllpServer
from cds_service.config import Proof, ProofKind, WebhookSource
from cds_service.config.destinations import Hl7Destination
from cds_service.delivery.hl7 import Hl7Sender
from cds_service.delivery.records import Accepted
from cds_service.http.addresses import Reach
from cds_service.rulebook.load import check_folder
from cds_service.store.records import AuditEvent
from cds_service.wearables.adapters.hl7v2.acknowledging import (
    MessageOutcome,
    MessageVerdict,
    acknowledge,
    read_header,
)
from cds_service.wearables.adapters.hl7v2.framing import frame
from cds_service.wearables.links import WearerLink
from cds_service.wearables.outputs.naming import Naming
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import PatientIdentity, Subscription, Telling
from cds_service.web.metrics import Metrics

from .samples import DATABASES
from .telling import RULES, close, open_world

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "1000"))
CONNECTIONS = 8
START = datetime(2026, 11, 1, tzinfo=UTC)
PROOF = Proof(ProofKind.MLLP, addresses=("127.0.0.1/32",))
ENGINE = WebhookSource("engine", "default", "-", (), ("hl7v2",), proof=PROOF)
ADA = PatientKey("default", "-", "p1")
FIRST = count(step=MESSAGES)
"""Which messages the next connection sends: none twice."""
Take = Callable[[bytes, bool], Sequence[bytes]]


def main() -> None:
    """Measure and print."""
    with listening(lambda raw, large: said(raw)) as port:
        bare = rate([port])
        print(f"a bare socket loop: {bare:,.0f} messages a second")
        print(f"out: {out(port):,.0f} a second, each found valid before it is sent")
    for name, opened in DATABASES.items():
        with opened() as database:
            world = open_world(database.url)
            event = AuditEvent(datetime.now(UTC), "link", "default", "operator")
            since = datetime(2020, 1, 1, tzinfo=UTC)
            link = WearerLink("engine", ADA, since, "HOSP|12345")
            world.store.links.add(link, event)
            receiver = Receiver(world, ENGINE, Metrics())
            with listening(receiver.take) as port:
                one = rate([port])
                many = rate([port] * CONNECTIONS)
            print(
                f"{name}: in by one connection {one:,.0f} a second, by {CONNECTIONS}"
                f" {many:,.0f}; of the bare loop {one / bare:.1%} and {many / bare:.1%}"
            )
            close(world)


def said(raw: bytes) -> Sequence[bytes]:
    """A constant acknowledgement of a message."""
    verdict = MessageVerdict(MessageOutcome.ACCEPT)
    return acknowledge(read_header(raw), verdict, START, "1")


@contextmanager
def listening(take: Take) -> Iterator[int]:
    """The port of a server that answers so."""
    opened, over = threading.Event(), threading.Event()
    found: list[int] = []

    async def serve() -> None:
        bounds = MllpBounds()
        server = MllpServer(PROOF, take, bounds, lambda event, **facts: None)
        listener = await server.listen("127.0.0.1", 0, None)
        found.append(listener.sockets[0].getsockname()[1])
        opened.set()
        await asyncio.to_thread(over.wait)
        await server.end(listener)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    opened.wait()
    try:
        yield found[0]
    finally:
        over.set()
        thread.join()


def rate(ports: Sequence[int]) -> float:
    """Return how many messages a second are answered over so many connections."""
    each = MESSAGES // len(ports)
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(ports)) as pool:
        done = [pool.submit(send, port, next(FIRST), each) for port in ports]
    for one in done:
        one.result()
    return each * len(ports) / (time.perf_counter() - begun)


def send(port: int, first: int, number: int) -> None:
    """Send so many messages over one connection, each after the answer before."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in range(first, first + number):
            connection.sendall(frame(oru(each)))
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(4096)
            assert b"MSA|AA" in answer


def oru(number: int) -> bytes:
    """A reading of a minute of its own."""
    at = START + timedelta(seconds=60 * number % 1_500_000)
    return (
        f"MSH|^~\\&|MON|ICU|CDS|HOSP|20261122080100-0500||ORU^R01|M-{number}|P|2.5.1\r"
        "PID|1||12345^^^HOSP^MR\rOBR|1||O-1^MON|VS\r"
        f"OBX|1|NM|8867-4^^LN||74|/min|||||F|||{at:%Y%m%d%H%M%S}+0000||||SN-1\r"
    ).encode()


def out(port: int) -> float:
    """Return how many episodes a second an engine is told over one connection."""
    takes = Subscription("engine", "default")
    told = Hl7Destination(takes, "127.0.0.1", port, Reach.LOCAL)
    catalogue = check_folder(RULES).rulebook.catalogue
    sender = Hl7Sender(told, lambda: catalogue, Naming("https://cds.example.org"))
    number = MESSAGES // 10
    begun = time.perf_counter()
    for each in range(number):
        alert = WearableAlert(
            f"a{each}", ADA, "high-heart-rate", START, START, metric="heart-rate",
            value=120.0, unit="/min", stat="max", source="watch",
        )  # fmt: skip
        identity = PatientIdentity(ADA, "12345", "HOSP")
        telling = Telling("engine", identity, "episode", f"a{each}", 1, alert)
        assert isinstance(sender.send(telling, time.monotonic() + 30), Accepted)
    seconds = time.perf_counter() - begun
    sender.close()
    return number / seconds
