"""Suggestions of a card and their actions: whole resources, made from the rule's text
and the record.

A resource that a rule creates is held to the strict models when the rule is compiled.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..fhir.chart import Resource
from ..protocol.cards import Action, Suggestion
from .evaluate import Evaluation
from .readings import reference_of, text_of
from .rules import ActionTemplate, SuggestionTemplate
from .text import Resolve, Text, parse_template, render_plain

TEXT_LIMIT = 1000
"""Characters of one text in a resource that we write."""

_SUBJECT = "subject"
_SUBJECT_OF: Mapping[str, str] = {
    "AllergyIntolerance": "patient",
    "Immunization": "patient",
    "NutritionOrder": "patient",
    "Task": "for",
    "VisionPrescription": "patient",
}
"""The member that names the patient, where it is not ``subject`` (FHIR R4)."""


def build_suggestions(
    templates: tuple[SuggestionTemplate, ...],
    evaluation: Evaluation,
) -> tuple[Suggestion, ...]:
    """The suggestions that can be made for this patient, not yet identified.

    One whose actions cannot all be made is left out, since its actions belong
    together. At most one is recommended.

    Source: CDS Hooks 3.0.0 "Suggestion", "Action"; invariants cds-resp-1, -2, -5.
    """
    built: list[Suggestion] = []
    for template in templates:
        actions = build_actions(template.actions, evaluation)
        if actions is None:
            continue
        recommended = template.recommended and not any(
            each.is_recommended for each in built
        )
        suggestion = Suggestion("", template.label, actions, recommended)
        built.append(replace(suggestion, action_selection=template.action_selection))
    return tuple(built)


def build_actions(
    templates: Iterable[ActionTemplate], evaluation: Evaluation
) -> tuple[Action, ...] | None:
    """The actions, or none where one cannot be made or two change the same record.

    One that quotes a wearable alert cannot be where the patient's data may not be sent.
    """
    try:
        return _made(templates, evaluation)
    except _NotToBeSent:
        return None


def _made(
    templates: Iterable[ActionTemplate], evaluation: Evaluation
) -> tuple[Action, ...] | None:
    actions = []
    changed: set[str] = set()
    for each in templates:
        if each.type == "create":
            actions.append(_create(each, evaluation))
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


def _create(template: ActionTemplate, evaluation: Evaluation) -> Action:
    patient = evaluation.case.chart.patient_id
    resource = created(template.resource or {}, _quote(evaluation), patient)
    return Action(template.type, template.description, resource)


def created(template: Resource, resolve: Resolve, patient: str) -> dict[str, Any]:
    """A new resource about the patient, its placeholders filled."""
    resource: dict[str, Any] = filled(template, resolve)
    subject = _SUBJECT_OF.get(resource.get("resourceType", ""), _SUBJECT)
    resource.setdefault(subject, {"reference": f"Patient/{patient}"})
    return resource


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
    """What placeholders of a resource show."""

    def quote(fact: str, attribute: str) -> Text | None:
        named = evaluation.rule.facts.get(fact)
        worn = named is not None and named.kind == "wearable_alert"
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
