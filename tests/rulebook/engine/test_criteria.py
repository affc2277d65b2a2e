"""The truth of every test, as the table of decisions has it."""

from types import SimpleNamespace
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.rulebook.engine.facts import CaseFacts, Criterion
from cds_service.rulebook.language.document import Position
from cds_service.rulebook.values.truth import Verdict

from .facts import (
    DIABETES,
    HR,
    LOADED,
    MISSHAPEN,
    MISSING,
    PARTIAL,
    SNOMED_ONLY,
    UNCODED,
    condition,
)


@pytest.mark.parametrize(
    ("test", "conditions", "state", "expected"),
    [
        ("present", [condition()], LOADED, True),
        ("present", [condition()], PARTIAL, True),
        ("present", [], LOADED, False),
        ("present", [], PARTIAL, {"not_read"}),
        ("present", [], MISSING, {"not_read"}),
        ("present", [SNOMED_ONLY], LOADED, False),
        ("present", [UNCODED], LOADED, {"not_read"}),
        ("present", [UNCODED], PARTIAL, {"not_read"}),
        ("present", [condition(), UNCODED], LOADED, True),
        ("present", [SNOMED_ONLY, UNCODED], LOADED, {"not_read"}),
        ("present", [MISSHAPEN], LOADED, {"unusable"}),
        ("absent", [condition()], LOADED, False),
        ("absent", [condition()], PARTIAL, False),
        ("absent", [], LOADED, True),
        ("absent", [], PARTIAL, {"not_read"}),
        ("absent", [], MISSING, {"not_read"}),
        ("absent", [SNOMED_ONLY], LOADED, {"unresolved"}),
        ("absent", [condition(clinicalStatus={"text": "?"})], LOADED, {"unusable"}),
        ("absent", [UNCODED], LOADED, {"not_read"}),
        ("absent", [condition(), UNCODED], LOADED, False),
        ("absent", [SNOMED_ONLY, UNCODED], LOADED, {"not_read", "unresolved"}),
        ("absent", [MISSHAPEN], LOADED, {"unusable"}),
        ("{count: {at_least: 1}}", [condition()], LOADED, True),
        ("{count: {at_least: 1}}", [condition()], PARTIAL, True),
        ("{count: {at_least: 2}}", [condition()], LOADED, False),
        ("{count: {at_least: 2}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {at_least: 1}}", [], LOADED, False),
        ("{count: {at_least: 1}}", [], PARTIAL, {"not_read"}),
        ("{count: {at_least: 1}}", [SNOMED_ONLY], LOADED, {"unresolved"}),
        ("{count: {at_least: 1}}", [UNCODED], LOADED, {"not_read"}),
        ("{count: {at_least: 1}}", [condition(), UNCODED], LOADED, True),
        ("{count: {at_least: 2}}", [condition(), UNCODED], LOADED, {"not_read"}),
        ("{count: {at_least: 2}}", [condition(), MISSHAPEN], LOADED, {"unusable"}),
        ("{count: {below: 1}}", [UNCODED], LOADED, {"not_read"}),
        ("{count: {below: 1}}", [condition(), UNCODED], LOADED, False),
        ("{count: {equals: 1}}", [condition(), UNCODED], LOADED, {"not_read"}),
        ("{count: {below: 1}}", [], LOADED, True),
        ("{count: {below: 1}}", [condition()], PARTIAL, False),
        ("{count: {below: 2}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {equals: 1}}", [condition()], LOADED, True),
        ("{count: {equals: 1}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {equals: 2}}", [condition()], LOADED, False),
        ("{count: {equals: 2}}", [condition()], PARTIAL, {"not_read"}),
    ],
)
def test_what_a_test_of_conditions_says(
    rules: Any,
    chart: Any,
    reasons: Any,
    test: str,
    conditions: list[Any],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    patient = chart(conditions=conditions, states={"conditions": state})

    verdict = rules.verdict(DIABETES, f"dm: {test}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("test", "values", "state", "expected"),
    [
        ("{max: {above: 100}}", [90, 101], LOADED, True),
        ("{max: {above: 100}}", [90, 101], PARTIAL, True),
        ("{max: {above: 100}}", [90, 100], LOADED, False),
        ("{max: {above: 100}}", [90, 100], PARTIAL, {"not_read"}),
        ("{max: {above: 100}}", [], LOADED, {"not_recorded"}),
        ("{max: {above: 100}}", [], PARTIAL, {"not_read"}),
        ("{max: {below: 100}}", [90], LOADED, True),
        ("{max: {below: 100}}", [90], PARTIAL, {"not_read"}),
        ("{max: {below: 100}}", [100], PARTIAL, False),
        ("{min: {below: 50}}", [49, 60], PARTIAL, True),
        ("{min: {below: 50}}", [50, 60], LOADED, False),
        ("{min: {below: 50}}", [50, 60], PARTIAL, {"not_read"}),
        ("{min: {above: 50}}", [50, 60], PARTIAL, False),
        ("{min: {above: 50}}", [51, 60], PARTIAL, {"not_read"}),
        ("{mean: {above: 100}}", [100, 102], LOADED, True),
        ("{mean: {above: 100}}", [98, 102], LOADED, False),
        ("{mean: {above: 100}}", [100, 102], PARTIAL, {"not_read"}),
        ("{median: {at_least: 100}}", [1, 100, 300], LOADED, True),
        ("{median: {at_least: 100}}", [1, 100, 300], PARTIAL, {"not_read"}),
        ("{earliest: {above: 100}}", [90, 101], LOADED, True),
        ("{earliest: {above: 100}}", [90, 101], PARTIAL, {"not_read"}),
        ("{latest: {above: 100}}", [101, 90], LOADED, True),
        ("absent", [90], LOADED, False),
        ("absent", [90], PARTIAL, False),
        ("absent", [], LOADED, True),
        ("absent", [], PARTIAL, {"not_read"}),
        ("{count: {at_least: 0}}", [], PARTIAL, True),
        ("{count: {below: 1}}", [], PARTIAL, {"not_read"}),
        ("{count: {equals: 1}}", [], PARTIAL, {"not_read"}),
        ("{latest: {between: [100, 110]}}", [100], LOADED, True),
        ("{latest: {between: [100, 110]}}", [110], LOADED, False),
    ],
)
def test_what_a_test_of_readings_says(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    test: str,
    values: list[float],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    # The first value is the newest.
    readings = [
        reading(value, f"{hours + 1} hours") for hours, value in enumerate(values)
    ]
    patient = chart(observations=readings, states={"observations": state})

    verdict = rules.verdict(HR, f"hr: {test}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_the_latest_of_a_partial_list_is_known_if_it_came_newest_first(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    newest_first = [reading(101, "1 hours"), reading(90, "2 hours")]
    states = {"observations": PARTIAL}

    first = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=newest_first, states=states),
    )
    last = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=newest_first[::-1], states=states),
    )

    assert first is True
    assert reasons(last) == {"not_read"}


