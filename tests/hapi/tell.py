"""Tell a real HAPI FHIR server of 200 episodes in both ways of writing: ``make hapi``.

Prints how long it took, and ends with an error unless each is there exactly once, is
amended when it is revised, and stands in error when it is taken back.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.request import urlopen

from cds_service.delivery.fhir import FhirSender
from cds_service.delivery.fhir_server import WrittenServer
from cds_service.delivery.fhir_writing import OnceWriter
from cds_service.delivery.records import Accepted
from cds_service.fhir.client import FhirPool
from cds_service.http.addresses import ListedServer, Reach, parse_base
from cds_service.wearables.telling import (
    EPISODE,
    PatientIdentity,
    PriorTelling,
    Telling,
)

from ..wearables.outputs.things import NAMING, PATIENT, SHIPPED, an_episode

PORT = 18080
BASE = f"http://127.0.0.1:{PORT}/fhir"
EPISODES, REVISED, TAKEN_BACK = 200, 50, 30


@contextmanager
def hapi(libraries: str, *, by_id: bool) -> Iterator[None]:
    """A server that has just started."""
    command = ["java", f"-Dby.id={str(by_id).lower()}", "-cp", f"{libraries}/*"]
    server = subprocess.Popen([*command, "tests/hapi/Hapi.java", str(PORT)])
    try:
        ends = time.monotonic() + 900
        while time.monotonic() < ends and server.poll() is None:
            try:
                ask("metadata")
                break
            except OSError:
                time.sleep(1)
        else:
            raise SystemExit("HAPI FHIR did not start")
        yield
    finally:
        server.terminate()
        server.wait()


def ask(path: str) -> Any:
    """What the server answers."""
    with urlopen(f"{BASE}/{path}") as answer:
        return json.load(answer)


def observations() -> list[dict[str, Any]]:
    """All that it holds, page by page."""
    page = ask("Observation?_count=500")
    return [each["resource"] for each in page.get("entry", [])]


def tell(sender: FhirSender, telling: Telling) -> PriorTelling:
    """What is noted of a telling."""
    reply = sender.send(telling, time.monotonic() + 60)
    if not isinstance(reply, Accepted):
        raise SystemExit(f"{telling.key}: {reply}")
    return PriorTelling(telling.rev, reply.remote, reply.status, reply.digest)


def tell_all(way: str, *, by_id: bool) -> None:
    """Tell, revise, take back, and see what is there."""
    base = parse_base(BASE)
    assert base is not None
    pool = FhirPool(8)
    server = WrittenServer(base, ListedServer(BASE, Reach.LOCAL), pool)
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    writer = OnceWriter(server)
    # Of ids that clients may name HAPI does not tell in its CapabilityStatement.
    sender = FhirSender(
        "ehr",
        writer,
        lambda: SHIPPED,
        NAMING,
        write="put" if by_id else "auto",
        clock=lambda: now,
    )
    ids = [f"ep-{number}" for number in range(EPISODES)]
    told = {
        id: Telling("ehr", PatientIdentity(PATIENT), EPISODE, id, 1, an_episode(id=id))
        for id in ids
    }
    begun = time.monotonic()
    priors = {id: tell(sender, each) for id, each in told.items()}
    took = time.monotonic() - begun
    for id in ids[:20]:  # as after a time-out: it may be there, and it is
        tell(sender, replace(told[id], uncertain=True))
    there = {each["id"] for each in observations()}
    for id in ids[:REVISED]:
        changed = an_episode(id=id, value=150.0)
        tell(sender, replace(told[id], thing=changed, rev=2, prior=priors[id]))
    for id in ids[-TAKEN_BACK:]:
        tell(sender, replace(told[id], thing=None, rev=2, prior=priors[id]))
    found = observations()
    pool.close()
    states = Counter(each["status"] for each in found)
    print(f"{way}: {EPISODES} episodes in {took:.1f} s, then {dict(states)}")
    assert {each["id"] for each in found} == there and len(there) == EPISODES
    assert states["entered-in-error"] == TAKEN_BACK, states
    assert states["amended"] == REVISED, states


if __name__ == "__main__":
    for by_id in (True, False):
        with hapi(sys.argv[1], by_id=by_id):
            way = "put by id" if by_id else "created on condition"
            tell_all(way, by_id=by_id)
