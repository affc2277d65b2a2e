"""Points for what holds; what cannot be assessed makes the score a range."""

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.chart import SourceState
from cds_service.rulebook.describe.explain import trace
from cds_service.rulebook.engine.facts import Criterion, Item
from cds_service.rulebook.engine.scores import compare
from cds_service.rulebook.language.diagnostics import Level
from cds_service.rulebook.language.document import Position
from cds_service.rulebook.values.intervals import Limit
from cds_service.rulebook.values.truth import Reason, ReasonKind, Unknown, Verdict

LOADED, PARTIAL, MISSING = SourceState
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
FACTS = """\
dm: {condition: {in: diabetes}}
bb: {medication: {in: beta-blockers}}
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
risk:
  score:
    title: Risk score
    items:
      - {points: 2, label: Diabetes, when: {dm: present}}
      - {points: 1, label: Fast heart, when: {hr: {latest: {above: 100}}}}
      - points: 0.5
        label: Age 65 or more
        when: {patient: {age: {at_least: 65 years}}}
      - {points: -1, label: Beta-blocker, when: {bb: present}}
"""
OLD = {"resourceType": "Patient", "id": "p", "birthDate": "1950-01-01"}
YOUNG = {"resourceType": "Patient", "id": "p", "birthDate": "1990-01-01"}
NOBODY = {"resourceType": "Patient", "id": "p"}
DIABETES = {
    "resourceType": "Condition",
    "id": "c",
    "code": {"coding": [{"system": ICD, "code": "E11.9"}]},
}
METOPROLOL = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {
        "coding": [
            {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6918"}
        ]
    },
}


def risk(test: str) -> str:
    return f"risk: {{value: {{{test}}}}}"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("at_least: 3.5", True),
        ("above: 3.5", False),
        ("at_most: 3.5", True),
        ("below: 3.5", False),
        ("between: [3.5, 4]", True),
        ("between: [3, 3.5]", False),
    ],
)
def test_the_points_of_what_holds_add_up(
    rules: Any, chart: Any, reading: Any, test: str, expected: bool
) -> None:
    patient = chart([DIABETES], observations=[reading(101)], patient=OLD)

    assert rules.verdict(FACTS, risk(test), patient) is expected


def test_points_may_be_taken_away(rules: Any, chart: Any, reading: Any) -> None:
    patient = chart([DIABETES], [METOPROLOL], observations=[reading(101)], patient=OLD)

    assert rules.verdict(FACTS, risk("at_least: 3"), patient) is False
    assert rules.verdict(FACTS, risk("at_least: 2.5"), patient) is True


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        # Without a heart rate the score is 2 to 3.
        ("at_least: 2", True),
        ("at_least: 2.5", {("not_recorded", "hr")}),
        ("at_least: 3", {("not_recorded", "hr")}),
        ("above: 3", False),
        ("at_most: 3", True),
        ("below: 3", {("not_recorded", "hr")}),
        ("below: 2", False),
        ("between: [2, 3.5]", True),
        ("between: [2.5, 3.5]", {("not_recorded", "hr")}),
    ],
)
def test_a_limit_within_the_range_of_a_score_is_unknown(
    rules: Any, chart: Any, test: str, expected: bool | set[tuple[str, str]]
) -> None:
    verdict = rules.verdict(FACTS, risk(test), chart([DIABETES], patient=YOUNG))

    if isinstance(verdict, bool):
        assert verdict is expected
    else:
        assert {(each.kind.value, each.fact) for each in verdict.reasons} == expected


def test_only_items_that_could_turn_the_answer_are_its_reasons(
    rules: Any, chart: Any
) -> None:
    # Diabetes 0 or 2, age 0 or 0.5: only the first can reach 1, with the heart or not.
    patient = chart(
        observations=[], patient=NOBODY, states={"conditions": SourceState.MISSING}
    )
    verdict = rules.verdict(FACTS, risk("at_least: 2"), patient)

    assert {(each.kind.value, each.fact) for each in verdict.reasons} == {
        ("not_read", "dm")
    }


