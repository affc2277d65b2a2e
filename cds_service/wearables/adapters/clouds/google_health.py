"""Google Health API, version 4: answers of list, reconcile, rollUp and dailyRollUp.

A point is of the kind that its one member names, such as ``heartRate``, and holds a
time of one of four forms: a sample's, an interval's, a date, or a roll-up's window.
Whole numbers come as text, and midnight as a time of day without members. Only some
kinds of points have a name by which they are told again.

An answer without any points is an empty object. Whose they are stands in none of them:
it is whoever the token was of.

Source: developers.google.com/health/reference/rest/v4, "users.dataTypes.dataPoints";
the discovery document of ``health:v4``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from ....protocol.errors import Problem, Unprocessable
from ...clock import parse_written
from ...metrics import Catalogue, Metric
from ...records import AlertType
from ...samples import (
    Context,
    Device,
    Flag,
    Item,
    LeftOut,
    Notice,
    Stat,
    microseconds,
)
from ..members import Sender
from ..reading import (
    LONGEST_DAY,
    SHORTEST_DAY,
    Frame,
    NotTaken,
    Object,
    Reader,
    inside,
    made_id,
    open_reader,
    read_each,
    read_id,
    read_name,
    read_span,
    read_whole,
    read_word,
    step,
)

FORMAT = "google-health"
POINTS = ("dataPoints", "rollupDataPoints")
PAGE = "nextPageToken"
ABOUT = ("name", "dataPointName", "dataSource")
WINDOW = ("startTime", "endTime", "civilStartTime", "civilEndTime")
"""Members of a point that are no kind."""
STATISTICS = {"Avg": Stat.MEAN, "Min": Stat.MIN, "Max": Stat.MAX}
"""By the end of a member's name; a sum ends with ``Sum``."""
SLEEP, STAGES = "sleep", "sleep/stages"
ASLEEP = "sleep/summary/minutesAsleep"
SPECIMENS = ("specimen", "measurementSource", "measurementLocation")
"""What makes another metric of a value, best known first."""
MOTION = {"SEDENTARY": Context.REST, "ACTIVE": Context.ACTIVE}
RECORDED = {"MANUAL": Flag.MANUAL, "DERIVED": Flag.ESTIMATED}
MINUTE = timedelta(minutes=1)
WIDEST_OFFSET = 18 * 3600
"""Seconds."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what the points of an answer say.

    Raises:
        Unprocessable: if *body* is no such answer.
    """
    known = {*POINTS, PAGE}
    if not isinstance(body, dict) or (body and not known & set(body)):
        text = "Must have dataPoints or rollupDataPoints, or be empty."
        raise Unprocessable(Problem(text, "$"))
    reader, unknown = open_reader(FORMAT, sender, catalogue), set[str]()
    for name in POINTS:
        yield from read_each(
            body.get(name),
            f"$.{name}",
            lambda each, path: _point(each, path, reader, unknown),
        )


def _point(
    point: Object, path: str, reader: Reader, unknown: set[str]
) -> Iterator[Item]:
    """What a point says; of a kind that holds no metric, that once."""
    source_id = _name(point)
    for member, held in point.items():
        if member in (*ABOUT, *WINDOW):
            continue
        kind, place = _camel(member), step(path, member)
        if not isinstance(held, dict):
            yield LeftOut("malformed", Problem("Must be an object.", place))
            continue
        told = _Told(kind, held, point, source_id, place, reader)
        try:
            found = list(told.items())
        except NotTaken as error:
            yield error.left_out(place)
            continue
        yield from found
        if not found and kind not in unknown:
            unknown.add(kind)
            text = "No metric here is in points of this kind."
            reason = "other-kind" if held else "no-value"
            yield LeftOut(reason, Problem(text if held else "Is empty.", place))


