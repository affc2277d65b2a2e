"""Another system that is told: it keeps what it gets, and behaves as it is made to.

It has no memory of identities: told the same twice, it has it twice. That is what a
destination has to see to, which looks before it tells again what is uncertain. Run as
a module it is a process that delivers, for tests that kill it.
"""

import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.records import Accepted, Reply
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.telling import Telling

Answer = Callable[[Telling], Reply | None]
"""What it says instead of taking it; None for nothing."""


@dataclass
class OtherSide:
    """What the other system has, in a file that outlives all processes."""

    file: Path

    def make(self) -> "OtherSide":
        """Return it, empty."""
        with self._open() as database:
            database.execute(
                "CREATE TABLE taken (id INTEGER PRIMARY KEY, patient, thing, rev,"
                " status, value)"
            )
        return self

    def take(self, telling: Telling) -> None:
        """Have it once more."""
        value = getattr(telling.thing, "value", None)
        row = (telling.identity.patient.patient_id, telling.key, telling.rev)
        with self._open() as database:
            database.execute(
                "INSERT INTO taken (patient, thing, rev, status, value)"
                " VALUES (?, ?, ?, ?, ?)",
                (*row, str(telling.status), value),
            )

    def has(self, telling: Telling) -> bool:
        """Whether it was told that."""
        row = (telling.identity.patient.patient_id, telling.key, telling.rev)
        with self._open() as database:
            asked = "SELECT 1 FROM taken WHERE patient = ? AND thing = ? AND rev = ?"
            return database.execute(asked, row).fetchone() is not None

    def taken(self) -> list[tuple[str, str, int, str]]:
        """Patient, thing, number and status of all, in the order in which they came."""
        with self._open() as database:
            asked = "SELECT patient, thing, rev, status FROM taken ORDER BY id"
            return list(database.execute(asked))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=60)) as database, database:
            yield database


@dataclass
class HostileDestination:
    """A destination that tells the other side, unless it is made to do otherwise."""

    other: OtherSide
    id: str = "ehr"
    before: Answer = lambda telling: None
    """Asked before anything is told."""
    after: Answer = lambda telling: None
    """Asked after the other side has it."""
    seconds: float = 0.0
    """The longest that either takes, by chance."""
    asked: list[Telling] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def send(self, telling: Telling, deadline: float) -> Reply:
        """Tell it once, looking first where it is uncertain."""
        with self.lock:
            self.asked.append(telling)
        reply = self.before(telling)
        if reply is None:
            time.sleep(random.uniform(0, self.seconds))
            if not (telling.uncertain and self.other.has(telling)):
                self.other.take(telling)
            time.sleep(random.uniform(0, self.seconds))
            reply = self.after(telling)
        return reply or Accepted(telling.key, f"{telling.rev}", telling.status)

    def close(self) -> None:
        """Nothing is open."""
        self.closed = True


def main(url: str, file: str, seconds: str) -> None:
    """Deliver until nothing is due any more."""
    store = Store.open(url)
    gate = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
    around = Surroundings(lambda tenant: gate, lambda: datetime.now(UTC))
    destination = HostileDestination(OtherSide(Path(file)), seconds=float(seconds))
    dispatcher = Dispatcher(store.outbox, destination, around, connections=4)
    print("ready", flush=True)
    sys.stdin.readline()
    run([dispatcher], threading.Event(), once=True)
    print(dispatcher.progress.sent)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
