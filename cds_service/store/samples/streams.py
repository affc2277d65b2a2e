"""Streams and devices: what the rows of samples name by a number.

Who writes to a stream has its row locked until the transaction ends, all in one order.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Table,
    bindparam,
    case,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey
from ...wearables.samples import NO_DEVICE, Device
from ..database import Prepared
from .bulk import AT_ONCE
from .records import SampleStream, StreamOwner
from .tables import DEVICES, OWNER, PATIENT, STREAMS

LONG_AGO = -(2**62)
"""Before any sample."""
Numbers = dict[SampleStream, int]
"""What streams are called in the rows of samples."""


def lock_streams(
    connection: Connection,
    owners: Iterable[StreamOwner],
    wanted: Iterable[SampleStream],
) -> tuple[Numbers, dict[int, int]]:
    """Return every stream of the owners, those that are *wanted* included.

    From now on to the end of the transaction nobody else writes to them.

    Returns:
        Their numbers, and by number the latest start of any of their samples.
    """
    found = streams_of(connection, owners)
    missing = sorted(set(wanted) - found.keys())
    if missing:
        _ADD_STREAM.run(connection, *map(_stream_row, missing))
        found |= streams_of(connection, {each.owner for each in missing})
    ids, newest, stream = sorted(found.values()), dict[int, int](), STREAMS.c
    for start in range(0, len(ids), AT_ONCE):
        some = stream.id.in_(ids[start : start + AT_ONCE])
        held = select(stream.id, stream.newest_us).where(some).order_by(stream.id)
        newest |= {id: us for id, us in connection.execute(held.with_for_update())}
    return found, newest


def streams_of(connection: Connection, owners: Iterable[StreamOwner]) -> Numbers:
    """Return every stream of the owners."""
    return {
        read_stream(row): row.id
        for each in sorted(set(owners))
        for row in _STREAMS_OF.ask(connection, owner_row(each))
    }


def owners_of(connection: Connection, patient: PatientKey) -> set[StreamOwner]:
    """Return every owner of streams of a patient."""
    stream = STREAMS.c
    asked = select(stream.source, stream.link).distinct()
    whose = (stream[name] == value for name, value in patient._asdict().items())
    found = connection.execute(asked.where(*whose))
    return {StreamOwner(patient, source, link) for source, link in found}


def mark_arrival(
    connection: Connection, newest: Mapping[int, int], received_us: int
) -> None:
    """Note when a stream was heard last, and the latest start of its samples."""
    rows = [
        {"of": number, "newest": us, "received": received_us}
        for number, us in sorted(newest.items())
    ]
    if rows:
        _MARK_ARRIVAL.run(connection, *rows)


def number_devices(
    connection: Connection, patient: PatientKey, wanted: Iterable[Device]
) -> dict[Device, int]:
    """Return what a patient's devices are called in the rows of samples."""
    numbers: dict[Device, int] = {}
    for device in sorted(wanted, key=attrgetter("id", "name", "app")):
        if device == NO_DEVICE:
            numbers[device] = 0
            continue
        row = {
            **patient._asdict(),
            "device": device.id,
            "name": device.name,
            "app": device.app,
        }
        found = _DEVICE.ask(connection, row)
        if not found:
            _ADD_DEVICE.run(connection, row)
            found = _DEVICE.ask(connection, row)
        ((numbers[device],),) = found
    return numbers


def devices_of(connection: Connection, patient: PatientKey) -> dict[int, Device]:
    """Return the patient's devices by their number."""
    row = DEVICES.c
    asked = select(row.id, row.device, row.name, row.app).where(
        *(row[name] == value for name, value in patient._asdict().items())
    )
    found = {id: Device(*told) for id, *told in connection.execute(asked)}
    return {0: NO_DEVICE, **found}


def read_stream(row: Row[Any]) -> SampleStream:
    """Return the stream of a row of ``sample_streams``."""
    patient = PatientKey(row.tenant, row.fhir_base, row.patient_id)
    return SampleStream(
        StreamOwner(patient, row.source, row.link), row.metric, row.unit
    )


def owner_row(owner: StreamOwner) -> dict[str, Any]:
    """Return what tells an owner in a row."""
    return {
        **owner.patient._asdict(),
        "source": owner.source,
        "link": owner.link,
    }


def _stream_row(stream: SampleStream) -> dict[str, Any]:
    return {
        **owner_row(stream.owner),
        "metric": stream.metric,
        "unit": stream.unit,
        "newest_us": LONG_AGO,
        "received_us": LONG_AGO,
        "withdrawn_us": None,
    }


def _mark_arrival() -> Prepared:
    stream = STREAMS.c
    newest: BindParameter[int] = bindparam("newest")
    later = case((stream.newest_us > newest, stream.newest_us), else_=newest)
    return Prepared(
        update(STREAMS)
        .where(stream.id == bindparam("of"))
        .values(newest_us=later, received_us=bindparam("received"))
    )


def _added(table: Table) -> Prepared:
    names = [each.name for each in table.columns if each.name != "id"]
    return Prepared(insert(table).on_conflict_do_nothing(), names)


def _same(table: Table, names: Iterable[str]) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(name) for name in names]


_STREAMS_OF = Prepared(select(STREAMS).where(*_same(STREAMS, OWNER)))
_ADD_STREAM = _added(STREAMS)
_MARK_ARRIVAL = _mark_arrival()
_DEVICE = Prepared(
    select(DEVICES.c.id).where(
        *_same(DEVICES, (*PATIENT, "device", "name", "app")),
    )
)
_ADD_DEVICE = _added(DEVICES)
