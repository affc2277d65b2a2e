"""What is told of days and nights that metrics could not have."""

import pytest

from cds_service.rulebook.compile.summary_checks import check_summaries
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml

METRICS = """\
format: 1
night: {from: "22:00", to: "08:00", sleep_from: "18:00"}
metrics:
  sensor-glucose:
    title: Glucose
    unit: mg/dL
    plausible: [39, 600]
    speaks_for: 450 seconds
    bands:
      low: [null, 70]
      in-range: [70, 181]
      high: [181, null]
    summary_codes:
      mean: [{system: loinc, codes: [97507-8]}]
      band:in-range: [{system: loinc, codes: [97510-2]}]
  gmi:
    title: Glucose management indicator
    unit: "%"
    plausible: [3, 20]
    derived: {from: sensor-glucose, summary: mean, times: 0.02392, plus: 3.31}
    summary_codes:
      mean: [{system: loinc, codes: [97506-0]}]
  deep-sleep:
    title: Deep sleep
    unit: min
    plausible: [0, 1500]
    cumulative: true
    sleep: true
  time-asleep:
    title: Time asleep
    unit: min
    plausible: [0, 1500]
    cumulative: true
    sleep: true
    includes: [deep-sleep]
    summary_codes:
      total: [{system: loinc, codes: [93832-4]}]
"""


def check(old: str = "", new: str = "") -> list[tuple[int, str, str, str]]:
    """Line, code, message and help of each finding, once something is changed."""
    assert old in METRICS
    findings = Findings()
    document = parse_yaml(METRICS.replace(old, new, 1), "metrics.yaml", findings)
    assert document is not None
    check_summaries(document, findings)
    return [(each.line, each.code, each.message, each.help) for each in findings]


def test_of_metrics_whose_days_are_sound_nothing_is_told() -> None:
    assert check() == []


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("[null, 70]", "[39, 70]", 10, "no band covers values below 39"),
        ("[70, 181]", "[71, 181]", 11, "the band before `in-range` ends at 70"),
        ("[70, 181]", "[69, 181]", 11, "the band before `in-range` ends at 70"),
        ("[70, 181]", "[null, 181]", 11, "the band before `in-range` ends at 70"),
        ("[null, 70]", "[null, null]", 11, "the band before `in-range` ends at null"),
        ("[181, null]", "[181, 600]", 12, "no band covers 600 and more"),
        (
            "[70, 181]\n      high: [181, null]",
            "[70, 70]\n      high: [70, null]",
            11,
            "no value lies between 70 and 70",
        ),
    ],
)
def test_bands_that_leave_something_out_or_overlap_are_told(
    old: str, new: str, line: int, message: str
) -> None:
    ((at, code, told, _),) = check(old, new)

    assert (at, code, told) == (line, "CDS255", message)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("mean: [{", "total: [{", 14, "days of this metric have no `total`"),
        ("mean: [{", "worn: [{", 14, "days of this metric have no `worn`"),
        ("band:in", "band:at", 15, "days of this metric have no `band:at-range`"),
        ("total: [{", "mean: [{", 37, "days of this metric have no `mean`"),
        (
            "mean: [{system: loinc, codes: [97506-0]",
            "min: [{system: loinc, codes: [97506-0]",
            22,
            "days of this metric have no `min`",
        ),
        (
            "summary: mean",
            "summary: total",
            20,
            "days of `sensor-glucose` have no total",
        ),
    ],
)
def test_a_value_that_no_day_has_is_told(
    old: str, new: str, line: int, message: str
) -> None:
    ((at, code, told, _),) = check(old, new)

    assert (at, code, told) == (line, "CDS256", message)


