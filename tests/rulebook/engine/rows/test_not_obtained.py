"""A row of which no code ever came may be anything: it is never read as "no"."""

from typing import Any

import pytest

from cds_service.fhir.chart import Source, SourceState
from cds_service.rulebook.cards.sentences import unchecked_detail
from cds_service.rulebook.engine.evaluate import Outcome, evaluate, evaluate_rule
from cds_service.wearables.worn import Wearables

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
METOPROLOL = {"coding": [{"system": RXNORM, "code": "6918"}]}
LISINOPRIL = {"coding": [{"system": RXNORM, "code": "29046"}]}
ABSENT_REASON = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}
BB = "bb: {medication: {in: beta-blockers}}"
DM = "dm: {condition: {in: diabetes}}"
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"


def order(**medicine: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        **medicine,
    }


def to(reference: Any, **more: Any) -> dict[str, Any]:
    return {"medicationReference": {"reference": reference, **more}}


UNOBTAINED = [
    pytest.param(to("Medication/1"), id="a Medication that did not come"),
    pytest.param(to("https://ehr.example/Medication/1"), id="by its address"),
    pytest.param(to("urn:uuid:1"), id="by a uuid"),
    pytest.param(to("#med"), id="a contained Medication that is not there"),
    pytest.param(
        {**to("#med"), "contained": [{"resourceType": "Medication", "id": "other"}]},
        id="another Medication is contained",
    ),
    pytest.param(
        {"medication": {"reference": {"reference": "Medication/1"}}}, id="as in R5"
    ),
    pytest.param(
        {"medicationReference": {"identifier": {"value": "4711"}}}, id="by identifier"
    ),
    pytest.param(
        {"medicationReference": {"display": "Lopressor"}},
        id="by a display that no set knows",
    ),
    pytest.param(
        to("Medication/1", display="Lopressor"), id="with a display beside it"
    ),
    pytest.param({"medicationReference": {}}, id="an empty reference"),
    pytest.param({"medicationCodeableConcept": {"coding": []}}, id="no coding"),
    pytest.param(
        {"medicationCodeableConcept": {"extension": [ABSENT_REASON]}},
        id="a reason in place of the code",
    ),
    pytest.param(
        {"medicationCodeableConcept": {"coding": [{"system": RXNORM}]}},
        id="a coding without a code",
    ),
    pytest.param({}, id="no medicine at all"),
    pytest.param(to("Medication/uncoded"), id="a Medication without a code"),
    pytest.param(to("Medication/mixed"), id="an ingredient that did not come"),
]
MEDICATIONS = {
    "Medication/uncoded": {"resourceType": "Medication", "id": "uncoded"},
    "Medication/mixed": {
        "resourceType": "Medication",
        "id": "mixed",
        "ingredient": [
            {"itemCodeableConcept": LISINOPRIL},
            {"itemReference": {"reference": "Medication/1"}},
        ],
    },
}


@pytest.mark.parametrize("medicine", UNOBTAINED)
@pytest.mark.parametrize(
    "test", ["present", "absent", "{count: {at_least: 1}}", "{count: {below: 1}}"]
)
def test_a_medicine_that_was_not_obtained_may_be_any(
    rules: Any, chart: Any, reasons: Any, test: str, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[order(**medicine)], medications=MEDICATIONS)

    verdict = rules.verdict(BB, f"bb: {test}", patient)

    assert reasons(verdict) == {"not_read"}


@pytest.mark.parametrize(
    ("medicine", "present"),
    [
        (to("Medication/1", display="Metoprolol 50 mg"), True),
        (to("Medication/1", display="Lisinopril 10 mg"), False),
        ({"medicationReference": {"display": "Lisinopril 10 mg"}}, False),
        # The code of the whole settles what an ingredient that did not come may be.
        (to("Medication/coded"), False),
        ({**to("Medication/1"), "medicationCodeableConcept": METOPROLOL}, True),
    ],
    ids=str,
)
def test_what_is_known_of_a_medicine_by_code_or_display_decides(
    rules: Any, chart: Any, medicine: dict[str, Any], present: bool
) -> None:
    coded = {
        "code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "B01AC06"}]},
        "ingredient": [{"itemReference": {"reference": "Medication/1"}}],
    }
    patient = chart(
        requests=[order(**medicine)], medications={"Medication/coded": coded}
    )

    assert rules.verdict(BB, "bb: present", patient) is present
    assert rules.verdict(BB, "bb: absent", patient) is not present


@pytest.mark.parametrize(
    "more",
    [
        {"status": "stopped"},
        {"status": "completed"},
        {"status": "entered-in-error"},
        {"intent": "plan"},
        {"doNotPerform": True},
    ],
    ids=str,
)
def test_a_stopped_order_whose_medicine_was_not_obtained_raises_no_doubt(
    rules: Any, chart: Any, more: dict[str, Any]
) -> None:
    patient = chart(requests=[{**order(**to("Medication/1")), **more}])

    assert rules.verdict(BB, "bb: present", patient) is False
    assert rules.verdict(BB, "bb: absent", patient) is True


