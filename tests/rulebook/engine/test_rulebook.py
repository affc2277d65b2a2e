"""Which rules are asked at all: those that may have something to say of a chart."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.engine.evaluate import open_case
from cds_service.rulebook.engine.rulebook import Program
from cds_service.wearables.worn import Wearables

LOADED, PARTIAL, MISSING = SourceState
FACTS = """\
dm: {condition: {in: diabetes}}
bb: {medication: {in: beta-blockers}}
any_drug: {any_of: [bb, other]}
other: {medication: {in: other-drugs}}
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""
DIABETES = {
    "resourceType": "Condition",
    "id": "c",
    "code": {"coding": [{"system": "icd10cm", "code": "E11.9"}]},
}
OVER = {**DIABETES, "clinicalStatus": "resolved"}
WORDED = {**DIABETES, "code": {"text": "sugar"}}


def drug(code: str = "6918") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": f"m-{code}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": "rxnorm", "code": code}]},
    }


METOPROLOL, LISINOPRIL = drug(), drug("29046")
BOTH = "all: [{dm: present}, {bb: present}]"


@pytest.fixture
def asked(rules: Any) -> Callable[..., bool]:
    """Whether the rule is asked of a chart."""

    def ask(when: str, chart: Chart, alerts: Any = (), more: str = "") -> bool:
        rules.rule(FACTS, when, more)
        service = rules.compile().rulebook.services["review", "patient-view"]
        case = open_case(service, chart, Wearables(alerts), rules.now)
        found = [each.id for each in service.program.candidates(case.index)]
        assert found in ([], ["test"])
        return bool(found)

    return ask


@pytest.mark.parametrize(
    ("when", "conditions", "requests", "expected"),
    [
        (BOTH, [DIABETES], [METOPROLOL], True),
        (BOTH, [DIABETES], [], False),
        (BOTH, [], [METOPROLOL], False),
        (BOTH, [], [], False),
        (BOTH, [OVER], [METOPROLOL], False),
        (BOTH, [DIABETES], [LISINOPRIL], False),
        # Within another `all` as well.
        ("all: [{dm: present}, {all: [{bb: present}]}]", [DIABETES], [], False),
        # Without what must be there, what may be there decides nothing.
        ("any: [{dm: present}, {bb: present}]", [], [], True),
        ("all: [{dm: absent}]", [], [], True),
        ("all: [{dm: present}, {bb: absent}]", [DIABETES], [], True),
        # None is a count as well.
        ("all: [{dm: {count: {at_least: 1}}}]", [], [], True),
        ("all: [{any_drug: present}]", [], [LISINOPRIL], True),
        ("all: [{any_drug: present}]", [], [METOPROLOL], True),
        ("all: [{any_drug: present}]", [DIABETES], [], False),
    ],
)
def test_a_rule_is_asked_where_all_that_it_cannot_do_without_is_there(
    asked: Callable[..., bool],
    chart: Callable[..., Chart],
    when: str,
    conditions: list[Any],
    requests: list[Any],
    expected: bool,
) -> None:
    assert asked(when, chart(conditions, requests)) is expected


@pytest.mark.parametrize(
    ("conditions", "states", "expected"),
    [
        ([DIABETES], {"medication_requests": MISSING}, True),
        ([DIABETES], {"medication_statements": PARTIAL}, True),
        ([], {"medication_requests": MISSING}, False),
        ([], {"conditions": MISSING}, False),
        ([], {"conditions": MISSING, "medication_requests": PARTIAL}, True),
        ([DIABETES], {"observations": MISSING}, False),
        ([WORDED], {"medication_requests": MISSING}, False),
        ([{**WORDED, "code": {}}], {"medication_requests": MISSING}, True),
    ],
    ids=str,
)
def test_a_rule_is_asked_where_what_it_lacks_may_not_have_been_read(
    asked: Callable[..., bool],
    chart: Callable[..., Chart],
    conditions: list[Any],
    states: dict[str, SourceState],
    expected: bool,
) -> None:
    assert asked(BOTH, chart(conditions, states=states)) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [("", False), ("if_unknown: silent", False), ("if_unknown: note", True)]
    + [("if_unknown: fire", True)],
)
def test_a_value_that_is_not_recorded_is_overlooked_by_a_silent_rule_alone(
    asked: Callable[..., bool],
    chart: Callable[..., Chart],
    more: str,
    expected: bool,
) -> None:
    fast = "all: [{hr: {latest: {above: 100}}}]"

    assert asked(fast, chart(), more=more) is expected