@pytest.mark.parametrize(
    ("codes", "known"),
    [("speaks_for: 450 seconds", "coverage"), ("proves_wear: 15 minutes", "worn")],
)
def test_what_is_covered_and_worn_can_have_codes_where_it_is_told(
    codes: str, known: str
) -> None:
    text = f"{codes}\n    summary_codes: {{{known}: [{{system: loinc, codes: [1-8]}}]}}"
    findings = Findings()
    document = parse_yaml(
        f"metrics:\n  a:\n    unit: /min\n    {text}\n", "metrics.yaml", findings
    )
    assert document is not None

    check_summaries(document, findings)

    assert list(findings) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "from: sensor-glucose",
            "from: sensor-glucos",
            20,
            "there is no metric `sensor-glucos` in metrics.yaml",
        ),
        (
            "from: sensor-glucose",
            "from: gmi",
            20,
            "a metric cannot be derived from itself",
        ),
        (
            "includes: [deep-sleep]",
            "includes: [deep-sleep, gmi]",
            35,
            "`gmi` is itself derived from `sensor-glucose`",
        ),
        (
            "includes: [deep-sleep]",
            "includes: [sensor-glucose]",
            35,
            "`sensor-glucose` cannot be a part of it: its values are not such sums",
        ),
        (
            "unit: min",
            "unit: h",
            35,
            "`deep-sleep` cannot be a part of it: its values are not such sums",
        ),
        (
            "includes: [deep-sleep]",
            "shown_with: deep-slep",
            35,
            "there is no metric `deep-slep` in metrics.yaml",
        ),
        (
            "includes: [deep-sleep]",
            "shown_with: sensor-glucose",
            35,
            "`sensor-glucose` is in `mg/dL`",
        ),
    ],
)
def test_a_metric_that_follows_from_nothing_is_told(
    old: str, new: str, line: int, message: str
) -> None:
    found = [each[:3] for each in check(old, new) if each[1] == "CDS257"]

    assert found == [(line, "CDS257", message)]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("cumulative: true", "cumulative: true\n    speaks_for: 3 minutes", 28),
        (
            "cumulative: true",
            "cumulative: true\n    bands: {a: [null, 1], b: [1, null]}",
            28,
        ),
        ("    speaks_for: 450 seconds\n", "", 8),
        ("    cumulative: true\n    sleep", "    sleep", 27),
        ("plausible: [3, 20]", "plausible: [3, 20]\n    speaks_for: 3 minutes", 20),
        ("plausible: [3, 20]", "plausible: [3, 20]\n    names: {garmin: [gmi]}", 20),
    ],
)
def test_what_does_not_go_together_is_told(old: str, new: str, line: int) -> None:
    found = [each[0] for each in check(old, new) if each[1] == "CDS258"]

    assert found == [line]


@pytest.mark.parametrize(
    ("night", "line", "message"),
    [
        ("", 27, "time asleep belongs to a night, and no night is defined"),
        (
            '{from: "22:00", to: "22:00", sleep_from: "18:00"}',
            2,
            "the night ends when it begins",
        ),
        (
            '{from: "22:00", to: "08:00", sleep_from: "22:01"}',
            2,
            "nights would be cut in two",
        ),
        (
            '{from: "22:00", to: "08:00", sleep_from: "07:59"}',
            2,
            "nights would be cut in two",
        ),
        (
            '{from: "00:00", to: "06:00", sleep_from: "00:01"}',
            2,
            "nights would be cut in two",
        ),
    ],
)
def test_a_night_that_is_missing_or_cut_is_told(
    night: str, line: int, message: str
) -> None:
    old = 'night: {from: "22:00", to: "08:00", sleep_from: "18:00"}\n'
    found = check(old, f"night: {night}\n" if night else "")

    assert found[0][:3] == (line, "CDS259", message)


@pytest.mark.parametrize(
    "night",
    [
        '{from: "22:00", to: "08:00", sleep_from: "22:00"}',
        '{from: "22:00", to: "08:00", sleep_from: "08:00"}',
        '{from: "00:00", to: "06:00", sleep_from: "00:00"}',
        '{from: "00:00", to: "06:00", sleep_from: "06:00"}',
    ],
)
def test_sleep_may_begin_with_the_night(night: str) -> None:
    assert check('{from: "22:00", to: "08:00", sleep_from: "18:00"}', night) == []
