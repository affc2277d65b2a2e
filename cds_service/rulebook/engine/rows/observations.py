"""What an observation or a component says: when, how much, or why it has no value.

What was not measured is no reading, and the one before it is still the newest. What was
measured and cannot be known is one: nobody may say that the one before it is newest.

Source: FHIR R4 Observation.effective[x], value[x], Quantity, Range, dataAbsentReason;
code system and extension "data-absent-reason"; STU3 and DSTU2, which spell some codes
otherwise; HL7 v3 NullFlavor, as it comes out of CDA documents.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from types import NoneType
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import Moment, parse_moment
from ....units import AS_IT_IS, Scale, Substance, canonical_unit, scales
from ...terminology.parts import UNSAID, Measure
from ...values.intervals import INFINITY, Interval, exactly
from .coded import codings, is_misshapen
from .readings import items, period_moment, text_of


def observation_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """Return when an observation was made.

    ``issued`` only if there is no effective time, nor a reason in its place.
    """
    effective = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if effective is not None:
        return parse_moment(effective, zone)
    if "effectivePeriod" in resource:
        return period_moment(resource["effectivePeriod"], zone)
    if "effectiveTiming" in resource or any(resource.get(each) for each in _NO_TIME):
        return None
    return parse_moment(resource.get("issued"), zone)


_NO_TIME = ("_effectiveDateTime", "_effectiveInstant")
"""Where the reason stands why there is none."""


def without_time(resource: Resource) -> str:
    """Return what is missing where an observation does not say when it was made."""
    said = any(name.startswith("effective") for name in resource)
    return "" if said or "issued" in resource else "time not recorded"


NO_NUMBER = "no number in the unit asked for"
A_SHARE = "a share of one that is above 1"


class Reading(NamedTuple):
    """What an observation or a component says in the unit that is asked for."""

    value: Interval | None
    why: str = ""
    """Why it has no value that can be used; a phrase without anything of a patient."""


_DECIMAL = re.compile(
    r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_UCUM = re.compile(
    r"\s*(?:https?://(?:www\.)?unitsofmeasure\.org/?"
    r"|(?:urn:oid:)?2\.16\.840\.1\.113883\.6\.8)(?:\|.*)?\s*",
    re.IGNORECASE,
)


def quantity(
    holder: Mapping[str, Any] | None, unit: str, measure: Measure = UNSAID
) -> Reading:
    """Return what an observation or a component says in *unit*.

    It has no value where there is no number, where its unit measures something else
    and where *measure* holds the number for implausible. A comparator and a Range make
    it an interval, of which each bound must be plausible; a whole number without a unit
    is one in the unit ``1``.
    """
    found = _intervals(holder, unit, measure.substance) if holder else ()
    if not found:
        return _NO_NUMBER
    plausible = measure.range_in(unit)
    if plausible is not None:
        for each in found:
            if _lies_in(each, *plausible):
                return Reading(each)
        return Reading(None, f"outside the plausible range, {measure.words()}")
    if len(found) > 1 and not _lies_in(found[0], -INFINITY, _WHOLE):
        return Reading(None, A_SHARE)
    return Reading(found[0])


_NO_NUMBER = Reading(None, NO_NUMBER)
_WHOLE = 100.0
"""Percent: no share is more, whatever a percentage may be."""


def _lies_in(value: Interval, least: float, most: float) -> bool:
    """Return whether each bound that is there lies between two numbers."""
    low, high, _, _ = value
    return (low == -INFINITY or least <= low <= most) and (
        high == INFINITY or least <= high <= most
    )


def _intervals(
    holder: Mapping[str, Any], unit: str, of: Substance
) -> Sequence[Interval]:
    """Return what the value may be: one interval, or two where its unit is a share."""
    value = holder.get("valueQuantity")
    if value is not None:
        ways = _scales(value, unit, of)
        # None of them or all are read: only the number and its comparator can fail.
        read = _quantity(value, ways[0]) if ways else None
        if read is None:
            return ()
        return (read,) if len(ways) == 1 else (read, _quantity(value, ways[1]) or read)
    if "valueRange" in holder:
        return tuple(_range(holder["valueRange"], unit, of))
    number = _number(holder.get("valueInteger"))
    if number is None or scales("1", unit) != _AS_IT_IS:
        return ()
    return (exactly(number),)


def _quantity(value: Mapping[str, Any], scale: Scale) -> Interval | None:
    amount = _amount(value, scale)
    if amount is None:
        return None
    comparator = value.get("comparator")
    if comparator is None:
        return exactly(amount)
    return {
        "<": Interval(-INFINITY, amount, False, True),
        "<=": Interval(-INFINITY, amount),
        ">": Interval(amount, INFINITY, True, False),
        ">=": Interval(amount, INFINITY),
    }.get(text_of(comparator).strip())


def _range(value: Any, unit: str, of: Substance) -> Iterator[Interval]:
    """A Range; a bound that is not there is no limit, one that cannot be read is none
    to go by.
    """
    written = value if isinstance(value, dict) else {}
    names = [name for name in ("low", "high") if name in written]
    for scaled in zip(*(_scales(written[n], unit, of) for n in names), strict=False):
        read = {n: _amount(written[n], s) for n, s in zip(names, scaled, strict=True)}
        low, high = read.get("low", -INFINITY), read.get("high", INFINITY)
        if low is not None and high is not None and low <= high:
            yield Interval(low, high)


def _amount(value: Any, scale: Scale) -> float | None:
    """The number of a Quantity by *scale*, whatever its comparator."""
    number = _number(value.get("value")) if isinstance(value, dict) else None
    if number is None:
        return None
    amount = number if scale is AS_IT_IS else scale.of(number)
    return amount if math.isfinite(amount) else None


_AS_IT_IS = (AS_IT_IS,)


def _number(value: Any) -> int | float | None:
    """A JSON number, or the same number in quotation marks."""
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if _DECIMAL.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # A whole number may be too large for a float.
    return value if -_LARGEST < value < _LARGEST else None


_LARGEST = 1e300


_TEXT, _CODE = (str, NoneType), (str, int, NoneType)


def _scales(value: Any, unit: str, of: Substance) -> tuple[Scale, ...]:
    """Return what leads to *unit*: a UCUM code, else the words, else another code."""
    if not isinstance(value, dict):
        return ()
    code, words, system = value.get("code"), value.get("unit"), value.get("system")
    # A code may be written as a number; a list or an object is none.
    texts = isinstance(words, _TEXT) and isinstance(system, _TEXT)
    if not (texts and isinstance(code, _CODE)):
        return ()
    coded: tuple[Scale, ...] = ()
    if isinstance(code, str):
        if code == unit:
            return _AS_IT_IS
        coded = scales(code, unit, of)
        known = coded or canonical_unit(code) is not None
        if known and _says_ucum(system):
            return coded
    if isinstance(words, str):
        said = scales(words, unit, of)
        if said or canonical_unit(words) is not None:
            return said
    return coded


def _says_ucum(system: Any) -> bool:
    """Return whether a code is one of UCUM: its system says so, or nothing else."""
    return not isinstance(system, str) or _UCUM.fullmatch(system) is not None


NOT_MEASURED = "not measured"
_NOT_KNOWN = "its value is not known"
_WITHHELD = "its value is withheld"
_ELSEWHERE = "its value is in words or in a form that was not sent"
_WRONG = "an error, or no number, in place of its value"
UNCLEAR = "why it has no value cannot be read"
CONTRADICTION = "a value, and a reason why there is none"
NOTHING_SAID = "no value, and no reason why there is none"

_REASONS: Mapping[str, str] = {
    # Nobody took a reading.
    "not-performed": NOT_MEASURED,
    "not-asked": NOT_MEASURED,
    "not-applicable": NOT_MEASURED,
    "asked-declined": NOT_MEASURED,
    # Who was asked knew of no reading.
    "asked-unknown": NOT_MEASURED,
    # By definition a value is expected to exist, or to be on its way.
    "unknown": _NOT_KNOWN,
    "temp-unknown": _NOT_KNOWN,
    "masked": _WITHHELD,
    "not-permitted": _WITHHELD,
    "unsupported": _ELSEWHERE,
    "as-text": _ELSEWHERE,
    "error": _WRONG,
    "not-a-number": _WRONG,
    "negative-infinity": _WRONG,
    "positive-infinity": _WRONG,
    # As DSTU2 and STU3 have it.
    "asked": NOT_MEASURED,
    "notasked": NOT_MEASURED,
    "temp": _NOT_KNOWN,
    "astext": _ELSEWHERE,
    "nan": _WRONG,
}
_NULL_FLAVORS: Mapping[str, str] = {
    "nask": NOT_MEASURED,
    "na": NOT_MEASURED,
    "asku": NOT_MEASURED,
    "unk": _NOT_KNOWN,
    "ni": _NOT_KNOWN,
    "nav": _NOT_KNOWN,
    "navu": _NOT_KNOWN,
    "msk": _WITHHELD,
    "oth": _ELSEWHERE,
    "unc": _ELSEWHERE,
    "inv": _WRONG,
    "ninf": _WRONG,
    "pinf": _WRONG,
}
_EXTENSION = "/structuredefinition/data-absent-reason"
_CONTENT = (
    "component",
    "hasMember",
    "related",
    "interpretation",
    "derivedFrom",
    "note",
    "comment",
    "comments",
)
"""What may tell of an observation that has no value of its own."""


def absence_of(holder: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Why there is no value that could be used; empty where there may be one.

    ``NOT_MEASURED``, or else a constant phrase. *holder* is an observation, or a
    component of it, which without a word of its own shares the reason of the *whole*.
    """
    value = holder.get("valueQuantity")
    if type(value) is dict and value.get("value") is not None:
        if not ("dataAbsentReason" in holder or "extension" in value):
            return ""  # as nearly every observation has it
    reasons = list(_reasons(holder))
    if has_value(holder):
        return CONTRADICTION if reasons else ""
    if not reasons and holder is not whole:
        reasons = list(_reasons(whole)) if not has_value(whole) else []
    if not reasons:
        said = holder is not whole or any(holder.get(name) for name in _CONTENT)
        return "" if said else NOTHING_SAID
    measured = [each for each in reasons if each != NOT_MEASURED]
    return measured[0] if measured else NOT_MEASURED


