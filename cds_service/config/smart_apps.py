"""SMART apps: who this server is where an EHR opens its pages, in the clients file.

The public halves of all keys that it signs with are published together, with others
that the file names: the next one, before it signs, and the last one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool

from ..fhir.backend_services import (
    InvalidSigningKey,
    SigningKey,
    load_signing_key,
)
from ..http.addresses import covers, parse_base
from ..trust import (
    InvalidKeySet,
    SmartApp,
    TrustedClient,
    VerificationKey,
    read_key_set,
    thumbprint,
)
from .fields import (
    Entry,
    FhirUrl,
    Origin,
    Text,
    read_beside,
    read_one_secret,
)
from .problems import Path as FieldPath
from .problems import Reporter, field_name


def read_host(value: str) -> str:
    """Return the name of a host. Raises ValueError if it is more than that."""
    base = parse_base(f"https://{value}")
    alone = base is not None and base.origin == f"https://{value.lower()}"
    if base is None or not alone or not base.has_default_port:
        raise ValueError("must be the name of a host alone, such as auth.ehr.example")
    return base.host


class SmartEntry(Entry):
    """Who we are at the authorization server of an EHR that opens our pages."""

    client_id: Text
    secret_file: Text | None = None
    """One line; relative to the clients file."""
    private_key_file: Text | None = None
    """PEM, JWK or JWK Set; relative to the clients file."""
    kid: Annotated[str, Field(max_length=200)] = ""
    issuer: FhirUrl | None = None
    """Of id tokens; asked of the FHIR server where it is not given."""
    scopes: Literal["auto", "v1", "v2"] = "auto"
    frame_ancestors: tuple[Origin, ...] = ()
    user_required: StrictBool = False
    practitioner_roles: StrictBool = False
    """Whether the calls of the EHR name users by their roles."""
    hosts: tuple[Annotated[str, AfterValidator(read_host)], ...] = ()
    """That its authorization server may have, beside the FHIR server's own."""


@dataclass(frozen=True, slots=True)
class AppReader:
    """Entries to apps; problems go to the reporter."""

    folder: Path
    """Of the clients file."""
    development: bool
    reporter: Reporter

    def app(self, entry: SmartEntry, path: FieldPath) -> SmartApp:
        """Return the app of an entry."""
        if entry.secret_file is not None and entry.private_key_file is not None:
            self.reporter.add(path, "only one of secret_file and private_key_file")
        if entry.kid and entry.private_key_file is None:
            self.reporter.add((*path, "kid"), "is that of a private_key_file")
        if not self.development:
            self._refuse_plain(entry, path)
        return SmartApp(
            client_id=entry.client_id,
            secret=self._secret(entry, path),
            key=self._key(entry, path),
            issuer=entry.issuer or "",
            scopes=entry.scopes,
            frame_ancestors=entry.frame_ancestors,
            user_required=entry.user_required,
            practitioner_roles=entry.practitioner_roles,
            hosts=entry.hosts,
        )

    def _refuse_plain(self, entry: SmartEntry, path: FieldPath) -> None:
        message = "must begin with https:// outside development"
        if entry.issuer and not entry.issuer.startswith("https://"):
            self.reporter.add((*path, "issuer"), message)
        for number, each in enumerate(entry.frame_ancestors):
            if not each.lower().startswith("https://"):
                self.reporter.add((*path, "frame_ancestors", number), message)

    def _secret(self, entry: SmartEntry, path: FieldPath) -> str:
        if entry.secret_file is None:
            return ""
        here = (*path, "secret_file")
        return read_one_secret(self.folder, entry.secret_file, here, self.reporter)

    def _key(self, entry: SmartEntry, path: FieldPath) -> SigningKey | None:
        name = entry.private_key_file
        if name is None:
            return None
        file, here = self.folder / name, (*path, "private_key_file")
        try:
            return load_signing_key(file, entry.kid)
        except InvalidSigningKey as error:
            told = str(error).removeprefix(f"{file}: ").rstrip(".")
            self.reporter.add(here, f"{name}: {told}")
        except OSError as error:
            self.reporter.add(here, f"{name}: {error.strerror}")
        return None


def check_launching(clients: Iterable[TrustedClient], reporter: Reporter) -> None:
    """Report apps of which nobody could say which FHIR server opens them.

    Args:
        clients: In the order of the file.
    """
    opened: dict[str, str] = {}
    for index, client in enumerate(clients):
        if client.smart is None:
            continue
        path: FieldPath = ("clients", index, "smart")
        base = parse_base(client.fhir_base)
        if base is None:
            reporter.add(path, "needs fhir_base: the FHIR server that opens the pages")
            continue
        listed = (parse_base(each.url) for each in client.fhir_servers)
        if not any(each is not None and covers(each, base) for each in listed):
            message = "fhir_base must be among fhir_servers: the pages read it"
            reporter.add(path, message)
        owner = opened.setdefault(str(base), client.id)
        if owner != client.id:
            reporter.add(path, f"client {owner!r} is opened from this fhir_base")


def read_published(
    name: str | None,
    signing: Iterable[SigningKey],
    folder: Path,
    reporter: Reporter,
) -> Mapping[str, VerificationKey]:
    """Return every public key that is published, by ``kid``, each with its algorithm.

    Args:
        name: Of a file beside the clients file with more of them.
        signing: What this server signs with.
    """
    here: FieldPath = ("published_keys_file",)
    found: dict[str, VerificationKey] = {}
    for each in signing:
        _join(found, each.kid, public_half(each), here, reporter)
    for kid, key in _read(name, here, folder, reporter).items():
        _join(found, kid, key, here, reporter)
    return found


def public_half(key: SigningKey) -> VerificationKey:
    """Return what verifies that this key has signed."""
    return VerificationKey((key.algorithm,), key.key.public_key())


def _read(
    name: str | None, here: FieldPath, folder: Path, reporter: Reporter
) -> Mapping[str, VerificationKey]:
    text = None if name is None else read_beside(folder, name, here, reporter)
    if text is None:
        return {}
    try:
        value = json.loads(text)
        told = read_key_set(value.get("keys") if isinstance(value, dict) else value)
    except (ValueError, RecursionError):
        reporter.add(here, f"{name}: is not JSON")
        return {}
    except InvalidKeySet as error:
        reporter.add(here, f"{name}: {error}")
        return {}
    for where, problem in (*told.problems, *told.others):
        reporter.add(here, f"{name}: {field_name(('keys', *where))}: {problem}")
    return {kid: _one_way(key) for kid, key in told.keys.items()}


def _one_way(key: VerificationKey) -> VerificationKey:
    """The key with the algorithm that it is published for: SMART's, where it fits."""
    usual = tuple(each for each in ("ES384", "RS384") if each in key.algorithms)
    return VerificationKey((usual or key.algorithms)[:1], key.key)


def _join(
    found: dict[str, VerificationKey],
    kid: str,
    key: VerificationKey,
    path: FieldPath,
    reporter: Reporter,
) -> None:
    known = found.setdefault(kid, key)
    if thumbprint(known) != thumbprint(key):
        reporter.add(path, f"two keys that differ have the kid {kid!r}")
