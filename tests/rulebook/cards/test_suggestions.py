"""What is suggested can be filed: who, in which encounter, when, why, by which code."""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from typing import Any

import fhirclient.models
import pytest
from fhirclient.models.resource import Resource as Model

from cds_service.fhir.models import check_resource
from cds_service.protocol.cards import Action, Card, Suggestion
from cds_service.rulebook.cards.cards import draft_cards, identify
from cds_service.rulebook.cards.suggestions import (
    Occasion,
    created,
    join_suggestions,
    target_of,
    why_no_reason,
)
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.values.text import Text

FACTS = """\
drug: {medication: {in: beta-blockers}}
sugar: {condition: {in: diabetes}}
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
"""
WHEN = "any: [{drug: present}, {sugar: present}, {hr: {latest: {above: 0}}}]"
CALL = {"user": "Practitioner/u1", "encounter": "e1"}
ECG: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "proposal",
    "code": {"order": "ecg-12-lead", "text": "12-lead ECG"},
}
TASK = {"resourceType": "Task", "status": "draft", "intent": "proposal"}
E11 = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}
SITE = "format: 1\ntime_zone: America/New_York\nunapproved: serve\n"
ORDERS = (
    "orders:\n"
    "  ecg-12-lead: {system: loinc, code: 34534-8, display: 12 lead EKG panel}\n"
)


def nothing(fact: str, attribute: str) -> None:
    """What a placeholder shows where there is nothing."""


def diabetes(id: str | None = "c1") -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        **({"id": id} if id else {}),
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [E11], "text": "Diabetes"},
        "subject": {"reference": "Patient/p"},
    }


def metoprolol() -> dict[str, Any]:
    system = "http://www.nlm.nih.gov/research/umls/rxnorm"
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"coding": [{"system": system, "code": "6918"}]},
    }


