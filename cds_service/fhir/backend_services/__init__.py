"""SMART backend services: a token for this program itself, without a user.

This package is a door to PyJWT and cryptography, as ``trust`` is: there tokens of
others are verified, here our own assertions are signed, and neither needs the other.
The assertion goes to the token endpoint and nowhere else; no redirect is followed, and
nothing that is raised holds it, the token or the key.

Source: SMART App Launch 2.2, "Backend Services"; RFC 6749, 6750, 7523.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import uuid4

from ...http.addresses import Base, Reach
from ...http.bodies import parse_body
from ...http.exchange import PASSING, OutgoingRequest, ReadFailure, Response, send
from ...http.pacing import TEMPORARY, parse_retry_after
from ..client import FhirPool
from ..foreign_text import shown
from .configuration import (
    PATH,
    NotConfigured,
    SmartConfiguration,
    reach_of,
    read_configuration,
)
from .keys import (
    InvalidSigningKey,
    SigningKey,
    is_exposed,
    load_signing_key,
    sign_assertion,
)

__all__ = [
    "ASSERTION_TYPE",
    "BackendServices",
    "InvalidSigningKey",
    "Registration",
    "SigningKey",
    "TokenFailure",
    "is_exposed",
    "load_signing_key",
    "sign_assertion",
]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MARGIN = 30.0
"""Seconds before its end at which a token is no longer used."""
UNSAID_LIFETIME = 60.0
"""Seconds for which a token is taken to live whose server does not say."""

_LONGEST_BODY = 256 * 1024
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERROR = re.compile(r"[a-z_]{1,40}")
_HELP = {
    "invalid_client": "check the client id, the kid, that the public key is "
    "registered, and the clock of this machine",
    "invalid_scope": "ask for a scope that the client is registered for",
    "invalid_grant": "check the client id, the kid and the clock of this machine",
    "invalid_request": "check the client id, the kid and that the public key is "
    "registered",
    "unauthorized_client": "the client is not registered for backend services",
}


class TokenFailure(Exception):
    """No token could be had; the message is a sentence without secrets."""

    def __init__(
        self, message: str, passing: bool = False, again_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether asking again may help."""
        self.again_after = again_after
        """Seconds to wait before, where the server says."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How this program is known to the authorization server of a FHIR server."""

    base: Base
    client_id: str
    key: SigningKey
    scopes: tuple[str, str] = ("system/Patient.rs", "system/Patient.read")
    """What is asked for, and what of a server that knows scopes of SMART 1 only."""
    token_url: str = ""
    """The token endpoint; without it, the FHIR server is asked for it."""
    seconds: float = 30.0
    """Until the last byte of an answer."""
    ca_file: str = ""
    """PEM file of the authorities to trust instead of the usual ones."""

    def asking_for(self, scope: str) -> "Registration":
        """Return the same with another scope to ask for, if one is given."""
        return replace(self, scopes=(scope, scope)) if scope else self


