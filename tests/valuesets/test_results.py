"""The shipped sets of results, and what the shipped codes measure."""

from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.engine.rows.coded import coded_observation
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.measured import Quantities, quantities_of
from cds_service.rulebook.testing.gate import check_tests

from ..shipped import FILES, known

LOINC = SYSTEMS["loinc"]


@pytest.fixture(scope="module")
def quantities() -> Quantities:
    return quantities_of(parse_yaml(FILES["units.yaml"], "units.yaml", Findings()))


def test_every_set_of_results_says_its_unit_and_what_is_plausible(
    rulebook: Rulebook,
) -> None:
    results = [each for each in rulebook.valuesets.values() if LOINC in each.codes]

    assert len(results) >= 5
    for each in results:
        assert each.measure.unit and each.measure.plausible, each.name


def test_what_a_shipped_code_measures_is_known(
    rulebook: Rulebook, quantities: Quantities
) -> None:
    sets, types = rulebook.valuesets.values(), rulebook.catalogue.alert_types.values()
    in_sets = {code for each in sets for code in each.codes.get(LOINC, ())}
    of_alerts = {
        code for each in types for system, code in each.codes if system == LOINC
    }
    of_metrics = {
        code
        for each in rulebook.catalogue.metrics.values()
        for system, code in each.codes
        if system == LOINC
    }
    panels = {"85354-9"}

    known = {code for system, code in quantities.by_code if system == LOINC}

    assert in_sets | of_metrics | of_alerts - panels <= known


@pytest.mark.parametrize(
    ("code", "title", "unit"),
    [
        ("8867-4", "Heart rate", "/min"),
        ("8480-6", "Systolic blood pressure", "mm[Hg]"),
        ("2823-3", "Potassium", "mmol/L"),
        ("2345-7", "Glucose by mass", "mg/dL"),
        ("14749-6", "Glucose by moles", "mmol/L"),
        ("4548-4", "Haemoglobin A1c", "%"),
        ("33914-3", "Glomerular filtration rate for the body's surface",
         "mL/min/{1.73_m2}"),
    ],
)  # fmt: skip
def test_well_known_codes_measure_what_they_do(
    quantities: Quantities, code: str, title: str, unit: str
) -> None:
    known = quantities.by_code[LOINC, code]

    assert (known.title, known.unit) == (title, unit)


HEART_RATE = "valuesets/heart-rate.yaml"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Heart rate", True),
        ("Pulse, taken by the midwife", True),
        ("Fetal heart rate", False),
        ("Foetal HR (CTG)", False),
        ("Fetale Herzfrequenz", False),
        ("Heart rate of fetus A", False),
    ],
)
def test_the_heart_rate_of_a_fetus_is_not_the_patients(
    rulebook: Rulebook, text: str, found: bool
) -> None:
    selectors = rulebook.services["wearable-review", "patient-view"].program.selectors
    index = selectors.indexes["observation", "chart"]
    coding = {"system": LOINC, "code": "8867-4"}
    (coded,) = coded_observation({"code": {"coding": [coding], "text": text}})

    hits = index.find(coded).hits

    rate = {n for n, it in enumerate(selectors.all) if it.valueset == "heart-rate"}
    assert rate and hits.keys() >= rate if found else hits.keys().isdisjoint(rate)


RULE = "cardiology/av-nodal-agent-bradycardia"


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        (HEART_RATE, "unit: /min\nplausible: [20, 300]", "unit: mmol/L", HEART_RATE),
        (HEART_RATE, "[8867-4,", "[2823-3,", HEART_RATE),
        ("valuesets/body-weight.yaml", "[3141-9,", "[8867-4,",
         "valuesets/body-weight.yaml"),
    ],
)  # fmt: skip
def test_a_mistaken_unit_or_code_in_a_shipped_set_is_told(
    file: str, old: str, new: str, where: str
) -> None:
    assert old in FILES[file]
    changed = {**FILES, file: FILES[file].replace(old, new)}

    found = compile_rulebook(changed, known=known()).findings

    assert where in {each.file for each in found if each.code == "CDS232"}


def test_a_heart_rate_in_moles_is_told_in_a_test_of_a_shipped_rule() -> None:
    name = f"{RULE}.test.yaml"
    reading = "{ code: loinc|8867-4, unit: /min,"
    assert reading in FILES[name]
    wrong = reading.replace("/min", "mmol/L")
    changed = {**FILES, name: FILES[name].replace(reading, wrong, 1)}
    compiled = compile_rulebook(changed, known=known())

    held = check_tests(changed, compiled.trees, compiled.facts, compiled.quantities)
    found: Any = [each for each in held if each.file == name]

    assert [each.code for each in found] == ["CDS232"]
    assert "`8867-4` (Heart rate) is measured in `/min`" in found[0].message
