"""A sign-in as data: where it is, what is kept meanwhile, and what comes of it.

Whoever begins one keeps what is *pending* until the browser comes back, once, and has
it be of nobody but that browser. Of what comes of it, tokens and the context are
secrets: they are sealed before they are stored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ...http.addresses import ListedServer
from ...trust import SmartApp
from ..oauth import IssuedTokens


class ProviderKind(StrEnum):
    """What is signed in at."""

    SMART = "smart"
    """A FHIR server; whoever signs in comes with a patient."""
    OIDC = "oidc"
    """An OpenID provider: it says who a user is, and nothing else."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Where users sign in, and who we are there."""

    id: str
    """As it is called here, such as the client of the clients file."""
    server: ListedServer
    """The FHIR base, or the issuer of an OpenID provider."""
    app: SmartApp
    kind: ProviderKind = ProviderKind.SMART


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a sign-in begins with."""

    redirect_uri: str
    """Where the browser comes back to; the same for every sign-in."""
    state: str = field(repr=False)
    """What it brings back: random, and of this sign-in alone."""
    launch: str | None = field(default=None, repr=False)
    """What an EHR gave along; None where no EHR did (standalone)."""
    issuer: str = ""
    """``iss`` as the EHR has written it."""
    resources: tuple[str, ...] = ()
    """Types of resources that are to be read, such as ``Observation``."""
    max_age: int | None = None
    """Seconds ago at most that the user has to have proved who they are; None where it
    does not matter. Asked of OpenID providers alone: EHRs need not know it."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What has to be known of a sign-in when the browser comes back."""

    redirect_uri: str
    verifier: str = field(repr=False)
    """Of PKCE."""
    nonce: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    """What was asked for."""
    max_age: int | None = None
    """Likewise."""

    def as_text(self) -> str:
        """Return it as one text, to be sealed."""
        return json.dumps(asdict(self))


def read_pending(text: str) -> Pending:
    """Return what was written by ``as_text``."""
    told = json.loads(text)
    return Pending(**{**told, "scopes": tuple(told["scopes"])})


@dataclass(frozen=True, slots=True)
class SignInBegun:
    """A sign-in that has begun."""

    url: str = field(repr=False)
    """Where the browser is sent to."""
    pending: Pending


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What was open in the EHR. Source: SMART App Launch 2.2, "Launch context"."""

    patient: str = ""
    """The id alone."""
    encounter: str | None = None
    """The id alone."""
    app_context: str = field(default="", repr=False)
    """What the link of a card carried, as text."""
    intent: str = ""
    tenant: str = ""
    """As the EHR calls it; for logs alone."""
    needs_banner: bool = True
    """Whether the EHR shows nobody's identity beside the page."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What came of a sign-in."""

    tokens: IssuedTokens
    context: LaunchContext
    """Of an OpenID provider empty."""
    scopes: tuple[str, ...]
    """What was granted."""
    refused: tuple[str, ...] = ()
    """What was asked for and not granted."""
    user: str | None = None
    """``fhirUser``: relative to the base where it is there, such as
    ``Practitioner/7``, else as it came; None where nobody says."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the id token, verified; empty where none came."""
    patient: Mapping[str, Any] | None = field(default=None, repr=False)
    """The Patient as it was read; None of an OpenID provider."""


class NotSignedIn(Exception):
    """Nobody is signed in; the message is a sentence without secrets or patients."""

    def __init__(self, why: str, status: int = 403) -> None:
        """Say why.

        Args:
            status: Of the answer: 403 where it is refused, 502 where others failed.
        """
        super().__init__(why)
        self.status = status


class NoAccess(Exception):
    """There is no token at the moment; the message is a sentence without secrets."""

    def __init__(self, why: str, *, ended: bool = False) -> None:
        """Say why.

        Args:
            ended: Whether there will be none: the session ends with that.
        """
        super().__init__(why)
        self.ended = ended
