"""Tallies: how many readings of a day a detector could judge, and why others not. Pure.

A reading that is not in breach is judged, and so is one of somebody who moves. One that
is in breach, and with which no episode is, has a reason where more could have been
known: no detector is silently useless.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, count, pairwise
from operator import and_, attrgetter
from statistics import median

from ..days import Calendar, Span, each_day, united
from .episodes import DayTally, NotJudged
from .evidence import Days
from .rest import Resting, within
from .sustained import Judgement, Spell
from .windows import Windows


def tally(
    detector: str, judgement: Judgement, days: Days, calendar: Calendar
) -> Iterator[DayTally]:
    """Yield what became of the readings of civil days, by day and source.

    What stands before and after these days tells of their readings, too.
    """
    lacking = not_judged(judgement)
    for day in each_day(*days):
        begin, end = calendar.day(day)
        opened = Counter(_opened(judgement, begin, end))
        left_out = _left_out(judgement, begin, end)
        read = _by_source(judgement, begin, end)
        for source in sorted(read.keys() | left_out.keys()):
            told = read.get(source, ())
            reasons = Counter(
                map(lacking.__getitem__, filter(lacking.__contains__, told))
            )
            judged = len(told) - reasons.total()
            if reasons[NotJudged.LOW_COVERAGE] and _lie_apart(judgement, told):
                reasons[NotJudged.TOO_SPARSE] = reasons.pop(NotJudged.LOW_COVERAGE)
            reasons += left_out.get(source, Counter())
            why = dict(sorted(reasons.items()))
            yield DayTally(detector, day, source, judged, why, opened[source])


def _by_source(
    judgement: Judgement, begin: int, end: int
) -> Mapping[str, Sequence[int]]:
    """Return the numbers of the readings of a time."""
    times, series = judgement.readings.times, judgement.readings.series
    first, after = (bisect_left(times, each) for each in (begin, end))
    sources = {each.source for each in series.voices}
    if first < after and len(sources) == 1:
        return dict.fromkeys(sources, range(first, after))
    found: dict[str, list[int]] = {}
    for number in range(first, after):
        source = series.voices[series.points[number].voice].source
        found.setdefault(source, []).append(number)
    return found


def _opened(judgement: Judgement, begin: int, end: int) -> Iterator[str]:
    """Yield the source of each reading with which an episode opened."""
    series, spells = judgement.readings.series, judgement.spells
    for each in spells[_place(spells, begin) : _place(spells, end)]:
        yield series.voices[series.points[each.number].voice].source


def _place(spells: Sequence[Spell], at: int) -> int:
    return bisect_left(spells, at, key=attrgetter("opened"))


def _left_out(
    judgement: Judgement, begin: int, end: int
) -> Mapping[str, Counter[NotJudged]]:
    """Return why readings of a time are nothing to detect on, by source."""
    readings = judgement.readings
    first, after = (
        bisect_left(readings.left_out, at, key=lambda each: each[0].start_us)
        for at in (begin, end)
    )
    found: dict[str, Counter[NotJudged]] = {}
    for point, why in readings.left_out[first:after]:
        source = readings.series.voices[point.voice].source
        found.setdefault(source, Counter())[why] += 1
    return found


def _lie_apart(judgement: Judgement, told: Sequence[int]) -> bool:
    """Check whether readings mostly lie further apart than one speaks for."""
    times = judgement.readings.times
    apart = [times[later] - times[number] for number, later in pairwise(told)]
    return not apart or median(apart) > judgement.terms.gap


def not_judged(judgement: Judgement) -> Mapping[int, NotJudged]:
    """Return why readings in breach could not be judged, by their number.

    Rest that is not known is the reason where it would have been an episode had it been
    rest; else it is that too few readings speak, if those that do are in breach.
    """
    readings, strict, terms = judgement.readings, judgement.windows, judgement.terms
    if True not in readings.breach:
        return {}
    loose = strict
    if Resting.UNKNOWN in readings.resting:
        may_rest = [each is not Resting.ACTIVE for each in readings.resting]
        loose = Windows(readings, terms, may_rest)
    episodes = [(each.start, each.last + 1) for each in judgement.spells]
    doubted = [] if loose is strict else _opening(judgement, loose)
    breached = list(compress(count(), map(and_, readings.breach, loose.counted)))
    times = [readings.times[number] for number in breached]
    reasons = {}
    for number, known, doubtful in zip(
        breached, within(times, united(episodes)), within(times, doubted), strict=True
    ):
        if strict.counted[number] and (known or terms.enough(strict.at(number))):
            continue
        if doubtful:
            reasons[number] = NotJudged.REST_UNKNOWN
            continue
        window = loose.at(number)
        beyond = not window.covered or terms.beyond(window)
        if beyond and not terms.enough(window):
            reasons[number] = NotJudged.LOW_COVERAGE
    return reasons


def _opening(judgement: Judgement, windows: Windows) -> list[Span]:
    """Return the times of windows that are an episode, together."""
    found: list[Span] = []
    for number in filter(windows.is_opening, windows.candidates()):
        at = judgement.readings.times[number]
        start = at - judgement.terms.hold
        if found and start < found[-1][1]:
            start = found.pop()[0]
        found.append((start, at + 1))
    return found
