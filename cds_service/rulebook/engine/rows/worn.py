"""What wearables told beside alerts, as rows: days, silence, what was not judged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time

from ....fhir.moments import Moment
from ....wearables.detection.episodes import DayTally, NotJudged
from ....wearables.summaries import DaySummary
from ....wearables.worn import AgreedStream, Wearables
from ...values.intervals import exactly
from .chart_index import ChartIndex
from .problems import Times
from .readings import Row, day_reference
from .selectors import DayValue, Silence, Unjudged

BAND = "band:"
"""Before the name of a band: the share of the day's readings in it."""
_PERCENT = 100
READINGS = "wearable_readings"
"""What days, streams and judgements are called beside the parts of a chart."""
_NOON = time(12, tzinfo=UTC)
"""Of a civil day, wherever the wearer was: so two days lie whole days apart."""


def add_worn(index: ChartIndex, wearables: Wearables, times: Times) -> None:
    """Note under their selectors the days, silent streams and what was not judged."""
    days, streams, tallies = wearables.days, wearables.streams, wearables.tallies
    index.unread["wearable"] = (READINGS,) if days is None else ()
    unheard = streams is None or tallies is None
    index.unread["stream"] = (READINGS,) if unheard else ()
    for slot, asked in index.selectors.worn:
        match asked:
            case DayValue():
                rows = list(_days(asked, days or ()))
            case Silence():
                rows = list(_silent(asked, streams or (), times))
            case Unjudged():
                rows = list(_unjudged(asked, tallies or ()))
        if rows:
            index.worn[slot] = rows


def _days(asked: DayValue, days: Sequence[DaySummary]) -> Iterator[Row]:
    """A row a day that has the value; of several of one day, of the first."""
    seen = set[date]()
    for each in days:
        if (each.metric, each.part) != (asked.metric, asked.part) or each.day in seen:
            continue
        value = each.statistic(asked.statistic)
        if value is None:
            continue
        if asked.statistic.startswith(BAND):
            value *= _PERCENT
        seen.add(each.day)
        yield Row(
            reference=day_reference(each),
            name=each.metric,
            moment=_of(each.day),
            dated=True,
            value=exactly(asked.scale.of(value)),
            worn=each,
        )


def _silent(
    asked: Silence, streams: Iterable[AgreedStream], times: Times
) -> Iterator[Row]:
    """The streams of a metric, if none of them has told anything for so long."""
    of_metric = [each for each in streams if each.metric == asked.metric]
    since = asked.length.before(times.now, times.zone)
    if any(each.heard > since for each in of_metric):
        return
    for each in of_metric:
        heard = each.heard.astimezone(UTC)
        yield Row(
            reference=f"WearableStream/{each.source}/{each.metric}",
            name=each.metric,
            moment=Moment(heard, heard),
            dated=True,
            worn=each,
        )


def _unjudged(asked: Unjudged, tallies: Iterable[DayTally]) -> Iterator[Row]:
    """A row for each day on which one of the reasons kept the detector from judging."""
    days: dict[date, list[DayTally]] = defaultdict(list)
    for each in tallies:
        why = asked.reasons or frozenset(each.not_judged)
        if each.detector == asked.detector and any(map(each.not_judged.get, why)):
            days[each.day].append(each)
    for day, found in days.items():
        tally = _joined(found)
        yield Row(
            reference=f"WearableTally/{tally.detector}/{day}",
            name=tally.detector,
            moment=_of(day),
            dated=True,
            worn=tally,
        )


def _joined(tallies: Sequence[DayTally]) -> DayTally:
    """What a detector made of all sources of one day."""
    reasons: dict[NotJudged, int] = {}
    for each in tallies:
        for reason, number in each.not_judged.items():
            reasons[reason] = reasons.get(reason, 0) + number
    return DayTally(
        tallies[0].detector,
        tallies[0].day,
        ", ".join(sorted({each.source for each in tallies})),
        sum(each.judged for each in tallies),
        reasons,
        sum(each.opened for each in tallies),
    )


def _of(day: date) -> Moment:
    at = datetime.combine(day, _NOON)
    return Moment(at, at)
