"""What a plot shows, in a sentence and in tables, for who cannot see it. Pure.

What was not read, not permitted or not judged is said, and is never "none".
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ....rulebook.values import format_duration, format_number, format_quantity
from ....wearables.days import MICROSECOND, NEXT, Span
from ....wearables.detection.episodes import DayTally
from ....wearables.metrics import Catalogue, Metric
from ....wearables.outputs.contents import NO_WORDS
from ....wearables.records import WearableAlert
from ....wearables.summaries import DaySummary
from ..plots.axes import MONTHS, Timespan
from .figures import Shown, gaps

Row = Sequence[str]
_HOUR_US = timedelta(hours=1) // MICROSECOND


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of a page: what its columns are called, and its rows."""

    caption: str
    heads: Row
    rows: Sequence[Row]


def told_times(timespan: Timespan) -> str:
    """Return from when to when it is, as people say it."""
    first, last = timespan.clock(timespan.start_us), timespan.clock(timespan.end_us)
    begins = timespan.midnight(first.date()) == timespan.start_us
    if begins and timespan.midnight(last.date()) == timespan.end_us:
        until = last.date() - NEXT
        one = first.date() == until
        return (
            day_words(until)
            if one
            else f"{day_words(first.date())} to {day_words(until)}"
        )
    return f"{_moment(first)} to {_moment(last)}"


def readings_sentence(
    metric: Metric, shown: Shown, timespan: Timespan, now_us: int, off_us: int
) -> str:
    """Return how many readings there are of which time, between what they lie.

    Args:
        off_us: For so long nothing proves that the device was worn.
    """
    if not shown.values:
        return f"no readings, {told_times(timespan)}"
    number = len(shown.values)
    low, high = min(shown.values), max(shown.values)
    parts = [
        f"{_counted(number, 'reading')} {_range(low, high, metric.unit)},"
        f" {told_times(timespan)}"
    ]
    if metric.speaks_for:
        speaks = metric.speaks_for // MICROSECOND
        end = min(timespan.end_us, now_us)
        wide, longest, covered = gaps(shown.times, speaks, end)
        whole = max(end - timespan.start_us, 1)
        parts.append(f"readings for {covered / whole:.0%} of the time")
        if wide:
            parts.append(f"{_counted(wide, 'gap')}, the longest {_length(longest)}")
    if off_us:
        parts.append(f"not worn, or no data, for {_length(off_us)}")
    return "; ".join(parts)


def days_sentence(
    metric: Metric, days: Sequence[DaySummary], timespan: Timespan
) -> str:
    """Return of how many days something is told, and between what that lies."""
    if not days:
        return f"no readings, {told_times(timespan)}"
    lows, highs = zip(*(_extremes(metric, each) for each in days))
    known = [e for e in (*lows, *highs) if e is not None]
    of = len(list(timespan.days()))
    said = f"{len(days)} of {_counted(of, 'day')} with readings"
    if known:
        said += f", {_range(min(known), max(known), metric.unit)}"
    return f"{said}, {told_times(timespan)}"


def found_sentence(number: int, whole: bool) -> str:
    """Return how many episodes there are, or are shown of more."""
    return _counted(number, "episode") + ("" if whole else " of more, the newest")


def notices_sentence(titles: Sequence[str], whole: bool) -> str:
    """Return how many notices there are, or are shown of more, and of what.

    Args:
        titles: What each of them is called.
    """
    of = ", ".join(dict.fromkeys(titles))
    more = "" if whole else " of more, the newest"
    return f"{_counted(len(titles), 'device notice')}{more} ({of})"


def none_found_sentence(tallies: Sequence[DayTally], is_empty: bool) -> str:
    """Return that no episode was found, and of how many days not all was judged."""
    if not tallies:
        return "nothing to judge" if is_empty else "not yet judged"
    days = {each.day for each in tallies if each.not_judged}
    if not days:
        return "no episode was found"
    return (
        f"no episode was found, and on {_counted(len(days), 'day')} not all could be"
        " judged"
    )


def days_grid(
    metric: Metric,
    days: Sequence[DaySummary],
    tallies: Iterable[DayTally],
    timespan: Timespan,
    today: date,
) -> Grid:
    """Return a row for each day, and one for days without readings in a row."""
    unjudged: dict[date, Counter[str]] = {}
    for each in tallies:
        reasons = {str(why): number for why, number in each.not_judged.items()}
        unjudged.setdefault(each.day, Counter()).update(reasons)
    by_day = {each.day: each for each in days}
    rows: list[Row] = []
    lacking: list[date] = []
    for day in timespan.days():
        if day > today:
            break
        if day not in by_day and day not in unjudged:
            lacking.append(day)
            continue
        rows += _without(lacking, len(_heads(metric)))
        lacking.clear()
        why = _reasons(unjudged.get(day, {}))
        rows.append([day_words(day), *_cells(metric, by_day.get(day)), why])
    rows += _without(lacking, len(_heads(metric)))
    return Grid("Day by day", _heads(metric), rows)


def _heads(metric: Metric) -> Row:
    night = "Night to" if metric.sleep else "Day"
    if metric.cumulative:
        return night, "Total", "Told by", "Not judged"
    if metric.derived:
        return night, "Mean", "Not judged"
    told = ("Time with readings",) if metric.speaks_for else ()
    worn = ("Worn",) if metric.proves_wear else ()
    return night, "Lowest", "Mean", "Highest", "Readings", *told, *worn, "Not judged"


