"""Destinations of the clients file, opened: one line for each kind.

Who says what a thing is called in codes is the rulebook, which may be another one while
a destination is open.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.destinations import Destination as Configured
from ..config.destinations import FhirDestination, Hl7Destination
from ..fhir.backend_services import (
    BackendServices,
    InvalidSigningKey,
    Registration,
    load_signing_key,
)
from ..fhir.client import FhirPool
from ..http.addresses import parse_base
from ..publishing.serving import Log
from ..rulebook.engine import Rulebook
from ..wearables.outputs.naming import Naming
from .fhir import FhirSender
from .fhir_server import WrittenServer
from .fhir_writing import OnceWriter
from .hl7 import Hl7Sender
from .records import Destination

CONNECTIONS = 16
"""To one FHIR server."""
FHIR_SCOPES = (
    "system/Observation.crus system/Device.crus system/Provenance.crus",
    " ".join(
        f"system/{kind}.{what}"
        for kind in ("Observation", "Device", "Provenance")
        for what in ("read", "write")
    ),
)
"""What is asked for, and what of a server that knows scopes of SMART 1 only."""


class NotOpened(Exception):
    """A destination cannot be told of anything; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What those who send may ask beside what the clients file says of them."""

    rulebook: Callable[[], Rulebook]
    """What is served at this moment."""
    base: str
    """On which address identifiers rest."""
    log: Log


def _open_fhir(configured: FhirDestination, needs: Needs) -> Destination:
    listed, token = configured.server, configured.token
    base = parse_base(listed.url)
    if base is None:
        raise NotOpened(f"destination {configured.id}: {listed.url} is not a URL")
    pool, tokens = FhirPool(CONNECTIONS), None
    if token is not None:
        try:
            key = load_signing_key(Path(token.key_file), token.kid)
        except (InvalidSigningKey, OSError) as error:
            raise NotOpened(f"destination {configured.id}: {error}") from error
        registration = Registration(
            base,
            token.client_id,
            key,
            scopes=FHIR_SCOPES,
            token_url=token.token_endpoint,
            ca_file=listed.ca_file,
        )
        tokens = BackendServices(registration.asking_for(token.scope), pool)
    return FhirSender(
        configured.id,
        OnceWriter(WrittenServer(base, listed, pool, tokens)),
        lambda: needs.rulebook().catalogue,
        Naming(needs.base),
        write=configured.write,
        days=configured.takes.days,
        log=needs.log,
        close=pool.close,
    )


def _open_hl7(configured: Hl7Destination, needs: Needs) -> Destination:
    naming = Naming(needs.base)
    try:
        return Hl7Sender(configured, lambda: needs.rulebook().catalogue, naming)
    except OSError as error:
        raise NotOpened(f"destination {configured.id}: {error}") from error


Sender = Callable[[Any, Needs], Destination]
"""Given what the clients file says, which is of its kind; raises NotOpened."""
SENDERS: Mapping[type[Configured], Sender] = {
    FhirDestination: _open_fhir,
    Hl7Destination: _open_hl7,
}
"""By what the clients file says: who sends."""


def open_destinations(
    configured: Iterable[Configured], needs: Needs, only: str = ""
) -> Sequence[Destination]:
    """Return the destinations, or the one that is named.

    Raises:
        NotOpened: if one cannot be opened, or there is none of that name.
    """
    wanted = [each for each in configured if only in ("", each.id)]
    if not wanted:
        named = f"destination {only}" if only else "destination"
        raise NotOpened(f"the clients file has no {named}")
    return [_open(each, needs) for each in wanted]


def _open(configured: Configured, needs: Needs) -> Destination:
    send = SENDERS.get(type(configured))
    if send is None:
        raise NotOpened(f"destination {configured.id}: its kind is not supported")
    return send(configured, needs)
