"""The environment to a Config: what is wrong is named all at once, a slip as well."""

import difflib
import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from .problems import InvalidConfig
from .settings import PREFIX, Config


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """The settings that the environment makes; an empty variable counts as unset.

    Raises:
        InvalidConfig: naming everything that is wrong, in the clients file as well.
    """
    given = os.environ if environ is None else environ
    source = EnvSettingsSource(Config)
    source.env_vars = {name.lower(): value for name, value in given.items() if value}
    problems = _misspelt(given)
    try:
        config = Config(**source())
    except ValidationError as error:
        for each in error.errors():
            problems += _sentence(dict(each)).split("\n")
        raise InvalidConfig(problems) from error
    if problems:
        raise InvalidConfig(problems)
    config.clients  # noqa: B018  reads the file, so that a fault shows at start
    return config


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
