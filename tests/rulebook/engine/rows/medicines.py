"""Orders and statements of medicines, and why one may not say that it is taken."""

from typing import Any

TABLET = "metoprolol succinate 100 MG Extended Release Oral Tablet"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def drug(name: str = TABLET, code: str = "866414") -> dict[str, Any]:
    return {"coding": [{"system": RXNORM, "code": code, "display": name}]}


def order(authored: str | None, status: str = "active", **more: Any) -> dict[str, Any]:
    written = {
        "resourceType": "MedicationRequest",
        "id": f"{status}-{authored}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": drug(),
        "authoredOn": authored,
        **more,
    }
    return {name: value for name, value in written.items() if value is not None}


def statement(at: str | None, status: str = "active", **more: Any) -> dict[str, Any]:
    written = {
        "resourceType": "MedicationStatement",
        "id": f"{status}-{at}",
        "status": status,
        "medicationCodeableConcept": drug(),
        "effectiveDateTime": at,
        **more,
    }
    return {name: value for name, value in written.items() if value is not None}


def period(start: str | None = None, end: str | None = None) -> dict[str, Any]:
    both = {"start": start, "end": end}
    return {name: value for name, value in both.items() if value}


def supply(days: float, repeats: int | None = None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "expectedSupplyDuration": {"value": days, "unit": "days", "code": "d"}
    }
    if repeats is not None:
        request["numberOfRepeatsAllowed"] = repeats
    return {"dispenseRequest": request}


def bounds(**repeat: Any) -> dict[str, Any]:
    return {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


STOPPED = "active, but a later entry of it was stopped"
COMPLETED = "active, but a later order of it is completed"
NOT_TAKEN = "active, but a later entry says that it is not taken"
HELD = "active, but a later entry is on hold or an order not to give it"
FORBIDDEN = "an order not to give it"
ENDED = "active, but its supply ended long ago"
GAP = "its orders leave a gap before the last start"
LATER = "it is to be taken from a later time on"
LASTS = "completed, but what was supplied lasts longer"
RENEWS = "it renews an order that is not here"
