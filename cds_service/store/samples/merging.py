"""Two patients who turned out to be one: what is kept of the one becomes the other's.

Where both have the same stream, its samples are put together as if all had come for the
one that stays. What either took back is taken back of both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey
from ...wearables.samples import NO_DEVICE
from ..consents import guard
from ..detection.due import move_due
from ..detection.tables import OWN_LIMITS, SUMMARIES, TALLIES
from ..outbox.news import merge_outbox
from ..tables import CONSENTS, WEARABLE_ALERTS
from . import bulk
from .bulk import AT_ONCE
from .imports import forget_progress
from .removals import ALWAYS, remove_again
from .rows import COLUMNS, moment, plain
from .streams import devices_of, lock_streams, owners_of
from .tables import DEVICES, LINKS, OWNER, REMOVALS, REVISIONS, SAMPLES, STREAMS
from .upsert import put_together


def merge(
    connection: Connection, old: PatientKey, new: PatientKey, now_us: int
) -> None:
    """Have all that is kept of *old* be kept of *new*."""
    guard(connection, changed=[old, new])
    connection.execute(update(LINKS).where(_of(LINKS, old)).values(new._asdict()))
    owners = owners_of(connection, old)
    lock_streams(connection, owners | owners_of(connection, new), ())
    numbers = _merge_devices(connection, old, new)
    for row in connection.execute(select(STREAMS).where(_of(STREAMS, old))).all():
        _renumber(connection, row.id, numbers)
        _merge_stream(connection, row, new, now_us)
    taken_back = (*OWNER, "source_id", "metric", "start_us", "end_us")
    _merge_rows(connection, REMOVALS, (old, new), taken_back, "revision")
    for owner in owners:
        remove_again(connection, owner._replace(patient=new), now_us)
    for table, newer in (
        (WEARABLE_ALERTS, "rev"),
        (CONSENTS, "updated"),
        (SUMMARIES, "computed_us"),
        (TALLIES, "judged"),
    ):
        key = tuple(each.name for each in table.primary_key)
        _merge_rows(connection, table, (old, new), key, newer)
    of_old = _of(OWN_LIMITS, old)
    connection.execute(update(OWN_LIMITS).where(of_old).values(new._asdict()))
    move_due(connection, old, new, now_us)
    merge_outbox(connection, old, new, moment(now_us))
    forget_progress(connection, old)


def _merge_devices(
    connection: Connection, old: PatientKey, new: PatientKey
) -> Mapping[int, int]:
    """The numbers of devices that both have: those of before, to those that stay."""
    known = {device: number for number, device in devices_of(connection, new).items()}
    numbers = {
        number: known[device]
        for number, device in devices_of(connection, old).items()
        if device in known and device != NO_DEVICE
    }
    of_both = DEVICES.c.id.in_(list(numbers))
    connection.execute(delete(DEVICES).where(of_both))
    connection.execute(update(DEVICES).where(_of(DEVICES, old)).values(new._asdict()))
    return numbers


def _renumber(connection: Connection, stream: int, numbers: Mapping[int, int]) -> None:
    for table in (SAMPLES, REVISIONS):
        for before, after in numbers.items():
            rows = and_(table.c.stream == stream, table.c.device == before)
            connection.execute(update(table).where(rows).values(device=after))


def _merge_stream(
    connection: Connection, old: Row[Any], new: PatientKey, now_us: int
) -> None:
    row, whole = STREAMS.c, {**old._mapping, **new._asdict()}
    same = [row[name] == whole[name] for name in (*OWNER, "metric", "unit")]
    other = connection.execute(select(STREAMS).where(*same)).first()
    if other is None:
        moved = update(STREAMS).where(row.id == old.id)
        connection.execute(moved.values(new._asdict()))
        return
    sample = SAMPLES.c
    columns = [sample[name] for name in COLUMNS]
    some = select(*columns).where(sample.stream == old.id).limit(AT_ONCE)
    while found := [plain(each) for each in connection.execute(some)]:
        moved_rows = [(other.id, *each[1:]) for each in found]
        put_together(connection, moved_rows, {}, now_us, {other.id: ALWAYS})
        bulk.remove(connection, found)
    replaced = update(REVISIONS).where(REVISIONS.c.stream == old.id)
    connection.execute(replaced.values(stream=other.id))
    ends = [each.withdrawn_us for each in (old, other)]
    connection.execute(
        update(STREAMS)
        .where(row.id == other.id)
        .values(
            newest_us=max(old.newest_us, other.newest_us),
            received_us=max(old.received_us, other.received_us),
            withdrawn_us=min((each for each in ends if each is not None), default=None),
        )
    )
    connection.execute(delete(STREAMS).where(row.id == old.id))


def _merge_rows(
    connection: Connection,
    table: Table,
    patients: tuple[PatientKey, PatientKey],
    key: Sequence[str],
    newer: str,
) -> None:
    """Have rows of the first patient be the second's; of two the newer stays."""
    old, new = patients
    names = [each.name for each in table.columns if each.name != "id" or "id" in key]
    asked = select(*(table.c[each] for each in names)).where(_of(table, old))
    rows = connection.execute(asked).mappings().all()
    if rows:
        added = insert(table)
        changes = {name: added.excluded[name] for name in names if name not in key}
        instead = added.on_conflict_do_update(
            index_elements=[table.c[name] for name in key],
            set_=changes,
            where=added.excluded[newer] > table.c[newer],
        )
        connection.execute(instead, [{**row, **new._asdict()} for row in rows])
        connection.execute(delete(table).where(_of(table, old)))


def _of(table: Table, patient: PatientKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in patient._asdict().items()))
