"""Reassessing: what readings that came, changed or went mean for what was found. Pure.

What is found depends on the readings that are kept, and not on the order in which they
came. So the days around what changed are looked at anew, and what is found there takes
the place of what is stored of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from ..days import Calendar
from ..metrics import Catalogue
from ..summaries import DaySummary
from ..summarising import first_read, metrics_read, metrics_summarised, summarise
from .day_search import DaySearch
from .detectors import Detector, SustainedBreach
from .episodes import DayTally, Episode, StoredEpisode
from .evidence import Changes, Days, Reassessment, Span, WearableEvidence
from .reconciling import reconcile
from .searching import Search, SeriesOnce, affected
from .tallies import tally
from .windows import Terms


def reassess(
    detectors: Iterable[Detector],
    catalogue: Catalogue,
    evidence: WearableEvidence,
    dirty: Mapping[str, Span],
    now: datetime,
) -> Reassessment:
    """Return what changes with readings that came, changed or were taken away.

    Args:
        dirty: By metric, from the first start to the last end of these readings, as
            they were and as they are.
        now: When it becomes known; what is silent until then is over.
    """
    calendar = Calendar(evidence.zone, evidence.zone_name, catalogue.night)
    reader = SeriesOnce(evidence, catalogue, calendar)
    summarised, summaries = _summaries(reader, dirty)
    changes: dict[str, Changes] = {}
    tallies: list[DayTally] = []
    tallied: dict[str, Days] = {}
    for detector in detectors:
        if not detector.is_evaluated:
            continue
        pattern = detector.pattern
        if isinstance(pattern, SustainedBreach):
            looked = _readings(detector, pattern, reader, dirty, now)
        else:
            search = DaySearch(detector, pattern, reader, summaries, summarised, now)
            looked = _days(search, dirty)
        if looked is None:
            continue
        changed = reconcile(detector, looked.stored, looked.found, now)
        if changed != Changes():
            changes[detector.name] = changed
        tallies += looked.tallies
        tallied[detector.name] = looked.days
    return Reassessment(changes, summaries, summarised, tallies, tallied)


class _Looked(NamedTuple):
    """What one detector has found anew."""

    found: Sequence[Episode]
    stored: Sequence[StoredEpisode]
    """In whose place that is."""
    tallies: Sequence[DayTally]
    days: Days


def _readings(
    detector: Detector,
    pattern: SustainedBreach,
    reader: SeriesOnce,
    dirty: Mapping[str, Span],
    now: datetime,
) -> _Looked | None:
    """Return what is found in readings; None where none of them may tell otherwise."""
    span = affected(detector, pattern, dirty)
    if span is None:
        return None
    search = Search(detector, pattern, Terms.of(pattern), reader, now)
    judgement, days, stored, found = search.search(span)
    tallies = tuple(tally(detector.name, judgement, days, reader.calendar))
    return _Looked(found, stored, tallies, days)


def _days(search: DaySearch, dirty: Mapping[str, Span]) -> _Looked | None:
    """Return what is found in days; None where none of them may tell otherwise."""
    affected_days = search.affected(dirty)
    if affected_days is None:
        return None
    found, days, stored = search.search(affected_days)
    return _Looked(found.episodes, stored, found.tallies, days)


def _summaries(
    reader: SeriesOnce, dirty: Mapping[str, Span]
) -> tuple[dict[str, Days], list[DaySummary]]:
    """Return which days are summarised anew, by metric, and what they were."""
    catalogue, calendar = reader.catalogue, reader.calendar
    days: dict[str, Days] = {}
    found: list[DaySummary] = []
    for name in metrics_summarised(catalogue, dirty):
        metric = catalogue.metrics[name]
        read = metrics_read(metric, catalogue)
        spans = [dirty[each] for each in read if each in dirty]
        first, last = calendar.days(
            min(from_us for from_us, _ in spans), max(to_us for _, to_us in spans)
        )
        begin, end = first_read(metric, calendar, first), calendar.day(last)[1]
        told = {each: reader.from_on(each, begin, end) for each in read}
        found += summarise(metric, catalogue, told, calendar, first, last)
        derived = [
            each.name
            for each in catalogue.metrics.values()
            if each.derived is not None and each.derived.source == name
        ]
        days |= dict.fromkeys((name, *derived), (first, last))
    return days, found
