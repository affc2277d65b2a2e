"""Units: what is read, what is refused, and what one is in another."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.units import (
    Scale,
    Substance,
    canonical_unit,
    conversion,
    is_ucum,
    scales,
)
from cds_service.units.dimensions import DIMENSIONS, SPELLINGS
from cds_service.units.ucum import PLAIN, _worked_out, without_annotations

EGFR = "mL/min/{1.73_m2}"
AS_IT_IS = (Scale(1.0, 0.0),)
GLUCOSE = Substance(molar_mass=180.16)
POTASSIUM = Substance(charge=1)
CALCIUM = Substance(charge=2)


def in_each(unit: str, *texts: str) -> list[tuple[str, str]]:
    return [(text, unit) for text in texts]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        *in_each("/min", "{beats}/min", "beats/min", "beats/minute", "Beats/Minute"),
        *in_each("/min", "bpm", "BPM", "Bpm.", "beats per minute", "beats per min"),
        *in_each("/min", "BPM (Beats Per Minute)", "heartbeats/min", "pulses/min"),
        *in_each("/min", "count/min", "counts/min", "1/min", "/minute", "per min"),
        *in_each("/min", "per minute", "/ min", "1 / min", "min⁻¹", "min^-1", "min-1"),
        *in_each("/min", "breaths/min", "breaths/minute", "breath/min", "rpm", "RPM"),
        *in_each("/min", "resp/min", "br/min", "Respirations per minute"),
        *in_each(
            "/min", "{Beats}/MIN", "{beats} / min", "{breaths}/min", "/min{beats}"
        ),
        *in_each("{beats}/min", "/min", "bpm", "{breaths}/min"),
        *in_each("mm[Hg]", "mmHg", "mm Hg", "MMHG", "mmHG", "mm[hg]", "MM[HG]"),
        *in_each("mm[Hg]", "mm(Hg)", "[mmHg]", "Torr", "torr", "mm\u00a0Hg", "mmHg."),
        *in_each("mm[Hg]", "millimeters of mercury", "Millimetres of Mercury"),
        *in_each("kg", "Kg", "KG", "kgs", "kilogram", "kilograms", "Kilogramme", "㎏"),
        *in_each("g", "gm", "gms", "grams"),
        *in_each("[lb_av]", "lb", "lbs", "lbs.", "LB", "pound", "Pounds", "[lb_us]"),
        *in_each("[oz_av]", "oz", "ounces"),
        *in_each("[stone_av]", "st", "stone"),
        *in_each("Cel", "C", "c", "°C", "ºC", "˚C", "℃", "degC", "deg C", "Celsius"),
        *in_each("Cel", "degrees Celsius", "° C", "CEL", "Centigrade", "Deg. C"),
        *in_each("[degF]", "F", "°F", "ºF", "℉", "degF", "deg F", "Fahrenheit"),
        *in_each("[degF]", "degrees Fahrenheit", "[DEGF]"),
        *in_each("%", "percent", "{percent}", "pct", "PCT", "% sat", "%O2", "% O2"),
        *in_each("%", "%{saturation}", "％", "per cent", "%SpO2", "%{Hb}", "{PERCENT}"),
        *in_each("mg/dL", "mg/dl", "MG/DL", "Mg/dL", "mg%", "mg/100 mL", "mg/100mL"),
        *in_each("mg/dL", "mg per dL", "mg/dL{glucose}", "mg\u202f/\u202fdL"),
        *in_each("ug/L", "µg/L", "μg/L", "mcg/L", "MCG/L"),
        *in_each("mmol/L", "mmol/l", "MMOL/L", "mM", "mmol", "mmol per L", "mmol/ℓ"),
        *in_each("meq/L", "mEq/L", "MEQ/L", "mEq", "mval/l"),
        *in_each(EGFR, "mL/min/{1.73m2}", "mL/min/1.73", "mL/min/1.73m2"),
        *in_each(EGFR, "mL/min/1.73 m2", "mL/min/1.73m^2", "mL/min/1.73m²"),
        *in_each(EGFR, "mL/min/1.73 m²", "mL/min/1.73_m2", "mL/min/1.73 sq m"),
        *in_each(EGFR, "mL/min/1.73 sq.m", "mL/min/1.73 sq. m", "mL/min/BSA"),
        *in_each(EGFR, "ML/MIN/1.73M2", "ml/min/1.73m**2", "mL/min per 1.73 m2"),
        *in_each(EGFR, "mL/min/1,73m²", "ml·min⁻¹·1.73m⁻²", "mL / min / 1.73 m2"),
        *in_each(EGFR, "mL/min/{1.73_M2}", "mL/minute/1.73m2", "(mL/min)/1.73m2"),
        *in_each("mL/min/{1.73m2}", EGFR, "mL/min/1.73", "mL/min/1.73m2"),
        *in_each("{steps}", "steps", "step", "Steps", "count", "{#}", "1"),
        *in_each("{steps}", "steps/day", "{steps}/d", "steps per day"),
        *in_each("{steps}/d", "steps/day", "step/day", "steps / day", "steps per day"),
        *in_each("h", "hr", "hours", "HRS"),
        *in_each("min", "minutes", "mins", "Minute"),
        *in_each("10*3/uL", "K/uL", "k/µL", "x10^3/µL", "10³/μL", "×10³/µL", "10^3/uL"),
        *in_each("10*3/uL", "10*9/L", "×10⁹/L", "G/L", "thou/mm3", "10E3/uL", "K/cumm"),
        *in_each("10*6/uL", "M/uL", "10*12/L", "T/L", "x10E6/uL"),
        *in_each("kg/m2", "kg/m²", "kg/m^2", "KG/M2"),
        *in_each("[IU]/L", "IU/L"),
        *in_each("m[IU]/L", "mIU/L", "uIU/mL", "µIU/mL"),
    ],
)
def test_what_people_write_is_read_as_the_unit_that_is_asked_for(
    written: str, asked: str
) -> None:
    assert scales(written, asked) == AS_IT_IS
    assert scales(unicodedata.normalize("NFD", written), asked) == AS_IT_IS
    assert scales(f"\u00a0{written}\u200b ", asked) == AS_IT_IS


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        *in_each("/min", "", " ", "b", "b/min", "C", "F", "MIN", "min", "beats", "kg"),
        *in_each("/min", "{beats}", "1", "count", "steps", "%", "b/minute"),
        *in_each("%", "{steps}", "{score}", "{anything}", "C", "mg/dL", "mg%"),
        *in_each("mg/dL", "mmol/L", "mM", "mmol", "mm", "g", "mg"),
        *in_each("mmol/L", "mg/dL", "meq/L", "mEq", "mosm/L", "mm", "MM", "kmol"),
        *in_each("meq/L", "mmol/L", "mosm/L"),
        *in_each("mL/min", EGFR, "mL/min/1.73", "mL/min/1.73m2", "mL/min/BSA"),
        *in_each(EGFR, "mL/min", "mL/s", "L/min", "1.73", "mL/min/1.48m2"),
        *in_each("{steps}/d", "steps", "{steps}", "count", "1"),
        *in_each("{steps}", "%", "stones", "st", "steps/min"),
        *in_each("kg", "C", "stones/min", "m", "b"),
        *in_each("Cel", "b", "g", "mF", "F/min", "celery"),
        *in_each("10*3/uL", "g/L", "103/uL", "109/L", "K", "1.5/uL"),
        *in_each("1", "C", "F", "b"),
        *in_each("C", "C/min", "Cel", "coulomb"),
    ],
)
def test_what_means_something_else_or_nothing_is_refused(
    written: str, asked: str
) -> None:
    assert scales(written, asked) == ()


@pytest.mark.parametrize("unit", ["mL/min", "mL", "/min", "1", "m2", "%"])
@pytest.mark.parametrize(
    "text", ["1.73", "{}/1.73", "{}/1.73m2", "{}/1.73 m²", "C", "F"]
)
def test_nothing_is_ever_divided_by_one_and_multiplied_by_73(
    unit: str, text: str
) -> None:
    assert all(
        scale.factor in (1.0, 100.0, 0.01) for scale in scales(text.format(unit), unit)
    )
    assert not is_ucum(text.format(unit))


@pytest.mark.parametrize(
    ("written", "asked", "of", "factor"),
    [
        ("mmol/L", "mg/dL", GLUCOSE, 18.016),
        ("MMOL/L", "mg/dL", GLUCOSE, 18.016),
        ("mM", "mg/dL", GLUCOSE, 18.016),
        ("mmol", "mg/dL", GLUCOSE, 18.016),
        ("umol/L", "mg/dL", GLUCOSE, 0.018016),
        ("mg/dL", "mmol/L", GLUCOSE, 0.0555062166963),
        ("g/L", "mmol/L", GLUCOSE, 5.55062166963),
        ("mmol/kg", "mg/dL", GLUCOSE, None),
        ("mEq/L", "mmol/L", POTASSIUM, 1.0),
        ("mEq", "mmol/L", POTASSIUM, 1.0),
        ("meq/dL", "mmol/L", POTASSIUM, 10.0),
        ("mEq/L", "mmol/L", CALCIUM, 0.5),
        ("mmol/L", "meq/L", CALCIUM, 2.0),
        ("mEq/L", "mmol/L", GLUCOSE, None),
        ("mmol/L", "mg/dL", POTASSIUM, None),
        ("mL/min", EGFR, Substance(unit=EGFR), 1.0),
        ("ML/MIN", EGFR, Substance(unit="mL/min/{1.73m2}"), 1.0),
        ("mL/s", EGFR, Substance(unit=EGFR), 60.0),
        ("mL/min", EGFR, Substance(unit="mL/min"), None),
        ("L", EGFR, Substance(unit=EGFR), None),
        ("steps", "{steps}/d", Substance(unit="{steps}/d"), 1.0),
        ("count", "{steps}/d", Substance(unit="{steps}/d"), 1.0),
        ("steps", "{steps}/d", Substance(unit="/d"), None),
        ("1", "/min", Substance(unit="/min"), None),
    ],
)
def test_what_units_do_not_say_takes_knowledge_of_what_is_measured(
    written: str, asked: str, of: Substance, factor: float | None
) -> None:
    found = scales(written, asked, of)

    assert found == (() if factor is None else (Scale(factor, 0.0),))


@pytest.mark.parametrize("written", ["1", "{ratio}", "ratio", "{fraction}", "{RATIO}"])
def test_a_share_of_one_may_be_a_percentage_that_was_sent_so(written: str) -> None:
    assert scales(written, "%") == (Scale(100.0, 0.0), Scale(1.0, 0.0))


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
        ("[degF]", "Cel", 0.555555555555556, -17.7777777777778),
        ("[lb_av]", "kg", 0.45359237, 0.0),
        ("mg/dL", "ug/mL", 10.0, 0.0),
        ("%", "1", 0.01, 0.0),
        ("1", "%", 100.0, 0.0),
        ("{steps}", "1", 1.0, 0.0),
        ("L/h/{1.73_m2}", "mL/min/{1.73_m2}", 16.6666666666667, 0.0),
        ("10*3/uL", "10*9/L", 1.0, 0.0),
        ("ng/mL/h", "ng/L/h", 1000.0, 0.0),
    ],
)
def test_a_value_is_converted_by_factor_and_offset(
    unit: str, to: str, factor: float, offset: float
) -> None:
    assert conversion(unit, to) == (factor, offset)


def test_an_hour_and_a_half_in_seconds_is_ninety_minutes() -> None:
    assert scales("s", "min")[0].of(5400) == 90.0


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("mmol/L", "mg/dL"),
        ("meq/L", "mmol/L"),
        ("mosm/kg", "mmol/kg"),
        ("mL/min/{1.73_m2}", "mL/min"),
        ("%", "{steps}"),
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


@pytest.mark.parametrize("name", sorted(DIMENSIONS))
def test_the_tables_and_the_grammar_agree(name: str) -> None:
    first = next(iter(DIMENSIONS[name]))
    for code, unit in DIMENSIONS[name].items():
        plain, base = without_annotations(code), without_annotations(first)
        factor, offset = _worked_out(plain, base) or (None, None)
        assert factor == pytest.approx(unit.factor, rel=1e-9)
        assert offset == pytest.approx(unit.offset, rel=1e-9, abs=1e-9)


def test_no_spelling_of_a_dimension_stands_for_two_units() -> None:
    for name, units in DIMENSIONS.items():
        written = [s for unit in units.values() for s in unit.spellings.split("|") if s]
        assert sorted(set(written)) == sorted(written), name
        assert set(SPELLINGS[name].values()) == set(units)


@pytest.mark.parametrize("unit", sorted(PLAIN - {"[pH]"}))
def test_what_is_known_by_heart_is_ucum(unit: str) -> None:
    plain = without_annotations(unit)

    assert plain == "1" or _worked_out(plain, plain) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("written", "ucum"),
    [
        ("bpm", "/min"),
        ("{beats}/min", "{beats}/min"),
        ("mmHg", "mm[Hg]"),
        ("C", "Cel"),
        ("°F", "[degF]"),
        ("lbs", "[lb_av]"),
        (" kg ", "kg"),
        ("mL/min/1.73", EGFR),
        ("K/uL", "10*3/uL"),
        ("mmol", "mmol"),
        ("ng/mL/h", "ng/mL/h"),
        ("/100{WBC}", "/100{WBC}"),
    ],
)
def test_an_author_is_told_the_ucum_of_what_was_written(
    written: str, ucum: str
) -> None:
    assert canonical_unit(written) == ucum


@pytest.mark.parametrize(
    "written",
    ["", " ", "foo", "mm[hg]x", "2mg", "{a b}", "/", "m" * 65, "10*99999"]
    + ["m99999999", "Cel/min", "b/min", "1.73", "103/uL"],
)
def test_what_is_no_unit_is_not_made_one(written: str) -> None:
    assert canonical_unit(written) is None


@given(
    st.text(max_size=80), st.text(alphabet="mgLsd/.*^0123456789{}()[]-+", max_size=12)
)
def test_no_text_makes_the_reader_of_units_fail(any_text: str, unit_like: str) -> None:
    for text in (any_text, unit_like):
        found = canonical_unit(text)
        assert found is None or found == text.strip() or found in PLAIN
        scales(text, "/min")
        scales(text, "mg/dL", GLUCOSE)


def test_the_usual_units_do_not_load_the_unit_libraries() -> None:
    program = (
        "import sys; from cds_service.units import *;"
        "g = Substance(molar_mass=180.16);"
        "assert scales('bpm', '/min') and scales('mm[hg]', 'mm[Hg]');"
        "assert scales('lbs', 'kg') and scales('°F', 'Cel');"
        "assert scales('mmol/L', 'mg/dL', g) and scales('mL/min/1.73', 'mL/min') == ();"
        "assert scales('kg', '/min') == ();"
        "sys.exit('pint' in sys.modules or 'ucumvert' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
