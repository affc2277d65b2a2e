"""Keys that are made to be thrown away, so that a vendor can try a signed call at once.

In development alone. Such a key signs for a client of its own, ``workbench``, in a
tenant of its own: it has no FHIR server, so nothing can be read with it, and no
patient of a client in the clients file is its patient. The server keeps the public
half, for an hour; no client of the clients file ever has one.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from ...audit import build_workbench_event
from ...config import Auth, Config, Profile, Workbench
from ...decision import World
from ...ehr.tokens import Claims, build_token, generate_rsa_key
from ...store.workbench.keys import WorkbenchKeys
from ...trust import RegisteredClient, TrustedClient, VerificationKey, read_key

CLIENT = "workbench"
"""Its client and its tenant."""
GOOD_FOR = timedelta(hours=1)
TOKEN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ThrowawayKey:
    """A key pair that was just made."""

    kid: str
    issuer: str
    private: Any
    jwk: str
    """The private key as the text of a JWK."""
    until: datetime

    def sign(self, audience: str, now: datetime) -> str:
        """Return a token for one call of the URL *audience*."""
        claims = Claims(self.issuer, audience, self.kid, lifetime=TOKEN_SECONDS)
        return build_token(self.private, claims, now)


class KeptKeys(Mapping[str, VerificationKey]):
    """The keys that are good at this moment, looked up when a token names one."""

    def __init__(self, keys: WorkbenchKeys, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._clock = clock

    def __getitem__(self, kid: str) -> VerificationKey:
        found = self._keys.find(kid, self._clock())
        if found is None:
            raise KeyError(kid)
        return read_key(json.loads(found))

    def __iter__(self) -> Iterator[str]:
        """Name none: they are found by their ids alone."""
        return iter(())

    def __len__(self) -> int:
        return 0


def is_offered(config: Config) -> bool:
    """Check whether keys are made here: where trust is on, in development."""
    developing = config.profile is Profile.DEVELOPMENT
    on = config.workbench is Workbench.ON
    return developing and on and config.auth is not Auth.OFF


def issuer_of(config: Config) -> str:
    """Return who signs with such keys."""
    return f"{config.public_url}/workbench"


def trust_throwaway_keys(world: World) -> World:
    """Return the world in which such keys are trusted, where they are made at all."""
    if not is_offered(world.config) or _are_trusted(world):
        return world
    client = TrustedClient(CLIENT, CLIENT, issuer_of(world.config))
    keys = KeptKeys(world.store.throwaway_keys, world.clock)
    known = (*world.clients.clients, RegisteredClient(client, keys))
    return replace(world, clients=replace(world.clients, clients=known))


def _are_trusted(world: World) -> bool:
    issuer = issuer_of(world.config)
    return any(each.client.issuer == issuer for each in world.clients.clients)


def make_key(world: World, subject: str) -> ThrowawayKey:
    """Return a new key, which is good from now on for an hour."""
    now = world.clock()
    private, jwk, public = generate_rsa_key()
    kid = f"throw-away-{token_hex(8)}"
    until = now + GOOD_FOR
    told = {"outcome": "key made to be thrown away", "kid": kid}
    event = build_workbench_event(now, "sign-in", subject, told)
    kept = json.dumps({**public, "kid": kid, "alg": "RS384", "use": "sig"})
    world.store.throwaway_keys.keep(kid, kept, until, event)
    return ThrowawayKey(kid, issuer_of(world.config), private, jwk, until)
