"""Which mutants the tests of a rule let live."""

import pytest

from cds_service.rulebook.testing.example_runner import ExampleRunner
from cds_service.rulebook.testing.examples import read_examples
from cds_service.rulebook.testing.mutation import Mutation, mutate
from cds_service.rulebook.testing.notation import ExampleError

from ...shipped import FILES, known

RULE = "digoxin-slow-heart"
SLOW_HEART = """\
format: 1
rule: digoxin-slow-heart
version: 1.0.0
title: Slow heart rate on digoxin
status: active
hooks: [patient-view]
facts:
  digoxin: { medication: { in: digoxin } }
  heart_rate: { observation: { in: heart-rate, unit: /min, within: 2 days } }
when: { all: [digoxin: present, heart_rate: { latest: { below: 50 } }] }
card:
  severity: info
  summary: Heart rate {{ heart_rate.latest or '?' }} on {{ digoxin.name or '?' }}
  source: { label: Our hospital }
"""
TESTS = """\
test: digoxin-slow-heart
now: 2026-11-22T12:00:00Z
patients:
  base:
    medications: [{ code: rxnorm|3407, name: Digoxin, status: active }]
cases:
"""


def case(ends: str, value: int, expect: str, more: str = "") -> str:
    series = f"{{ code: loinc|8867-4, unit: /min, ends: {ends}, values: {value} }}"
    name = f"{value} of {ends} with {more or 'digoxin'}"
    return (
        f"  - {{name: '{name}', patient: base, "
        f"set: {{observations: [{series}]{more}}}, expect: {expect}}}\n"
    )


def score(*cases: str, rule: str = SLOW_HEART) -> Mutation:
    tests = TESTS + "".join(cases)
    (file,), _ = read_examples({f"{RULE}.test.yaml": tests})
    runner = ExampleRunner({**FILES, f"{RULE}.yaml": rule}, known())
    return mutate(runner, RULE, file.examples)


def lines(found: Mutation) -> list[str]:
    return [
        f"{each.position.line}:{each.position.column}: {each.change}"
        for each in found.survivors
    ]


SLOW = case("3 hours ago", 46, "{card: info}")
ON_THE_LIMIT = case("3 hours ago", 50, "no card")
JUST_BELOW = case("3 hours ago", 49, "{card: info}")
JUST_IN_TIME = case("48 hours ago", 46, "{card: info}")
TOO_OLD = case("49 hours ago", 46, "unknown")
WITHOUT = case("3 hours ago", 46, "no card", ", medications: []")


def test_one_case_lets_many_mutants_live() -> None:
    assert lines(score(SLOW)) == [
        "9:60: window removed",
        "9:68: 2 days -> 2.4 days",
        "9:68: 2 days -> 1.6 days",
        "10:9: all -> any",
        "10:15: clause removed: digoxin present",
        "10:33: clause removed: heart_rate latest",
        "10:57: below -> at_most",
        "10:64: 50 -> 52.5",
        "10:64: 50 -> 47.5",
    ]


def test_a_case_on_each_side_of_everything_lets_none_live() -> None:
    found = score(SLOW, ON_THE_LIMIT, JUST_BELOW, JUST_IN_TIME, TOO_OLD, WITHOUT)

    assert lines(found) == []
    assert (found.killed, found.count, found.score) == (10, 10, 1.0)


def test_a_mutant_that_does_not_compile_is_not_counted() -> None:
    # The text needs the name of the medicine, which only `present` makes sure of.
    bare = SLOW_HEART.replace("{{ digoxin.name or '?' }}", "{{ digoxin.name }}")

    assert score(SLOW, rule=bare).count == score(SLOW).count - 3


def test_a_case_that_fails_or_is_a_known_gap_notices_nothing() -> None:
    wrong = ON_THE_LIMIT.replace("no card", "{card: info}")
    gap = wrong.replace("set:", "todo: later, set:")

    assert lines(score(SLOW, wrong)) == lines(score(SLOW)) == lines(score(SLOW, gap))


def test_a_mutant_that_reads_something_else_has_its_patients_read_anew() -> None:
    stopped = SLOW_HEART.replace("in: digoxin }", "in: digoxin, status: any }")
    former = WITHOUT.replace(
        "medications: []",
        "medications: [{ code: rxnorm|3407, name: Digoxin, status: stopped }]",
    ).replace("no card", "{card: info}")

    assert "8:41: status removed" in lines(score(SLOW, rule=stopped))
    assert "8:41: status removed" not in lines(score(former, rule=stopped))


def test_other_limits_that_a_case_tries_are_mutated_with_the_rule() -> None:
    rule = SLOW_HEART.replace(
        "facts:", "params: {limit: {default: 50, unit: /min}}\nfacts:"
    ).replace("below: 50", "below: $limit")
    tuned = ON_THE_LIMIT.replace("set:", "params: {limit: 50}, set:")

    assert "11:57: below -> at_most" in lines(score(SLOW, rule=rule))
    assert "11:57: below -> at_most" not in lines(score(SLOW, tuned, rule=rule))


def test_a_rule_that_does_not_compile_has_no_mutants() -> None:
    with pytest.raises(ExampleError, match="does not compile"):
        score(SLOW, rule=SLOW_HEART.replace("digoxin: present", "digoxim: present"))


def test_without_mutants_nothing_was_missed() -> None:
    assert Mutation(score(SLOW).rule, 0, ()).score == 1.0
