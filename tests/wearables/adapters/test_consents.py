"""FHIR Consents as what they permit: R4 and R5, what is limited, odd and malformed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.consents import (
    Unreadable,
    doubts,
    keep_consent,
    parse_consents,
    read_consent,
)
from cds_service.wearables.consent import (
    Consent,
    ConsentAction,
    DataAction,
    is_permitted,
    permits,
)
from cds_service.wearables.records import PatientKey

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
P1 = PatientKey("default", "-", "p1")
HEART_RATE = frozenset({("http://loinc.org", "8867-4")})
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TYPES = "http://hl7.org/fhir/resource-types"
SCOPE = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/consentscope",
            "code": "patient-privacy",
        }
    ]
}


def actions(*codes: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": ACTIONS, "code": each}]} for each in codes]


def loinc(code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": "http://loinc.org", "code": code}]}]


ALL = actions("collect", "use", "disclose")
PERMIT = {"type": "permit", "action": ALL}


def r4(provision: Any = PERMIT, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {"lastUpdated": "2026-11-01T09:00:00Z"},
        "status": "active",
        "scope": SCOPE,
        "patient": {"reference": "Patient/p1"},
        "provision": provision,
        **members,
    }


def r5(decision: str, *provisions: Any, **members: Any) -> dict[str, Any]:
    resource = r4(**members)
    del resource["scope"], resource["patient"]
    resource["subject"] = {"reference": "Patient/p1"}
    return {**resource, "decision": decision, "provision": list(provisions)}


def consent(resource: dict[str, Any]) -> Consent:
    return read_consent(keep_consent(resource, P1, "app"), NEW_YORK)


def permitted(
    *resources: dict[str, Any],
    codes: frozenset[tuple[str, str]] = HEART_RATE,
    actors: frozenset[str] = frozenset(),
    now: datetime = NOW,
    data_at: datetime | None = None,
    assumed: bool = False,
) -> set[str]:
    """The actions that these Consents of one patient permit together."""
    known = [consent(each) for each in resources]
    return {
        str(action)
        for action in ConsentAction
        if is_permitted(
            known, DataAction(action, now, codes, data_at, actors), assumed=assumed
        )
    }


# What is permitted


def test_nothing_is_permitted_where_nobody_was_asked() -> None:
    assert permitted() == set()
    assert is_permitted((), DataAction(ConsentAction.USE, NOW, HEART_RATE)) is False


def test_a_provision_permits_the_actions_that_it_names() -> None:
    assert permitted(r4()) == {"collect", "use", "disclose"}
    narrow = {"type": "permit", "action": actions("collect", "use")}
    assert permitted(r4(narrow)) == {"collect", "use"}


def test_a_general_agreement_to_privacy_is_no_consent_to_wearable_data() -> None:
    assert permitted(r4({"type": "permit"})) == set()
    assert permitted(r4({"type": "permit", "action": actions("access")})) == set()


@pytest.mark.parametrize(
    "status", ["draft", "proposed", "rejected", "inactive", "entered-in-error", "odd"]
)
def test_only_an_active_consent_permits(status: str) -> None:
    assert permitted(r4(status=status)) == set()


def test_a_status_is_read_whatever_its_case() -> None:
    assert permitted(r4(status=" Active")) == {"collect", "use", "disclose"}


def test_what_the_patient_opted_into_is_permitted_without_a_type() -> None:
    act_code = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    rule = {"coding": [{"system": act_code, "code": "OPTIN"}]}
    assert permitted(r4({"action": ALL}, policyRule=rule)) != set()
    rule = {"coding": [{"system": act_code, "code": "OPTOUT"}]}
    assert permitted(r4(), r4({}, policyRule=rule, id="c2")) == set()


def test_without_a_type_and_a_rule_a_provision_permits_nothing() -> None:
    assert permitted(r4({"action": ALL})) == set()


# What is denied


def test_a_denial_holds_against_every_permission() -> None:
    denial = r4({"type": "deny", "action": actions("use")}, id="c2")
    assert permitted(r4(), denial) == {"collect", "disclose"}


def test_a_denial_without_actions_denies_them_all() -> None:
    assert permitted(r4(), r4({"type": "deny"}, id="c2")) == set()


def test_to_deny_access_is_to_deny_everything() -> None:
    denial = r4({"type": "deny", "action": actions("access")}, id="c2")
    assert permitted(r4(), denial) == set()


def test_a_denial_that_is_over_does_not_matter() -> None:
    assert permitted(r4(), r4({"type": "deny"}, id="c2", status="inactive")) != set()


def test_an_exception_denies_what_the_rule_permits() -> None:
    weight = {"type": "deny", "code": loinc("29463-7")}
    rule = r4({**PERMIT, "provision": [weight]})
    assert permitted(rule) == {"collect", "use", "disclose"}
    assert permitted(rule, codes=frozenset({("http://loinc.org", "29463-7")})) == set()


def test_an_exception_permits_what_the_rule_denies() -> None:
    exception = {"type": "permit", "action": actions("collect")}
    assert permitted(r4({"type": "deny", "provision": [exception]})) == {"collect"}


# Limits


@pytest.mark.parametrize(
    ("period", "holds"),
    [
        ({"start": "2026-11-22"}, True),
        ({"start": "2026-11-22T14:00:00Z"}, True),
        ({"start": "2026-11-22T14:00:01Z"}, False),
        ({"start": "2026-11-23"}, False),
        ({"end": "2026-11-22"}, True),
        ({"end": "2026-11-21"}, False),
        ({"end": "2026-11-22T13:59:59Z"}, False),
        ({"start": "2026-01-01", "end": "2027-01-01"}, True),
        ({"start": "soon"}, False),
        ("always", False),
    ],
)
def test_a_permission_holds_within_its_period(period: Any, holds: bool) -> None:
    assert bool(permitted(r4({**PERMIT, "period": period}))) is holds


def test_the_end_of_a_day_is_that_of_the_site() -> None:
    rule = r4({**PERMIT, "period": {"end": "2026-11-21"}})
    before = datetime(2026, 11, 22, 4, 59, tzinfo=UTC)
    assert permitted(rule, now=before) != set()
    assert permitted(rule, now=before.replace(hour=5, minute=0)) == set()


def test_a_denial_whose_period_cannot_be_read_holds() -> None:
    denial = {"type": "deny", "period": {"start": "soon"}}
    assert permitted(r4(), r4(denial, id="c2")) == set()


def test_a_permission_for_older_data_is_none_for_newer() -> None:
    rule = r4({**PERMIT, "dataPeriod": {"end": "2026-10-31"}})
    assert permitted(rule, data_at=datetime(2026, 10, 1, tzinfo=UTC)) != set()
    assert permitted(rule, data_at=NOW) == set()
    assert permitted(rule) == set()


@pytest.mark.parametrize(
    ("data_at", "holds"),
    [
        ("2026-10-01T03:59:59Z", False),
        ("2026-10-01T04:00:00Z", True),
        ("2026-11-01T03:59:59Z", True),
        ("2026-11-01T04:00:00Z", False),
    ],
)
def test_the_days_of_a_data_period_are_whole_days_of_the_site(
    data_at: str, holds: bool
) -> None:
    october = {"start": "2026-10-01", "end": "2026-10-31"}
    at = datetime.fromisoformat(data_at)

    assert bool(permitted(r4({**PERMIT, "dataPeriod": october}), data_at=at)) is holds


def test_a_denial_for_older_data_holds_where_the_time_of_the_data_is_unknown() -> None:
    denial = r4({"type": "deny", "dataPeriod": {"end": "2026-10-31"}}, id="c2")

    assert permitted(r4(), denial) == set()
    assert permitted(r4(), denial, data_at=datetime(2026, 10, 1, tzinfo=UTC)) == set()
    assert permitted(r4(), denial, data_at=NOW) == {"collect", "use", "disclose"}


@pytest.mark.parametrize(
    ("classes", "holds"),
    [
        ([{"system": TYPES, "code": "Observation"}], True),
        ([{"system": TYPES, "code": "Condition"}], False),
        ([{"system": "urn:ietf:bcp:13", "code": "application/pdf"}], False),
    ],
)
def test_a_permission_is_for_the_kind_of_resource_it_names(
    classes: Any, holds: bool
) -> None:
    assert bool(permitted(r4({**PERMIT, "class": classes}))) is holds


def test_a_denial_of_other_resources_does_not_matter() -> None:
    other = {"type": "deny", "class": [{"system": TYPES, "code": "Condition"}]}
    assert permitted(r4(), r4(other, id="c2")) != set()
    unclear = {"type": "deny", "class": [{"system": "urn:x", "code": "y"}]}
    assert permitted(r4(), r4(unclear, id="c2")) == set()


def test_a_permission_is_for_the_codes_it_names() -> None:
    rule = r4({**PERMIT, "code": loinc("8867-4")})
    assert permitted(rule) != set()
    assert permitted(rule, codes=frozenset({("http://loinc.org", "9279-1")})) == set()
    assert permitted(rule, codes=frozenset()) == set()


def test_a_denial_by_a_code_of_another_system_may_be_meant() -> None:
    snomed = [{"coding": [{"system": "http://snomed.info/sct", "code": "364075005"}]}]
    assert permitted(r4(), r4({"type": "deny", "code": snomed}, id="c2")) == set()
    other = {"type": "deny", "code": loinc("9279-1")}
    assert permitted(r4(), r4(other, id="c2")) != set()


@pytest.mark.parametrize(
    ("purpose", "holds"),
    [("TREAT", True), ("HRESCH", False), ("ETREAT", False), ("PATRQT", False)],
)
def test_a_permission_is_for_treatment(purpose: str, holds: bool) -> None:
    rule = r4({**PERMIT, "purpose": [{"system": REASONS, "code": purpose}]})
    assert bool(permitted(rule)) is holds


def test_a_denial_for_research_does_not_matter_and_one_for_emergencies_may() -> None:
    research = {"type": "deny", "purpose": [{"system": REASONS, "code": "HRESCH"}]}
    assert permitted(r4(), r4(research, id="c2")) != set()
    unclear = {"type": "deny", "purpose": [{"system": REASONS, "code": "ETREAT"}]}
    assert permitted(r4(), r4(unclear, id="c2")) == set()


US = frozenset({"Organization/us", "https://npi.example|42"})


def actor(reference: str) -> list[dict[str, Any]]:
    return [{"role": {"text": "recipient"}, "reference": {"reference": reference}}]


def test_a_permission_for_somebody_is_one_for_us_if_we_are_listed() -> None:
    ours = r4({**PERMIT, "actor": actor("Organization/us")})
    assert permitted(ours, actors=US) != set()
    assert permitted(ours) == set()
    assert permitted(r4({**PERMIT, "actor": actor("Organization/them")})) == set()


def test_an_actor_may_be_named_by_identifier() -> None:
    named = {"identifier": {"system": "https://npi.example", "value": "42"}}
    rule = r4({**PERMIT, "actor": [{"reference": named}]})
    assert permitted(rule, actors=US) != set()


def test_a_denial_for_another_organisation_does_not_matter() -> None:
    other = r4({"type": "deny", "actor": actor("Organization/them")}, id="c2")
    assert permitted(r4(), other, actors=US) != set()
    assert permitted(r4(), other) == set()
    version = actor("Organization/them/_history/2")
    assert permitted(r4(), r4({"type": "deny", "actor": version}), actors=US) != set()
    elsewhere = actor("https://them.example/Organization/us")
    assert permitted(r4(), r4({"type": "deny", "actor": elsewhere}), actors=US) == set()
    person = r4({"type": "deny", "actor": actor("Practitioner/7")}, id="c2")
    assert permitted(r4(), person, actors=US) == set()


@pytest.mark.parametrize(
    "limit",
    [
        {"securityLabel": [{"system": "urn:x", "code": "R"}]},
        {"data": [{"meaning": "instance", "reference": {"reference": "Device/1"}}]},
        {"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]},
        {"expression": {"language": "text/cql", "expression": "true"}},
        {"actor": [{"role": {"text": "somebody"}}]},
        {"code": [{"text": "heart rate"}]},
        {"action": [*ALL, {"text": "and more"}]},
        {"provision": "none"},
    ],
)
def test_what_cannot_be_judged_narrows_a_permission_and_not_a_denial(
    limit: dict[str, Any],
) -> None:
    assert permitted(r4({**PERMIT, **limit})) == set()
    assert permitted(r4(), r4({"type": "deny", **limit}, id="c2")) == set()


def test_an_odd_type_permits_nothing() -> None:
    assert permitted(r4({**PERMIT, "type": "allow"})) == set()


def test_a_modifier_of_the_whole_consent_permits_nothing() -> None:
    odd = [{"url": "urn:not", "valueBoolean": True}]
    assert permitted(r4(modifierExtension=odd)) == set()


def test_a_consent_to_research_is_none_to_care() -> None:
    coding = {**SCOPE["coding"][0], "code": "research"}
    assert permitted(r4(scope={"coding": [coding]})) == set()


def test_provisions_that_are_nested_without_end_permit_nothing() -> None:
    provision: dict[str, Any] = PERMIT
    for _ in range(40):
        provision = {"type": "deny", "provision": [provision]}
    assert permitted(r4(provision)) == set()
    assert permitted(r4(provision), r4(id="c2")) == set()


@pytest.mark.parametrize("provision", ["permit", [1], {"action": "collect"}, 7])
def test_a_malformed_provision_permits_nothing(provision: Any) -> None:
    assert permitted(r4(provision)) == set()


# R5


def test_r5_a_denial_with_exceptions_permits_those() -> None:
    exception = {"action": actions("collect", "use")}
    assert permitted(r5("deny", exception)) == {"collect", "use"}


def test_r5_a_permission_that_names_no_action_permits_nothing() -> None:
    assert permitted(r5("permit")) == set()


def test_r5_the_exceptions_to_a_permission_deny() -> None:
    exception = {"action": actions("use")}
    assert permitted(r4(), r5("permit", exception, id="c2")) == {"collect", "disclose"}


def test_r5_an_exception_to_an_exception_turns_again() -> None:
    weight = {"code": loinc("29463-7")}
    exception = {"action": ALL, "provision": [weight]}
    assert permitted(r5("deny", exception)) != set()
    of_weight = frozenset({("http://loinc.org", "29463-7")})
    assert permitted(r5("deny", exception), codes=of_weight) == set()


def test_r5_the_period_is_that_of_the_whole() -> None:
    over = {"start": "2025-01-01", "end": "2025-12-31"}
    assert permitted(r5("deny", {"action": ALL}, period=over)) == set()


# Assumed


def test_where_consent_is_assumed_a_patient_who_said_nothing_agrees() -> None:
    assert permitted(assumed=True) == {"collect", "use", "disclose"}
    general = r4({"type": "permit"})
    assert permitted(general, assumed=True) == {"collect", "use", "disclose"}


def test_where_consent_is_assumed_what_a_patient_said_holds() -> None:
    denial = r4({"type": "deny", "action": actions("use")})
    assert permitted(denial, assumed=True) == set()
    assert permitted(r4(status="inactive"), assumed=True) == set()
    assert permitted(r4(status="entered-in-error"), assumed=True) != set()


# What can be kept


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ("Consent", "$"),
        ({**r4(), "resourceType": "Patient"}, "$"),
        ({**r4(), "id": None}, "$.id"),
        ({**r4(), "id": "a b"}, "$.id"),
        ({**r4(), "id": "x" * 65}, "$.id"),
        ({**r4(), "status": ""}, "$.status"),
        ({**r4(), "meta": {}}, "$.meta.lastUpdated"),
        ({**r4(), "meta": {"lastUpdated": "2026-11-01"}}, "$.meta.lastUpdated"),
    ],
)
def test_what_tells_versions_apart_is_required(resource: Any, place: str) -> None:
    with pytest.raises(Unreadable) as refused:
        keep_consent(resource, P1, "app")

    assert refused.value.place == place


def test_only_what_matters_is_kept() -> None:
    told = r4(text={"div": "<p>Jane</p>"}, performer=[{"display": "Jane Doe"}])
    assert "Jane" not in str(keep_consent(told, P1, "app").resource)


def test_the_author_is_told_why_a_consent_permits_less_than_meant() -> None:
    labelled = {**PERMIT, "securityLabel": [{"code": "R"}]}
    assert list(doubts(consent(r4(labelled)))) == [
        "$.provision.securityLabel cannot be judged here."
    ]
    assert list(doubts(consent(r4({"type": "permit"})))) == [
        "It names no action: collect, use or disclose."
    ]
    assert list(doubts(consent(r4()))) == []


# Anything


@dataclass(frozen=True)
class Sender:
    id: str = "app"
    tenant: str = "default"
    fhir_base: str = "-"
    time_zone: str = ""


SENDER = Sender()
LIMITS = ("period", "dataPeriod", "actor", "purpose", "class", "code", "data")
WORDS = (*LIMITS, "coding", "system", "reference", "entry", "resource", "provision")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(body=JSON | st.builds(lambda each: r4(each), JSON))
def test_any_body_is_accepted_or_rejected_with_its_place(body: Any) -> None:
    try:
        accepted, rejected = parse_consents(body, SENDER, NOW)
    except Unprocessable as error:
        assert all(each.expression.startswith("$") for each in error.problems)
        return
    assert sorted([*accepted, *(each.index for each in rejected)]) == list(
        range(len(accepted) + len(rejected))
    )


@given(provision=JSON, more=st.dictionaries(st.sampled_from(WORDS), JSON, max_size=3))
def test_whatever_is_added_to_a_denial_it_never_permits(
    provision: Any, more: dict[str, Any]
) -> None:
    read = consent(r4({**more, "type": "deny", "provision": []}))
    assert not permits(read.provision, DataAction(ConsentAction.USE, NOW, HEART_RATE))
    consent(r4(provision))


@given(limit=st.sampled_from(sorted(LIMITS)), value=JSON)
def test_a_limit_never_makes_a_permission_wider(limit: str, value: Any) -> None:
    narrow = {"type": "permit", "action": actions("collect")}
    assert permitted(r4({**narrow, limit: value})) <= {"collect"}
