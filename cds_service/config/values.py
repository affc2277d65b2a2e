"""The settings that are more than a number or a word, and how each is read."""

import ipaddress
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from .entries import FhirUrl


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


BaseUrl = Annotated[str, AfterValidator(_base_url)]
FhirUrls = Annotated[tuple[FhirUrl, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    NoDecode,
    BeforeValidator(_split),
]
