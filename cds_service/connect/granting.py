"""A wearer's permission at a vendor: asked for, brought back, kept, renewed, ended.

Who asks gets a link. What it bears, the state, is good once and for ten minutes; of it
and of the verifier of PKCE nothing can be read in the database. Whoever comes back with
it is the wearer for whom it was asked, whatever browser that is in.

Source: RFC 9700 sections 2.1 and 4.7; RFC 9207.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from ..audit import build_link_event
from ..config import Cloud
from ..http.connections import ConnectionPool
from ..http.exchange import OutgoingRequest, ReadFailure, send
from ..store.grants.grants import AccountTaken
from ..store.grants.records import (
    CloudGrant,
    GrantState,
    GrantWearer,
    SealedTokens,
    SignIn,
)
from ..store.records import AuditEvent
from ..store.store import Store
from ..trust.vault import Unopened, Vault
from ..wearables.links import WearerLink
from .oauth import CODES, IssuedTokens, OAuthClient, OAuthFailure
from .vendors.records import Call, DataKind

WAITS = timedelta(minutes=10)
"""How long a link is good for."""
LONGEST = 4096
"""Characters of what comes back in an address."""
CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class CloudDesk:
    """What it takes to speak with one vendor for the wearers of a site."""

    cloud: Cloud
    store: Store
    vault: Vault
    pool: ConnectionPool

    @property
    def oauth(self) -> OAuthClient:
        """Who we are there."""
        cloud = self.cloud
        return OAuthClient(
            cloud.vendor, cloud.client_id, cloud.client_secret, self.pool, cloud.reach
        )

    def wearer(self, user: str) -> GrantWearer:
        """Return a user of this source as grants name it."""
        return GrantWearer(self.cloud.tenant, self.cloud.id, user)

    def links(self, user: str) -> tuple[WearerLink, ...]:
        """Return the links that name a user of this source."""
        return self.store.links.naming(self.cloud.tenant, self.cloud.id, [user], [])


@dataclass(frozen=True, slots=True)
class Invitation:
    """A permission that is asked for."""

    link: str
    state: str
    """The digest under which it waits."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Return:
    """What became of somebody who came back from a vendor."""

    text: str
    """``connected``, or why not, in a sentence."""
    grant: CloudGrant | None = None


