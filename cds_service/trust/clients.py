"""Whom to trust, and with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ..fhir.backend_services import SigningKey
from ..fhir.forms import Form
from ..http.addresses import ListedServer
from ..protocol.capabilities import Capabilities
from .keys import DEFAULT_ALGORITHMS, VerificationKey

DEFAULT_LIFETIME = 3600
"""Seconds between ``iat`` and ``exp``."""
REFRESH = 60
"""Seconds between two questions to one URL for a key that it did not have."""


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What a client is forgiven and allowed, and what it understands."""

    strict: bool = False
    """Refuse what is otherwise forgiven and noted as a deviation."""
    allow_replay: bool = False
    """Accept a token more than once."""
    constant_instance: bool = False
    """Its hookInstance does not tell its calls apart."""
    draws_days: bool = True
    """It shows days as a row of bars, or in a table, beside their numbers."""
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    lifetime: int = DEFAULT_LIFETIME
    """Seconds that a token may live."""
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True, slots=True)
class SmartApp:
    """Who this server is at an EHR's authorization server, as an app that it opens.

    With neither a secret nor a key it is a public client.
    """

    client_id: str
    secret: str = field(default="", repr=False)
    key: SigningKey | None = None
    """What it signs assertions with."""
    issuer: str = ""
    """``iss`` of id tokens; empty where the server's configuration says it."""
    scopes: str = "auto"
    """``v1``, ``v2``, or ``auto``: as the server's configuration says."""
    frame_ancestors: tuple[str, ...] = ()
    """Web origins of the EHR, in whose frames the pages may stand."""
    user_required: bool = False
    """Refuse a launch of which nobody says who the user is."""
    practitioner_roles: bool = False
    """Ask to read PractitionerRole: the EHR's calls name users by their roles."""
    hosts: tuple[str, ...] = ()
    """Hosts that endpoints may have, beside that of the FHIR server."""


@dataclass(frozen=True, slots=True)
class TrustedClient:
    """A CDS Client that is known and has proved who it is."""

    id: str
    tenant: str
    """Whose patients it asks about."""
    issuer: str
    """``iss`` of its tokens; empty where trust is off."""
    fhir_base: str = "-"
    """Whose patient ids it uses; ``-`` where the tenant has one FHIR server."""
    fhir_servers: tuple[ListedServer, ...] = ()
    """FHIR servers that may be read with the token that the client sends along."""
    fhir_client_id: str = ""
    """Who we are at its authorization server; empty where that is not known."""
    open_fhir_servers: tuple[ListedServer, ...] = ()
    """FHIR servers that may be read without a token."""
    queries: tuple[Form, ...] = ()
    """How its FHIR servers want to be asked, as far as somebody said."""
    origins: tuple[str, ...] = ()
    """Web origins that its browsers call from."""
    services: tuple[str, ...] = ()
    """The services that exist for it; empty for all."""
    smart: SmartApp | None = None
    """None where the EHR opens no pages of this server."""
    profile: ClientProfile = ClientProfile()

    def may_call(self, service_id: str) -> bool:
        """Check whether the service exists for this client."""
        return not self.services or service_id in self.services


class KeyFormat(StrEnum):
    """What a key server answers with."""

    JWK_SET = "jwk-set"
    """A JWK Set."""
    JWK_LIST = "jwk-list"
    """A JWK Set, or the bare list of the keys."""
    URL_LIST = "url-list"
    """A list of the URLs of JWK Sets, of which a token names one as its ``jku``."""


@dataclass(frozen=True, slots=True)
class KeyServer:
    """A URL at which a client publishes its keys."""

    server: ListedServer
    format: KeyFormat = KeyFormat.JWK_SET
    refresh: int = REFRESH
    """Seconds."""

    @property
    def url(self) -> str:
        """What a token's ``jku`` has to be, if it has one."""
        return self.server.url


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """One entry of the clients file: the client, and how it proves who it is."""

    client: TrustedClient
    keys: Mapping[str, VerificationKey] = field(repr=False, default_factory=dict)
    """By ``kid``; what the clients file itself holds."""
    tenants: tuple[str, ...] = ()
    """Values of the JWT's ``tenant`` claim; empty if it does not matter."""
    key_servers: tuple[KeyServer, ...] = ()
    """Where its keys are; then ``keys`` is empty."""


class Registry(Protocol):
    """Everybody who may call."""

    @property
    def clients(self) -> Sequence[RegisteredClient]:
        """Those who prove who they are."""

    @property
    def anonymous(self) -> TrustedClient | None:
        """Whoever calls, where trust is off."""
