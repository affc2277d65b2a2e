"""What is kept of one patient, as detectors ask for it, in a transaction that is open.

What the patient does not permit to use is not there: neither readings of that time, nor
days, nor episodes that were found in it, which stay as they are.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    bindparam,
    or_,
    select,
    union_all,
)

from ...wearables.clock import find_zone
from ...wearables.detection.episodes import StoredEpisode
from ...wearables.records import PatientKey
from ...wearables.samples import Device, Flag, microseconds
from ...wearables.series import Point, Series, Voice
from ...wearables.summaries import DaySummary
from ..database import Prepared
from ..samples.rows import CONTEXTS, STATS
from ..samples.streams import devices_of
from ..samples.tables import LINKS, PATIENT, SAMPLES, STREAMS
from ..tables import HOLDS, OPEN, WEARABLE_ALERTS
from .limits import limits_of
from .permission import UsePermission
from .records import Detection
from .rows import day_summary, stored_episode
from .tables import SUMMARIES

Numbers = dict[tuple[int, int], int]
"""Of voices, by stream and device."""
LONGEST_RECOVERY = timedelta(days=60)
"""Readings may tell for so long after its end that an episode is over."""


class StoredEvidence:
    """The evidence about one patient; streams, links and devices are read once."""

    def __init__(
        self,
        connection: Connection,
        patient: PatientKey,
        detection: Detection,
        permission: UsePermission,
    ) -> None:
        self._connection = connection
        self._patient = patient
        self._permission = permission
        self._detectors = {each.name: each for each in detection.detectors}
        self._metrics = detection.gate.catalogue.metrics
        self._streams = _read_streams(connection, patient)
        self._devices = devices_of(connection, patient)
        self._links = _read_links(connection, self._streams)
        zones = (self._links[each.link].time_zone for each in self._newest_linked())
        named = next((each for each in zones if each and find_zone(each)), "")
        self._zone: tzinfo = find_zone(named) or detection.gate.zone
        self._zone_name = named or str(detection.gate.zone)
        self._limits: dict[str, Sequence[tuple[int, float]]] = {}
        self._read: dict[str, _Read] = {}

    @property
    def zone(self) -> tzinfo:
        """The zone of the link of the newest stream that has one, or the site's."""
        return self._zone

    @property
    def zone_name(self) -> str:
        """Its IANA name."""
        return self._zone_name

    def series(self, metric: str, from_us: int, to_us: int) -> Series:
        """Return all that starts from one instant to before another, by its start.

        What was read before is not read again: detectors of one metric look at times
        that overlap.
        """
        read = self._read.get(metric)
        if read is None:
            read = self._read[metric] = _Read(from_us, from_us)
        if from_us < read.first_us:
            found = self._points_of(metric, from_us, read.first_us, read.voices)
            read.points[:0], read.first_us = found, from_us
        if to_us > read.end_us:
            read.points += self._points_of(metric, read.end_us, to_us, read.voices)
            read.end_us = to_us
        voices = [self._voice(*each) for each in read.voices]
        return Series(metric, voices, read.between(from_us, to_us))

    def reaching(self, metric: str, from_us: int, at_us: int) -> Series:
        """Return what starts from one instant to before another, and ends after it."""
        numbers: Numbers = {}
        points = self._points_of(metric, from_us, at_us, numbers, reaching=True)
        return Series(metric, [self._voice(*each) for each in numbers], points)

    def episodes(
        self, detector: str, from_us: int, to_us: int
    ) -> Sequence[StoredEpisode]:
        """Return the episodes that meet a time, in the order they were first stored."""
        asked = {
            **self._patient._asdict(),
            "of": detector,
            "since": from_us / 1_000_000,
            "until": to_us / 1_000_000,
        }
        rows = _EPISODES.ask(self._connection, asked)
        rows.sort(key=lambda row: (row.stored_us, row.start_utc, row.id))
        metric = self._detectors[detector].metric
        return [
            stored_episode(row)
            for row in rows
            if self._permission.holds(metric, round(row.start_utc * 1_000_000))
        ]

    def summaries(
        self, metric: str, part: str, first: date, last: date
    ) -> Sequence[DaySummary]:
        """Return what days were from the first to the last, by day and source."""
        asked = {
            **self._patient._asdict(),
            "metric": metric,
            "part": part,
            "first": first.isoformat(),
            "last": last.isoformat(),
        }
        return [
            each
            for each in map(day_summary, _SUMMARIES.ask(self._connection, asked))
            if self._may_use(metric, each.day)
        ]

    def limits(self, detector: str) -> Sequence[tuple[int, float]]:
        """Return the patient's own limits and from when on each holds, rising."""
        if detector not in self._limits:
            self._limits[detector] = limits_of(
                self._connection, self._patient, self._detectors[detector]
            )
        return self._limits[detector]

    def begin_of(self, day: date) -> int:
        """Return when a day of the wearer begins, in microseconds since 1970."""
        return microseconds(datetime.combine(day, time(), self._zone))

    def _may_use(self, metric: str, day: date) -> bool:
        end = self.begin_of(day + timedelta(days=1)) - 1
        both = (self.begin_of(day), end)
        return list(self._permission.spans(metric, both)) != []

    def _points_of(
        self,
        metric: str,
        from_us: int,
        to_us: int,
        voices: Numbers,
        reaching: bool = False,
    ) -> list[Point]:
        """What starts in a time; only what ends after it, where that is asked for."""
        known = self._metrics.get(metric)
        spans = list(self._permission.spans(metric, (from_us, to_us - 1)))
        points: list[Point] = []
        told = 0
        for stream in self._streams:
            if known and (stream.metric, stream.unit) == (metric, known.unit):
                for start, end in spans:
                    found = self._rows(stream, start, end, to_us if reaching else 0)
                    points += _points(stream.id, found, voices)
                    told += bool(found)
        if told > 1:
            points.sort(key=_START)
        return points

    def _rows(self, stream: Any, start: int, end: int, beyond: int) -> Sequence[Any]:
        if stream.withdrawn_us is not None:
            end = min(end, stream.withdrawn_us - 1)
        asked = {"stream": stream.id, "since": start, "until": end}
        if not beyond:
            return _POINTS.run(self._connection, asked).fetchall()
        return _REACHING.run(self._connection, asked | {"beyond": beyond}).fetchall()

    def _voice(self, stream_id: int, device: int) -> Voice:
        stream = next(each for each in self._streams if each.id == stream_id)
        link = self._links.get(stream.link)
        return Voice(
            stream.source,
            stream.link,
            self._devices.get(device, Device()),
            link.time_zone if link else "",
            link.grouping_s if link else None,
        )

    def _newest_linked(self) -> Sequence[Any]:
        """Streams by links, the newest first."""
        linked = [each for each in self._streams if each.link in self._links]
        return sorted(linked, key=lambda each: (-each.newest_us, each.id))


