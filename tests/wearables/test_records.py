"""Units: what is accepted, and what one is in another."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.wearables.records import (
    ALIASES,
    PLAIN,
    _quantity,
    canonical_unit,
    conversion,
)


@pytest.mark.parametrize(
    ("written", "ucum"),
    [
        ("bpm", "/min"),
        ("BPM", "/min"),
        ("beats/min", "/min"),
        ("count/min", "/min"),
        ("{beats}/min", "{beats}/min"),
        ("mmHg", "mm[Hg]"),
        ("mm[Hg]", "mm[Hg]"),
        ("degC", "Cel"),
        ("°F", "[degF]"),
        ("lbs", "[lb_av]"),
        ("kg", "kg"),
        (" kg ", "kg"),
        ("%", "%"),
        ("mL/min/{1.73_m2}", "mL/min/{1.73_m2}"),
        ("mmol/L", "mmol/L"),
        ("ng/mL/h", "ng/mL/h"),
        ("/100{WBC}", "/100{WBC}"),
    ],
)
def test_a_unit_is_brought_to_ucum(written: str, ucum: str) -> None:
    assert canonical_unit(written) == ucum


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "foo",
        "mm[hg]x",
        "2mg",
        "{a b}",
        "/",
        "m" * 65,
        "10*99999",
        "m99999999",
        "Cel/min",
    ],
)
def test_what_is_no_unit_is_not_made_one(written: str) -> None:
    assert canonical_unit(written) is None


@pytest.mark.parametrize("spelling", sorted(ALIASES))
def test_no_known_spelling_means_something_else_in_ucum(spelling: str) -> None:
    assert spelling == spelling.casefold()
    assert _quantity(spelling) in (None, _quantity(ALIASES[spelling]))
    assert ALIASES[spelling] in PLAIN


@pytest.mark.parametrize("unit", sorted(PLAIN - {"[pH]"}))
def test_what_is_known_by_heart_is_ucum(unit: str) -> None:
    assert _quantity(unit) is not None


@pytest.mark.parametrize(
    ("unit", "to", "factor", "offset"),
    [
        ("/min", "/min", 1.0, 0.0),
        ("{beats}/min", "/min", 1.0, 0.0),
        ("1/min", "/min", 1.0, 0.0),
        ("/min{beats}", "/min", 1.0, 0.0),
        ("Hz", "/min", 60.0, 0.0),
        ("Cel", "K", 1.0, 273.15),
        ("Cel", "[degF]", 1.8, 32.0),
        ("[lb_av]", "kg", 0.45359237, 0.0),
        ("mg/dL", "ug/mL", 10.0, 0.0),
        ("%", "1", 0.01, 0.0),
        ("{steps}", "1", 1.0, 0.0),
        ("mL/min/{1.73_m2}", "mL/min", 1.0, 0.0),
        ("L/h/{1.73_m2}", "mL/min/{1.73_m2}", 16.6666666667, 0.0),
        ("10*3/uL", "10*9/L", 1.0, 0.0),
    ],
)
def test_a_value_is_converted_by_factor_and_offset(
    unit: str, to: str, factor: float, offset: float
) -> None:
    assert conversion(unit, to) == (factor, offset)


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("mmol/L", "mg/dL"),
        ("Cel", "m"),
        ("kg", "/min"),
        ("foo", "/min"),
        ("/min", "foo"),
        ("10*9999", "1"),
        ("dB", "1"),
        ("1", "dB"),
        ("B[V]", "V"),
    ],
)
def test_units_without_a_straight_line_between_them_do_not_convert(
    unit: str, to: str
) -> None:
    assert conversion(unit, to) is None


@given(
    st.text(max_size=80), st.text(alphabet="mgLsd/.*^0123456789{}()[]-+", max_size=12)
)
def test_no_text_makes_the_reader_of_units_fail(any_text: str, unit_like: str) -> None:
    for text in (any_text, unit_like):
        assert canonical_unit(text) in (None, text.strip(), *ALIASES.values())
        conversion(text, "/min")


def test_the_usual_units_do_not_load_the_unit_libraries() -> None:
    program = (
        "import sys; from cds_service.wearables.records import *;"
        "canonical_unit('bpm'); canonical_unit('mm[Hg]');"
        "conversion('{beats}/min', '/min');"
        "sys.exit('pint' in sys.modules or 'ucumvert' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