@pytest.mark.parametrize(
    ("conditions", "test", "may_be_true", "may_be_false"),
    [
        # 0 to 2 by what was not read, 1 more by what is not recorded.
        (MISSING, "at_least: 2", True, True),
        (MISSING, "at_least: 1", True, False),
        (MISSING, "at_least: 3", False, True),
        (MISSING, "at_most: 2", True, False),
        (MISSING, "below: 1", False, True),
        (MISSING, "at_most: 0", False, True),
        (LOADED, "at_least: 1", False, False),
    ],
)
def test_a_score_knows_whether_reading_more_could_settle_it(
    rules: Any,
    chart: Any,
    conditions: SourceState,
    test: str,
    may_be_true: bool,
    may_be_false: bool,
) -> None:
    patient = chart(patient=YOUNG, states={"conditions": conditions})
    verdict = rules.verdict(FACTS, risk(test), patient)

    assert (verdict.may_be_true, verdict.may_be_false) == (may_be_true, may_be_false)


def test_what_could_not_be_read_for_a_score_reaches_the_clinician(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(
        observations=[reading(101)], patient=OLD, states={"conditions": MISSING}
    )

    (found,) = rules.evaluate(FACTS, risk("at_least: 2"), patient).items

    assert found.outcome == "unknown"
    assert found.could_not_check
    assert [each.sources for each in found.reasons] == [("conditions",)]


def test_a_rule_with_nothing_but_a_score_is_always_asked(
    rules: Any, chart: Any
) -> None:
    (found,) = rules.evaluate(FACTS, risk("at_most: 1"), chart(patient=OLD)).items

    assert found.outcome == "unknown"
    (found,) = rules.evaluate(FACTS, risk("at_most: 1.5"), chart(patient=OLD)).items
    assert found.outcome == "fires"


def test_text_shows_a_score_with_what_counted_and_what_could_not_be_assessed(
    rules: Any, chart: Any
) -> None:
    patient = chart([DIABETES], [METOPROLOL], patient=OLD)

    (found,) = rules.evaluate(FACTS, risk("at_least: 1"), patient).items

    shown = {
        name: found.text("risk", name).text
        for name in ("title", "value", "counted", "unassessed")
    }
    assert shown == {
        "title": "Risk score",
        "value": "1.5 to 2.5",
        "counted": "Diabetes (2), Age 65 or more (0.5), Beta-blocker (-1)",
        "unassessed": "Fast heart (1)",
    }


def test_text_of_a_score_without_items_is_what_follows_or(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(observations=[reading(90)], patient=YOUNG)

    (found,) = rules.evaluate(FACTS, risk("at_most: 1"), patient).items

    assert found.text("risk", "value").text == "0"
    assert found.text("risk", "counted") is None
    assert found.text("risk", "unassessed") is None


def test_an_explanation_lists_the_items_with_their_points(
    rules: Any, chart: Any
) -> None:
    found = rules.evaluate(FACTS, risk("at_least: 2"), chart([DIABETES])).items[0]

    lines = trace(found.rule, found.case)

    assert [(each.depth, each.truth, each.text, each.seen) for each in lines[1:]] == [
        (0, "true", "risk value at least 2", "value = 2.5 to 3.5"),
        (1, "true", "+2 Diabetes", ""),
        (2, "true", "dm present", "1 match"),
        (1, "unknown", "+1 Fast heart", ""),
        (2, "unknown", "hr latest above 100 /min", "0 match"),
        (1, "true", "+0.5 Age 65 or more", ""),
        (2, "true", "patient age at least 65 years", "age 68"),
        (1, "false", "-1 Beta-blocker", ""),
        (2, "false", "bb present", "0 match"),
    ]


def test_what_only_a_score_reads_is_asked_of_the_ehr(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart())

    compiled = rules.compile()
    service = compiled.rulebook.services["review", "patient-view"].service

    assert set(service.prefetch) == {
        "patient",
        "conditions",
        "medication-requests",
        "medication-statements",
        "observations",
    }
    assert [each.code for each in compiled.findings] == ["CDS604"]


NEST = "{points: 1, label: R, when: {risk: {value: {at_least: 1}}}}"
OTHER = "  other: {score: {title: Other, items: [%s]}}"
ITEM = "{points: 1, label: D, when: {dm: present}}"


@pytest.mark.parametrize(
    ("lines", "code", "help"),
    [
        (OTHER % NEST, "CDS229", "list its items here"),
        (OTHER % ITEM, "CDS401", ""),
        (OTHER % ITEM.replace("dm", "dmm"), "CDS301", "did you mean `dm`?"),
        (OTHER % ITEM.replace("present", "{value: {above: 1}}"), "CDS302", "allowed"),
        (OTHER % ITEM.replace("dm: present", "risk: present"), "CDS229", ""),
        (OTHER % ITEM.replace("points: 1", "points: 0.3"), "CDS107", ""),
        (OTHER % ITEM.replace("points: 1", "points: two"), "CDS103", "number"),
        (OTHER % ITEM.replace("points: 1, ", ""), "CDS101", ""),
        (OTHER % ITEM.replace("label", "lable"), "CDS102", "did you mean `label`?"),
        (OTHER % "", "CDS107", ""),
        (OTHER.replace("items", "item") % ITEM, "CDS102", "did you mean `items`?"),
        ("  other: {any_of: [dm, risk]}", "CDS226", ""),
        ("  other: {any_of: [risk, dm]}", "CDS226", ""),
    ],
)
def test_a_mistake_in_a_score(
    rules: Any, chart: Any, lines: str, code: str, help: str
) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("\nwhen:", f"\n{lines}\nwhen:", 1)

    found = [each for each in rules.compile().findings if each.level != Level.NOTE]

    assert [each.code for each in found] == [code]
    assert help in found[0].help


def test_a_fact_that_is_wrong_is_told_once(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("in: diabetes", "in: diabetis")

    found = [each for each in rules.compile().findings if each.level == Level.ERROR]

    assert [each.code for each in found] == ["CDS221"]


@pytest.mark.parametrize(
    ("test", "code", "help"),
    [
        ("{valeu: {at_least: 2}}", "CDS102", "did you mean `value`?"),
        ("{latest: {at_least: 2}}", "CDS302", "allowed here: value"),
        ("present", "CDS302", "allowed here: value"),
        ("{value: {at_least: $two}}", "CDS303", ""),
    ],
)
def test_a_mistake_in_what_is_asked_of_a_score(
    rules: Any, chart: Any, test: str, code: str, help: str
) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart())
    text = rules.files["test.yaml"]
    asked = "risk: {value: {at_least: 2}}"
    rules.files["test.yaml"] = text.replace(asked, f"risk: {test}")

    found = [each for each in rules.compile().findings if each.level == Level.ERROR]

    assert [each.code for each in found] == [code]
    assert help in found[0].help


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("risk.value", None),
        ("risk.title", None),
        ("risk.counted", "CDS504"),
        ("risk.counted or 'nothing'", None),
        ("risk.unassessed", "CDS504"),
        ("risk.count", "CDS503"),
        ("risk.name", "CDS503"),
    ],
)
def test_what_text_may_show_of_a_score(
    rules: Any, chart: Any, shown: str, code: str | None
) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart(), more="if_unknown: fire")
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("It fires", f'"{{{{ {shown} }}}}"')

    found = [
        each.code for each in rules.compile().findings if each.level == Level.ERROR
    ]

    assert found == ([code] if code else [])


