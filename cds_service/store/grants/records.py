"""Grants, sign-ins and pulls as data. What is sealed stays so here."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class GrantState(StrEnum):
    """Whether data may be pulled by a grant."""

    ACTIVE = "active"
    REVOKED = "revoked"
    """The wearer, the vendor or an operator has ended it."""
    BROKEN = "broken"
    """Its token was lost or cannot be read; the wearer has to permit it once more."""


@dataclass(frozen=True, slots=True)
class GrantWearer:
    """Whose permission it is, as links name a wearer."""

    tenant: str
    source: str
    user: str


@dataclass(frozen=True, slots=True)
class SealedTokens:
    """The tokens of a grant, encrypted."""

    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    """Empty where the vendor gave none."""
    expires: datetime | None = None
    """Of the access token; None where the vendor does not tell."""


@dataclass(frozen=True, slots=True)
class CloudGrant:
    """What one wearer has permitted at a vendor."""

    wearer: GrantWearer
    scopes: tuple[str, ...]
    tokens: SealedTokens
    granted: datetime
    vendor_user: str = ""
    """As the vendor calls the wearer; empty where it does not tell."""
    state: GrantState = GrantState.ACTIVE
    why: str = ""
    """In words, where it is not active."""
    epoch: int = 0
    """Grows with the tokens."""
    refresh_begun: datetime | None = None
    """When a refresh began whose outcome nobody has written."""
    id: int = 0
    """Given by the store."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A permission that is asked for, until the wearer comes back from the vendor."""

    state: str
    """The SHA-256 of what the link bears."""
    wearer: GrantWearer
    verifier: str = field(repr=False)
    """Of PKCE, encrypted."""
    redirect_uri: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Who alone works with a grant for some time."""

    grant: int
    holder: str


@dataclass(frozen=True, slots=True)
class PullCursor:
    """How far one kind of data was pulled."""

    kind: str
    until: date | None = None
    """The first day that was not over by then; None where nothing was pulled yet."""
    due: datetime | None = None
    """Before when nothing is asked after a failure."""
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionNote:
    """What is known of what a vendor was asked to notify of."""

    wearer: GrantWearer
    """With an empty user where a vendor is asked once for all of a source."""
    base: str = ""
    """How the URLs begin that were given to the vendor."""
    asked: str = ""
    """A digest of what was wanted."""
    until: datetime | None = None
    """When the first of it ends; None where none has an end, or none was told."""
    due: datetime | None = None
    """When to look again."""
    failures: int = 0
    problem: str = ""
    """Why not all of what was wanted is subscribed; empty where it is."""


@dataclass(frozen=True, slots=True)
class NamedInterval:
    """What a notification says is new: of whom, of what kind, from when to when."""

    user: str
    """As the vendor calls the wearer."""
    kind: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WantedInterval:
    """A named interval that waits to be fetched."""

    id: int
    kind: str
    start: datetime
    end: datetime
    noted_us: int
    """When it was named last."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """How far a pull is once its data are stored, in the same transaction."""

    hold: Hold
    kind: str
    until: date | None
    """None where the cursor stays where it is."""
    wanted: tuple[WantedInterval, ...] = ()
    """Those that are fetched by now."""
