"""What a setting may be where it is no number or path: its choices, addresses, lists.

A list is one variable of the environment: its items stand between commas or spaces.
"""

import ipaddress
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from .fields import FhirUrl


class Profile(StrEnum):
    """How careful the server is."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Auth(StrEnum):
    """Whether callers prove who they are."""

    ON = "on"
    OFF = "off"


class Discovery(StrEnum):
    """Who may list the services."""

    OPEN = "open"
    AUTHENTICATED = "authenticated"


class ConsentMode(StrEnum):
    """Whether patients have to agree to wearable data first."""

    REQUIRED = "required"
    """What no Consent permits is neither stored nor shown."""
    ASSUMED = "assumed"
    """Patients agree until they say anything about wearable data."""


class Reload(StrEnum):
    """Whether rules that change on disk are tested and served by themselves."""

    ON = "on"
    OFF = "off"


class Workbench(StrEnum):
    """Whether there are pages for those who write rules and run the server."""

    ON = "on"
    OFF = "off"


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _split(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _base_url(value: str) -> str:
    if not value:
        return value
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL that begins with http:// or https://")
    if url.query or url.fragment or url.username is not None:
        raise ValueError("must be a URL without user, query or fragment")
    return value.rstrip("/")


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        message = "must be addresses or networks, such as 10.0.0.7 or 10.0.0.0/24"
        raise ValueError(f"{message}; {value!r} is neither") from None


TRACING = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
"""What traces take, which is an extra."""


def _with_their_library(url: str) -> str:
    if url and not all(map(_is_installed, TRACING)):
        raise ValueError("needs `pip install cds-service[otel]`")
    return url


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


BaseUrl = Annotated[str, AfterValidator(_base_url)]
TracesUrl = Annotated[BaseUrl, AfterValidator(_with_their_library)]
FhirUrls = Annotated[tuple[FhirUrl, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    NoDecode,
    BeforeValidator(_split),
]
