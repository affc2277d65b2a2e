"""What is measured, in which units, and how people write them.

One table a dimension: the UCUM code of each unit, what one of it is in the first unit
of the table, and its spellings. They are compared as ``fold`` leaves them; a spelling
with a capital letter is compared with its capitals, since ``mM`` is no ``mm``.

Source: UCUM, tables of units; spellings as EHRs, laboratories and devices send them.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit of a dimension: a value times factor plus offset is in its first unit."""

    factor: float
    spellings: str = ""
    """Parted by bars."""
    offset: float = 0.0


def _per(unit: str, *what: str) -> str:
    each = ("min", "minute", "mins") if unit == "min" else (unit,)
    return "|".join(f"{name}/{time}" for name in what for time in each)


_RATE = _per("min", *"beats beat heartbeats breaths breath br resp resps".split())
_RATE += "|" + _per("min", *"respirations counts count cycles pulses 1".split())
_A_DAY = "steps/day|step/day|{steps}/day|{step}/day"
_SURFACE = "1.73m2 1.73_m2 1.73sqm 1.73sq.m 1.73msq 1.73 (1.73m2) [1.73m2] {1.73m2}"

DIMENSIONS: Mapping[str, Mapping[str, Unit]] = {
    "frequency": {
        "/min": Unit(
            1,
            f"bpm|rpm|{_RATE}|/minute|/mins|min-1|bpm (beats/minute)|beats/minute (bpm)"
            "|rpm (respirations/minute)|breaths/minute (rpm)|bpm (breaths/minute)",
        ),
        "Hz": Unit(60),
        "/s": Unit(60, "/sec|1/s"),
        "/h": Unit(1 / 60, "/hr|/hour"),
    },
    "pressure": {
        "mm[Hg]": Unit(
            1,
            "mmhg|mm(hg)|[mmhg]|mm-hg|torr|millimeters of mercury"
            "|millimetres of mercury|millimeter of mercury|millimetre of mercury"
            "|millimeters mercury",
        ),
        "kPa": Unit(7.50061575846, "kilopascal|kilopascals"),
        "cm[H2O]": Unit(0.735559135277, "cmh2o|cm(h2o)|[cmh2o]"),
    },
    "mass": {
        "kg": Unit(1, "kgs|kilo|kilos|kilogram|kilograms|kilogramme|kilogrammes"),
        "g": Unit(0.001, "gm|gms|gram|grams|gramme|grammes"),
        "[lb_av]": Unit(0.45359237, "lb|lbs|pound|pounds|[lb_us]|[lb]|pound_av"),
        "[oz_av]": Unit(0.028349523125, "oz|ounce|ounces|[oz_us]|[oz]"),
        "[stone_av]": Unit(6.35029318, "stone|stones|st"),
    },
    "length": {
        "cm": Unit(1, "cms|centimeter|centimeters|centimetre|centimetres"),
        "m": Unit(100, "meter|meters|metre|metres"),
        "mm": Unit(0.1, "millimeter|millimeters|millimetre|millimetres"),
        "[in_i]": Unit(2.54, 'in|inch|inches|[in_us]|"'),
        "[ft_i]": Unit(30.48, "ft|foot|feet|[ft_us]|'"),
    },
    "body mass index": {"kg/m2": Unit(1, "kg/sqm|kg/sq.m|kg/m*2|kg.m-2|kgs/m2")},
    "temperature": {
        "Cel": Unit(
            1,
            "c|°c|degc|deg.c|degreec|degreesc|celsius|degcelsius|degreecelsius"
            "|degreescelsius|°celsius|centigrade|degreescentigrade",
        ),
        "[degF]": Unit(
            5 / 9,
            "f|°f|degf|deg.f|degreef|degreesf|fahrenheit|degfahrenheit"
            "|degreefahrenheit|degreesfahrenheit|°fahrenheit",
            -160 / 9,
        ),
        "K": Unit(1, "kelvin|°k|degk", -273.15),
    },
    "fraction": {
        "%": Unit(
            1,
            "percent|percents|percentage|per cent|pct|{percent}|{pct}|{%}|%sat|%sat."
            "|%saturation|%o2|%spo2|%sao2|%so2|spo2%|%(sat)|%o2sat|percentsaturation",
        ),
        "1": Unit(100, "{ratio}|ratio|{fraction}|fraction|{share}|{proportion}"),
        "[ppth]": Unit(0.1, "‰|permille"),
    },
    "count": {
        "{count}": Unit(1, "count|counts|{counts}|#|{#}|number"),
        "{steps}": Unit(
            1, f"step|steps|{{step}}|step(s)|{{step}}/d|{{steps}}/d|steps/d|{_A_DAY}"
        ),
        "1": Unit(1),
    },
    "count of a day": {"{steps}/d": Unit(1, f"{{step}}/d|steps/d|step/d|{_A_DAY}")},
    "time": {
        "min": Unit(1, "mins|minute|minutes"),
        "s": Unit(1 / 60, "sec|secs|second|seconds"),
        "ms": Unit(1 / 60_000, "msec|msecs|millisecond|milliseconds"),
        "h": Unit(60, "hr|hrs|hour|hours"),
        "d": Unit(1440, "day|days"),
        "wk": Unit(10_080, "week|weeks|wks"),
        "mo": Unit(43_830, "month|months|mos"),
        "a": Unit(525_960, "year|years|yr|yrs"),
    },
    "energy": {
        "kcal": Unit(1, "Cal|kilocalorie|kilocalories"),
        "cal": Unit(0.001, "calorie|calories"),
        "kJ": Unit(0.239005736137667, "kilojoule|kilojoules"),
        "J": Unit(0.000239005736137667, "joule|joules"),
    },
    "volume": {
        "mL": Unit(1, "mls|cc|milliliter|milliliters|millilitre|millilitres"),
        "L": Unit(1000, "liter|liters|litre|litres"),
    },
    "mass concentration": {
        "mg/dL": Unit(
            1, "mg%|mg/100ml|mgs/dl|mg/deciliter|milligrams/deciliter|milligram/dl"
        ),
        "g/dL": Unit(1000, "g%|gm%|gm/dl|gms/dl|g/100ml|gm/100ml|grams/dl|gram/dl"),
        "g/L": Unit(100, "gm/l|grams/l"),
        "mg/L": Unit(0.1, "mgs/l"),
        "ug/mL": Unit(0.1, "mcg/ml"),
        "ug/dL": Unit(0.001, "mcg/dl"),
        "ug/L": Unit(0.0001, "mcg/l"),
        "ng/mL": Unit(0.0001),
        "ng/dL": Unit(1e-6),
        "pg/mL": Unit(1e-7),
        "ng/L": Unit(1e-7),
    },
    "amount concentration": {
        "mmol/L": Unit(
            1, "mM|mmol|mmols|mmols/l|millimol/l|millimoles/liter|millimoles/l"
        ),
        "umol/L": Unit(0.001, "uM|umol|umols/l|micromol/l|mcmol/l|micromoles/l"),
        "nmol/L": Unit(1e-6, "nM|nmol|nmols/l"),
        "pmol/L": Unit(1e-9, "pM|pmol|pmols/l"),
    },
    "equivalents": {
        "meq/L": Unit(1, "meq|meqs|mequiv|mequiv/l|milliequivalents/liter|mval/l"),
    },
    "cells": {
        "10*3/uL": Unit(
            1,
            "k/ul|k/mm3|k/cumm|thou/ul|thou/mm3|thou/cumm|th/ul|thousand/ul|10e3/ul"
            "|x10*3/ul|x10e3/ul|10*3/mm3|x10*3/mm3|x1000/ul|10*3/mcl|x10*3/mcl|k/mcl",
        ),
        "10*9/L": Unit(1, "x10*9/l|10e9/l|x10e9/l|G/L|Gpt/L|gpt/l|giga/l|bil/l"),
        "10*6/uL": Unit(
            1000,
            "m/ul|mil/ul|mill/ul|mil/mm3|million/ul|10e6/ul|x10*6/ul|x10e6/ul|m/mm3"
            "|10*6/mm3|x10*6/mm3|m/mcl|x10*6/mcl|10*6/mcl",
        ),
        "10*12/L": Unit(1000, "x10*12/l|10e12/l|x10e12/l|T/L|tpt/l|tera/l"),
        "/uL": Unit(0.001, "cells/ul|cells/mm3|/mm3|/cumm|cells/mcl|/mcl|cells/cumm"),
    },
    "flow": {
        "mL/min": Unit(1, "ml/minute|ml/mins|ml.min-1|cc/min|mls/min"),
        "mL/s": Unit(60, "ml/sec"),
        "L/min": Unit(1000, "l/minute|lpm|liters/min|litres/min|liters/minute"),
    },
    "flow for the body's surface": {
        "mL/min/{1.73_m2}": Unit(
            1,
            "|".join(f"ml/{t}/{s}" for t in ("min", "minute") for s in _SURFACE.split())
            + "|ml/min/bsa|ml/min/{bsa}|(ml/min)/1.73m2|(ml/min)/1.73_m2|ml/min1.73m2"
            "|ml/min/1.73m2bsa|ml/min/1.73m2(bsa)|ml/min/1.73m*2|mls/min/1.73m2"
            "|ml.min-1.1.73m-2|ml/min*1.73m2|ml/minx1.73m2|ml/min/1.73squaremeters"
            "|ml/min/1.73squaremetres|ml/min/1.73squaremeter|ml/min/{1.73sqm}"
            "|ml/min/{1.73}|ml/min/(1.73_m2)|ml/min(1.73m2)|ml/min{1.73_m2}"
            "|ml/min/1.73m",
        ),
        "mL/s/{1.73_m2}": Unit(60, "ml/s/1.73m2|ml/sec/1.73m2|ml/s/{1.73m2}"),
    },
    "catalytic activity": {"U/L": Unit(1, "unit/l|units/l"), "kU/L": Unit(1000)},
    "international units": {
        "[IU]/L": Unit(1, "iu/l|[iU]/L"),
        "m[IU]/L": Unit(0.001, "miu/l|uiu/ml|u[iu]/ml|mcu/ml|uu/ml"),
        "m[IU]/mL": Unit(1, "miu/ml"),
    },
}
"""By what is measured. The same text may stand for different units in two of them."""