@dataclass(frozen=True, slots=True)
class _Told:
    """One kind of data of a point."""

    kind: str
    held: Object
    point: Object
    source_id: str
    path: str
    reader: Reader

    def items(self) -> Iterator[Item]:
        """Yield what it says; nothing where it is of no metric and no alert."""
        type = self.reader.catalogue.alert_named(FORMAT, self.kind)
        if type is not None:
            yield self._notice(type)
        elif self.kind == SLEEP:
            yield from self._sleep()
        else:
            yield from self._values()

    def _values(self) -> Iterator[Item]:
        frame: Frame | None = None
        for member, told in self.held.items():
            name = f"{self.kind}/{member}"
            found = self._metric(name)
            if found is None:
                continue
            frame = frame or self._frame()
            metric, unit = found
            stat = STATISTICS.get(member[-3:])
            path = step(self.path, member)
            yield self.reader.value(metric, told, unit, frame, path, stat)

    def _metric(self, name: str) -> tuple[Metric, str] | None:
        """The metric of a member, and the unit of its numbers."""
        kinds = [read_word(self.held.get(each)) for each in SPECIMENS]
        for each in (*(f"{name}/{kind}" for kind in kinds), name):
            metric = self.reader.metric(each)
            if metric is not None:
                return metric, metric.unit_of(FORMAT, each)
        return None

    def _frame(self) -> Frame:
        start, end, local, day = self._times()
        flags = Flag.DAY_TOTAL if day else Flag(0)
        recorded = inside(self.point, "dataSource").get("recordingMethod")
        motion = inside(self.held, "metadata").get("motionContext")
        return Frame(
            start,
            end,
            local,
            device=_device(self.point),
            source_id=self.source_id,
            context=MOTION.get(read_word(motion), Context.UNKNOWN),
            flags=flags | RECORDED.get(read_word(recorded), Flag(0)),
        )

    def _times(self) -> tuple[datetime, datetime, bool, bool]:
        """Start, end, whether the clock is known, whether it is of a whole day."""
        if "sampleTime" in self.held:
            at, local = self._sample_time(inside(self.held, "sampleTime"))
            return at, at, local, False
        if "interval" in self.held:
            return *self._interval(inside(self.held, "interval"), "interval"), False
        if "date" in self.held:
            begin = self._civil(self.held, "date")
            return begin, self.reader.day_after(begin), True, True
        start, end, local = self._interval(self.point, "")
        return start, end, local, SHORTEST_DAY <= end - start <= LONGEST_DAY

    def _sample_time(self, told: Object) -> tuple[datetime, bool]:
        member = "sampleTime.physicalTime"
        if told.get("physicalTime") is not None:
            offset = _offset(told.get("utcOffset"), "sampleTime.utcOffset")
            return self._physical(told["physicalTime"], offset, member)
        if told.get("civilTime") is not None:
            return self._civil(told["civilTime"], "sampleTime.civilTime"), True
        raise NotTaken("time", "Must have a physicalTime.", member)

    def _interval(self, told: Object, member: str) -> tuple[datetime, datetime, bool]:
        """The ends of an interval on one clock: that of its begin."""
        ends = []
        for name in ("start", "end"):
            within = f"{member}.{name}Time".lstrip(".")
            civil = f"civil{name.title()}Time"
            if told.get(f"{name}Time") is not None:
                offset = _offset(told.get(f"{name}UtcOffset"), within)
                ends.append(self._physical(told[f"{name}Time"], offset, within))
            elif told.get(civil) is not None:
                ends.append((self._civil(told[civil], civil), True))
            else:
                raise NotTaken("time", "Must be an interval.", within)
        (start, local), (end, _) = ends
        return *read_span(start, end.astimezone(start.tzinfo), member), local

    def _physical(
        self, told: Any, offset: timedelta | None, member: str
    ) -> tuple[datetime, bool]:
        at, local = self.reader.time(told, member)
        return (at, local) if offset is None else self.reader.on_clock(at, offset)

    def _civil(self, told: Any, member: str) -> datetime:
        """The instant of a civil time, in the zone of the source."""
        written = _written(told)
        if written is None:
            raise NotTaken("time", "Must be a date, and a time of day.", member)
        return self.reader.time(written, member)[0]

    def _sleep(self) -> Iterator[Item]:
        """The stages of a sleep; where none are told, how long it was in all."""
        frame = self._frame()
        edited = inside(self.held, "metadata").get("manuallyEdited") is True
        id = frame.source_id or str(microseconds(frame.start))
        frame = replace(
            frame,
            source_id=made_id(SLEEP, id),
            revision=self._updated(),
            context=Context.ASLEEP,
            flags=frame.flags | (Flag.MANUAL if edited else Flag(0)),
        )
        stages = self.held.get("stages")
        if stages:
            yield from self._stages(stages, frame)
            return
        metric = self.reader.metric(ASLEEP)
        if metric is not None:
            told = inside(self.held, "summary").get("minutesAsleep")
            path = f"{self.path}.summary.minutesAsleep"
            unit = metric.unit_of(FORMAT, ASLEEP)
            yield self.reader.value(metric, told, unit, frame, path)

    def _stages(self, stages: Any, frame: Frame) -> Iterator[Item]:
        number = count(1)

        def read(stage: Object, path: str) -> Iterator[Item]:
            metric = self.reader.metric(f"{STAGES}/{read_word(stage.get('type'))}")
            if metric is None:
                return  # awake
            start, end, local = self._interval(stage, "")
            within = replace(frame, start=start, end=end, local=local)
            within = replace(within, source_id=f"{frame.source_id}/{next(number)}")
            yield self.reader.value(metric, (end - start) / MINUTE, "min", within, path)

        yield from read_each(stages, f"{self.path}.stages", read)

    def _updated(self) -> int:
        """Which version it is: milliseconds since 1970 when it was changed."""
        try:
            at, _ = self.reader.time(self.held.get("updateTime"), "updateTime")
        except NotTaken:
            return 0
        return microseconds(at) // 1000

    def _notice(self, type: AlertType) -> Item:
        start, end, local = self._interval(inside(self.held, "interval"), "interval")
        windows = self.held.get("alertWindows")
        listed = windows if isinstance(windows, list) else []
        found = [each for each in listed if _is_positive(each)]
        if listed and not found:
            text = "None of its windows was positive."
            return LeftOut("no-value", Problem(text, self.path))
        model = inside(self.held, "medicalDeviceInfo").get("deviceModel")
        device = _device(self.point)
        return Notice(
            type.name,
            self.source_id or made_id(type.name, str(microseconds(start))),
            start,
            end,
            local,
            device=replace(device, name=device.name or read_name(model)),
            n=len(found) or None,
            path=self.path,
        )


