"""OAuth 2.0 with a vendor: links for wearers, and tokens for what they bring back.

What says it to an EHR instead (``connect.smart``) says it over the same channel.

Authlib builds and reads what is said; it goes out as everything does, to addresses that
were looked at and without following redirects, which would carry codes and secrets to
another host. What an answer says goes no further than this module: of an error its
code, if that is one of OAuth's.

Source: RFC 6749, RFC 7636 (PKCE), RFC 7009 (revocation), RFC 9700 section 2.1.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..http.addresses import Reach
from ..http.connections import ConnectionPool
from ..http.exchange import PASSING, OutgoingRequest, ReadFailure, send
from ..http.pacing import TEMPORARY, parse_retry_after
from .vendors.records import Vendor

if TYPE_CHECKING:
    from authlib.oauth2.client import OAuth2Client

SECONDS = 30.0
"""For one request."""
LONGEST_ANSWER = 1024 * 1024
"""Bytes."""
LONGEST_LIFE = 400 * 86_400
"""Seconds of an access token; what a vendor says beyond that is a slip."""
CODES = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"),
        *("unsupported_grant_type", "invalid_scope", "access_denied"),
        *("unsupported_response_type", "server_error", "temporarily_unavailable"),
    }
)
"""Errors of RFC 6749 sections 4.1.2.1 and 5.2: what else an answer calls its error may
hold anything."""


_TOKEN = re.compile(r"[\x21-\x7e]+")
"""What may stand in a header."""


class OAuthFailure(Exception):
    """A vendor gave no token; the message is a constant phrase or a code of OAuth's."""

    def __init__(
        self,
        why: str,
        *,
        ended: bool = False,
        passing: bool = False,
        again_after: float | None = None,
    ) -> None:
        """Say why.

        Args:
            ended: Whether what the wearer permitted holds no longer.
            passing: Whether it may work later.
            again_after: Seconds, where the vendor says when.
        """
        super().__init__(why)
        self.ended = ended
        self.passing = passing
        self.again_after = again_after


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a token endpoint has given."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    """Empty where it gave none."""
    expires: datetime | None
    scopes: tuple[str, ...] | None
    """None where it does not tell: then it is what was asked for."""
    user: str = ""
    """Who the vendor says the wearer is."""


@dataclass
class OAuthClient:
    """Who we are at one vendor."""

    vendor: Vendor
    client_id: str
    client_secret: str = field(repr=False)
    pool: ConnectionPool
    reach: Reach = Reach.PUBLIC

    def link(
        self, state: str, verifier: str, redirect_uri: str, scopes: tuple[str, ...]
    ) -> str:
        """Return the address at which the wearer is asked for permission."""
        tokens = self.vendor.tokens
        url, _ = self._client.create_authorization_url(
            self.vendor.authorize_url,
            state=state,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
            scope=tokens.scope_separator.join(scopes),
            **tokens.authorize,
        )
        return str(url)

    def redeem(
        self, code: str, verifier: str, redirect_uri: str, now: datetime
    ) -> IssuedTokens:
        """Return the tokens for a code that the wearer has brought back.

        Raises:
            OAuthFailure: if there are none.
        """
        return self._tokens(
            now,
            "authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
        )

    def refresh(self, refresh_token: str, now: datetime) -> IssuedTokens:
        """Return new tokens; the refresh token may be spent by that.

        Raises:
            OAuthFailure: if there are none.
        """
        return self._tokens(now, "refresh_token", refresh_token=refresh_token)

    def revoke(self, token: str) -> None:
        """Have a token, and all that belongs to it, be worth nothing at the vendor.

        Raises:
            OAuthFailure: if the vendor does not say so.
        """
        answer = self._client.revoke_token(self.vendor.revoke_url, token=token)
        if answer.status_code != 200:
            raise OAuthFailure(f"HTTP {answer.status_code}")

    def _tokens(self, now: datetime, grant_type: str, **told: str) -> IssuedTokens:
        told |= self.vendor.tokens.request
        answer = fetch_token(self._client, self.vendor.token_url, grant_type, told)
        return read_tokens(answer, self.vendor, now)

    @cached_property
    def _client(self) -> "OAuth2Client":
        # Imported where it is asked for: most commands need none.
        from authlib.oauth2.client import OAuth2Client

        return OAuth2Client(
            Channel(self.pool, self.reach, unwrap=self.vendor.tokens.unwrap),
            client_id=self.client_id,
            client_secret=self.client_secret,
            token_endpoint_auth_method=self.vendor.tokens.client_auth,
            revocation_endpoint_auth_method=self.vendor.tokens.client_auth,
            code_challenge_method="S256",
        )


def fetch_token(
    client: "OAuth2Client", url: str, grant_type: str, told: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a token endpoint answers.

    Raises:
        OAuthFailure: if that is an error, or nothing that can be read.
    """
    from authlib.oauth2.base import OAuth2Error

    try:
        return dict(client.fetch_token(url, grant_type=grant_type, **told))
    except OAuth2Error as error:
        code = error.error if error.error in CODES else "an error of its own"
        raise OAuthFailure(code, ended=code == "invalid_grant") from None
    except (ValueError, TypeError):
        raise OAuthFailure("the answer is not a token response") from None


