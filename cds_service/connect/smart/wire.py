"""One app at one authorization server: what is sent there, and what comes back.

A public client names itself; one with a secret proves itself by it; one with a key
signs, anew for each request, that it is itself and whom it speaks to.

Source: RFC 6749, 7009, 7523, 7636; SMART App Launch 2.2, "Client Authentication";
OpenID Connect Core 1.0 section 11 "Offline Access".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

from ...fhir.backend_services import ASSERTION_TYPE, sign_assertion
from ...http.connections import ConnectionPool
from ..oauth import Channel, OAuthFailure, fetch_token
from .configuration import OFFLINE, SignInConfiguration
from .records import Arrival, Pending, Provider

if TYPE_CHECKING:
    from authlib.oauth2.client import OAuth2Client

SECONDS = 10.0
"""For one request: a browser waits for it."""
_Prepared = tuple[str, dict[str, str], str]


@dataclass
class AppClient:
    """Who we are at one authorization server, at one moment."""

    provider: Provider
    configuration: SignInConfiguration
    pool: ConnectionPool
    now: datetime
    new_id: Callable[[], object] = uuid4
    """Never gives the same twice."""

    def link(self, arrival: Arrival, pending: Pending) -> str:
        """Return the address at which the user signs in."""
        more = {"aud": arrival.issuer} if arrival.issuer else {}
        if arrival.launch is not None:
            more["launch"] = arrival.launch
        if OFFLINE in pending.scopes:
            more["prompt"] = "consent"
        if pending.max_age is not None:
            more |= {"prompt": "login", "max_age": str(pending.max_age)}
        url, _ = self._client.create_authorization_url(
            self.configuration.authorize,
            state=arrival.state,
            code_verifier=pending.verifier,
            redirect_uri=pending.redirect_uri,
            scope=" ".join(pending.scopes),
            nonce=pending.nonce,
            **more,
        )
        return str(url)

    def redeem(self, code: str, pending: Pending) -> dict[str, Any]:
        """Return the token response for a code.

        Raises:
            OAuthFailure: if there is none.
        """
        told = {
            "code": code,
            "code_verifier": pending.verifier,
            "redirect_uri": pending.redirect_uri,
        }
        return self._fetch("authorization_code", told)

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Return the token response for a refresh token, which may be spent by that.

        Raises:
            OAuthFailure: if there is none.
        """
        return self._fetch("refresh_token", {"refresh_token": refresh_token})

    def revoke(self, token: str, kind: str) -> None:
        """Have a token be worth nothing at the server, where it can be told.

        Args:
            kind: ``access_token`` or ``refresh_token``.

        Raises:
            OAuthFailure: if the server does not say so.
        """
        if not token or not self.configuration.revoke:
            return
        answer = self._client.revoke_token(
            self.configuration.revoke, token=token, token_type_hint=kind
        )
        if answer.status_code != 200:
            raise OAuthFailure(f"HTTP {answer.status_code}")

    def _fetch(self, grant_type: str, told: dict[str, str]) -> dict[str, Any]:
        return fetch_token(self._client, self.configuration.token, grant_type, told)

    @cached_property
    def _client(self) -> "OAuth2Client":
        from authlib.oauth2.client import OAuth2Client

        server, app = self.provider.server, self.provider.app
        proof: Any = "client_secret_basic" if app.secret else "none"
        if app.key is not None:
            proof = self._sign
        return OAuth2Client(
            Channel(self.pool, server.reach, server.ca_file, SECONDS),
            client_id=app.client_id,
            client_secret=app.secret,
            token_endpoint_auth_method=proof,
            revocation_endpoint_auth_method=proof,
            code_challenge_method="S256",
        )

    def _sign(
        self, client: Any, method: str, url: str, headers: dict[str, str], body: str
    ) -> _Prepared:
        """The request with an assertion; as Authlib calls it."""
        key = self.provider.app.key
        assert key is not None
        assertion = sign_assertion(
            key,
            self.provider.app.client_id,
            self.configuration.token,
            self.now.timestamp(),
            str(self.new_id()),
        )
        proof = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return url, headers, f"{body}&{urlencode(proof)}"
