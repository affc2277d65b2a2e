"""One resource of the chart as a row that facts can be asked of.

Read tolerantly: a member of the wrong shape makes that row unusable, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment, parse_moment
from ....wearables.detection.episodes import DayTally
from ....wearables.records import WearableAlert
from ....wearables.summaries import DaySummary
from ....wearables.worn import AgreedStream
from ...values.intervals import Duration, Interval
from ...values.truth import ReasonKind


@dataclass(slots=True)
class Row:
    """One resource, or wearable alert, that a fact may speak of."""

    reference: str
    """``Type/id``."""
    name: str = ""
    """What the record calls it; free text."""
    code: str = ""
    """``system|code`` of the coding that matched; empty if it matched by name."""
    by_name: bool = False
    moment: Moment = EVER
    dated: bool = False
    value: Interval | None = None
    """In the unit of the fact."""
    holder: Mapping[str, Any] | None = None
    """Where an observation's value stands: itself or one of its components."""
    resource: Resource | None = None
    alert: WearableAlert | None = None
    worn: DaySummary | AgreedStream | DayTally | None = None
    """What else wearables told."""
    why: str = ""
    """Why it is unusable or uncertain, where a fact found it so; a constant phrase."""
    untimed: str = ""
    """What the record does not say of its time, as a constant phrase."""
    doubt: ReasonKind | None = None
    """What kind of doubt it is, of a row that no code and no name placed, or that has
    no value to be used."""
    since: Moment | None = None
    """When a medicine was started, by all of its orders."""
    entered: Moment | None = None
    """When a problem was entered into the record."""
    not_entered: str = ""
    """What the record does not say of that, as a constant phrase."""
    likely: bool = False
    """Of such a row: its words name what is looked for, or nothing tells what it is."""

    def time(self, window: str) -> tuple[Moment | None, str]:
        """The time that a window looks at, and what the record does not say of it."""
        if window == "recorded_within":
            return self.entered, self.not_entered
        if self.since and window in ("taken_for", "started_within"):
            return self.since, self.untimed
        return self.moment if self.dated else None, self.untimed

    @property
    def evidence(self) -> str:
        """What names the observation or alert wherever it is met; empty without id."""
        if self.alert:
            return alert_reference(self.alert)
        if isinstance(self.worn, DaySummary):
            return day_reference(self.worn)
        known = self.resource is not None and text_of(self.resource.get("id"))
        return reference_of(self.resource) if self.resource and known else ""

    @property
    def is_heeded(self) -> bool:
        """Whether it keeps ``present`` from saying no: not what a code tells of."""
        return self.likely or self.doubt is not ReasonKind.UNRESOLVED


def items(value: Any) -> list[Any]:
    """*value* if it is a list, alone in one if it is an object; else no items."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def text_of(value: Any) -> str:
    """*value* if it is text, else the empty text."""
    return value if isinstance(value, str) else ""


def flag(value: Any) -> bool | None:
    """Return what a boolean says, or the word for it in quotation marks; none says no.

    None where it is neither.
    """
    if value is None or value is False or value == "false":
        return False
    return True if value is True or value == "true" else None


def is_true(value: Any) -> bool:
    """Return whether a boolean, or the word that some write for it, says yes."""
    return value is True or value == "true"


def reference_of(resource: Resource) -> str:
    """``Type/id`` of a resource."""
    return f"{resource.get('resourceType', '?')}/{resource.get('id', '?')}"


def alert_reference(alert: WearableAlert) -> str:
    """Return what names an alert: ids are those of its source."""
    return f"WearableAlert/{alert.source}/{alert.id}"


def day_reference(day: DaySummary) -> str:
    """Return what names what a day was, whoever told it."""
    return f"WearableDay/{day.metric}/{day.part}/{day.day}"


_LENGTHS: Mapping[str, str] = {
    **dict.fromkeys(("a", "year", "years", "yr"), "year"),
    **dict.fromkeys(("mo", "month", "months"), "month"),
    **dict.fromkeys(("wk", "week", "weeks"), "week"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "hour"),
    **dict.fromkeys(("min", "minute", "minutes"), "minute"),
}
"""Units of time, as UCUM and as people write them, to what they are."""
_LONGEST = timedelta(days=200 * 365)


def length_of(quantity: Any) -> Duration | None:
    """The length of time, or the age, that a Quantity is; None if it is no such."""
    count = quantity.get("value") if isinstance(quantity, Mapping) else None
    if isinstance(count, bool) or not isinstance(count, int | float):
        return None
    written = text_of(quantity.get("code")) or text_of(quantity.get("unit"))
    unit = _LENGTHS.get(written.strip().lower())
    if unit is None or not 0 <= count <= _LONGEST / timedelta(minutes=1):
        return None
    length = Duration(count, unit)
    if unit in ("month", "year") and count != int(count):
        length = Duration(length.length / timedelta(days=1), "day")
    return length if length.length <= _LONGEST else None


def period_moment(period: Any, zone: tzinfo) -> Moment | None:
    """A period by its end; one that has not ended, from its start onwards.

    An end in the year 9999 is how some write that there is none.
    """
    if not isinstance(period, dict):
        return None
    end = parse_moment(period.get("end"), zone)
    if end and end.low.year < datetime.max.year:
        return end
    if not end and ("end" in period or "_end" in period):
        return None
    start = parse_moment(period.get("start"), zone)
    return Moment(start.low, EVER.high) if start else None