def test_an_order_of_which_neither_status_nor_medicine_is_known_may_be_any(
    rules: Any, chart: Any, reasons: Any
) -> None:
    patient = chart(requests=[{**order(**to("Medication/1")), "status": None}])

    assert reasons(rules.verdict(BB, "bb: present", patient)) == {"not_read"}


def test_a_medicine_that_was_read_and_that_no_set_knows_is_unresolved(
    rules: Any, chart: Any, reasons: Any
) -> None:
    unknown = {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "1"}]}
    patient = chart(requests=[order(medicationCodeableConcept=unknown)])

    assert reasons(rules.verdict(BB, "bb: present", patient)) == {"unresolved"}
    assert reasons(rules.verdict(BB, "bb: absent", patient)) == {"unresolved"}


def test_a_site_that_passes_over_what_no_set_places_still_hears_of_what_never_came(
    rules: Any, chart: Any, reasons: Any
) -> None:
    rules.files["site.yaml"] += "unresolved: ignore\n"
    patient = chart(requests=[order(**to("Medication/1"))])

    assert reasons(rules.verdict(BB, "bb: present", patient)) == {"not_read"}
    assert reasons(rules.verdict(BB, "bb: absent", patient)) == {"not_read"}


def test_a_medicine_that_is_surely_there_is_there_whatever_else_did_not_come(
    rules: Any, chart: Any, reasons: Any
) -> None:
    known = order(medicationCodeableConcept=METOPROLOL)
    patient = chart(requests=[known, {**order(**to("Medication/1")), "id": "r2"}])

    assert rules.verdict(BB, "bb: present", patient) is True
    assert rules.verdict(BB, "bb: absent", patient) is False
    assert rules.verdict(BB, "bb: {count: {at_least: 1}}", patient) is True
    above = rules.verdict(BB, "bb: {count: {above: 1}}", patient)
    assert reasons(above) == {"not_read"}


def test_a_draft_order_without_its_medicine_may_be_any(
    rules: Any, chart: Any, reasons: Any
) -> None:
    facts = "bb: {medication: {in: beta-blockers, from: draft_orders}}"
    whole = chart()
    draft = {**order(**to("Medication/1")), "status": "draft"}
    blood_count = {"resourceType": "ServiceRequest", "id": "s", "status": "revoked"}
    sources = {
        name: Source("draft_orders", SourceState.LOADED, (each,))
        for name, each in (("draft", draft), ("blood count", blood_count))
    }
    drafted, other = (
        type(whole)("p", whole.patient, {**whole.sources, "draft_orders": each})
        for each in sources.values()
    )

    assert reasons(rules.verdict(facts, "bb: present", drafted)) == {"not_read"}
    assert rules.verdict(facts, "bb: present", other) is False


UNCODED = [
    pytest.param({}, id="no code element"),
    pytest.param({"code": None}, id="null"),
    pytest.param({"code": {}}, id="empty"),
    pytest.param({"code": {"extension": [ABSENT_REASON]}}, id="a reason in its place"),
    pytest.param({"code": {"coding": [{"display": ""}]}}, id="a coding without a code"),
]


@pytest.mark.parametrize("code", UNCODED)
def test_a_problem_without_any_code_may_be_any(
    rules: Any, chart: Any, reasons: Any, code: dict[str, Any]
) -> None:
    patient = chart(conditions=[{"resourceType": "Condition", "id": "c", **code}])

    assert reasons(rules.verdict(DM, "dm: present", patient)) == {"not_read"}
    assert reasons(rules.verdict(DM, "dm: absent", patient)) == {"not_read"}


@pytest.mark.parametrize("code", UNCODED)
@pytest.mark.parametrize(
    "test",
    [
        "present",
        "absent",
        "{count: {at_least: 1}}",
        "{max: {above: 100}}",
        "{mean: {above: 100}}",
        "{latest: {above: 100}}",
        "{on_days: {above: 100, days: 1}}",
        "{sustained: {above: 100, for: 3 days}}",
        "{rise: {at_least: 10, over: 1 day}}",
        "{repeated: {above: 100, times: 2, apart: 1 hour}}",
    ],
)
def test_a_result_without_any_code_may_be_any(
    rules: Any, chart: Any, reading: Any, reasons: Any, test: str, code: dict[str, Any]
) -> None:
    made = {k: v for k, v in reading(120).items() if k != "code"}
    patient = chart(observations=[{**made, **code}])

    assert reasons(rules.verdict(HR, f"hr: {test}", patient)) == {"not_read"}


