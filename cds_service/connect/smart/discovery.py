"""Where users sign in, asked of the server that opens the pages, and kept for a while.

Source: SMART App Launch 2.2, "Retrieve .well-known/smart-configuration".
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...config import Clients
from ...fhir.backend_services.configuration import PATH as SMART_PATH
from ...http.addresses import ListedServer, covers, parse_base
from ...http.bodies import parse_body
from ...http.connections import ConnectionPool
from ...http.exchange import OutgoingRequest, ReadFailure, Response, send
from ...trust import TrustedClient
from .configuration import (
    NoConfiguration,
    SignInConfiguration,
    read_configuration,
    read_statement,
)
from .records import Provider, ProviderKind

KEPT = timedelta(minutes=10)
OIDC_PATH = ".well-known/openid-configuration"
STATEMENT_PATH = "metadata"
SECONDS = 5.0
"""For one answer."""
LARGEST = 1024 * 1024
"""Bytes of one answer: of a CapabilityStatement, which may be long."""
GONE = (404, 410)
"""That there is no such document; anything else is an error."""


def find_launching(clients: Clients, issuer: str) -> TrustedClient | None:
    """Return the client whose FHIR server opens our pages under an ``iss``.

    None where there is none; then nothing is to be asked of it.
    """
    named = None if set(issuer) & set("?#") else parse_base(issuer)
    for known in clients.clients:
        client = known.client
        if client.smart and named and parse_base(client.fhir_base) == named:
            return client
    return None


def provider_of(client: TrustedClient) -> Provider | None:
    """Return where the users of a client sign in; None where they open no pages."""
    base = parse_base(client.fhir_base)
    if client.smart is None or base is None:
        return None
    listed = _listed(client.fhir_servers, client.fhir_base)
    server = replace(listed, url=client.fhir_base)
    return Provider(client.id, server, client.smart)


def _listed(servers: Iterable[ListedServer], url: str) -> ListedServer:
    base = parse_base(url)
    for each in servers:
        allowed = parse_base(each.url)
        if base is not None and allowed is not None and covers(allowed, base):
            return each
    return ListedServer(url)


class Discoveries:
    """What servers have said of sign-ins; threads may share it."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._known: dict[str, tuple[SignInConfiguration, datetime]] = {}

    def find(self, provider: Provider, now: datetime) -> SignInConfiguration:
        """Return where and how users sign in.

        Raises:
            NoConfiguration: if the server does not say, or not what may be believed.
        """
        name = f"{provider.kind} {provider.id} {provider.server.url}"
        known = self._known.get(name)
        if known is not None and now - KEPT < known[1] <= now:
            return known[0]
        found = self._with_keys(self._ask(provider), provider)
        self._known[name] = (found, now)
        return found

    def _ask(self, provider: Provider) -> SignInConfiguration:
        smart = provider.kind is ProviderKind.SMART
        path = SMART_PATH if smart else OIDC_PATH
        answer = self._get(provider, f"{provider.server.url}/{path}")
        if smart and answer.status in GONE:
            url = f"{provider.server.url}/{STATEMENT_PATH}"
            return read_statement(_parsed(self._get(provider, url)), provider)
        return read_configuration(_parsed(answer), provider)

    def _with_keys(
        self, found: SignInConfiguration, provider: Provider
    ) -> SignInConfiguration:
        """With where the keys of ID tokens are, where only their issuer says so."""
        issuer = provider.app.issuer or found.issuer
        place = parse_base(issuer)
        base = parse_base(provider.server.url)
        if found.jwks or place is None or base is None:
            return found
        if place.host not in (base.host, *provider.app.hosts):
            return found
        server = replace(provider.server, url=issuer.rstrip("/"))
        asked = replace(provider, server=server, kind=ProviderKind.OIDC)
        answer = self._get(asked, f"{server.url}/{OIDC_PATH}")
        if answer.status in GONE:
            return found
        told = read_configuration(_parsed(answer), asked)
        return replace(found, jwks=told.jwks, issuer=issuer)

    def _get(self, provider: Provider, url: str) -> Response:
        server = provider.server
        request = OutgoingRequest(
            url,
            {"Accept": "application/json, application/fhir+json"},
            seconds=SECONDS,
            bytes=LARGEST,
            reach=server.reach,
            ca_file=server.ca_file,
        )
        try:
            return send(self._pool, request)
        except ReadFailure as failure:
            message = f"The server could not be asked: {failure.reason}."
            raise NoConfiguration(message) from None


def _parsed(answer: Response) -> Any:
    if 300 <= answer.status < 400:
        raise NoConfiguration("The server redirects, which is not followed.")
    if answer.status != 200:
        raise NoConfiguration(f"The server answers with HTTP {answer.status}.")
    value, problem = parse_body(answer.content)
    if problem:
        raise NoConfiguration(f"What the server says cannot be read: {problem}.")
    return value
