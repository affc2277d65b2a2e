"""Cards and what stands on them, and the answer they are in, as it goes to the wire.

An answer is checked before anybody sees or records it.

Source: CDS Hooks 3.0.0 "CDS Service Response".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .schemas import problems


class Indicator(IntEnum):
    """How urgent a card is; larger is more urgent."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Coding:
    """A code, its system and a display for people."""

    system: str
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class CardSource:
    """Where the advice comes from: an organisation or a data set."""

    label: str
    url: str = ""
    topic: Coding | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One change that a suggestion proposes."""

    type: str
    """``create``, ``update`` or ``delete``."""
    description: str
    resource: Mapping[str, Any] | None = None
    """The whole resource, for create and update."""
    resource_id: str = ""
    """``Type/id``, for delete."""
    in_resource: bool = False
    """For delete: the id stands in ``resource``, as CDS Hooks 1.0 has it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A set of actions that are taken together."""

    uuid: str
    label: str
    actions: tuple[Action, ...] = ()
    is_recommended: bool = False
    action_selection: str = ""
    """``any`` or ``at-most-one`` of its actions; empty for all of them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way to more: a page (``absolute``) or an app (``smart``)."""

    label: str
    url: str
    type: str
    app_context: str = ""
    """What a ``smart`` app is told at launch; an ``absolute`` link has none."""
    autolaunchable: bool = False
    """Whether it may open by itself."""
    page: str = ""
    """A page of this server about the card; it has no ``url`` until the card is
    answered to a client that opens such pages, and is not sent without one."""


@dataclass(frozen=True, slots=True)
class Card:
    """One piece of advice, ready for the wire."""

    uuid: str
    summary: str
    """One line of plain text, fewer than 140 characters."""
    indicator: Indicator
    source: CardSource
    detail: str = ""
    """GitHub-Flavored Markdown without HTML."""
    suggestions: tuple[Suggestion, ...] = ()
    """At most one of them is recommended."""
    selection: str = "at-most-one"
    """How many of the suggestions can be chosen: ``at-most-one`` or ``any``."""
    together: Suggestion | None = None
    """All of the suggestions as one, for clients that let one be chosen at most; it is
    sent only as one of the suggestions."""
    override_reasons: tuple[Coding, ...] = ()
    links: tuple[Link, ...] = ()
    extension: Mapping[str, Any] = field(default_factory=dict)
    """Keys in reverse-domain notation."""


def as_json(card: Card) -> dict[str, Any]:
    """Return the card as JSON, without any empty member.

    Source: CDS Hooks 3.0.0 "Card Attributes"; "Use of JSON" (no null, no empty value).
    """
    wire: dict[str, Any] = {
        "uuid": card.uuid,
        "summary": card.summary,
        "detail": card.detail,
        "indicator": card.indicator.name.lower(),
        "source": _source(card.source),
        "suggestions": [_suggestion(each) for each in card.suggestions],
        "overrideReasons": [_coding(each) for each in card.override_reasons],
        "links": [_link(each) for each in card.links if each.url],
        "extension": _filled(card.extension),
    }
    if card.suggestions:
        wire["selectionBehavior"] = card.selection
    return _without_empty(wire)


def _source(source: CardSource) -> dict[str, Any]:
    topic = _coding(source.topic) if source.topic else None
    return _without_empty({"label": source.label, "url": source.url, "topic": topic})


def _coding(coding: Coding) -> dict[str, Any]:
    return _without_empty(
        {"system": coding.system, "code": coding.code, "display": coding.display}
    )


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return _without_empty(
        {
            "uuid": suggestion.uuid,
            "label": suggestion.label,
            "isRecommended": suggestion.is_recommended or None,
            "actionSelectionBehavior": suggestion.action_selection,
            "actions": [action_as_json(each) for each in suggestion.actions],
        }
    )


def action_as_json(action: Action) -> dict[str, Any]:
    """Return the action as JSON; what it acts on is told by its type alone.

    Source: CDS Hooks 3.0.0 "Action"; invariant cds-resp-2.
    """
    wire = {"type": action.type, "description": action.description}
    if action.type == "delete":
        name = "resource" if action.in_resource else "resourceId"
        return _without_empty({**wire, name: action.resource_id})
    return _without_empty({**wire, "resource": action.resource})


def _link(link: Link) -> dict[str, Any]:
    return _without_empty(
        {
            "label": link.label,
            "url": link.url,
            "type": link.type,
            "appContext": link.app_context if link.type == "smart" else "",
            "autolaunchable": link.autolaunchable or None,
        }
    )


def _filled(value: Any) -> Any:
    """*value* as plain JSON, without the empty values anywhere in it."""
    if isinstance(value, Mapping):
        return _without_empty({name: _filled(each) for name, each in value.items()})
    if isinstance(value, list | tuple):
        filled = (_filled(each) for each in value)
        return [each for each in filled if each not in _EMPTY]
    return value


def _without_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in _EMPTY}


_EMPTY: tuple[Any, ...] = (None, "", [], {})


# The answer


class InvalidAnswer(Exception):
    """What was about to leave breaks the protocol: a fault of this server."""

    def __init__(self, places: list[str]) -> None:
        super().__init__(f"invalid answer at {', '.join(places)}")
        self.places = places
        """Where, as JSON paths; never what stands there."""


def build_response(
    cards: Iterable[Card],
    system_actions: Sequence[Action] = (),
    extension: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """Return the body that answers a call.

    Raises:
        InvalidAnswer: if a card breaks the protocol; nothing of it may be shown.
    """
    body: dict[str, Any] = {"cards": [as_json(card) for card in cards]}
    if system_actions:
        body["systemActions"] = [action_as_json(each) for each in system_actions]
    if extension:
        body["extension"] = dict(extension)
    return checked("response", body)


def checked(schema: str, body: dict[str, Any]) -> dict[str, Any]:
    """*body*, if it keeps the schema.

    Raises:
        InvalidAnswer: if it does not.
    """
    broken = problems(schema, body)
    if broken:
        raise InvalidAnswer([each.expression for each in broken])
    return body
