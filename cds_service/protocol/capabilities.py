"""What a client understands beyond what every client does, and what it is sent then.

A request names no version of the standard, so what a client understands is known from
its entry in the clients file alone. An unknown one gets what no version chokes on.

Source: CDS Hooks 3.0.0 "Capability Documentation"; what its versions 1.0 to 3.0 added.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .cards import Action, Card, Suggestion
from .services import Service

VERSIONS = ("1.0", "1.1", "2.0", "3.0")
SINCE: Mapping[str, str] = {
    "any": "1.1",
    "system_actions": "1.1",
    "autolaunchable": "2.0",
    "action_selection_behavior": "3.0",
    "fhirpath_tokens": "3.0",
}
"""The version that brought what a client may understand."""

_TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
_PLAIN = re.compile(r"context\.\w+|user(Practitioner|PractitionerRole|Patient)Id")
_PLAIN_USER = "userRelatedPersonId"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one client understands; the default is what every client does."""

    any: bool = False
    """``selectionBehavior`` ``any``: several suggestions of a card may be taken."""
    action_selection_behavior: bool = False
    """Some of a suggestion's actions may be taken without the others."""
    system_actions: bool = False
    """Actions that are taken without a person."""
    autolaunchable: bool = False
    """Links that open by themselves."""
    fhirpath_tokens: bool = False
    """Prefetch templates with FHIRPath in their tokens."""
    delete_in_resource: bool = False
    """A delete action names its target in ``resource``, the only form of 1.0."""


def gate_card(card: Card, capabilities: Capabilities) -> Card:
    """Return the card as the client may be sent it; its words and identity stay.

    A suggestion whose actions are a choice is left out where that cannot be said:
    without its ``actionSelectionBehavior`` it would mean that all are to be taken.
    Where one suggestion may be taken at most, all of them together are one more, last:
    the most useful stays first.
    """
    kept = tuple(
        _gate_suggestion(each, capabilities)
        for each in card.suggestions
        if not each.action_selection or capabilities.action_selection_behavior
    )
    links = tuple(
        replace(
            each, autolaunchable=each.autolaunchable and capabilities.autolaunchable
        )
        for each in card.links
    )
    selection = card.selection if capabilities.any else "at-most-one"
    if selection == "at-most-one":
        kept = _recommend_one(kept)
        if card.together and card.selection == "any":
            kept += (_gate_suggestion(card.together, capabilities),)
    return replace(
        card, suggestions=kept, links=links, selection=selection, together=None
    )


def gate_system_actions(
    actions: tuple[Action, ...], capabilities: Capabilities
) -> tuple[Action, ...]:
    """Return the actions that may be proposed to be taken by themselves."""
    if not capabilities.system_actions:
        return ()
    return tuple(_gate_action(each, capabilities) for each in actions)


def gate_service(service: Service, capabilities: Capabilities) -> Service:
    """Return the service without the prefetch templates that the client cannot fill."""
    if capabilities.fhirpath_tokens or not service.prefetch:
        return service
    plain = {key: each for key, each in service.prefetch.items() if is_plain(each)}
    return replace(service, prefetch=plain)


def is_plain(template: str) -> bool:
    """Check whether a client of any version can fill the template's tokens."""
    tokens = _TOKEN.findall(template)
    return all(_PLAIN.fullmatch(each) or each == _PLAIN_USER for each in tokens)


def _recommend_one(suggestions: tuple[Suggestion, ...]) -> tuple[Suggestion, ...]:
    """The suggestions, of which the first that is recommended stays so."""
    first = next((each for each in suggestions if each.is_recommended), None)
    return tuple(
        each if each is first else replace(each, is_recommended=False)
        for each in suggestions
    )


def _gate_suggestion(suggestion: Suggestion, capabilities: Capabilities) -> Suggestion:
    actions = tuple(_gate_action(each, capabilities) for each in suggestion.actions)
    return replace(suggestion, actions=actions)


def _gate_action(action: Action, capabilities: Capabilities) -> Action:
    return replace(action, in_resource=capabilities.delete_in_resource)