def test_the_latest_is_unknown_if_a_newer_reading_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    broken = reading("n/a", "1 hours")
    older = reading("n/a", "3 hours")

    newer_broken = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[broken, reading(101, "2 hours")]),
    )
    older_broken = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[reading(101, "2 hours"), older]),
    )

    assert reasons(newer_broken) == {"unusable"}
    assert older_broken is True


UNTIMED = {"effectiveDateTime": None, "issued": None}


@pytest.mark.parametrize(
    ("within", "changes", "expected"),
    [
        (7, {"effectiveDateTime": "2026-11-22T11:59:00Z", "code": {}}, {"not_read"}),
        (7, {"effectiveDateTime": "2026-11-22T09:59:00Z", "code": {}}, True),
        (7, UNTIMED, {"uncertain"}),
        (7, {"effectiveDateTime": "2026-11"}, {"boundary"}),
        (40, {"effectiveDateTime": "2026-10"}, True),
    ],
    ids=[
        "newer, without a code", "older, without a code", "without a time",
        "of this month", "of the month before",
    ],
)  # fmt: skip
def test_the_latest_is_known_only_if_nothing_in_doubt_may_be_newer(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    within: int,
    changes: dict[str, Any],
    expected: bool | set[str],
) -> None:
    other = reading(90, "3 hours") | changes
    known = {name: each for name, each in other.items() if each is not None}
    readings = [reading(101, "2 hours"), known]

    verdict = rules.verdict(
        HR.replace("7 days", f"{within} days"),
        "hr: {latest: {above: 100}}",
        chart(observations=readings),
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_range_across_the_limit_in_a_list_read_in_part_is_unknown_for_both_reasons(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    vague = reading(90, valueQuantity={"value": 90, "comparator": ">", "code": "/min"})
    patient = chart(observations=[vague], states={"observations": PARTIAL})

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", patient)

    assert reasons(verdict) == {"boundary", "not_read"}


def test_the_latest_is_unknown_if_a_reading_of_the_same_time_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    verdict = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[reading(101, "2 hours"), reading("n/a", "2 hours")]),
    )

    assert reasons(verdict) == {"unusable"}


def test_two_readings_at_one_time_straddle_the_limit(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    twins = [reading(99, "1 hours"), reading(101, "1 hours")]

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", chart(observations=twins))

    assert reasons(verdict) == {"boundary"}


@pytest.mark.parametrize(
    ("comparator", "limit", "expected"),
    [
        (">", 30, False),
        (">", 60, False),
        (">", 90, None),
        ("<", 90, True),
        ("<", 60, True),
        ("<", 50, None),
        (">=", 60, False),
        ("<=", 60, None),
    ],
)
def test_a_comparator_makes_a_range(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    comparator: str,
    limit: int,
    expected: bool | None,
) -> None:
    quantity = {"value": 60, "comparator": comparator, "code": "/min"}
    patient = chart(observations=[reading(60, valueQuantity=quantity)])

    verdict = rules.verdict(HR, f"hr: {{latest: {{below: {limit}}}}}", patient)

    if expected is None:
        assert reasons(verdict) == {"boundary"}
    else:
        assert verdict is expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("all: [{dm: present}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("all: [{dm: absent}, {hr: {latest: {above: 100}}}]", False),
        ("any: [{dm: present}, {hr: {latest: {above: 100}}}]", True),
        ("any: [{dm: absent}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("none: [{dm: absent}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("none: [{dm: present}, {hr: {latest: {above: 100}}}]", False),
        ("none: [{dm: absent}]", True),
    ],
)
def test_the_tree_is_kleenes_logic(
    rules: Any, chart: Any, reasons: Any, when: str, expected: bool | set[str]
) -> None:
    verdict = rules.verdict(f"{DIABETES}\n{HR}", when, chart(conditions=[condition()]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_an_unknown_is_never_taken_for_true_or_false(rules: Any, chart: Any) -> None:
    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", chart())

    with pytest.raises(TypeError):
        bool(verdict)


def test_what_a_criterion_says_is_worked_out_once_a_case() -> None:
    asked = []

    def predicate(case: CaseFacts) -> Verdict:
        asked.append(case)
        return True

    leaf = Criterion("wounded", Position(1, 1), predicate)
    case: Any = SimpleNamespace(verdicts={})
    other: Any = SimpleNamespace(verdicts={})

    assert [leaf.verdict(each) for each in (case, case, other)] == [True, True, True]
    assert asked == [case, other]
