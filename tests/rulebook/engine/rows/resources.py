"""Problems, orders and statements of the least that each needs."""

from typing import Any

BETA_BLOCKER = "bb: {{medication: {{in: beta-blockers{}}}}}"
DIABETES = "dm: {{condition: {{in: diabetes{}}}}}"
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"

METOPROLOL = {
    "coding": [
        {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6918"}
    ]
}
E11 = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": METOPROLOL,
        **more,
    }


def statement(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "medicationCodeableConcept": METOPROLOL,
        **more,
    }


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "code": E11, **more}


ENCOUNTER = [{"coding": [{"code": "encounter-diagnosis"}]}]
PROBLEM_LIST = [{"coding": [{"code": "problem-list-item"}]}]


def status(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}
