"""What a medicine is called and coded as, wherever a resource says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..fhir.chart import Chart, Resource, medication_of
from .matching import Coded
from .readings import codings, items, text_of, texts_of


def coded_medication(resource: Resource, chart: Chart) -> Coded:
    """The codes and names of a medicine: its own, its Medication's, its ingredients'.

    Source: FHIR R4 MedicationRequest.medication[x], Medication.ingredient; R5 has
    ``medication``, ``doseForm`` and ``item`` instead.
    """
    concept, reference = medication_of(resource)
    found = codings(concept)
    names = texts_of(concept)
    medication: Resource = {}
    if isinstance(reference, dict):
        medication = _referenced(reference.get("reference"), (resource,), chart) or {}
        for part in _concepts(medication, resource, chart):
            found += codings(part)
            names += texts_of(part)
        if display := text_of(reference.get("display")):
            names.append(display)
    return Coded(
        found,
        list(dict.fromkeys(names)),
        lambda: _forms(resource, medication),
    )


def _concepts(medication: Resource, holder: Resource, chart: Chart) -> list[Any]:
    """What a Medication is, and what it is made of."""
    found = [medication.get("code")]
    for ingredient in items(medication.get("ingredient")):
        if not isinstance(ingredient, dict):
            continue
        item = ingredient.get("item")
        if isinstance(item, dict):
            concept, reference = item.get("concept"), item.get("reference")
        else:
            concept = ingredient.get("itemCodeableConcept")
            reference = ingredient.get("itemReference")
        found.append(concept)
        if isinstance(reference, dict):
            named = reference.get("reference")
            substance = _referenced(named, (medication, holder), chart) or {}
            found += [substance.get("code"), {"text": reference.get("display")}]
    return found


def _forms(resource: Mapping[str, Any], medication: Resource) -> str:
    """Dose form, routes and dosage texts, in one text."""
    words = texts_of(medication.get("form")) + texts_of(medication.get("doseForm"))
    for dosage in items(resource.get("dosageInstruction", resource.get("dosage"))):
        if isinstance(dosage, dict):
            words += texts_of(dosage.get("route"))
            words.append(text_of(dosage.get("text")))
    return " ".join(words)


def _referenced(
    reference: Any, holders: Sequence[Resource], chart: Chart
) -> Resource | None:
    """What a reference names: in one of *holders*, or among the chart's Medications."""
    if not isinstance(reference, str):
        return None
    if not reference.startswith("#"):
        return chart.medications.get(reference)
    for holder in holders:
        for contained in items(holder.get("contained")):
            if not isinstance(contained, dict):
                continue
            if contained.get("id") in (reference, reference[1:]):
                return contained
    return None
