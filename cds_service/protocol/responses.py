"""What a service answers, checked before anybody sees or records it.

Source: CDS Hooks 3.0.0 "CDS Service Response".
"""

from collections.abc import Iterable
from typing import Any

from .cards import Card, as_json
from .schemas import problems


class InvalidAnswer(Exception):
    """What was about to leave breaks the protocol: a fault of this server."""

    def __init__(self, places: list[str]) -> None:
        super().__init__(f"invalid answer at {', '.join(places)}")
        self.places = places
        """Where, as JSON paths; never what stands there."""


def build_response(cards: Iterable[Card]) -> dict[str, Any]:
    """The body that answers a call.

    Raises:
        InvalidAnswer: if a card breaks the protocol; nothing of it may be shown.
    """
    return checked("response", {"cards": [as_json(card) for card in cards]})


def checked(schema: str, body: dict[str, Any]) -> dict[str, Any]:
    """*body*, if it keeps the schema.

    Raises:
        InvalidAnswer: if it does not.
    """
    broken = problems(schema, body)
    if broken:
        raise InvalidAnswer([each.expression for each in broken])
    return body
