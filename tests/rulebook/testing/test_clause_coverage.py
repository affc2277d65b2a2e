"""What the tests of a rule have seen of its clauses."""

import pytest

from cds_service.rulebook.testing.clause_coverage import Coverage, cover
from cds_service.rulebook.testing.example_runner import ExampleRunner
from cds_service.rulebook.testing.examples import read_examples
from cds_service.rulebook.testing.notation import ExampleError

from ...shipped import FILES, known

RULE = """\
format: 1
rule: slow
version: 1.0.0
title: Slow heart rate
status: active
hooks: [patient-view]
params: { limit: { default: 50, unit: /min } }
facts:
  digoxin: { medication: { in: digoxin } }
  heart_rate: { observation: { in: heart-rate, unit: /min, within: 2 days } }
  burden:
    score:
      title: Burden
      items:
        - { points: 1, label: Digoxin, when: { digoxin: present } }
        - { points: 2, label: Old, when: { patient: { age: { at_least: 75 years } } } }
when:
  all:
    - patient: { age: { at_least: 18 years } }
    - any:
        - heart_rate: { latest: { below: $limit } }
        - burden: { value: { at_least: 3 } }
cards:
  - when: { burden: { value: { at_least: 2 } } }
    severity: warning
    summary: Slow
    source: { label: Our hospital }
  - severity: info
    summary: Slow
    source: { label: Our hospital }
"""
TESTS = """\
test: slow
now: 2026-11-22T12:00:00Z
patients:
  old: { born: 1940-01-01, medications: [{ code: rxnorm|3407, status: active }] }
  child: { born: 2015-01-01 }
cases:
"""


def seen(*cases: str, rule: str = RULE) -> Coverage:
    tests = TESTS + "".join(f"  - {each}\n" for each in cases)
    (file,), _ = read_examples({"slow.test.yaml": tests})
    runner = ExampleRunner({**FILES, "slow.yaml": rule}, known())
    return cover(runner, "slow", file.examples)


def counts(found: Coverage) -> dict[tuple[int, str], tuple[int, int, int]]:
    """How often each clause was true, false and unknown, by line and words."""
    return {
        (each.position.line, each.text): (each.true, each.false, each.unknown)
        for each in found.clauses
    }


OLD = "{ name: old, patient: old, expect: unknown }"
CHILD = "{ name: child, patient: child, expect: no card }"


def test_clauses_are_counted_in_the_order_of_the_file_each_once() -> None:
    assert counts(seen(OLD)) == {
        (15, "digoxin present"): (1, 0, 0),
        (16, "patient age at least 75 years"): (1, 0, 0),
        (19, "patient age at least 18 years"): (1, 0, 0),
        (21, "heart_rate latest below 50 /min"): (0, 0, 1),
        (22, "burden value at least 3"): (1, 0, 0),
        (24, "burden value at least 2"): (1, 0, 0),
    }


def test_a_clause_is_judged_although_another_has_decided() -> None:
    found = counts(seen(CHILD))

    assert found[19, "patient age at least 18 years"] == (0, 1, 0)
    assert found[21, "heart_rate latest below 50 /min"] == (0, 0, 1)
    assert found[24, "burden value at least 2"] == (0, 1, 0)


def test_what_a_clause_never_was() -> None:
    found = {each.text: each.never for each in seen(OLD, CHILD).clauses}

    assert found["digoxin present"] == ("unknown",)
    assert found["heart_rate latest below 50 /min"] == ("true", "false")


def test_the_share_of_what_clauses_can_be() -> None:
    found = seen(OLD, CHILD)

    assert (found.decided, found.decidable) == (10, 12)
    assert (found.unknown, len(found.clauses), found.cases) == (1, 6, 2)


def test_other_params_are_another_limit_of_the_same_clause() -> None:
    slow = (
        "set: { observations: [{ code: loinc|8867-4, unit: /min, ends: 1 hour ago, "
        "values: 50 }] }, expect: unknown }"
    )
    found = seen(
        f"{{ name: a, patient: old, {slow}",
        f"{{ name: b, patient: old, params: {{ limit: 60 }}, {slow}",
    )

    assert counts(found)[21, "heart_rate latest below 50 /min"] == (1, 1, 0)


def test_that_the_patient_is_alive_is_no_clause_of_the_file() -> None:
    assert all("alive" not in each.text for each in seen(OLD).clauses)


def test_a_case_that_cannot_be_played_sees_nothing() -> None:
    found = seen(OLD, "{ name: b, set: { fhir: nobody.json }, expect: unknown }")

    assert found.cases == 1


def test_a_rule_that_does_not_compile_has_no_coverage() -> None:
    with pytest.raises(ExampleError, match="does not compile"):
        seen(OLD, rule=RULE.replace("$limit", "$limits"))
