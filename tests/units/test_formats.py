"""What formats mean by their own spellings of units."""

import pytest

from cds_service.units import conversion, is_ucum
from cds_service.units.formats import OWN_UNITS

FORMATS = {
    "samples",
    "open-mhealth",
    "fhir",
    "health-auto-export",
    "garmin",
    "nightscout",
    "google-fit",
    "google-health",
    "withings",
    "oura",
    "dexcom",
    "hl7v2",
    "apple-health",
    "health-connect",
}


def test_every_format_says_what_it_means_by_its_units() -> None:
    assert set(OWN_UNITS) == FORMATS


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_what_a_format_means_by_a_unit_is_ucum(format: str) -> None:
    meant = OWN_UNITS[format].values()

    assert [each for each in meant if not is_ucum(each)] == []


@pytest.mark.parametrize(
    ("format", "written", "unit", "one_is"),
    [
        ("open-mhealth", "C", "Cel", (1, 0)),
        ("open-mhealth", "F", "Cel", (5 / 9, -160 / 9)),
        ("open-mhealth", "beats/min", "/min", (1, 0)),
        ("open-mhealth", "breaths/min", "/min", (1, 0)),
        ("open-mhealth", "steps", "{steps}", (1, 0)),
        ("open-mhealth", "sec", "min", (1 / 60, 0)),
        ("open-mhealth", "gr", "g", (0.06479891, 0)),
        ("apple-health", "count/min", "/min", (1, 0)),
        ("apple-health", "st", "kg", (6.35029318, 0)),
        ("apple-health", "lb", "kg", (0.45359237, 0)),
        ("apple-health", "Cal", "kcal", (1, 0)),
        ("apple-health", "%", "%", (100, 0)),
        ("apple-health", "degC", "Cel", (1, 0)),
        ("apple-health", "degF", "Cel", (5 / 9, -160 / 9)),
        ("apple-health", "mmol<180.1558800000541>/L", "mmol/L", (1, 0)),
        ("apple-health", "mL/min·kg", "mL/kg/min", (1, 0)),
        ("apple-health", "km/hr", "m/s", (1 / 3.6, 0)),
        ("apple-health", "count", "{steps}", (1, 0)),
        ("health-auto-export", "%", "%", (1, 0)),
        ("health-auto-export", "bpm", "/min", (1, 0)),
        ("health-auto-export", "hr", "min", (60, 0)),
        ("health-auto-export", "mmHg", "mm[Hg]", (1, 0)),
        ("fhir", "/d", "{steps}", (1, 0)),
        ("hl7v2", "264864", "/min", (1, 0)),
        ("hl7v2", "268192", "Cel", (1, 0)),
        ("hl7v2", "266560", "Cel", (5 / 9, -160 / 9)),
        ("hl7v2", "263904", "kg", (0.45359237, 0)),
        ("hl7v2", "MM(HG)", "mm[Hg]", (1, 0)),
        ("hl7v2", "%", "%", (1, 0)),
    ],
)
def test_a_number_is_read_as_the_format_means_it(
    format: str, written: str, unit: str, one_is: tuple[float, float]
) -> None:
    meant = OWN_UNITS[format].get(written, written)

    assert conversion(meant, unit) == pytest.approx(one_is)
