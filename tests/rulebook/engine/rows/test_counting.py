"""Which resources count: by status, category, and when they were told or began."""

from typing import Any

import pytest

from .resources import (
    BETA_BLOCKER,
    DIABETES,
    ENCOUNTER,
    PROBLEM_LIST,
    condition,
    request,
    statement,
    status,
)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (condition(), True),
        (condition(clinicalStatus=status("active")), True),
        (condition(clinicalStatus=status("recurrence")), True),
        (condition(clinicalStatus=status("relapse")), True),
        (condition(clinicalStatus="active"), True),
        (condition(clinicalStatus={"text": "Active"}), True),
        (condition(clinicalStatus=status("inactive")), False),
        (condition(clinicalStatus=status("remission")), False),
        (condition(clinicalStatus=status("resolved")), False),
        (condition(abatementDateTime="2020"), False),
        (condition(abatementString="last year"), {"uncertain"}),
        (condition(abatementDateTime="2026-12-24"), True),
        (condition(verificationStatus=status("refuted")), False),
        (condition(verificationStatus=status("entered-in-error")), False),
        (condition(verificationStatus=status("provisional")), True),
        (condition(clinicalStatus=status("sleeping")), {"unusable"}),
    ],
)
def test_p_24_which_conditions_are_active(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    verdict = rules.verdict(
        DIABETES.format(""), "dm: present", chart(conditions=[resource])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("option", "resource", "expected"),
    [
        (", verification: confirmed", condition(), False),
        (
            ", verification: confirmed",
            condition(verificationStatus=status("confirmed")),
            True,
        ),
        (", status: resolved", condition(clinicalStatus=status("resolved")), True),
        (", status: resolved", condition(), False),
        (", status: any", condition(clinicalStatus=status("resolved")), True),
        (", status: any", condition(verificationStatus=status("refuted")), False),
        (", status: not_resolved", condition(), True),
        (", status: not_resolved", condition(clinicalStatus=status("active")), True),
        (", status: not_resolved", condition(clinicalStatus=status("resolved")), False),
        (", status: not_resolved", condition(abatementDateTime="2020"), False),
        (
            ", status: not_resolved",
            condition(category=ENCOUNTER, recordedDate="2009"),
            True,
        ),
    ],
)
def test_a_fact_may_ask_for_other_conditions(
    rules: Any, chart: Any, option: str, resource: Any, expected: bool
) -> None:
    facts = DIABETES.format(option)

    assert rules.verdict(facts, "dm: present", chart(conditions=[resource])) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"recordedDate": "2025-11-23"}, True),
        ({"recordedDate": "2025-11-20"}, {"uncertain"}),
        ({"onsetDateTime": "2016-05-02"}, {"uncertain"}),
        ({"onsetDateTime": "2026-05-02"}, True),
        # Entered later than it began.
        ({"onsetDateTime": "2016-05-02", "recordedDate": "2026-05-02"}, True),
        ({"assertedDate": "2016-05-02"}, {"uncertain"}),
        ({}, {"uncertain"}),
        # A status, or a place on the problem list, says that it holds.
        ({"recordedDate": "2016", "clinicalStatus": status("active")}, True),
        ({"recordedDate": "2016", "clinicalStatus": status("resolved")}, False),
        ({"recordedDate": "2016", "category": [*ENCOUNTER, *PROBLEM_LIST]}, True),
        ({"recordedDate": "2016", "category": PROBLEM_LIST}, True),
        ({"recordedDate": "2016", "category": []}, True),
        # One object instead of a list, words instead of a coding.
        ({"recordedDate": "2016", "category": ENCOUNTER[0]}, {"uncertain"}),
        (
            {"recordedDate": "2016", "category": [{"text": "Encounter Diagnosis"}]},
            {"uncertain"},
        ),
        ({"recordedDate": "2016", "abatementDateTime": "2017"}, False),
    ],
    ids=str,
)
def test_what_an_encounter_said_long_ago_may_no_longer_hold(
    rules: Any, chart: Any, reasons: Any, more: dict[str, Any], expected: Any
) -> None:
    said = condition(**{"category": ENCOUNTER, **more})

    verdict = rules.verdict(
        DIABETES.format(""), "dm: present", chart(conditions=[said])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("lasts", "expected"), [("1 month", {"uncertain"}), ("12 months", True)]
)
def test_a_site_says_how_long_a_diagnosis_of_an_encounter_holds(
    rules: Any, chart: Any, reasons: Any, lasts: str, expected: Any
) -> None:
    rules.files["site.yaml"] += f"reading: {{encounter_diagnosis: {lasts}}}\n"
    said = condition(category=ENCOUNTER, recordedDate="2026-09-01")

    verdict = rules.verdict(
        DIABETES.format(""), "dm: present", chart(conditions=[said])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (PROBLEM_LIST, True),
        (ENCOUNTER, False),
        ([*ENCOUNTER, *PROBLEM_LIST], True),
        ([{"coding": [{"code": "finding"}]}, *PROBLEM_LIST], True),
        ("problem-list-item", True),
        ([{"coding": [{"code": "problem"}]}], True),
        ([{"coding": [{"system": "http://loinc.org", "code": "75326-9"}]}], True),
        (None, {"uncertain"}),
        ([], {"uncertain"}),
        ([{"coding": [{"code": "finding"}]}], {"uncertain"}),
    ],
    ids=str,
)
def test_a_fact_may_ask_for_a_category(
    rules: Any, chart: Any, reasons: Any, category: Any, expected: Any
) -> None:
    facts = DIABETES.format(", category: [problem-list-item]")
    listed = condition(clinicalStatus=status("active"), category=category)

    verdict = rules.verdict(facts, "dm: present", chart(conditions=[listed]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"recordedDate": "2026-01-01"}, True),
        ({"recordedDate": "2025-11-22"}, {"boundary"}),
        ({"recordedDate": "2025-11-21"}, False),
        ({"recordedDate": "2025-11"}, {"boundary"}),
        ({"recordedDate": "2026"}, True),
        ({"recordedDate": "lately"}, {"unusable"}),
        ({"dateRecorded": "2026-01-01"}, True),
        ({"recordedDate": "2016", "onsetDateTime": "2026-05-01"}, False),
        # Without a date of entry it was entered after it began.
        ({"onsetDateTime": "2026-05-01"}, True),
        ({"onsetDateTime": "2015-01-01"}, {"uncertain"}),
        ({}, {"uncertain"}),
    ],
    ids=str,
)
def test_recorded_within_asks_who_still_says_so(
    rules: Any, chart: Any, reasons: Any, more: dict[str, Any], expected: Any
) -> None:
    facts = DIABETES.format(", recorded_within: 1 year")
    said = condition(clinicalStatus=status("active"), **more)

    verdict = rules.verdict(facts, "dm: present", chart(conditions=[said]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (request(), True),
        (request(intent="instance-order"), True),
        (request(intent="plan"), False),
        (request(intent="proposal"), False),
        (request(intent="plan", reportedBoolean=True), True),
        (request(doNotPerform=True), {"uncertain"}),
        (request(status="on-hold"), {"uncertain"}),
        (request(status="stopped"), False),
        (request(status="completed"), False),
        (request(status="entered-in-error"), False),
        (request(status="unknown"), {"uncertain"}),
        (request(intent="?"), {"unusable"}),
        (statement(), True),
        (statement(status="not-taken"), False),
        (statement(status="on-hold"), {"uncertain"}),
        (statement(taken="unk"), {"uncertain"}),
        (statement(status="stopped"), False),
        (statement(status="intended"), False),
        (statement(status="entered-in-error"), False),
        (statement(effectivePeriod={"end": "2026-11-01"}), False),
        (statement(effectivePeriod={"end": "2026-12-01"}), True),
        (statement(effectivePeriod={"end": "2026"}), True),
        ({k: v for k, v in statement().items() if k != "status"}, {"unusable"}),
    ],
)
def test_p_24_which_medicines_are_current(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    is_request = resource["resourceType"] == "MedicationRequest"
    patient = chart(**{"requests" if is_request else "statements": [resource]})

    verdict = rules.verdict(BETA_BLOCKER.format(""), "bb: present", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (request(authoredOn="2026-11-08T12:00:00Z"), True),
        (request(authoredOn="2026-11-08T12:00:01Z"), False),
        (request(authoredOn="2026-11"), {"boundary"}),
        (request(), True),
        (
            request(
                authoredOn="2026-11-20",
                dosageInstruction=[
                    {"timing": {"repeat": {"boundsPeriod": {"start": "2025"}}}}
                ],
            ),
            True,
        ),
        (statement(effectivePeriod={"start": "2026-01"}), True),
        (statement(effectivePeriod={"start": "2026-11-20"}), False),
        (statement(effectiveDateTime="2026-01-01"), True),
    ],
)
def test_taken_for_counts_from_the_start_and_trusts_an_unrecorded_one(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    is_request = resource["resourceType"] == "MedicationRequest"
    patient = chart(**{"requests" if is_request else "statements": [resource]})
    facts = BETA_BLOCKER.format(", taken_for: 14 days")

    verdict = rules.verdict(facts, "bb: present", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("onset", "expected"),
    [
        ({"onsetDateTime": "2026-11-01"}, True),
        ({"onsetDateTime": "2026-10-01"}, False),
        ({"onsetDateTime": "2026"}, {"boundary"}),
        ({"onsetPeriod": {"start": "2020-01-01"}}, True),
        ({"onsetPeriod": {"start": "2020", "end": "2021"}}, False),
        ({"onsetPeriod": {"start": "2020", "end": "9999-12-31"}}, True),
        ({"onsetPeriod": {"start": "2020", "end": "soon"}}, {"unusable"}),
        ({"onsetPeriod": {"start": "2020", "_end": {}}}, {"unusable"}),
        ({"onsetDateTime": "2026-11-22"}, True),
        ({"onsetDateTime": "2026-11-23"}, False),
        ({"onsetDateTime": "2026-10-25"}, {"boundary"}),
        ({"_onsetDateTime": {}, "recordedDate": "2020"}, False),
        ({"assertedDate": "2020-01-01"}, False),
        ({"dateRecorded": "2020-01-01"}, False),
        ({"onsetDateTime": "of late"}, {"unusable"}),
        ({"onsetAge": {"value": 50}}, {"unusable"}),
        ({"onsetAge": {"value": 50, "code": "a"}}, False),
        ({"onsetAge": {"value": 823, "code": "mo"}}, {"boundary"}),
        ({"onsetRange": {"low": {"value": 40, "unit": "years"}}}, {"boundary"}),
        ({"onsetRange": {"high": {"value": 50, "unit": "years"}}}, False),
        ({"onsetString": "2020"}, False),
        ({"onsetString": "in youth"}, {"uncertain"}),
        ({"onsetString": "in youth", "recordedDate": "2020-01-01"}, False),
        ({}, {"uncertain"}),
        ({"recordedDate": "2020-01-01"}, False),
        ({"recordedDate": "2026-11-20"}, {"uncertain"}),
        ({"_onsetDateTime": {}, "recordedDate": "2026-11-20"}, {"uncertain"}),
    ],
)
def test_onset_within_needs_an_onset(
    rules: Any, chart: Any, reasons: Any, onset: dict[str, Any], expected: Any
) -> None:
    facts = DIABETES.format(", onset_within: 4 weeks")

    verdict = rules.verdict(
        facts, "dm: present", chart(conditions=[condition(**onset)])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))
