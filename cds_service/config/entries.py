"""The shape of the clients file."""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from ..fhir.forms import DEMANDED
from ..protocol.capabilities import SINCE, VERSIONS
from ..rulebook.language import suggest
from ..trust import ALGORITHMS, DEFAULT_ALGORITHMS, REFRESH, KeyFormat
from ..wearables.adapters.registry import FORMATS
from .bench_sign_in import BenchEntry, RolesEntry
from .clouds import CloudEntry, NotificationsEntry
from .destination_entries import KINDS, DestinationEntry, TlsEntry, TokenEntry
from .fields import (
    Entry,
    FhirBase,
    Name,
    Origin,
    ServerEntries,
    ServerEntry,
    Text,
    ZoneName,
    check_fhir_url,
    list_alone,
    spell_out,
)
from .problems import Reporter
from .proofs import ProofKind
from .smart_apps import SmartEntry


def _algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise ValueError("must be one of " + ", ".join(ALGORITHMS))
    return value


def _jku(value: str) -> str:
    check_fhir_url(value)
    return value


def _actor(value: str) -> str:
    if not _ACTOR.fullmatch(value):
        raise ValueError("must be Type/id, a URL of that, or system|value")
    return value


_ACTOR = re.compile(r"(https?://\S+/)?[A-Z][A-Za-z]+/[A-Za-z0-9.-]+|\S+\|\S+")


def _queried(value: str) -> str:
    if value not in QUERIED:
        raise ValueError("must be one of " + ", ".join(QUERIED))
    return value


QUERIED = ("*", *sorted(DEMANDED), "Medication")
"""What may be said of how it is searched for; ``*`` is every resource type."""


def _every(value: Any) -> Any:
    return () if value == "all" else value


def _queries(value: dict[str, "QueryEntry"]) -> dict[str, "QueryEntry"]:
    for kind, entry in value.items():
        known = DEMANDED.get(kind, {})
        for name, values in entry.added.items():
            if name not in known:
                some = ", ".join(known) or "nothing"
                raise ValueError(f"of {kind}, with can name {some}; not {name}")
            odd = sorted(set(values) - set(known[name].every))
            if odd and known[name].needed:
                some = ", ".join(known[name].every)
                raise ValueError(f"{name} of {kind} is one of {some}; not {odd[0]}")
    return value


Actor = Annotated[str, AfterValidator(_actor)]


class ProfileEntry(Entry):
    """What a client is forgiven and allowed, and what it understands."""

    strict: StrictBool = False
    replay: Literal["refuse", "allow"] = "refuse"
    hook_instance: Literal["unique", "constant"] = "unique"
    draws_days: StrictBool = True
    """It shows days as a row of bars, or in a table, beside their numbers."""
    algorithms: tuple[Annotated[str, AfterValidator(_algorithm)], ...] = Field(
        default=DEFAULT_ALGORITHMS, min_length=1
    )
    lifetime: Annotated[StrictInt, Field(ge=60, le=7 * 86_400)] | None = None
    """Seconds."""
    version: Literal["1.0", "1.1", "2.0", "3.0"] | None = None
    """Of CDS Hooks, that it speaks."""
    any: StrictBool = False
    action_selection_behavior: StrictBool = False
    system_actions: StrictBool = False
    autolaunchable: StrictBool = False
    fhirpath_tokens: StrictBool = False
    delete: Literal["resource_id", "resource"] | None = None
    """Where a delete action names its target; by default as its version has it."""

    @model_validator(mode="after")
    def _refuse_what_its_version_has_not(self) -> Self:
        if self.version is None:
            return self
        for name, since in SINCE.items():
            if getattr(self, name) and VERSIONS.index(self.version) < VERSIONS.index(
                since
            ):
                raise ValueError(f"{name} came with CDS Hooks {since}")
        if self.delete == "resource" and self.version not in ("1.0", "1.1"):
            raise ValueError("delete: resource is the form of CDS Hooks 1.0")
        return self


