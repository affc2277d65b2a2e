"""What a detector does in sentences, and what changed in it."""

import pytest

from cds_service.rulebook.compile.compiler import Compiled, compile_rulebook
from cds_service.rulebook.describe import (
    DetectorPage,
    VersionStep,
    build_detector_page,
    compare_detectors,
)

from ..compile.good_folder import FOLDER, errors
from ..compile.test_detector_builder import ALERT_TYPES, FAST, FILE, HEAD, METRICS


def compiled(text: str = FAST, site: str = "") -> Compiled:
    files = {"metrics.yaml": METRICS, "alert-types.yaml": ALERT_TYPES, FILE: text}
    made = compile_rulebook(
        {**FOLDER, **files, "site.yaml": FOLDER["site.yaml"] + site}
    )
    assert errors(made.findings) == []
    return made


def page(text: str = FAST, site: str = "") -> DetectorPage:
    made = compiled(text, site)
    assert made.rulebook is not None
    tree = made.detectors[FILE]
    return build_detector_page(tree, made.rulebook, made.documents)


def changed(old: str, new: str, text: str = FAST) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_a_page_tells_every_number_of_a_detector_in_sentences() -> None:
    told = page()

    assert told.opens == (
        "An episode opens when heart rate has been above 100 /min for 10 minutes, "
        "at rest."
    )
    assert told.more == (
        "Readings speak for at least 70 % of that time: one speaks until the next one, "
        "and for 3 minutes at most.",
        "At least 90 % of what they speak for is beyond the limit, in at least 4 "
        "readings.",
        "At rest is who the reading itself says to be, or who in the 5 minutes before "
        "had no more than 10 steps a minute, told in intervals of 15 minutes at most, "
        "of at least 80 % of that time. "
        "Where nothing proves rest nor movement, it is not judged.",
        "It is over when all has been 5 /min or more below the limit for 10 minutes; "
        "without readings for 1 hour it ends without having recovered.",
        "An episode is a wearable alert “High” (high-heart-rate).",
        "A patient may have a limit of their own, from 90 to 140 /min: what the clinic "
        "set goes before what is set on the device, and both before the limit here.",
        "What opened more than 48 hours before it was known is history, and raises no "
        "more than an info card.",
        "What opens within 24 hours of another is the same matter again.",
    )


def test_a_page_tells_what_holds_at_the_site() -> None:
    told = page(site="detectors: {fast-heart-at-rest: {params: {limit: 120}}}\n")

    assert "above 120 /min" in told.opens
    assert [(each.name, each.default, each.site) for each in told.params] == [
        ("limit", "100 /min", "120 /min")
    ]


@pytest.mark.parametrize(
    ("text", "site", "said"),
    [
        (FAST, "", "Active: its episodes are stored, and rules use them."),
        (FAST, "", "Nobody has approved it; rules still use its episodes."),
        (
            changed("active", "shadow"),
            "",
            "Shadow: its episodes are stored, but no rule",
        ),
        (changed("active", "draft"), "", "Draft: nothing is detected."),
        (
            FAST,
            "detectors: {fast-heart-at-rest: {status: shadow}}\n",
            "The file says active; the site decides otherwise.",
        ),
    ],
)
def test_a_page_says_where_a_detector_stands(text: str, site: str, said: str) -> None:
    assert any(said in each for each in page(text, site).status)


@pytest.mark.parametrize(
    ("metric", "raises", "detect", "opens"),
    [
        (
            "oxygen-saturation",
            "low-nights",
            "days: {at_least: 0.05, statistic: band:below-88, part: night, days: 2,"
            " of: 3}",
            "the share of saturation below 88 has been at or above 0.05 on 2 of the "
            "last 3 nights",
        ),
        (
            "resting-heart-rate",
            "high-resting-heart-rate",
            "shift: {falls_by: 10, deviations: 3, statistic: median, days: 2,"
            " baseline_days: 28, valid_days: 14, left_out_days: 2}",
            "the median of resting heart rate has been 10 /min or more, and 3 standard "
            "deviations or more, below the person's own baseline on 2 days, one after "
            "the other",
        ),
        (
            "body-weight",
            "rapid-weight-gain",
            "gain: {any_of: [{at_least: 1.4, days: 1}, {at_least: 2, days: 3}],"
            " implausible: 5}",
            "weight has risen by 1.4 kg or more in a day or 2 kg or more in 3 days, on "
            "the same device",
        ),
        (
            "steps",
            "fewer-steps",
            "decline: {by: 0.5, statistic: total, recent_days: 7, before_days: 28,"
            " valid_days: 5, worn: 10 hours}",
            "the median of the total of steps of the last 7 days lies 50 % or more "
            "below that of the 28 days before",
        ),
    ],
)
def test_each_pattern_is_told(
    metric: str, raises: str, detect: str, opens: str
) -> None:
    text = f"{HEAD}metric: {metric}\nraises: {raises}\ndetect:\n  {detect}\n"

    assert page(text).opens == f"An episode opens when {opens}."


