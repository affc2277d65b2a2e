"""The clients file: who may call, and which webhook sources may deliver."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from ..fhir.backend_services import SigningKey, load_signing_key
from ..fhir.forms import Form, vouch
from ..http.addresses import ListedServer, Reach
from ..protocol.capabilities import Capabilities
from ..rulebook.language import Document, Findings, parse_yaml
from ..trust import (
    ClientProfile,
    KeyServer,
    RegisteredClient,
    SmartApp,
    TrustedClient,
    VerificationKey,
)
from ..wearables.adapters.registry import FORMATS
from .bench_sign_in import BenchSignIn, load_bench_sign_in
from .beside import read_authorities, read_own_keys, read_secrets
from .clouds import Cloud, load_clouds
from .destinations import Destination, FhirDestination, load_destinations
from .entries import (
    ClientEntry,
    ClientsFile,
    KeyServerEntry,
    ProfileEntry,
    QueryEntry,
    WebhookEntry,
    read_shape,
)
from .fields import ServerEntry
from .problems import InvalidConfig
from .problems import Path as FieldPath
from .problems import Reporter
from .proofs import Proof, ProofKind
from .smart_apps import AppReader, check_launching, read_published

SANDBOX = "sandbox.cds-hooks.org"
"""Its private key is public: to trust this issuer is to trust anybody."""


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """Somebody who delivers wearable data."""

    id: str
    tenant: str
    fhir_base: str
    secrets: tuple[str, ...] = field(repr=False)
    """Any of them is good, so that they can be changed one by one."""
    formats: tuple[str, ...] = ("alerts",)
    time_zone: str = ""
    """Of the IANA database: where all its wearers are, if they are in one zone."""
    tokens: bool = False
    """Whether its wearers may deliver by tokens of their own."""
    proof: Proof = Proof()


@dataclass(frozen=True, slots=True)
class Clients:
    """Everybody who is known."""

    clients: tuple[RegisteredClient, ...] = ()
    webhooks: tuple[WebhookSource, ...] = ()
    destinations: tuple[Destination, ...] = ()
    clouds: tuple[Cloud, ...] = ()
    consent_actors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By tenant: what its hospital is called where a Consent names an actor."""
    published: Mapping[str, VerificationKey] = field(default_factory=dict)
    """By ``kid``: the public halves of keys that this server signs with, and others."""
    workbench: BenchSignIn | None = None
    """How people of the site come into the workbench; None for links alone."""
    anonymous: TrustedClient | None = None
    """Whoever calls, where trust is off; then nobody is asked for a token."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Every web origin that a client calls from, once each."""
        listed = (each for known in self.clients for each in known.client.origins)
        return tuple(dict.fromkeys(listed))

    @property
    def keeps_tokens(self) -> bool:
        """Whether anybody's tokens are stored, which takes a key."""
        apps = (known.client.smart for known in self.clients)
        held = bool(self.clouds) or self.workbench is not None
        return held or any(app is not None for app in apps)

    def without_trust(self, anonymous: TrustedClient) -> "Clients":
        """Return the same, answering everybody as *anonymous*."""
        return replace(self, anonymous=anonymous)


def load_clients(file: Path, *, development: bool, lifetime: int) -> Clients:
    """Return the clients file, checked whole.

    *lifetime* is how many seconds a token may live where a profile does not say.

    Raises:
        InvalidConfig: naming file, line, column and field of everything wrong.
    """
    document = _read(file)
    reporter = Reporter(document)
    shape = read_shape(document.data, reporter)
    if shape is None:
        raise InvalidConfig(reporter.problems)
    _refuse_twins(shape, reporter)
    loader = _Loader(file.parent, development, lifetime, reporter)
    clients = tuple(
        loader.client(entry, index) for index, entry in enumerate(shape.clients)
    )
    webhooks = tuple(
        loader.webhook(entry, index) for index, entry in enumerate(shape.webhooks)
    )
    destinations = load_destinations(
        shape.destinations, file.parent, development, reporter
    )
    clouds = load_clouds(shape.clouds, file.parent, development, reporter)
    bench = load_bench_sign_in(
        shape.workbench,
        file.parent,
        development,
        reporter,
        lambda each: read_authorities(each, ("workbench",), file.parent, reporter),
    )
    _refuse_shared_secrets(webhooks, reporter)
    _refuse_unknown_tenants(shape, reporter)
    check_launching((each.client for each in clients), reporter)
    published: Mapping[str, VerificationKey] = {}
    if not reporter.problems:
        signing = [*_keys_of_apps(clients), *_keys_of_tokens(destinations)]
        if bench is not None and bench.app.key is not None:
            signing.append(bench.app.key)
        name = shape.published_keys_file
        published = read_published(name, signing, file.parent, reporter)
    if reporter.problems:
        raise InvalidConfig(reporter.problems)
    actors = {name: frozenset(each) for name, each in shape.consent_actors.items()}
    return Clients(
        clients, webhooks, destinations, clouds, actors, published, workbench=bench
    )


