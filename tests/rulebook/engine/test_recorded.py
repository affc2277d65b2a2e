"""What card text says is recorded, and when it says that nothing is."""

from typing import Any

import pytest

from cds_service.fhir.chart import SourceState

from .shown import condition, order, product, show


def test_none_is_said_where_all_was_read_and_counted(
    rules: Any, chart: Any, wearable: Any
) -> None:
    whole = chart(conditions=[condition("I10"), condition("J45.909")])

    shown = show(rules, whole, "dm.recorded", "bb.recorded", alerts=[wearable()])

    assert shown == [
        "Diabetes: none recorded among 2 problems",
        "Beta-blockers: no medicines recorded",
    ]
    (shown,) = show(rules, chart(), "dm.recorded", alerts=[wearable()])
    assert shown == "Diabetes: no problems recorded"


def test_what_is_recorded_is_named(rules: Any, chart: Any) -> None:
    patient = chart(
        conditions=[condition("E11.9", "Type 2")], requests=[product("Blue", "6918")]
    )

    shown = show(rules, patient, "dm.recorded", "bb.recorded")

    assert shown == ["Diabetes: Type 2", "Beta-blockers: metoprolol"]


def test_what_is_recorded_and_does_not_count_is_not_called_none_recorded(
    rules: Any, chart: Any, wearable: Any
) -> None:
    resolved = condition("E11.9", clinicalStatus={"coding": [{"code": "resolved"}]})

    shown = show(
        rules, chart(conditions=[resolved]), "dm.recorded", alerts=[wearable()]
    )

    assert shown == ["Diabetes: none current among 1 problem; Diabetes resolved"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"clinical": "resolved", "abatementDateTime": "2025-03-02"},
            "none current among 1 problem; Type 2 resolved 2025-03-02",
        ),
        (
            {"clinical": "remission", "abatementDateTime": "2025-03"},
            "none current among 1 problem; Type 2 in remission 2025-03",
        ),
        ({"clinical": "inactive"}, "none current among 1 problem; Type 2 inactive"),
        (
            {"abatementDateTime": "2024"},
            "none current among 1 problem; Type 2 ended 2024",
        ),
        (
            {"clinical": "resolved", "verification": "refuted"},
            "none current among 1 problem",
        ),
        ({"verification": "entered-in-error"}, "none current among 1 problem"),
    ],
)
def test_a_problem_that_is_over_is_named_with_its_end(
    rules: Any, chart: Any, wearable: Any, entry: dict[str, str], said: str
) -> None:
    written = {
        {"clinical": "clinicalStatus", "verification": "verificationStatus"}.get(
            name, name
        ): ({"coding": [{"code": value}]} if name[0] in "cv" else value)
        for name, value in entry.items()
    }
    patient = chart(conditions=[condition("E11.9", "Type 2", **written)])

    (shown,) = show(rules, patient, "dm.recorded", alerts=[wearable()])

    assert shown == f"Diabetes: {said}"


