"""Detectors: what a file means, and what can be wrong with it beyond its shape."""

from datetime import date, timedelta
from textwrap import dedent

import pytest

from cds_service.rulebook.compile.compiler import (
    Compiled,
    compile_rulebook,
    digest_of,
    kind_of,
)
from cds_service.rulebook.compile.life_cycle import check_dates
from cds_service.rulebook.language.diagnostics import Finding, Level
from cds_service.wearables.detection.detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Direction,
    Gain,
    OwnLimit,
    Rest,
    SustainedBreach,
)

from ...small_rules import FAST_AT_REST as FAST
from .good_folder import FOLDER, errors

METRICS = dedent("""\
    format: 1
    night: {from: "22:00", to: "08:00", sleep_from: "18:00"}
    metrics:
      heart-rate: {title: Heart rate, unit: /min, plausible: [25, 250]}
      resting-heart-rate:
        {title: Resting heart rate, unit: /min, plausible: [25, 200], at_rest: true}
      oxygen-saturation:
        title: Saturation
        unit: "%"
        plausible: [50, 100]
        speaks_for: 5 minutes
        bands: {below-88: [null, 88], from-88: [88, null]}
      body-weight: {title: Weight, unit: kg, plausible: [2, 400]}
      steps: {title: Steps, unit: "{steps}", plausible: [0, 250000], cumulative: true}
    """)
ALERT_TYPES = dedent("""\
    format: 1
    alert_types:
      low-heart-rate: {title: Low, metric: heart-rate, unit: /min}
      high-heart-rate: {title: High, metric: heart-rate, unit: /min}
      high-resting-heart-rate: {title: RHR, metric: resting-heart-rate, unit: /min}
      low-oxygen-saturation: {title: SpO2, metric: oxygen-saturation, unit: "%"}
      low-nights: {title: SpO2 at night, metric: oxygen-saturation, unit: "1"}
      rapid-weight-gain: {title: Gain, metric: body-weight, unit: kg}
      fewer-steps: {title: Steps, metric: steps, unit: "{steps}"}
      irregular-rhythm: {title: Rhythm}
    """)
FILE = "detectors/fast-heart-at-rest.yaml"
HEAD = dedent("""\
    format: 1
    detector: fast-heart-at-rest
    version: 1.0.0
    title: Another
    status: active
    lateness: 3 days
    recurrence_within: 7 days
    """)


def compiled(text: str = FAST, **files: str) -> Compiled:
    laid = {"metrics.yaml": METRICS, "alert-types.yaml": ALERT_TYPES, FILE: text}
    named = {
        name.replace("__", "/").replace("_", "-") + ".yaml": each
        for name, each in files.items()
    }
    return compile_rulebook({**FOLDER, **laid, **named})


def detector(text: str = FAST, **files: str) -> Detector:
    made = compiled(text, **files)
    assert errors(made.findings) == []
    assert made.rulebook is not None
    return made.rulebook.detectors["fast-heart-at-rest"]


def changed(old: str, new: str, text: str = FAST) -> str:
    assert old in text
    return text.replace(old, new, 1)


def said(text: str, **files: str) -> list[Finding]:
    """The errors and warnings of a detector's file, but that nobody approved it."""
    return [
        each
        for each in compiled(text, **files).findings
        if each.level is not Level.NOTE and each.file.startswith("detectors/")
    ]


def test_a_detector_is_what_its_file_says() -> None:
    minute = timedelta(minutes=1)

    assert detector() == Detector(
        name="fast-heart-at-rest",
        version="1.0.0",
        title="Fast heart at rest",
        metric="heart-rate",
        alert_type="high-heart-rate",
        unit="/min",
        pattern=SustainedBreach(
            Direction.ABOVE,
            limit=100.0,
            clear=95.0,
            hold=10 * minute,
            gap=3 * minute,
            coverage=0.7,
            share=0.9,
            readings=4,
            edge=0 * minute,
            recovery=10 * minute,
            silence=60 * minute,
            rest=Rest("steps", 10.0, 5 * minute, 15 * minute, 0.8),
        ),
        status="active",
        lateness=timedelta(hours=48),
        cooldown=timedelta(hours=24),
        own_limit=OwnLimit(90.0, 140.0),
        file=FILE,
    )


