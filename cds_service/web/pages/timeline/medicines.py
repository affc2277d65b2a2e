"""Medicines beside readings, out of the chart: read as the user may, and never kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ....connect.smart import NoAccess, TokenDesk
from ....decision import World
from ....decision.looking import Onlooker, look_at_medicines
from ....fhir.chart import Chart, SourceState
from ....rulebook.engine import MedicinesTaken, medicines_taken
from ....store.sign_in.records import SmartSession
from ....wearables.samples import microseconds
from ...smart.sessions import launching
from ..visits import look_as_user
from .picture import MedicinePeriod

PARTS = {
    "medication_requests": "Orders of medicines",
    "medication_statements": "Statements of medicines",
}


@dataclass(frozen=True, slots=True)
class MedicinesRead:
    """What was read of medicines."""

    periods: Sequence[MedicinePeriod] = ()
    missing: Sequence[str] = ()
    """What was not, and why, in sentences."""


def read_medicines(
    world: World, tokens: TokenDesk, session: SmartSession
) -> MedicinesRead:
    """Return when medicines of the session's patient were taken, as the chart says now.

    Raises:
        NoAccess: if the session has ended, so that nothing is to be shown.
        WrongPatient: if the chart is about somebody else.
    """
    client = launching(world)[session.client]

    def look(onlooker: Onlooker) -> Chart:
        return look_at_medicines(onlooker, client, world)

    try:
        chart = look_as_user(world, tokens, session, look)
    except NoAccess as error:
        if error.ended:
            raise
        return MedicinesRead(missing=[f"No medicine could be read. {error}"])
    now, zone = world.clock(), world.rulebook.site.time_zone
    told = medicines_taken(chart, now, zone)
    return MedicinesRead(_periods(told), list(_missing(chart, told)))


def _periods(told: MedicinesTaken) -> list[MedicinePeriod]:
    found = []
    for each in told.taken:
        since = None if each.since is None else microseconds(each.since)
        until = None if each.until is None else microseconds(each.until)
        name = each.name
        if each.is_over and until is None:
            # How long it went on nobody says: only that it began is drawn.
            name, until = f"{name} (end not recorded)", since
        found.append(MedicinePeriod(name, since, until))
    return found


def _missing(chart: Chart, told: MedicinesTaken) -> Iterator[str]:
    for name, title in PARTS.items():
        source = chart.sources.get(name)
        state = source.state if source else SourceState.MISSING
        why = f" ({source.why})" if source and source.why else ""
        if state is SourceState.MISSING:
            yield f"{title} could not be read{why}: the plot may be incomplete."
        elif state is SourceState.PARTIAL:
            yield f"{title} were read only in part{why}: the plot may be incomplete."
    if told.unplaced:
        entries = "entry" if told.unplaced == 1 else "entries"
        yield (
            f"{told.unplaced} {entries} of medicines could not be drawn: the medicine"
            " or its time is not recorded."
        )
