"""A service asks for what its rules read, in a form that clients can follow."""

import json

import pytest

from cds_service.fhir.chart import Policy, SourceQuery
from cds_service.protocol.conformance import Reply, judge_discovery
from cds_service.protocol.services import Service, discovery
from cds_service.rulebook.compile.prefetch import (
    DEFAULT_POLICIES,
    derive_queries,
    requirements,
)
from cds_service.rulebook.engine.rows.selectors import Selector
from cds_service.rulebook.terminology.valuesets import ValueSet

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"

CONDITION = Selector("condition", valueset="atrial-fibrillation", status="active")
MEDICATION = Selector("medication", valueset="beta-blockers", status="current")
DRAFT = Selector("medication", valueset="beta-blockers", origin="draft_orders")
ALERT = Selector("wearable_alert", types=("low-heart-rate",))
HEART_RATE = Selector("observation", valueset="heart-rate", status="final")
PRESSURE = Selector("observation", valueset="systolic", status="final")

VALUESETS = {
    "atrial-fibrillation": ValueSet("atrial-fibrillation"),
    "beta-blockers": ValueSet("beta-blockers"),
    "heart-rate": ValueSet(
        "heart-rate",
        codes={LOINC: frozenset({"8867-4", "40443-4"}), SNOMED: frozenset({"1234567"})},
    ),
    "systolic": ValueSet(
        "systolic",
        codes={LOINC: frozenset({"8480-6"})},
        panels=frozenset({(LOINC, "85354-9")}),
    ),
    "many": ValueSet(
        "many", codes={LOINC: frozenset(f"{number}-0" for number in range(100, 181))}
    ),
    "prefixed": ValueSet("prefixed", prefixes={"http://example.org/lab": ("HR",)}),
    "odd": ValueSet("odd", codes={"http://example.org/a&b": frozenset({"x, y&z|#"})}),
}


def derive(*selectors: Selector, **policies: Policy) -> tuple[SourceQuery, ...]:
    return derive_queries(selectors, VALUESETS, policies)


def templates(*selectors: Selector) -> dict[str, str]:
    return {each.key: each.template for each in derive(*selectors)}


def test_the_patient_is_always_read() -> None:
    assert derive() == (
        SourceQuery(
            "patient", "patient", "Patient/{{context.patientId}}", Policy.REQUIRED
        ),
    )


def test_each_kind_of_fact_brings_its_queries_once() -> None:
    assert templates(CONDITION, MEDICATION, HEART_RATE, CONDITION, MEDICATION) == {
        "patient": "Patient/{{context.patientId}}",
        "conditions": "Condition?patient={{context.patientId}}",
        "medication-requests": "MedicationRequest?patient={{context.patientId}}",
        "medication-statements": "MedicationStatement?patient={{context.patientId}}",
        "observations": (
            "Observation?patient={{context.patientId}}"
            "&code=http://loinc.org|40443-4,http://loinc.org|8867-4,"
            "http://snomed.info/sct|1234567&_sort=-date"
        ),
    }


def test_p_9_what_no_rule_reads_is_not_asked_for() -> None:
    assert list(templates(CONDITION)) == ["patient", "conditions"]
    assert list(templates(DRAFT, ALERT)) == ["patient"]


def test_consents_are_asked_for_where_alerts_are_read_and_the_service_says_so() -> None:
    asked = SourceQuery(
        "consents",
        "consents",
        "Consent?patient={{context.patientId}}",
        Policy.REQUIRED,
    )
    assert asked in derive(ALERT, consents=Policy.REQUIRED)
    assert asked not in derive(CONDITION, consents=Policy.REQUIRED)
    assert "consents" not in templates(ALERT)


def test_a_value_in_a_component_is_found_by_the_code_of_its_panel() -> None:
    assert templates(PRESSURE)["observations"] == (
        "Observation?patient={{context.patientId}}"
        "&code=http://loinc.org|8480-6,http://loinc.org|85354-9&_sort=-date"
    )


def test_the_codes_of_all_observations_share_a_query() -> None:
    found = templates(HEART_RATE, PRESSURE)

    assert list(found) == ["patient", "observations"]
    assert found["observations"].count("|") == 5


def test_more_than_forty_codes_are_split() -> None:
    many = Selector("observation", valueset="many")
    found = templates(many)

    assert list(found) == [
        "patient",
        "observations",
        "observations-2",
        "observations-3",
    ]
    assert [found[key].count("|") for key in list(found)[1:]] == [40, 40, 1]
    assert {each.source for each in derive(many)[1:]} == {"observations"}