class KeyServerEntry(Entry):
    """One URL of keys; its URL alone says the same as an entry with no more than it."""

    url: Annotated[str, AfterValidator(_jku)]
    private: StrictBool = False
    """Whether its name may lead to addresses of private networks."""
    ca_file: Text | None = None
    """The authorities that vouch for it, in PEM; relative to the clients file."""
    format: KeyFormat = KeyFormat.JWK_SET
    refresh: Annotated[StrictInt, Field(ge=1, le=3600)] = REFRESH
    """Seconds between two questions for a key that it did not have."""


KeyServerEntries = Annotated[
    tuple[Annotated[KeyServerEntry, BeforeValidator(spell_out)], ...],
    BeforeValidator(list_alone),
]


class QueryEntry(Entry):
    """How a client's FHIR servers want searches of a resource type to be written."""

    without: tuple[Literal["_count", "_include", "_sort", "code"], ...] = ()
    """Parameters that they do not take."""
    one_by_one: tuple[Name, ...] = ()
    """Parameters that take one value at a time."""
    added: dict[str, Annotated[tuple[Name, ...], BeforeValidator(_every)]] = Field(
        default_factory=dict, alias="with"
    )
    """Parameters that they demand, with the values that they have; none for all."""
    as_reads: StrictBool = False
    """Whether they read what they cannot search for by id."""


class ClientEntry(Entry):
    """One client."""

    id: Name
    tenant: Name = "default"
    iss: Text
    tenants: tuple[Text, ...] = ()
    keys: Any = None
    """A JWK Set, or the list in it."""
    keys_file: Text | None = None
    """A JWK Set in JSON; relative to the clients file."""
    jku: KeyServerEntries = ()
    """Where the client publishes its keys."""
    services: tuple[Text, ...] = ()
    """The services that exist for it; all of them where none is named."""
    fhir_base: FhirBase = "-"
    fhir_servers: ServerEntries = ()
    fhir_client_id: Text | None = None
    """Who we are at its authorization server."""
    open_fhir_servers: ServerEntries = ()
    queries: Annotated[
        dict[Annotated[str, AfterValidator(_queried)], QueryEntry],
        AfterValidator(_queries),
    ] = Field(default_factory=dict)
    """By resource type: how these servers want to be asked."""
    origins: tuple[Origin, ...] = ()
    smart: SmartEntry | None = None
    """Who we are to it as an app that it opens."""
    profile: ProfileEntry = ProfileEntry()


def _format(name: str) -> str:
    if name in DELIVERED:
        return name
    raise ValueError(f"no such format; {suggest(name, DELIVERED)}")


DELIVERED = ("alerts", "consents", "links", *FORMATS)
"""What a source may be allowed to deliver."""


def _header(name: str) -> str:
    lower = name.lower()
    if not _HEADER.fullmatch(lower):
        raise ValueError("must be the name of a header, such as x-signature")
    if lower == "authorization" or lower.startswith("webhook-"):
        raise ValueError("must not be one that means something else here")
    return lower


_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
Header = Annotated[str, AfterValidator(_header)]


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        text = "must be an IP address or a network, such as 10.1.2.0/24"
        raise ValueError(text) from error


def _kind_alone(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class ProofEntry(Entry):
    """How a source proves who it is; where it is no more than its kind, that alone."""

    kind: ProofKind
    header: Header = ""
    timestamp_header: Header = ""
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Field(max_length=20, pattern=r"^[!-~]*$")] = ""
    addresses: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    certificates: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = ()

    @model_validator(mode="after")
    def _refuse_what_its_kind_has_not(self) -> Self:
        told = PROOF_MEMBERS[self.kind]
        if "header" in told and not self.header:
            raise ValueError("header must be given")
        if "addresses" in told and not (self.addresses or self.certificates):
            raise ValueError("addresses or certificates must be given")
        for name in type(self).model_fields.keys() - {"kind", *told}:
            if name in self.model_fields_set:
                raise ValueError(f"{name} is not of this kind")
        return self


