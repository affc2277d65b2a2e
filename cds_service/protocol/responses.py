"""What a service answers, checked before anybody sees or records it.

Source: CDS Hooks 3.0.0 "CDS Service Response".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .cards import Action, Card, action_as_json, as_json
from .schemas import problems


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
    """The body that answers a call.

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
