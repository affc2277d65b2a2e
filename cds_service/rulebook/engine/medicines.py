"""When the medicines of a chart were taken, as each of its entries says. Pure.

Not what all entries make of each other, which rules ask: for who looks at readings, an
order that was renewed is two stretches of time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ...fhir.chart import Chart, Resource
from .rows.coded import coded_medication
from .rows.problems import Times
from .rows.supplies import medication_moment
from .rows.treatments import Product, Says, read_entry

SOURCES = ("medication_requests", "medication_statements")
_TAKEN = (Says.TAKEN, Says.STOPPED, Says.ENDED, Says.USED_UP)


@dataclass(frozen=True, slots=True)
class MedicineTaken:
    """One stretch of time in which a medicine was taken, by one entry."""

    name: str
    """As the entry calls it; a text out of a record."""
    since: datetime | None
    """UTC; None where that is not told."""
    until: datetime | None
    """UTC; None where it goes on, or where its end is not told."""
    is_over: bool
    """It is not taken any more, or no longer surely, whenever it ended."""


@dataclass(frozen=True, slots=True)
class MedicinesTaken:
    """What a chart says of medicines over time."""

    taken: tuple[MedicineTaken, ...] = ()
    """By their names, then by their starts."""
    unplaced: int = 0
    """Entries of which nobody can say which medicine, or when."""


def medicines_taken(chart: Chart, now: datetime, zone: tzinfo) -> MedicinesTaken:
    """Return when each medicine was taken, of those orders and statements that say so.

    Plans, drafts, what is on hold and what was not taken are no part of it.
    """
    times, unplaced = Times(now, zone), 0
    found: list[MedicineTaken] = []
    for resource in _entries(chart):
        names = coded_medication(resource, chart).names
        began = medication_moment(resource, zone)
        entry = read_entry(resource, Product(), began, times)
        if entry.says not in _TAKEN:
            continue
        if not names or (began is None and entry.until is None):
            unplaced += 1
            continue
        is_over = entry.says is not Says.TAKEN
        until = entry.until.high if entry.until else None
        since = began.low if began else None
        found.append(MedicineTaken(names[0], since, until, is_over))
    found.sort(key=_by_name)
    return MedicinesTaken(tuple(found), unplaced)


def _entries(chart: Chart) -> Iterator[Resource]:
    for name in SOURCES:
        source = chart.sources.get(name)
        if source is not None:
            yield from source.resources


def _by_name(each: MedicineTaken) -> tuple[object, ...]:
    return each.name.casefold(), each.since is not None, each.since or each.until
