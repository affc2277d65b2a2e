"""Samples of one patient as they are kept, and which of several sources counts. Pure.

A watch and a phone tell of the same minute, and both are kept. What reads them takes
one: the source that stands first in the metric's priority, minute by minute, so that a
gap of the watch is filled by the phone and no step is counted twice.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from .samples import Flag, Sample, microseconds

MINUTE = 60_000_000
"""In microseconds."""
Span = tuple[int, int]
"""Minutes since 1970: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class KeptSample:
    """One sample that is kept, and who told it."""

    sample: Sample
    source: str
    link: int
    """By which link it became the patient's; 0 where the source names patients."""
    received: datetime
    """UTC."""


def choose(
    kept: Iterable[KeptSample], priority: Sequence[str]
) -> tuple[KeptSample, ...]:
    """Return those that count, by their start, of one metric of one patient.

    Of each minute those of one source. Totals of a day are chosen among themselves:
    they say nothing about the minutes of that day.

    Args:
        priority: Sources, best first. One that is not named comes after those that are.
    """
    places = {source: place for place, source in enumerate(priority)}

    def rank(each: KeptSample) -> tuple[int, str]:
        return places.get(each.source, len(places)), each.source

    chosen: list[KeptSample] = []
    told: dict[bool, list[Span]] = {True: [], False: []}
    for _, of_source in groupby(sorted(kept, key=rank), rank):
        added: dict[bool, list[Span]] = {True: [], False: []}
        for each in of_source:
            whole_day = bool(each.sample.flags & Flag.DAY_TOTAL)
            span = _span(each.sample)
            if not _meets(told[whole_day], span):
                chosen.append(each)
                added[whole_day].append(span)
        told = {kind: _united(told[kind], spans) for kind, spans in added.items()}
    return tuple(sorted(chosen, key=lambda each: (each.sample.start, rank(each))))


def _span(sample: Sample) -> Span:
    start, end = microseconds(sample.start), microseconds(sample.end)
    return start // MINUTE, max(start, end - 1) // MINUTE + 1


def _meets(spans: Sequence[Span], span: Span) -> bool:
    """Check whether *span* has a minute of one of *spans*, which are apart."""
    before = bisect_right(spans, (span[1] - 1, span[1])) - 1
    while before >= 0 and spans[before][0] >= span[1]:
        before -= 1
    return before >= 0 and spans[before][1] > span[0]


def _united(spans: Sequence[Span], others: Iterable[Span]) -> list[Span]:
    """Return spans that are apart, in their order, with the minutes of all."""
    united: list[Span] = []
    for start, end in sorted([*spans, *others]):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united
