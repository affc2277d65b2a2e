"""What rules owe, by their status."""

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.language.tree import RuleTree
from cds_service.rulebook.language.tree_reader import read_rule
from cds_service.rulebook.testing.examples import read_examples
from cds_service.rulebook.testing.gate import check_tests
from cds_service.rulebook.testing.mutation import Mutant, Mutation
from cds_service.rulebook.testing.required_tests import check_mutation, check_required

OWING = "cardiology/slow.yaml"
POSITIVE = "  - {name: a, expect: {card: info}}\n"
NEGATIVE = "  - {name: b, expect: no card}\n"
UNKNOWN = "  - {name: c, expect: unknown}\n"
BECAUSE = "  - {name: d, expect: {unknown_because: [x]}}\n"


def rule(status: str, more: str = "card: {summary: a}", unit: str = "/min") -> RuleTree:
    text = f"""\
format: 1
rule: slow
status: {status}
version: 1.0.0
title: Slow
hooks: [patient-view]
facts: {{hr: {{observation: {{in: heart-rate, unit: {unit}, within: 7 days}}}}}}
when: {{hr: {{latest: {{below: 50}}}}}}
{more}
"""
    document = parse_yaml(text, OWING, Findings())
    assert document is not None
    return read_rule(document)


def owed(status: str, cases: str, name: str = "slow") -> list[tuple[str, int, str]]:
    """File, line and code of what a rule of that status owes."""
    head = f"test: {name}\nnow: 2026-11-22T12:00:00Z\ncases:\n"
    files = {"slow.test.yaml": head + cases} if cases else {}
    tests, wrong = read_examples(files)
    assert wrong == ()
    found = check_required([rule(status)], tests)
    return [(each.file, each.line, each.code) for each in found]


def codes(status: str, cases: str) -> list[str]:
    return [code for _, _, code in owed(status, cases)]


@pytest.mark.parametrize("status", ["active", "shadow"])
def test_a_rule_without_tests_owes_them(status: str) -> None:
    assert owed(status, "") == [("cardiology/slow.yaml", 2, "CDS701")]


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_a_rule_that_nobody_is_asked_about_owes_nothing(status: str) -> None:
    assert owed(status, "") == []


@pytest.mark.parametrize(
    ("cases", "missing"),
    [
        (POSITIVE + NEGATIVE + UNKNOWN, []),
        (POSITIVE + NEGATIVE + BECAUSE, []),
        (NEGATIVE + UNKNOWN, ["CDS702"]),
        (POSITIVE + UNKNOWN, ["CDS703"]),
        (POSITIVE + NEGATIVE, ["CDS704"]),
        (UNKNOWN, ["CDS702", "CDS703"]),
    ],
)
def test_an_active_rule_owes_a_case_for_each_truth(
    cases: str, missing: list[str]
) -> None:
    assert codes("active", cases) == missing


def test_a_shadow_rule_need_not_know_what_it_cannot_know() -> None:
    assert codes("shadow", POSITIVE + NEGATIVE) == []
    assert codes("shadow", POSITIVE) == ["CDS703"]


def test_a_known_gap_proves_nothing() -> None:
    gap = NEGATIVE.replace("expect", "todo: later, expect")

    assert codes("active", POSITIVE + gap + UNKNOWN) == ["CDS703"]
    assert codes("active", gap) == ["CDS701"]


def test_tests_of_no_rule_are_told_where_they_name_it() -> None:
    cases = POSITIVE + NEGATIVE + UNKNOWN

    assert owed("draft", cases, name="sloww") == [("slow.test.yaml", 1, "CDS706")]


def test_a_rule_may_be_tested_in_several_files() -> None:
    head = "test: slow\nnow: 2026-11-22T12:00:00Z\ncases:\n"
    files = {"a.test.yaml": head + POSITIVE, "b.test.yaml": head + NEGATIVE + UNKNOWN}

    assert check_required([rule("active")], read_examples(files)[0]) == ()


CRITICAL = "severity: critical\ncard: {summary: a}"
SECOND_CARD = "cards: [{summary: a}, {summary: b, severity: critical}]"


