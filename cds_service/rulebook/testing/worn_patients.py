"""The wearables of a rule test's patient: days, streams, and what was not judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from ...wearables.detection.episodes import DayTally, NotJudged
from ...wearables.metrics import Catalogue
from ...wearables.summaries import DaySummary
from ...wearables.worn import AgreedStream
from .notation import moment, parse_series

SOURCE = "test"
"""Who told what a test does not say otherwise."""
_BAND = "band:"
_ONE = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WornWriter:
    """Writes what one patient's wearables told beside alerts."""

    written: Mapping[str, Any]
    """As ``wearables`` of a test has it, of a shape that has been checked."""
    now: datetime
    zone: tzinfo
    catalogue: Catalogue

    def days(self) -> tuple[DaySummary, ...]:
        """Return what the days were; several values of one day are of one summary."""
        found: dict[tuple[str, str, date], DaySummary] = {}
        for each in self.written.get("days", ()):
            metric = self.catalogue.metrics.get(each["metric"])
            usual = metric.statistics[0] if metric else "mean"
            for day, value in self._series(each):
                key = (each["metric"], each.get("part", "day"), day)
                summary = found.get(key) or self._summary(each, day)
                found[key] = _with(summary, each.get("summary", usual), value)
        return tuple(found.values())

    def _summary(self, each: Mapping[str, Any], day: date) -> DaySummary:
        """A day without a value yet."""
        metric, minutes = each["metric"], _minutes(day, self.zone)
        known = self.catalogue.metrics.get(metric)
        spoken = known is not None and known.speaks_for is not None
        return DaySummary(
            metric=metric,
            day=day,
            zone=str(self.zone),
            minutes=minutes,
            part=each.get("part", "day"),
            n=each.get("readings", 1),
            covered=each.get("coverage", 1) * minutes if spoken else None,
            last=_midnight(day + _ONE, self.zone) - _MINUTE,
            sources=(each.get("source", SOURCE),),
            devices=(each["device"],) if "device" in each else (),
        )

    def streams(self) -> Iterator[AgreedStream]:
        """Give the streams that were agreed."""
        for each in self.written.get("streams", ()):
            last = each.get("last")
            yield AgreedStream(
                each["metric"],
                each.get("source", SOURCE),
                moment(each["agreed"], self.now, self.zone),
                None if last is None else moment(last, self.now, self.zone),
                each.get("device", ""),
            )

    def tallies(self) -> Iterator[DayTally]:
        """Give what detectors could not judge."""
        for each in self.written.get("not_judged", ()):
            source = each.get("source", SOURCE)
            for day, number in self._series(each):
                reasons = {NotJudged(each["reason"]): int(number)}
                yield DayTally(each["detector"], day, source, 0, reasons)

    def _series(self, each: Mapping[str, Any]) -> Iterator[tuple[date, float]]:
        """The days that have a value, the last of them on the day of ``ends``."""
        ends = moment(each.get("ends", "1 day ago"), self.now, self.zone)
        last = ends.astimezone(self.zone).date()
        values = parse_series(str(each["values"]))
        for index, value in enumerate(values):
            if value is not None:
                yield last - (len(values) - 1 - index) * _ONE, value.value


def _minutes(day: date, zone: tzinfo) -> float:
    """How long a day is; of a night a test says only what share of it is told."""
    return (_midnight(day + _ONE, zone) - _midnight(day, zone)) / _MINUTE


def _midnight(day: date, zone: tzinfo) -> datetime:
    at = datetime.combine(day, datetime.min.time(), zone)
    return at.astimezone(UTC)


def _with(summary: DaySummary, statistic: str, value: float) -> DaySummary:
    """The day with one more value; of a band in percent."""
    if statistic.startswith(_BAND):
        minutes = value / 100 * (summary.covered or 0)
        bands = {**summary.bands, statistic.removeprefix(_BAND): minutes}
        return replace(summary, bands=bands)
    told: dict[str, Any] = {statistic: value}
    return replace(summary, **told)
