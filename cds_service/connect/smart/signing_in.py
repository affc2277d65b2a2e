"""A sign-in from its beginning to who it is: first *begin*, then *complete*.

Neither knows of browsers: whoever calls them has what is pending be of one browser, and
be used once. Nothing leaves for a server that is not listed, and nobody is signed in of
whom anything that has to be there is missing, or is another's.

Source: SMART App Launch 2.2; OpenID Connect Core 1.0; RFC 9207; RFC 9700.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...fhir.client import FhirPool
from ...trust import Keyring, KeyServer
from ...trust.documents import fetcher
from ...trust.id_tokens import (
    ExpectedId,
    InvalidIdToken,
    read_issuer_keys,
    verify_id_token,
    verify_later_id_token,
)
from ...trust.keyring import Log, keep_quiet
from ..oauth import CODES, OAuthFailure, read_issued
from .configuration import NoConfiguration, SignInConfiguration
from .context import read_context, read_user
from .discovery import Discoveries
from .reading import FAILED, read_patient
from .records import (
    Arrival,
    LaunchContext,
    NotSignedIn,
    Pending,
    Provider,
    ProviderKind,
    SignedIn,
    SignInBegun,
)
from .scopes import not_granted, scopes_to_ask
from .wire import AppClient

LONGEST = 4096
"""Characters of what comes back in an address."""


class SignInDesk:
    """What it takes to sign users in; one for a process, and threads may share it."""

    def __init__(self, pool: FhirPool, log: Log = keep_quiet) -> None:
        self.pool = pool
        self.discoveries = Discoveries(pool)
        self.keyring = Keyring(fetcher(pool, read=read_issuer_keys), log)

    def configuration(self, provider: Provider, now: datetime) -> SignInConfiguration:
        """Return where and how users sign in.

        Raises:
            NotSignedIn: if nobody can.
        """
        try:
            return self.discoveries.find(provider, now)
        except NoConfiguration as error:
            raise NotSignedIn(str(error), FAILED) from None

    def client(self, provider: Provider, now: datetime) -> AppClient:
        """Return who we are there. Raises NotSignedIn."""
        configuration = self.configuration(provider, now)
        return AppClient(provider, configuration, self.pool, now)


def begin(
    desk: SignInDesk, provider: Provider, arrival: Arrival, now: datetime
) -> SignInBegun:
    """Return where the browser is to be sent, and what has to be known when it returns.

    Raises:
        NotSignedIn: if the server does not say where users sign in.
    """
    client = desk.client(provider, now)
    smart = provider.kind is ProviderKind.SMART
    if not smart:
        arrival = replace(arrival, issuer="", launch=None)
    elif not arrival.issuer:
        arrival = replace(arrival, issuer=provider.server.url)
    scopes = scopes_to_ask(
        provider,
        client.configuration,
        arrival.resources,
        launched=arrival.launch is not None,
    )
    pending = Pending(
        arrival.redirect_uri,
        verifier=secrets.token_urlsafe(48),
        nonce=secrets.token_urlsafe(24),
        scopes=scopes,
        max_age=None if smart else arrival.max_age,
    )
    return SignInBegun(client.link(arrival, pending), pending)


def complete(
    desk: SignInDesk,
    provider: Provider,
    pending: Pending,
    told: Mapping[str, str],
    now: datetime,
) -> SignedIn:
    """Return who has signed in, and about whom.

    Args:
        told: The parameters of the address at which the browser came back.

    Raises:
        NotSignedIn: if nobody has.
    """
    client = desk.client(provider, now)
    code = _code(told, _issuer(provider, client.configuration), client.configuration)
    try:
        answer = client.redeem(code, pending)
        issued = read_issued(answer, now)
    except OAuthFailure as error:
        status = FAILED if error.passing else 403
        raise NotSignedIn(f"The server gave no token: {error}.", status) from None
    granted = pending.scopes if issued.scopes is None else issued.scopes
    signed_in = SignedIn(
        issued, LaunchContext(), granted, not_granted(pending.scopes, granted)
    )
    try:
        signed_in = _with_user(desk, client, pending, answer, signed_in)
        if provider.kind is ProviderKind.SMART:
            signed_in = _with_patient(desk, provider, answer, signed_in)
    except NotSignedIn:
        give_back(client, issued.refresh, issued.access)
        raise
    return signed_in


def check_user(
    desk: SignInDesk,
    client: AppClient,
    answer: Mapping[str, Any],
    first: Mapping[str, Any],
) -> None:
    """Check that a token response still is about who has signed in.

    Nobody need be named again; who is has to be the same.

    Args:
        first: The lasting claims of the sign-in.

    Raises:
        NotSignedIn: if it is about somebody else, or that cannot be believed.
    """
    text = answer.get("id_token")
    if text is None:
        return
    nonce = str(first.get("nonce", ""))
    expected = _expected(client.provider, client.configuration, nonce)
    try:
        told = text if isinstance(text, str) else ""
        verify_later_id_token(told, expected, first, desk.keyring, client.now)
    except InvalidIdToken as error:
        raise NotSignedIn(f"The ID token is not believed: {error}.") from None


def give_back(client: AppClient, refresh: str, access: str) -> str:
    """Return why tokens are worth something still at the server; empty where not.

    First the refresh token, by which there would be more of the other.
    """
    problems = []
    for kind, token in (("refresh_token", refresh), ("access_token", access)):
        try:
            client.revoke(token, kind)
        except OAuthFailure as error:
            problems.append(f"{kind}: {error}")
    return "; ".join(problems)


def _issuer(provider: Provider, configuration: SignInConfiguration) -> str:
    return provider.app.issuer or configuration.issuer


def _code(
    told: Mapping[str, str], issuer: str, configuration: SignInConfiguration
) -> str:
    """The code that was brought back. Source: RFC 9207 section 2.4."""
    answered = told.get("iss")
    if answered is None and configuration.sends_issuer:
        raise NotSignedIn("The answer does not say whose it is.")
    if answered is not None and answered != issuer:
        raise NotSignedIn("The answer came from another server than was asked.")
    if told.get("error"):
        known = told["error"] in CODES
        error = told["error"] if known else "an error of its own"
        denied = "It was not permitted." if error == "access_denied" else ""
        raise NotSignedIn(denied or f"The server answered {error}.")
    code = told.get("code", "")
    if not code or len(code) > LONGEST:
        raise NotSignedIn("The address that led here is incomplete.", 400)
    return code


def _with_user(
    desk: SignInDesk,
    client: AppClient,
    pending: Pending,
    answer: Mapping[str, Any],
    signed_in: SignedIn,
) -> SignedIn:
    provider, now = client.provider, client.now
    text = answer.get("id_token")
    if isinstance(text, str) and text:
        expected = _expected(provider, client.configuration, pending.nonce)
        expected = replace(expected, max_age=pending.max_age)
        try:
            claims = verify_id_token(text, expected, desk.keyring, now)
        except InvalidIdToken as error:
            raise NotSignedIn(f"The ID token is not believed: {error}.") from None
        user = read_user(claims, provider.server.url)
        signed_in = replace(signed_in, claims=claims, user=user)
    if provider.kind is ProviderKind.OIDC and not signed_in.claims:
        raise NotSignedIn("The server does not say who the user is.")
    if provider.app.user_required and signed_in.user is None:
        raise NotSignedIn("The EHR does not say who the user is.")
    return signed_in


def _expected(
    provider: Provider, configuration: SignInConfiguration, nonce: str
) -> ExpectedId:
    issuer = _issuer(provider, configuration)
    if not issuer or not configuration.jwks:
        raise NotSignedIn(
            "An ID token came, and the server does not say by which keys and whose it"
            " is: the issuer has to be told.",
            FAILED,
        )
    keys = KeyServer(replace(provider.server, url=configuration.jwks))
    return ExpectedId(issuer, provider.app.client_id, nonce, keys)


def _with_patient(
    desk: SignInDesk, provider: Provider, answer: Mapping[str, Any], signed_in: SignedIn
) -> SignedIn:
    context = read_context(answer)
    if not context.patient:
        raise NotSignedIn("The EHR does not say which patient it is about.")
    patient = read_patient(desk.pool, provider, context.patient, signed_in)
    return replace(signed_in, context=context, patient=patient)