SHARES = frozenset("1 {ratio} {fraction} {share} {proportion}".split())
"""What says that a number is a part of one."""

SHORT_FOR = {"mL/min/{1.73_m2}": "mL/min", "{steps}/d": "{steps}"}
"""What people write who leave out what a unit is divided by. It has a meaning of its
own, so it is read so only of results that are never meant otherwise."""

LONGEST = 64
"""Characters in a unit; a longer text is none."""


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return the text as spellings are compared, its capitals kept.

    Without blanks and invisible characters, with plain digits for raised ones, one sign
    for degrees, for micro and for minus, and a slash for the word "per".
    """
    raised = "".join(_raised(text.translate(_SAME)))
    plain = unicodedata.normalize("NFKC", raised).translate(_SAME)
    visible = "".join(
        each for each in plain if unicodedata.category(each) not in ("Cf", "Cc")
    )
    with_slash = _PER.sub("/", visible)
    bare = "".join(with_slash.split())
    decimal = _COMMA.sub(".", bare)
    powers = decimal.replace("**", "^").replace("10^", "10*").replace("^", "")
    return powers.rstrip(".")


def _raised(text: str) -> Iterator[str]:
    """The characters of *text*, with a circumflex before digits that are raised."""
    within = False
    for each in text:
        raised = unicodedata.decomposition(each).startswith("<super>")
        yield "^" + each if raised and not within else each
        within = raised


_SAME = str.maketrans(
    {
        "º": "°",
        "˚": "°",
        "µ": "u",
        "μ": "u",
        "−": "-",
        "‐": "-",
        "‑": "-",
        "–": "-",
        "·": ".",
        "⋅": ".",
        "∙": ".",
        "×": "x",
        "⁄": "/",
        "∕": "/",
    }
)
_PER = re.compile(r"(?:^|\s+)per\s+(?!cent|mille)", re.IGNORECASE)
_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9])")


def _spelled() -> Mapping[str, Mapping[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for name, units in DIMENSIONS.items():
        table = tables[name] = {}
        for code, unit in units.items():
            table[fold(code).casefold()] = code
        for code, unit in units.items():
            for spelling in filter(None, unit.spellings.split("|")):
                table[fold(spelling)] = code
    return tables


SPELLINGS: Mapping[str, Mapping[str, str]] = _spelled()
"""By dimension: a folded spelling to the UCUM code that it stands for."""
