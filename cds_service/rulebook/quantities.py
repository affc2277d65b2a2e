"""The number that an observation or a component holds, in the unit that is asked for.

Source: FHIR R4 Observation.value[x], Quantity, Range.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from ..wearables.records import canonical_unit, conversion
from .intervals import INFINITY, Interval, exactly
from .readings import text_of

_DECIMAL = re.compile(
    r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_UCUM = re.compile(
    r"\s*(?:https?://(?:www\.)?unitsofmeasure\.org/?"
    r"|(?:urn:oid:)?2\.16\.840\.1\.113883\.6\.8)(?:\|.*)?\s*",
    re.IGNORECASE,
)


def quantity(holder: Mapping[str, Any] | None, unit: str) -> Interval | None:
    """The number in *unit* that an observation or a component holds.

    None where there is none, or its unit measures something else. A comparator and a
    Range make it an interval; a whole number without a unit is one in the unit ``1``.
    """
    if not holder:
        return None
    value = holder.get("valueQuantity")
    if value is not None:
        return _quantity(value, unit)
    if "valueRange" in holder:
        return _range(holder["valueRange"], unit)
    number = holder.get("valueInteger")
    if number is not None and conversion("1", unit) == (1.0, 0.0):
        amount = _number(number)
        return None if amount is None else exactly(amount)
    return None


def _quantity(value: Any, unit: str) -> Interval | None:
    amount = _amount(value, unit)
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


def _range(value: Any, unit: str) -> Interval | None:
    """A Range; a bound that is not there is no limit, one that cannot be read is none
    to go by.
    """
    if not isinstance(value, dict):
        return None
    bounds = {name: value[name] for name in ("low", "high") if name in value}
    read = {name: _amount(bound, unit) for name, bound in bounds.items()}
    low, high = read.get("low", -INFINITY), read.get("high", INFINITY)
    if not bounds or low is None or high is None or low > high:
        return None
    return Interval(low, high)


def _amount(value: Any, unit: str) -> float | None:
    """The number of a Quantity in *unit*, whatever its comparator."""
    if not isinstance(value, dict):
        return None
    number = _number(value.get("value"))
    scale = None if number is None else _scale(value, unit)
    if number is None or scale is None:
        return None
    factor, offset = scale
    amount = number * factor + offset
    return amount if math.isfinite(amount) else None


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


def _scale(value: Mapping[str, Any], unit: str) -> tuple[float, float] | None:
    """What leads to *unit*: a code of UCUM; else the words, then any other code."""
    code, words, system = value.get("code"), value.get("unit"), value.get("system")
    coded = None
    if isinstance(code, str):
        if code == unit:
            return (1.0, 0.0)
        canonical = canonical_unit(code)
        coded = conversion(canonical, unit) if canonical is not None else None
        says_ucum = not isinstance(system, str) or _UCUM.fullmatch(system)
        if says_ucum and canonical is not None:
            return coded
    canonical = canonical_unit(words) if isinstance(words, str) else None
    return conversion(canonical, unit) if canonical is not None else coded
