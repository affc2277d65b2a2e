"""What card text shows of a fact: numbers that we format, names that we quote."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from ...fhir.moments import EVER
from ...wearables.records import WearableAlert
from ..values.intervals import INFINITY, Duration, Interval
from ..values.text import (
    Text,
    format_age,
    format_date,
    format_duration,
    format_number,
    format_quantity,
    format_time,
    format_unit,
)
from ..values.truth import ReasonKind
from .alert_tests import NO_CLOCK, alert_number, typical
from .case import Case
from .facts import CHANGES, REDUCERS, Fact
from .person import birth
from .recorded import (
    begun_text,
    called,
    distinct,
    moment_text,
    recorded,
    some,
    start_of,
)
from .rows.readings import Row, text_of
from .rules import Param
from .scores import tally
from .series import change, reduce_rows, span, text_rows
from .worn_text import TOLD_SO, show_worn


def show(case: Case, fact: Fact, attribute: str) -> Text | None:
    """Return what *attribute* of the fact is in this case; None where it has none."""
    if fact.kind == "score":
        return _of_score(case, fact, attribute)
    rows = case.found(fact).rows
    if attribute in TOLD_SO.get(fact.kind, ()):
        return show_worn(case, fact, attribute, rows)
    if attribute == "count":
        return _trusted(str(_count(case, fact, rows)))
    if attribute == "recorded":
        return recorded(case, fact, rows)
    return _of_rows(case, fact, rows, attribute) if rows else None


def _of_rows(
    case: Case, fact: Fact, rows: Sequence[Row], attribute: str
) -> Text | None:
    if attribute == "name":
        return _names(case, fact, rows)
    if attribute == "ingredient":
        return Text(some(called(case, fact, rows)) or fact.title, False)
    if fact.kind == "wearable_alert":
        return _of_alert(case, fact, rows, attribute)
    if attribute in CHANGES:
        return _change(fact, attribute, rows)
    if attribute in REDUCERS:
        over = text_rows(fact, rows) if attribute == "mean" else rows
        value = reduce_rows(attribute, over)
        return _trusted(interval_text(value, fact.unit)) if value else None
    return _SHOWN[attribute](case, fact, rows)


def _count(case: Case, fact: Fact, rows: Sequence[Row]) -> int:
    if fact.counted is not None:
        return sum(fact.counted(row, case.now) is True for row in rows)
    return len(text_rows(fact, rows))


def _change(fact: Fact, word: str, rows: Sequence[Row]) -> Text | None:
    over = fact.change_over.length if fact.change_over else EVER.high - EVER.low
    size = change(word, rows, over)
    return _trusted(interval_text(size, fact.unit)) if size else None


def _of_score(case: Case, fact: Fact, attribute: str) -> Text | None:
    """The author's words and our numbers; nothing of it comes out of the record."""
    if attribute == "title":
        return _trusted(fact.title)
    counts = tally(fact.items, case)
    if attribute == "value":
        low, high = (format_number(bound) for bound in counts.total[:2])
        return _trusted(low if low == high else f"{low} to {high}")
    listed = counts.counted if attribute == "counted" else counts.unassessed
    said = [f"{item.label} ({format_number(item.points)})" for item in listed]
    return _trusted(", ".join(said)) if said else None


def show_param(param: Param) -> Text:
    """A parameter with its unit."""
    if isinstance(param.value, Duration):
        return Text(str(param.value), True)
    return Text(format_quantity(param.value, param.unit), True)


def show_patient(case: Case, attribute: str) -> Text | None:
    """``age`` in whole years, or ``sex``."""
    patient = case.chart.patient or {}
    if attribute == "sex":
        gender = text_of(patient.get("gender"))
        return Text(gender, False) if gender else None
    born = birth(case)
    if isinstance(born, ReasonKind):
        return None
    today = case.today
    oldest, youngest = (
        today.year - day.year - ((today.month, today.day) < (day.month, day.day))
        for day in born
    )
    return _trusted(str(oldest) if oldest == youngest else f"{youngest}–{oldest}")


PATIENT_SHOWS = frozenset({"age", "sex"})
"""What text may show of the patient; a record may lack it."""


def interval_text(value: Interval, unit: str) -> str:
    """A number or a range with its unit: ``105.8 /min``, ``> 60 mL/min``."""
    if value.low == value.high:
        return format_quantity(value.low, unit)
    if value.high == INFINITY:
        sign = ">" if value.low_open else "≥"
        return f"{sign} {format_quantity(value.low, unit)}"
    if value.low == -INFINITY:
        sign = "<" if value.high_open else "≤"
        return f"{sign} {format_quantity(value.high, unit)}"
    return f"{format_number(value.low)}–{format_quantity(value.high, unit)}"


def _trusted(text: str) -> Text:
    return Text(text, True)


def _names(case: Case, fact: Fact, rows: Sequence[Row]) -> Text:
    if fact.kind == "wearable_alert":
        return _trusted(fact.title or rows[-1].name)
    names = distinct(rows) or [fact.title]
    within = some([*map(case.within_sentence, names)])
    return Text(some(names), not distinct(rows), within)


