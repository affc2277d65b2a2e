"""A text read as a unit, for the unit that is asked for."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .dimensions import DIMENSIONS, LONGEST, SHARES, SHORT_FOR, SPELLINGS, fold
from .ucum import (
    PLAIN,
    conversion,
    is_count,
    is_divided_by_surface,
    is_ucum,
    without_annotations,
)


class Scale(NamedTuple):
    """A value times factor plus offset is in the unit that was asked for."""

    factor: float
    offset: float

    def of(self, number: float) -> float:
        """Return the number by this scale, without the digits that are noise."""
        return float(f"{number * self.factor + self.offset:.12g}")


AS_IT_IS = Scale(1.0, 0.0)


class Substance(NamedTuple):
    """What is measured, where units alone do not say it."""

    molar_mass: float = 0.0
    """Of the substance in g/mol; 0 where it is not known."""
    charge: int = 0
    """Of its ion: how many equivalents a mole has; 0 where it is not known."""
    unit: str = ""
    """The UCUM unit that is meant even where a text leaves half of it out, as
    ``mL/min`` does for ``mL/min/{1.73_m2}``."""

    @property
    def whole(self) -> str:
        """Return the unit that is meant where half of it is left out, if one is."""
        if is_divided_by_surface(self.unit):
            return "mL/min/{1.73_m2}"
        return self.unit if self.unit in SHORT_FOR else ""


NOTHING_SAID = Substance()


@lru_cache(maxsize=4096)
def scales(text: str, to: str, of: Substance = NOTHING_SAID) -> tuple[Scale, ...]:
    """Return how to come from a value in *text*, as written, to the UCUM unit *to*.

    None where *text* is no unit that can be converted. Two where it says that a number
    is a share, and percent is asked for: so it should be, and percentages are sent.
    Read in this order: an exact code, a spelling, what the grammar of UCUM makes of it.
    """
    text = text.strip()
    for unit in _meanings(text, to, of):
        found = conversion(unit, to)
        if found is None:
            found = _of_substance(unit, to, of)
        if found is not None:
            scale = AS_IT_IS if found == AS_IT_IS else Scale(*found)
            as_percent = without_annotations(to) == "%" and unit in SHARES
            return (scale, AS_IT_IS) if as_percent else (scale,)
    return ()


@lru_cache(maxsize=4096)
def canonical_unit(text: str) -> str | None:
    """Return the unit of UCUM that *text* most likely is; none where it is no unit.

    For helping whoever wrote it: a reading is never converted by it.
    """
    text = text.strip()
    if text in PLAIN:
        return text
    for dimension in DIMENSIONS:
        unit = spelled(text, dimension)
        if unit is not None and not (is_ucum(text) and unit in _ABBREVIATED):
            return unit
    return text if is_ucum(text) else None


def spelled(text: str, dimension: str) -> str | None:
    """Return the UCUM code that *text* stands for where *dimension* is measured."""
    if len(text) > LONGEST:
        return None
    table, folded = SPELLINGS[dimension], fold(text)
    plain = folded.casefold()
    for each in (folded, plain):
        if each in table:
            return table[each]
    if is_count(plain) or is_divided_by_surface(plain):
        return None
    return table.get(without_annotations(plain))


def _meanings(text: str, to: str, of: Substance) -> Iterator[str]:
    """Yield what *text* may stand for, in the order in which it is tried."""
    if text == to or text in PLAIN:
        yield text
    asked = dict.fromkeys(
        each for u in (to, *_related(of)) for each in dimensions_of(u)
    )
    for dimension in asked:
        unit = spelled(text, dimension)
        if unit is not None and unit != text:
            yield unit
    if text not in PLAIN and is_ucum(text):
        yield text


@lru_cache(maxsize=1024)
def dimensions_of(unit: str) -> tuple[str, ...]:
    """Return the dimensions whose spellings count where a UCUM unit is asked for."""
    plain = unit
    if is_count(unit):
        plain = "1" if unit in SHARES else "{count}"
    elif not is_divided_by_surface(unit):
        plain = without_annotations(unit)
    known = tuple(
        name for name, units in DIMENSIONS.items() if unit in units or plain in units
    )
    return known or tuple(
        name
        for name, units in DIMENSIONS.items()
        if conversion(unit, next(iter(units))) is not None
    )


def _related(of: Substance) -> Iterator[str]:
    """Units of what else the substance may be measured in."""
    if of.molar_mass or of.charge:
        yield "mmol/L"
    if of.molar_mass:
        yield "mg/L"
    if of.charge:
        yield "meq/L"
    if of.whole:
        yield SHORT_FOR[of.whole]


def _of_substance(unit: str, to: str, of: Substance) -> tuple[float, float] | None:
    """Return how to convert by what is known of the substance, and of nothing else."""
    if of.molar_mass:
        found = _through(unit, "mmol/L", of.molar_mass, "mg/L", to)
        if found is not None:
            return found
    if of.charge:
        found = _through(unit, "mmol/L", of.charge, "meq/L", to)
        if found is not None:
            return found
    whole = of.whole
    return _through(unit, SHORT_FOR[whole], 1.0, whole, to) if whole else None


def _through(
    unit: str, left: str, factor: float, right: str, to: str
) -> tuple[float, float] | None:
    """From *unit* to *to* where one *left* is so many *right*, or the other way."""
    for here, there, times in ((left, right, factor), (right, left, 1 / factor)):
        before, after = conversion(unit, here), conversion(there, to)
        if before is not None and after is not None:
            return (float(f"{before[0] * times * after[0]:.12g}"), 0.0)
    return None


_ABBREVIATED = frozenset({"mmol/L", "umol/L", "nmol/L", "pmol/L", "meq/L"})
"""What people leave the litre out of; in a rule file it was left out on purpose."""