PROOF_MEMBERS: Mapping[ProofKind, tuple[str, ...]] = {
    ProofKind.STANDARD_WEBHOOKS: (),
    ProofKind.HMAC_SHA256: ("header", "timestamp_header", "encoding", "prefix"),
    ProofKind.NIGHTSCOUT: (),
    ProofKind.HEADER: ("header",),
    ProofKind.PATH: (),
    ProofKind.MLLP: ("addresses", "certificates"),
}
"""What may be said of each kind."""


class WebhookEntry(Entry):
    """One source of wearable data."""

    id: Name
    tenant: Name = "default"
    fhir_base: FhirBase = "-"
    secrets: tuple[Text, ...] = ()
    secrets_file: Text | None = None
    """One secret a line; relative to the clients file."""
    formats: tuple[Annotated[str, AfterValidator(_format)], ...] = ("alerts",)
    tokens: bool = False
    """Whether its wearers may deliver by tokens of their own; then it may sign none."""
    proof: Annotated[ProofEntry, BeforeValidator(_kind_alone)] = ProofEntry(
        kind=ProofKind.STANDARD_WEBHOOKS
    )
    time_zone: ZoneName = ""
    """Where all its wearers are."""


class ClientsFile(Entry):
    """The whole file."""

    format: Literal[1] = 1
    clients: tuple[ClientEntry, ...] = ()
    webhooks: tuple[WebhookEntry, ...] = ()
    destinations: tuple[DestinationEntry, ...] = ()
    clouds: tuple[CloudEntry, ...] = ()
    consent_actors: dict[Name, tuple[Actor, ...]] = Field(default_factory=dict)
    """By tenant: what its hospital is called where a Consent names an actor."""
    workbench: BenchEntry | None = None
    """Who comes into the workbench by the site's own sign-in."""
    published_keys_file: Text | None = None
    """Public keys that are published beside those that sign, as a JWK Set."""


def read_shape(data: Any, reporter: Reporter) -> ClientsFile | None:
    """Return the file's entries; None, with problems, where their shape is wrong."""
    try:
        return ClientsFile.model_validate(data)
    except ValidationError as error:
        for each in error.errors():
            path, kind = _without_kind(each["loc"]), each["type"]
            if kind == "extra_forbidden":
                help = suggest(str(path[-1]), _fields_at(each["loc"]))
                reporter.add(path, f"unknown field; {help}".rstrip("; "), key=True)
            elif kind in ("union_tag_not_found", "union_tag_invalid"):
                reporter.add(path, "kind must be one of " + ", ".join(KINDS))
            else:
                named = path[-1:] == ("[key]",)
                held = path[:-1] if named else path
                reporter.add(held, _sentence(each["msg"]), key=named)
        return None


def _without_kind(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The path as the file has it: there the kind of a destination is no step."""
    if path[:1] == ("destinations",) and path[2:3] and path[2] in KINDS:
        return (*path[:2], *path[3:])
    return path


def _fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The fields that an entry with an unknown one may have."""
    models: dict[str, type[BaseModel]] = {
        "clients": ClientEntry,
        "webhooks": WebhookEntry,
        "profile": ProfileEntry,
        "queries": QueryEntry,
        "smart": SmartEntry,
        "workbench": BenchEntry,
        "roles": RolesEntry,
        "fhir_servers": ServerEntry,
        "open_fhir_servers": ServerEntry,
        "jku": KeyServerEntry,
        "proof": ProofEntry,
        **KINDS,
        "clouds": CloudEntry,
        "notifications": NotificationsEntry,
        "token": TokenEntry,
        "tls": TlsEntry,
    }
    holders = [models[str(each)] for each in path[:-1] if each in models]
    fields = (holders[-1] if holders else ClientsFile).model_fields
    return [each.alias or name for name, each in fields.items()]


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
