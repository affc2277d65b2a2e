"""What a medicine is called and coded as, wherever a resource says so."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....fhir.chart import Chart, Resource, medication_of
from ....protocol.formats import is_whole
from ...values.truth import ReasonKind
from .matching import Coded, Shape, Stated
from .readings import (
    MISSHAPEN,
    NO_CODE,
    Lack,
    codings,
    is_misshapen,
    items,
    text_of,
    texts_of,
)

NOT_OBTAINED = Lack(ReasonKind.NOT_READ, "its Medication was not obtained")
NOT_FOLLOWED = Lack(ReasonKind.NOT_READ, "its reference names no resource")
INGREDIENT_NOT_OBTAINED = Lack(ReasonKind.NOT_READ, "an ingredient was not obtained")


def coded_medication(resource: Resource, chart: Chart) -> Coded:
    """The codes and names of a medicine: its own, its Medication's, its ingredients'.

    Source: FHIR R4 MedicationRequest.medication[x], Medication.ingredient; R5 has
    ``medication``, ``doseForm`` and ``item`` instead.
    """
    concept, reference = medication_of(resource)
    medication = _medication(reference, resource, chart)
    whole = [concept, medication.get("code") if medication else None]
    ingredients = _ingredients(medication or {}, resource, chart)
    parts = [*whole, *(each for held in ingredients for each in held)]
    names = [text for part in parts for text in texts_of(part)]
    if isinstance(reference, dict) and (display := text_of(reference.get("display"))):
        names.append(display)
    return Coded(
        [coding for part in parts for coding in codings(part)],
        list(dict.fromkeys(names)),
        lambda: _shape(resource, medication or {}),
        _lack(whole, reference, medication, ingredients),
    )


def _medication(reference: Any, resource: Resource, chart: Chart) -> Resource | None:
    """The Medication that an order refers to; None where it was not obtained."""
    if not isinstance(reference, dict):
        return None
    return _referenced(reference.get("reference"), (resource,), chart)


def _lack(
    whole: Sequence[Any],
    reference: Any,
    medication: Resource | None,
    ingredients: Sequence[Sequence[Any]],
) -> Lack | None:
    """Why a medicine may be something else than its codes and names say.

    What stands for the *whole* of it settles that; its ingredients do so together.
    """
    if any(map(codings, whole)):
        return None
    if any(map(is_misshapen, whole)) or not isinstance(reference, dict | None):
        return MISSHAPEN
    if reference is not None and medication is None:
        return _not_followed(reference)
    if any(map(texts_of, whole)):
        return None
    if not ingredients:
        return NO_CODE
    named = [any(codings(e) or texts_of(e) for e in each) for each in ingredients]
    return None if all(named) else INGREDIENT_NOT_OBTAINED


def _not_followed(reference: Mapping[str, Any]) -> Lack:
    named = reference.get("reference")
    if not isinstance(named, str | None):
        return MISSHAPEN
    return NOT_OBTAINED if named else NOT_FOLLOWED


def _ingredients(
    medication: Resource, holder: Resource, chart: Chart
) -> list[list[Any]]:
    """Of each ingredient of a Medication the concepts that tell what it is."""
    found: list[list[Any]] = []
    for ingredient in items(medication.get("ingredient")):
        if not isinstance(ingredient, dict):
            found.append([])
            continue
        item = ingredient.get("item")
        if isinstance(item, dict):
            concept, reference = item.get("concept"), item.get("reference")
        else:
            concept = ingredient.get("itemCodeableConcept")
            reference = ingredient.get("itemReference")
        concepts = [concept]
        if isinstance(reference, dict):
            named = reference.get("reference")
            substance = _referenced(named, (medication, holder), chart) or {}
            concepts += [substance.get("code"), {"text": reference.get("display")}]
        found.append(concepts)
    return found


def _shape(resource: Mapping[str, Any], medication: Resource) -> Shape:
    """The routes and the dose form that a resource states.

    A dosage's text is a sentence to a person ("keep an eye on the pulse") and says
    nothing of the form.
    """
    dosages = items(resource.get("dosageInstruction", resource.get("dosage")))
    routes = [
        dosage.get(member)
        for dosage in dosages
        if isinstance(dosage, dict)
        for member in ("route", "site")
    ]
    forms = [medication.get("form"), medication.get("doseForm")]
    return Shape(list(_stated(routes)), list(_stated(forms)))


def _stated(concepts: Sequence[Any]) -> Iterator[Stated]:
    for concept in concepts:
        stated = Stated(texts_of(concept), codings(concept))
        if stated.texts or stated.codings:
            yield stated


def _referenced(
    reference: Any, holders: Sequence[Resource], chart: Chart
) -> Resource | None:
    """What a reference names: in one of *holders*, or among the chart's Medications."""
    if not isinstance(reference, str) or not is_whole(reference):
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
