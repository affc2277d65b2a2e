"""References of cards as data. What is sealed stays so here."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from ...wearables.records import PatientKey


@dataclass(frozen=True, slots=True)
class NewReference:
    """A reference that a link of a card bears, as it is stored with the call."""

    digest: str
    """What ``digest_of`` gives of the reference; the reference itself is not kept."""
    card: str
    """The uuid of the card."""
    page: str
    """What the link opens: ``card``, ``why``, ``timeline`` or ``consent``."""
    until: datetime
    """Aware; from then on it opens nothing, and is gone soon after."""
    sealed: str = field(repr=False)
    """What was answered and why, encrypted."""


@dataclass(frozen=True, slots=True)
class CardReference:
    """A reference, found by whoever may open it."""

    digest: str
    call: int
    """The key of the call in which the card was answered."""
    card_uuid: str
    patient: PatientKey
    client: str
    """The client's name in the clients file."""
    user: str | None
    """Who was shown the card; None where the call did not say."""
    page: str
    at: datetime
    """When the call was answered."""
    until: datetime
    sealed: str = field(repr=False)
    """What was answered and why, encrypted."""

    @property
    def about(self) -> tuple[str, ...]:
        """What the sealed text belongs to."""
        return about_reference(self.digest)


def about_reference(digest: str) -> tuple[str, ...]:
    """Return what the text that is sealed behind a reference belongs to."""
    return ("card_references", digest)


def digest_of(reference: str) -> str:
    """Return what is kept of a reference: its SHA-256, in hexadecimal.

    No salt is needed: a reference is random, and long enough that none can be guessed.
    """
    return hashlib.sha256(reference.encode()).hexdigest()
