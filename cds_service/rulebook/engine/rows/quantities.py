"""The number that an observation or a component holds, in the unit that is asked for.

Source: FHIR R4 Observation.value[x], Quantity, Range.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ....units import AS_IT_IS, Scale, Substance, canonical_unit, scales
from ...terminology.parts import UNSAID, Measure
from ...values.intervals import INFINITY, Interval, exactly
from .readings import text_of

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
    """What an observation or a component says in *unit*.

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
    """Whether each bound that is there lies between two numbers."""
    low, high, _, _ = value
    return (low == -INFINITY or least <= low <= most) and (
        high == INFINITY or least <= high <= most
    )


def _intervals(
    holder: Mapping[str, Any], unit: str, of: Substance
) -> Sequence[Interval]:
    """What the value may be: one interval, or two where its unit is a share of one."""
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
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number may be too large for a float.
    return value if -_LARGEST < value < _LARGEST else None


_LARGEST = 1e300


def _scales(value: Any, unit: str, of: Substance) -> tuple[Scale, ...]:
    """What leads to *unit*: a code of UCUM; else the words, then any other code."""
    if not isinstance(value, dict):
        return ()
    code, words, system = value.get("code"), value.get("unit"), value.get("system")
    # A code may be written as a number; a list or an object is none.
    texts = isinstance(words, str | None) and isinstance(system, str | None)
    if not (texts and isinstance(code, str | int | None)):
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
    """Whether a code is one of UCUM: its system says so, or nothing else."""
    return not isinstance(system, str) or _UCUM.fullmatch(system) is not None
