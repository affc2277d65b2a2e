"""One resource of the chart as a row that facts can be asked of.

Read tolerantly: a member of the wrong shape makes that row unusable, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from typing import Any

from ..fhir.chart import Resource
from ..wearables.records import WearableAlert, canonical_unit, conversion
from .intervals import EVER, INFINITY, Interval, Moment, exactly, parse_moment
from .terminology import canonical_system


class Standing(Enum):
    """Whether a resource counts under a fact's status."""

    COUNTS = 1
    DOES_NOT = 2
    UNCLEAR = 3
    """Its status cannot be read."""


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


def items(value: Any) -> list[Any]:
    """*value* if it is a list; else no items."""
    return value if isinstance(value, list) else []


def codings(concept: Any) -> list[tuple[str, str, str]]:
    """System, code and display of each coding of a CodeableConcept."""
    found: list[tuple[str, str, str]] = []
    written = concept.get("coding") if isinstance(concept, dict) else None
    if not isinstance(written, list):
        return found
    for coding in written:
        code = coding.get("code") if isinstance(coding, dict) else None
        if isinstance(code, str):
            system, display = coding.get("system"), coding.get("display")
            named = canonical_system(system) if isinstance(system, str) else ""
            found.append((named, code, display if isinstance(display, str) else ""))
    return found


def text_of(value: Any) -> str:
    """*value* if it is text, else the empty text."""
    return value if isinstance(value, str) else ""


def texts_of(concept: Any) -> list[str]:
    """What a CodeableConcept is called: its text first, then the displays."""
    if not isinstance(concept, dict):
        return []
    texts = [concept.get("text")]
    for coding in items(concept.get("coding")):
        if isinstance(coding, dict):
            texts.append(coding.get("display"))
    return [text for text in texts if text and isinstance(text, str)]


def reference_of(resource: Resource) -> str:
    """``Type/id`` of a resource."""
    return f"{resource.get('resourceType', '?')}/{resource.get('id', '?')}"


def _status(concept: Any) -> str:
    """The code of a status that may be a CodeableConcept, or a bare code (DSTU2)."""
    if isinstance(concept, str):
        return concept.strip().lower()
    for _, code, _ in codings(concept):
        return code
    return text_of(concept.get("text")).lower() if isinstance(concept, dict) else ""


_ACTIVE = {"active", "recurrence", "relapse"}
_INACTIVE = {"inactive", "remission", "resolved"}
_NEVER = {"refuted", "entered-in-error"}
_ABATEMENTS = (
    "abatementDateTime",
    "abatementPeriod",
    "abatementAge",
    "abatementRange",
    "abatementString",
)


def condition_standing(resource: Resource, policy: str, confirmed: bool) -> Standing:
    """Whether a Condition counts as ``active``, ``resolved`` or ``any``."""
    verification = _status(resource.get("verificationStatus"))
    if verification in _NEVER or (confirmed and verification != "confirmed"):
        return Standing.DOES_NOT
    if policy == "any":
        return Standing.COUNTS
    clinical = _status(resource.get("clinicalStatus"))
    if not clinical:
        abated = resource.get("abatementBoolean") is True or any(
            name in resource for name in _ABATEMENTS
        )
        clinical = "inactive" if abated else "active"
    if clinical not in _ACTIVE and clinical not in _INACTIVE:
        return Standing.UNCLEAR
    wanted = _ACTIVE if policy == "active" else _INACTIVE
    return Standing.COUNTS if clinical in wanted else Standing.DOES_NOT


_ORDERS = {"order", "original-order", "reflex-order", "filler-order", "instance-order"}
_NOT_ORDERS = {"proposal", "plan", "directive", "option"}
_REQUEST = {
    "current": {"active"},
    "stopped": {"stopped", "cancelled", "completed"},
    "any": {"active", "on-hold", "stopped", "cancelled", "completed", "draft"},
    "draft": {"draft", "active", "on-hold"},
}
_STATEMENT = {
    "current": {"active"},
    "stopped": {"stopped", "completed"},
    "any": {"active", "on-hold", "stopped", "completed", "intended"},
    "draft": set[str](),
}
_KNOWN_STATUSES = (
    _REQUEST["any"] | _STATEMENT["any"] | {"entered-in-error", "not-taken", "ended"}
)


