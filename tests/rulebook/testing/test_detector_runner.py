"""Tests of detectors: how they are written, run, demanded and mutated."""

from textwrap import dedent
from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Finding
from cds_service.rulebook.testing.detector_examples import read_detector_examples
from cds_service.rulebook.testing.detector_mutation import (
    build_detector_mutants,
    mutate_detector,
)
from cds_service.rulebook.testing.detector_runner import DetectorRunner
from cds_service.rulebook.testing.gate import check_detector_tests, gate
from cds_service.rulebook.testing.required_tests import check_mutation

from ...shipped import FILES
from ...small_rules import FAST
from ..compile.good_folder import FOLDER, RULE

METRICS = dedent("""\
    format: 1
    metrics:
      heart-rate: {title: Heart rate, unit: /min, plausible: [25, 250]}
      steps: {title: Steps, unit: "{steps}", plausible: [0, 250000], cumulative: true}
    """)
ALERT_TYPES = dedent("""\
    format: 1
    alert_types:
      low-heart-rate: {title: Low, metric: heart-rate, unit: /min}
      high-heart-rate: {title: High, metric: heart-rate, unit: /min}
    """)
HEAD = "test: fast\nbegins: 2026-11-20T08:00:00-05:00\n"
FILE, TEST = "detectors/fast.yaml", "detectors/fast.test.yaml"
OPENS = "readings: [{metric: heart-rate, values: 115x31}]"


def files(cases: str, detector: str = FAST, head: str = HEAD) -> dict[str, str]:
    named = dedent(cases).strip().splitlines()
    written = "\n".join(f"  {line}" for line in named)
    return {
        **FOLDER,
        RULE: FOLDER[RULE].replace("status: active", "status: draft"),
        "metrics.yaml": METRICS,
        "alert-types.yaml": ALERT_TYPES,
        FILE: detector,
        TEST: f"{head}cases:\n{written}\n",
    }


def problems(case: str, detector: str = FAST) -> list[str]:
    """What is wrong with one case, told without its name."""
    given = files(f"- {{name: it, {case}}}", detector)
    (test,), mistakes = read_detector_examples(given)
    assert mistakes == ()
    (example,) = test.examples
    return list(DetectorRunner(given).problems(example))


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [each.code for each in found]


def test_a_case_passes_when_what_it_says_of_the_episode_is_so() -> None:
    said = (
        "{start: 0 minutes, opened: 10 minutes, last: 30 minutes, closing: lasts,"
        " peak: 115, median: 115, threshold: 100, n: 31, coverage: 1,"
        " historical: false}"
    )

    assert problems(f"{OPENS}, expect: {{episodes: [{said}]}}") == []


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ("none", "expected no episodes, got 1 episode (opened 10 minutes)"),
        ("{episodes: [{opened: 9 minutes}]}", "got 10 minutes"),
        ("{episodes: [{opened: 10 minutes, peak: 116}]}", "expected peak 116"),
        (
            "{episodes: [{opened: 10 minutes, end: 1 hour}]}",
            "end 1 hour of episode 1, g",
        ),
        ("{episodes: [{opened: 10 minutes, closing: no-data}]}", "got lasts"),
        (
            "{episodes: [{opened: 600 seconds}, {opened: 1 hour}]}",
            "expected 2 episodes",
        ),
        ("{not_judged: [low-coverage]}", "expected no episodes"),
        (
            "{episodes: [{opened: 10 minutes}], not_judged: [low-coverage]}",
            "expected not to be judged because of low-coverage, got nothing",
        ),
    ],
)
def test_a_case_fails_with_what_came_instead(expect: str, problem: str) -> None:
    found = problems(f"{OPENS}, expect: {expect}")

    assert any(problem in each for each in found), found


