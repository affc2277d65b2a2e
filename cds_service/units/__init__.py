"""Units of measure: what people write for them, read as UCUM and converted. Pure.

A text is read for the unit that is asked for: ``C`` is a degree where a temperature is
asked for and nothing where anything else is. What a text might also mean, or what UCUM
makes of it by its letters alone, is never taken for a number.
"""

from .reading import (
    AS_IT_IS,
    NOTHING_SAID,
    Scale,
    Substance,
    canonical_unit,
    scales,
)
from .ucum import conversion, is_ucum

__all__ = [
    "AS_IT_IS",
    "NOTHING_SAID",
    "Scale",
    "Substance",
    "canonical_unit",
    "conversion",
    "is_ucum",
    "scales",
]
