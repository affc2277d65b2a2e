"""What card text shows of days and streams: how much they tell, whose they are."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from ...wearables.detection.episodes import DayTally
from ...wearables.summaries import DaySummary
from ...wearables.worn import AgreedStream
from ..values.text import (
    Text,
    format_age,
    format_date,
    format_number,
    format_quantity,
    format_unit,
)
from .case import Case
from .days import OF_DAYS, Days, reckon
from .facts import Fact
from .rows.readings import Row

_BARS = "▁▂▃▄▅▆▇█"
_NO_DATA = "·"
_DRAWN = 31
"""Days in one line; of more the last."""
_ROWS = 14
"""Days in one table; of more the last."""
TABLE = "days_table"
"""What is shown as lines of their own."""
_ONE = timedelta(days=1)


def show_worn(
    case: Case, fact: Fact, attribute: str, rows: Sequence[Row]
) -> Text | None:
    """Return what *attribute* of days or streams is; None where nothing tells it."""
    if attribute in OF_DAYS and fact.kind == "wearable":
        number = reckon(attribute, rows, case.days_of(fact))
        if number is None:
            return None
        if attribute == "coverage":
            return Text(format_quantity(number.low * 100, "%"), True)
        return Text(format_number(number.low), True)
    if attribute == "count":
        return Text(str(len(rows)), True)
    return _SHOWN[attribute](case, fact, rows) if rows else None


def _name(case: Case, fact: Fact, rows: Sequence[Row]) -> Text:
    """The title; of facts that are joined, the titles of those that found something."""
    found = [each.title for each in fact.simple() if case.found(each).rows]
    return Text(", ".join(dict.fromkeys(found)), True)


def _age(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """How long ago the newest of it was measured, or the last of its days was."""
    worn = rows[-1].worn
    if isinstance(worn, DayTally):
        return Text(format_age(case.today - worn.day), True)
    newest = [at for at in map(_newest, rows) if at]
    return Text(format_age(case.now - max(newest)), True) if newest else None


def _newest(row: Row) -> datetime | None:
    return row.worn.last if isinstance(row.worn, DaySummary) else row.moment.high


def _latest_date(case: Case, fact: Fact, rows: Sequence[Row]) -> Text:
    worn = rows[-1].worn
    if isinstance(worn, DaySummary | DayTally):
        return Text(format_date(worn.day), True)
    return Text(format_date(rows[-1].moment.low.astimezone(case.zone).date()), True)


def _heard_date(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """The day on which it was last heard; None of what nothing ever came."""
    known = [row.worn.newest for row in rows if isinstance(row.worn, AgreedStream)]
    heard = [each for each in known if each is not None]
    return (
        Text(format_date(max(heard).astimezone(case.zone).date()), True)
        if heard
        else None
    )


def _device(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    named = [each for row in rows for each in _devices(row)]
    return _most(named)


def _devices(row: Row) -> Iterable[str]:
    if isinstance(row.worn, DaySummary):
        return row.worn.devices[:1]
    device = row.worn.device if isinstance(row.worn, AgreedStream) else ""
    return (device,) if device else ()


def _source(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    return _most([each for row in rows for each in _sources(row)])


def _sources(row: Row) -> Iterable[str]:
    worn = row.worn
    if isinstance(worn, DaySummary):
        return (worn.source,) if worn.source else worn.sources[:1]
    return (worn.source,) if worn and worn.source else ()


def _most(names: Sequence[str]) -> Text | None:
    """The name that most of it has; of several the one that is met last."""
    counted = Counter(reversed(names))
    return Text(counted.most_common(1)[0][0], False) if counted else None


def _reason(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """Why most could not be judged."""
    counted: Counter[str] = Counter()
    for row in rows:
        if isinstance(row.worn, DayTally):
            counted.update({str(why): n for why, n in row.worn.not_judged.items()})
    if not counted:
        return None
    return Text(counted.most_common(1)[0][0].replace("-", " "), True)


def _known(rows: Sequence[Row]) -> Mapping[date, tuple[float, float | None]]:
    """By day: its value, and for which share of it readings speak, if that is known."""
    return {
        row.worn.day: (row.value.low, row.worn.coverage)
        for row in rows
        if isinstance(row.worn, DaySummary) and row.value is not None
    }


def _days_table(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """A table in Markdown with a row a day; None for an EHR that draws nothing.

    Source: GitHub Flavored Markdown 0.29, section 4.10.
    """
    days, known = case.days_of(fact), _known(rows)
    if days is None or not known or not case.draws:
        return None
    covered = any(share is not None for _, share in known.values())
    heads = [*_heads(case, fact), *(["Readings for"] if covered else [])]
    table = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for day in days.lately(_ROWS):
        value, share = known.get(day, (None, None))
        row = [format_date(day)]
        row.append("no data" if value is None else format_number(value))
        if covered:
            row.append("" if share is None else format_quantity(share * 100, "%"))
        table.append(row)
    lines = (f"| {' | '.join(row)} |".replace("|  |", "| |") for row in table)
    return Text("".join(f"\n{line}" for line in lines) + "\n", True)


def _heads(case: Case, fact: Fact) -> tuple[str, str]:
    """Return which day a row is of, and what is told of it."""
    asked = case.day_value(fact)
    named = asked.statistic.removeprefix("band:").replace("-", " ") if asked else ""
    told = filter(None, (named.capitalize(), format_unit(fact.unit)))
    night = asked is not None and asked.part == "night"
    return "Night to" if night else "Day", ", ".join(told)


def _days_line(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """The lowest and highest value and their days; then, if it may be, a bar a day."""
    days = case.days_of(fact)
    known = {day: value for day, (value, _) in _known(rows).items()}
    if days is None or not known:
        return None
    low, high = min(known.values()), max(known.values())
    to = f"–{format_number(high)}" if high != low else ""
    said = (
        f"{format_number(low)}{to} {format_unit(fact.unit)}".rstrip()
        + f" on {len(known)} of {days.number} days to {format_date(max(known))}"
    )
    if not case.draws:
        return Text(said, True)
    return Text(f"{said}: {_drawn(days, known, low, high)}", True)


def _drawn(days: Days, known: Mapping[date, float], low: float, high: float) -> str:
    step = (high - low) / (len(_BARS) - 1)
    return "".join(
        (
            _BARS[round((known[day] - low) / step) if step else 0]
            if day in known
            else _NO_DATA
        )
        for day in days.lately(_DRAWN)
    )


_SHOWN: Mapping[str, Callable[[Case, Fact, Sequence[Row]], Text | None]] = {
    "name": _name,
    "age": _age,
    "latest_date": _latest_date,
    "heard_date": _heard_date,
    "device": _device,
    "source": _source,
    "reason": _reason,
    "days_line": _days_line,
    TABLE: _days_table,
}
TOLD_SO: Mapping[str, frozenset[str]] = {
    "wearable": frozenset({*OF_DAYS, *_SHOWN}),
    "stream": frozenset({"count", *_SHOWN}),
}
"""By kind of fact: what is shown of it in another way than of other facts."""