def test_low_values_are_clear_above_the_limit() -> None:
    slow = changed("above: $limit", "below: 50").replace("raises: high", "raises: low")
    slow = changed("own: true", "own: false", slow)
    pattern = detector(slow).pattern

    assert isinstance(pattern, SustainedBreach)
    assert (pattern.direction, pattern.limit, pattern.clear) == (
        Direction.BELOW,
        50.0,
        55.0,
    )


@pytest.mark.parametrize(
    ("metric", "raises", "detect", "pattern"),
    [
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "days: {at_least: 100, statistic: median, days: 2, of: 3}",
            DaysBeyond(Direction.AT_LEAST, 100.0, "median", 2, 3),
        ),
        (
            "oxygen-saturation",
            "low-nights",
            "days: {at_least: 0.05, statistic: band:below-88, part: night, days: 2,"
            " of: 3, coverage: 0.5}",
            DaysBeyond(Direction.AT_LEAST, 0.05, "band:below-88", 2, 3, "night", 0.5),
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "shift: {rises_by: 10, deviations: 3, statistic: mean, days: 2,"
            " baseline_days: 28, valid_days: 14, left_out_days: 2}",
            BaselineShift(Direction.AT_LEAST, 10.0, 3.0, "mean", 2, 28, 14, 2),
        ),
        (
            "body-weight",
            "rapid-weight-gain",
            "gain: {any_of: [{at_least: 1.4, days: 1}, {days: 3, at_least: 2}],"
            " implausible: 5}",
            Gain(((1, 1.4), (3, 2.0)), 5.0),
        ),
        (
            "steps",
            "fewer-steps",
            "decline: {by: 0.5, statistic: total, recent_days: 7, before_days: 28,"
            " valid_days: 5, worn: 10 hours}",
            Decline(0.5, "total", 7, 28, 5, timedelta(hours=10)),
        ),
    ],
)
def test_each_pattern_is_read(
    metric: str, raises: str, detect: str, pattern: object
) -> None:
    text = f"{HEAD}metric: {metric}\nraises: {raises}\ndetect:\n  {detect}\n"

    assert detector(text).pattern == pattern


