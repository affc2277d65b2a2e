"""What is told of wrong metrics and types of alerts, where it stands."""

import pytest

from cds_service.rulebook.compile.catalogue_builder import build_catalogue
from cds_service.rulebook.compile.catalogue_checks import (
    check_catalogue,
    check_outputs,
)
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.measured import quantities_of

METRICS = """\
format: 1
metrics:
  heart-rate:
    title: Heart rate
    unit: /min
    plausible: [25, 250]
    codes: [{system: loinc, codes: [8867-4]}]
    names: {apple-health: [HeartRate], garmin: [dailies/beats]}
  sensor-glucose:
    title: Glucose
    unit: mg/dL
    plausible: [39, 600]
    molar_mass: 180.16
    codes: [{system: loinc, codes: [99504-3, 105272-9]}]
    names: {health-connect: [{name: level/1, unit: mmol/L}]}
  steps:
    title: Steps
    unit: "{steps}"
    plausible: [0, 250000]
    codes: [{system: loinc, codes: [55423-8, 41950-7]}]
    cumulative: true
"""
TYPES = """\
format: 1
alert_types:
  low-heart-rate: {title: Low, metric: heart-rate, unit: /min}
  low-glucose: {title: Low, metric: sensor-glucose, unit: mmol/L}
  irregular: {title: Irregular, names: {apple-health: [Irregular]}}
"""
UNITS = """\
format: 1
units:
  - {title: Heart rate, unit: /min, system: loinc, codes: [8867-4]}
  - {title: Glucose by mass, unit: mg/dL, system: loinc, codes: [99504-3]}
  - {title: Glucose by moles, unit: mmol/L, system: loinc, codes: [105272-9]}
  - {title: Steps, unit: "{steps}", system: loinc, codes: [55423-8]}
  - {title: Steps of a day, unit: "{steps}/d", system: loinc, codes: [41950-7]}
"""


def read(text: str, file: str) -> Document:
    document = parse_yaml(text, file, Findings())
    assert document is not None
    return document


def check(
    metrics: str | None = METRICS, types: str | None = TYPES, lacking: bool = False
) -> list[tuple[int, str, str, str]]:
    """Line, code, message and help of each finding."""
    findings = Findings()
    check_catalogue(
        read(metrics, "metrics.yaml") if metrics else None,
        read(types, "alert-types.yaml") if types else None,
        quantities_of(read(UNITS, "units.yaml")),
        findings,
        lacks_metrics=lacking,
    )
    return [(each.line, each.code, each.message, each.help) for each in findings]


def in_metrics(old: str, new: str) -> list[tuple[int, str, str, str]]:
    assert old in METRICS
    return check(METRICS.replace(old, new))


def in_types(old: str, new: str) -> list[tuple[int, str, str, str]]:
    assert old in TYPES
    return check(METRICS, TYPES.replace(old, new))


def test_of_files_that_agree_nothing_is_told() -> None:
    assert check() == []


def test_a_unit_that_is_not_ucum_is_told_of_a_metric_and_of_a_name() -> None:
    (of_metric,) = check(METRICS.replace("unit: mg/dL", "unit: mgdl"), None)
    assert of_metric[:2] == (11, "CDS228")

    (of_name,) = in_metrics("unit: mmol/L", "unit: mMol/L")
    assert of_name == (
        15,
        "CDS228",
        "`mMol/L` is not a UCUM unit",
        "write `mmol/L`",
    )


def test_a_range_that_is_upside_down_is_told() -> None:
    (found,) = in_metrics("[25, 250]", "[250, 25]")

    assert found[:3] == (6, "CDS230", "no value lies between 250 and 25")


def test_a_range_that_is_upside_down_is_told_of_a_type_of_alerts() -> None:
    (found,) = in_types("unit: /min", "unit: /min, plausible: [250, 25]")

    assert found[:3] == (3, "CDS230", "no value lies between 250 and 25")


def test_a_range_in_a_unit_that_cannot_be_told_in_the_metrics_is_told() -> None:
    (found,) = in_types("unit: /min", "unit: kg, plausible: [25, 250]")

    assert found[:3] == (
        3,
        "CDS253",
        "`kg` cannot be converted to `/min`, the metric's unit",
    )