def _code(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    return Text(rows[-1].code, False) if rows[-1].code else None


def _latest_date(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    row = rows[-1]
    if not row.dated or row.moment.low.year == 1:
        return None
    return _trusted(moment_text(row.moment, case))


def _begun(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    """Return when what is named began: a date, or one for each of several names."""
    named: dict[str, list[Row]] = {}
    for row in reversed(rows):
        called_so = ", ".join(called(case, fact, [row]))
        named.setdefault(called_so, []).append(row)
    begun = {
        name: begun_text(min(own, key=lambda row: start_of(row).high), case)
        for name, own in named.items()
        if name or len(named) == 1
    }
    if not any(begun.values()):
        return None
    if len(begun) == 1:
        return _trusted(begun.popitem()[1] or "")
    said = [f"{start or 'not dated'} ({name})" for name, start in begun.items()]
    return Text(some(said), False)


def _unit(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    return _trusted(format_unit(fact.unit)) if fact.unit else None


def _span(case: Case, fact: Fact, rows: Sequence[Row]) -> Text | None:
    length = span(text_rows(fact, rows))
    return _trusted(format_duration(length)) if length else None


_SHOWN: Mapping[str, Callable[[Case, Fact, Sequence[Row]], Text | None]] = {
    "code": _code,
    "latest_date": _latest_date,
    "onset": _begun,
    "started": _begun,
    "unit": _unit,
    "span": _span,
}


def told_alert(case: Case, fact: Fact, rows: Sequence[Row]) -> Row:
    """The alert that text is about: what the rule asks for, and of those the newest."""

    def rank(row: Row) -> tuple[int, datetime]:
        passed = sum(test(row, case.now) is True for test in fact.alert_tests)
        return passed, row.moment.high

    told = case.told.get(id(fact))
    if told is None:
        told = case.told[id(fact)] = max(rows, key=rank)
    return told


def _of_alert(
    case: Case, fact: Fact, rows: Sequence[Row], attribute: str
) -> Text | None:
    row = told_alert(case, fact, rows)
    alert = row.alert
    if alert is None:
        return None
    if attribute in ("duration", "age"):
        length = timedelta(seconds=alert_number(row, attribute, case.now) or 0)
        form = format_duration if attribute == "duration" else format_age
        return _trusted(form(length))
    if attribute == "value":
        return None if row.value is None else _trusted(_extreme(alert, row.value))
    if attribute in ("min", "max"):
        value = reduce_rows(attribute, rows)
        return _trusted(interval_text(value, alert.unit)) if value else None
    if attribute in _NUMBERS:
        told = _NUMBERS[attribute](alert, case)
        return _trusted(told) if told else None
    if attribute == "local_time":
        return _trusted(_told_on_a_clock(alert, case))
    if attribute == "latest_date":
        return _trusted(format_date(_shown_start(alert, case)))
    text = {"device": alert.device, "unit": alert.unit, "type": alert.type}.get(
        attribute, ""
    )
    return Text(text, attribute == "type") if text else None


def _extreme(alert: WearableAlert, value: Interval) -> str:
    """The value, and that most of the time it was none so extreme where that is so."""
    reach = {"max": "up to ", "min": "down to "}.get(alert.stat, "")
    return reach + interval_text(value, alert.unit)


def _typical(alert: WearableAlert, case: Case) -> str:
    """What held for most of the time, and which number of the readings that is."""
    usual = typical(alert)
    if usual is None:
        return ""
    stat = "median" if alert.median is not None else alert.stat
    said = f" ({stat})" if usual.low == usual.high and stat in _MIDDLES else ""
    return interval_text(usual, alert.unit) + said


_MIDDLES = ("mean", "median")


def _threshold(alert: WearableAlert, case: Case) -> str:
    limit = alert.threshold
    return "" if limit is None else format_quantity(limit, alert.unit)


def _coverage(alert: WearableAlert, case: Case) -> str:
    share = alert.coverage
    return "" if share is None else format_quantity(share * 100, "%")


def _recurrence(alert: WearableAlert, case: Case) -> str:
    place = case.wearables.places.get(alert.id, 0)
    return str(place) if place > 1 else ""


_NUMBERS: Mapping[str, Callable[[WearableAlert, Case], str]] = {
    "typical": _typical,
    "threshold": _threshold,
    "coverage": _coverage,
    "recurrence": _recurrence,
}
"""What text shows of an alert by itself; empty where it does not say."""


def _shown_start(alert: WearableAlert, case: Case) -> datetime:
    """The start on the wearer's clock; on the site's where that is not known."""
    return alert.start if alert.local else alert.start.astimezone(case.zone)


def _told_on_a_clock(alert: WearableAlert, case: Case) -> str:
    """The start in figures, and whose clock it was read from."""
    start = _shown_start(alert, case)
    whose = "wearer's time" if alert.local else f"site's time; {NO_CLOCK}"
    return f"{format_date(start)} {format_time(start)} ({whose})"
