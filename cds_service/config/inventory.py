"""The inventory: all that the server was told, as flat data without a secret.

It is for the audit trail, where two inventories show what was changed from what to what
and who was trusted from when on. Its names are those of the fields, or what the clients
file calls them. Fields are found and not listed, so that a new one is never forgotten.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from ..fhir.backend_services import SigningKey
from ..store.database import mask_url
from ..trust import VerificationKey, thumbprint
from .clients import Clients
from .settings import Config
from .smart_apps import public_half

Inventory = Mapping[str, Any]
"""Name to plain JSON data, such as ``client.main-ehr.profile.strict`` to False."""
DigestFile = Callable[[Path], str]

FILES = ("ca_file", "tls_cert", "tls_client_ca")
"""Fields that name a file of what may be known: its content counts as well."""
INLINE = ("capabilities", "client", "server", "takes")
"""Fields whose own fields the clients file has one level higher."""
WORDS = {
    **{"issuer": "iss", "key_servers": "jku", "destination": "id"},
    **{"vendor_name": "vendor", "kind_names": "kinds"},
}
"""Fields that the clients file calls otherwise."""
FINGERPRINT = 12
"""Hexadecimal digits; they tell nothing of a secret: 24 random bytes or more."""
UNREADABLE = "unreadable"
_PRIVATE = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)


def build_inventory(
    config: Config, clients: Clients, digest_file: DigestFile
) -> Inventory:
    """Return every setting, client, source, destination and actor, by name.

    A secret is its fingerprint, a key its ``kid``, thumbprint and algorithms, a file
    its path and, as ``….sha256``, its content; of a private key the path alone.
    """
    reader = _Reader(digest_file)
    owners: list[tuple[str, Any]] = [
        *((f"client.{_quoted(each.client.id)}", each) for each in clients.clients),
        *((f"webhook.{_quoted(each.id)}", each) for each in clients.webhooks),
        *((f"destination.{_quoted(each.id)}", each) for each in clients.destinations),
        *((f"cloud.{_quoted(each.id)}", each) for each in clients.clouds),
    ]
    if clients.workbench is not None:
        owners.append(("workbench", clients.workbench))
    if clients.anonymous is not None:
        owners.append(("anonymous", clients.anonymous))
    named = [("settings", reader.settings(config))]
    named += [(owner, reader.members(holder)) for owner, holder in owners]
    actors = ((name, sorted(each)) for name, each in clients.consent_actors.items())
    named.append(("consent_actors", ((_quoted(name), each) for name, each in actors)))
    told = ((_quoted(kid), _key(key)) for kid, key in clients.published.items())
    named.append(("published_keys", told))
    found = {f"{owner}.{name}": value for owner, own in named for name, value in own}
    return dict(sorted(found.items()))


def digest_file(file: Path) -> str:
    """SHA-256 of a file in hexadecimal, but for a private key that stands in it."""
    try:
        content = file.read_bytes()
    except OSError:
        return UNREADABLE
    return hashlib.sha256(_PRIVATE.sub(b"", content)).hexdigest()


def _keys(keys: Mapping[str, VerificationKey]) -> list[str]:
    return [f"{kid} {_key(key)}" for kid, key in sorted(keys.items())]


def _key(key: VerificationKey) -> str:
    return " ".join((thumbprint(key), *key.algorithms))


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:FINGERPRINT]


def _quoted(id: str) -> str:
    """The id as one step of a name, whatever dots it has."""
    return f'"{id}"' if "." in id else id


@dataclass(frozen=True, slots=True)
class _Reader:
    """Fields to names and plain JSON data."""

    digest_file: DigestFile

    def settings(self, config: Config) -> Iterator[tuple[str, Any]]:
        """Name and value of every setting."""
        for name, field in type(config).model_fields.items():
            value = getattr(config, name)
            if name == "database_url":
                value = mask_url(value)
            yield from self._field(name, name, value, field.repr)

    def members(self, holder: Any, shown: bool = True) -> Iterator[tuple[str, Any]]:
        """Name and value of every field, with those of what it holds."""
        for each in fields(holder):
            value, seen = getattr(holder, each.name), shown and each.repr
            name = WORDS.get(each.name, each.name)
            if isinstance(value, SigningKey):
                yield name, f"{value.kid} {_key(public_half(value))}"
            elif is_dataclass(value):
                within = "" if each.name in INLINE else f"{name}."
                for inner, plain in self.members(value, seen):
                    yield within + inner, plain
            else:
                yield from self._field(name, each.name, value, seen)

    def _field(
        self, name: str, field: str, value: Any, shown: bool
    ) -> Iterator[tuple[str, Any]]:
        yield name, self._plain(value, shown)
        if field in FILES and value:
            yield f"{name}.sha256", self.digest_file(Path(value))

    def _plain(self, value: Any, shown: bool) -> Any:
        """JSON data; of what a field does not show in its ``repr``, fingerprints."""
        if isinstance(value, Mapping):
            return _keys(value)
        if isinstance(value, (tuple, list)):
            return [self._plain(each, shown) for each in value]
        if is_dataclass(value):
            return dict(self.members(value, shown))
        if isinstance(value, timedelta):
            return value.total_seconds()
        if value is not None and not shown:
            return _fingerprint(str(value))
        if isinstance(value, Enum) and not isinstance(value, str):
            return value.name.lower()
        return str(value) if isinstance(value, (str, Path)) else value