def test_what_comes_later_takes_the_place_of_what_was_told() -> None:
    lower = "corrected: [{metric: heart-rate, values: 85x31}]"
    gone = "corrected: [{metric: heart-rate, values: _x25}]"
    other = "corrected: [{metric: heart-rate, values: 85x31, device: Phone}]"
    opens = "expect: {episodes: [{opened: 10 minutes}]}"

    assert problems(f"{OPENS}, {lower}, expect: none") == []
    assert problems(f"{OPENS}, {gone}, expect: none") == []
    assert problems(f"{OPENS}, {lower}, {opens}") != []
    # Another device says something else of the same minutes, and corrects nothing:
    # the first of their names is believed, and here that is the one without.
    assert problems(f"{OPENS}, {other}, {opens}") == []


def test_a_series_may_be_told_again_on_the_days_after() -> None:
    daily = "readings: [{metric: heart-rate, values: 115x31, days: 2}]"
    twice = "{episodes: [{opened: 10 minutes}, {opened: 1450 minutes}]}"

    assert problems(f"{daily}, expect: {twice}") == []


def test_the_shared_readings_of_a_wearer_are_told_as_well() -> None:
    head = HEAD + "wearers: {sits: [{metric: heart-rate, values: 115x31}]}\n"
    given = files(
        """
        - {name: it, wearer: sits, expect: {episodes: [{opened: 10 minutes}]}}
        - {name: who, wearer: sitz, expect: none}
        """,
        head=head,
    )
    (test,), mistakes = read_detector_examples(given)

    assert [DetectorRunner(given).problems(each) for each in test.examples] == [()]
    assert codes(mistakes) == ["CDS707"]
    assert "there is no wearer `sitz`" in mistakes[0].message


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("readings: [{metric: pulse, values: 9}], expect: none", "no metric `pulse`"),
        ("expect: none", "no readings of the detector's metric"),
        (f"params: {{limit: 150}}, {OPENS}, expect: none", "outside what the detector"),
        (f"params: {{limt: 95}}, {OPENS}, expect: none", "has no param `limt`"),
        (f"todo: some day, {OPENS}, expect: none", ""),
        (f"todo: some day, {OPENS}, expect: {{episodes: [{{opened: 10 minutes}}]}}",
         "passes although it is marked `todo: some day`"),
    ],
)  # fmt: skip
def test_a_case_that_cannot_be_played_says_why(case: str, problem: str) -> None:
    found = problems(case)

    assert bool(found) is bool(problem)
    assert not problem or problem in found[0]


def test_what_a_site_tunes_does_not_change_the_tests_of_a_detector() -> None:
    given = files(
        f"- {{name: it, {OPENS}, expect: {{episodes: [{{opened: 10 minutes}}]}}}}"
    )
    given["site.yaml"] += "detectors: {fast: {params: {limit: 130}, status: draft}}\n"
    (test,), _ = read_detector_examples(given)

    assert DetectorRunner(given).problems(test.examples[0]) == ()


ENOUGH = f"""
- {{name: opens, {OPENS}, expect: {{episodes: [{{opened: 10 minutes}}]}}}}
- {{name: does not, readings: [{{metric: heart-rate, values: 100x31}}], expect: none}}
- name: is not judged
  readings: [{{metric: heart-rate, values: 115x9, every: 5 minutes}}]
  expect: {{not_judged: [too-sparse]}}
"""


@pytest.mark.parametrize(
    ("status", "cases", "owed"),
    [
        ("active", ENOUGH, []),
        ("active", ENOUGH[: ENOUGH.index("- name: is not")], ["CDS704"]),
        ("shadow", ENOUGH[: ENOUGH.index("- name: is not")], []),
        ("shadow", ENOUGH[: ENOUGH.index("- {name: does")], ["CDS703"]),
        ("active", ENOUGH[ENOUGH.index("- {name: does") :], ["CDS702"]),
        (
            "active",
            ENOUGH.replace("- {name:", "- {todo: x, name:"),
            ["CDS702", "CDS703"],
        ),
        ("draft", ENOUGH.replace("opens,", "does not,"), ["CDS709"]),
    ],
)
def test_a_detector_owes_a_case_that_opens_one_that_does_not_and_one_not_judged(
    status: str, cases: str, owed: list[str]
) -> None:
    given = files(cases, FAST.replace("status: active", f"status: {status}"))

    found = check_detector_tests(given, gate(given).detectors.values())

    assert sorted(codes(found)) == owed
    assert (gate(given).rulebook is None) is bool(owed)