def mutation(rule: RuleTree, killed: int, survived: int) -> Mutation:
    mutant = Mutant(rule.document.position(("rule",)), "present -> absent", rule)
    return Mutation(rule, killed, (mutant,) * survived)


@pytest.mark.parametrize("more", [CRITICAL, SECOND_CARD])
def test_a_critical_active_rule_owes_four_mutants_of_five(more: str) -> None:
    critical = rule("active", more)

    found = check_mutation(mutation(critical, 79, 21))

    assert found is not None
    assert (found.file, found.line, found.code) == ("cardiology/slow.yaml", 2, "CDS705")
    assert "79 of 100" in found.message
    assert check_mutation(mutation(critical, 80, 20)) is None


def test_other_rules_owe_no_mutants() -> None:
    for other in (rule("active"), rule("shadow", CRITICAL), rule("draft", CRITICAL)):
        assert check_mutation(mutation(other, 0, 5)) is None


GOOD = "test: slow\nnow: 2026-11-22T12:00:00Z\ncases:\n" + POSITIVE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slow.test.yaml", GOOD + "  - {name: b, expect: fires}\n"),
        ("slow.test.yaml", GOOD + "  - {name: b\n"),
        ("slow.test.yaml", GOOD + "  - {name: b, patient: no, expect: no card}\n"),
        ("slow.test.yaml", GOOD.replace("12:00", "99:00")),
        ("other-name.test.yaml", GOOD + "  - {name: b, patient: x, expect: unknown}\n"),
    ],
)
def test_a_broken_test_file_does_not_make_a_rule_that_has_no_tests(
    name: str, text: str
) -> None:
    files = {OWING: "x", f"cardiology/{name}": text}

    found = check_tests(files, {OWING: rule("active")}, {})

    assert found and {each.file for each in found} == {f"cardiology/{name}"}


def test_a_test_file_that_cannot_be_read_does_not_either() -> None:
    unread = ["cardiology/slow.test.yaml"]

    assert check_tests({OWING: "x"}, {OWING: rule("active")}, {}, unread=unread) == ()
    assert check_tests({OWING: "x"}, {OWING: rule("active")}, {}) != ()


READS = """
test: slow
now: 2026-11-22T12:00:00Z
patients:
  base: {observations: [{code: loinc|8867-4, ends: now, values: 40%s}]}
cases:
  - {name: a, patient: base, expect: {card: info}}
  - {name: b, patient: base, set: {observations: []}, expect: unknown}
  - name: c
    set: {observations: [{code: loinc|8867-4, ends: now, values: 70%s}]}
    expect: %s
"""


@pytest.mark.parametrize(
    ("first", "second", "expect", "lines"),
    [
        (", unit: /min", ", unit: /min", "no card", []),
        (", unit: bpm", ", unit: beats/min", "no card", []),
        (", unit: 'mm[Hg]'", ", unit: /min", "no card", [5]),
        (", unit: /min", ", unit: kg", "no card", [10]),
        (", unit: /min", ", unit: furlongs", "no card", [10]),
        (", unit: /min", ", unit: kg", "unknown", []),
        (", unit: /min", ", unit: kg", "{unknown_because: [hr]}", []),
        ("", ", unit: /min", "no card", [5]),
    ],
)
def test_a_reading_of_a_test_in_a_unit_that_no_fact_reads_is_told(
    first: str, second: str, expect: str, lines: list[int]
) -> None:
    files = {OWING: "x", "cardiology/slow.test.yaml": READS % (first, second, expect)}

    found = check_tests(files, {OWING: rule("active")}, {})

    told = [each for each in found if each.code == "CDS645"]
    assert [(each.line, each.level) for each in told] == [(n, "warning") for n in lines]


def test_moles_and_grams_may_be_told_in_each_other() -> None:
    files = {
        OWING: "x",
        "cardiology/slow.test.yaml": READS
        % (", unit: mg/dL", ", unit: mmol/L", "no card"),
    }

    found = check_tests(files, {OWING: rule("active", unit="mmol/L")}, {})

    assert "CDS645" not in {each.code for each in found}