@pytest.mark.parametrize("more", ["if_unknown: silent", "if_unknown: note"])
def test_what_must_be_present_is_not_overlooked_by_any_rule(
    asked: Callable[..., bool], chart: Callable[..., Chart], more: str
) -> None:
    assert not asked("all: [{dm: present}]", chart(), more=more)
    assert asked("all: [{dm: present}]", chart([DIABETES]), more=more)


def test_a_rule_about_an_alert_is_asked_where_there_is_one_or_none_was_read(
    asked: Callable[..., bool], chart: Callable[..., Chart], wearable: Any
) -> None:
    low = "all: [{low: present}]"

    assert asked(low, chart(), [wearable()])
    assert not asked(low, chart(), [])
    assert not asked(low, chart(), [wearable("irregular-rhythm")])
    assert asked(low, chart(), None)


def test_rules_are_asked_in_their_order(rules: Any, chart: Any) -> None:
    rules.rule(FACTS, "all: [{dm: present}]")
    text = rules.files["test.yaml"]
    for name in ("another", "zero"):
        rules.files[f"{name}.yaml"] = text.replace("rule: test", f"rule: {name}")
    listed = rules.files["services.yaml"].replace("[test]", "[zero, test, another]")
    rules.files["services.yaml"] = listed
    service = rules.compile().rulebook.services["review", "patient-view"]
    case = open_case(service, chart([DIABETES]), Wearables(), rules.now)

    found = [each.id for each in service.program.candidates(case.index)]

    assert found == [each.id for each in service.rules]
    assert sorted(found) == ["another", "test", "zero"]


def test_a_program_has_the_rules_of_its_service_and_what_they_select(
    rules: Any, chart: Any
) -> None:
    rules.rule(FACTS, "all: [{dm: present}, {low: present}]")
    rulebook = rules.compile().rulebook
    service = rulebook.services["review", "patient-view"]
    selectors = service.program.selectors

    program = Program(selectors, service.rules)

    assert program.rules == service.rules
    assert program.selectors is selectors
    ((selected, window),) = program.worn
    assert selected.types == ("low-heart-rate",) and window
    assert (window.rule, str(window.length)) == ("within", "7 days")
    assert Program(selectors, []).worn == ()


@pytest.mark.parametrize(
    ("when", "conditions", "requests", "expected"),
    [
        (BOTH, [DIABETES], [METOPROLOL], True),
        (BOTH, [DIABETES], [], False),
        (BOTH, [OVER], [METOPROLOL], False),
        ("all: [{dm: present}]", [DIABETES], [], True),
        ("all: [{any_drug: present}]", [], [LISINOPRIL], True),
        ("all: [{any_drug: present}]", [DIABETES], [], False),
        ("all: [{dm: absent}]", [], [], True),
    ],
)
def test_where_the_drafts_are_read_as_well_the_same_rules_are_asked(
    asked: Callable[..., bool],
    chart: Callable[..., Chart],
    when: str,
    conditions: list[Any],
    requests: list[Any],
    expected: bool,
) -> None:
    seen = chart(conditions, requests)
    drafts = {"draft_orders": Source("draft_orders", LOADED)}

    assert asked(when, replace(seen, sources={**seen.sources, **drafts})) is expected


def test_a_rule_after_one_that_is_always_asked_is_found(rules: Any, chart: Any) -> None:
    rules.rule(FACTS, "all: [{dm: present}]")
    text = rules.files["test.yaml"]
    always = text.replace("rule: test", "rule: always").replace("present}]", "absent}]")
    rules.files["always.yaml"] = always
    listed = rules.files["services.yaml"].replace("[test]", "[always, test]")
    rules.files["services.yaml"] = listed
    service = rules.compile().rulebook.services["review", "patient-view"]

    def asked(*conditions: Any) -> list[str]:
        case = open_case(service, chart([*conditions]), Wearables(), rules.now)
        return [each.id for each in service.program.candidates(case.index)]

    assert asked(DIABETES) == ["always", "test"]
    assert asked() == ["always"]