def test_a_site_tunes_what_the_detector_lets_it() -> None:
    tuned = FOLDER["site.yaml"] + (
        "detectors:\n  fast-heart-at-rest: {params: {limit: 120}, status: shadow}\n"
    )
    made = detector(site=tuned)

    assert isinstance(made.pattern, SustainedBreach)
    assert (made.pattern.limit, made.pattern.clear) == (120.0, 115.0)
    assert made.status == "shadow"


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        (
            "fast-heart-at-rest: {params: {limit: 150}}",
            "CDS018",
            "outside what the det",
        ),
        ("fast-heart-at-rest: {params: {lmit: 99}}", "CDS018", "the detector has no"),
        ("fast-heart: {status: draft}", "CDS014", "there is no detector `fast-heart`"),
    ],
)
def test_what_a_site_says_of_a_detector_must_fit(
    settings: str, code: str, message: str
) -> None:
    site = FOLDER["site.yaml"] + f"detectors:\n  {settings}\n"
    (found,) = errors(compiled(site=site).findings)

    assert (found.file, found.code) == ("site.yaml", code)
    assert message in found.message


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("metric: heart-rate", "metric: heart_rate", "CDS105", "is not a name"),
        ("metric: heart-rate", "metric: hart-rate", "CDS260", "`hart-rate`"),
        ("{metric: steps", "{metric: step", "CDS260", "`step`"),
        ("raises: high-", "raises: hi-", "CDS261", "`hi-heart-rate`"),
        ("raises: high-", "raises: high-resting-", "CDS262", "is about `resting-heart"),
        ("high-heart-rate", "irregular-rhythm", "CDS262", "is about no metric"),
        ("unit: /min, ", "", "CDS264", "`$limit` is without a unit; here it is in"),
        ("unit: /min, ", "unit: mg/dL, ", "CDS264", "`$limit` is in `mg/dL`; here"),
        ("clear_by: 5", "clear: 105", "CDS265", "105 is on the wrong side"),
        ("above: $limit", "above: 250", "CDS266", "no value is above 250; values are"),
        ("above: $limit", "above: 20", "CDS267", "every value is above 20"),
        ("speaks_for: 3 minutes", "speaks_for: 10 minutes", "CDS268", "`for`"),
        ("silence: 1 hour", "silence: 3 minutes", "CDS268", "between two readings"),
        ("for: 10", "late_start: 10 minutes\n    for: 10", "CDS268", "`late_start`"),
        ("clear_by: 5", "clear_by: -5", "CDS269", "`clear_by` is a number"),
        ("readings: 4", "readings: 0", "CDS269", "`readings` is a whole number"),
        ("above: $limit", "above: 100", "CDS270", "is not the limit"),
        (", min: 90", "", "CDS270", "a patient's own"),
        ("{metric: steps", "{metric: body-weight", "CDS271", "does not prove rest"),
        ("readings: 4", "readings: 5", "CDS274", "4 of them lie in 10 minutes"),
        ("default: 100", "default: 80", "CDS310", "the detector's own bounds"),
        ("default: 100", "default: 1 day", "CDS310", "have different types"),
        ("above: $limit", "above: $limt", "CDS303", "there is no param `$limt`"),
        ("silence: 1 hour", "silence: $limit", "CDS222", "`$limit` is not a duration"),
        ("100, unit: /min, min: 90, max: 140", "1 day", "CDS304", "is not a number"),
        ("above: $limit", "above: $limit\n    share: 2", "CDS032", "given twice"),
        ("recovery: 10 minutes", "recovery: 200 years", "CDS222", "not a duration"),
        ("detector: fast-heart-at-rest", "detector: fast", "CDS607", "is called"),
    ],
)
def test_a_mistake_in_a_detector_is_told_at_its_place(
    old: str, new: str, code: str, message: str
) -> None:
    found = said(changed(old, new))

    assert code in {each.code for each in found}, found
    assert any(message in each.message for each in found), found


@pytest.mark.parametrize(
    ("metric", "raises", "detect", "code", "message"),
    [
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "days: {at_least: 100, statistic: mean, days: 4, of: 3}",
            "CDS266",
            "this can never open: 4 days of the last 3",
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "days: {at_least: 100, statistic: total, days: 2, of: 3}",
            "CDS272",
            "has no `total`: it does not add up",
        ),
        (
            "oxygen-saturation",
            "low-oxygen-saturation",
            "days: {at_least: 0.05, statistic: band:below-88, days: 2, of: 3}",
            "CDS263",
            "`low-oxygen-saturation` is in `%`, but what is detected is in `1`",
        ),
        (
            "oxygen-saturation",
            "low-nights",
            "days: {at_least: 5, statistic: band:below-88, days: 2, of: 3}",
            "CDS266",
            "no value is at least 5; values are 0 to 1",
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "shift: {rises_by: 10, deviations: 3, statistic: mean, days: 2,"
            " baseline_days: 7, valid_days: 14, left_out_days: 2}",
            "CDS266",
            "14 days that count, of 7",
        ),
        (
            "oxygen-saturation",
            "low-nights",
            "days: {at_least: 0.05, statistic: band:below-80, days: 2, of: 3}",
            "CDS272",
            "has no band `below-80`",
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "days: {at_least: 100, statistic: mean, days: 2, of: 3, coverage: 0.6}",
            "CDS266",
            "`resting-heart-rate` has no `speaks_for`",
        ),
        (
            "body-weight",
            "rapid-weight-gain",
            "gain: {any_of: [{at_least: 6, days: 1}], implausible: 5}",
            "CDS266",
            "6 in 1 days is more than 5 a day",
        ),
        (
            "steps",
            "fewer-steps",
            "decline: {by: 0.5, statistic: mean, recent_days: 7, before_days: 28,"
            " valid_days: 8, worn: 10 hours}",
            "CDS266",
            "8 days that count, of 7",
        ),
        (
            "steps",
            "fewer-steps",
            "sustained: {above: 100, clear_by: 5, for: 10 minutes, coverage: 0.7,"
            " speaks_for: 3 minutes, share: 0.9, readings: 4, recovery: 10 minutes,"
            " silence: 1 hour}",
            "CDS273",
            "`steps` is summed",
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "sustained: {above: 100, clear_by: 5, for: 10 minutes, coverage: 0.7,"
            " speaks_for: 3 minutes, share: 0.9, readings: 4, recovery: 10 minutes,"
            " silence: 1 hour, at_rest: {metric: steps, per_minute: 10,"
            " lookback: 5 minutes, covered: 0.8, longest: 15 minutes}}",
            "CDS271",
            "measured at rest by definition",
        ),
    ],
)
def test_a_pattern_that_does_not_fit_is_told(
    metric: str, raises: str, detect: str, code: str, message: str
) -> None:
    text = f"{HEAD}metric: {metric}\nraises: {raises}\ndetect:\n  {detect}\n"
    found = said(text)

    assert (code, True) in {(each.code, message in each.message) for each in found}


