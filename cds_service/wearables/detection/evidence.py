"""Evidence: what detectors ask of a patient's data, and what they hand back. Pure.

Detection reads through ``WearableEvidence`` and writes nothing: what it found comes
back as ``Reassessment``, and whoever keeps episodes, summaries and tallies makes them
so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from typing import NamedTuple, Protocol

from ..series import Series
from ..summaries import DaySummary
from .episodes import DayTally, Episode, StoredEpisode

Span = tuple[int, int]
"""Microseconds since 1970-01-01T00:00:00Z, both included."""
Days = tuple[date, date]
"""Civil days of the wearer, both included."""


class WearableEvidence(Protocol):
    """What is kept of one patient."""

    @property
    def zone(self) -> tzinfo:
        """The wearer's, in which their days are."""

    @property
    def zone_name(self) -> str:
        """Its IANA name."""

    def series(self, metric: str, from_us: int, to_us: int) -> Series:
        """Return all that starts from one instant to before another, by its start."""

    def reaching(self, metric: str, from_us: int, at_us: int) -> Series:
        """Return what starts from one instant to before another, and ends after it."""

    def episodes(
        self, detector: str, from_us: int, to_us: int
    ) -> Sequence[StoredEpisode]:
        """Return the episodes that meet a time, in the order they were first stored.

        Those that are not retracted, with their start at or before *to_us*, and their
        ``last`` or their end at or after *from_us*.
        """

    def summaries(
        self, metric: str, part: str, first: date, last: date
    ) -> Sequence[DaySummary]:
        """Return the summaries of days from the first to the last, which is included.

        By day, then by source.
        """

    def limits(self, detector: str) -> Sequence[tuple[int, float]]:
        """Return the patient's own limits and from when on each holds, rising.

        Those of the clinic go before those of the device. One that ended is followed
        by what holds from there on.
        """


class NewEpisode(NamedTuple):
    """An episode that overlaps none that is stored."""

    episode: Episode
    historical: bool
    """It was history when it became known."""


class RevisedEpisode(NamedTuple):
    """A stored episode that is told differently now."""

    id: str
    episode: Episode


class RetractedEpisode(NamedTuple):
    """A stored episode that is none any more."""

    id: str
    in_favour_of: str
    """The id of the one into which it went; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of a detector's episodes; what is not named stays as it is."""

    new: Sequence[NewEpisode] = ()
    revised: Sequence[RevisedEpisode] = ()
    retracted: Sequence[RetractedEpisode] = ()


@dataclass(frozen=True, slots=True)
class Reassessment:
    """What the data say now about the time that was looked at."""

    changes: Mapping[str, Changes] = field(default_factory=dict)
    """By detector; without those for which nothing changes."""
    summaries: Sequence[DaySummary] = ()
    summarised: Mapping[str, Days] = field(default_factory=dict)
    """By metric: days whose summaries are all told above. What else is stored of them
    is gone with its readings."""
    tallies: Sequence[DayTally] = ()
    tallied: Mapping[str, Days] = field(default_factory=dict)
    """By detector: days whose tallies are all told above, likewise."""


@dataclass(frozen=True, slots=True)
class GivenEvidence:
    """Evidence that is given as data: to replay a file, or to try a detector."""

    all_series: Mapping[str, Series] = field(default_factory=dict)
    """By metric; points by their start."""
    stored: Mapping[str, Sequence[StoredEpisode]] = field(default_factory=dict)
    """By detector, in the order they were first stored."""
    days: Sequence[DaySummary] = ()
    own_limits: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """By detector."""
    zone: tzinfo = UTC
    zone_name: str = "UTC"

    def series(self, metric: str, from_us: int, to_us: int) -> Series:
        """Return what is given of a metric and starts in that time."""
        given = self.all_series.get(metric, Series(metric))
        points = [each for each in given.points if from_us <= each.start_us < to_us]
        return Series(metric, given.voices, points)

    def reaching(self, metric: str, from_us: int, at_us: int) -> Series:
        """Return what is given and starts in that time, but ends after it."""
        given = self.series(metric, from_us, at_us)
        points = [each for each in given.points if each.end_us > at_us]
        return Series(metric, given.voices, points)

    def episodes(
        self, detector: str, from_us: int, to_us: int
    ) -> Sequence[StoredEpisode]:
        """Return the given episodes that meet that time."""
        return [
            each
            for each in self.stored.get(detector, ())
            if each.episode.meets(from_us, to_us)
        ]

    def summaries(
        self, metric: str, part: str, first: date, last: date
    ) -> Sequence[DaySummary]:
        """Return the given summaries of those days."""
        found = [
            each
            for each in self.days
            if (each.metric, each.part) == (metric, part) and first <= each.day <= last
        ]
        return sorted(found, key=lambda each: (each.day, each.source))

    def limits(self, detector: str) -> Sequence[tuple[int, float]]:
        """Return the given limits of the patient's own."""
        return self.own_limits.get(detector, ())
