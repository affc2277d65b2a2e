"""What is recorded of a set, or truly that nothing is.

That nothing is recorded is said only where all was read and understood, with how many
entries that were. What was recorded and is over, or lies outside the time that is asked
for, is named: a medicine that was stopped last month is not one that never was.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from ...fhir.moments import EVER, Moment, day_of
from ..values.text import Text, format_date
from .case import Case
from .facts import Fact
from .rows.problems import Ending
from .rows.readings import Row

NAMES_SHOWN = 3
"""Distinct names of one fact in a text; more are counted."""
_ENTRIES = {"condition": "problems", "medication": "medicines"}
_STATUSES: Mapping[str, str] = {
    "resolved": "resolved",
    "stopped": "stopped",
    "draft": "drafted",
    "any": "recorded",
}
"""What none of the entries is that belong to a set, by the status that is asked for."""
_WINDOWS: Mapping[str, str] = {
    "onset_within": "begun in the last",
    "recorded_within": "entered in the last",
    "started_within": "started in the last",
    "taken_for": "taken for",
}


def recorded(case: Case, fact: Fact, rows: Sequence[Row]) -> Text:
    """Return what is recorded, or that nothing is, after the title of the fact."""
    title = fact.title or fact.name.replace("_", " ")
    if rows:
        named = called(case, fact, rows)
        return Text(f"{title}: {some(named) or 'recorded'}", False)
    if case.heeding_unresolved().found(fact).doubts(unresolved=True):
        return Text(f"{title}: not known", True)
    read, entries = case.entries_read(fact), _ENTRIES[fact.kind]
    if not read:
        return Text(f"{title}: no {entries} recorded", True)
    none, instead = _none(case, fact)
    among = f"{read} {entries if read != 1 else entries[:-1]}"
    return Text(f"{title}: none {none} among {among}{instead}", not instead)


def _none(case: Case, fact: Fact) -> tuple[str, str]:
    """Return what there is none of, and what there is in its place."""
    for part in fact.simple():
        outside = case.outside(part) if part.window else []
        if outside and part.window:
            window = f"{_WINDOWS[part.window.rule]} {part.window.length}"
            return window, f"; {_going_on(case, fact, outside[-1])}"
    if not case.has_others(fact):
        return "recorded", ""
    status = _STATUSES.get(case.status_of(fact), "current")
    past = case.past(fact) if status == "current" else []
    return status, f"; {_over(case, fact, *past[-1])}" if past else ""


def _going_on(case: Case, fact: Fact, row: Row) -> str:
    name = some(called(case, fact, [row])) or fact.title
    begun = begun_text(row, case)
    return f"{name} since {begun}" if begun else name


def _over(case: Case, fact: Fact, row: Row, ending: Ending) -> str:
    name = some(called(case, fact, [row])) or fact.title
    if ending.at:
        return f"{name} {ending.word} {moment_text(ending.at, case)}"
    if ending.ordered:
        ordered = moment_text(ending.ordered, case)
        return f"{name} {ending.word}, ordered {ordered}"
    return f"{name} {ending.word}"


def called(case: Case, fact: Fact, rows: Sequence[Row]) -> list[str]:
    """Return the ingredients of medicines, else what rows are called, newest first."""
    if fact.kind != "medication":
        return distinct(rows)
    names = (name for row in reversed(rows) for name in case.called(fact, row))
    return list(dict.fromkeys(names))


def distinct(rows: Sequence[Row]) -> list[str]:
    """Return what the rows are called, the newest first."""
    return list(dict.fromkeys(row.name for row in reversed(rows) if row.name))


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def start_of(row: Row) -> Moment:
    """Return when what a row is about began."""
    return row.since or row.moment


def begun_text(row: Row, case: Case) -> str | None:
    """Return a start as exactly as it is recorded; None where none is known."""
    low, high = start_of(row)
    if row.since and row.untimed:
        return f"{format_date(_day(high, case))} or earlier"
    if not row.dated or low == EVER.low:
        return None
    return moment_text(Moment(low, high), case)


def moment_text(moment: Moment, case: Case) -> str:
    """Return a day, a month or a year, or from when to when."""
    low, high = moment
    first = _day(low, case)
    last = first if high == EVER.high else _day(high, case)
    if first == last:
        return format_date(first)
    if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
        ends = (f"{first.year}", f"{last.year}")
    elif first.day == 1 and (last + timedelta(days=1)).day == 1:
        ends = (f"{first:%Y-%m}", f"{last:%Y-%m}")
    else:
        ends = (format_date(first), format_date(last))
    return " to ".join(dict.fromkeys(ends))


def _day(at: datetime, case: Case) -> date:
    return day_of(at, case.zone)
