"""Suggestions of a card and their actions: whole resources, made from the rule's text,
the record and the call.

A resource that a rule creates is held to the strict models when the rule is compiled,
with all that a call may tell and with nothing of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ...fhir.chart import Resource
from ...protocol.cards import Action, Suggestion
from ..engine.evaluate import Evaluation
from ..engine.facts import WORN
from ..engine.rows.readings import Row, reference_of, text_of
from ..engine.rules import ActionTemplate, SuggestionTemplate
from ..values.escaping import shorten
from ..values.text import Resolve, Text, parse_template, render_plain

TEXT_LIMIT = 1000
"""Characters of one text in a resource that we write."""

_ANYBODY = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"})
_CLINICIAN = frozenset({"Practitioner", "PractitionerRole"})
_FOUND = frozenset({"condition", "observation"})
_READ = _FOUND | {"medication"}


class _Members(NamedTuple):
    """Which members of a resource say on what occasion it was made."""

    subject: str = "subject"
    encounter: str = ""
    requester: str = ""
    requesters: frozenset[str] = frozenset()
    """Types of the users that the requester may be."""
    authored: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    """Kinds of the facts that ``reasonReference`` may refer to."""
    one_reason: bool = False


_REQUEST = _Members(
    "subject", "encounter", "requester", _ANYBODY, ("authoredOn",), _FOUND
)
_BY_CLINICIAN = _Members("patient", "encounter", "", _CLINICIAN)
_MET = _Members("subject", "encounter")
_MEMBERS: Mapping[str, _Members] = {
    "CommunicationRequest": _REQUEST,
    "MedicationRequest": _REQUEST,
    "ServiceRequest": _REQUEST,
    "DeviceRequest": _REQUEST._replace(requesters=_CLINICIAN),
    "RequestGroup": _REQUEST._replace(requester="author", requesters=_CLINICIAN),
    "SupplyRequest": _REQUEST._replace(subject="", encounter=""),
    "Task": _REQUEST._replace(subject="for", reasons=_READ, one_reason=True),
    "CarePlan": _Members("subject", "encounter", "author", _ANYBODY, ("created",)),
    "NutritionOrder": _BY_CLINICIAN._replace(
        requester="orderer", authored=("dateTime",)
    ),
    "VisionPrescription": _BY_CLINICIAN._replace(
        requester="prescriber", authored=("created", "dateWritten")
    ),
    "Communication": _MET._replace(reasons=_FOUND),
    "Procedure": _MET._replace(reasons=_FOUND),
    "Immunization": _Members("patient", "encounter", reasons=_FOUND),
    "AllergyIntolerance": _Members("patient", "encounter"),
    "MedicationAdministration": _Members("subject", "context", reasons=_FOUND),
    "MedicationStatement": _Members("subject", "context", reasons=_FOUND),
    **{
        kind: _MET
        for kind in (
            "CareTeam",
            "ClinicalImpression",
            "Condition",
            "DiagnosticReport",
            "Flag",
            "List",
            "Observation",
            "QuestionnaireResponse",
            "RiskAssessment",
        )
    },
    **{
        kind: _Members("patient")
        for kind in ("Consent", "Device", "DetectedIssue", "FamilyMemberHistory")
    },
    "Appointment": _Members(""),
}
"""By resource type (FHIR R4); of any other, ``subject`` alone is filled in."""
_PLAIN = _Members()

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_USER = re.compile(r"([A-Za-z]+)/[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Occasion:
    """On what occasion a resource is made; what is not known is empty."""

    patient: str
    day: str
    """Of the site's calendar, as FHIR writes it: a retry on the same day says the same,
    and a draft is no more exact."""
    encounter: str = ""
    """Its id."""
    requester: str = ""
    """``Type/id`` of who asks for it."""


def occasion_of(evaluation: Evaluation, call: Mapping[str, str | None]) -> Occasion:
    """The occasion of a call.

    Args:
        call: Its ``user``, where somebody takes the action, and its ``encounter``.
    """
    case = evaluation.case
    return Occasion(
        case.chart.patient_id,
        case.today.isoformat(),
        call.get("encounter") or "",
        call.get("user") or "",
    )


def build_suggestions(
    templates: tuple[SuggestionTemplate, ...],
    evaluation: Evaluation,
    call: Mapping[str, str | None] = {},
) -> tuple[Suggestion, ...]:
    """The suggestions that can be made for this patient, not yet identified.

    One whose actions cannot all be made is left out, since its actions belong
    together. At most one is recommended.

    Source: CDS Hooks 3.0.0 "Suggestion", "Action"; invariants cds-resp-1, -2, -5.
    """
    built: list[Suggestion] = []
    occasion = occasion_of(evaluation, call)
    for template in templates:
        actions = build_actions(template.actions, evaluation, occasion)
        if actions is None:
            continue
        recommended = template.recommended and not any(
            each.is_recommended for each in built
        )
        suggestion = Suggestion("", template.label, actions, recommended)
        built.append(replace(suggestion, action_selection=template.action_selection))
    return tuple(built)


def join_suggestions(
    label: str, suggestions: Sequence[Suggestion]
) -> Suggestion | None:
    """All suggestions as one; None where they are not several, or cannot be one.

    They cannot where some actions of one are a choice, or two change the same record.
    """
    actions = tuple(action for each in suggestions for action in each.actions)
    changes = [target_of(each) for each in actions if each.type != "create"]
    choice = any(each.action_selection for each in suggestions)
    if not label or len(suggestions) < 2 or choice or len({*changes}) < len(changes):
        return None
    return Suggestion("", label, actions)


def build_actions(
    templates: Iterable[ActionTemplate], evaluation: Evaluation, occasion: Occasion
) -> tuple[Action, ...] | None:
    """The actions, or none where one cannot be made or two change the same record.

    One that quotes a wearable alert cannot be where the patient's data may not be sent.
    """
    try:
        return _made(templates, evaluation, occasion)
    except _NotToBeSent:
        return None


def _made(
    templates: Iterable[ActionTemplate], evaluation: Evaluation, occasion: Occasion
) -> tuple[Action, ...] | None:
    actions = []
    changed: set[str] = set()
    for each in templates:
        if each.type == "create":
            actions.append(_create(each, evaluation, occasion))
            continue
        target = _target(each, evaluation)
        if target is None or reference_of(target) in changed:
            return None
        changed.add(reference_of(target))
        actions.append(_change(each, evaluation, target))
    return tuple(actions)


def target_of(action: Action) -> str:
    """``Type/id`` of what an action changes; of what it creates, the type alone."""
    if action.resource is None:
        return action.resource_id
    if action.type == "create":
        return text_of(action.resource.get("resourceType"))
    return reference_of(action.resource)


def changed_by(actions: Iterable[Action]) -> frozenset[str]:
    """``Type/id`` of every record that the actions change."""
    return frozenset(target_of(each) for each in actions if each.type != "create")


def _create(
    template: ActionTemplate, evaluation: Evaluation, occasion: Occasion
) -> Action:
    newest = (evaluation.newest(fact) for fact in template.reasons)
    reasons = [row for row in newest if row is not None]
    resource = created(template.resource or {}, _quote(evaluation), occasion, reasons)
    return Action(template.type, template.description, resource)


def created(
    template: Resource,
    resolve: Resolve,
    occasion: Occasion,
    reasons: Sequence[Row] = (),
) -> dict[str, Any]:
    """A new resource about the patient, its placeholders filled.

    What its type has a member for and its author left open says when, in which
    encounter, by whom and for which of the *reasons* it is asked for.
    """
    resource: dict[str, Any] = filled(template, resolve)
    members = _MEMBERS.get(resource.get("resourceType", ""), _PLAIN)
    known = {
        members.subject: {"reference": f"Patient/{occasion.patient}"},
        **dict.fromkeys(members.authored, occasion.day),
        **_said_why(reasons, members),
    }
    if _ID.fullmatch(occasion.encounter):
        known[members.encounter] = {"reference": f"Encounter/{occasion.encounter}"}
    if _may_request(occasion, members):
        known[members.requester] = {"reference": occasion.requester}
    for name, value in known.items():
        if name:
            resource.setdefault(name, value)
    return resource


def why_no_reason(resource_type: str, kind: str) -> str:
    """Why a fact of this kind cannot be the reason for such a resource; else empty.

    Source: FHIR R4, the reference targets of ``reasonReference``.
    """
    able = _MEMBERS.get(resource_type, _PLAIN).reasons
    if kind in able:
        return ""
    if not able:
        return f"a {resource_type} has no `reasonReference` to fill in"
    return f"the reason for a {resource_type} is no {kind.replace('_', ' ')}"


def _may_request(occasion: Occasion, members: _Members) -> bool:
    """Check if the user may be named as who asks; of patients, only the one treated."""
    user = _USER.fullmatch(occasion.requester)
    if user is None or user[1] not in members.requesters:
        return False
    return user[1] != "Patient" or user[0] == f"Patient/{occasion.patient}"


def _said_why(reasons: Sequence[Row], members: _Members) -> dict[str, Any]:
    """The reasons: references to what has an id, and the codes of what has none."""
    referred: list[Any] = []
    told: list[Any] = []
    for row in reasons:
        id = row.resource.get("id") if row.resource else None
        if row.resource and isinstance(id, str) and _ID.fullmatch(id):
            referred.append({"reference": reference_of(row.resource)})
        else:
            told.append(_concept(row))
    if members.one_reason:
        said = {"reasonReference": referred[:1], "reasonCode": told[:1]}
        return {name: each[0] for name, each in said.items() if each}
    said = {"reasonReference": referred, "reasonCode": told}
    return {name: each for name, each in said.items() if each}


def _concept(row: Row) -> dict[str, Any]:
    """Return what a row is about: by its code, and by what the record calls it."""
    system, _, code = row.code.rpartition("|")
    coding = {"coding": [{"system": system, "code": code}]} if system else {}
    return {**coding, "text": shorten(row.name or row.code, TEXT_LIMIT)}


def _target(template: ActionTemplate, evaluation: Evaluation) -> Resource | None:
    """The record that a rule changes; none where it has no id to change it by."""
    row = evaluation.newest(template.fact)
    resource = row.resource if row else None
    if resource is None or not isinstance(resource.get("id"), str):
        return None
    return resource


def _change(
    template: ActionTemplate, evaluation: Evaluation, target: Resource
) -> Action:
    if template.type == "delete":
        return Action(
            template.type, template.description, resource_id=reference_of(target)
        )
    changes = filled(template.changes, _quote(evaluation))
    return Action(template.type, template.description, {**target, **changes})


def _quote(evaluation: Evaluation) -> Resolve:
    """Return what placeholders of a resource show."""

    def quote(fact: str, attribute: str) -> Text | None:
        named = evaluation.rule.facts.get(fact)
        worn = named is not None and named.kind in WORN
        if worn and not evaluation.case.may_disclose:
            raise _NotToBeSent
        return evaluation.text(fact, attribute)

    return quote


class _NotToBeSent(Exception):
    """A resource would tell the EHR what the patient does not permit to be sent."""


def filled(value: Any, resolve: Resolve) -> Any:
    """Plain JSON with every placeholder in its texts filled."""
    if isinstance(value, str):
        if "{{" not in value:
            return value
        return render_plain(parse_template(value), resolve, TEXT_LIMIT)
    if isinstance(value, Mapping):
        return {name: filled(member, resolve) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [filled(member, resolve) for member in value]
    return value
