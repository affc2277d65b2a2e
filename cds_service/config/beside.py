"""Keys, secrets and authorities, in the clients file or in files beside it."""

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..trust import InvalidKeySet, VerificationKey, read_key_set
from .entries import ClientEntry, WebhookEntry
from .fields import read_beside
from .problems import Path as FieldPath
from .problems import Reporter, field_name
from .proofs import ProofKind, fault_of_secret

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
    text = read_beside(folder, entry.keys_file, here, reporter)
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


def _needs_none(entry: WebhookEntry) -> bool:
    return entry.tokens or entry.proof.kind is ProofKind.MLLP


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
        text = read_beside(folder, entry.secrets_file, here, reporter)
        if text is None:
            return ()
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                if fault := fault_of_secret(line.strip(), kind):
                    reporter.add(here, f"{entry.secrets_file}:{number}: {fault}")
                secrets.append(line.strip())
    if not secrets and entry.secrets_file is None and not _needs_none(entry):
        reporter.add(path, "secrets, secrets_file or tokens must be given")
    elif not secrets and entry.secrets_file is not None:
        reporter.add((*path, "secrets_file"), "holds no secret")
    return tuple(secrets)


class _Vouched(Protocol):
    @property
    def ca_file(self) -> str | None: ...


def read_authorities(
    entry: _Vouched,
    path: FieldPath,
    folder: Path,
    reporter: Reporter,
) -> str:
    """Return the full path of the authorities that vouch for it; empty for none.

    Problems go to the reporter.
    """
    if entry.ca_file is None:
        return ""
    here = (*path, "ca_file")
    text = read_beside(folder, entry.ca_file, here, reporter)
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
