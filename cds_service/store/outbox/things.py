"""What is told, read at the moment it is told: the thing, whose it is, who permits."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ...wearables.consent import ConsentAction
from ...wearables.consent_gate import ConsentGate
from ...wearables.records import PatientKey, WearableAlert
from ...wearables.summaries import turn
from ...wearables.telling import (
    EPISODE,
    PatientIdentity,
    PriorTelling,
    Thing,
    ToldAs,
    split_key,
)
from .. import consents
from ..detection.rows import day_summary
from ..detection.tables import SUMMARIES
from ..rows import wearable_alert
from .records import Lane
from .statements import ALERT, NUMBERS, PRIOR, of_patient, of_thing


def find_thing(
    connection: Connection, patient: PatientKey, kind: str, key: str, gate: ConsentGate
) -> Thing | None:
    """Return the thing as it stands; None where it is gone.

    Of several summaries of a day it is the one that is to be read.
    """
    if kind == EPISODE:
        source, id = split_key(key, 2)
        named = {**of_patient(patient), "of_source": source, "of_id": id}
        found = ALERT.ask(connection, named)
        return wearable_alert(found[0]) if found else None
    row = SUMMARIES.c
    metric, day, part = split_key(key, 3)
    same = [row.metric == metric, row.day == day, row.part == part]
    asked = select(SUMMARIES).where(*_of(SUMMARIES, patient), *same)
    summaries = [day_summary(each) for each in connection.execute(asked)]
    known = gate.catalogue.metrics.get(metric)
    priority = known.priority if known else ()
    return min(summaries, key=lambda each: turn(each, priority), default=None)


def find_prior(
    connection: Connection, lane: Lane, kind: str, key: str
) -> PriorTelling | None:
    """Return what a destination has of a thing."""
    for each in PRIOR.ask(connection, of_thing(lane, kind, key)):
        return PriorTelling(each.rev, each.remote, ToldAs(each.status), each.digest)
    return None


def identify(
    connection: Connection, patient: PatientKey, thing: Thing | None
) -> PatientIdentity:
    """Return whose it is: the number of the link that it came by, else the newest."""
    found = NUMBERS.ask(connection, of_patient(patient))
    sources = _sources(thing)
    for matches in (
        [each for each in found if each.id == getattr(thing, "link", 0)],
        [each for each in found if each.source in sources],
        found,
    ):
        for each in matches:
            return PatientIdentity(patient, each.mrn, each.authority)
    return PatientIdentity(patient)


def may_disclose(
    connection: Connection,
    patient: PatientKey,
    thing: Thing,
    gate: ConsentGate,
    now: datetime,
) -> bool:
    """Check whether the patient permits to tell others of it, all of its time."""
    known = gate.read(consents.read(connection, [patient])[patient])
    if isinstance(thing, WearableAlert):
        return gate.permits(ConsentAction.DISCLOSE, thing, known, now)
    return gate.permits_day(ConsentAction.DISCLOSE, thing, known, now)


def _sources(thing: Thing | None) -> tuple[str, ...]:
    if isinstance(thing, WearableAlert):
        return (thing.source,)
    return (thing.source, *thing.sources) if thing else ()


def _of(table: Any, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