class BackendServices:
    """Gets tokens and keeps each until shortly before it ends; threads may share it."""

    def __init__(
        self,
        registration: Registration,
        pool: FhirPool,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], object] = uuid4,
    ) -> None:
        """*clock* counts Unix seconds; *new_id* never gives the same twice."""
        self._registration = registration
        self._pool = pool
        self._clock = clock
        self._new_id = new_id
        self._lock = Lock()
        self._configuration: SmartConfiguration | None = None
        self._token = ""  # nosec B105 # none yet
        self._scope = ""
        self._ends = 0.0

    def __repr__(self) -> str:
        return f"BackendServices({self._registration.base})"

    @property
    def scope(self) -> str:
        """What the token that is kept permits; empty before the first."""
        return self._scope

    def token(self) -> str:
        """Return a token that is good at the moment. Raises TokenFailure."""
        with self._lock:
            return self._current()

    def renew(self, refused: str) -> str:
        """Return another token than the *refused* one. Raises TokenFailure.

        Of several threads that were refused with one token, the first renews it.
        """
        with self._lock:
            if self._token == refused:
                self._token = ""  # nosec B105 # none yet
            return self._current()

    def _current(self) -> str:
        if not self._token or self._clock() >= self._ends:
            self._token = ""  # nosec B105 # none yet
            self._take(self._ask())
        return self._token

    def _ask(self) -> Response:
        registration = self._registration
        configuration = self._discover()
        endpoint = configuration.token_endpoint
        try:
            given = bool(registration.token_url)
            reach = reach_of(endpoint, registration.base, given=given)
        except NotConfigured as error:
            raise TokenFailure(str(error)) from None
        assertion = sign_assertion(
            registration.key,
            registration.client_id,
            endpoint,
            self._clock(),
            str(self._new_id()),
        )
        form = {
            "grant_type": "client_credentials",
            "scope": registration.scopes[configuration.only_older_scopes],
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = self._send(endpoint, reach, "token endpoint", form)
        if answer.status != 200:
            raise self._refusal(answer)
        return answer

    def _discover(self) -> SmartConfiguration:
        registration = self._registration
        if self._configuration is None and registration.token_url:
            self._configuration = SmartConfiguration(registration.token_url)
        if self._configuration is None:
            url = f"{registration.base}/{PATH}"
            answer = self._send(url, Reach.LOCAL, "SMART configuration")
            if answer.status != 200:
                raise self._failure(answer, "SMART configuration")
            value = _parsed(answer, "SMART configuration")
            try:
                self._configuration = read_configuration(value)
            except NotConfigured as error:
                raise TokenFailure(str(error)) from None
        return self._configuration

    def _send(
        self,
        url: str,
        reach: Reach,
        what: str,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        request = OutgoingRequest(
            url,
            headers={"Accept": "application/json"},
            form=form,
            seconds=self._registration.seconds,
            bytes=_LONGEST_BODY,
            reach=reach,
            ca_file=self._registration.ca_file,
        )
        try:
            answer = send(self._pool, request)
        except ReadFailure as failure:
            message = f"The {what} could not be asked: {failure.reason}."
            raise TokenFailure(message, failure.reason in PASSING) from None
        if 300 <= answer.status < 400:
            message = f"The {what} leads elsewhere (HTTP {answer.status}), which is "
            raise TokenFailure(message + "not followed; give the address it is at.")
        return answer

    def _refusal(self, answer: Response) -> TokenFailure:
        """Return what the token endpoint says in the words of OAuth, where it does."""
        value, _ = parse_body(answer.content)
        error = value.get("error") if isinstance(value, Mapping) else None
        if not isinstance(error, str) or not _ERROR.fullmatch(error):
            return self._failure(answer, "token endpoint")
        said = value.get("error_description")
        told = f" ({shown(said)})" if isinstance(said, str) and said.strip() else ""
        hint = f"; {_HELP[error]}" if error in _HELP else ""
        message = f"The token endpoint refuses: {error}{told}{hint}."
        passing = answer.status in TEMPORARY
        return TokenFailure(message, passing, self._again_after(answer))

    def _failure(self, answer: Response, what: str) -> TokenFailure:
        message = f"The {what} answers with HTTP {answer.status}."
        passing = answer.status in TEMPORARY
        return TokenFailure(message, passing, self._again_after(answer))

    def _again_after(self, answer: Response) -> float | None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return parse_retry_after(answer.headers.get("Retry-After"), now)

    def _take(self, answer: Response) -> None:
        value = _parsed(answer, "token endpoint")
        token = value.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TokenFailure("The token endpoint answers without an access_token.")
        if str(value.get("token_type", "")).lower() != "bearer":
            raise TokenFailure("The token endpoint gives no token of type bearer.")
        lifetime = _lifetime(value.get("expires_in"))
        if lifetime <= 0:
            raise TokenFailure("The token endpoint gives a token that is over.")
        scope = value.get("scope")
        self._scope = scope if isinstance(scope, str) else ""
        self._ends = self._clock() + lifetime - min(MARGIN, lifetime / 2)
        self._token = token


def _parsed(answer: Response, what: str) -> Mapping[str, Any]:
    value, reason = parse_body(answer.content)
    if not reason and not isinstance(value, Mapping):
        reason = "not a JSON object"
    if reason:
        raise TokenFailure(f"The {what} answers with what cannot be read: {reason}.")
    found: Mapping[str, Any] = value
    return found


def _lifetime(value: Any) -> float:
    if isinstance(value, bool):
        return UNSAID_LIFETIME
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value[:12])
    return float(value) if isinstance(value, (int, float)) else UNSAID_LIFETIME
