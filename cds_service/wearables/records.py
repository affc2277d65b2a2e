"""The records that every wearable format is turned into; units to UCUM at the edge.

Reading UCUM takes a grammar and a registry that cost a second to build. The units that
nearly every reading has are therefore known by heart, and the libraries are loaded when
the first other one comes by.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple

PLAIN = frozenset(
    "1 % /min 1/min {beats}/min {breaths}/min {steps} {steps}/d {count} [pH] "
    "s ms min h d wk mo a Hz "
    "mm[Hg] kPa Cel [degF] K g kg [lb_av] m cm [in_i] [ft_i] m2 kg/m2 L mL "
    "mg/dL g/dL g/L mg/L ug/L ug/dL ng/mL pg/mL mmol/L umol/L meq/L "
    "U/L [IU]/L m[IU]/L mL/min mL/min/{1.73_m2} 10*3/uL 10*9/L".split()
)
"""UCUM as written by nearly everyone; accepted without asking the grammar."""

ALIASES: Mapping[str, str] = {
    "bpm": "/min",
    "beats/min": "/min",
    "beats/minute": "/min",
    "beats per minute": "/min",
    "count/min": "/min",
    "breaths/min": "/min",
    "breaths per minute": "/min",
    "per minute": "/min",
    "mmhg": "mm[Hg]",
    "mm hg": "mm[Hg]",
    "degc": "Cel",
    "°c": "Cel",
    "degf": "[degF]",
    "°f": "[degF]",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "kgs": "kg",
    "inches": "[in_i]",
    "sec": "s",
    "secs": "s",
    "msec": "ms",
    "hr": "h",
    "hrs": "h",
    "percent": "%",
    "steps": "{steps}",
    "count": "{count}",
    "meq/l": "meq/L",
}
"""Spellings that are not UCUM, in lower case. None means anything else in UCUM."""

LONGEST = 64
"""Characters in a unit; a longer text is none."""


PATIENT_ID = re.compile(r"[!-.0-~]{1,128}")
"""What servers give as ids of Patients, some of them beyond what FHIR allows."""


class PatientKey(NamedTuple):
    """Whose data it is, everywhere in the server."""

    tenant: str
    fhir_base: str
    """Whose patient ids these are; ``-`` where the tenant has only one FHIR server."""
    patient_id: str


@dataclass(frozen=True, slots=True)
class WearableAlert:
    """One alert about a patient, whatever device or vendor sent it.

    Never called plain *alert*: in decision support an alert is a card.
    """

    id: str
    """Stable at the source: the same alert sent again has the same id."""
    patient: PatientKey
    type: str
    """One of the names in ``rules/alert-types.yaml``, such as ``low-heart-rate``."""
    start: datetime
    """With the offset that the device had; time of day is read from it."""
    opened: datetime
    """When the server first heard of it; UTC."""
    end: datetime | None = None
    """None while it lasts."""
    metric: str = ""
    value: float | None = None
    """In ``unit``."""
    unit: str = ""
    """UCUM, e.g. ``/min``."""
    stat: str = ""
    """What ``value`` is of the readings: ``max``, ``min``, ``mean``, ``median`` or
    ``instant``."""
    threshold: float | None = None
    """In ``unit``: the limit that the device or the patient had set."""
    status: str = "open"
    """``open``, ``closed`` or ``retracted``."""
    rev: int = 0
    origin: str = "vendor"
    """``vendor`` or ``detector``."""
    device: str = ""
    source: str = ""
    """The webhook source that sent it."""
    coverage: float | None = None
    """Share of the time with readings, 0 to 1."""
    n: int | None = None
    """How many readings it rests on."""

    def duration(self, now: datetime) -> timedelta:
        """How long it lasted, or has lasted until *now*."""
        return (self.end or now) - self.start


def canonical_unit(text: str) -> str | None:
    """The unit as UCUM; none where *text* is neither UCUM nor a known spelling.

    Source: UCUM, case-sensitive form ("c/s").
    """
    text = text.strip()
    if text in PLAIN:
        return text
    alias = ALIASES.get(text.casefold())
    if alias is not None:
        return alias
    return text if _quantity(text) is not None else None


@lru_cache(maxsize=4096)
def conversion(unit: str, to: str) -> tuple[float, float] | None:
    """Factor and offset: a value in *unit* times factor plus offset is in *to*.

    None where one of them is not UCUM, where they measure different things, and where
    no straight line leads from one to the other (logarithmic units).
    """
    unit, to = _without_annotations(unit), _without_annotations(to)
    if unit == to:
        return (1.0, 0.0)
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
    """What 0, 1 and 2 of the one are in the other."""
    import pint

    def convert(number: float) -> float:
        quantity = type(given)(number * given.magnitude, given.units)
        return float(quantity.to(wanted.units).magnitude / wanted.magnitude)

    try:
        return convert(0.0), convert(1.0), convert(2.0)
    except (pint.PintError, ArithmeticError, ValueError):
        return None


def _rounded(number: float) -> float:
    """The number without the last digits, which are the noise of the arithmetic."""
    return float(f"{number:.12g}")


@lru_cache(maxsize=4096)
def _quantity(text: str) -> Any:
    """One of the unit as a pint quantity; none where *text* is not UCUM."""
    text = _without_annotations(text)
    if not 0 < len(text) <= LONGEST or _LONG_NUMBER.search(text):
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


def _without_annotations(unit: str) -> str:
    """The unit without what stands in braces; alone, an annotation is the unit 1.

    Source: UCUM §12, "curly braces".
    """
    bare = _ANNOTATION_AFTER_UNIT.sub("", unit)
    return _ONE_PER.sub("/", _ANNOTATION.sub("1", bare))


_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_ANNOTATION_AFTER_UNIT = re.compile(r"(?<=[^/.({\s])" + _ANNOTATION.pattern)
_ONE_PER = re.compile(r"^1/(?=.)")
_LONG_NUMBER = re.compile(r"[0-9]{5}")
"""Powers of ten with so many digits take for ever to write out."""
