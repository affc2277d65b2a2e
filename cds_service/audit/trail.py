"""The audit trail as it stands: written out, and held to its chain."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from ..store.chain import Tail, entry_hash, predecessor
from ..store.records import AuditEntry
from ..store.reports import Period
from ..store.store import Store

Ends = tuple[Tail, ...]
"""The last two rows of a writer: where a connection was lost, nobody may have known
that the last one was written."""


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
        row = {**asdict(entry), "detail": json.loads(entry.detail)}
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def entries(store: Store, period: Period | None = None) -> Iterator[AuditEntry]:
    """Return the rows of the trail, or those of a period, in the order of arrival."""
    since, until = period.bounds if period else ("", "~")
    return (each for each in store.audit_entries() if since <= each.at < until)


def anchors(store: Store) -> tuple[Anchor, ...]:
    """Return the newest row of each writer, to be kept where nobody can change it."""
    newest = {entry.writer: entry for entry in store.audit_entries()}
    return tuple(
        Anchor(entry.writer, entry.sequence, entry.hash)
        for _, entry in sorted(newest.items())
    )


def verify(store: Store, kept: Iterable[Anchor] = ()) -> list[Break]:
    """Return every place where a row was changed, removed or put in.

    What the rows alone cannot show: that the last rows of a writer were cut off, or all
    of them, where no other writer takes them up, and that somebody who can write the
    database wrote a chain anew from some row to its end. Anchors that were *kept*
    elsewhere show that.
    """
    ends: dict[str, Ends] = {}
    breaks = []
    expected = {(each.writer, each.sequence): each.hash for each in kept}
    for entry in store.audit_entries():
        problems = list(_problems(entry, ends))
        hash = expected.pop((entry.writer, entry.sequence), entry.hash)
        if hash != entry.hash:
            problems.append("the row is not the one that was anchored")
        breaks += [Break(entry.writer, entry.sequence, each) for each in problems]
        tail = Tail(entry.writer, entry.sequence, entry.hash)
        ends[entry.writer] = (*ends.get(entry.writer, ())[-1:], tail)
    return breaks + [
        Break(writer, sequence, "the row that was anchored is missing")
        for writer, sequence in expected
    ]


def _problems(entry: AuditEntry, ends: Mapping[str, Ends]) -> Iterator[str]:
    tail = ends.get(entry.writer, (Tail(entry.writer),))[-1]
    before = predecessor(entry)
    missing = entry.sequence - tail.sequence - 1
    if missing > 0:
        yield f"rows {tail.sequence + 1} to {entry.sequence - 1} are missing"
    elif missing < 0:
        yield "the row is out of order"
    elif before is not None:
        if before not in ends.get(before.writer, ()):
            where = f"row {before.sequence} of writer {before.writer}"
            yield f"{where}, which it takes up, is missing or was changed"
    elif entry.previous_hash != tail.hash:
        yield "the row does not follow from the row before it"
    if entry.hash != entry_hash(entry):
        yield "the row was changed"
