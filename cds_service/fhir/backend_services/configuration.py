"""What a server says about its SMART authorization. Pure.

Source: SMART App Launch 2.2, "Conformance", ``.well-known/smart-configuration``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...http.addresses import Base, Reach, kind_of, parse_base

PATH = ".well-known/smart-configuration"
"""Below the FHIR base."""

_OLDER = re.compile(r"system/\S+\.(?:read|write|\*)")
_NEWER = re.compile(r"system/\S+\.c?r?u?d?s?(?:\?\S*)?")


class NotConfigured(Exception):
    """Where a token is to be had cannot be told; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class SmartConfiguration:
    """Where tokens are given out, and for what."""

    token_endpoint: str
    only_older_scopes: bool = False
    """Whether ``.read`` is understood and ``.rs`` is not."""


def read_configuration(value: Any) -> SmartConfiguration:
    """Return what a configuration says. Raises NotConfigured."""
    endpoint = value.get("token_endpoint") if isinstance(value, Mapping) else None
    if not isinstance(endpoint, str) or not endpoint:
        raise NotConfigured("The SMART configuration names no token_endpoint.")
    capabilities = _texts(value.get("capabilities"))
    scopes = _texts(value.get("scopes_supported"))
    newer = "permission-v2" in capabilities or any(map(_NEWER.fullmatch, scopes))
    older = "permission-v1" in capabilities or any(map(_OLDER.fullmatch, scopes))
    return SmartConfiguration(endpoint, older and not newer)


def reach_of(endpoint: str, base: Base, *, given: bool) -> Reach:
    """Return how far inside a token endpoint may lie: a *given* one anywhere.

    One that the FHIR server names may be on its own host, on the internet or in a
    private network, and is https unless it is on this machine as the FHIR server is.
    Raises NotConfigured where it may not be asked.
    """
    place = parse_base(urlsplit(endpoint)._replace(query="").geturl())
    if place is None:
        raise NotConfigured("The token endpoint is no plain https address.")
    if place.scheme != "https" and not is_loopback(place):
        raise NotConfigured(
            "The token endpoint is not https; what is sent there could be read."
        )
    if given or place.host == base.host:
        return Reach.LOCAL
    if is_loopback(place):
        raise NotConfigured(
            "The FHIR server names a token endpoint on this machine; give the address "
            "of the endpoint yourself if it is meant."
        )
    return Reach.PRIVATE


def is_loopback(place: Base) -> bool:
    """Check whether an address is on this machine by its own words."""
    named = place.host == "localhost" or place.host.endswith(".localhost")
    return named or kind_of(place.host) == "loopback"


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, str)]
