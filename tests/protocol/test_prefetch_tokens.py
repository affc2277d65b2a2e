from datetime import date
from typing import Any

import pytest

from cds_service.protocol.prefetch_tokens import (
    Filling,
    Unfillable,
    fill_template,
    keys_read,
)

DRAFTS = "context.draftOrders.entry.resource"
CONTEXT = {
    "userId": "PractitionerRole/r9",
    "patientId": "1288992",
    "flag": True,
    "odd": "a,b|c",
    "draftOrders": {
        "resourceType": "Bundle",
        "entry": [
            {
                "resource": {
                    "resourceType": "MedicationRequest",
                    "id": "a",
                    "medicationReference": {"reference": "Medication/m1"},
                    "requester": {"reference": "Practitioner/7"},
                }
            },
            {
                "resource": {
                    "resourceType": "MedicationRequest",
                    "id": "b",
                    "contained": [{"resourceType": "Medication", "id": "inside"}],
                    "medicationReference": {"reference": "#inside"},
                    "requester": {"reference": "PractitionerRole/8"},
                }
            },
            {
                "fullUrl": "urn:uuid:s",
                "resource": {
                    "resourceType": "ServiceRequest",
                    "id": "s",
                    "basedOn": [{"reference": "urn:uuid:s"}],
                },
            },
        ],
    },
}
ROLES = {
    "resourceType": "Bundle",
    "entry": [
        {
            "resource": {
                "resourceType": "PractitionerRole",
                "id": "8",
                "practitioner": {"reference": "Practitioner/9"},
            }
        }
    ],
}


def read(reference: str) -> Any:
    known = {
        "Practitioner/7": {
            "resourceType": "Practitioner",
            "id": "7",
            "managed": {"reference": "Organization/o"},
        }
    }
    return known.get(reference)


FILLING = Filling(
    CONTEXT, today=date(2024, 9, 13), answered={"my-roles": ROLES}, read=read
)


@pytest.mark.parametrize(
    ("rule", "template", "query"),
    [
        ("P-1", "Patient/{{context.patientId}}", "Patient/1288992"),
        ("P-1", "Patient/{{ context.patientId }}", "Patient/1288992"),
        ("P-1", "PractitionerRole?_id={{userPractitionerRoleId}}", "…?_id=r9"),
        ("P-2", "Condition?patient={{context.patientId}}", "…?patient=1288992"),
        ("P-2", "Condition?patient={{%context.patientId}}", "…?patient=1288992"),
        ("P-3", "{{context.userId}}", "PractitionerRole/r9"),
        ("P-5", "A?date=gt{{today()}}", "…?date=gt2024-09-13"),
        ("P-5", "A?date=gt{{today() - 90 days}}", "…?date=gt2024-06-15"),
        ("P-5", "A?date=lt{{today() + 365 days}}", "…?date=lt2025-09-13"),
        ("P-5", "A?date=lt{{today()+1 day}}", "…?date=lt2024-09-14"),
        ("P-5", f"M?_id={{{{{DRAFTS}.id}}}}", "…?_id=a,b,s"),
        ("P-5", f"M?_id={{{{{DRAFTS}.medication.resolve().id}}}}", "…?_id=m1,inside"),
        (
            "P-5",
            f"P?_id={{{{{DRAFTS}.requester.resolve().ofType(Practitioner).id}}}}",
            "…?_id=7",
        ),
        (
            "P-5",
            f"O?_id={{{{{DRAFTS}.requester.resolve().managed.resolve().id}}}}",
            "…?_id=o",
        ),
        ("P-5", f"S?_id={{{{{DRAFTS}.basedOn.resolve().id}}}}", "…?_id=s"),
        ("P-5", f"P?_id={{{{{DRAFTS}.requester}}}}", "…?_id=…"),
        (
            "P-6",
            "P?_id={{%my-roles.entry.resource.practitioner.resolve().id"
            "|userPractitionerRoleId}}",
            "…?_id=9,r9",
        ),
        ("P-6", "P?_id={{%`my-roles`.entry.resource.id}}", "…?_id=8"),
        ("P-7", f"M?_id={{{{{DRAFTS}.ofType(ServiceRequest).id}}}}", "…?_id=s"),
        ("P-7", f"M?_id={{{{{DRAFTS}.ofType(FHIR.ServiceRequest).id}}}}", "…?_id=s"),
        ("P-8", "Condition?category=x", "Condition?category=x"),
        ("P-10", "A?x={{context.odd}}", "…?x=a%5C%2Cb%5C%7Cc"),
        ("P-10", "A/{{context.odd}}", "A/a%2Cb%7Cc"),
        ("P-10", "A?x={{context.flag}}", "…?x=true"),
    ],
)
def test_a_template_is_filled(rule: str, template: str, query: str) -> None:
    whole = query.replace("…?", template.partition("?")[0] + "?")
    whole = whole.replace("…", "Practitioner/7,PractitionerRole/8")

    assert fill_template(template, FILLING) == whole


