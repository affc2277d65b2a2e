"""What a medicine is called and coded as, wherever a resource says so."""

from typing import Any

from ..fhir.chart import Chart, Resource
from .matching import Coded
from .readings import codings, items, text_of, texts_of


def coded_medication(resource: Resource, chart: Chart) -> Coded:
    """The codes and names of a medicine: its own, its Medication's, its ingredients'.

    Source: FHIR R4 MedicationRequest.medication[x], Medication.ingredient.
    """
    concepts = [resource.get("medicationCodeableConcept")]
    forms: list[Any] = []
    names: list[str] = []
    reference = resource.get("medicationReference")
    if isinstance(reference, dict):
        medication = _referenced(reference.get("reference"), resource, chart)
        names.append(text_of(reference.get("display")))
        if medication:
            concepts.append(medication.get("code"))
            forms.append(medication.get("form"))
            concepts += [
                ingredient.get("itemCodeableConcept")
                for ingredient in items(medication.get("ingredient"))
                if isinstance(ingredient, dict)
            ]
    for dosage in items(resource.get("dosageInstruction", resource.get("dosage"))):
        if isinstance(dosage, dict):
            forms += [dosage.get("route"), dosage.get("text")]
    found = [coding for concept in concepts for coding in codings(concept)]
    names = [text for concept in concepts for text in texts_of(concept)] + names
    words = [
        text
        for form in forms
        for text in ([form] if isinstance(form, str) else texts_of(form))
    ]
    return Coded(found, [name for name in names if name], " ".join(words))


def _referenced(reference: Any, holder: Resource, chart: Chart) -> Resource | None:
    if not isinstance(reference, str):
        return None
    if reference.startswith("#"):
        for contained in items(holder.get("contained")):
            if isinstance(contained, dict) and contained.get("id") == reference[1:]:
                return contained
        return None
    return chart.medications.get(reference)