@pytest.mark.parametrize("word", ["remove: risk", "update: risk, set: {status: x}"])
def test_a_score_is_nothing_that_an_action_could_change(
    rules: Any, chart: Any, word: str
) -> None:
    rules.evaluate(FACTS, risk("at_least: 2"), chart())
    action = f"{{description: Do it, {word}}}"
    suggested = f"  suggestions: [{{label: Do it, actions: [{action}]}}]\n"
    rules.files["test.yaml"] += suggested

    found = [each for each in rules.compile().findings if each.level == Level.ERROR]

    assert [each.code for each in found] == ["CDS508"]
    assert found[0].message == "a score is not a resource of the EHR"


UNKNOWNS = [
    Unknown((Reason(ReasonKind.NOT_RECORDED, "a"),), False, False),
    Unknown((Reason(ReasonKind.NOT_READ, "b"),), True, True),
    Unknown((Reason(ReasonKind.NOT_READ, "c"),), True, False),
    Unknown((Reason(ReasonKind.NOT_READ, "d"),), False, True),
]


def score(points: list[float], verdicts: list[Verdict], limit: Limit) -> Verdict:
    """What a score of such items says, whatever the case."""
    items = [
        Item(each, "", Criterion("", Position(1, 1), lambda case, found=found: found))
        for each, found in zip(points, verdicts, strict=True)
    ]
    return compare(items, limit)(cast(Any, SimpleNamespace(verdicts={})))