def test_a_result_in_words_was_read_and_is_passed_over(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    patient = chart(observations=[reading(120, code={"text": "Pulse"})])

    assert rules.verdict(HR, "hr: present", patient) is False
    assert reasons(rules.verdict(HR, "hr: absent", patient)) == {"unresolved"}


def test_what_lies_outside_of_the_window_whatever_it_is_raises_no_doubt(
    rules: Any, chart: Any, reading: Any
) -> None:
    long_ago = reading(120, "30 days", code=None)
    in_words = reading(120, "30 days", code={"text": "Pulse"}, id="o2")
    patient = chart(observations=[long_ago, in_words])

    assert rules.verdict(HR, "hr: present", patient) is False
    assert rules.verdict(HR, "hr: absent", patient) is True


def test_the_latest_is_known_if_what_has_no_code_is_older(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    latest = "hr: {latest: {above: 100}}"
    older = [reading(120, "1 hours"), reading(60, "2 hours", code=None)]
    newer = [reading(120, "2 hours"), reading(60, "1 hours", code=None)]

    assert rules.verdict(HR, latest, chart(observations=older)) is True
    assert reasons(rules.verdict(HR, latest, chart(observations=newer))) == {"not_read"}


def test_a_panel_without_a_code_is_read_by_its_parts(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    facts = "sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}"
    systolic = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "valueQuantity": {"value": 190, "unit": "mmHg"},
    }
    panel = reading(0, code=None, valueQuantity=None, component=[systolic])
    nameless = reading(
        0, valueQuantity=None, component=[{**systolic, "code": {}}], id="o2"
    )
    above = "sbp: {latest: {above: 180}}"

    assert rules.verdict(facts, above, chart(observations=[panel])) is True
    assert reasons(rules.verdict(facts, above, chart(observations=[nameless]))) == {
        "not_read"
    }


def test_a_rule_over_what_never_came_is_asked_and_named(rules: Any, chart: Any) -> None:
    patient = chart(requests=[order(**to("Medication/1", display="Lopressor"))])

    (found,) = rules.evaluate(BB, "bb: present", patient).items

    assert (found.outcome, found.could_not_check) == (Outcome.UNKNOWN, True)
    assert (
        "- **The rule under test**: Beta-blockers: an entry that may be one of these "
        "was not read whole: its Medication was not obtained (Lopressor)"
    ) in unchecked_detail([found])


def test_what_never_came_and_has_no_name_is_told_without_one(
    rules: Any, chart: Any
) -> None:
    patient = chart(requests=[order(**to("Medication/1"))])

    (found,) = rules.evaluate(BB, "bb: present", patient).items

    assert unchecked_detail([found]).endswith(": its Medication was not obtained")


@pytest.mark.parametrize(
    "when",
    [
        "all: [{bb: present}, {dm: present}]",
        "all: [{dm: present}, {hr: {latest: {above: 100}}}]",
        "all: [{hr: {count: {at_least: 1}}}, {bb: present}]",
    ],
)
@pytest.mark.parametrize("if_unknown", ["silent", "note"])
def test_the_trigger_index_overlooks_nothing_that_never_came(
    rules: Any, chart: Any, reading: Any, when: str, if_unknown: str
) -> None:
    facts = "\n".join([BB, DM, HR])
    coded = {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm"}]}}
    coded["code"]["coding"][0]["code"] = "E11"
    problem = {"resourceType": "Condition", "id": "c"}
    rules.evaluate(facts, when, chart(), more=f"if_unknown: {if_unknown}")
    service = rules.compile().rulebook.services["review", "patient-view"]
    heard = 0

    for medicine in (METOPROLOL, {}):
        for problem_code in (coded, {}, {"code": 7}):
            for result in (reading(120), reading(120, code=None)):
                patient = chart(
                    requests=[order(medicationCodeableConcept=medicine)],
                    conditions=[{**problem, **problem_code}],
                    observations=[result],
                )
                found = evaluate(service, patient, Wearables(), rules.now)
                asked = evaluate_rule(service.rules[0], found.case)
                assert [each.outcome for each in found.items] == [asked.outcome]
                heard += asked.outcome is Outcome.FIRES or asked.could_not_check

    assert heard == 12


def test_what_never_came_is_in_doubt_for_each_part_of_a_union(
    rules: Any, chart: Any, reasons: Any
) -> None:
    facts = f"""\
{BB}
other: {{medication: {{in: other-drugs}}}}
either: {{any_of: [bb, other]}}
"""
    patient = chart(requests=[order(**to("Medication/1"))])

    assert reasons(rules.verdict(facts, "either: present", patient)) == {"not_read"}
    assert reasons(rules.verdict(facts, "either: absent", patient)) == {"not_read"}