def suggestion(*resources: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A suggestion that creates each; *more* is said of every action."""
    actions = [{"description": "D", "create": each, **more} for each in resources]
    return {"label": f"Draft {resources[0]['resourceType']}", "actions": actions}


def card(
    rules: Any, chart: Any, *suggestions: Any, call: Any = CALL, **more: Any
) -> Card:
    """The card of a rule with these suggestions, about a patient with diabetes."""
    written = json.dumps({"suggestions": suggestions, **more.pop("card", {})})
    read = {"conditions": [diabetes()], **more}
    found = rules.evaluate(FACTS, WHEN, chart(**read), more=f"card_defaults: {written}")
    (service,) = rules.compile().rulebook.services.values()
    (draft,) = draft_cards(found, service.service, call)
    return draft.card


def made(rules: Any, chart: Any, resource: Any, **more: Any) -> dict[str, Any]:
    """The one resource that the card suggests to create."""
    said = {name: more.pop(name) for name in ("reason",) if name in more}
    shown = card(rules, chart, suggestion(resource, **said), **more)
    found = dict(shown.suggestions[0].actions[0].resource or {})
    assert check_resource(found) == []
    return found


# Whose, where, when and by whom


@pytest.mark.parametrize(
    ("resource", "patient"),
    [(ECG, "subject"), (TASK, "for")],
    ids=["an order", "a task"],
)
def test_a_request_says_whose_it_is_in_which_encounter_when_and_by_whom(
    rules: Any, chart: Any, resource: Any, patient: str
) -> None:
    found = made(rules, chart, resource)

    assert found[patient] == {"reference": "Patient/p"}
    assert found["encounter"] == {"reference": "Encounter/e1"}
    assert found["authoredOn"] == "2026-11-22"
    assert found["requester"] == {"reference": "Practitioner/u1"}


def test_what_the_call_does_not_tell_is_left_out(rules: Any, chart: Any) -> None:
    found = made(rules, chart, ECG, call={"user": None, "encounter": None})

    assert found.keys() == {*ECG, "subject", "authoredOn"}


@pytest.mark.parametrize(
    "call",
    [
        {"encounter": "no id", "user": "Practitioner/no id"},
        {"encounter": "Encounter/e1", "user": "u1"},
        {"encounter": "x" * 65, "user": "Organization/o"},
        {"encounter": "", "user": "Patient/somebody-else"},
    ],
)
def test_what_is_no_id_or_no_requester_is_left_out(
    rules: Any, chart: Any, call: Any
) -> None:
    assert made(rules, chart, ECG, call=call).keys() == {*ECG, "subject", "authoredOn"}


@pytest.mark.parametrize(
    ("kind", "user", "named"),
    [
        ("ServiceRequest", "PractitionerRole/r", True),
        ("ServiceRequest", "Patient/p", True),
        ("ServiceRequest", "RelatedPerson/mother", True),
        ("DeviceRequest", "Practitioner/u1", True),
        ("DeviceRequest", "Patient/p", False),
        ("RequestGroup", "RelatedPerson/mother", False),
    ],
)
def test_the_user_is_the_requester_where_the_resource_may_name_such_a_one(
    kind: str, user: str, named: bool
) -> None:
    occasion = Occasion("p", "2026-11-22", requester=user)
    found = created({"resourceType": kind}, lambda *_: None, occasion)

    member = "author" if kind == "RequestGroup" else "requester"
    assert found.get(member) == ({"reference": user} if named else None)


def test_what_the_author_set_stays(rules: Any, chart: Any) -> None:
    own = {
        "encounter": {"reference": "Encounter/other"},
        "requester": {"reference": "Organization/us"},
        "authoredOn": "2026-01-01",
        "reasonReference": [{"reference": "Condition/other"}],
    }

    found = made(rules, chart, {**ECG, **own}, reason=["sugar"])

    assert {name: found[name] for name in own} == own


def models() -> dict[str, dict[str, tuple[str, bool]]]:
    """Type and whether it is a list, of each member of each strict model."""
    found = {}
    for each in pkgutil.iter_modules(fhirclient.models.__path__):
        module = importlib.import_module(f"fhirclient.models.{each.name}")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Model):
                members = kind().elementProperties()
                found[kind.resource_type] = {
                    name: (type.__name__, many) for _, name, type, many, *_ in members
                }
    return found


MODELS = models()
FILLED = ("encounter", "context", "requester", "orderer", "prescriber", "authoredOn")


@pytest.mark.parametrize(
    "kind",
    [
        "AllergyIntolerance",
        "Appointment",
        "CarePlan",
        "CareTeam",
        "ClinicalImpression",
        "Communication",
        "CommunicationRequest",
        "Condition",
        "DetectedIssue",
        "DeviceRequest",
        "DiagnosticReport",
        "DocumentReference",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "Immunization",
        "List",
        "MedicationAdministration",
        "MedicationRequest",
        "MedicationStatement",
        "NutritionOrder",
        "Observation",
        "Procedure",
        "QuestionnaireResponse",
        "RequestGroup",
        "RiskAssessment",
        "ServiceRequest",
        "SupplyRequest",
        "Task",
        "VisionPrescription",
    ],
)
def test_each_type_gets_the_members_that_fhir_has_for_it_and_no_other(
    kind: str,
) -> None:
    occasion = Occasion("p", "2026-11-22", "e1", "Practitioner/u1")
    found = created({"resourceType": kind}, lambda *_: None, occasion)
    del found["resourceType"]
    members = MODELS[kind]

    told = [each for each in check_resource({"resourceType": kind, **found})]
    assert [each for each in told if "superfluous" in each.lower()] == []
    assert found.keys() <= members.keys()
    one = ("FHIRReference", False)
    fitting = {name for name in FILLED if members.get(name) == one}
    dated = {"authoredOn"} if "authoredOn" in members else set()
    about = {"subject", "patient", "for"} & members.keys()
    assert fitting | dated <= found.keys()
    assert bool(about & found.keys()) is bool(about)


# Why


def test_the_reason_is_the_record_that_the_card_rests_on(
    rules: Any, chart: Any, reading: Any
) -> None:
    reason = ["sugar", "hr"]
    observed = reading(70)

    found = made(rules, chart, ECG, reason=reason, observations=[observed])

    assert found["reasonReference"] == [
        {"reference": "Condition/c1"},
        {"reference": f"Observation/{observed['id']}"},
    ]


def test_a_reason_that_is_not_in_the_record_is_left_out(rules: Any, chart: Any) -> None:
    found = made(rules, chart, ECG, reason=["hr", "sugar"])

    assert found["reasonReference"] == [{"reference": "Condition/c1"}]
    assert "reasonReference" not in made(rules, chart, ECG, reason=["hr"])


def test_a_reason_without_an_id_is_told_by_its_code(rules: Any, chart: Any) -> None:
    found = made(rules, chart, ECG, reason=["sugar"], conditions=[diabetes(None)])

    (told,) = found["reasonCode"]
    assert told["text"] == "Diabetes"
    assert told["coding"][0]["system"] == E11["system"]
    assert "reasonReference" not in found


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (Row("", "Diabetes"), {"text": "Diabetes"}),
        (
            Row("", "", "http://example.org/codes|2.0|E11"),
            {
                "coding": [{"system": "http://example.org/codes|2.0", "code": "E11"}],
                "text": "http://example.org/codes|2.0|E11",
            },
        ),
    ],
    ids=["by its name alone", "by a code of a version of its system"],
)
def test_a_reason_that_has_no_record_is_told(row: Row, told: dict[str, Any]) -> None:
    occasion = Occasion("p", "2026-11-22")

    found = created(ECG, nothing, occasion, [row])

    assert found["reasonCode"] == [told]


def test_a_task_has_one_reason_and_it_may_be_a_medicine(rules: Any, chart: Any) -> None:
    reason = ["hr", "drug", "sugar"]

    found = made(rules, chart, TASK, reason=reason, requests=[metoprolol()])

    assert found["reasonReference"] == {"reference": "MedicationRequest/m1"}


def test_a_task_has_one_reason_by_its_code_where_it_has_no_id() -> None:
    rows = [Row("", "Diabetes"), Row("", "Asthma")]

    found = created(TASK, nothing, Occasion("p", "2026-11-22"), rows)

    assert found["reasonCode"] == {"text": "Diabetes"}
    assert "reasonReference" not in found


def test_a_text_of_a_resource_has_room_for_a_thousand_characters() -> None:
    note = {**TASK, "description": "Ask: {{ drug.name }}"}
    for length, room in ((900, 905), (2000, 1000)):
        name = Text("x" * length, True)

        found = created(note, lambda fact, attribute: name, Occasion("p", ""))

        assert len(found["description"]) == room


# By which code


def test_an_order_has_the_code_of_the_site_beside_its_text(
    rules: Any, chart: Any
) -> None:
    rules.files["site.yaml"] = SITE + ORDERS

    loinc = {"system": "http://loinc.org", "code": "34534-8"}
    assert made(rules, chart, ECG)["code"] == {
        "coding": [{**loinc, "display": "12 lead EKG panel"}],
        "text": "12-lead ECG",
    }


@pytest.mark.parametrize("orders", ["", "orders: {ecg-12-lead: {}}\n"])
def test_an_order_without_a_code_of_the_site_keeps_its_text(
    rules: Any, chart: Any, orders: str
) -> None:
    rules.files["site.yaml"] = SITE + orders

    assert made(rules, chart, ECG)["code"] == {"text": "12-lead ECG"}


def test_an_update_may_name_an_order_too(rules: Any, chart: Any) -> None:
    rules.files["site.yaml"] = SITE + ORDERS
    change = {"set": {"code": ECG["code"]}, "update": "sugar", "description": "D"}

    shown = card(rules, chart, {"label": "Change", "actions": [change]})

    (action,) = shown.suggestions[0].actions
    assert action.resource
    assert action.resource["code"]["coding"][0]["code"] == "34534-8"


# What check finds


def told(
    rules: Any, chart: Any, *suggestions: Any, orders: str = "", **more: Any
) -> list[tuple[str, str, str]]:
    """File, code and level of what is found where a card says this."""
    facts = FACTS + "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"
    rules.evaluate(facts, f"any: [{{low: present}}, {{{WHEN}}}]", chart())
    defaults = json.dumps({"suggestions": suggestions, **more})
    text = rules.files["test.yaml"]
    text = text.replace("card:\n", f"card_defaults: {defaults}\ncard:\n")
    rules.files.update({"test.yaml": text, "site.yaml": SITE + orders})
    findings = compile_rulebook(rules.files, check_resource).findings
    kept = ("CDS67", "CDS50")
    return [(f.file, f.code, f.level.value) for f in findings if f.code[:5] in kept]


def test_nothing_is_told_of_what_is_right(rules: Any, chart: Any) -> None:
    right = suggestion(ECG, reason=["sugar", "hr"])
    both = {"selection": "any", "together": "Draft both"}
    task = suggestion(TASK, reason=["drug"])

    assert told(rules, chart, right, task, orders=ORDERS, **both) == []
    assert told(rules, chart, right) == []


def test_an_order_that_the_site_does_not_list_and_one_that_no_rule_uses_are_told(
    rules: Any, chart: Any
) -> None:
    wrong = {**ECG, "code": {"order": "ecg-12-leed", "text": "12-lead ECG"}}

    assert told(rules, chart, suggestion(wrong), orders=ORDERS) == [
        ("site.yaml", "CDS672", "warning"),
        ("test.yaml", "CDS671", "warning"),
    ]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("loinc", "34534-9"),
        ("loinc", "34534"),
        ("loinc", "345E4-8"),
        ("lonic", "34534-8"),
        ("https://ehr.example.org/orders", "two words"),
    ],
)
def test_a_code_that_cannot_be_one_is_told(
    rules: Any, chart: Any, system: str, code: str
) -> None:
    wrong = (
        f"orders: {{ecg-12-lead: {{system: '{system}', code: '{code}', display: E}}}}"
    )

    assert told(rules, chart, suggestion(ECG), orders=wrong) == [
        ("site.yaml", "CDS673", "error")
    ]


def test_a_code_of_the_site_s_own_catalogue_is_taken_as_it_is(
    rules: Any, chart: Any
) -> None:
    own = "orders: {ecg-12-lead: {system: 'https://ehr/x', code: E12, display: ECG}}"

    assert told(rules, chart, suggestion(ECG), orders=own) == []


@pytest.mark.parametrize(
    "code", [{"order": "ecg-12-lead"}, {"order": "ecg-12-lead", "text": "T", "a": 1}]
)
def test_an_order_without_its_text_or_with_more_is_told(
    rules: Any, chart: Any, code: Any
) -> None:
    found = told(rules, chart, suggestion({**ECG, "code": code}), orders=ORDERS)

    assert ("test.yaml", "CDS674", "error") in found


@pytest.mark.parametrize(
    ("resource", "fact", "code"),
    [
        (ECG, "low", "CDS675"),
        (ECG, "drug", "CDS675"),
        (TASK, "low", "CDS675"),
        ({"resourceType": "Flag", "status": "active", "code": {}}, "sugar", "CDS675"),
        (ECG, "suger", "CDS502"),
    ],
)
def test_what_cannot_be_the_reason_is_told(
    rules: Any, chart: Any, resource: Any, fact: str, code: str
) -> None:
    found = told(rules, chart, suggestion(resource, reason=[fact]))

    assert ("test.yaml", code, "error") in found


@pytest.mark.parametrize(
    ("resource_type", "kind", "why"),
    [
        ("ServiceRequest", "condition", ""),
        ("Task", "medication", ""),
        (
            "ServiceRequest",
            "wearable_alert",
            "the reason for a ServiceRequest is no wearable alert",
        ),
        ("Flag", "condition", "a Flag has no `reasonReference` to fill in"),
        ("Basic", "condition", "a Basic has no `reasonReference` to fill in"),
    ],
)
def test_why_a_fact_is_no_reason_is_said_by_the_type_of_the_resource(
    resource_type: str, kind: str, why: str
) -> None:
    assert why_no_reason(resource_type, kind) == why


@pytest.mark.parametrize(
    ("action", "target"),
    [
        (Action("create", "", {"resourceType": "Task"}), "Task"),
        (Action("update", "", {"resourceType": "Task", "id": "1"}), "Task/1"),
        (Action("delete", "", resource_id="Task/1"), "Task/1"),
        (Action("create", "", {}), ""),
    ],
)
def test_an_action_is_about_a_record_or_about_a_type(
    action: Action, target: str
) -> None:
    assert target_of(action) == target


@pytest.mark.parametrize(
    ("selection", "several"),
    [
        ("at-most-one", [{}, {}]),
        ("any", [{}]),
        ("any", [{}, {"action_selection": "any"}]),
    ],
)
def test_what_cannot_be_taken_together_is_told(
    rules: Any, chart: Any, selection: str, several: Any
) -> None:
    suggestions = [{**suggestion(TASK), **each} for each in several]
    more = {"selection": selection, "together": "All"}

    assert told(rules, chart, *suggestions, **more) == [
        ("test.yaml", "CDS676", "error")
    ]


def test_a_resource_that_needs_a_user_is_refused_since_a_call_may_have_none(
    rules: Any, chart: Any
) -> None:
    glasses = {
        "resourceType": "VisionPrescription",
        "status": "draft",
        "lensSpecification": [
            {"eye": "left", "product": {"text": "lens"}},
        ],
    }
    own = {"prescriber": {"reference": "Practitioner/u2"}}

    refused = ("test.yaml", "CDS509", "error")
    assert told(rules, chart, suggestion(glasses)) == [refused]
    assert told(rules, chart, suggestion({**glasses, **own})) == []


# Together


STOP = Action("delete", "Stop", resource_id="MedicationRequest/m1")
CREATE = Action("create", "Order", {"resourceType": "Task"})


def test_suggestions_are_joined_with_all_their_actions() -> None:
    one, two = Suggestion("", "A", (STOP,)), Suggestion("", "B", (CREATE, CREATE))

    joined = join_suggestions("Both", (one, two))

    assert joined == Suggestion("", "Both", (STOP, CREATE, CREATE))


@pytest.mark.parametrize(
    "suggestions",
    [
        (Suggestion("", "A", (STOP,)),),
        (Suggestion("", "A", (STOP,)), Suggestion("", "B", (STOP,))),
        (
            Suggestion("", "A", (STOP,)),
            Suggestion("", "B", (CREATE,), action_selection="any"),
        ),
    ],
    ids=["one alone", "the same record twice", "a choice"],
)
def test_what_cannot_be_one_is_not_joined(suggestions: Any) -> None:
    assert join_suggestions("Both", suggestions) is None
    assert join_suggestions("", (Suggestion("", "A"), Suggestion("", "B"))) is None


def test_all_together_has_an_identity_of_its_own(rules: Any, chart: Any) -> None:
    both = {"selection": "any", "together": "Draft both"}
    found = rules.evaluate(
        FACTS,
        WHEN,
        chart(conditions=[diabetes()]),
        more="card_defaults: "
        + json.dumps({"suggestions": [suggestion(ECG), suggestion(TASK)], **both}),
    )
    (service,) = rules.compile().rulebook.services.values()
    drafts = draft_cards(found, service.service, CALL)

    (one,), (again,) = identify(drafts, "seed"), identify(drafts, "seed")

    assert one.card.together and again.card.together
    assert one.card.together.label == "Draft both"
    assert one.card.together.uuid == again.card.together.uuid
    uuids = [each.uuid for each in (*one.card.suggestions, one.card.together)]
    assert len({*uuids, one.card.uuid}) == 4 and all(uuids)


def test_all_together_is_not_offered_where_one_of_them_cannot_be_made(
    rules: Any, chart: Any
) -> None:
    stop = {"label": "Stop", "actions": [{"remove": "drug", "description": "D"}]}
    both = {"selection": "any", "together": "All three"}

    shown = card(rules, chart, suggestion(ECG), suggestion(TASK), stop, card=both)

    assert len(shown.suggestions) == 2
    assert shown.together is None


# Without a person


def test_what_is_done_without_a_person_names_no_requester(
    rules: Any, chart: Any
) -> None:
    action = {"description": "D", "create": ECG, "reason": ["sugar"]}
    approved = "governance: {approved: {by: Dr. A. Rivera, on: 2026-01-05}}"
    more = f"{approved}\ncard_defaults: {json.dumps({'system_actions': [action]})}"
    found = rules.evaluate(FACTS, WHEN, chart(conditions=[diabetes()]), more=more)
    (service,) = rules.compile().rulebook.services.values()

    (draft,) = draft_cards(found, service.service, CALL)

    (done,) = draft.system_actions
    assert done.resource and check_resource(done.resource) == []
    assert done.resource["encounter"] == {"reference": "Encounter/e1"}
    assert done.resource["reasonReference"] == [{"reference": "Condition/c1"}]
    assert "requester" not in done.resource
