"""The shape of destinations in the clients file: a FHIR server, or an HL7 v2 engine."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from ..wearables.summaries import STATISTICS
from .fields import Entry, FhirBase, FhirUrl, Name, Text


def _statistic(value: str) -> str:
    if value in STATISTICS or value.removeprefix("band:") not in (value, ""):
        return value
    raise ValueError(f"must be one of {', '.join(STATISTICS)}, or band:<name>")


def _by_metric(value: Any) -> Any:
    """Of metrics that stand in a list alone all that is told of each is taken."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return dict.fromkeys(value, ())
    return value


def _every(value: Any) -> Any:
    return None if value == "all" else value


def _none(value: Any) -> Any:
    return None if value == "none" else value


def _hl7_name(value: str) -> str:
    if any(each in r"|~\&^" or not each.isprintable() for each in value):
        raise ValueError(r"must be printable text without any of | ^ ~ \ &")
    return value


def _versioned(value: Any) -> Any:
    """What YAML has read as a number: 2.5 is a version as 2.5.1 is."""
    return str(value) if isinstance(value, float) else value


Statistic = Annotated[str, AfterValidator(_statistic)]
Days = Annotated[dict[Name, tuple[Statistic, ...]], BeforeValidator(_by_metric)]
Types = Annotated[tuple[Name, ...] | None, BeforeValidator(_every)]
Seconds = Annotated[StrictInt, Field(ge=1, le=60)]
Minutes = Annotated[StrictInt, Field(ge=0, le=7 * 24 * 60)]
Hl7Name = Annotated[str, Field(max_length=180), AfterValidator(_hl7_name)]


class _Destination(Entry):
    """What every destination has."""

    id: Name
    tenant: Name = "default"
    fhir_base: FhirBase = "-"
    """Whose patients it is told of."""
    episodes: Types = None
    """Alert types; ``all`` is the default."""
    days: Days = Field(default_factory=dict)
    historical: StrictBool = False
    """Whether it takes what was long over when it was first heard of."""
    lateness_minutes: Minutes = 60
    """From the end of a day until it is told."""
    private: StrictBool = False
    """Whether its name may lead to addresses of private networks."""


class TokenEntry(Entry):
    """Who this server is at the authorization server of a destination."""

    client_id: Text
    key_file: Text
    """PEM, JWK or JWK Set; relative to the clients file."""
    kid: Annotated[str, Field(max_length=200)] = ""
    scope: Annotated[str, Field(max_length=1000)] = ""
    token_endpoint: FhirUrl | None = None
    """Asked of the FHIR server where it is not given."""


class FhirEntry(_Destination):
    """A FHIR server."""

    kind: Literal["fhir"]
    url: FhirUrl
    ca_file: Text | None = None
    """The authorities that vouch for it, in PEM; relative to the clients file."""
    token: Annotated[TokenEntry | None, BeforeValidator(_none)] = None
    write: Literal["auto", "put", "conditional"] = "auto"
    """How an Observation is written once; ``auto`` as its CapabilityStatement says."""


class TlsEntry(Entry):
    """TLS of an engine; files are PEM and relative to the clients file."""

    ca_file: Text | None = None
    cert_file: Text | None = None
    """Ours, where it asks for one."""
    key_file: Text | None = None

    @model_validator(mode="after")
    def _refuse_half_of_a_certificate(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class Hl7Entry(_Destination):
    """An integration engine that takes HL7 v2 over MLLP."""

    kind: Literal["hl7"]
    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[\w.:-]+$")]
    port: Annotated[StrictInt, Field(ge=1, le=65_535)]
    tls: Annotated[TlsEntry | None, BeforeValidator(_none)] = None
    version: Annotated[
        Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6"],
        BeforeValidator(_versioned),
    ] = "2.5.1"
    sending_application: Hl7Name = "CDS-SERVICE"
    sending_facility: Hl7Name = ""
    receiving_application: Hl7Name = ""
    receiving_facility: Hl7Name = ""
    mode: Literal["original", "enhanced"] = "original"
    """Of acknowledgement."""
    coding: Literal["loinc", "mdc"] = "loinc"
    """Of OBX-3."""
    processing: Literal["P", "T", "D"] = "P"
    """MSH-11: production, training or debugging."""
    ack_seconds: Seconds = 20
    """Until its acknowledgement."""


KINDS: Mapping[str, type[BaseModel]] = {"fhir": FhirEntry, "hl7": Hl7Entry}
DestinationEntry = Annotated[
    FhirEntry | Hl7Entry,
    Field(discriminator="kind"),
]
