"""Tallies: how many readings of a day a detector could judge, and why others not. Pure.

A reading that is not in breach is judged, and so is one of somebody who moves. One that
is in breach, and with which no episode is, has a reason where more could have been
known: no detector is silently useless.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from itertools import pairwise
from statistics import median

from ..series import day_begins
from .episodes import DayTally, NotJudged
from .evidence import Days
from .rest import Resting, Run, united, within
from .sustained import Judgement
from .windows import Windows


def tally(
    detector: str, judgement: Judgement, days: Days, zone: tzinfo
) -> Iterator[DayTally]:
    """Yield what became of the readings of civil days, by day and source.

    What stands before and after these days tells of their readings, too.
    """
    lacking = not_judged(judgement)
    day, last = days
    while day <= last:
        begin, day_after = day_begins(day, zone), day + timedelta(days=1)
        end = day_begins(day_after, zone)
        for source, told in sorted(_by_source(judgement, begin, end).items()):
            reasons = Counter(lacking[each] for each in told if each in lacking)
            judged = len(told) - reasons.total()
            times = [judgement.readings.times[each] for each in told]
            if _lie_apart(times, judgement.terms.gap):
                sparse = reasons.pop(NotJudged.LOW_COVERAGE, 0)
                reasons += Counter({NotJudged.TOO_SPARSE: sparse})
            reasons += Counter(_left_out(judgement, source, begin, end))
            opened = sum(each.number in told for each in judgement.spells)
            why = dict(sorted(reasons.items()))
            yield DayTally(detector, day, source, judged, why, opened)
        day = day_after


def _by_source(judgement: Judgement, begin: int, end: int) -> dict[str, list[int]]:
    """Return the numbers of the readings of a time; none of one that was left out."""
    readings = judgement.readings
    sources = [each.source for each in readings.series.voices]
    found: dict[str, list[int]] = {
        sources[each.voice]: []
        for each, _ in readings.left_out
        if begin <= each.start_us < end
    }
    first, after = (bisect_left(readings.times, each) for each in (begin, end))
    points = readings.series.points
    for number in range(first, after):
        found.setdefault(sources[points[number].voice], []).append(number)
    return found


def _left_out(
    judgement: Judgement, source: str, begin: int, end: int
) -> Iterator[NotJudged]:
    for point, why in judgement.readings.left_out:
        voice = judgement.readings.series.voices[point.voice]
        if voice.source == source and begin <= point.start_us < end:
            yield why


def _lie_apart(times: Sequence[int], gap: int) -> bool:
    """Check whether readings mostly lie further apart than one speaks for."""
    apart = [later - at for at, later in pairwise(times)]
    return not apart or median(apart) > gap


def not_judged(judgement: Judgement) -> Mapping[int, NotJudged]:
    """Return why readings in breach could not be judged, by their number.

    Rest that is not known is the reason where it would have been an episode had it been
    rest; else it is that too few readings speak, if those that do are in breach.
    """
    readings, strict = judgement.readings, judgement.windows
    loose = strict
    if Resting.UNKNOWN in readings.resting:
        may_rest = [each is not Resting.ACTIVE for each in readings.resting]
        loose = Windows(readings, judgement.terms, may_rest)
    found = [(each.start, each.last + 1) for each in judgement.spells]
    episodes = united([*found, *_opening(judgement, strict)])
    doubted = [] if loose is strict else united(_opening(judgement, loose))
    reasons = {}
    for number, known, doubtful in zip(
        range(len(readings.times)),
        within(readings.times, episodes),
        within(readings.times, doubted),
    ):
        if not (readings.breach[number] and loose.counted[number]):
            continue
        if known and strict.counted[number]:
            continue
        if doubtful:
            reasons[number] = NotJudged.REST_UNKNOWN
            continue
        window = loose.at(number)
        if judgement.terms.beyond(window) and not judgement.terms.enough(window):
            reasons[number] = NotJudged.LOW_COVERAGE
    return reasons


def _opening(judgement: Judgement, windows: Windows) -> Iterator[Run]:
    """Yield the times of windows that make an episode."""
    for number in windows.opening():
        at = judgement.readings.times[number]
        yield at - judgement.terms.hold, at + 1
