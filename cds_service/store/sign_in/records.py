"""Sign-ins and sessions as data. What is sealed stays so here, unless somebody with the
keys has opened it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..grants.records import SealedTokens

IDLE = timedelta(minutes=15)
"""After so long without a page a session is over."""
LONGEST = timedelta(hours=8)
"""After so long every session is over."""


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """Somebody who was sent to a server that signs in."""

    id: str
    """Public; the name of the cookie ends with it."""
    state_hash: str
    """SHA-256 in hexadecimal."""
    key_hash: str
    """Of what the cookie holds."""
    tenant: str
    provider: str
    """Who signs in: the name of an entry of the clients file, or ``workbench``."""
    begun: datetime
    until: datetime
    page: str = ""
    """The page that was asked for, by a name of ours."""
    sealed: str = field(default="", repr=False)
    """What has to be remembered, such as the verifier and the nonce, encrypted."""


@dataclass(frozen=True, slots=True)
class SmartSession:
    """One window of somebody who came from an EHR, about one patient."""

    id: str
    """Public: it stands in the address, and opens nothing without its cookie."""
    launch: str
    """The windows of one launch share its tokens, and end together."""
    tenant: str
    client: str
    fhir_base: str
    patient: str
    """The id alone."""
    encounter: str | None
    user: str | None
    """A reference, such as ``Practitioner/7``; None where the EHR did not tell."""
    scopes: tuple[str, ...]
    """As they were granted."""
    opened_at: datetime
    idle_until: datetime
    until: datetime
    sealed: str = field(default="", repr=False)
    """What stands below, encrypted."""
    reference: str | None = field(default=None, repr=False)
    """What the link on the card bore; None before it is opened, or where none did."""
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the banner shows; empty before it is opened."""
    known_as: tuple[str, ...] = ()
    """References to the same user by which calls have named them."""
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What ID tokens have to say that come later; empty where none came at first."""


@dataclass(frozen=True, slots=True)
class LaunchTokens:
    """The tokens of a launch, and how often they have changed."""

    launch: str
    sealed: SealedTokens
    epoch: int


@dataclass(frozen=True, slots=True)
class SweptSignIns:
    """What was over."""

    ended: tuple[SmartSession, ...] = ()
    tokens: tuple[tuple[SmartSession, LaunchTokens], ...] = ()
    """Of the launches whose last window it was; they are kept nowhere any more."""
    rows: int = 0
    """Of all tables, that are gone."""


def about_pending(state_hash: str) -> tuple[str, ...]:
    """Return what the sealed part of a pending sign-in belongs to."""
    return ("pending sign-in", state_hash)


def about_context(session: str) -> tuple[str, ...]:
    """Return what the sealed context of a session belongs to."""
    return ("smart session", session)


def about_token(launch: str, which: str) -> tuple[str, ...]:
    """Return what the ``access`` or ``refresh`` token of a launch belongs to."""
    return ("smart token", launch, which)
