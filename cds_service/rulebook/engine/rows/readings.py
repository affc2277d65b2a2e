"""One resource of the chart as a row that facts can be asked of.

Read tolerantly: a member of the wrong shape makes that row unusable, and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.code_systems import canonical_system
from ....fhir.moments import EVER, Moment, parse_moment
from ....wearables.records import WearableAlert
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


def codings(concept: Any) -> list[tuple[str, str, str]]:
    """System, code and display of each coding of a CodeableConcept.

    A coding of a shape that FHIR does not know is left out.
    """
    found: list[tuple[str, str, str]] = []
    written = concept.get("coding") if isinstance(concept, dict) else None
    if type(written) is not list:
        written = items(written)
    for coding in written:
        code = coding.get("code") if type(coding) is dict else None
        if type(code) is int:
            code = str(code)
        if code and type(code) is str:
            system, display = coding.get("system"), coding.get("display")
            if type(system) is str:
                named = canonical_system(system)
            elif system is None:
                named = ""
            else:
                continue
            shown = display if type(display) is str else ""
            found.append((named, code.strip(), shown))
    return found


class Lack(NamedTuple):
    """Why no code of a resource is known, so that it may be anything."""

    doubt: ReasonKind
    why: str
    """A constant phrase."""


NO_CODE = Lack(ReasonKind.NOT_READ, "no code is recorded")
MISSHAPEN = Lack(ReasonKind.UNUSABLE, "its code has a shape that FHIR does not know")


def lack_of(concept: Any) -> Lack | None:
    """Why no code of a CodeableConcept is known.

    None where one is, or where words stand for it.
    """
    if codings(concept):
        return None
    if is_misshapen(concept):
        return MISSHAPEN
    return None if texts_of(concept) else NO_CODE


def is_misshapen(concept: Any) -> bool:
    """Whether a CodeableConcept, or a coding in it, has a shape that FHIR has not."""
    if concept is None:
        return False
    if not isinstance(concept, dict):
        return True
    written = concept.get("coding")
    if written is None:
        written = []
    elif not isinstance(written, list):
        written = [written]
    texts = [concept.get("text")]
    for coding in written:
        if not isinstance(coding, dict):
            return True
        code = coding.get("code")
        if isinstance(code, bool) or not isinstance(code, str | int | None):
            return True
        texts += [coding.get("system"), coding.get("display")]
    return any(not isinstance(text, str | None) for text in texts)


_NOTHING_KNOWN = (
    "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
    "no-known-",
)
"""System, and how its codes begin that say that there is nothing to record."""


def says_none(found: Iterable[tuple[str, str, str]]) -> bool:
    """Whether codings say that there is no problem, no medicine: ``no-known-problems``.

    Source: International Patient Summary, "Absent and Unknown Data".
    """
    system, beginning = _NOTHING_KNOWN
    return any(
        named == system and code.startswith(beginning) for named, code, _ in found
    )


def text_of(value: Any) -> str:
    """*value* if it is text, else the empty text."""
    return value if isinstance(value, str) else ""


def flag(value: Any) -> bool | None:
    """What a boolean says, or the word for it in quotation marks; none says no.

    None where it is neither.
    """
    if value is None or value is False or value == "false":
        return False
    return True if value is True or value == "true" else None


OLDEST = 130
"""Years; the longest life that is on record is of 122."""


def birth_moment(patient: Resource, now: datetime, zone: tzinfo) -> Moment | None:
    """When a patient was born; None where no birth that can be true is recorded.

    What lies ahead, or makes the patient older than anybody, is none.
    """
    born = parse_moment(patient.get("birthDate"), zone)
    if born is None:
        return None
    today = now.astimezone(zone).date()
    first, last = (each.astimezone(zone).date() for each in born)
    ahead = first > today
    return None if ahead or last < earliest_birth(today) else born


def earliest_birth(today: date) -> date:
    """The first day on which somebody who is not older than anybody may be born."""
    return Duration(OLDEST + 1, "year").shift(today, -1) + timedelta(days=1)


def texts_of(concept: Any) -> list[str]:
    """What a CodeableConcept is called: its text first, then the displays."""
    if not isinstance(concept, dict):
        return []
    texts = [concept.get("text")]
    for coding in items(concept.get("coding")):
        if isinstance(coding, dict):
            texts.append(coding.get("display"))
    return [text for text in texts if text and isinstance(text, str)]


def is_true(value: Any) -> bool:
    """Whether a boolean, or the word that some write for it, says yes."""
    return value is True or value == "true"


def reference_of(resource: Resource) -> str:
    """``Type/id`` of a resource."""
    return f"{resource.get('resourceType', '?')}/{resource.get('id', '?')}"


def alert_reference(alert: WearableAlert) -> str:
    """What names an alert: ids are those of its source."""
    return f"WearableAlert/{alert.source}/{alert.id}"


def medication_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """When a medicine was started, as far as the record says."""
    if resource.get("resourceType") == "MedicationStatement":
        period = resource.get("effectivePeriod")
        start = period.get("start") if isinstance(period, dict) else None
        return parse_moment(start or resource.get("effectiveDateTime"), zone)
    for dosage in items(resource.get("dosageInstruction")):
        bounds: Any = dosage
        for member in ("timing", "repeat", "boundsPeriod", "start"):
            bounds = bounds.get(member) if isinstance(bounds, dict) else None
        if bounds is not None:
            return parse_moment(bounds, zone)
    return parse_moment(resource.get("authoredOn"), zone)


def without_start(resource: Resource) -> str:
    """What is missing where a record does not say when a medicine was started."""
    said = ("authoredOn", "effectiveDateTime", "effectivePeriod")
    return "" if any(name in resource for name in said) else "start not recorded"


def observation_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """When an observation was made; ``issued`` only if there is no effective time."""
    effective = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if effective is not None:
        return parse_moment(effective, zone)
    if "effectivePeriod" in resource:
        return period_moment(resource["effectivePeriod"], zone)
    if "effectiveTiming" in resource:
        return None
    return parse_moment(resource.get("issued"), zone)


def without_time(resource: Resource) -> str:
    """What is missing where an observation does not say when it was made."""
    said = any(name.startswith("effective") for name in resource)
    return "" if said or "issued" in resource else "time not recorded"


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
