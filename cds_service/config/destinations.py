"""Destinations: whom the clients file has told of episodes and days, and how."""

import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..fhir.backend_services import InvalidSigningKey, load_signing_key
from ..http.addresses import ListedServer, Reach
from ..wearables.metrics import Catalogue
from ..wearables.outputs.contents import BANDS, DayOutput
from ..wearables.telling import Subscription, TakenDay
from .beside import read_authorities
from .destination_entries import FhirEntry, Hl7Entry, TokenEntry
from .problems import Path as FieldPath
from .problems import Reporter


@dataclass(frozen=True, slots=True)
class DestinationToken:
    """As whom a token is asked for, by SMART backend services."""

    client_id: str
    key_file: str
    """Full path of the private key."""
    kid: str = ""
    scope: str = ""
    """Empty for what the destination needs."""
    token_endpoint: str = ""
    """Empty where the FHIR server is asked for it."""


@dataclass(frozen=True, slots=True)
class FhirDestination:
    """A FHIR server that is told."""

    takes: Subscription
    server: ListedServer
    token: DestinationToken | None = None
    """None where it takes requests without one."""
    write: str = "auto"
    """``auto``, ``put`` or ``conditional``."""

    @property
    def id(self) -> str:
        """As the clients file calls it."""
        return self.takes.destination


@dataclass(frozen=True, slots=True)
class DestinationTls:
    """TLS of an engine, with full paths."""

    ca_file: str = ""
    """Empty for the public authorities."""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Hl7Destination:
    """An integration engine that is told over MLLP."""

    takes: Subscription
    host: str
    port: int
    reach: Reach = Reach.PUBLIC
    tls: DestinationTls | None = None
    version: str = "2.5.1"
    sending_application: str = "CDS-SERVICE"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    mode: str = "original"
    """``original`` or ``enhanced``."""
    coding: str = "loinc"
    """``loinc`` or ``mdc``."""
    processing: str = "P"
    """MSH-11."""
    ack_seconds: int = 20

    @property
    def id(self) -> str:
        """As the clients file calls it."""
        return self.takes.destination


Destination = FhirDestination | Hl7Destination


def load_destinations(
    entries: Sequence[FhirEntry | Hl7Entry],
    folder: Path,
    development: bool,
    reporter: Reporter,
) -> tuple[Destination, ...]:
    """Return the destinations, checked; problems go to the reporter.

    Args:
        folder: Of the clients file.
    """
    loader = _Loader(folder, development, reporter)
    return tuple(
        (
            loader.fhir(each, ("destinations", index))
            if isinstance(each, FhirEntry)
            else loader.hl7(each, ("destinations", index))
        )
        for index, each in enumerate(entries)
    )


@dataclass(frozen=True, slots=True)
class _Loader:
    folder: Path
    development: bool
    reporter: Reporter

    def fhir(self, entry: FhirEntry, path: FieldPath) -> FhirDestination:
        if not self.development and not entry.url.startswith("https://"):
            message = "must begin with https:// outside development"
            self.reporter.add((*path, "url"), message)
        server = ListedServer(
            entry.url,
            self._reach(entry),
            read_authorities(entry, path, self.folder, self.reporter),
        )
        token = None
        if entry.token is not None:
            token = self._token(entry.token, (*path, "token"))
        return FhirDestination(_subscription(entry), server, token, entry.write)

    def hl7(self, entry: Hl7Entry, path: FieldPath) -> Hl7Destination:
        return Hl7Destination(
            _subscription(entry),
            entry.host,
            entry.port,
            self._reach(entry),
            self._tls(entry, (*path, "tls")),
            **entry.model_dump(
                include={
                    *("version", "mode", "coding", "processing", "ack_seconds"),
                    *("sending_application", "sending_facility"),
                    *("receiving_application", "receiving_facility"),
                }
            ),
        )

    def _reach(self, entry: FhirEntry | Hl7Entry) -> Reach:
        """In development a destination may be anywhere but where none ever is."""
        outside = Reach.LOCAL if self.development else Reach.PUBLIC
        return max(outside, Reach.PRIVATE if entry.private else outside)

    def _token(self, entry: TokenEntry, path: FieldPath) -> DestinationToken:
        file, here = self.folder / entry.key_file, (*path, "key_file")
        try:
            load_signing_key(file, entry.kid)
        except InvalidSigningKey as error:
            told = str(error).removeprefix(f"{file}: ").rstrip(".")
            self.reporter.add(here, f"{entry.key_file}: {told}")
        except OSError as error:
            self.reporter.add(here, f"{entry.key_file}: {error.strerror}")
        return DestinationToken(
            entry.client_id,
            str(file.resolve()),
            entry.kid,
            entry.scope,
            entry.token_endpoint or "",
        )

    def _tls(self, entry: Hl7Entry, path: FieldPath) -> DestinationTls | None:
        if entry.tls is None:
            return None
        authorities = read_authorities(entry.tls, path, self.folder, self.reporter)
        if entry.tls.cert_file is None or entry.tls.key_file is None:
            return DestinationTls(authorities)
        cert, key = (
            str((self.folder / each).resolve())
            for each in (entry.tls.cert_file, entry.tls.key_file)
        )
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                cert, key, password=_no_password
            )
        except ssl.SSLError:
            told = f"{entry.tls.cert_file}: holds no certificate with this key"
            self.reporter.add((*path, "cert_file"), told)
        except OSError as error:
            told = f"{entry.tls.cert_file}, {entry.tls.key_file}: {error.strerror}"
            self.reporter.add((*path, "cert_file"), told)
        return DestinationTls(authorities, cert, key)


def _no_password() -> str:
    """Given to an encrypted key, where else a person would be asked for one."""
    return ""


def _subscription(entry: FhirEntry | Hl7Entry) -> Subscription:
    return Subscription(
        destination=entry.id,
        tenant=entry.tenant,
        fhir_base=entry.fhir_base,
        episodes=entry.episodes,
        days=tuple(TakenDay(*each) for each in entry.days.items()),
        historical=entry.historical,
        lateness=timedelta(minutes=entry.lateness_minutes),
    )


def find_untold(told: Iterable[Destination], catalogue: Catalogue) -> Iterator[str]:
    """Yield what destinations are to be told of and the rules know nothing of.

    A sentence each, with the names that there are.
    """
    days = {
        metric: {name for day in output.days for name in _names(day)}
        for metric, output in catalogue.outputs.metrics.items()
        if output.days
    }
    for each in told:
        for name in each.takes.episodes or ():
            if name not in catalogue.alert_types:
                known = ", ".join(sorted(catalogue.alert_types))
                yield f"destination {each.id}: no alert is a {name!r}; they are {known}"
        for day in each.takes.days:
            if day.metric not in days:
                known = ", ".join(sorted(days))
                what = f"destination {each.id}: no days of {day.metric!r} are told"
                yield f"{what}; outputs.yaml tells those of {known}"
                continue
            for name in set(day.statistics) - days[day.metric]:
                known = ", ".join(sorted(days[day.metric]))
                what = f"destination {each.id}: no {name!r} of days of {day.metric}"
                yield f"{what} is told; outputs.yaml tells {known}"


def _names(day: DayOutput) -> Iterator[str]:
    """By which names a destination takes what a day makes."""
    if day.value != BANDS:
        yield day.value
    else:
        yield from (f"band:{each}" for each in day.members)
