"""The clients file: who may call, and which webhook sources may deliver."""

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..fhir.forms import Form, vouch
from ..http.addresses import ListedServer, Reach
from ..protocol.capabilities import Capabilities
from ..rulebook.language import Document, Findings, parse_yaml
from ..trust import (
    ClientProfile,
    InvalidKeySet,
    KeyServer,
    RegisteredClient,
    TrustedClient,
    VerificationKey,
    read_key_set,
)
from ..wearables.adapters.registry import FORMATS
from .entries import (
    ClientEntry,
    ClientsFile,
    KeyServerEntry,
    ProfileEntry,
    QueryEntry,
    ServerEntry,
    WebhookEntry,
    read_shape,
)
from .problems import InvalidConfig
from .problems import Path as FieldPath
from .problems import Reporter, field_name
from .proofs import Proof, ProofKind, fault_of_secret

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
    consent_actors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By tenant: what its hospital is called where a Consent names an actor."""
    anonymous: TrustedClient | None = None
    """Whoever calls, where trust is off; then nobody is asked for a token."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Every web origin that a client calls from, once each."""
        listed = (each for known in self.clients for each in known.client.origins)
        return tuple(dict.fromkeys(listed))

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
    _refuse_shared_secrets(webhooks, reporter)
    _refuse_unknown_tenants(shape, reporter)
    if reporter.problems:
        raise InvalidConfig(reporter.problems)
    actors = {name: frozenset(each) for name, each in shape.consent_actors.items()}
    return Clients(clients, webhooks, actors)


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
            profile=self._profile(entry.profile),
        )
        keys = read_own_keys(entry, path, self.folder, self.reporter)
        listed = self._listed(entry.jku, (*path, "jku"))
        key_servers = tuple(
            KeyServer(server, each.format, each.refresh)
            for server, each in zip(listed, entry.jku, strict=True)
        )
        return RegisteredClient(client, keys, entry.tenants, key_servers)

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
    for index, entry in enumerate(shape.clients):
        for other in shape.clients[:index]:
            if entry.iss == other.iss and _overlap(entry.tenants, other.tenants):
                message = f"client {other.id!r} has this iss for the same tenants"
                reporter.add(("clients", index, "iss"), message)


def _refuse_unknown_tenants(shape: ClientsFile, reporter: Reporter) -> None:
    known = {each.tenant for each in shape.clients}
    known |= {each.tenant for each in shape.webhooks}
    for name in shape.consent_actors:
        if name not in known:
            message = "no client and no webhook has this tenant"
            reporter.add(("consent_actors", name), message, key=True)


def _refuse_unsigned(entry: WebhookEntry, path: FieldPath, reporter: Reporter) -> None:
    """Refuse formats that may not be delivered by the proof of the source."""
    kind = entry.proof.kind
    for index, format in enumerate(entry.formats):
        here = (*path, "formats", index)
        if kind is not ProofKind.STANDARD_WEBHOOKS and format not in FORMATS:
            reporter.add(here, f"{format} are signed as Standard Webhooks asks")
        elif kind is ProofKind.PATH and format == "samples":
            reporter.add(here, "samples have no URL with a secret in it")


def _refuse_repeated(group: str, ids: Sequence[str], reporter: Reporter) -> None:
    for index, each in enumerate(ids):
        if each in ids[:index]:
            reporter.add((group, index, "id"), f"{each!r} is there already")


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
                message = f"a secret is that of {owner!r} as well"
                reporter.add(("webhooks", index), message)


# Keys, secrets and authorities, in the file or in files beside it

_Problem = tuple[FieldPath, str]
_TOP: FieldPath = ()


def read_own_keys(
    entry: ClientEntry, path: FieldPath, folder: Path, reporter: Reporter
) -> Mapping[str, VerificationKey]:
    """Return the client's public keys by ``kid``, where the file has them.

    Problems go to the reporter.
    """
    given = (entry.keys is not None, entry.keys_file is not None, bool(entry.jku))
    if given.count(True) != 1:
        reporter.add(path, "one of keys, keys_file and jku must be given")
        return {}
    if entry.jku:
        return {}
    if entry.keys_file is None:
        keys, problems = _key_set(entry.keys)
        for where, message in problems:
            reporter.add((*path, "keys", *where), message)
        return keys
    here = (*path, "keys_file")
    text = _read_beside(folder, entry.keys_file, here, reporter)
    if text is None:
        return {}
    try:
        keys, problems = _key_set(json.loads(text))
    except (ValueError, RecursionError):
        reporter.add(here, f"{entry.keys_file}: is not JSON")
        return {}
    for where, message in problems:
        reporter.add(here, f"{entry.keys_file}: {field_name(where)}: {message}")
    return keys


def read_secrets(
    entry: WebhookEntry, path: FieldPath, folder: Path, reporter: Reporter
) -> tuple[str, ...]:
    """Return the source's secrets; problems go to the reporter."""
    secrets, kind = list(entry.secrets), entry.proof.kind
    for index, secret in enumerate(secrets):
        if fault := fault_of_secret(secret, kind):
            reporter.add((*path, "secrets", index), fault)
    if entry.secrets_file is not None:
        here = (*path, "secrets_file")
        text = _read_beside(folder, entry.secrets_file, here, reporter)
        if text is None:
            return ()
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                if fault := fault_of_secret(line.strip(), kind):
                    reporter.add(here, f"{entry.secrets_file}:{number}: {fault}")
                secrets.append(line.strip())
    if not secrets and entry.secrets_file is None and not entry.tokens:
        reporter.add(path, "secrets, secrets_file or tokens must be given")
    elif not secrets and entry.secrets_file is not None:
        reporter.add((*path, "secrets_file"), "holds no secret")
    return tuple(secrets)


def read_authorities(
    entry: ServerEntry | KeyServerEntry,
    path: FieldPath,
    folder: Path,
    reporter: Reporter,
) -> str:
    """Return the full path of the server's own authorities; empty for none.

    Problems go to the reporter.
    """
    if entry.ca_file is None:
        return ""
    here = (*path, "ca_file")
    text = _read_beside(folder, entry.ca_file, here, reporter)
    if text is None:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        reporter.add(here, f"{entry.ca_file}: holds no certificate in PEM")
    return str((folder / entry.ca_file).resolve())


def _key_set(value: Any) -> tuple[Mapping[str, VerificationKey], list[_Problem]]:
    """The keys that can be used, and what is wrong with the others."""
    listed, start = value, _TOP
    if isinstance(value, dict):
        listed, start = value.get("keys"), ("keys",)
    if not isinstance(listed, list) or not listed:
        return {}, [((), "must be a JWK Set with at least one key")]
    try:
        found = read_key_set(listed)
    except InvalidKeySet as error:
        return {}, [(start, str(error))]
    wrong = found.problems if found.keys else (*found.problems, *found.others)
    problems = [((*start, *where), problem) for where, problem in wrong]
    if not found.keys and not found.problems:
        problems.append((start, "no key is left to verify tokens with"))
    return found.keys, problems


def _read_beside(
    folder: Path, name: str, path: FieldPath, reporter: Reporter
) -> str | None:
    try:
        return (folder / name).read_text("utf-8")
    except OSError as error:
        reporter.add(path, f"{name}: {error.strerror}")
    except UnicodeDecodeError:
        reporter.add(path, f"{name}: is not UTF-8")
    return None