def test_a_code_of_two_metrics_is_told_at_the_second() -> None:
    second = """\
  walked:
    title: Walked
    unit: "{steps}"
    plausible: [0, 1]
    codes: [{system: loinc, codes: [55423-8]}]
"""
    (found,) = check(METRICS + second)

    assert found[:3] == (26, "CDS250", "`55423-8` is `steps` already")


def test_a_code_of_two_metrics_is_told_however_its_system_is_written() -> None:
    uri = "[{system: loinc, codes: [55423-8]}, {system: 'http://loinc.org', codes: "
    found = in_metrics("[{system: loinc, codes: [55423-8, ", uri + "[8867-4, ")

    assert (20, "CDS250") in [each[:2] for each in found]


def test_a_consent_may_call_two_metrics_the_same() -> None:
    shared = "    consent: [{system: loinc, codes: [8867-4]}]\n    cumulative: true"

    assert in_metrics("    cumulative: true", shared) == []


def test_a_name_that_a_format_has_for_two_metrics_is_told() -> None:
    (found,) = in_metrics(
        "[{name: level/1, unit: mmol/L}]}", "[level/1], garmin: [dailies/beats]}"
    )

    assert found[:2] == (15, "CDS250")
    assert found[2] == "`dailies/beats` of garmin is `heart-rate` already"


def test_two_formats_may_use_one_name_for_two_metrics() -> None:
    assert in_metrics("level/1, unit", "HeartRate, unit") == []


def test_a_name_that_a_format_has_for_two_types_of_alerts_is_told() -> None:
    (found,) = in_types(
        "metric: heart-rate, unit: /min",
        "metric: heart-rate, unit: /min, names: {apple-health: [Irregular]}",
    )

    assert found[:2] == (5, "CDS250")


@pytest.mark.parametrize(
    ("written", "help"),
    [
        ("apple-healt", "did you mean `apple-health`?"),
        (
            "fax",
            "allowed here: apple-health, dexcom, fhir, garmin, google-fit,"
            " google-health, health-auto-export, health-connect, hl7v2, nightscout,"
            " open-mhealth, oura, samples, withings",
        ),
    ],
)
def test_a_format_that_nothing_reads_is_told(written: str, help: str) -> None:
    assert in_metrics("apple-health: [HeartRate]", f"{written}: [HeartRate]") == [
        (8, "CDS251", f"there is no format `{written}`", help)
    ]
    (of_type,) = in_types("apple-health: [Irr", f"{written}: [Irr")
    assert of_type[:2] == (5, "CDS251")


def test_a_code_that_is_not_measured_in_the_unit_is_told() -> None:
    (found,) = in_metrics("[8867-4]", "[8867-4, 55423-8]")[:1]
    assert found[:2] == (7, "CDS232")
    assert "cannot be converted to `/min`" in found[2]


def test_moles_and_grams_need_the_molar_mass() -> None:
    found = in_metrics("    molar_mass: 180.16\n", "")

    of_the_alert, of_the_code, of_the_name = (each[:2] for each in found)
    assert of_the_alert == (4, "CDS253")
    assert (of_the_code, of_the_name) == ((13, "CDS232"), (14, "CDS253"))


def test_a_name_whose_numbers_are_in_another_kind_of_unit_is_told() -> None:
    (found,) = in_metrics("unit: mmol/L", "unit: kg")

    assert found[:3] == (
        15,
        "CDS253",
        "`kg` cannot be converted to `mg/dL`, the metric's unit",
    )


def test_an_alert_in_another_kind_of_unit_than_its_metric_is_told() -> None:
    (found,) = in_types(
        "metric: heart-rate, unit: /min", "metric: heart-rate, unit: ms"
    )

    assert found[:3] == (
        3,
        "CDS253",
        "`ms` cannot be converted to `/min`, the metric's unit",
    )


def test_a_metric_that_is_not_there_is_told_with_what_was_meant() -> None:
    assert in_types("metric: heart-rate", "metric: heart_rate") == [
        (
            3,
            "CDS252",
            "there is no metric `heart_rate` in metrics.yaml",
            "did you mean `heart-rate`?",
        )
    ]