Told = list[tuple[str, VersionStep, str]]


def changes(new: str, old: str = FAST) -> Told:
    before, after = compiled(old).detectors, compiled(new).detectors
    return [
        (change.text, change.step, change.effect)
        for each in compare_detectors(before, after)
        for change in each.changes
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("default: 100", "default: 105", ("limit 105, was 100", "MINOR", "narrower")),
        ("for: 10", "for: 15", ("for 15 minutes, was 10 minutes", "MINOR", "narrower")),
        (
            "speaks_for: 3",
            "speaks_for: 2",
            ("speaks_for 2 minutes", "MINOR", "narrower"),
        ),
        ("coverage: 0.7", "coverage: 0.6", ("coverage 0.6, was 0.7", "MINOR", "wider")),
        ("per_minute: 10", "per_minute: 20", ("per_minute 20", "MINOR", "wider")),
        ("silence: 1 hour", "silence: 2 hours", ("silence 2 hours", "MINOR", "")),
        ("above: $limit", "at_least: $limit", ("at_least, was above", "MAJOR", "")),
        ("lateness: 48", "lateness: 24", ("lateness 24 hours", "MINOR", "")),
        ("max: 140", "max: 150", ("$limit: max 150, was 140", "MINOR", "")),
        (", own: true", "", ("$limit: a patient can no longer have", "MINOR", "")),
        (
            "describe: Fast",
            "describe: Quick",
            ("$limit: describe changed", "PATCH", ""),
        ),
        ("title: Fast", "title: Quick", ("title Quick heart at rest", "PATCH", "")),
        ("status: active", "status: shadow", ("status shadow", "PATCH", "")),
        ("clear_by: 5", "clear: 90", ("clear 90, was not there", "MINOR", "")),
    ],
)
def test_a_change_says_what_it_is_and_which_step_it_asks_for(
    old: str, new: str, told: tuple[str, str, str]
) -> None:
    found = changes(changed(old, new))

    text, step, effect = told
    assert any(
        each.startswith(text) and of is VersionStep[step] and seen == effect
        for each, of, seen in found
    ), found


def test_what_a_detector_looks_at_and_raises_is_another_detector() -> None:
    other = changed("metric: heart-rate", "metric: resting-heart-rate")
    other = changed("raises: high-heart", "raises: high-resting-heart", other)
    rest = other[other.index("    at_rest:") : other.index("lateness:")]

    steps = {text: step for text, step, _ in changes(changed(rest, "", other))}

    assert steps["metric resting-heart-rate, was heart-rate"] is VersionStep.MAJOR
    assert steps["raises high-resting-heart-rate, was high-heart-rate"] is (
        VersionStep.MAJOR
    )
    assert steps["at_rest removed, was steps"] is VersionStep.MAJOR


def test_a_number_that_moves_into_a_param_is_no_change_of_it() -> None:
    plain = changed("clear_by: 5", "clear_by: $back")
    param = "  back: {default: 5, unit: /min, describe: On the way back.}\ndetect:"

    assert changes(changed("detect:", param, plain)) == [
        ("$back: a site may now tune it", VersionStep.PATCH, "")
    ]


def test_a_version_that_does_not_say_so_is_told() -> None:
    before = compiled(FAST).detectors
    quiet = compiled(changed("default: 100", "default: 105")).detectors
    loud = changed("version: 1.0.0", "version: 1.1.0")
    said = compiled(changed("default: 100", "default: 105", loud)).detectors

    (difference,) = compare_detectors(before, quiet)
    finding = difference.finding()
    assert finding is not None and finding.code == "CDS617"
    assert finding.message == "needs 1.1.0, has 1.0.0"
    (difference,) = compare_detectors(before, said)
    assert difference.finding() is None


def test_a_detector_that_is_new_or_gone_is_told() -> None:
    there = compiled(FAST).detectors

    (new,), (gone,) = compare_detectors({}, there), compare_detectors(there, {})

    assert (new.rule, new.state) == ("fast-heart-at-rest", "added")
    assert (gone.rule, gone.state) == ("fast-heart-at-rest", "removed")
