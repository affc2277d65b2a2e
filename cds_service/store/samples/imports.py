"""How far the export of a phone was taken in, should that break off.

It is written in the transaction of what was taken in, and gone once all of it was. What
it says is good for one file that is read in one way: its basis is a digest of both.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey
from ..rows import instant
from .records import ImportProgress, StreamOwner
from .tables import IMPORTS, PATIENT


def read_progress(connection: Connection, owner: StreamOwner) -> ImportProgress | None:
    """Return how far the last import of an owner came; None if that was its end."""
    row = connection.execute(select(IMPORTS).where(_of(owner))).first()
    return None if row is None else ImportProgress(owner, row.basis, row.items)


def note_progress(
    connection: Connection, progress: ImportProgress, now: datetime
) -> None:
    """Have it known how far an import came; nothing of one that came to its end."""
    if progress.whole:
        connection.execute(delete(IMPORTS).where(_of(progress.owner)))
        return
    told = {
        "basis": progress.basis,
        "items": progress.items,
        "taken_in": instant(now),
    }
    key = {**progress.owner.patient._asdict(), "source": progress.owner.source}
    noted = insert(IMPORTS).values(key | told)
    connection.execute(noted.on_conflict_do_update(index_elements=[*key], set_=told))


def forget_progress(connection: Connection, patient: PatientKey) -> None:
    """Have every import of a patient begin at the beginning."""
    named = (IMPORTS.c[name] == value for name, value in patient._asdict().items())
    connection.execute(delete(IMPORTS).where(*named))


def _of(owner: StreamOwner) -> ColumnElement[bool]:
    told = dict(zip(PATIENT, owner.patient))
    same = (IMPORTS.c[name] == value for name, value in told.items())
    return and_(*same, IMPORTS.c.source == owner.source)
