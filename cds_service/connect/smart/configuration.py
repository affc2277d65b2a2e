"""What a server says of how users sign in there: read, and held to its hosts. Pure.

What is not said is refused: a server without endpoints is not an open one. And whoever
counterfeits a configuration leads no code, token or secret to a host of their own.

Source: SMART App Launch 2.2, "Conformance"; OpenID Connect Discovery 1.0; the
extension ``oauth-uris`` of SMART App Launch 1.0, "Declaring support".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from ...fhir.backend_services.configuration import is_loopback
from ...http.addresses import Base, parse_base
from .records import Provider, ProviderKind

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
"""The extension of a CapabilityStatement."""
_ENDPOINTS = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",  # nosec B105 # the name of a member
    "revoke": "revocation_endpoint",
    "end_session": "end_session_endpoint",
    "jwks": "jwks_uri",
}
_NEEDED = ("authorize", "token")
ONLINE, OFFLINE = "online_access", "offline_access"
"""Scopes by which tokens are renewed: for as long as the user is there, or longer."""
_DECLARED = ("authorize", "token", "revoke")
"""Those that a CapabilityStatement names, under these names."""


class NoConfiguration(Exception):
    """Nobody can sign in there; the message is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class SignInConfiguration:
    """Where and how users sign in."""

    authorize: str
    token: str
    revoke: str = ""
    """Empty, as those below, where the server names none."""
    end_session: str = ""
    jwks: str = ""
    issuer: str = ""
    newer_scopes: bool = False
    """Whether ``.rs`` is understood."""
    renews_online: bool = False
    """Whether ``online_access`` is listed."""
    renews_offline: bool = False
    """Whether ``offline_access`` is listed, or ``permission-offline``."""
    sends_issuer: bool = False
    """Whether ``iss`` comes back with every code. Source: RFC 9207."""


def read_configuration(value: Any, provider: Provider) -> SignInConfiguration:
    """Return what a server's configuration says.

    Raises:
        NoConfiguration: if nobody can sign in by it.
    """
    told = value if isinstance(value, Mapping) else {}
    endpoints = {
        name: _placed(told.get(member), member, provider)
        for name, member in _ENDPOINTS.items()
    }
    for name in _NEEDED:
        if not endpoints[name]:
            raise NoConfiguration(f"The server names no {_ENDPOINTS[name]}.")
    issuer = told.get("issuer")
    capabilities = _texts(told.get("capabilities"))
    supported = _texts(told.get("scopes_supported"))
    if provider.kind is ProviderKind.OIDC and not _same(issuer, provider.server.url):
        raise NoConfiguration("The OpenID provider names another issuer.")
    return SignInConfiguration(
        **endpoints,
        issuer=issuer if isinstance(issuer, str) else "",
        newer_scopes="permission-v2" in capabilities,
        renews_online=ONLINE in supported,
        renews_offline=OFFLINE in supported or "permission-offline" in capabilities,
        sends_issuer=told.get("authorization_response_iss_parameter_supported") is True,
    )


def read_statement(value: Any, provider: Provider) -> SignInConfiguration:
    """Return what a CapabilityStatement says, as SMART App Launch 1.0 had it.

    Raises:
        NoConfiguration: if nobody can sign in by it.
    """
    found: dict[str, Any] = {}
    for extension in _oauth_uris(value):
        name = str(extension.get("url"))
        if name in _DECLARED:
            found.setdefault(_ENDPOINTS[name], extension.get("valueUri"))
    return read_configuration(found, provider)


def _oauth_uris(statement: Any) -> Iterator[Mapping[str, Any]]:
    for rest in _maps(statement, "rest"):
        for outer in _maps(rest.get("security"), "extension"):
            if outer.get("url") == OAUTH_URIS:
                yield from _maps(outer, "extension")


def _maps(holder: Any, name: str) -> list[Mapping[str, Any]]:
    listed = holder.get(name) if isinstance(holder, Mapping) else None
    rows = listed if isinstance(listed, list) else []
    return [each for each in rows if isinstance(each, Mapping)]


def _placed(value: Any, member: str, provider: Provider) -> str:
    """The whole address of an endpoint that may be asked; empty where there is none."""
    if value is None or value == "":
        return ""
    base = parse_base(provider.server.url)
    if not isinstance(value, str) or base is None:
        raise NoConfiguration(f"The server's {member} is not a URL.")
    try:
        address = urljoin(f"{base}/", value)
        place = parse_base(urlsplit(address)._replace(query="").geturl())
    except ValueError:
        place = None
    if place is None:
        raise NoConfiguration(f"The server's {member} is not a plain URL.")
    if place.scheme != "https" and not (is_loopback(place) and _is_tried(base)):
        raise NoConfiguration(f"The server's {member} is not https.")
    if place.host not in (base.host, *provider.app.hosts):
        told = (
            f"The server's {member} is on {place.host}, which is not one of its hosts"
        )
        raise NoConfiguration(f"{told}; list it as one if it is meant.")
    return address


def _is_tried(base: Base) -> bool:
    """Whether a server is on this machine, in plain http: there only in development."""
    return base.scheme == "http" and is_loopback(base)


def _same(issuer: Any, url: str) -> bool:
    return isinstance(issuer, str) and issuer.rstrip("/") == url.rstrip("/")


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, str)]
