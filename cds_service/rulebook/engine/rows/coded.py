"""What a resource is called and coded as, wherever it says so.

Read tolerantly: what has a shape that FHIR does not know is no code, and is told apart
from what has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ....fhir.chart import Chart, Resource, medication_of
from ....fhir.code_systems import canonical_system
from ....protocol.formats import is_whole
from ...values.truth import ReasonKind
from .readings import items, text_of

Coding = tuple[str, str, str]
"""Canonical system, code and display."""


def codings(concept: Any) -> list[Coding]:
    """System, code and display of each coding of a CodeableConcept.

    A coding of a shape that FHIR does not know is left out.
    """
    found: list[Coding] = []
    written = concept.get("coding") if isinstance(concept, dict) else None
    if type(written) is not list:
        written = items(written)
    for coding in written:
        code = coding.get("code") if type(coding) is dict else None
        if type(code) is int:
            code = str(code)
        if code and type(code) is str:
            system, display = coding.get("system"), coding.get("display")
            if type(system) is str:
                named = canonical_system(system)
            elif system is None:
                named = ""
            else:
                continue
            shown = display if type(display) is str else ""
            found.append((named, code.strip(), shown))
    return found


def texts_of(concept: Any) -> list[str]:
    """Return what a CodeableConcept is called: its text first, then the displays."""
    if not isinstance(concept, dict):
        return []
    texts = [concept.get("text")]
    for coding in items(concept.get("coding")):
        if isinstance(coding, dict):
            texts.append(coding.get("display"))
    return [text for text in texts if text and isinstance(text, str)]


class Stated(NamedTuple):
    """What a CodeableConcept says."""

    texts: list[str]
    codings: list[Coding]


def stated(concept: Any) -> Stated:
    """Return the texts and the codings of a CodeableConcept, as far as it has any."""
    return Stated(texts_of(concept), codings(concept))


class Lack(NamedTuple):
    """Why no code of a resource is known, so that it may be anything."""

    doubt: ReasonKind
    why: str
    """A constant phrase."""


NO_CODE = Lack(ReasonKind.NOT_READ, "no code is recorded")
MISSHAPEN = Lack(ReasonKind.UNUSABLE, "its code has a shape that FHIR does not know")
NOT_OBTAINED = Lack(ReasonKind.NOT_READ, "its Medication was not obtained")
NOT_FOLLOWED = Lack(ReasonKind.NOT_READ, "its reference names no resource")
INGREDIENT_NOT_OBTAINED = Lack(ReasonKind.NOT_READ, "an ingredient was not obtained")


def is_misshapen(concept: Any) -> bool:
    """Check if a CodeableConcept, or a coding in it, has a shape that FHIR has not."""
    if concept is None:
        return False
    if not isinstance(concept, dict):
        return True
    written = concept.get("coding")
    if written is None:
        written = []
    elif not isinstance(written, list):
        written = [written]
    texts = [concept.get("text")]
    for coding in written:
        if not isinstance(coding, dict):
            return True
        code = coding.get("code")
        if isinstance(code, bool) or not isinstance(code, str | int | None):
            return True
        texts += [coding.get("system"), coding.get("display")]
    return any(not isinstance(text, str | None) for text in texts)


_NOTHING_KNOWN = (
    "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
    "no-known-",
)
"""System, and how its codes begin that say that there is nothing to record."""


def says_none(found: Iterable[Coding]) -> bool:
    """Check if codings say that there is none, such as ``no-known-problems``.

    Source: International Patient Summary, "Absent and Unknown Data".
    """
    system, beginning = _NOTHING_KNOWN
    return any(
        named == system and code.startswith(beginning) for named, code, _ in found
    )


class Shape(NamedTuple):
    """How a medicine is given, as far as the record states it."""

    routes: Sequence[Stated] = ()
    forms: Sequence[Stated] = ()
    dosages: Sequence[str] = ()
    """What is said to the patient, and the units of doses."""


@dataclass(slots=True)
class Coded:
    """What is needed of a resource to find its facts."""

    codings: list[Coding]
    holder: Mapping[str, Any]
    """The resource; of an observation with parts, where the value stands."""
    names: Sequence[str] = ()
    """Texts that may name an ingredient, or say that a result is of something else."""
    lack: Lack | None = None
    """Why its codes are not known; None where they are, or words stand for them."""
    medication: Resource | None = None
    """The Medication that a medicine refers to, where it was obtained."""
    _shape: Shape | None = field(default=None, init=False, repr=False, compare=False)

    def display_of(self, wanted: str) -> str:
        """Return what one of the codes, ``system|code``, is called; may be empty."""
        if len(self.codings) == 1:
            return self.codings[0][2]
        for system, code, display in self.codings:
            if f"{system}|{code}" == wanted:
                return display
        return ""

    def shape(self) -> Shape:
        """Return the routes, the dose form and the dosages that a medicine states.

        Each set that rules out a form asks; it is read once.
        """
        if self._shape is None:
            self._shape = self._read_shape()
        return self._shape

    def _read_shape(self) -> Shape:
        holder, medication = self.holder, self.medication or {}
        written = items(holder.get("dosageInstruction", holder.get("dosage")))
        dosages = [each for each in written if isinstance(each, dict)]
        routes = [each.get(member) for each in dosages for member in ("route", "site")]
        forms = [medication.get("form"), medication.get("doseForm")]
        routes_said, forms_said = map(stated, routes), map(stated, forms)
        told = [text for each in dosages for text in _told(each)]
        return Shape(
            list(filter(any, routes_said)), list(filter(any, forms_said)), told
        )


def _told(dosage: Mapping[str, Any]) -> list[str]:
    """Return what a dosage says in words, and in which units.

    Source: FHIR R4 Dosage.text, patientInstruction, doseAndRate; STU3 doseQuantity.
    """
    texts = [dosage.get("text"), dosage.get("patientInstruction")]
    for each in (dosage, *items(dosage.get("doseAndRate"))):
        dose = each.get("doseQuantity") if isinstance(each, dict) else None
        if isinstance(dose, dict):
            texts += [dose.get("unit"), dose.get("code")]
    return [text for text in texts if text and isinstance(text, str)]


def coded_as(concept: Any, holder: Mapping[str, Any]) -> Coded:
    """Return the codes of a problem or a result, which are one CodeableConcept."""
    found = codings(concept)
    if found:
        return Coded(found, holder)
    lack = None if texts_of(concept) else NO_CODE
    return Coded(found, holder, lack=MISSHAPEN if is_misshapen(concept) else lack)


def coded_observation(resource: Resource) -> list[Coded]:
    """Return the codes and texts of an observation and of each of its components."""
    whole = _coded_result(resource)
    if "component" not in resource:
        return [whole]
    written = resource["component"]
    return [whole] + [
        # What cannot be read may be anything.
        (
            _coded_result(part)
            if isinstance(part, dict)
            else Coded([], {}, lack=MISSHAPEN)
        )
        for part in items(written) or ([written] if written else [])
    ]


def _coded_result(holder: Mapping[str, Any]) -> Coded:
    coded = coded_as(holder.get("code"), holder)
    coded.names = tuple(texts_of(holder.get("code")))
    return coded


def coded_medication(resource: Resource, chart: Chart) -> Coded:
    """The codes and names of a medicine: its own, its Medication's, its ingredients'.

    Source: FHIR R4 MedicationRequest.medication[x], Medication.ingredient; R5 has
    ``medication``, ``doseForm`` and ``item`` instead.
    """
    concept, reference = medication_of(resource)
    if reference is None and (plain := stated(concept)).codings:
        return Coded(plain.codings, resource, list(dict.fromkeys(plain.texts)))
    medication = _medication(reference, resource, chart)
    whole = [concept, medication.get("code")] if medication else [concept]
    said = [stated(each) for each in whole]
    held = _ingredients(medication, resource, chart) if medication else ()
    parts = [*said, *(part for ingredient in held for part in ingredient)]
    codings = [coding for part in parts for coding in part.codings]
    names = [text for part in parts for text in part.texts]
    if isinstance(reference, dict) and (display := text_of(reference.get("display"))):
        names.append(display)
    lack = None
    if not any(each.codings for each in said):
        lack = _lack(whole, said, reference, medication, held)
    return Coded(codings, resource, list(dict.fromkeys(names)), lack, medication)


def _medication(reference: Any, resource: Resource, chart: Chart) -> Resource | None:
    """The Medication that an order refers to; None where it was not obtained."""
    if not isinstance(reference, dict):
        return None
    return _referenced(reference.get("reference"), (resource,), chart)


def _lack(
    whole: Sequence[Any],
    said: Sequence[Stated],
    reference: Any,
    medication: Resource | None,
    ingredients: Sequence[Sequence[Stated]],
) -> Lack | None:
    """Why a medicine without a code may be something else than its names say.

    What stands for the *whole* of it settles that; its ingredients do so together.
    """
    if any(map(is_misshapen, whole)) or not isinstance(reference, dict | None):
        return MISSHAPEN
    if reference is not None and medication is None:
        return _not_followed(reference)
    if any(each.texts for each in said):
        return None
    if not ingredients:
        return NO_CODE
    named = [any(e.codings or e.texts for e in each) for each in ingredients]
    return None if all(named) else INGREDIENT_NOT_OBTAINED


def _not_followed(reference: Mapping[str, Any]) -> Lack:
    named = reference.get("reference")
    if not isinstance(named, str | None):
        return MISSHAPEN
    return NOT_OBTAINED if named else NOT_FOLLOWED


def _ingredients(
    medication: Resource, holder: Resource, chart: Chart
) -> list[list[Stated]]:
    """Of each ingredient of a Medication what tells what it is."""
    found: list[list[Stated]] = []
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
        found.append([stated(each) for each in concepts])
    return found


def _referenced(
    reference: Any, holders: Sequence[Resource], chart: Chart
) -> Resource | None:
    """Return what a reference names, in *holders* or among the chart's Medications."""
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
