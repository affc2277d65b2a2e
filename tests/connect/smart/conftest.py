"""Sign-ins at a real EHR: who we are there, and the browser that goes and comes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cds_service.connect.smart import (
    Arrival,
    NotSignedIn,
    Pending,
    Provider,
    SignedIn,
    SignInBegun,
    SignInDesk,
    begin,
    complete,
)
from cds_service.fhir.backend_services import SigningKey
from cds_service.fhir.client import FhirPool
from cds_service.http.addresses import ListedServer, Reach
from cds_service.trust import SmartApp, VerificationKey, public_jwk

from ...smart_server import SmartServer, walk
from .hostile import HostileEhr, hostile_ehr

REDIRECT = "http://127.0.0.1:9/smart/callback"
"""Nobody listens there: the browser stops before it."""
STATE = "state-of-this-sign-in"
RESOURCES = ("Condition", "Observation")
KEYS = {
    "RS384": rsa.generate_private_key(65537, 2048),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
}


def signing_key(algorithm: str) -> SigningKey:
    return SigningKey(KEYS[algorithm], algorithm, f"our-{algorithm}")


def public_set(algorithm: str) -> dict[str, Any]:
    """The JWK Set that an EHR has of us."""
    key = VerificationKey((algorithm,), KEYS[algorithm].public_key())
    jwk = public_jwk(algorithm, key.key)
    return {"keys": [{**jwk, "kid": f"our-{algorithm}", "use": "sig"}]}


@dataclass(frozen=True)
class Clinic:
    """An EHR, and us as one of its apps."""

    desk: SignInDesk
    server: SmartServer
    provider: Provider

    def app(self, **changes: Any) -> "Clinic":
        """The same with other words in our entry of the clients file."""
        app = replace(self.provider.app, **changes)
        return replace(self, provider=replace(self.provider, app=app))

    def begin(self, launch: str | None, **changes: Any) -> SignInBegun:
        arrival = Arrival(REDIRECT, STATE, launch, resources=RESOURCES)
        now = datetime.now(UTC)
        return begin(self.desk, self.provider, replace(arrival, **changes), now)

    def complete(self, pending: Pending, told: dict[str, str]) -> SignedIn:
        return complete(self.desk, self.provider, pending, told, datetime.now(UTC))

    def sign_in(self, launch: str | None, **changes: Any) -> SignedIn:
        """From the EHR to the page, as a browser goes."""
        begun = self.begin(launch, **changes)
        return self.complete(begun.pending, walk(begun.url, REDIRECT))


@dataclass(frozen=True)
class Attempt:
    """A sign-in at an EHR that misbehaves."""

    ehr: HostileEhr
    desk: SignInDesk
    provider: Provider
    max_age: int | None = None
    now: datetime | None = None
    """When the user comes back; None for this moment."""

    def app(self, **changes: Any) -> "Attempt":
        """The same with other words in our entry of the clients file."""
        app = replace(self.provider.app, **changes)
        return replace(self, provider=replace(self.provider, app=app))

    def begin(self, now: datetime | None = None) -> SignInBegun:
        arrival = Arrival(
            REDIRECT, STATE, "xyz", resources=RESOURCES, max_age=self.max_age
        )
        return begin(self.desk, self.provider, arrival, now or datetime.now(UTC))

    def sign_in(self, **told: str) -> SignedIn:
        """As if the user had signed in there, and come back with a code."""
        pending = self.begin().pending
        self.ehr.nonce = pending.nonce
        told, now = {"code": "code-1", **told}, self.now or datetime.now(UTC)
        return complete(self.desk, self.provider, pending, told, now)

    def refusal(self, **told: str) -> str:
        """Return why nobody is signed in."""
        with pytest.raises(NotSignedIn) as refused:
            self.sign_in(**told)
        return str(refused.value)


@pytest.fixture(scope="session")
def fhir_pool() -> Iterator[FhirPool]:
    pool = FhirPool(4)
    yield pool
    pool.close()


@pytest.fixture
def clinic(smart_server: SmartServer, fhir_pool: FhirPool) -> Clinic:
    """An EHR at which we are a public client."""
    app = SmartApp(smart_server.register(REDIRECT))
    server = ListedServer(smart_server.base, Reach.LOCAL)
    provider = Provider("ehr", server, app)
    return Clinic(SignInDesk(fhir_pool), smart_server, provider)


@pytest.fixture
def known_as(clinic: Clinic) -> Callable[..., Clinic]:
    """The EHR at which we are known by a secret, or by keys."""

    def registered(secret: str = "", algorithm: str = "", **more: Any) -> Clinic:
        metadata: dict[str, Any] = dict(more)
        if secret:
            metadata |= {
                "token_endpoint_auth_method": "client_secret_basic",
                "client_secret": secret,
            }
        if algorithm:
            metadata |= {
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": algorithm,
                "jwks": public_set(algorithm),
            }
        client_id = clinic.server.register(REDIRECT, **metadata)
        key = signing_key(algorithm) if algorithm else None
        return clinic.app(client_id=client_id, secret=secret, key=key)

    return registered


@pytest.fixture
def hostile() -> Iterator[HostileEhr]:
    """An EHR that misbehaves as a test tells it."""
    with hostile_ehr() as ehr:
        yield ehr


@pytest.fixture
def against(hostile: HostileEhr, fhir_pool: FhirPool) -> Attempt:
    """Us, before that EHR."""
    server = ListedServer(hostile.base, Reach.LOCAL)
    provider = Provider("ehr", server, SmartApp(hostile.client_id))
    return Attempt(hostile, SignInDesk(fhir_pool), provider)
