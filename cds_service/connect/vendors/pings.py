"""What vendors' notifications say is new: of whom, of which kind, of what time. Pure.

They hold no data: what they name is fetched. Only so much is taken from one that a
forged one, or one that was recorded and sent again, costs no more than a fetch of some
days. What is deleted is named like what is new: what the vendor gives no longer is
found out when it is asked.

Source: developers.google.com/health/webhooks; developer.withings.com/developer-guide
v3, "Notification content"; cloud.ouraring.com/v2/docs, "Webhooks".
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from ...wearables.clock import parse_written

LONGEST = timedelta(days=31)
"""Of longer times the end is fetched."""
OLDEST = timedelta(days=400)
AHEAD = timedelta(days=1)
"""What is after that is nobody's reading."""
ANYWHERE = timedelta(hours=14)
"""No clock on Earth is further from UTC: by so much a civil time may be meant earlier
or later where it is not known in which zone."""
MOST = 1_000
"""Times that one notification names."""
LONGEST_ID = 255
OPERATIONS = ("UPSERT", "UPDATE", "DELETE")
KINDS_OF_TYPES = {
    "steps": ("steps-of-days", "steps"),
    "active-energy-burned": ("active-energy",),
}
"""Of Google's data types, those of which our kinds have other names."""
APPLIS: Mapping[str, tuple[str, ...]] = {
    "1": ("measures",),
    "2": ("measures",),
    "4": ("measures",),
    "16": ("activity", "within-a-day"),
    "44": ("sleep",),
    "54": ("recordings-of-the-heart",),
}
"""Withings' numbers of what changed: weight, temperature, blood pressure and pulse;
activity; sleep; ECG."""
COLLECTIONS = {
    "daily_activity": "daily-activity",
    "daily_spo2": "daily-spo2",
    "sleep": "sleep",
    "heartrate": "pulse",
}
"""Of Oura."""
DAYS_BEFORE = timedelta(days=2)
"""An event of Oura says when it happened, and not of which day it is."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a notification says is new."""

    user: str
    """As the vendor calls the wearer."""
    kind: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Ping:
    """What one notification comes to."""

    named: tuple[Named, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """How many of its entries name nothing, by why: ``malformed``, ``other-kind``,
    ``other-time``, ``too-many``."""


class PassedOver(Exception):
    """An entry names nothing that is fetched; the message says why."""


@dataclass(frozen=True, slots=True)
class PingReader:
    """How the notifications of one vendor are read."""

    kinds: Collection[str]
    """Those that the site asks for."""
    zone: tzinfo | None
    """Of civil times; None where wearers may be in several."""
    now: datetime

    def google_health(self, body: Any) -> Ping:
        """Return what a notification of Google Health names: one, or a list of them."""
        entries = body if isinstance(body, list) else [body]
        return self._collect(_each(entries, self._of_google))

    def withings(self, form: Mapping[str, str]) -> Ping:
        """Return what a notification of Withings names, by the fields of its form."""
        return self._collect(_each([form], self._of_withings))

    def oura(self, body: Any) -> Ping:
        """Return what an event of Oura names."""
        return self._collect(_each([body], self._of_oura))

    def _collect(self, found: Iterator[Named | str]) -> Ping:
        named: dict[Named, None] = {}
        passed_over = Counter[str]()
        for each in found:
            if isinstance(each, str):
                passed_over[each] += 1
            elif len(named) < MOST or each in named:
                named[each] = None
            else:
                passed_over["too-many"] += 1
        return Ping(tuple(named), dict(passed_over))

    def _of_google(self, entry: Any) -> Iterator[Named | str]:
        data = entry.get("data") if isinstance(entry, dict) else None
        if not isinstance(data, dict) or data.get("operation") not in OPERATIONS:
            raise PassedOver("malformed")
        user, type = _id(data.get("healthUserId")), _kebab(data.get("dataType"))
        kinds = self._asked(KINDS_OF_TYPES.get(type, (type,)))
        intervals = data.get("intervals")
        intervals = intervals if isinstance(intervals, list) else [data]

        def read(interval: Any) -> Iterator[Named | str]:
            yield from self._named(user, kinds, *self._interval(interval))

        yield from _each(intervals, read)

    def _interval(self, told: Any) -> tuple[datetime, datetime]:
        """The time of an interval in one of its three forms, the plainest first."""
        told = told if isinstance(told, dict) else {}
        physical = _object(told, "physicalTimeInterval")
        text = _object(told, "civilIso8601TimeInterval")
        civil = _object(told, "civilDateTimeInterval")
        for start, end in (
            (physical.get("startTime"), physical.get("endTime")),
            (text.get("startTime"), text.get("endTime")),
            (_written(civil.get("startDateTime")), _written(civil.get("endDateTime"))),
        ):
            if start is not None:
                return self._moment(start, -1), self._moment(end or start, 1)
        raise PassedOver("malformed")

    def _moment(self, told: Any, side: int) -> datetime:
        """An instant; of a civil time in no known zone the earliest or the latest."""
        written = parse_written(told) if isinstance(told, str) else None
        if written is None or not 2000 <= written.at.year <= 9998:
            raise PassedOver("malformed")
        if written.offset is not None:
            return (written.at - written.offset).replace(tzinfo=UTC)
        at = written.at + (timedelta(days=1) if written.day and side > 0 else _NOTHING)
        if self.zone is not None:
            return at.replace(tzinfo=self.zone).astimezone(UTC)
        return at.replace(tzinfo=UTC) + side * ANYWHERE

    def _of_withings(self, form: Mapping[str, str]) -> Iterator[Named | str]:
        user = _id(form.get("userid"))
        kinds = self._asked(APPLIS.get(form.get("appli", ""), ()))
        if form.get("date"):
            start = self._moment(form["date"], -1)
            end = self._moment(form["date"], 1)
        else:
            start, end = (_epoch(form.get(name)) for name in ("startdate", "enddate"))
        yield from self._named(user, kinds, start, end)

    def _of_oura(self, entry: Any) -> Iterator[Named | str]:
        if not isinstance(entry, dict):
            raise PassedOver("malformed")
        if entry.get("event_type") not in ("create", "update", "delete"):
            raise PassedOver("malformed")
        user, type = _id(entry.get("user_id")), entry.get("data_type")
        kind = COLLECTIONS.get(type, "") if isinstance(type, str) else ""
        told = entry.get("event_time")
        at = self.now if told is None else self._moment(told, 1)
        # Whole days, so that the events of one day ask for one thing.
        day = datetime.combine(at.date(), time(), UTC)
        yield from self._named(
            user, self._asked((kind,)), day - DAYS_BEFORE, day + timedelta(days=1)
        )

    def _asked(self, kinds: Collection[str]) -> tuple[str, ...]:
        found = tuple(each for each in kinds if each in self.kinds)
        if not found:
            raise PassedOver("other-kind")
        return found

    def _named(
        self, user: str, kinds: Collection[str], start: datetime, end: datetime
    ) -> Iterator[Named]:
        if end < start:
            raise PassedOver("malformed")
        end = min(end, self.now + AHEAD)
        start = max(start, self.now - OLDEST, end - LONGEST)
        if end < start:
            raise PassedOver("other-time")
        for kind in kinds:
            yield Named(user, kind, start, end)


_NOTHING = timedelta(0)


def _each(entries: Any, read: Any) -> Iterator[Named | str]:
    """What *read* makes of each entry, or why it makes nothing of it."""
    for place, entry in enumerate(entries):
        try:
            if place >= MOST:
                raise PassedOver("too-many")
            yield from read(entry)
        except PassedOver as error:
            yield str(error)


def _id(told: Any) -> str:
    """A user of the vendor. Raises PassedOver where that is none."""
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 2**63:
        return str(told)
    if isinstance(told, str) and 0 < len(told) <= LONGEST_ID and told.isprintable():
        return told
    raise PassedOver("malformed")


def _epoch(told: str | None) -> datetime:
    if told is None or not _SECONDS.fullmatch(told):
        raise PassedOver("malformed")
    return datetime.fromtimestamp(int(told), UTC)


def _kebab(told: Any) -> str:
    """A data type as URLs have it; it comes as ``heartRate`` and ``heart_rate`` too."""
    if not isinstance(told, str) or len(told) > LONGEST_ID:
        raise PassedOver("malformed")
    return _WORD.sub(lambda found: f"-{found[0].lower()}", told).replace("_", "-")


def _object(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    held = told.get(name)
    return held if isinstance(held, dict) else {}


def _written(told: Any) -> str | None:
    """A civil time as text: of members, of which those of midnight may be missing."""
    if not isinstance(told, dict):
        return None
    date, clock = _object(told, "date"), _object(told, "time")
    numbers = [date.get(each) for each in ("year", "month", "day")]
    numbers += [clock.get(each) or 0 for each in ("hours", "minutes", "seconds")]
    whole = [each for each in numbers if isinstance(each, int) and 0 <= each < 10_000]
    if len(whole) < len(numbers):
        raise PassedOver("malformed")
    year, month, day, hours, minutes, seconds = whole
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}"


_WORD = re.compile(r"(?<=[a-z0-9])[A-Z]")
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
