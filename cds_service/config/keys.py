"""Keys, secrets and authorities of the clients file, or of files beside it."""

import base64
import binascii
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..trust import InvalidKeySet, VerificationKey, read_key_set
from .entries import ClientEntry, KeyServerEntry, ServerEntry, WebhookEntry
from .reporting import Path as FieldPath
from .reporting import Reporter, field_name

_Problem = tuple[FieldPath, str]
_TOP: FieldPath = ()
SECRET_PREFIX = "whsec_"  # nosec B105 # what every secret begins with
SHORTEST_SECRET = 24
"""Bytes. Source: Standard Webhooks 1.0.0 "Signature scheme"."""


def read_own_keys(
    entry: ClientEntry, path: FieldPath, folder: Path, reporter: Reporter
) -> Mapping[str, VerificationKey]:
    """The client's public keys by ``kid``, where the file has them; problems go to
    the reporter.
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
    """The source's secrets; problems go to the reporter."""
    secrets = list(entry.secrets)
    for index, secret in enumerate(secrets):
        _check_secret(secret, (*path, "secrets", index), "", reporter)
    if entry.secrets_file is not None:
        here = (*path, "secrets_file")
        text = _read_beside(folder, entry.secrets_file, here, reporter)
        if text is None:
            return ()
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                place = f"{entry.secrets_file}:{number}: "
                _check_secret(line.strip(), here, place, reporter)
                secrets.append(line.strip())
    if not secrets and entry.secrets_file is None:
        reporter.add(path, "secrets or secrets_file must be given")
    elif not secrets:
        reporter.add((*path, "secrets_file"), "holds no secret")
    return tuple(secrets)


def read_authorities(
    entry: ServerEntry | KeyServerEntry,
    path: FieldPath,
    folder: Path,
    reporter: Reporter,
) -> str:
    """The full path of the server's authorities, empty where none are its own;
    problems go to the reporter.
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


def _check_secret(secret: str, path: FieldPath, place: str, reporter: Reporter) -> None:
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not secret.startswith(SECRET_PREFIX) or len(raw) < SHORTEST_SECRET:
        message = (
            f"must be {SECRET_PREFIX} and {SHORTEST_SECRET} bytes or more in base64"
        )
        reporter.add(path, place + message)


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