def _keys_of_apps(clients: Sequence[RegisteredClient]) -> Iterator[SigningKey]:
    for each in clients:
        if each.client.smart is not None and each.client.smart.key is not None:
            yield each.client.smart.key


def _keys_of_tokens(destinations: Sequence[Destination]) -> Iterator[SigningKey]:
    for each in destinations:
        if isinstance(each, FhirDestination) and each.token is not None:
            yield load_signing_key(Path(each.token.key_file), each.token.kid)


def _read(file: Path) -> Document:
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise InvalidConfig([f"CDS_CLIENTS_FILE: {file}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidConfig([f"CDS_CLIENTS_FILE: {file}: is not UTF-8"]) from error
    findings = Findings()
    document = parse_yaml(text, str(file), findings)
    if document is None or findings.has_errors:
        raise InvalidConfig(
            [
                f"{each.file}:{each.line}:{each.column}: {each.message}"
                for each in findings
            ]
        )
    return document


@dataclass(frozen=True, slots=True)
class _Loader:
    """Entries of the file to what the rest of the server uses."""

    folder: Path
    development: bool
    lifetime: int
    reporter: Reporter

    def client(self, entry: ClientEntry, index: int) -> RegisteredClient:
        path: FieldPath = ("clients", index)
        if not self.development:
            self._refuse_unsafe(entry, path)
        client = TrustedClient(
            id=entry.id,
            tenant=entry.tenant,
            issuer=entry.iss,
            fhir_base=entry.fhir_base,
            fhir_servers=self._listed(entry.fhir_servers, (*path, "fhir_servers")),
            fhir_client_id=entry.fhir_client_id or "",
            open_fhir_servers=self._listed(
                entry.open_fhir_servers, (*path, "open_fhir_servers")
            ),
            queries=tuple(
                _form(kind, each) for kind, each in sorted(entry.queries.items())
            ),
            origins=entry.origins,
            services=entry.services,
            smart=self._app(entry, path),
            profile=self._profile(entry.profile),
        )
        keys = read_own_keys(entry, path, self.folder, self.reporter)
        listed = self._listed(entry.jku, (*path, "jku"))
        key_servers = tuple(
            KeyServer(server, each.format, each.refresh)
            for server, each in zip(listed, entry.jku, strict=True)
        )
        return RegisteredClient(client, keys, entry.tenants, key_servers)

    def _app(self, entry: ClientEntry, path: FieldPath) -> SmartApp | None:
        if entry.smart is None:
            return None
        reader = AppReader(self.folder, self.development, self.reporter)
        return reader.app(entry.smart, (*path, "smart"))

    def _profile(self, entry: ProfileEntry) -> ClientProfile:
        return ClientProfile(
            strict=entry.strict,
            allow_replay=entry.replay == "allow",
            constant_instance=entry.hook_instance == "constant",
            draws_days=entry.draws_days,
            algorithms=entry.algorithms,
            lifetime=entry.lifetime or self.lifetime,
            capabilities=Capabilities(
                any=entry.any,
                action_selection_behavior=entry.action_selection_behavior,
                system_actions=entry.system_actions,
                autolaunchable=entry.autolaunchable,
                fhirpath_tokens=entry.fhirpath_tokens,
                delete_in_resource=(entry.delete or _delete_of(entry)) == "resource",
            ),
        )

    def webhook(self, entry: WebhookEntry, index: int) -> WebhookSource:
        path: FieldPath = ("webhooks", index)
        secrets = read_secrets(entry, path, self.folder, self.reporter)
        _refuse_unsigned(entry, path, self.reporter)
        return WebhookSource(
            entry.id,
            entry.tenant,
            entry.fhir_base,
            secrets,
            entry.formats,
            entry.time_zone,
            entry.tokens,
            Proof(**entry.proof.model_dump()),
        )

    def _listed(
        self, entries: Sequence[ServerEntry | KeyServerEntry], path: FieldPath
    ) -> tuple[ListedServer, ...]:
        """In development a server may be anywhere but where none ever is."""
        outside = Reach.LOCAL if self.development else Reach.PUBLIC
        return tuple(
            ListedServer(
                each.url,
                max(outside, Reach.PRIVATE if each.private else outside),
                read_authorities(each, (*path, index), self.folder, self.reporter),
            )
            for index, each in enumerate(entries)
        )

    def _refuse_unsafe(self, entry: ClientEntry, path: FieldPath) -> None:
        message = "this issuer's private key is public; only in development"
        if _is_sandbox(entry.iss):
            self.reporter.add((*path, "iss"), message)
        for number, each in enumerate(entry.jku):
            if _is_sandbox(each.url):
                self.reporter.add((*path, "jku", number), message)
        for name in ("fhir_servers", "open_fhir_servers", "jku"):
            servers: Sequence[ServerEntry | KeyServerEntry] = getattr(entry, name)
            for number, server in enumerate(servers):
                if not server.url.startswith("https://"):
                    message = "must begin with https:// outside development"
                    self.reporter.add((*path, name, number), message)


def _form(kind: str, entry: QueryEntry) -> Form:
    """Return how searches of a resource type, or of ``*``, are to be written."""
    return Form(
        "" if kind == "*" else kind,
        tuple(sorted(entry.without)),
        tuple(sorted(entry.one_by_one)),
        tuple(vouch(kind, name, each) for name, each in entry.added.items()),
        entry.as_reads,
    )


def _is_sandbox(url: str) -> bool:
    return urlsplit(url.strip().lower()).hostname == SANDBOX


def _delete_of(entry: ProfileEntry) -> str:
    """The form of a delete action that the client's version knows."""
    return "resource" if entry.version == "1.0" else "resource_id"


def _refuse_twins(shape: ClientsFile, reporter: Reporter) -> None:
    """Refuse entries between which a call could not be told apart."""
    _refuse_repeated("clients", [each.id for each in shape.clients], reporter)
    _refuse_repeated("webhooks", [each.id for each in shape.webhooks], reporter)
    told = [each.id for each in shape.destinations]
    _refuse_repeated("destinations", told, reporter)
    _refuse_repeated("clouds", [each.id for each in shape.clouds], reporter)
    _refuse_two_senders(shape, reporter)
    for index, entry in enumerate(shape.clients):
        for other in shape.clients[:index]:
            if entry.iss == other.iss and _overlap(entry.tenants, other.tenants):
                message = f"client {other.id!r} has this iss for the same tenants"
                reporter.add(("clients", index, "iss"), message)


def _refuse_two_senders(shape: ClientsFile, reporter: Reporter) -> None:
    """A cloud may push as well; then what comes either way is about the same."""
    webhooks = {each.id: each for each in shape.webhooks}
    for index, cloud in enumerate(shape.clouds):
        same = webhooks.get(cloud.id)
        for name in ("tenant", "fhir_base"):
            if same and getattr(same, name) != getattr(cloud, name):
                message = f"the webhook {cloud.id!r} has another {name}"
                reporter.add(("clouds", index, name), message)


def _refuse_unknown_tenants(shape: ClientsFile, reporter: Reporter) -> None:
    known = {each.tenant for each in shape.clients}
    known |= {each.tenant for each in shape.webhooks}
    known |= {each.tenant for each in shape.clouds}
    message = "no client, webhook or cloud has this tenant"
    for index, each in enumerate(shape.destinations):
        if each.tenant not in known:
            reporter.add(("destinations", index, "tenant"), message)
    for name in shape.consent_actors:
        if name not in known:
            reporter.add(("consent_actors", name), message, key=True)


def _refuse_unsigned(entry: WebhookEntry, path: FieldPath, reporter: Reporter) -> None:
    """Refuse formats that may not be delivered by the proof of the source."""
    kind = entry.proof.kind
    secret = entry.secrets or entry.secrets_file is not None or entry.tokens
    if kind is ProofKind.MLLP and secret:
        reporter.add(path, "a source authenticated by its connection has no secret")
    for index, format in enumerate(entry.formats):
        here = (*path, "formats", index)
        if kind is not ProofKind.STANDARD_WEBHOOKS and format not in FORMATS:
            reporter.add(here, f"{format} are signed as Standard Webhooks asks")
        elif kind is ProofKind.MLLP and format != "hl7v2":
            reporter.add(here, f"{format} are not delivered over MLLP")
        elif kind is ProofKind.PATH and format == "samples":
            reporter.add(here, "samples have no URL with a secret in it")


def _refuse_repeated(group: str, ids: Sequence[str], reporter: Reporter) -> None:
    for index, each in enumerate(ids):
        if each in ids[:index]:
            reporter.add((group, index, "id"), f"{each!r} is already used")


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not one or not other or bool(set(one) & set(other))


def _refuse_shared_secrets(
    webhooks: Sequence[WebhookSource], reporter: Reporter
) -> None:
    owners: dict[str, str] = {}
    for index, source in enumerate(webhooks):
        for secret in source.secrets:
            owner = owners.setdefault(secret, source.id)
            if owner != source.id:
                message = f"a secret is also used by {owner!r}"
                reporter.add(("webhooks", index), message)


def build_anonymous(fhir_servers: Sequence[str]) -> TrustedClient:
    """Return whoever calls where trust is off; anybody may name these FHIR servers."""
    listed = tuple(ListedServer(each, Reach.LOCAL) for each in fhir_servers)
    return TrustedClient(
        id="anonymous",
        tenant="default",
        issuer="",
        open_fhir_servers=listed,
        profile=ClientProfile(),
    )