@pytest.mark.parametrize(
    ("rule", "template", "reason"),
    [
        ("P-1", "Patient/{{Patient.id}}", "neither context.<field>"),
        ("P-1", "Patient/{{context.patientId", "braces"),
        ("P-1", "Patient/{{userPatientId}}", "has no value"),
        ("P-2", "Patient/{{patientId}}", "neither context.<field>"),
        ("P-2", "Patient/{{context}}", "names no field"),
        ("P-2", "Encounter/{{context.encounterId}}", "has no value"),
        ("P-5", "A?date=gt{{today() - 3 months}}", "dates are written"),
        ("P-5", "A?date=gt{{today() - 999999999 days}}", "out of the calendar"),
        ("P-5", f"M?_id={{{{{DRAFTS}.first().id}}}}", r"first\(\) is outside"),
        ("P-5", "M?_id={{context.draftOrders}}", "ends at an object"),
        ("P-5", f"M?_id={{{{{DRAFTS}.requester.resolve().nothing}}}}", "no value"),
        ("P-5", f"P?_id={{{{{DRAFTS}.requester.resolve()}}}}", "ends at an object"),
        ("P-5", "M?_id={{context.patientId!}}", "cannot be read at '!'"),
        ("P-5", "M?_id={{context.patientId.resolve().id}}", "no value"),
        ("P-5", "M?_id={{context.flag.resolve().id}}", "no value"),
        ("P-5", "M?_id={{context.patientId.id}}", "no value"),
        ("P-6", "M?_id={{%later.id}}", "the key later, which it reads"),
        ("P-7", f"M?_id={{{{{DRAFTS}.ofType(string)}}}}", "no FHIR resource type"),
        ("P-7", f"M?_id={{{{{DRAFTS}.ofType(Quantity)}}}}", "no FHIR resource type"),
    ],
)
def test_a_template_without_a_meaning_says_why(
    rule: str, template: str, reason: str
) -> None:
    with pytest.raises(Unfillable, match=reason):
        fill_template(template, FILLING)


@pytest.mark.parametrize("id", ["..", "."])
def test_an_id_cannot_leave_its_place(id: str) -> None:
    with pytest.raises(Unfillable, match="leave the place"):
        fill_template("Patient/{{context.patientId}}", Filling({"patientId": id}))


def test_the_user_who_is_logged_in_is_not_always_the_context_s() -> None:
    template = "Practitioner/{{userPractitionerId}}"

    assert fill_template(template, Filling({}, "Practitioner/3")) == "Practitioner/3"


def test_without_a_day_there_is_no_today() -> None:
    with pytest.raises(Unfillable, match="day is not known"):
        fill_template("A?date={{today()}}", Filling({}))


def test_the_keys_that_a_template_builds_on_are_found() -> None:
    template = "A?x={{%one.id|%`the-other`.id}}&y={{context.patientId}}&z={{nonsense}}"

    assert keys_read(template) == ["one", "the-other"]