@dataclass(slots=True)
class _Read:
    """What has been read of a metric."""

    first_us: int
    end_us: int
    """From the first instant to before the last."""
    points: list[Point] = field(default_factory=list)
    voices: Numbers = field(default_factory=dict)

    def between(self, from_us: int, to_us: int) -> list[Point]:
        """Return what starts from one instant to before another."""
        low, high = (bisect_left(self.points, (each,)) for each in (from_us, to_us))
        return self.points[low:high]


def _points(stream: int, rows: Sequence[Any], voices: Numbers) -> list[Point]:
    """Return the points of rows; there are many, so that each is made as it stands."""
    numbers = {
        device: voices.setdefault((stream, device), len(voices))
        for device in dict.fromkeys(row[4] for row in rows)
    }
    new: Any = tuple.__new__
    return [
        new(
            Point,
            (
                start, start + length, value, numbers[device], STATS[stat],
                CONTEXTS[context], _flag(flags), offset,
            )  # fmt: skip
        )
        for start, length, value, offset, device, stat, context, flags in rows
    ]


@cache
def _flag(number: int) -> Flag:
    return Flag(number)


_START = itemgetter(0)


def _read_streams(connection: Connection, patient: PatientKey) -> Sequence[Any]:
    """By source, so that their order does not depend on who came first."""
    found = _STREAMS.ask(connection, patient._asdict())
    return sorted(found, key=lambda each: (each.source, each.link, each.unit))


def _read_links(connection: Connection, streams: Sequence[Any]) -> Mapping[int, Any]:
    wanted = sorted({each.link for each in streams} - {0})
    if not wanted:
        return {}
    return {id: each for id in wanted for each in _LINK.ask(connection, {"link": id})}


def _points_between(*more: ColumnElement[bool]) -> Prepared:
    row = SAMPLES.c
    columns = (
        *(row.start_us, row.length_us, row.value, row.offset_s),
        *(row.device, row.stat, row.context, row.flags),
    )
    since: BindParameter[int] = bindparam("since")
    until: BindParameter[int] = bindparam("until")
    asked = select(*columns).where(
        row.stream == bindparam("stream"),
        row.start_us >= since,
        row.start_us <= until,
        *more,
    )
    return Prepared(asked.order_by(row.start_us, row.key))


def _episodes() -> Prepared:
    """Those that have ended, and those that last: each follows an index."""
    alert = WEARABLE_ALERTS.c
    whose = [alert[name] == bindparam(name) for name in PATIENT]
    since: BindParameter[float] = bindparam("since")
    until: BindParameter[float] = bindparam("until")
    meets = [alert.detector == bindparam("of"), alert.start_utc <= until]
    ended = [
        alert.end_utc >= since - LONGEST_RECOVERY.total_seconds(),
        or_(alert.end_utc >= since, alert.last_utc >= since),
    ]
    return Prepared(
        union_all(
            select(WEARABLE_ALERTS).where(*whose, *meets, HOLDS, *ended),
            select(WEARABLE_ALERTS).where(
                *whose, *meets, OPEN, alert.last_utc >= since
            ),
        )
    )


def _summaries() -> Prepared:
    row = SUMMARIES.c
    whose = [row[name] == bindparam(name) for name in (*PATIENT, "metric", "part")]
    first: BindParameter[str] = bindparam("first")
    last: BindParameter[str] = bindparam("last")
    asked = select(SUMMARIES).where(*whose, row.day >= first, row.day <= last)
    return Prepared(asked.order_by(row.day, row.source))


_STREAMS = Prepared(
    select(STREAMS).where(*(STREAMS.c[name] == bindparam(name) for name in PATIENT))
)
_LINK = Prepared(
    select(LINKS.c.time_zone, LINKS.c.grouping_s).where(LINKS.c.id == bindparam("link"))
)
_POINTS = _points_between()
_REACHING = _points_between(
    SAMPLES.c.start_us + SAMPLES.c.length_us > bindparam("beyond")
)
_EPISODES = _episodes()
_SUMMARIES = _summaries()