def test_a_site_without_a_night_detects_nothing_at_night() -> None:
    detect = (
        "days: {at_least: 0.05, statistic: band:from-88, part: night, days: 1, of: 1}"
    )
    text = f"{HEAD}metric: oxygen-saturation\nraises: low-nights\n"
    (night,) = [each for each in METRICS.splitlines(True) if "sleep_from" in each]

    (found,) = said(f"{text}detect:\n  {detect}\n", metrics=changed(night, "", METRICS))

    assert found.code == "CDS266"
    assert "does not say when it is night" in found.message


def test_two_detectors_of_one_name_are_an_error() -> None:
    found = errors(compiled(detectors__more__fast_heart_at_rest=FAST).findings)

    assert [each.code for each in found] == ["CDS606"]


def test_a_draft_and_a_retired_detector_detect_nothing() -> None:
    for status in ("draft", "retired"):
        text = changed("status: active", f"status: {status}")
        if status == "retired":
            text += "governance: {retired_because: Something better came}\n"
        made = compiled(text).rulebook
        assert made is not None and made.detectors == {}


def test_without_approval_rules_see_no_episode_where_the_site_withholds() -> None:
    strict = changed("unapproved: serve\n", "", FOLDER["site.yaml"])
    approved = FAST + "governance: {approved: {by: Dr Roe, on: 2026-11-01}}\n"

    assert detector(site=strict).status == "shadow"
    assert detector(approved, site=strict).status == "active"
    assert detector().status == "active"


def test_a_detector_detects_from_its_first_day_until_it_expires() -> None:
    dated = detector(
        FAST + "governance: {effective: 2026-10-01, expires: 2026-12-01}\n"
    )

    days = [date(2026, 9, 30), date(2026, 10, 1), date(2026, 11, 30), date(2026, 12, 1)]
    assert [dated.in_force(day) for day in days] == [False, True, True, False]


def test_a_detector_whose_review_is_overdue_is_told() -> None:
    made = compiled(FAST + "governance: {review_by: 2026-10-01}\n")
    assert made.rulebook is not None

    (found,) = check_dates(
        made.rulebook.detectors.values(), made.documents, date(2026, 10, 2), "detector"
    )

    assert (found.file, found.code) == (FILE, "CDS612")
    assert "the review of this detector has been overdue" in found.message


def test_detectors_are_in_the_digest_and_their_tests_are_not() -> None:
    test = FILE.replace(".yaml", ".test.yaml")

    assert (kind_of(FILE), kind_of(test)) == ("detector", "detector-test")
    assert digest_of({FILE: FAST}) != digest_of({})
    assert digest_of({FILE: FAST, test: "x"}) == digest_of({FILE: FAST})
