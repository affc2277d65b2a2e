"""Garmin Health: what it pushes, lists of summaries by their kind.

A summary says when it begins (seconds since 1970), how far the wearer's clock was ahead
of UTC, how long it lasts, and its values, of which some are series by the seconds from
the begin. A summary that is pushed again with the same ``summaryId`` replaces the one
before: of a day there are several while it lasts. ``-1`` and ``-2`` say that there is
no value. The names of members tell statistics and units.

Source: payloads as partners of Garmin's Health API publish them; the specification is
open to partners alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..metrics import Catalogue, Metric
from ..samples import Context, Device, Flag, Item, LeftOut, Stat
from .members import Sender
from .reading import (
    SECONDS,
    Frame,
    NotTaken,
    Object,
    Reader,
    open_reader,
    read_each,
    read_epoch,
    read_id,
    read_name,
    read_number,
    read_user,
    read_whole,
    step,
)

FORMAT = "garmin"
DAYS = "dailies"
NIGHTS = "sleeps"
SNAPSHOTS = "healthSnapshot"
SERIES_IN_SNAPSHOT = "epochSummaries"
STATISTICS = (
    (re.compile("min[A-Z]|.*Low$"), Stat.MIN),
    (re.compile("max[A-Z]|.*High$"), Stat.MAX),
    (re.compile("average[A-Z]|avg[A-Z]|.*Avg$"), Stat.MEAN),
)
"""By the names of members."""
NOTHING = frozenset({-1.0, -2.0})
"""Not measured, or not measurable while moving."""
BY_HAND = "MANUAL"
LONGEST = 8 * 86_400
"""Seconds that a summary lasts."""
OFFSETS = (
    "measurementTimeOffsetInSeconds",
    "startTimeOffsetInSeconds",
    "offsetStartTimeInSeconds",
)
WIDEST_OFFSET = 18 * 3600
"""Seconds."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what summaries say.

    Raises:
        Unprocessable: if *body* has no list of anything.
    """
    if not isinstance(body, dict) or not any(
        isinstance(each, list) for each in body.values()
    ):
        text = "Must be an object with lists of summaries, such as dailies."
        raise Unprocessable(Problem(text, "$"))
    reader = open_reader(FORMAT, sender, catalogue)
    for kind, summaries in body.items():
        path = step("$", kind)
        if isinstance(summaries, list):
            yield from _summaries(summaries, kind, path, reader)
        else:
            yield LeftOut("other-kind", Problem("No list of summaries.", path))


def _summaries(
    summaries: list[Any], kind: str, path: str, reader: Reader
) -> Iterator[Item]:
    """What summaries of one kind say; of a kind that holds no metric, that once."""

    def holds_any(summary: Any) -> bool:
        if not isinstance(summary, dict) or "callbackURL" in summary:
            return True
        return kind == SNAPSHOTS or any(_measures(summary, kind, reader))

    if summaries and not any(map(holds_any, summaries)):
        text = "No metric here is in summaries of this kind."
        yield LeftOut("other-kind", Problem(text, path))
        return
    yield from read_each(
        summaries, path, lambda each, place: _summary(each, kind, place, reader)
    )


def _measures(
    summary: Object, kind: str, reader: Reader
) -> Iterator[tuple[str, Metric]]:
    for name in summary:
        metric = reader.metric(f"{kind}/{name}")
        if metric:
            yield name, metric


def _summary(summary: Object, kind: str, path: str, reader: Reader) -> Iterator[Item]:
    if "callbackURL" in summary:
        text = "Says only where the data can be fetched."
        raise NotTaken("no-value", text, "callbackURL")
    frame = _frame(summary, kind, reader)
    for name, metric in _measures(summary, kind, reader):
        unit = metric.unit_of(FORMAT, f"{kind}/{name}")
        values = _Values(metric, unit, frame, reader)
        yield from values.told(summary[name], _stat(name), step(path, name))
    if kind == SNAPSHOTS:
        yield from read_each(
            summary.get("summaries"),
            f"{path}.summaries",
            lambda each, place: _part(each, place, frame, reader),
        )


def _part(part: Object, path: str, frame: Frame, reader: Reader) -> Iterator[Item]:
    """What a snapshot of two minutes says of one metric."""
    kind = part.get("summaryType")
    name = f"{SNAPSHOTS}/{kind}" if isinstance(kind, str) else ""
    metric = reader.metric(name)
    if metric is None:
        raise NotTaken("other-kind", "No metric here.", "summaryType")
    values = _Values(metric, metric.unit_of(FORMAT, name), frame, reader)
    for member in ("minValue", "avgValue", "maxValue", SERIES_IN_SNAPSHOT):
        if member in part:
            yield from values.told(part[member], _stat(member), f"{path}.{member}")


@dataclass(frozen=True, slots=True)
class _Values:
    """Values of one metric in a summary."""

    metric: Metric
    unit: str
    frame: Frame
    reader: Reader

    def told(self, told: Any, stat: Stat | None, path: str) -> Iterator[Item]:
        """Yield a value, or a series of them by the seconds from the begin."""
        if isinstance(told, dict):
            for seconds, value in told.items():
                yield from self._at(seconds, value, step(path, seconds))
        else:
            yield self._one(told, self.frame, stat, path)

    def _at(self, seconds: str, told: Any, path: str) -> Iterator[Item]:
        try:
            after = read_whole(seconds, "")
            if not 0 <= after <= LONGEST:
                raise NotTaken("time", "Must be seconds from the begin.")
        except NotTaken as error:
            yield error.left_out(path)
            return
        at = self.frame.start + timedelta(seconds=after)
        # The id is that of the summary: what tells one of a series is its time.
        frame = replace(self.frame, start=at, end=at, source_id="", flags=Flag(0))
        yield self._one(told, frame, None, path)

    def _one(self, told: Any, frame: Frame, stat: Stat | None, path: str) -> Item:
        if _is_nothing(told, self.metric):
            text = "Says that nothing was measured."
            return LeftOut("no-value", Problem(text, path), frame.source_id)
        return self.reader.value(self.metric, told, self.unit, frame, path, stat)


def _is_nothing(told: Any, metric: Metric) -> bool:
    """Whether a number stands for none; where it can be a value, it is one."""
    try:
        number = read_number(told)
    except NotTaken:
        return False
    return number in NOTHING and number < metric.lowest


def _stat(member: str) -> Stat | None:
    return next((stat for name, stat in STATISTICS if name.match(member)), None)


def _frame(summary: Object, kind: str, reader: Reader) -> Frame:
    measured = "measurementTimeInSeconds" in summary
    begin = "measurementTime" if measured else "startTime"
    name = f"{begin}InSeconds"
    start = read_epoch(summary.get(name), SECONDS, name)
    begun, local = reader.on_clock(start, _offset(summary))
    lasts = summary.get("durationInSeconds")
    seconds = 0 if lasts is None else read_whole(lasts, "durationInSeconds")
    if not 0 <= seconds <= LONGEST:
        raise NotTaken("time", "Must be how long it lasts.", "durationInSeconds")
    by_hand = BY_HAND in (summary.get("validation"), summary.get("sourceType"))
    flags = Flag.MANUAL if by_hand else Flag(0)
    return Frame(
        begun,
        begun + timedelta(seconds=seconds),
        local,
        read_user(summary.get("userId"), "userId"),
        Device(name=read_name(summary.get("deviceName"))),
        read_id(summary.get("summaryId"), "summaryId"),
        context=Context.ASLEEP if kind == NIGHTS else Context.UNKNOWN,
        flags=flags | (Flag.DAY_TOTAL if kind == DAYS else Flag(0)),
    )


def _offset(summary: Object) -> timedelta | None:
    name = next((each for each in OFFSETS if summary.get(each) is not None), "")
    if not name:
        return None
    seconds = read_whole(summary[name], name)
    if abs(seconds) > WIDEST_OFFSET:
        raise NotTaken("time", "Must be an offset from UTC in seconds.", name)
    return timedelta(seconds=seconds)
