"""Deliveries of any format: who sent them, and what of them cannot be stored."""

from dataclasses import dataclass
from typing import Protocol

from ...protocol.errors import Problem


class Sender(Protocol):
    """Who sent the delivery: a webhook source of the clients file."""

    @property
    def id(self) -> str:
        """The source's name in the clients file."""

    @property
    def tenant(self) -> str:
        """Whose patients it speaks of."""

    @property
    def fhir_base(self) -> str:
        """Whose patient ids it uses; ``-`` where the tenant has one FHIR server."""

    @property
    def time_zone(self) -> str:
        """Where all its wearers are; empty where they may be in several zones."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that cannot be stored, with everything that is wrong with it."""

    index: int
    id: str
    """Empty where the item has no usable id."""
    problems: tuple[Problem, ...]
