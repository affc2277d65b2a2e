"""What a patient has among samples, links, quarantine and days: told, and removed.

There may be millions of samples: they are read and removed some at a time. Whoever
delivers for the patient meanwhile is heard before the last of it goes, or after.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    delete,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)

from ...wearables.records import PatientKey
from ..consents import guard
from ..database import Database
from ..grants.tables import GRANTS, OF_WEARERS, PULLS, SECRET, WANTED
from ..outbox.tables import OF_PATIENTS
from ..sign_in import tables as sign_in
from .streams import LONG_AGO
from .tables import (
    DEVICES,
    IMPORTS,
    LINK_TOKENS,
    LINKS,
    QUARANTINE,
    REMOVALS,
    REVISIONS,
    SAMPLES,
    STREAMS,
)

AT_ONCE = 5000
"""Samples of one transaction."""
OF_STREAMS = (SAMPLES, REVISIONS)
BY_PATIENT = (
    STREAMS,
    DEVICES,
    REMOVALS,
    LINKS,
    IMPORTS,
    sign_in.SESSIONS,
    *OF_PATIENTS,
)
"""Tables whose rows name the patient."""
OF_OTHERS = (LINK_TOKENS, QUARANTINE, PULLS, *OF_WEARERS, *sign_in.BY_LAUNCH)
TABLES = (*OF_STREAMS, *OF_OTHERS, *BY_PATIENT)
UNTOLD = SECRET | sign_in.SECRET
"""Columns."""


def rows_of(
    database: Database, patient: PatientKey
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of the table and the row, as JSON can tell it, of all there is."""
    with database.reading() as connection:
        wanted = _wanted(connection, patient)
    for table, which in wanted:
        key, last = list(table.primary_key), list[Any]()
        while True:
            page = select(table).where(which).order_by(*key).limit(AT_ONCE)
            if last:
                after = (literal(each, of.type) for each, of in zip(last, key))
                page = page.where(tuple_(*key) > tuple_(*after))
            with database.reading() as connection:
                found = connection.execute(page).mappings().all()
            for row in found:
                yield table.name, {
                    name: _told(value)
                    for name, value in row.items()
                    if name not in UNTOLD
                }
            if len(found) < AT_ONCE:
                break
            last = [found[-1][each.name] for each in key]


def count(connection: Connection, patient: PatientKey) -> dict[str, int]:
    """Return how many rows there are of each table."""
    return {
        table.name: connection.execute(
            select(func.count()).select_from(table).where(which)
        ).scalar_one()
        for table, which in _wanted(connection, patient)
    }


def erase(database: Database, patient: PatientKey) -> dict[str, int]:
    """Return how many rows of each table were removed."""
    removed = dict.fromkeys((each.name for each in TABLES), 0)
    with database.reading() as connection:
        many = dict(_wanted(connection, patient))
    for table in OF_STREAMS:
        while rows := database.write(_some_gone(table, many[table])):
            removed[table.name] += rows

    def rest(connection: Connection) -> dict[str, int]:
        # Nothing is delivered for the patient while the streams go.
        guard(connection, changed=[patient])
        return {
            table.name: connection.execute(delete(table).where(which)).rowcount
            for table, which in _wanted(connection, patient)
        }

    gone = database.write(rest)
    return {name: rows + gone[name] for name, rows in removed.items()}


def users_of(connection: Connection, patient: PatientKey) -> set[tuple[str, str, str]]:
    """Return tenant, source and user of every wearer who is the patient, and no other
    by now.
    """
    links = connection.execute(select(LINKS).where(_of(LINKS, patient))).all()
    return _users_of(connection, patient, links)


def _wanted(
    connection: Connection, patient: PatientKey
) -> list[tuple[Table, ColumnElement[bool]]]:
    """Which rows of each table, those first that are found by way of others."""
    numbers = select(STREAMS.c.id).where(_of(STREAMS, patient))
    streams = connection.execute(numbers).scalars().all()
    links = connection.execute(select(LINKS).where(_of(LINKS, patient))).all()
    held = or_(false(), *map(_held_of, links))
    return [
        *((table, table.c.stream.in_(streams)) for table in OF_STREAMS),
        (LINK_TOKENS, LINK_TOKENS.c.link.in_([each.id for each in links])),
        (QUARANTINE, held),
        *_of_wearers(connection, patient, links),
        *_of_launches(connection, patient),
        *((table, _of(table, patient)) for table in BY_PATIENT),
    ]


def _of_launches(
    connection: Connection, patient: PatientKey
) -> list[tuple[Table, ColumnElement[bool]]]:
    """What belongs to sessions about the patient."""
    session = sign_in.SESSIONS.c
    asked = select(session.id, session.launch).where(_of(sign_in.SESSIONS, patient))
    found = connection.execute(asked).all()
    tokens, tickets = sign_in.TOKENS, sign_in.TICKETS
    return [
        (tokens, tokens.c.launch.in_([each.launch for each in found])),
        (tickets, tickets.c.session.in_([each.id for each in found])),
    ]


def _held_of(link: Row[Any]) -> ColumnElement[bool]:
    """What is held of the wearer whom a link names, of the time of the link."""
    held = QUARANTINE.c
    named = [held.tenant == link.tenant, held.source == link.source]
    named += [held.user == link.user] if link.user else []
    named += [held.device == link.device] if link.device else []
    of_time = held.start_us >= link.from_us
    if link.until_us is not None:
        of_time = and_(of_time, held.start_us < link.until_us)
    return and_(*named, or_(of_time, held.start_us == LONG_AGO))


def _of_wearers(
    connection: Connection, patient: PatientKey, links: Sequence[Row[Any]]
) -> list[tuple[Table, ColumnElement[bool]]]:
    """What the patient permits at vendors, and asked for; nothing of a user who is
    another patient by now.
    """
    own = _users_of(connection, patient, links)
    grant = GRANTS.c
    asked = select(grant.id, grant.tenant, grant.source, grant.vendor_user)
    found = connection.execute(asked.where(_named(GRANTS, own))).all()
    called = {(each.tenant, each.source, each.vendor_user) for each in found}
    return [
        (PULLS, PULLS.c.grant.in_([each.id for each in found])),
        *(
            (table, _named(table, own | called if table is WANTED else own))
            for table in OF_WEARERS
        ),
    ]


def _users_of(
    connection: Connection, patient: PatientKey, links: Sequence[Row[Any]]
) -> set[tuple[str, str, str]]:
    own = {(each.tenant, each.source, each.user) for each in links if each.user}
    row = LINKS.c
    for tenant, source, user in sorted(own):
        named = and_(row.tenant == tenant, row.source == source, row.user == user)
        lasting = and_(named, row.retracted.is_(None), row.until_us.is_(None))
        other = select(row.id).where(lasting, not_(_of(LINKS, patient)))
        if connection.execute(other).first():
            own.discard((tenant, source, user))
    return own


def _named(table: Table, users: Iterable[tuple[str, str, str]]) -> ColumnElement[bool]:
    row = table.c
    return or_(
        false(),
        *(
            and_(row.tenant == tenant, row.source == source, row.user == user)
            for tenant, source, user in sorted(users)
        ),
    )


def _some_gone(table: Table, which: ColumnElement[bool]) -> Callable[[Connection], int]:
    key = list(table.primary_key)
    some = select(*key).where(which).limit(AT_ONCE)
    named = key[0] if len(key) == 1 else tuple_(*key)

    def work(connection: Connection) -> int:
        return connection.execute(delete(table).where(named.in_(some))).rowcount

    return work


def _told(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _of(table: Table, patient: PatientKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in patient._asdict().items()))