def test_of_a_folder_without_metrics_only_a_note_is_told_once() -> None:
    assert [each[:2] for each in check(None, lacking=True)] == [(3, "CDS254")]
    assert check(None, "format: 1\nalert_types: {a: {title: A}}\n", True) == []


def test_of_metrics_whose_file_is_broken_nothing_more_is_told() -> None:
    assert check(None) == []


OF_DAYS = METRICS.replace(
    "    cumulative: true\n",
    """\
    cumulative: true
    summary_codes: {total: [{system: loinc, codes: [41950-7]}]}
  oxygen:
    title: Oxygen
    unit: "%"
    plausible: [50, 100]
    codes: [{system: loinc, codes: [59408-5]}]
    speaks_for: 5 minutes
    bands: {low: [null, 88], fine: [88, null]}
    summary_codes: {band:low: [{system: local:x, codes: [low]}]}
""",
)
OUTPUTS = """\
format: 1
categories:
  vital-signs: [{system: "http://example.org/c", codes: [vital-signs]}]
episodes: {categories: [vital-signs]}
metrics:
  heart-rate:
    categories: [vital-signs]
    codes: [{system: loinc, codes: [8867-4]}]
    days: {max: {text: Highest, codes: [{system: loinc, codes: [8873-2]}]}}
  steps:
    days: {total: {text: Steps, unit: /d}}
"""


def in_outputs(old: str = "", new: str = "") -> list[tuple[int, str, str, str]]:
    """Line, code, message and help of each finding, once something is changed."""
    assert old in OUTPUTS
    findings = Findings()
    metrics = build_catalogue(read(OF_DAYS, "metrics.yaml"), None).metrics
    document = read(OUTPUTS.replace(old, new, 1), "outputs.yaml")
    check_outputs(document, metrics, findings)
    return [(each.line, each.code, each.message, each.help) for each in findings]


def test_of_what_leaves_in_good_order_nothing_is_told() -> None:
    assert in_outputs() == []


@pytest.mark.parametrize(
    ("old", "new", "line", "code", "message", "help"),
    [
        ("  steps:", "  stepps:", 10, "CDS275", "no metric `stepps`", "`steps`"),
        (
            "{total: {",
            "{max: {",
            11,
            "CDS276",
            "days of this metric have no `max`",
            "total",
        ),
        (
            ", codes: [{system: loinc, codes: [8873-2]}]}",
            "}",
            9,
            "CDS276",
            "`max` has no code",
            "or `codes` here",
        ),
        (
            "categories: [vital-signs]\n    codes",
            "categories: [vitals]\n    codes",
            7,
            "CDS277",
            "no category `vitals`",
            "`vital-signs`",
        ),
        (
            "{categories: [vital-signs]}",
            "{categories: [other]}",
            4,
            "CDS277",
            "no category `other`",
            "vital-signs",
        ),
        ("codes: [8867-4]", "codes: [8889-8]", 8, "CDS278", "`8889-8`", "8867-4"),
        ("unit: /d", "unit: per day", 11, "CDS228", "`per day`", ""),
        ("loinc, codes: [8873-2]", "lonic, codes: [1-2]", 9, "CDS205", "`lonic`", ""),
    ],
)
def test_what_leaves_names_what_is_there(
    old: str, new: str, line: int, code: str, message: str, help: str
) -> None:
    found = in_outputs(old, new)

    assert found[0][:2] == (line, code)
    assert message in found[0][2]
    assert help in found[0][3]


def test_a_panel_of_bands_needs_a_code_of_its_own_and_one_of_each_band() -> None:
    panel = "  oxygen: {days: {bands: {text: Bands%s}}}\n  steps:"
    own = ", codes: [{system: local:x, codes: [bands]}]"

    (without,) = in_outputs("  steps:", panel % "")
    (with_own,) = in_outputs("  steps:", panel % own)

    assert without[1:3] == ("CDS276", "`bands` has no code")
    assert with_own[1:3] == (
        "CDS276",
        "`band:fine` has no code",
    )
