"""Which metric and which time a page shows, and where its links lead. Pure.

A time is written as dates of the wearer's calendar, ``from=2026-11-16&to=2026-11-23``,
the second of which is not shown any more, or as instants, ``2026-11-22T14:00Z``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from urllib.parse import urlencode

from ....store.detection.timeline import Heard, TimelineAsked
from ....wearables.days import NEXT
from ....wearables.detection.detectors import Detector
from ....wearables.metrics import Catalogue, Metric
from ....wearables.samples import microseconds
from ..plots.axes import Timespan

LENGTHS = (("Day", 1), ("Week", 7), ("Month", 30), ("Year", 365))
"""What links offer, in days."""
USUAL = 7
"""Days that are shown where nothing is asked."""
OF_READINGS = timedelta(days=32)
"""A longer time is shown day by day."""
SHORTEST, LONGEST = timedelta(minutes=10), timedelta(days=3 * 366)
_LONGEST_TEXT = 40
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class TimelineQuery:
    """What a request asks for; empty where it does not say."""

    metric: str = ""
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """A link to another metric or time."""

    label: str
    query: str
    """Of the same page, without its question mark."""
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class TimelineSubject:
    """What a page is of."""

    metric: Metric
    beside: Sequence[Metric]
    """Metrics that are drawn with it."""
    catalogue: Catalogue
    detectors: Sequence[Detector]
    """That look at any of them, and that rules listen to."""
    timespan: Timespan
    now: datetime
    is_as_asked: bool = True
    """False where the time that was asked cannot be read, and another one is shown."""

    def asked(self) -> TimelineAsked:
        """Return what is to be read of it."""
        return TimelineAsked(
            self.timespan.span,
            tuple(each.name for each in (self.metric, *self.beside)),
            self.detectors,
            is_of_days(self.metric, self.timespan),
            "night" if self.metric.sleep else "day",
        )


def choose_subject(
    query: TimelineQuery,
    catalogue: Catalogue,
    detectors: Iterable[Detector],
    heard: Heard,
    now: datetime,
) -> TimelineSubject:
    """Return what to show of a patient of whom so much is known."""
    metric = choose_metric(query.metric, catalogue, heard.newest)
    beside = tuple(e for e in catalogue.metrics.values() if e.shown_with == metric.name)
    names = {each.name for each in (metric, *beside)}
    watching = (e for e in detectors if e.status == "active" and e.metric in names)
    whole = shows_days(metric)
    timespan, so = choose_timespan(query, heard.zone, now, whole_days=whole)
    return TimelineSubject(
        metric, beside, catalogue, tuple(watching), timespan, now, so
    )


def read_query(told: Mapping[str, str]) -> TimelineQuery:
    """Return what a request asks for."""
    return TimelineQuery(*(told.get(each, "") for each in ("metric", "from", "to")))


def choose_metric(asked: str, catalogue: Catalogue, heard: Mapping[str, int]) -> Metric:
    """Return the metric to show: what is asked, else the first of which anything came.

    Args:
        heard: By metric, when the newest reading began.
    """
    metrics = catalogue.metrics
    if asked in metrics:
        return metrics[asked]
    told = (each for name, each in metrics.items() if name in heard)
    return next(told, next(iter(metrics.values())))


def choose_timespan(
    query: TimelineQuery, zone: tzinfo, now: datetime, *, whole_days: bool
) -> tuple[Timespan, bool]:
    """Return the time to show, and whether it is what was asked.

    Where nothing is asked, or nothing that can be read, it is the last week.
    """
    today = now.astimezone(zone).date()
    start = _instant(query.start, zone)
    end = _instant(query.end, zone)
    if start is None or end is None or end <= start:
        usual = days_until(today, USUAL, zone)
        return usual, not (query.start or query.end)
    if whole_days:
        last = _date(end - 1, zone)
        start, end = _midnight(_date(start, zone), zone), _midnight(last + NEXT, zone)
    shortest, longest = (
        each // timedelta(microseconds=1) for each in (SHORTEST, LONGEST)
    )
    within = max(min(end - start, longest), shortest)
    return Timespan(end - within, end, zone), True


def days_until(last: date, number: int, zone: tzinfo) -> Timespan:
    """Return so many civil days, up to one that is among them."""
    first = last - (number - 1) * NEXT
    return Timespan(_midnight(first, zone), _midnight(last + NEXT, zone), zone)


def is_of_days(metric: Metric, timespan: Timespan) -> bool:
    """Check whether a metric is shown day by day: as sums are, and what is long."""
    length = timedelta(microseconds=timespan.end_us - timespan.start_us)
    return shows_days(metric) or length > OF_READINGS


def shows_days(metric: Metric) -> bool:
    """Check whether a metric is of days alone, however short the time is."""
    return metric.cumulative or metric.derived is not None


def metric_ways(
    catalogue: Catalogue, heard: Mapping[str, int], shown: Metric, timespan: Timespan
) -> Iterator[Way]:
    """Yield a link to each metric of which anything came, and to the one shown."""
    for name, each in catalogue.metrics.items():
        source = each.derived.source if each.derived else name
        if source in heard or name == shown.name:
            yield Way(each.title, _query(each, timespan), name == shown.name)


def length_ways(metric: Metric, timespan: Timespan, now: datetime) -> Iterator[Way]:
    """Yield links to times of the usual lengths that end where this one does."""
    today = now.astimezone(timespan.zone).date()
    last = min(_date(timespan.end_us - 1, timespan.zone), today)
    for label, number in LENGTHS:
        other = days_until(last, number, timespan.zone)
        yield Way(label, _query(metric, other), other.span == timespan.span)


def other_ways(metric: Metric, timespan: Timespan, now: datetime) -> Iterator[Way]:
    """Yield links to the time before this one, and after it if that has begun."""
    yield Way("Earlier", _query(metric, _moved(timespan, -1)))
    if timespan.end_us <= microseconds(now):
        yield Way("Later", _query(metric, _moved(timespan, 1)))


def way_to(metric: Metric, at_us: int, zone: tzinfo, label: str) -> Way:
    """Return a link to the week that ends with the day of an instant."""
    return Way(label, _query(metric, days_until(_date(at_us, zone), USUAL, zone)))


def _moved(timespan: Timespan, times: int) -> Timespan:
    """The time before or after; of whole days whole days, however long they are."""
    zone = timespan.zone
    first, after = (_date(each, zone) for each in timespan.span)
    if timespan.span == (_midnight(first, zone), _midnight(after, zone)):
        by = times * (after - first)
        return Timespan(_midnight(first + by, zone), _midnight(after + by, zone), zone)
    length = times * (timespan.end_us - timespan.start_us)
    return Timespan(timespan.start_us + length, timespan.end_us + length, zone)


def _query(metric: Metric, timespan: Timespan) -> str:
    start, end = (_written(each, timespan.zone) for each in timespan.span)
    return urlencode({"metric": metric.name, "from": start, "to": end})


def _written(at_us: int, zone: tzinfo) -> str:
    day = _date(at_us, zone)
    if _midnight(day, zone) == at_us:
        return day.isoformat()
    at = datetime.fromtimestamp(at_us // _SECOND, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _instant(text: str, zone: tzinfo) -> int | None:
    """What a date or an instant means; None for what is none of these years."""
    if len(text) > _LONGEST_TEXT:
        return None
    try:
        if len(text) == len("2026-11-22"):
            day = date.fromisoformat(text)
            known = _EARLIEST <= day <= _LATEST
            return _midnight(day, zone) if known else None
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    known = _EARLIEST <= at.date() <= _LATEST
    return microseconds(at) // _SECOND * _SECOND if known else None


_EARLIEST, _LATEST = date(1971, 1, 1), date(2199, 12, 31)


def _date(at_us: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at_us // _SECOND, UTC).astimezone(zone).date()


def _midnight(day: date, zone: tzinfo) -> int:
    return microseconds(datetime.combine(day, time(), zone).astimezone(UTC))
