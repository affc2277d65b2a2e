"""Which resources count, in every release of FHIR that servers still speak."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.rulebook.standing import (
    Standing,
    condition_standing,
    medication_standing,
    observation_standing,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
COUNTS, NOT, UNCLEAR = Standing
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
        ({"_clinicalStatus": {"extension": []}}, COUNTS),
        ({"abatementDateTime": "2020"}, NOT),
        ({"abatementDateTime": None}, COUNTS),
        ({"abatementBoolean": True}, NOT),
        ({"abatementBoolean": "true"}, NOT),
        ({"abatementBoolean": False}, COUNTS),
        ({"clinicalStatus": coded("active"), "abatementDateTime": "2020"}, COUNTS),
        ({"verificationStatus": coded("refuted")}, NOT),
        ({"verificationStatus": coded(LOCAL, "refuted")}, NOT),
        ({"verificationStatus": "entered-in-error"}, NOT),
        ({"verificationStatus": {"text": "Entered in Error"}}, NOT),
        ({"verificationStatus": coded("unconfirmed")}, COUNTS),
        ({"clinicalStatus": 7, "verificationStatus": [7]}, COUNTS),
    ],
    ids=str,
)
def test_p_24_which_conditions_are_active(
    condition: dict[str, Any], expected: Standing
) -> None:
    assert condition_standing(condition, "active", False) is expected


def test_a_condition_is_confirmed_by_any_of_its_codings() -> None:
    condition = {"verificationStatus": coded(LOCAL, "confirmed")}

    assert condition_standing(condition, "active", True) is COUNTS
    assert condition_standing({}, "active", True) is NOT


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"status": "active"}, COUNTS),
        ({"status": " Active"}, COUNTS),
        # STU3
        ({"status": "active", "taken": "y"}, COUNTS),
        ({"status": "active", "taken": "unk"}, COUNTS),
        ({"status": "active", "taken": "na"}, COUNTS),
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
        ({"status": "recorded", "adherence": {"code": coded("on-hold")}}, NOT),
        (
            {"status": "recorded", "adherence": {"code": coded("stopped-as-directed")}},
            NOT,
        ),
        (
            {"status": "recorded", "adherence": {"code": coded(LOCAL, "not-taking")}},
            NOT,
        ),
        ({"status": "recorded", "adherence": {"code": coded("unknown")}}, UNCLEAR),
        ({"status": "recorded", "adherence": {"code": {"text": "Taking"}}}, COUNTS),
        ({"status": "recorded", "adherence": {}}, UNCLEAR),
        ({"status": "recorded", "adherence": "taking"}, UNCLEAR),
        ({"status": "recorded", "effectivePeriod": {"end": "2026-11-01"}}, NOT),
        ({"status": "draft"}, NOT),
        ({"status": "entered-in-error", "wasNotTaken": True}, NOT),
        ({"status": "active", "effectivePeriod": {"end": "9999-12-31"}}, COUNTS),
        ({"status": "active", "effectivePeriod": {"end": "soon"}}, COUNTS),
        ({"status": "active", "effectivePeriod": {"end": "2026-11-22"}}, COUNTS),
        ({"status": "unknown"}, UNCLEAR),
        ({"_status": {"extension": []}}, UNCLEAR),
        ({"status": ["active"]}, UNCLEAR),
    ],
    ids=str,
)
def test_p_24_which_statements_are_current(
    statement: dict[str, Any], expected: Standing
) -> None:
    resource = {"resourceType": "MedicationStatement", **statement}

    assert medication_standing(resource, "current", NOW, ZONE) is expected


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
            NOT,
        ),
        (
            {"status": "active", "intent": "order", "doNotPerform": False},
            "current",
            COUNTS,
        ),
        (
            {"status": "on-hold", "intent": "order", "statusReason": coded("sddi")},
            "current",
            NOT,
        ),
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