def _is_positive(window: Any) -> bool:
    return isinstance(window, dict) and window.get("positive") is not False


def _camel(name: str) -> str:
    """A kind as JSON has it; it comes as ``heart-rate`` and ``heart_rate`` as well."""
    return _NEXT_WORD.sub(lambda found: found[1].upper(), name)


def _name(point: Object) -> str:
    """The name by which a point is told again; empty where its kind has none."""
    member = "name" if point.get("name") else "dataPointName"
    return read_id(point.get(member), member)


def _device(point: Object) -> Device:
    source = inside(point, "dataSource")
    device, application = inside(source, "device"), inside(source, "application")
    name = read_name(device.get("displayName"))
    if not name:
        form = read_name(device.get("formFactor")).lower()
        name = f"{read_name(device.get('manufacturer'))} {form}".strip()
    app = read_name(application.get("packageName")) or read_name(source.get("platform"))
    return Device(name=name, app=app)


def _offset(told: Any, member: str) -> timedelta | None:
    """The offset that ``-18000s`` tells; None where there is none."""
    if told is None:
        return None
    text = told.removesuffix("s") if isinstance(told, str) else told
    seconds = read_whole(text, member)
    if abs(seconds) > WIDEST_OFFSET:
        raise NotTaken("time", "Must be an offset from UTC in seconds.", member)
    return timedelta(seconds=seconds)


def _written(told: Any) -> str | None:
    """A civil time as text: of members, of which those of midnight may be missing."""
    if isinstance(told, str):
        written = parse_written(told)
        if written is None or not written.day:
            return told if written else None
        return f"{told.strip()}T00:00:00"
    date, time = inside({"": told}, "", "date"), inside({"": told}, "", "time")
    numbers = [date.get(each) for each in ("year", "month", "day")]
    numbers += [time.get(each) or 0 for each in ("hours", "minutes", "seconds")]
    whole = [each for each in numbers if isinstance(each, int) and 0 <= each < 10_000]
    if len(whole) < len(numbers):
        return None
    year, month, day, hours, minutes, seconds = whole
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}"


_NEXT_WORD = re.compile(r"[-_]([a-z0-9])")