def _cells(metric: Metric, day: DaySummary | None) -> list[str]:
    """What a day was, between its name and what was not judged of it."""
    if day is None:
        return ["no readings", *[""] * (len(_heads(metric)) - 3)]
    if metric.cumulative:
        total = "" if day.total is None else f"{day.total:,.0f}"
        return [total, ", ".join(day.devices or day.sources)]
    if metric.derived:
        return [_number(day.mean)]
    cells = [_number(day.min), _number(day.mean), _number(day.max), f"{day.n:,}"]
    if metric.speaks_for:
        cells.append("" if day.coverage is None else f"{day.coverage:.0%}")
    if metric.proves_wear:
        worn = day.worn
        cells.append("" if worn is None else format_duration(timedelta(minutes=worn)))
    return cells


def _without(days: Sequence[date], width: int) -> Iterator[Row]:
    if days:
        first, last = day_words(days[0]), day_words(days[-1])
        name = first if len(days) == 1 else f"{first} to {last}"
        yield [name, "no readings", *[""] * (width - 2)]


def hours_grid(shown: Shown, timespan: Timespan) -> Grid:
    """Return a row for each hour of the wearer's clock with readings.

    Hours without any are told as they follow each other.
    """
    rows: list[Row] = []
    lacking: list[str] = []
    edges = _hours(timespan)
    one_day = len(list(timespan.days())) == 1
    for begin, end in zip(edges, edges[1:]):
        first, after = (bisect_left(shown.times, each) for each in (begin, end))
        at = timespan.clock(begin)
        name = f"{at:%H:%M}" if one_day else _moment(at)
        if first == after:
            lacking.append(name)
            continue
        rows += _quiet(lacking)
        lacking.clear()
        some = shown.values[first:after]
        rows.append([name, _number(min(some)), _number(max(some)), f"{len(some):,}"])
    rows += _quiet(lacking)
    return Grid("Hour by hour", ("From", "Lowest", "Highest", "Readings"), rows)


def _quiet(names: Sequence[str]) -> Iterator[Row]:
    if names:
        more = "" if len(names) == 1 else f" to the hour from {names[-1]}"
        yield [f"{names[0]}{more}", "no readings", "", ""]


def _hours(timespan: Timespan) -> list[int]:
    """The full hours of a time on the wearer's clock, and both its ends."""
    start = timespan.clock(timespan.start_us)
    past = timedelta(minutes=start.minute, seconds=start.second) // MICROSECOND
    first = timespan.start_us - past + _HOUR_US
    inner = range(first, timespan.end_us, _HOUR_US)
    return [timespan.start_us, *inner, timespan.end_us]


def episodes_grid(
    alerts: Sequence[WearableAlert],
    catalogue: Catalogue,
    titles: Mapping[str, str],
    timespan: Timespan,
    now: datetime,
    caption: str,
) -> Grid:
    """Return a row for each alert, with the number by which it is drawn.

    Args:
        titles: Of detectors, by name.
    """
    rows = [
        _episode(number, each, catalogue, titles, timespan, now)
        for number, each in enumerate(alerts, 1)
    ]
    heads = (
        *("No.", "What", "From", "To", "Lasted"),
        *("Value", "Limit", "Time with readings", "Found by"),
    )
    return Grid(caption, heads, rows)


def type_title(type: str, catalogue: Catalogue) -> str:
    """Return what people call a type of alert; its name where nobody knows it."""
    known = catalogue.alert_types.get(type)
    return known.title if known else type


def _episode(
    number: int,
    alert: WearableAlert,
    catalogue: Catalogue,
    titles: Mapping[str, str],
    timespan: Timespan,
    now: datetime,
) -> Row:
    start = alert.start.astimezone(timespan.zone)
    end = alert.until(now).astimezone(timespan.zone)
    lasts = alert.status == "open"
    value = limit = ""
    if alert.value is not None:
        stat = catalogue.outputs.statistics.get(alert.stat, NO_WORDS).text
        value = f"{stat} {format_quantity(alert.value, alert.unit)}".strip()
    if alert.threshold is not None:
        limit = format_quantity(alert.threshold, alert.unit)
    by = titles.get(alert.detector, "the vendor")
    who = f"{by} ({alert.device or alert.source})"
    return [
        str(number),
        type_title(alert.type, catalogue),
        _moment(start),
        f"continues, data until {_moment(end)}" if lasts else _moment(end),
        format_duration(alert.until(now) - alert.start),
        value,
        limit,
        "" if alert.coverage is None else f"{alert.coverage:.0%}",
        who,
    ]


def length_of(shades: Iterable[Span]) -> int:
    """Return how long stretches are together, in microseconds."""
    return sum(end - begin for begin, end in shades)


def _extremes(metric: Metric, day: DaySummary) -> tuple[float | None, float | None]:
    if metric.cumulative:
        return day.total, day.total
    if metric.derived:
        return day.mean, day.mean
    return day.min, day.max


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(
        f"{why.replace('-', ' ')} ({number:,})"
        for why, number in sorted(reasons.items())
    )


def _range(low: float, high: float, unit: str) -> str:
    if low == high:
        return f"of {format_quantity(low, unit)}"
    return f"from {format_number(low)} to {format_quantity(high, unit)}"


def _number(value: float | None) -> str:
    return "" if value is None else format_number(round(value, 1))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _length(us: int) -> str:
    return format_duration(us * MICROSECOND)


def day_words(day: date) -> str:
    """Return a day that nobody reads the wrong way round: ``22 Nov 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _moment(at: datetime) -> str:
    return f"{day_words(at.date())}, {at:%H:%M}"