def statement(name: str, status: str, **period: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": f"{name}-{status}",
        "status": status,
        "effectivePeriod": period,
        "medicationCodeableConcept": {"text": name},
    }


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            [statement("timolol 5 mg", "active", start="2026-01-05", end="2026-10-02")],
            "none current among 1 medicine; timolol ended 2026-10-02",
        ),
        (
            [statement("timolol 5 mg", "stopped", end="2026-10")],
            "none current among 1 medicine; timolol stopped 2026-10",
        ),
        (
            [order("timolol 5 mg", "2026-05-12", status="stopped")],
            "none current among 1 medicine; timolol stopped, ordered 2026-05-12",
        ),
        (
            [
                order(
                    "timolol",
                    "2026-05-12",
                    status="stopped",
                    statusChanged="2026-10-02",
                )
            ],
            "none current among 1 medicine; timolol stopped 2026-10-02",
        ),
        (
            [order("timolol", "2025-05-12", status="completed")],
            "none current among 1 medicine; timolol completed, ordered 2025-05-12",
        ),
        (
            [order("timolol", status="stopped")],
            "none current among 1 medicine; timolol stopped",
        ),
        (
            [statement("timolol", "not-taken")],
            "none current among 1 medicine; timolol recorded as not taken",
        ),
        (
            [
                statement("timolol", "completed", end="2025-02-01"),
                statement("metoprolol", "completed", end="2026-10-02"),
            ],
            "none current among 2 medicines; metoprolol ended 2026-10-02",
        ),
        (
            [order("timolol", "2026-05-12", status="entered-in-error")],
            "none current among 1 medicine",
        ),
        (
            [order("timolol", "2026-05-12", status="cancelled")],
            "none current among 1 medicine",
        ),
    ],
)
def test_a_medicine_that_was_stopped_is_named_with_its_end(
    rules: Any, chart: Any, wearable: Any, entries: list[dict[str, Any]], said: str
) -> None:
    patient = chart(requests=entries)

    (shown,) = show(rules, patient, "bb.recorded", alerts=[wearable()])

    assert shown == f"Beta-blockers: {said}"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            "dm: {condition: {in: diabetes, onset_within: 90 days}}",
            "Diabetes: none begun in the last 90 days among 1 problem; "
            "Type 2 since 2025-01-03",
        ),
        (
            "dm: {condition: {in: diabetes, recorded_within: 90 days}}",
            "Diabetes: none entered in the last 90 days among 1 problem; "
            "Type 2 since 2025-01-03",
        ),
        (
            "dm: {medication: {in: beta-blockers, started_within: 30 days}}",
            "Beta-blockers: none started in the last 30 days among 1 medicine; "
            "metoprolol since 2026-02-01",
        ),
        (
            "new: {medication: {in: beta-blockers, started_within: 30 days}}\n"
            "other: {medication: {in: other-drugs}}\n"
            "dm: {any_of: [new, other]}",
            "Beta-blockers / Other drugs: none started in the last 30 days among 1 "
            "medicine; metoprolol since 2026-02-01",
        ),
        (
            "dm: {medication: {in: beta-blockers, taken_for: 2 years}}",
            "Beta-blockers: none taken for 2 years among 1 medicine; "
            "metoprolol since 2026-02-01",
        ),
    ],
)
def test_what_is_current_and_outside_the_time_asked_for_is_not_denied(
    rules: Any, chart: Any, wearable: Any, facts: str, said: str
) -> None:
    old = {"onsetDateTime": "2025-01-03", "recordedDate": "2025-01-03"}
    patient = chart(
        conditions=[condition("E11.9", "Type 2", **old)],
        requests=[order("metoprolol", "2026-02-01")],
    )
    low = "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"

    (found,) = rules.evaluate(
        f"{facts}\n{low}", "any: [{dm: present}, {low: present}]", patient, [wearable()]
    ).items

    assert found.text("dm", "recorded").text == said


@pytest.mark.parametrize("state", [SourceState.PARTIAL, SourceState.MISSING])
def test_nothing_is_called_none_that_was_not_read_whole(
    rules: Any, chart: Any, wearable: Any, state: SourceState
) -> None:
    patient = chart(states={"conditions": state, "medication_statements": state})

    shown = show(rules, patient, "dm.recorded", "bb.recorded", alerts=[wearable()])

    assert shown == ["Diabetes: not known", "Beta-blockers: not known"]


@pytest.mark.parametrize(
    "entry",
    [
        {"code": {"text": "Sugar"}},
        {"code": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}},
        {},
        condition("E11.9", clinicalStatus={"coding": [{"code": "perhaps"}]}),
    ],
    ids=["in words", "another system", "no code", "an odd status"],
)
def test_nothing_is_called_none_where_an_entry_may_be_one(
    rules: Any, chart: Any, wearable: Any, entry: dict[str, Any]
) -> None:
    patient = chart(conditions=[{"resourceType": "Condition", "id": "c", **entry}])

    (shown,) = show(rules, patient, "dm.recorded", alerts=[wearable()])

    assert shown == "Diabetes: not known"


def test_a_site_that_ignores_what_it_cannot_place_does_not_call_it_none(
    rules: Any, chart: Any, wearable: Any
) -> None:
    rules.files["site.yaml"] += "unresolved: ignore\n"
    patient = chart(requests=[order("An unknown tablet")])

    (shown,) = show(rules, patient, "bb.recorded", alerts=[wearable()])

    assert shown == "Beta-blockers: not known"