def medication_standing(
    resource: Resource, policy: str, now: datetime, zone: tzinfo
) -> Standing:
    """Whether a MedicationRequest or MedicationStatement counts under *policy*."""
    if resource.get("doNotPerform") is True:
        return Standing.DOES_NOT
    status = text_of(resource.get("status"))
    is_request = resource.get("resourceType") == "MedicationRequest"
    if status not in _KNOWN_STATUSES:
        return Standing.UNCLEAR
    if status not in (_REQUEST if is_request else _STATEMENT)[policy]:
        return Standing.DOES_NOT
    if is_request and policy != "draft":
        intent = text_of(resource.get("intent"))
        if intent not in _ORDERS:
            known = intent in _NOT_ORDERS
            return Standing.DOES_NOT if known else Standing.UNCLEAR
    if policy == "current" and not is_request:
        period = resource.get("effectivePeriod")
        end = period.get("end") if isinstance(period, dict) else None
        moment = parse_moment(end, zone) if end is not None else None
        if moment and moment.high < now:
            return Standing.DOES_NOT
    return Standing.COUNTS


_RESULTS = {"final", "amended", "corrected"}
_NO_RESULTS = {"registered", "preliminary", "cancelled", "entered-in-error"}


def observation_standing(resource: Resource, policy: str) -> Standing:
    """Whether an Observation counts: final, amended and corrected ones do."""
    status = text_of(resource.get("status"))
    if status in _RESULTS or (policy == "any" and status == "preliminary"):
        return Standing.COUNTS
    return Standing.DOES_NOT if status in _NO_RESULTS else Standing.UNCLEAR


def condition_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """When a condition began; recorded dates are its latest possible onset."""
    onset = parse_moment(resource.get("onsetDateTime"), zone)
    onset = onset or _period(resource.get("onsetPeriod"), zone)
    if onset or any(name.startswith("onset") for name in resource):
        return onset
    recorded = parse_moment(resource.get("recordedDate"), zone)
    return Moment(EVER.low, recorded.high) if recorded else None


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
        start = parse_moment(bounds, zone)
        if start:
            return start
    return parse_moment(resource.get("authoredOn"), zone)


def observation_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """When an observation was made; ``issued`` only if there is no effective time."""
    effective = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if effective is not None:
        return parse_moment(effective, zone)
    if "effectivePeriod" in resource:
        return _period(resource["effectivePeriod"], zone)
    if "effectiveTiming" in resource:
        return None
    return parse_moment(resource.get("issued"), zone)


def _period(period: Any, zone: tzinfo) -> Moment | None:
    """A period by its end; one that has not ended, from its start onwards."""
    if not isinstance(period, dict):
        return None
    end = parse_moment(period.get("end"), zone)
    if end or "end" in period:
        return end
    start = parse_moment(period.get("start"), zone)
    return Moment(start.low, EVER.high) if start else None


def quantity(holder: Mapping[str, Any] | None, unit: str) -> Interval | None:
    """The number in *unit* that an observation or a component holds.

    None where there is none, or its unit measures something else. A comparator makes
    it a range.
    """
    value = holder.get("valueQuantity") if holder else None
    if not isinstance(value, dict):
        return None
    number = value.get("value")
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    scale = _scale(value, unit)
    if scale is None:
        return None
    factor, offset = scale
    amount = number * factor + offset
    comparator = value.get("comparator")
    if comparator is None:
        return exactly(amount)
    return {
        "<": Interval(-INFINITY, amount, False, True),
        "<=": Interval(-INFINITY, amount),
        ">": Interval(amount, INFINITY, True, False),
        ">=": Interval(amount, INFINITY),
    }.get(text_of(comparator))


def _scale(value: Mapping[str, Any], unit: str) -> tuple[float, float] | None:
    for member in ("code", "unit"):
        written = value.get(member)
        if not isinstance(written, str):
            continue
        if written == unit:
            return (1.0, 0.0)
        canonical = canonical_unit(written)
        if canonical is not None:
            return conversion(canonical, unit)
    return None