def invite(
    desk: CloudDesk, user: str, redirect_uri: str, by: str, now: datetime
) -> Invitation:
    """Return a link that asks the wearer for permission; it is good once."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    digest, wearer, until = _digest(state), desk.wearer(user), now + WAITS
    sealed = desk.vault.lock(verifier, _about_sign_in(digest))
    asked = SignIn(digest, wearer, sealed, redirect_uri, until)
    desk.store.grants.begin(asked, _event(desk, user, by, now, {"grant": "asked for"}))
    scopes = _scopes(desk.cloud.kinds)
    return Invitation(
        desk.oauth.link(state, verifier, redirect_uri, scopes), digest, until
    )


def take_back(
    desks: Sequence[CloudDesk], told: Mapping[str, str], now: datetime, only: str = ""
) -> Return:
    """Return what became of who comes back; what was kept is committed.

    Args:
        desks: Of every cloud that somebody may come back from.
        told: The parameters of the address.
        only: The one sign-in that is waited for here; any where it is empty.
    """
    digest = _digest(told.get("state", "")[:LONGEST])
    unknown = Return("This link was already used or has expired; ask for another.")
    if not desks or (only and digest != only):
        return unknown
    store = desks[0].store
    asked = store.grants.redeem(digest, now)
    if asked is None:
        return unknown
    known = [d for d in desks if d.wearer(asked.wearer.user) == asked.wearer]
    done = _settled(known[0], asked, told, now) if known else unknown
    store.grants.settle(digest, done.text)
    return done


def kinds_of(grant: CloudGrant, cloud: Cloud) -> tuple[DataKind, ...]:
    """Return the kinds of data that a grant permits, of those that are asked for."""
    return tuple(e for e in cloud.kinds if set(e.scopes) <= set(grant.scopes))


def renew(desk: CloudDesk, grant: CloudGrant, now: datetime) -> CloudGrant:
    """Return the grant with fresh tokens; they are kept before they are used.

    Whoever asks has the grant alone. If another has renewed it all the same, it holds.

    Raises:
        OAuthFailure: if there are none; of one that has ended the grant has, too.
    """
    if not desk.store.grants.begin_refresh(grant, now):
        return _as_it_is(desk, grant)
    try:
        old = unseal(desk, grant, "refresh")
        if not old:
            raise OAuthFailure("the vendor gave no refresh token", ended=True)
        issued = desk.oauth.refresh(old, now)
    except Unopened as error:
        raise OAuthFailure(f"the token cannot be read: {error}") from None
    except OAuthFailure as error:
        if error.ended:
            end(desk, grant, *_why_ended(grant, str(error)), "", now)
        raise
    if not issued.refresh:
        issued = replace(issued, refresh=old)
    renewed = desk.store.grants.renew(grant, seal(desk, grant.wearer, issued))
    return renewed or _as_it_is(desk, grant)


def end(
    desk: CloudDesk,
    grant: CloudGrant,
    state: GrantState,
    why: str,
    by: str,
    now: datetime,
) -> bool:
    """Check if a grant ends here; its tokens are gone from the database."""
    told = {"grant": str(state), "why": why}
    event = _event(desk, grant.wearer.user, by, now, told)
    return desk.store.grants.end(grant, state, why, event)


def revoke(desk: CloudDesk, grant: CloudGrant, by: str, now: datetime) -> str:
    """Return why the vendor was not told that a grant ends; empty where it was.

    Here it ends all the same.
    """
    problem = ""
    try:
        token = unseal(desk, grant, "refresh") or unseal(desk, grant, "access")
        if not desk.cloud.vendor.revoke_url:
            problem = "the vendor offers no way to revoke it"
        elif token:
            desk.oauth.revoke(token)
    except (OAuthFailure, Unopened) as error:
        problem = str(error)
    while not end(desk, grant, GrantState.REVOKED, "on request", by, now):
        # Whoever pulls has renewed it meanwhile; what is renewed goes with it there.
        try:
            grant = _as_it_is(desk, grant)
        except OAuthFailure:
            break
    return problem


def seal(desk: CloudDesk, wearer: GrantWearer, issued: IssuedTokens) -> SealedTokens:
    """Return tokens as they are kept."""
    lock = desk.vault.lock
    return SealedTokens(
        lock(issued.access, about_token(wearer, "access")),
        lock(issued.refresh, about_token(wearer, "refresh")),
        issued.expires,
    )


def unseal(desk: CloudDesk, grant: CloudGrant, which: str) -> str:
    """Return the ``access`` or ``refresh`` token of a grant; empty where it has none.

    Raises:
        Unopened: if no key opens it.
    """
    sealed: str = getattr(grant.tokens, which)
    return desk.vault.unlock(sealed, about_token(grant.wearer, which))


def reseal(vault: Vault, grant: CloudGrant) -> SealedTokens | None:
    """Return the tokens of a grant under the newest key; None where they are.

    Raises:
        Unopened: if no key opens them.
    """
    tokens = grant.tokens
    if vault.is_newest(tokens.access) and vault.is_newest(tokens.refresh):
        return None

    def again(which: str, sealed: str) -> str:
        about = about_token(grant.wearer, which)
        return vault.lock(vault.unlock(sealed, about), about)

    return replace(
        tokens,
        access=again("access", tokens.access),
        refresh=again("refresh", tokens.refresh),
    )


def about_token(wearer: GrantWearer, which: str) -> tuple[str, ...]:
    """Return what a token belongs to."""
    return ("grant", wearer.tenant, wearer.source, wearer.user, which)


def _settled(
    desk: CloudDesk, asked: SignIn, told: Mapping[str, str], now: datetime
) -> Return:
    vendor, code = desk.cloud.vendor, told.get("code", "")[:LONGEST]
    issuer = told.get("iss", "")
    if vendor.issuer and issuer and issuer != vendor.issuer:
        return Return(f"The answer did not come from {vendor.title}.")
    if told.get("error"):
        error = told["error"] if told["error"] in CODES else "an error of its own"
        denied = error == "access_denied"
        why = "It was not permitted." if denied else f"{vendor.title} answered {error}."
        return Return(why)
    if not code:
        return Return("The address that led here is incomplete.")
    try:
        verifier = desk.vault.unlock(asked.verifier, _about_sign_in(asked.state))
        issued = desk.oauth.redeem(code, verifier, asked.redirect_uri, now)
    except (OAuthFailure, Unopened) as error:
        return Return(f"{vendor.title} gave no token: {error}.")
    return _keep(desk, asked.wearer, issued, now)


def _keep(
    desk: CloudDesk, wearer: GrantWearer, issued: IssuedTokens, now: datetime
) -> Return:
    asked = _scopes(desk.cloud.kinds)
    grant = CloudGrant(
        wearer,
        asked if issued.scopes is None else issued.scopes,
        seal(desk, wearer, issued),
        now,
        issued.user,
    )
    if not kinds_of(grant, desk.cloud):
        _give_back(desk, issued)
        return Return("None of the data read here were permitted.")
    try:
        grant = replace(grant, vendor_user=issued.user or _identify(desk, issued))
        told = {"grant": "given", "scopes": list(grant.scopes)}
        event = _event(desk, wearer.user, "", now, told)
        kept = desk.store.grants.keep(grant, event)
    except ReadFailure as error:
        _give_back(desk, issued)
        title = desk.cloud.vendor.title
        return Return(f"{title} does not say whose account it is: {error.reason}.")
    except AccountTaken:
        _give_back(desk, issued)
        return Return("Another user is connected to this account.")
    return Return(CONNECTED, kept)


def _identify(desk: CloudDesk, issued: IssuedTokens) -> str:
    """As the vendor calls the wearer. Raises ReadFailure where it does not tell."""
    identity = desk.cloud.vendor.identity
    if identity is None:
        return ""
    response = send(desk.pool, api_request(desk.cloud, identity.ask, issued.access))
    if response.status != 200:
        raise ReadFailure(f"HTTP {response.status}")
    try:
        user = identity.read(json.loads(response.content))
    except (ValueError, RecursionError):
        user = ""
    if not user:
        raise ReadFailure("the answer names no user")
    return user


def api_request(cloud: Cloud, call: Call, token: str) -> OutgoingRequest:
    """Return a request to the API of a vendor."""
    url = cloud.vendor.api + call.path
    if call.query:
        url += f"?{urlencode(call.query)}"
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    body = None
    if call.json is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(call.json).encode()
    return OutgoingRequest(
        url, headers, call.form, body, call.method, reach=cloud.reach
    )


def _give_back(desk: CloudDesk, issued: IssuedTokens) -> None:
    """Nobody here can use it: nobody elsewhere shall."""
    if desk.cloud.vendor.revoke_url:
        try:
            desk.oauth.revoke(issued.refresh or issued.access)
        except OAuthFailure:
            return  # it stays as the wearer sees it at the vendor


def _why_ended(grant: CloudGrant, why: str) -> tuple[GrantState, str]:
    if grant.refresh_begun is None:
        return GrantState.REVOKED, f"the vendor says {why}"
    lost = "a refresh was interrupted, and the vendor no longer accepts the old token"
    return GrantState.BROKEN, lost


def _as_it_is(desk: CloudDesk, grant: CloudGrant) -> CloudGrant:
    wearer = grant.wearer
    found = desk.store.grants.find(wearer.tenant, wearer.source, wearer.user)
    if found is None or found.state is not GrantState.ACTIVE:
        raise OAuthFailure("the grant has ended", ended=True)
    return found


def _event(
    desk: CloudDesk, user: str, by: str, now: datetime, told: Mapping[str, Any]
) -> AuditEvent:
    links = [each for each in desk.links(user) if each.holds(now)]
    patient = links[-1].patient if links else None
    detail = {"source": desk.cloud.id, "user": user, **told}
    return build_link_event(now, desk.cloud.tenant, by, patient, detail)


def _scopes(kinds: Sequence[DataKind]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for kind in kinds for scope in kind.scopes))


def _about_sign_in(state: str) -> tuple[str, ...]:
    return ("sign-in", state)


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
