"""Which resources count, in every release of FHIR that servers still speak."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.moments import parse_moment
from cds_service.rulebook.engine.rows.problems import Times
from cds_service.rulebook.engine.rows.standing import (
    Standing,
    condition_standing,
    medication_standing,
    observation_standing,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
TIMES = Times(NOW, ZONE, parse_moment("1958-03-14", ZONE))
COUNTS, NOT, UNCLEAR = Standing.COUNTS, Standing.DOES_NOT, Standing.UNCLEAR
ON_HOLD, NOT_TO_GIVE = Standing.ON_HOLD, Standing.NOT_TO_GIVE
STATUS_UNKNOWN, TAKEN_UNKNOWN = Standing.STATUS_UNKNOWN, Standing.TAKEN_UNKNOWN
END_UNKNOWN, REPORT_UNKNOWN = Standing.END_UNKNOWN, Standing.REPORT_UNKNOWN
REPORTED_UNORDERED = Standing.REPORTED_UNORDERED
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
LOCAL = {"system": "urn:oid:1.2.3", "code": "A"}


def coded(*codes: Any) -> dict[str, Any]:
    return {
        "coding": [each if isinstance(each, dict) else {"code": each} for each in codes]
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, COUNTS),
        ({"clinicalStatus": coded("active")}, COUNTS),
        ({"clinicalStatus": coded("ACTIVE ")}, COUNTS),
        ({"clinicalStatus": coded(LOCAL, "active")}, COUNTS),
        ({"clinicalStatus": coded(LOCAL, "resolved")}, NOT),
        ({"clinicalStatus": {"coding": {"code": "resolved"}}}, NOT),
        ({"clinicalStatus": "resolved"}, NOT),
        ({"clinicalStatus": "Resolved"}, NOT),
        ({"clinicalStatus": {"text": "Resolved"}}, NOT),
        ({"clinicalStatus": coded("unknown")}, UNCLEAR),
        ({"clinicalStatus": coded(LOCAL)}, UNCLEAR),
        ({"clinicalStatus": 7}, UNCLEAR),
        ({"clinicalStatus": {"coding": [7]}}, UNCLEAR),
        ({"clinicalStatus": {"text": 7}}, UNCLEAR),
        ({"_clinicalStatus": {"extension": []}}, COUNTS),
        ({"abatementDateTime": "2020"}, NOT),
        ({"abatementDateTime": None}, COUNTS),
        ({"abatementBoolean": True}, NOT),
        ({"abatementBoolean": "true"}, NOT),
        ({"abatementBoolean": False}, COUNTS),
        ({"abatementBoolean": "false"}, COUNTS),
        ({"clinicalStatus": coded("active"), "abatementDateTime": "2020"}, COUNTS),
        ({"verificationStatus": coded("refuted")}, NOT),
        ({"verificationStatus": coded(LOCAL, "refuted")}, NOT),
        ({"verificationStatus": "entered-in-error"}, NOT),
        ({"verificationStatus": {"text": "Entered in Error"}}, NOT),
        ({"verificationStatus": coded("unconfirmed")}, COUNTS),
        ({"clinicalStatus": {}, "verificationStatus": {"coding": []}}, COUNTS),
        ({"verificationStatus": {"text": "Ruled out"}}, UNCLEAR),
        ({"verificationStatus": coded("unknown")}, COUNTS),
        ({"verificationStatus": {"coding": [{"display": "Refuted"}]}}, NOT),
        ({"clinicalStatus": {"coding": [{"display": "Resolved"}]}}, NOT),
        ({"clinicalStatus": {"coding": [{"display": "Over"}]}}, UNCLEAR),
        # Two codes that say the same, and two that contradict one another.
        ({"verificationStatus": coded("unconfirmed", "differential")}, COUNTS),
        ({"verificationStatus": coded("refuted", "entered-in-error")}, NOT),
        ({"verificationStatus": coded("confirmed", "Refuted")}, UNCLEAR),
        ({"verificationStatus": coded("refuted", "confirmed")}, UNCLEAR),
        ({"clinicalStatus": coded("active", "recurrence")}, COUNTS),
        ({"clinicalStatus": coded("inactive", "resolved")}, NOT),
        ({"clinicalStatus": coded("inactive", "active")}, UNCLEAR),
        ({"clinicalStatus": coded("active", "resolved")}, UNCLEAR),
        ({"clinicalStatus": coded("active", "A")}, COUNTS),
    ],
    ids=str,
)
def test_p_24_which_conditions_are_active(
    condition: dict[str, Any], expected: Standing
) -> None:
    assert condition_standing(condition, "active", False, TIMES) is expected


NO_DATE = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
NO_END = {"extension": [{"url": ABSENT, "valueCode": "not-applicable"}]}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"abatementDateTime": "2026-11-23"}, COUNTS),
        ({"abatementDateTime": "2027"}, COUNTS),
        ({"abatementDateTime": "2026-11-22"}, NOT),
        ({"abatementDateTime": "2026"}, NOT),
        ({"abatementDateTime": "2026-11-22T12:00:00Z"}, NOT),
        ({"abatementDateTime": "2026-11-22T12:00:01Z"}, COUNTS),
        ({"abatementDateTime": "some time"}, END_UNKNOWN),
        ({"abatementBoolean": "maybe"}, END_UNKNOWN),
        ({"abatementPeriod": {"start": "2020", "end": "2021"}}, NOT),
        ({"abatementPeriod": {"end": "2021"}}, NOT),
        ({"abatementPeriod": {"start": "2027-01-01"}}, COUNTS),
        ({"abatementPeriod": {"start": "2026-11-01", "end": "2027"}}, END_UNKNOWN),
        ({"abatementPeriod": {"start": "2026-11-01"}}, END_UNKNOWN),
        ({"abatementPeriod": {}}, END_UNKNOWN),
        ({"abatementAge": {"value": 60, "code": "a"}}, NOT),
        ({"abatementAge": {"value": 68, "unit": "years"}}, NOT),
        ({"abatementAge": {"value": 70, "code": "a"}}, COUNTS),
        ({"abatementAge": {"value": 900, "code": "mo"}}, COUNTS),
        ({"abatementAge": {"value": 60}}, END_UNKNOWN),
        ({"abatementAge": {"value": "60", "code": "a"}}, END_UNKNOWN),
        ({"abatementQuantity": {"value": 60, "code": "a"}}, NOT),
        (
            {
                "abatementRange": {
                    "low": {"value": 50, "code": "a"},
                    "high": {"value": 55, "code": "a"},
                }
            },
            NOT,
        ),
        ({"abatementRange": {"low": {"value": 69, "code": "a"}}}, COUNTS),
        ({"abatementRange": {"low": {"value": 60, "code": "a"}}}, END_UNKNOWN),
        ({"abatementString": "2019"}, NOT),
        ({"abatementString": "after the operation"}, END_UNKNOWN),
        ({"abatementString": "2030-01-01"}, COUNTS),
        ({"abatementBoolean": False, "abatementDateTime": None}, COUNTS),
        ({"_abatementDateTime": NO_DATE}, END_UNKNOWN),
        ({"_abatementDateTime": NO_END}, COUNTS),
        ({"clinicalStatus": coded("active"), "_abatementDateTime": NO_DATE}, COUNTS),
        ({"clinicalStatus": coded("resolved"), "abatementDateTime": "2030"}, NOT),
    ],
    ids=str,
)
def test_an_end_that_lies_ahead_is_no_end(
    condition: dict[str, Any], expected: Standing
) -> None:
    assert condition_standing(condition, "active", False, TIMES) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"recordedDate": "2026-10-01"}, COUNTS),
        ({"recordedDate": "2016-10-01"}, Standing.OLD_ENCOUNTER),
        ({"recordedDate": "2016-10-01", "clinicalStatus": "active"}, COUNTS),
        ({"abatementDateTime": "2020"}, NOT),
        ({}, Standing.UNDATED_ENCOUNTER),
    ],
    ids=str,
)
def test_what_was_diagnosed_at_an_encounter_counts_for_a_year(
    condition: dict[str, Any], expected: Standing
) -> None:
    found = {**condition, "category": [coded("encounter-diagnosis")]}

    assert condition_standing(found, "active", False, TIMES) is expected


@pytest.mark.parametrize(
    ("condition", "resolved", "any_of_them"),
    [
        ({}, NOT, COUNTS),
        ({"clinicalStatus": "active"}, NOT, COUNTS),
        ({"clinicalStatus": "resolved"}, COUNTS, COUNTS),
        ({"clinicalStatus": "inactive"}, COUNTS, COUNTS),
        ({"clinicalStatus": "remission"}, COUNTS, COUNTS),
        ({"clinicalStatus": "otherwise"}, UNCLEAR, COUNTS),
        ({"abatementDateTime": "2020"}, COUNTS, COUNTS),
        ({"clinicalStatus": "resolved", "verificationStatus": "refuted"}, NOT, NOT),
    ],
    ids=str,
)
def test_which_conditions_are_resolved_and_which_are_there_at_all(
    condition: dict[str, Any], resolved: Standing, any_of_them: Standing
) -> None:
    assert condition_standing(condition, "resolved", False, TIMES) is resolved
    assert condition_standing(condition, "any", False, TIMES) is any_of_them


LISTED = coded("problem-list-item")


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ([LISTED], COUNTS),
        (LISTED, COUNTS),
        ("problem", COUNTS),
        ([coded("75326-9")], COUNTS),
        ([coded("encounter-diagnosis"), LISTED], COUNTS),
        ([coded("encounter-diagnosis")], NOT),
        ([coded("health-concern")], NOT),
        ([coded(LOCAL)], Standing.UNCATEGORISED),
        ([7], Standing.UNCATEGORISED),
        ([], Standing.UNCATEGORISED),
        (None, Standing.UNCATEGORISED),
    ],
    ids=str,
)
def test_a_fact_may_ask_for_problems_of_a_category(
    category: Any, expected: Standing
) -> None:
    found = {"clinicalStatus": "active", "category": category}

    listed = condition_standing(found, "active", False, TIMES, ("problem-list-item",))

    assert listed is expected
    assert condition_standing(found, "active", False, TIMES) is COUNTS


def test_an_age_at_the_end_says_nothing_without_a_birth_date() -> None:
    condition = {"abatementAge": {"value": 60, "code": "a"}}
    unborn = Times(NOW, ZONE)

    assert condition_standing(condition, "active", False, unborn) is END_UNKNOWN


def test_a_condition_is_confirmed_by_any_of_its_codings() -> None:
    condition = {"verificationStatus": coded(LOCAL, "confirmed")}

    assert condition_standing(condition, "active", True, TIMES) is COUNTS
    assert condition_standing({}, "active", True, TIMES) is NOT


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"status": "active"}, COUNTS),
        ({"status": " Active"}, COUNTS),
        # STU3
        ({"status": "active", "taken": "y"}, COUNTS),
        ({"status": "active", "taken": "unk"}, TAKEN_UNKNOWN),
        ({"status": "active", "taken": "NA"}, TAKEN_UNKNOWN),
        ({"status": "completed", "taken": "unk"}, NOT),
        ({"status": "on-hold"}, ON_HOLD),
        ({"status": "active", "taken": "n"}, NOT),
        # DSTU2
        ({"status": "active", "wasNotTaken": False}, COUNTS),
        ({"status": "active", "wasNotTaken": True}, NOT),
        ({"status": "active", "wasNotTaken": "true"}, NOT),
        # R5
        ({"status": "recorded"}, COUNTS),
        ({"status": "recorded", "adherence": {"code": coded("taking")}}, COUNTS),
        (
            {
                "status": "recorded",
                "adherence": {"code": coded("taking-not-as-directed")},
            },
            COUNTS,
        ),
        ({"status": "recorded", "adherence": {"code": coded("not-taking")}}, NOT),
        ({"status": "recorded", "adherence": {"code": coded("on-hold")}}, ON_HOLD),
        (
            {
                "status": "recorded",
                "adherence": {"code": coded("on-hold-as-directed")},
            },
            ON_HOLD,
        ),
        (
            {"status": "recorded", "adherence": {"code": coded("stopped-as-directed")}},
            NOT,
        ),
        (
            {"status": "recorded", "adherence": {"code": coded(LOCAL, "not-taking")}},
            NOT,
        ),
        (
            {"status": "recorded", "adherence": {"code": coded("unknown")}},
            TAKEN_UNKNOWN,
        ),
        ({"status": "recorded", "adherence": {"code": {"text": "Taking"}}}, COUNTS),
        ({"status": "recorded", "adherence": {}}, UNCLEAR),
        ({"status": "recorded", "adherence": "taking"}, UNCLEAR),
        ({"status": "recorded", "effectivePeriod": {"end": "2026-11-01"}}, NOT),
        ({"status": "draft"}, NOT),
        ({"status": "entered-in-error", "wasNotTaken": True}, NOT),
        ({"status": "active", "effectivePeriod": {"end": "9999-12-31"}}, COUNTS),
        ({"status": "active", "effectivePeriod": {"end": "soon"}}, COUNTS),
        ({"status": "active", "effectivePeriod": {"end": "2026-11-22"}}, COUNTS),
        ({"status": "unknown"}, STATUS_UNKNOWN),
        ({"_status": {"extension": []}}, UNCLEAR),
        ({"status": ["active"]}, UNCLEAR),
        ({"status": "active", "wasNotTaken": "maybe"}, UNCLEAR),
        ({"status": "active", "taken": "perhaps"}, UNCLEAR),
    ],
    ids=str,
)
def test_p_24_which_statements_are_current(
    statement: dict[str, Any], expected: Standing
) -> None:
    resource = {"resourceType": "MedicationStatement", **statement}

    assert medication_standing(resource, "current", NOW, ZONE) is expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2026-11-23T04:59:59Z", COUNTS), ("2026-11-23T05:00:00Z", NOT)],
)
def test_a_statement_ends_with_its_last_day_at_the_site(
    now: str, expected: Standing
) -> None:
    ended = {"status": "active", "effectivePeriod": {"end": "2026-11-22"}}
    resource = {"resourceType": "MedicationStatement", **ended}
    at = datetime.fromisoformat(now)

    assert medication_standing(resource, "current", at, ZONE) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("final", COUNTS),
        ("preliminary", COUNTS),
        ("registered", NOT),
        ("entered-in-error", NOT),
        ("otherwise", UNCLEAR),
    ],
)
def test_a_preliminary_result_is_one_where_any_is_asked_for(
    status: str, expected: Standing
) -> None:
    assert observation_standing({"status": status}, "any") is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"status": "recorded", "adherence": {"code": coded("stopped")}}, COUNTS),
        ({"status": "recorded"}, NOT),
        ({"status": "active", "taken": "n"}, NOT),
    ],
    ids=str,
)
def test_which_statements_are_of_stopped_medicines(
    statement: dict[str, Any], expected: Standing
) -> None:
    resource = {"resourceType": "MedicationStatement", **statement}

    assert medication_standing(resource, "stopped", NOW, ZONE) is expected


@pytest.mark.parametrize(
    ("request_", "policy", "expected"),
    [
        ({"status": "active", "intent": "order"}, "current", COUNTS),
        ({"status": "ACTIVE", "intent": "Order "}, "current", COUNTS),
        ({"status": "ended", "intent": "order"}, "current", NOT),
        ({"status": "ended", "intent": "order"}, "stopped", COUNTS),
        (
            {"status": "active", "intent": "order", "doNotPerform": "true"},
            "current",
            NOT_TO_GIVE,
        ),
        (
            {"status": "stopped", "intent": "order", "doNotPerform": True},
            "current",
            NOT,
        ),
        ({"status": "active", "intent": "order", "doNotPerform": True}, "any", NOT),
        ({"status": "draft", "intent": "order", "doNotPerform": True}, "draft", NOT),
        (
            {"status": "active", "intent": "order", "doNotPerform": False},
            "current",
            COUNTS,
        ),
        (
            {"status": "on-hold", "intent": "order", "statusReason": coded("sddi")},
            "current",
            ON_HOLD,
        ),
        ({"status": "on-hold", "intent": "plan"}, "current", NOT),
        ({"status": "on-hold", "intent": "order"}, "stopped", NOT),
        ({"status": "unknown", "intent": "order"}, "current", STATUS_UNKNOWN),
        ({"status": "unknown", "intent": "proposal"}, "current", NOT),
        ({"status": "active"}, "current", UNCLEAR),
        ({"status": "recorded", "intent": "order"}, "current", UNCLEAR),
        ({"status": "active", "intent": "order", "taken": "n"}, "current", COUNTS),
    ],
    ids=str,
)
def test_p_24_which_orders_count(
    request_: dict[str, Any], policy: str, expected: Standing
) -> None:
    resource = {"resourceType": "MedicationRequest", **request_}

    assert medication_standing(resource, policy, NOW, ZONE) is expected


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({}, NOT),
        ({"reportedBoolean": True}, COUNTS),
        ({"reportedBoolean": "true"}, COUNTS),
        ({"reportedBoolean": False}, NOT),
        ({"reportedReference": {"reference": "Patient/p"}}, COUNTS),
        ({"reportedReference": {"display": "her daughter"}}, COUNTS),
        ({"reportedReference": {}}, NOT),
        ({"informationSource": [{"reference": "Patient/p"}]}, COUNTS),
        ({"informationSource": [{}]}, NOT),
        # R5
        ({"reported": True}, COUNTS),
        # Self-prescribed, as US Core writes it.
        ({"requester": {"reference": "Patient/p"}}, COUNTS),
        ({"requester": {"reference": "https://ehr.example/fhir/Patient/p"}}, COUNTS),
        ({"requester": {"reference": "RelatedPerson/r"}}, COUNTS),
        ({"requester": {"reference": "Practitioner/d"}}, NOT),
        ({"category": [coded("patientspecified")]}, COUNTS),
        ({"category": [coded("community")]}, NOT),
        ({"reportedBoolean": True, "status": "on-hold"}, ON_HOLD),
        ({"reportedBoolean": True, "status": "stopped"}, NOT),
        ({"reportedBoolean": True, "doNotPerform": True}, NOT_TO_GIVE),
        ({"reportedBoolean": True, "intent": "proposal"}, REPORTED_UNORDERED),
        ({"reportedBoolean": True, "intent": "option"}, REPORTED_UNORDERED),
        (
            {"reportedReference": {"display": "her daughter"}, "intent": "directive"},
            REPORTED_UNORDERED,
        ),
        ({"intent": "proposal"}, NOT),
        # A patient who asks for a medicine does not report to take it.
        ({"requester": {"reference": "Patient/p"}, "intent": "proposal"}, NOT),
        ({"reportedBoolean": "perhaps"}, REPORT_UNKNOWN),
        ({"_reportedBoolean": {"extension": []}}, REPORT_UNKNOWN),
        ({"_reported": {"extension": []}}, REPORT_UNKNOWN),
        ({"_reportedBoolean": {"extension": []}, "intent": "proposal"}, NOT),
        ({"reportedBoolean": False, "_reportedBoolean": {"id": "a"}}, NOT),
    ],
    ids=str,
)
def test_a_plan_counts_where_somebody_reported_that_it_is_taken(
    plan: dict[str, Any], expected: Standing
) -> None:
    resource = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "plan",
        **plan,
    }

    assert medication_standing(resource, "current", NOW, ZONE) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("final", COUNTS),
        (" Final", COUNTS),
        ("amended", COUNTS),
        ("corrected", COUNTS),
        ("preliminary", NOT),
        ("registered", NOT),
        ("cancelled", NOT),
        ("entered-in-error", NOT),
        ("unknown", UNCLEAR),
        (None, UNCLEAR),
        (["final"], UNCLEAR),
    ],
)
def test_p_24_which_observations_count(status: Any, expected: Standing) -> None:
    observation = {"status": status, "triggeredBy": [{"type": "reflex"}]}

    assert observation_standing(observation, "") is expected


ORDER, STATEMENT = "MedicationRequest", "MedicationStatement"


@pytest.mark.parametrize(
    ("kind", "medicine", "policy", "expected"),
    [
        (ORDER, {"status": "draft", "intent": "proposal"}, "draft", COUNTS),
        (ORDER, {"status": "on-hold", "intent": "order"}, "draft", COUNTS),
        (ORDER, {"status": "unknown", "intent": "order"}, "draft", NOT),
        (ORDER, {"status": "stopped", "intent": "order"}, "draft", NOT),
        (STATEMENT, {"status": "on-hold"}, "draft", NOT),
        (STATEMENT, {"status": "active"}, "draft", NOT),
        (ORDER, {"status": "draft", "intent": "proposal"}, "any", NOT),
        (ORDER, {"status": "cancelled", "intent": "order"}, "any", COUNTS),
        (STATEMENT, {"status": "cancelled"}, "any", NOT),
        (STATEMENT, {"status": "intended"}, "any", COUNTS),
        (STATEMENT, {"status": "unknown"}, "any", STATUS_UNKNOWN),
        (ORDER, {"status": "on-hold", "intent": "order"}, "stopped", NOT),
        (ORDER, {"status": "unknown", "intent": "order"}, "stopped", STATUS_UNKNOWN),
        (
            STATEMENT,
            {"status": "completed", "effectivePeriod": {"end": "2026-01-01"}},
            "stopped",
            COUNTS,
        ),
        (
            STATEMENT,
            {"status": "active", "effectivePeriod": {"end": "2026-01-01"}},
            "any",
            COUNTS,
        ),
        (
            ORDER,
            {"status": "stopped", "intent": "order", "doNotPerform": True},
            "stopped",
            NOT,
        ),
    ],
    ids=str,
)
def test_which_medicines_count_as_drafts_as_stopped_and_as_any(
    kind: str, medicine: dict[str, Any], policy: str, expected: Standing
) -> None:
    resource = {"resourceType": kind, **medicine}

    assert medication_standing(resource, policy, NOW, ZONE) is expected
