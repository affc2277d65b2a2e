"""Tokens of sessions: one that holds, renewed in time, and given back at the end.

A token may be worth nothing before its time: then it is renewed, and used once more.

A refresh token is good once. Whoever has the tokens of a launch alone renews them; all
others wait for what comes of that. No transaction is open meanwhile.

Source: SMART App Launch 2.2, "Refresh access token"; RFC 7009; RFC 9700 section 4.14.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ...audit import build_sign_in_event
from ...protocol.errors import TokenRefused
from ...store.grants.records import SealedTokens
from ...store.sign_in.records import LaunchTokens, SmartSession, about_token
from ...store.sign_in.sessions import SmartSessions
from ...trust.vault import Unopened, Vault
from ...wearables.records import PatientKey
from ..oauth import IssuedTokens, OAuthFailure, read_issued
from .context import read_context
from .records import NoAccess, NotSignedIn, Provider
from .signing_in import SignInDesk, check_user, give_back
from .wire import AppClient

EARLY = timedelta(seconds=60)
"""So long before a token is over it is renewed."""
HELD = timedelta(seconds=60)
"""Longer than a server is waited for."""
PATIENCE = timedelta(seconds=10)
"""For somebody else who renews them."""
LOOK = 0.05
"""Seconds between two looks whether somebody has."""


Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class TokenDesk:
    """What it takes to have tokens of sessions."""

    sign_in: SignInDesk
    sessions: SmartSessions
    vault: Vault
    clock: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep


def seal_tokens(vault: Vault, launch: str, issued: IssuedTokens) -> SealedTokens:
    """Return the tokens of a launch as they are kept."""
    return SealedTokens(
        vault.lock(issued.access, about_token(launch, "access")),
        vault.lock(issued.refresh, about_token(launch, "refresh")),
        issued.expires,
    )


def with_access(
    desk: TokenDesk,
    provider: Provider,
    session: SmartSession,
    ask: Callable[[str], Asked],
) -> Asked:
    """Return what a question to the EHR brings, which is given a token of a session.

    It is asked again, once, where the EHR takes the token no more before its time is
    over (TokenRefused), by a token that has come in its place.

    Raises:
        NoAccess: if there is no token that the EHR takes; see `access`.
    """
    token = access(desk, provider, session)
    try:
        return ask(token)
    except TokenRefused:
        token = access(desk, provider, session, refused=token)
    try:
        return ask(token)
    except TokenRefused:
        why = "The EHR does not accept a new token either."
        _end(desk, session, why, revoke(desk, provider, session))
        raise NoAccess(why, ended=True) from None


def access(
    desk: TokenDesk, provider: Provider, session: SmartSession, refused: str = ""
) -> str:
    """Return an access token of a session that holds.

    Args:
        refused: A token that the EHR takes no more, whatever it has said of its time.

    Raises:
        NoAccess: if there is none; where it says that it has ended, so has the session,
            with all its windows and a row in the trail.
    """
    try:
        return _access(desk, provider, session, refused)
    except NoAccess as error:
        if error.ended and desk.sessions.tokens(session.launch) is not None:
            _end(desk, session, str(error))
        raise


def _access(
    desk: TokenDesk, provider: Provider, session: SmartSession, refused: str
) -> str:
    begun = desk.clock()
    while True:
        now = desk.clock()
        held = desk.sessions.tokens(session.launch)
        if held is None:
            raise NoAccess("The session has ended.", ended=True)
        token = _open(desk, held, "access")
        if token != refused and _lasts(held, now + EARLY):
            return token
        if not held.sealed.refresh:
            return _as_long_as_it_lasts(desk, held, refused)
        if desk.sessions.hold_tokens(held, now, now + HELD):
            return _renew(desk, provider, session, held, refused)
        if now - begun > PATIENCE:
            return _as_long_as_it_lasts(desk, held, refused, passing=True)
        desk.sleep(LOOK)


def revoke(desk: TokenDesk, provider: Provider, session: SmartSession) -> str:
    """Return why the tokens of a session are worth something still; empty where not.

    Here it ends all the same.
    """
    held = desk.sessions.tokens(session.launch)
    return "" if held is None else revoke_tokens(desk, provider, held)


def revoke_tokens(desk: TokenDesk, provider: Provider, held: LaunchTokens) -> str:
    """Return why tokens are worth something still at an EHR; empty where not."""
    try:
        refresh, token = _open(desk, held, "refresh"), _open(desk, held, "access")
        client = desk.sign_in.client(provider, desk.clock())
    except (NoAccess, NotSignedIn) as error:
        return str(error)
    return give_back(client, refresh, token)


def _renew(
    desk: TokenDesk,
    provider: Provider,
    session: SmartSession,
    held: LaunchTokens,
    refused: str,
) -> str:
    now = desk.clock()
    old = _open(desk, held, "refresh")
    try:
        client = desk.sign_in.client(provider, now)
        answer = client.refresh(old)
        issued = read_issued(answer, now)
    except (OAuthFailure, NotSignedIn) as error:
        if isinstance(error, OAuthFailure) and error.ended:
            message = "The EHR permits it no longer."
            raise NoAccess(message, ended=True) from None
        desk.sessions.leave_tokens(held)
        return _as_long_as_it_lasts(desk, held, refused, passing=True)
    try:
        _check(desk, client, session, answer)
    except NotSignedIn as error:
        give_back(client, issued.refresh or old, issued.access)
        raise NoAccess(str(error), ended=True) from None
    issued = replace(issued, refresh=issued.refresh or old)
    sealed = seal_tokens(desk.vault, session.launch, issued)
    if not desk.sessions.renew_tokens(held, sealed):
        give_back(client, issued.refresh, issued.access)
        raise NoAccess("The session has ended.", ended=True)
    return issued.access


def _check(
    desk: TokenDesk,
    client: AppClient,
    session: SmartSession,
    answer: Mapping[str, Any],
) -> None:
    """Check that an answer is about patient and user still. Raises NotSignedIn."""
    if read_context(answer).patient not in ("", session.patient):
        raise NotSignedIn("The EHR has switched to another patient.")
    check_user(desk.sign_in, client, answer, session.identity)


def _end(
    desk: TokenDesk, session: SmartSession, why: str, not_revoked: str = ""
) -> None:
    told = {"signIn": "ended", "why": why, "session": session.id, "user": session.user}
    if not_revoked:
        told["notRevoked"] = not_revoked
    patient = PatientKey(session.tenant, session.fhir_base, session.patient)
    event = build_sign_in_event(
        desk.clock(), session.tenant, session.client, patient, told
    )
    desk.sessions.end(session.launch, why, event)


def _lasts(held: LaunchTokens, until: datetime) -> bool:
    expires = held.sealed.expires
    return expires is None or expires > until


def _as_long_as_it_lasts(
    desk: TokenDesk, held: LaunchTokens, refused: str, *, passing: bool = False
) -> str:
    """The token that is there, if its time is not over and the EHR takes it."""
    token = _open(desk, held, "access")
    if token != refused and _lasts(held, desk.clock()):
        return token
    if passing:
        raise NoAccess("The EHR does not renew its permission at the moment.")
    why = "The EHR's permission has expired"
    if token == refused:
        why = "The EHR no longer accepts our token"
    raise NoAccess(f"{why} and cannot be renewed.", ended=True)


def _open(desk: TokenDesk, held: LaunchTokens, which: str) -> str:
    sealed: str = getattr(held.sealed, which)
    try:
        return desk.vault.unlock(sealed, about_token(held.launch, which))
    except Unopened as error:
        message = f"The token cannot be read: {error}."
        raise NoAccess(message, ended=True) from None
