"""What a medicine is called and coded as, wherever a resource says so."""

from collections.abc import Mapping
from typing import Any

from ..fhir.chart import Chart, Resource
from .matching import Coded
from .readings import codings, items, text_of, texts_of


def coded_medication(resource: Resource, chart: Chart) -> Coded:
    """The codes and names of a medicine: its own, its Medication's, its ingredients'.

    Source: FHIR R4 MedicationRequest.medication[x], Medication.ingredient.
    """
    concept = resource.get("medicationCodeableConcept")
    found = codings(concept)
    names = texts_of(concept)
    medication: Resource = {}
    reference = resource.get("medicationReference")
    if isinstance(reference, dict):
        medication = _referenced(reference.get("reference"), resource, chart) or {}
        for part in _concepts(medication):
            found += codings(part)
            names += texts_of(part)
        if display := text_of(reference.get("display")):
            names.append(display)
    return Coded(
        found,
        list(dict.fromkeys(names)),
        lambda: _forms(resource, medication),
    )


def _concepts(medication: Resource) -> list[Any]:
    """What a Medication is, and what it is made of."""
    return [medication.get("code")] + [
        ingredient.get("itemCodeableConcept")
        for ingredient in items(medication.get("ingredient"))
        if isinstance(ingredient, dict)
    ]


def _forms(resource: Mapping[str, Any], medication: Resource) -> str:
    """Dose form, routes and dosage texts, in one text."""
    words = texts_of(medication.get("form"))
    for dosage in items(resource.get("dosageInstruction", resource.get("dosage"))):
        if isinstance(dosage, dict):
            words += texts_of(dosage.get("route"))
            words.append(text_of(dosage.get("text")))
    return " ".join(words)


def _referenced(reference: Any, holder: Resource, chart: Chart) -> Resource | None:
    if not isinstance(reference, str):
        return None
    if reference.startswith("#"):
        for contained in items(holder.get("contained")):
            if isinstance(contained, dict) and contained.get("id") == reference[1:]:
                return contained
        return None
    return chart.medications.get(reference)
