"""From the environment to settings: what is set, misspelt, or stands in a file."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from ..trust.vault import Vault, parse_vault_keys
from .problems import InvalidConfig
from .settings import PREFIX, Config

_DATABASE_URL = f"{PREFIX}DATABASE_URL"


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings of the environment; an empty variable counts as unset.

    Raises:
        InvalidConfig: naming everything that is wrong, in the clients file as well.
    """
    given = os.environ if environ is None else environ
    source = EnvSettingsSource(Config)
    source.env_vars = {name.lower(): value for name, value in given.items() if value}
    problems = _misspelt(given)
    try:
        source.env_vars[_DATABASE_URL.lower()] = find_database_url(given)
    except InvalidConfig as error:
        problems += error.problems
    try:
        config = Config(**source())
    except ValidationError as error:
        for each in error.errors():
            problems += _sentence(dict(each)).split("\n")
        raise InvalidConfig(problems) from error
    if problems:
        raise InvalidConfig(problems)
    # Read here, so that a fault shows at start.
    if config.clients.keeps_tokens:
        load_vault(config)
    return config


def load_vault(config: Config) -> Vault:
    """Return what encrypts tokens: of wearers at vendors, of sessions at EHRs.

    Raises:
        InvalidConfig: if there is no key, or one is none.
    """
    name, given = f"{PREFIX}TOKEN_KEY", config.token_key
    if config.token_key_file is not None:
        if given:
            both = f"{name}_FILE: only one of it and {name} may be set"
            raise InvalidConfig([both])
        name = f"{name}_FILE"
        given = "\n".join(_words(config.token_key_file, name))
    try:
        keys = parse_vault_keys(given)
    except ValueError as error:
        raise InvalidConfig([f"{name}: {error}"]) from error
    if not keys:
        missing = "must be set: it encrypts tokens at clouds and EHRs"
        raise InvalidConfig([f"{name}: {missing}"])
    return Vault(keys)


def find_database_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the database that the environment holds, or names a file of.

    Raises:
        InvalidConfig: if both are there, or the file holds no line of text.
    """
    name = f"{_DATABASE_URL}_FILE"
    given, file = environ.get(_DATABASE_URL, ""), environ.get(name, "")
    if given and file:
        both = f"{name}: only one of it and {_DATABASE_URL} may be set"
        raise InvalidConfig([both])
    if not file:
        return given or str(Config.model_fields["database_url"].default)
    lines = _words(Path(file), name)
    if len(lines) != 1:
        raise InvalidConfig([f"{name}: {file}: must hold one URL and nothing else"])
    return lines[0]


def _words(file: Path, name: str) -> list[str]:
    try:
        return file.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise InvalidConfig([f"{name}: {file}: {why}"]) from error


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Config.model_fields]
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            problems += [f"{name}: unknown; did you mean {each}?" for each in near]
    return problems


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    return f"{PREFIX}{str(error['loc'][0]).upper()}: {message[0].lower()}{message[1:]}"
