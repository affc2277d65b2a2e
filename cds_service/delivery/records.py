"""What a destination is asked, and what it may answer. Pure.

What is sent is built by the destination of a telling, at the moment it is sent. How
often it is tried, in which order, and who is asked for consent is nothing that a
destination knows of.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ..wearables.telling import Telling, ToldAs


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side has it, for good."""

    remote: str
    """How it calls the thing; given back with the next telling of it."""
    digest: str
    """Of what was sent: a telling that would send the same need not be sent."""
    status: ToldAs


@dataclass(frozen=True, slots=True)
class Later:
    """The other side has surely not taken it, and may take it later."""

    problem: str
    """A sentence for the operator, without anything of the patient."""
    retry_after: timedelta | None = None
    """As the other side asks; it holds for all that it is to be told."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Nobody knows whether the other side has it, or is about to."""

    problem: str
    """A sentence for the operator, without anything of the patient."""
    looked: bool = False
    """Whether it was not sent again, only looked for, for it may be found yet."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The other side will not take it, however often it is told."""

    problem: str
    """In its words, at most ``LONGEST_PROBLEM`` characters; kept where operators read
    it, and never logged."""


Reply = Accepted | Later | Uncertain | Declined
LONGEST_PROBLEM = 2000


class Destination(Protocol):
    """Another system that is told; threads share it."""

    @property
    def id(self) -> str:
        """As the clients file calls it."""

    def send(self, telling: Telling, deadline: float) -> Reply:
        """Tell it, and return what became of that.

        Telling the same again is harmless: the other side has it once. It returns until
        *deadline* (of ``time.monotonic``), whatever the other side does.
        """

    def close(self) -> None:
        """Let go of its connections."""
