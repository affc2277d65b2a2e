"""Conditions that can never hold together, and rules that are never asked."""

from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Finding

FACTS = """\
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}
bb: {medication: {in: beta-blockers}}
dm: {condition: {in: diabetes}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""
USED = "any: [hr: present, sbp: present, bb: present, dm: present, low: present]"
PARAMS = "params: {limit: {default: 100, unit: /min}, grown: {default: 18 years}}"


def found(rules: Any, chart: Any, tests: list[str], code: str) -> list[Finding]:
    rules.evaluate(FACTS, f"all: [{{{USED}}}]", chart(), more=PARAMS)
    written = "".join(f", {{{test}}}" for test in tests)
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace(f"{{{USED}}}", f"{{{USED}}}{written}")
    return [each for each in rules.compile().findings if each.code == code]


AGE = "patient: {{age: {{{}}}}}"
OLD, YOUNG = AGE.format("at_least: 80 years"), AGE.format("below: 18 years")


@pytest.mark.parametrize(
    "tests",
    [
        [OLD, YOUNG],
        [AGE.format("between: [80 years, 18 years]")],
        [AGE.format("above: 18 years"), AGE.format("at_most: 18 years")],
        [AGE.format("at_least: 18 years"), AGE.format("below: 216 months")],
        [AGE.format("at_least: $grown"), AGE.format("below: 10 years")],
        [OLD, "all: [" + YOUNG + "]"],
        [OLD, "any: [" + YOUNG + "]"],
        [OLD, "none: [" + AGE.format("at_least: 18 years") + "]"],
        ["patient: {sex: {in: [female]}}", "patient: {sex: {in: [male, other]}}"],
        ["bb: present", "bb: absent"],
        ["bb: present", "none: [bb: present]"],
        ["bb: absent", "none: [bb: absent]"],
        ["bb: present", "none: [any: [bb: present, dm: present]]"],
        ["dm: present", "dm: {count: {below: 1}}"],
        ["hr: {latest: {above: 100}}", "hr: {latest: {below: 60}}"],
        ["hr: {latest: {above: $limit}}", "hr: {latest: {at_most: 100}}"],
        ["hr: {mean: {between: [60, 80]}}", "hr: {mean: {at_least: 80}}"],
        ["hr: {latest: {above: 100}}", "hr: absent"],
        ["hr: {on_days: {above: 100, days: 2}}", "hr: absent"],
    ],
)
def test_what_can_never_hold_together_is_told(
    rules: Any, chart: Any, tests: list[str]
) -> None:
    (told,) = found(rules, chart, tests, "CDS330")

    assert told.level == "error"
    assert "this excludes" in told.message and told.line > 1


@pytest.mark.parametrize(
    "tests",
    [
        [AGE.format("at_least: 18 years"), AGE.format("below: 80 years")],
        [AGE.format("at_least: 18 years"), AGE.format("at_most: 18 years")],
        [AGE.format("at_least: 2 years"), AGE.format("at_most: 24 months")],
        ["any: [" + OLD + ", " + YOUNG + "]"],
        ["none: [" + OLD + ", " + YOUNG + "]"],
        ["patient: {sex: {in: [female]}}", "patient: {sex: {in: [female, other]}}"],
        ["bb: present", "none: [all: [bb: present, dm: present]]"],
        ["bb: present", "none: [sbp: {count: {above: 3}}]"],
        ["hr: {latest: {above: 100}}", "hr: {min: {below: 60}}"],
        ["hr: {latest: {above: 100}}", "sbp: {latest: {below: 90}}"],
        # Two alerts may differ.
        ["low: {value: {below: 40}}", "low: {value: {above: 60}}"],
        ["hr: {count: {at_least: 2}}", "hr: {count: {at_most: 2}}"],
    ],
)
def test_what_may_hold_together_is_not_told(
    rules: Any, chart: Any, tests: list[str]
) -> None:
    assert found(rules, chart, tests, "CDS330") == []


@pytest.mark.parametrize(
    "tests",
    [
        [OLD, "any: [" + YOUNG + ", bb: present]"],
        [OLD, "any: [all: [" + YOUNG + ", bb: present], dm: present]"],
        ["dm: absent"],
    ],
)
def test_a_branch_that_can_never_hold_is_told_while_others_can(
    rules: Any, chart: Any, tests: list[str]
) -> None:
    (told,) = found(rules, chart, tests, "CDS330")

    assert told.level == "warning"


def test_a_card_whose_own_condition_contradicts_the_rule_is_never_shown(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(
        FACTS, f"all: [{{{USED}}}, {{hr: {{latest: {{above: 99}}}}}}]", chart()
    )
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = (
        text.replace("card:\n", "card:\n  when: {hr: {latest: {below: 60}}}\n")
        .replace("card:", "cards:\n  -", 1)
        .replace("  summary", "    summary")
        .replace("  source", "    source")
        .replace("-\n  when", "- when")
    )

    told = [each for each in rules.compile().findings if each.level == "error"]

    assert [each.code for each in told] == ["CDS330"]


def test_a_card_that_asks_a_fact_that_is_not_there_is_told_of_that_alone(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, USED, chart())
    text = rules.files["test.yaml"]
    card = "card:\n  when: {heart: {latest: {above: 100}}}"
    rules.files["test.yaml"] = text.replace("card:", card, 1)

    found = [each for each in rules.compile().findings if each.level == "error"]

    assert [each.message for each in found] == ["there is no fact `heart` in this rule"]


def hooks(rules: Any, chart: Any, written: str, drafts: bool = True) -> list[Finding]:
    rules.evaluate("bb: {medication: {in: beta-blockers}}", "bb: present", chart())
    text = rules.files["test.yaml"].replace("[patient-view]", written)
    if drafts:
        text = text.replace(
            "in: beta-blockers", "in: beta-blockers, from: draft_orders"
        )
    rules.files["test.yaml"] = text
    return [e for e in rules.compile().findings if e.code in ("CDS640", "CDS641")]


def serve(rules: Any, served: str) -> None:
    """Let the service be on these hooks."""
    text = rules.files["services.yaml"]
    rules.files["services.yaml"] = text.replace("[patient-view]", served)


@pytest.mark.parametrize(
    ("written", "without"),
    [
        ("[patient-view]", ["patient-view"]),
        ("[encounter-start]", ["encounter-start"]),
        ("[order-sign, patient-view]", ["patient-view"]),
        ("[order-sign, encounter-start]", ["encounter-start"]),
        ("[patient-view, order-sign]", ["patient-view"]),
        ("[patient-view, encounter-start]", ["patient-view", "encounter-start"]),
    ],
)
def test_draft_orders_need_a_hook_that_has_them_on_each_hook_of_the_service(
    rules: Any, chart: Any, written: str, without: list[str]
) -> None:
    hooks(rules, chart, "[patient-view]", drafts=False)
    serve(rules, "[patient-view, encounter-start, order-sign]")

    found = hooks(rules, chart, written)

    assert [(each.code, each.level) for each in found] == [
        ("CDS640", "warning") for _ in without
    ]
    line = rules.files["test.yaml"].splitlines()[found[0].line - 1]
    for each, hook in zip(found, without, strict=True):
        assert line[each.column - 1 :].startswith(hook)
        assert f"`{hook}` has no draft orders, which `bb` reads" in each.message
        assert "order-select, order-sign" in each.help


DRAFTS = "{medication: {in: beta-blockers, from: draft_orders}}"
SHARED = (
    "format: 1\nfact: drafted\nmedication: {in: beta-blockers, from: draft_orders}\n"
)


@pytest.mark.parametrize(
    "facts",
    [
        f"a: {DRAFTS}\nb: {{medication: {{in: beta-blockers}}}}\nx: {{any_of: [a, b]}}",
        "x: {use: drafted}",
        f"x: {DRAFTS}",
    ],
)
@pytest.mark.parametrize(
    ("served", "codes"), [("order-sign", []), ("encounter-start", ["CDS640"])]
)
def test_drafts_among_other_orders_or_in_a_shared_fact_need_that_hook_too(
    rules: Any, facts: str, served: str, codes: list[str]
) -> None:
    rules.files["facts/drafted.yaml"] = SHARED
    serve(rules, f"[{served}]")
    rules.rule(facts, "x: present")
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("[patient-view]", f"[{served}]")

    found = [e for e in rules.compile().findings if e.level != "note"]

    assert [each.code for each in found] == codes


@pytest.mark.parametrize(
    "written", ["[order-sign]", "[order-select, order-sign]", "[org.example-drafts.x]"]
)
def test_draft_orders_may_be_read_on_hooks_that_have_them(
    rules: Any, chart: Any, written: str
) -> None:
    serve(rules, "[patient-view, order-select, order-sign, org.example-drafts.x]")

    assert hooks(rules, chart, "[patient-view]", drafts=False) == []
    assert hooks(rules, chart, written) == []


def test_a_rule_on_a_hook_that_no_service_serves_is_told(
    rules: Any, chart: Any
) -> None:
    (told,) = hooks(rules, chart, "[order-sign]", drafts=False)

    assert (told.code, told.level, told.file) == ("CDS641", "warning", "test.yaml")
    assert "`order-sign`" in told.message and "patient-view" in told.help


@pytest.mark.parametrize(
    ("status", "codes"),
    [("active", ["CDS641"]), ("shadow", ["CDS641"]), ("draft", []), ("retired", [])],
)
def test_a_rule_in_force_that_no_service_names_is_told(
    rules: Any, chart: Any, status: str, codes: list[str]
) -> None:
    hooks(rules, chart, "[patient-view]", drafts=False)
    text = rules.files["test.yaml"]
    more = "governance: {retired_because: it is old}\n" if status == "retired" else ""
    rules.files["other.yaml"] = (
        text.replace("rule: test", "rule: other").replace("active", status) + more
    )

    told = [e for e in rules.compile().findings if e.code in ("CDS640", "CDS641")]

    assert [each.code for each in told] == codes
    assert {each.file for each in told} <= {"other.yaml"}