def read_tokens(
    answer: Mapping[str, Any], vendor: Vendor, now: datetime
) -> IssuedTokens:
    """Return the tokens of a vendor's token response.

    Raises:
        OAuthFailure: if it holds none that can be used.
    """
    issued = read_issued(answer, now, vendor.tokens.scope_separator)
    return replace(issued, user=vendor.tokens.user(answer))


def read_issued(
    answer: Mapping[str, Any], now: datetime, separator: str = " "
) -> IssuedTokens:
    """Return the tokens of a token response, whoever has answered it.

    Args:
        separator: What stands between two scopes.

    Raises:
        OAuthFailure: if it holds none that can be used.
    """
    access, refresh = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(access, str) or not _TOKEN.fullmatch(access):
        raise OAuthFailure("the answer holds no access token")
    if str(answer.get("token_type", "Bearer")).lower() != "bearer":
        raise OAuthFailure("the token is not a bearer token")
    return IssuedTokens(
        access,
        refresh if isinstance(refresh, str) else "",
        _expiry(answer.get("expires_in"), now),
        _scopes(answer.get("scope"), separator),
    )


def _expiry(told: Any, now: datetime) -> datetime | None:
    try:
        life = timedelta(seconds=min(int(told), LONGEST_LIFE))
    except (TypeError, ValueError, OverflowError):
        return None
    return now.astimezone(UTC) + life


def _scopes(told: Any, separator: str) -> tuple[str, ...] | None:
    if isinstance(told, str):
        told = told.replace(separator, " ").split()
    if not isinstance(told, list):
        return None
    return tuple(dict.fromkeys(each for each in told if isinstance(each, str)))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What Authlib takes for an answer."""

    status_code: int
    value: Any

    def json(self) -> Any:
        return self.value

    def raise_for_status(self) -> None:
        raise OAuthFailure(f"HTTP {self.status_code}")


@dataclass(frozen=True, slots=True)
class Channel:
    """What Authlib takes for its session: the way to one server.

    No redirect is followed, and what fails says nothing of what was sent.
    """

    pool: ConnectionPool
    reach: Reach = Reach.PUBLIC
    ca_file: str = ""
    seconds: float = SECONDS
    unwrap: Callable[[Any], Any] = lambda answer: answer
    """Gives the token response in the JSON of an answer."""

    def post(
        self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any
    ) -> _Answer:
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        request = OutgoingRequest(
            url,
            headers,
            body=body.encode(),
            seconds=self.seconds,
            bytes=LONGEST_ANSWER,
            reach=self.reach,
            ca_file=self.ca_file,
        )
        try:
            response = send(self.pool, request)
        except ReadFailure as error:
            passing = error.reason in PASSING
            raise OAuthFailure(error.reason, passing=passing) from None
        status = response.status
        if 300 <= status < 400:
            raise OAuthFailure("redirect refused")
        if status in TEMPORARY:
            told = response.headers.get("Retry-After")
            after = parse_retry_after(told, datetime.now(UTC))
            raise OAuthFailure(f"HTTP {status}", passing=True, again_after=after)
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            value = None
        return _Answer(status, self.unwrap(value))
