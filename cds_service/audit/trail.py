"""The audit trail as it stands: written out, and held to its chain."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from ..store.records import AuditEntry, Seal
from ..store.reports import Period
from ..store.store import Store
from ..store.trail.chain import (
    GENESIS,
    Tail,
    entry_hash,
    predecessor,
    seal_digest,
)

SEALS = "seals"
"""What the chain of seals is called where writers have their names."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A row of the trail as it was once, and with it all rows before it."""

    writer: str
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the trail is not as it was written."""

    writer: str
    sequence: int
    problem: str


def export(store: Store, period: Period | None = None) -> Iterator[str]:
    """Yield every row of the trail as a line of JSON, in the order of arrival."""
    for entry in entries(store, period):
        row = {**asdict(entry), "detail": json.loads(entry.detail or "null")}
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def entries(store: Store, period: Period | None = None) -> Iterator[AuditEntry]:
    """Return the rows of the trail, or those of a period, in the order of arrival."""
    since, until = period.bounds if period else ("", "~")
    return (each for each in store.audit_entries(period) if since <= each.at < until)


def anchors(store: Store) -> tuple[Anchor, ...]:
    """Return the newest row of each writer and the newest seal.

    To be kept where nobody can change them.
    """
    newest = {entry.writer: entry for entry in store.audit_entries()}
    rows = [
        Anchor(entry.writer, entry.sequence, entry.hash)
        for _, entry in sorted(newest.items())
    ]
    seal = store.seals.newest()
    return (*rows, *([Anchor(SEALS, seal.number, seal.digest)] if seal else ()))


def verify(store: Store, kept: Iterable[Anchor] = ()) -> list[Break]:
    """Return every place where a row was changed, removed or put in.

    Rows that were removed with all of their seal are not missing: the seal says what
    the rows behind them follow from. What rows and seals alone cannot show: that the
    last of them were cut off, or all rows of a writer, where no other writer takes them
    up, and that somebody who can write the database wrote them anew from some place to
    the end. Anchors that were *kept* elsewhere show that.
    """
    anchored = tuple(kept)
    expected = {(each.writer, each.sequence): each.hash for each in anchored}
    seals = store.seals.all()
    trail = _Trail(seals)
    breaks = [*_broken_seals(seals, expected)]
    for entry in store.audit_entries():
        problems = list(trail.read(entry))
        hash = expected.pop((entry.writer, entry.sequence), entry.hash)
        if hash != entry.hash:
            problems.append("the row is not the one that was anchored")
        breaks += [Break(entry.writer, entry.sequence, each) for each in problems]
    breaks += trail.lacking()
    breaks += [
        Break(writer, sequence, "the row that was anchored is missing")
        for (writer, sequence), hash in expected.items()
        if not trail.covers(Tail(writer, sequence, hash))
    ]
    if breaks and store.seals.all() != seals:
        return verify(store, anchored)  # rows were sealed or removed meanwhile
    return breaks


def _broken_seals(
    seals: Iterable[Seal], expected: dict[tuple[str, int], str]
) -> Iterator[Break]:
    """What is wrong with the chain of seals; takes their anchors off those expected."""
    number, digest = 0, GENESIS
    for seal in seals:
        if seal.number != number + 1:
            yield Break(SEALS, seal.number, f"seal {number + 1} is missing")
        elif seal.previous != digest:
            yield Break(SEALS, seal.number, "it does not follow from the seal before")
        if seal.digest != seal_digest(seal):
            yield Break(SEALS, seal.number, "the seal was changed")
        if expected.pop((SEALS, seal.number), seal.digest) != seal.digest:
            yield Break(SEALS, seal.number, "the seal is not the one that was anchored")
        number, digest = seal.number, seal.digest
    for writer, sequence in [each for each in expected if each[0] == SEALS]:
        del expected[writer, sequence]
        yield Break(SEALS, sequence, "the seal that was anchored is missing")


class _Trail:
    """How far the rows of each writer were read, and what stands in for some."""

    def __init__(self, seals: Iterable[Seal]) -> None:
        self._ends: dict[str, tuple[Tail, ...]] = {}
        """The last two rows of each writer: where a connection was lost, nobody may
        have known that the last one was written."""
        self._gone: dict[str, Seal] = {}
        """The last seal of each writer whose rows were removed."""
        self._sealed: dict[str, list[Seal]] = {}
        """Those whose rows are there, the next one last."""
        for seal in seals:
            if seal.pruned is None:
                self._sealed.setdefault(seal.writer, []).insert(0, seal)
            else:
                self._gone[seal.writer] = seal
                self._ends[seal.writer] = (_end(seal),)

    def read(self, entry: AuditEntry) -> Iterator[str]:
        """Yield what is wrong with the next row, and remember it."""
        tail = self._ends.get(entry.writer, (Tail(entry.writer),))[-1]
        missing = entry.sequence - tail.sequence - 1
        if missing > 0:
            yield self._missing(entry.writer, tail.sequence + 1, entry.sequence - 1)
        elif missing < 0:
            gone = self._gone.get(entry.writer)
            removed = gone is not None and entry.sequence <= gone.last
            yield (
                "its seal says it was removed" if removed else "the row is out of order"
            )
        else:
            yield from self._follows(entry, tail)
        if entry.hash != entry_hash(entry):
            yield "the row was changed"
        yield from self._meets_seal(entry)
        here = Tail(entry.writer, entry.sequence, entry.hash)
        self._ends[entry.writer] = (*self._ends.get(entry.writer, ())[-1:], here)

    def _follows(self, entry: AuditEntry, tail: Tail) -> Iterator[str]:
        before = predecessor(entry)
        if before is None:
            if entry.previous_hash != tail.hash:
                yield "the row does not follow from the row before it"
        elif not self._has(before):
            where = f"row {before.sequence} of writer {before.writer}"
            yield f"{where}, which it takes up, is missing or was changed"

    def _has(self, end: Tail) -> bool:
        return end in self._ends.get(end.writer, ()) or self.covers(end)

    def covers(self, row: Tail) -> bool:
        """Check whether a row was removed under a seal that says nothing against it."""
        gone = self._gone.get(row.writer)
        if gone is None or row.sequence > gone.last:
            return False
        return row.sequence < gone.last or row.hash == gone.hash_last

    def _missing(self, writer: str, first: int, last: int) -> str:
        told = f"rows {first} to {last} are missing"
        for seal in self._sealed.get(writer, ()):
            if seal.first <= last and seal.last >= first:
                whole = first <= seal.first and seal.last <= last
                part = "all" if whole else "part"
                return f"{told}, {part} of what seal {seal.number} holds"
        return told

    def _meets_seal(self, entry: AuditEntry) -> Iterator[str]:
        sealed = self._sealed.get(entry.writer, [])
        while sealed and sealed[-1].last < entry.sequence:
            sealed.pop()
        if not sealed:
            return
        seal = sealed[-1]
        if entry.sequence == seal.first and entry.previous_hash != seal.hash_before:
            yield f"seal {seal.number} was put on another row before it"
        if entry.sequence == seal.last:
            sealed.pop()
            if entry.hash != seal.hash_last:
                yield f"seal {seal.number} was put on another row"

    def lacking(self) -> Iterator[Break]:
        """Yield the ends of writers that seals hold and that are not there."""
        for writer, sealed in self._sealed.items():
            read = self._ends.get(writer, (Tail(writer),))[-1].sequence
            if sealed and sealed[0].last > read:
                last = sealed[0].last
                yield Break(writer, last, self._missing(writer, read + 1, last))


def _end(seal: Seal) -> Tail:
    return Tail(seal.writer, seal.last, seal.hash_last)