def test_codes_that_are_known_by_how_they_begin_are_not_searched_for_by_code() -> None:
    prefixed = Selector("observation", valueset="prefixed")

    assert templates(prefixed, HEART_RATE)["observations"] == (
        "Observation?patient={{context.patientId}}&_sort=-date"
    )


def test_the_order_of_selectors_does_not_change_the_queries() -> None:
    assert derive(PRESSURE, MEDICATION, HEART_RATE, CONDITION) == derive(
        CONDITION, HEART_RATE, MEDICATION, PRESSURE
    )


def test_the_defaults_say_what_is_required() -> None:
    found = {
        each.source: each.policy for each in derive(CONDITION, MEDICATION, PRESSURE)
    }

    assert found == {
        name: each for name, each in DEFAULT_POLICIES.items() if each != "skip"
    }
    assert [source for source, policy in found.items() if policy == "required"] == [
        "patient",
        "conditions",
        "medication_requests",
    ]


def test_a_service_may_say_otherwise_and_skip_a_source() -> None:
    found = derive(
        CONDITION,
        MEDICATION,
        conditions=Policy.OPTIONAL,
        medication_statements=Policy.SKIP,
    )

    assert [(each.key, each.policy) for each in found] == [
        ("patient", Policy.REQUIRED),
        ("conditions", Policy.OPTIONAL),
        ("medication-requests", Policy.REQUIRED),
    ]


def test_the_patient_cannot_be_skipped() -> None:
    assert [each.key for each in derive(patient=Policy.SKIP)] == ["patient"]


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("hook", ["patient-view", "order-sign", "order-dispatch"])
def test_p_1_to_p_4_every_template_passes_the_protocols_own_check(hook: str) -> None:
    found = templates(CONDITION, MEDICATION, HEART_RATE, PRESSURE)

    service = Service("review", hook, "Review", "Reviews the chart.", prefetch=found)
    content = json.dumps(discovery([service])).encode()

    assert judge_discovery(Reply(200, JSON, content)) == []


@pytest.mark.parametrize("word", ["status", "_count", "today", "date=", "userId", "%"])
def test_p_4_nothing_in_a_template_hides_rows_or_needs_a_newer_client(
    word: str,
) -> None:
    found = templates(CONDITION, MEDICATION, HEART_RATE, PRESSURE)

    assert [each for each in found.values() if word in each] == []


def test_p_10_a_code_cannot_change_the_query() -> None:
    odd = Selector("observation", valueset="odd")

    assert templates(odd)["observations"] == (
        "Observation?patient={{context.patientId}}"
        "&code=http://example.org/a%26b|x%2C%20y%26z%7C%23&_sort=-date"
    )


# Medications that orders refer to.


def test_a_service_may_ask_for_the_medications_that_medicines_refer_to() -> None:
    found = derive_queries([CONDITION, MEDICATION, HEART_RATE], VALUESETS, {}, True)

    asked = {each.key: each.template.partition("&")[2] for each in found}
    assert asked.pop("observations").startswith("code=")
    assert asked == {
        "patient": "",
        "conditions": "",
        "medication-requests": "_include=MedicationRequest:medication",
        "medication-statements": "_include=MedicationStatement:medication",
    }


def test_by_default_no_template_asks_for_more_than_its_own_type() -> None:
    assert not any("_include" in each for each in templates(MEDICATION).values())


@pytest.mark.parametrize("included", [True, False])
def test_the_requirements_say_what_an_ehr_must_do_about_medicines(
    included: bool,
) -> None:
    text = requirements("Call us first.", derive(MEDICATION), included)

    assert text.startswith("Call us first. ")
    for word in (
        *("medicationCodeableConcept", "medicationReference", "display", "contained"),
        *("the same Bundle", "fhirServer", "scope has Medication", "a card says so"),
    ):
        assert word in text
    assert ("_include" in text) is included


def test_the_requirements_say_nothing_where_no_medicine_is_read() -> None:
    assert requirements("Call us first.", derive(CONDITION)) == "Call us first."
    assert requirements("", derive(CONDITION, DRAFT)) == ""
    skipped = derive(
        MEDICATION,
        medication_requests=Policy.SKIP,
        medication_statements=Policy.SKIP,
    )
    assert requirements("", skipped) == ""
    assert requirements("", derive(MEDICATION)).startswith("A medicine is told by")