def has_value(holder: Mapping[str, Any]) -> bool:
    """Return whether an observation, or a component, says anything as its value."""
    return any(_says(value) for name, value in _values(holder) if name[0] != "_")


def _values(holder: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in holder.items():
        if name.startswith(("value", "_value")):
            yield name, value


def _says(value: Any) -> bool:
    """Check if a value is one; a unit alone is none, nor a reason in its place."""
    if not isinstance(value, dict):
        return value is not None and value != "" and value != []
    if _coded_reasons(value, alone=True):
        return False
    about = ("unit", "code", "system", "extension", "id")
    return any(
        name not in about and name[0] != "_" and member is not None
        for name, member in value.items()
    )


def _reasons(holder: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is said of why there is no value, in every place with room for it."""
    written = holder.get("dataAbsentReason")
    if written is not None:
        yield from _coded_reasons(written) or [UNCLEAR]
    for _, value in _values(holder):
        if isinstance(value, dict):
            yield from _extended(value)
            number = value.get("_value")
            if isinstance(number, dict):
                yield from _extended(number)
            yield from _coded_reasons(value, alone=True)


def _extended(element: Mapping[str, Any]) -> Iterator[str]:
    for each in items(element.get("extension")):
        url = each.get("url") if isinstance(each, dict) else None
        if isinstance(url, str) and url.strip().lower().endswith(_EXTENSION):
            yield _REASONS.get(_plain(each.get("valueCode")), UNCLEAR)


def _coded_reasons(concept: Any, alone: bool = False) -> list[str]:
    """The reasons that a CodeableConcept names.

    *alone*: only those that certainly are reasons, for a place where other things may
    stand.
    """
    found = []
    for system, code, _ in codings(concept):
        named = system.lower()
        if named.endswith("nullflavor"):
            found.append(_NULL_FLAVORS.get(_plain(code), UNCLEAR))
        elif named.endswith("data-absent-reason"):
            found.append(_REASONS.get(_plain(code), UNCLEAR))
        elif not (named or alone) and _plain(code) in _REASONS:
            found.append(_REASONS[_plain(code)])
    if found or alone or is_misshapen(concept):
        return found
    words = _plain(concept.get("text")).replace(" ", "-")
    return [_REASONS[words]] if words in _REASONS else []


def _plain(code: Any) -> str:
    return text_of(code).strip().lower()
