"""A chart of a few resources, and what card text shows of its facts."""

from typing import Any

ICD = "http://hl7.org/fhir/sid/icd-10-cm"


FACTS = """\
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
dm: {condition: {in: diabetes}}
bb: {medication: {in: beta-blockers}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""


WHEN = "any: [{hr: present}, {dm: present}, {bb: present}, {low: present}]"


def show(
    rules: Any, patient: Any, *names: str, alerts: Any = (), worn: Any = None
) -> list[str | None]:
    (found,) = rules.evaluate(FACTS, WHEN, patient, list(alerts), worn=worn).items
    shown = [found.text(*name.split(".")) for name in names]
    return [text.text if text else None for text in shown]


def condition(code: str, name: str = "", **more: Any) -> dict[str, Any]:
    coding = {"system": ICD, "code": code, **({"display": name} if name else {})}
    return {
        "resourceType": "Condition",
        "id": code,
        "code": {"coding": [coding]},
        **more,
    }


def order(name: str, authored: str | None = None, **more: Any) -> dict[str, Any]:
    written = {
        "resourceType": "MedicationRequest",
        "id": f"{name}-{authored}",
        "status": "active",
        "intent": "order",
        "authoredOn": authored,
        "medicationCodeableConcept": {"text": name},
        **more,
    }
    return {key: value for key, value in written.items() if value}


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def product(name: str, code: str = "", **more: Any) -> dict[str, Any]:
    coding = {"system": RXNORM, "code": code} if code else {}
    concept = {"text": name, **({"coding": [coding]} if coding else {})}
    return order(name, medicationCodeableConcept=concept, **more)