def test_a_detector_without_tests_is_told_once() -> None:
    given = files(ENOUGH)
    del given[TEST]

    found = check_detector_tests(given, gate(given).detectors.values())

    assert codes(found) == ["CDS701"]
    assert "this active detector has no tests" in found[0].message


def test_tests_of_no_detector_are_told() -> None:
    given = files(ENOUGH, head=HEAD.replace("fast", "slow"))

    found = check_detector_tests(given, gate(given).detectors.values())

    assert sorted(codes(found)) == ["CDS701", "CDS706"]


def test_rules_are_not_served_while_a_detector_fails_its_tests() -> None:
    wrong = ENOUGH.replace("opened: 10 minutes", "opened: 9 minutes")

    assert gate(files(ENOUGH)).rulebook is not None
    failed = gate(files(wrong))
    assert failed.rulebook is None
    assert "CDS708" in codes(failed.findings)


def test_a_draft_that_fails_its_tests_keeps_no_rule_from_being_served() -> None:
    wrong = ENOUGH.replace("opened: 10 minutes", "opened: 9 minutes")

    draft = files(wrong, FAST.replace("status: active", "status: draft"))

    assert gate(draft).rulebook is not None


def mutation(given: dict[str, str]) -> Any:
    (test,), _ = read_detector_examples(given)
    return mutate_detector(DetectorRunner(given), "fast", test.examples)


def test_every_number_and_word_of_a_detector_is_changed() -> None:
    runner = DetectorRunner(files(ENOUGH))

    changes = [each.change for each in build_detector_mutants(runner.tree("fast"))]

    assert changes == [
        *("100 -> 105", "100 -> 95", "90 -> 94.5", "90 -> 85.5"),
        *("140 -> 147", "140 -> 133", "own removed", "above -> at_least"),
        *("5 -> 5.25", "5 -> 4.75", "10 minutes -> 11 minutes"),
        *("10 minutes -> 9 minutes", "3 minutes -> 3.3 minutes"),
        *("3 minutes -> 2.7 minutes", "0.7 -> 0.735", "0.7 -> 0.665"),
        *("0.9 -> 0.945", "0.9 -> 0.855", "4 -> 5", "4 -> 3"),
        *("10 minutes -> 11 minutes", "10 minutes -> 9 minutes"),
        *("1 hour -> 1.1 hours", "1 hour -> 0.9 hours"),
        *("48 hours -> 52.8 hours", "48 hours -> 43.2 hours"),
    ]


def test_what_no_case_notices_is_named_and_owed_by_an_active_detector() -> None:
    found = mutation(files(ENOUGH))

    survived = [each.change for each in found.survivors]
    assert "100 -> 105" in survived and "above -> at_least" not in survived
    assert found.killed + len(survived) == found.count == 26
    owed = check_mutation(found)
    assert owed is not None and owed.code == "CDS705"
    assert f"notice {found.killed} of 26 mutants; all are needed" in owed.message


def test_a_detector_in_shadow_owes_no_mutants() -> None:
    shadow = files(ENOUGH, FAST.replace("status: active", "status: shadow"))

    assert check_mutation(mutation(shadow)) is None


SHIPPED = sorted(
    name.rpartition("/")[2].removesuffix(".test.yaml")
    for name in FILES
    if name.startswith("detectors/") and name.endswith(".test.yaml")
)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("name", SHIPPED)
def test_the_tests_of_a_shipped_detector_pass_and_notice_every_mutant(
    name: str,
) -> None:
    runner = DetectorRunner(FILES)
    tests, mistakes = read_detector_examples(FILES)
    (test,) = [each for each in tests if each.rule == name]

    assert mistakes == ()
    problems = {each.name: runner.problems(each) for each in test.examples}
    assert {each: found for each, found in problems.items() if found} == {}
    survivors = mutate_detector(runner, name, test.examples).survivors
    assert [each.change for each in survivors] == []