HALF_OR_WHOLE = [
    (0.5, Limit("at_least", 0.5)),
    (1.0, Limit("at_least", 1.0)),
    (-0.5, Limit("below", 0.0)),
    (-1.0, Limit("below", 0.0)),
]


@pytest.mark.parametrize(("points", "limit"), HALF_OR_WHOLE)
def test_an_item_that_may_be_read_as_true_may_make_the_score_true(
    points: float, limit: Limit
) -> None:
    verdict = score([points], [UNKNOWNS[2]], limit)

    assert isinstance(verdict, Unknown)
    assert (verdict.may_be_true, verdict.may_be_false) == (True, False)


@pytest.mark.parametrize(("points", "limit"), HALF_OR_WHOLE)
def test_an_item_that_may_be_read_as_false_may_make_the_score_false(
    points: float, limit: Limit
) -> None:
    verdict = score([points], [UNKNOWNS[3]], limit)

    assert isinstance(verdict, Unknown)
    assert (verdict.may_be_true, verdict.may_be_false) == (False, True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0]),
            st.sampled_from([True, False, *UNKNOWNS]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["above", "at_least", "below", "at_most"]),
    st.sampled_from([-1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0]),
)
def test_a_score_says_yes_or_no_only_if_nothing_unknown_can_change_it(
    items: list[tuple[float, Verdict]], comparison: str, value: float
) -> None:
    points, limit = [each for each, _ in items], Limit(comparison, value)

    verdict = score(points, [each for _, each in items], limit)

    def answers(allow: Callable[[Unknown], list[Verdict]]) -> list[Verdict]:
        """What comes of it, whatever each unknown turns out to be."""
        choices = [
            allow(each) if isinstance(each, Unknown) else [each] for _, each in items
        ]
        return [score(points, list(each), limit) for each in product(*choices)]

    settled = answers(lambda _: [True, False])
    assert (verdict in settled) == (len(set(settled)) == 1)
    if isinstance(verdict, Unknown):
        read = answers(
            lambda each: [
                each,
                *[True] * each.may_be_true,
                *[False] * each.may_be_false,
            ]
        )
        assert verdict.may_be_true == (True in read)
        assert verdict.may_be_false == (False in read)


def test_the_limit_of_a_score_may_be_a_param(rules: Any, chart: Any) -> None:
    more = "params: {enough: {default: 2, min: 1, max: 3}}"
    risky = risk("at_least: $enough")

    (found,) = rules.evaluate(FACTS, risky, chart([DIABETES]), more=more).items

    assert found.outcome == "fires"
