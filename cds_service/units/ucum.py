"""UCUM: which texts are units, and what one is in another.

The grammar and its registry cost a second to build. Units of the tables are known by
heart, and the libraries are loaded when the first other one comes by.

Source: UCUM, case-sensitive form ("c/s").
"""

import math
import re
from functools import cache, lru_cache
from typing import Any

from .dimensions import DIMENSIONS, LONGEST, SHARES

_OF_TABLES = frozenset(code for units in DIMENSIONS.values() for code in units)
PLAIN = _OF_TABLES | frozenset(
    "/d 1/min {beats}/min {breaths}/min {score} [pH] ug mg U [IU] mL/h mg/d mg/g "
    "mL/min/kg mL/min/{1.73m2} m2 ng/mL/h".split()
)
"""UCUM as written by nearly everyone; accepted without asking the grammar."""


def is_ucum(text: str) -> bool:
    """Check whether *text* is a unit of UCUM that somebody may mean by it."""
    return text in PLAIN or _quantity(text) is not None


@lru_cache(maxsize=4096)
def conversion(unit: str, to: str) -> tuple[float, float] | None:
    """Factor and offset: a value in *unit* times factor plus offset is in *to*.

    None where one of them is not UCUM, where they measure different things, and where
    no straight line leads from one to the other (logarithmic units). Moles, equivalents
    and osmoles are different things, though UCUM counts all of them as numbers; so are
    a flow and one that is divided by the body's surface, and a share and a count.
    """
    if _nature(unit) != _nature(to) or _is_share_of_count(unit, to):
        return None
    if unit in _OF_TABLES and to in _OF_TABLES:
        return _from_table(unit, to)
    unit, to = without_annotations(unit), without_annotations(to)
    if unit == to:
        return (1.0, 0.0)
    if unit in _OF_TABLES and to in _OF_TABLES:
        return _from_table(unit, to)
    return _worked_out(unit, to)


def _from_table(unit: str, to: str) -> tuple[float, float] | None:
    for units in DIMENSIONS.values():
        if unit in units and to in units:
            given, wanted = units[unit], units[to]
            factor = given.factor / wanted.factor
            offset = (given.offset - wanted.offset) / wanted.factor
            return (_rounded(factor), _rounded(offset))
    return None


def _worked_out(unit: str, to: str) -> tuple[float, float] | None:
    given, wanted = _quantity(unit), _quantity(to)
    if given is None or wanted is None:
        return None
    points = _points(given, wanted)
    if points is None or not all(map(math.isfinite, points)):
        return None
    at_0, at_1, at_2 = points
    factor = at_1 - at_0
    if not factor or not math.isclose(at_2 - at_1, factor, rel_tol=1e-6):
        return None
    return (_rounded(factor), _rounded(at_0))


def _points(given: Any, wanted: Any) -> tuple[float, float, float] | None:
    """Return what 0, 1 and 2 of the one are in the other."""
    import pint

    def convert(number: float) -> float:
        quantity = type(given)(number * given.magnitude, given.units)
        return float(quantity.to(wanted.units).magnitude / wanted.magnitude)

    try:
        return convert(0.0), convert(1.0), convert(2.0)
    except (pint.PintError, ArithmeticError, ValueError):
        return None


def _rounded(number: float) -> float:
    """The number without its last digits, the noise of the arithmetic.

    It keeps more of them than a value does that is converted by it.
    """
    return float(f"{number:.15g}")


@lru_cache(maxsize=4096)
def _quantity(text: str) -> Any:
    """One of the unit as a pint quantity; none where *text* is not UCUM."""
    if not 0 < len(text) <= LONGEST or _NOT_MEANT.fullmatch(_ANNOTATION.sub("", text)):
        return None
    text = without_annotations(text)
    if _LONG_NUMBER.search(text):
        return None
    from lark.exceptions import LarkError

    try:
        return _registry().from_ucum(text)
    except (LarkError, ArithmeticError):
        return None


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


def without_annotations(unit: str) -> str:
    """Return the unit without what stands in braces; an annotation alone is 1.

    Source: UCUM §12, "curly braces".
    """
    bare = _ANNOTATION_AFTER_UNIT.sub("", unit)
    bare = _ONE_PER.sub("/", _ANNOTATION.sub("1", bare))
    return bare.removesuffix("/1") or bare


def is_count(unit: str) -> bool:
    """Check whether the unit is only a word in braces: ``{steps}``."""
    return _ANNOTATION.fullmatch(unit) is not None


def is_divided_by_surface(unit: str) -> bool:
    """Check whether braces say that the unit is one for a body surface of 1.73 m²."""
    return _SURFACE.search(unit) is not None


def _nature(unit: str) -> tuple[bool, bool, bool]:
    """Return what arithmetic does not see: surface, equivalents, osmoles."""
    return (
        is_divided_by_surface(unit),
        bool(_EQUIVALENTS.search(unit)),
        bool(_OSMOLES.search(unit)),
    )


def _is_share_of_count(unit: str, to: str) -> bool:
    pair = {unit, to}
    return "%" in pair and any(is_count(each) and each not in SHARES for each in pair)


_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_ANNOTATION_AFTER_UNIT = re.compile(r"(?<=[^/.({\s])" + _ANNOTATION.pattern)
_ONE_PER = re.compile(r"^1/(?=.)")
_LONG_NUMBER = re.compile(r"[0-9]{5}")
"""Powers of ten with so many digits take for ever to write out."""
_SURFACE = re.compile(r"\{(?:1\.73|bsa)[^{}]*\}", re.IGNORECASE)
_EQUIVALENTS = re.compile(r"(?:^|[./(])[a-zA-Z]{0,2}eq(?![a-z])")
_OSMOLES = re.compile(r"(?:^|[./(])[a-zA-Z]{0,2}osm(?![a-z])")
_NOT_MEANT = re.compile(
    r"C|F|(?:.*[./(])?b(?:[./)].*)?|K/.*|.*[0-9][.,][0-9].*|10(?:3|6|9|12)/.*"
)
"""What UCUM reads as coulomb, farad, barn, kelvin per volume, a product of two whole
numbers, or the number 103, and what nobody means who writes it."""
