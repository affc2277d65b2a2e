"""From an EHR to a session: sent away to sign in, brought back, let in once.

What an address brings back is believed of the browser that was sent away, and of it
once. A sign-in that another browser brings stays where it is: strangers burn nobody's.
What leads on from here is a name of ours and never an address that came along.

Source: SMART App Launch 2.2, "Launch App: EHR Launch", "Standalone Launch"; RFC 9700.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.exceptions import NotFound

from ...audit import build_sign_in_event
from ...connect.smart import (
    Arrival,
    NotSignedIn,
    Provider,
    SignedIn,
    SignInDesk,
    TokenDesk,
    begin,
    complete,
    find_launching,
    is_same_person,
    provider_of,
    read_pending,
    resources_of,
    seal_tokens,
)
from ...protocol.errors import Throttled, Unauthenticated, Unavailable
from ...store.sign_in.records import (
    IDLE,
    LONGEST,
    PendingSignIn,
    SmartSession,
    about_pending,
)
from ...trust import TrustedClient
from ...trust.id_tokens import lasting_claims
from ...trust.vault import Unopened
from ...wearables.records import PatientKey
from ..limits import Allowance, find_network
from ..metrics import Metrics
from ..notes import note
from ..pages.banner import banner_context
from ..pages.shell import allow_framing, answer_errors, local_url, render_page
from ..refusals import Refusals
from .cookies import LAUNCH, MOST, SESSION, Cookies, hash_of, new_id, new_key
from .forms import bound_forms
from .sessions import CROWDED, OPEN_AGAIN, Gate, all_ancestors, launching, refuse

PREFIX = "/smart"
WAITS = timedelta(minutes=5)
"""For who was sent away to sign in."""
LAUNCHES = 600
"""A minute from one address, at each worker: a whole hospital may stand behind one."""
LONGEST_PARAMETER = 8192
"""Characters of what an EHR gives along."""
PAGES = ("card", "why", "timeline", "consent")
"""The pages of a session, by the names that cards' links have for them."""
FIRST = "why"
"""The page of who comes without a card."""

OVER = "This sign-in was already used, or has expired."


@dataclass(frozen=True, slots=True)
class Reception:
    """What it takes to let people in, for one process."""

    gate: Gate
    tokens: TokenDesk
    refusals: Refusals
    allowance: Allowance

    @property
    def cookies(self) -> Cookies:
        """How this server's cookies are called."""
        return self.gate.cookies

    @property
    def desk(self) -> SignInDesk:
        """What it takes to sign users in."""
        return self.tokens.sign_in

    @property
    def callback(self) -> str:
        """Where every sign-in comes back to, as it is registered."""
        return f"{self.gate.world.config.public_url}{PREFIX}/callback"

    @property
    def now(self) -> datetime:
        """This moment."""
        return self.gate.world.clock()


class NotLetIn(Exception):
    """Somebody who may not come in; the message is a sentence for a page."""

    def __init__(self, why: str, outcome: str, status: int = 403) -> None:
        """Say why, and under which word it is counted."""
        super().__init__(why)
        self.outcome = outcome
        self.status = status


def build_signing_in(reception: Reception) -> Blueprint:
    """Return the URLs by which people come in; no session is needed for them."""
    smart = Blueprint("smart", __name__, url_prefix=PREFIX)
    world = reception.gate.world
    answer_errors(smart)

    @smart.before_request
    def admit() -> None:
        allow_framing(all_ancestors(world))
        bound_forms()
        seconds = reception.allowance.take(find_network(request.remote_addr))
        if seconds:
            raise Throttled(int(seconds) + 1)

    @smart.errorhandler(NotLetIn)
    def say_no(error: NotLetIn) -> Response:
        count(error.outcome)
        texts = (str(error), OPEN_AGAIN)
        return refuse(texts, error.status, "Nobody is signed in here")

    _add_ways_in(smart, reception)

    @smart.route("/<path:rest>", methods=["GET", "POST"])
    def lead_nowhere(rest: str) -> Response:
        raise NotFound()

    return smart


def _add_ways_in(smart: Blueprint, reception: Reception) -> None:
    world = reception.gate.world

    @smart.get("/launch")
    def launch() -> Response:
        issuer, given = _only("iss"), _only("launch")
        client = find_launching(world.clients, issuer)
        if client is None:
            _note_stranger(reception, "SMART launch by an iss that is not listed")
            raise NotLetIn("No EHR with that address may open pages here.", "unlisted")
        if not given:
            raise NotLetIn("The EHR did not say which patient is open.", "broken", 400)
        return send_away(reception, client, given, issuer)

    @smart.get("/start")
    def start() -> Response:
        if "ehr" not in request.args:
            ehrs = [
                (each.id, f"{PREFIX}/start?ehr={quote(each.id)}", each.fhir_base)
                for each in launching(world).values()
            ]
            return render_page("smart_start.html", title="Which EHR?", ehrs=ehrs)
        client = launching(world).get(_only("ehr"))
        if client is None:
            raise NotFound()
        return send_away(reception, client)

    @smart.get("/callback")
    def come_back() -> Response:
        return let_in(reception)


def send_away(
    reception: Reception,
    client: TrustedClient,
    given: str | None = None,
    issuer: str = "",
) -> Response:
    """Return the way to where the users of an EHR sign in.

    Args:
        given: What the EHR gave along; None where nobody comes from there.
        issuer: As the EHR has written it.

    Raises:
        NotLetIn: if its server does not say where that is.
        Unavailable: if too many are on their way already.
    """
    world, now = reception.gate.world, reception.now
    id, key = new_id(), new_key()
    state = f"{id}.{secrets.token_urlsafe(32)}"
    arrival = Arrival(
        reception.callback,
        state,
        given,
        issuer,
        resources_of(world.rulebook, client),
    )
    try:
        begun = begin(reception.desk, _provider(client), arrival, now)
    except NotSignedIn as error:
        raise NotLetIn(str(error), "failed", error.status) from None
    digest = hash_of(state)
    text = begun.pending.as_text()
    waiting = PendingSignIn(
        id,
        digest,
        hash_of(key),
        client.tenant,
        client.id,
        now,
        now + WAITS,
        sealed=reception.gate.vault.lock(text, about_pending(digest)),
    )
    if not world.store.pending_sign_ins.begin(waiting):
        count("crowded")
        raise Unavailable("Too many people are signing in. Try again in a minute.")
    count("begun")
    response = _sent(begun.url)
    keep_few(reception, response)
    reception.cookies.put(response, LAUNCH, id, key)
    return response


def let_in(reception: Reception) -> Response:
    """Return the way to the first page of a session that begins here.

    Raises:
        NotLetIn: if nobody is let in.
    """
    world, now = reception.gate.world, reception.now
    told = {name: _only(name) for name in request.args}
    waiting = _redeemed(reception, hash_of(told.get("state", "")))
    client = launching(world).get(waiting.provider)
    if client is None:
        raise NotLetIn("No EHR with that name opens pages here any more.", "unlisted")
    try:
        signed_in = _completed(reception, client, waiting, told)
    except NotSignedIn as error:
        why = {"signIn": "refused", "reason": str(error), "status": error.status}
        event = build_sign_in_event(now, client.tenant, client.id, None, why)
        world.store.record_audit(event)
        raise NotLetIn(str(error), "refused", error.status) from None
    response = open_session(reception, client, signed_in)
    reception.cookies.drop(response, LAUNCH, waiting.id)
    count("launched")
    return response


def _redeemed(reception: Reception, state_hash: str) -> PendingSignIn:
    """The sign-in that waits for this browser, which it does no more from now on."""
    pending, now = reception.gate.world.store.pending_sign_ins, reception.now
    waiting = pending.find(state_hash, now)
    if waiting is None:
        _note_stranger(reception, "SMART callback that nobody waits for")
        raise NotLetIn(OVER, "unknown", 400)
    key = reception.cookies.read(LAUNCH, waiting.id)
    if not key or not secrets.compare_digest(hash_of(key), waiting.key_hash):
        _note_stranger(reception, "SMART callback in another browser")
        text = "This browser did not return its cookie."
        raise NotLetIn(f"{text} {CROWDED}", "no-cookie")
    if not pending.take(state_hash, now):
        raise NotLetIn(OVER, "unknown", 400)
    return waiting


def open_session(
    reception: Reception, client: TrustedClient, signed_in: SignedIn
) -> Response:
    """Return the way to the first page of a new session, with its cookie."""
    gate, now = reception.gate, reception.now
    context, patient = signed_in.context, signed_in.patient
    assert patient is not None
    session = SmartSession(
        id=new_id(),
        launch=new_id(),
        tenant=client.tenant,
        client=client.id,
        fhir_base=client.fhir_base,
        patient=context.patient,
        encounter=context.encounter,
        user=signed_in.user,
        scopes=signed_in.scopes,
        opened_at=now,
        idle_until=now + IDLE,
        until=now + LONGEST,
        context=banner_context(patient, now.date(), needs_banner=context.needs_banner),
        identity=lasting_claims(signed_in.claims),
    )
    page, session, told = _first_page(reception, client, session, signed_in)
    session = gate.sealed(session)
    event = build_sign_in_event(
        now, client.tenant, client.id, _patient_of(session), told
    )
    key, tokens = new_key(), seal_tokens(gate.vault, session.launch, signed_in.tokens)
    gate.world.store.smart_sessions.open(session, hash_of(key), tokens, event)
    response = _sent(local_url(f"{PREFIX}/s/{session.id}/{page}"))
    keep_few(reception, response)
    gate.cookies.put(response, SESSION, session.id, key)
    return response


def keep_few(reception: Reception, response: Response) -> None:
    """Have the browser forget what opens nothing, and the oldest of too many."""
    here = list(reception.cookies.here())
    sessions = reception.gate.world.store.smart_sessions
    if len(here) < MOST:
        return
    living = sessions.living([id for _, id in here], reception.now)
    kept = set(living[1 - MOST :])
    for kind, id in here:
        if id not in kept:
            reception.cookies.drop(response, kind, id)


def count(outcome: str) -> None:
    """Count a launch by what became of it."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_launch(outcome)
    note(launch=outcome)


def _completed(
    reception: Reception,
    client: TrustedClient,
    waiting: PendingSignIn,
    told: Mapping[str, str],
) -> SignedIn:
    about = about_pending(waiting.state_hash)
    try:
        pending = read_pending(reception.gate.vault.unlock(waiting.sealed, about))
    except Unopened as error:
        raise NotSignedIn(
            "The key of this server has changed in the meantime."
        ) from error
    return complete(reception.desk, _provider(client), pending, told, reception.now)


def _first_page(
    reception: Reception,
    client: TrustedClient,
    session: SmartSession,
    signed_in: SignedIn,
) -> tuple[str, SmartSession, Mapping[str, Any]]:
    """The page, the session with what it may open, and what the trail tells."""
    told: dict[str, Any] = {
        "signIn": "launched",
        "session": session.id,
        "user": session.user,
        "encounter": session.encounter,
        "scopes": list(session.scopes),
        "notGranted": list(signed_in.refused),
    }
    reference = signed_in.context.app_context
    if not reference:
        intent = signed_in.context.intent
        return (intent if intent in PAGES else FIRST), session, told
    known_as: list[str] = []

    def is_also(shown: str) -> bool:
        pool, provider = reception.desk.pool, _provider(client)
        same = is_same_person(pool, provider, shown, signed_in)
        known_as.extend([shown] if same else [])
        return same

    found = reception.gate.world.store.references.resolve(
        reference,
        _patient_of(session),
        session.client,
        session.user,
        session.opened_at,
        is_also,
    )
    if found is None:
        return FIRST, session, {**told, "appContext": "not opened"}
    told["card"] = found.card_uuid
    if known_as:
        told["knownAs"] = known_as
    session = replace(session, reference=reference, known_as=tuple(known_as))
    return found.page, session, told


def _patient_of(session: SmartSession) -> PatientKey:
    return PatientKey(session.tenant, session.fhir_base, session.patient)


def _provider(client: TrustedClient) -> Provider:
    found = provider_of(client)
    if found is None:
        raise NotLetIn("No EHR with that name opens pages here any more.", "unlisted")
    return found


def _only(name: str) -> str:
    """A parameter that may stand once in the address; two readers might differ."""
    values = request.args.getlist(name)
    if len(values) > 1 or len("".join(values)) > LONGEST_PARAMETER:
        raise NotLetIn("The address that led here is wrong.", "broken", 400)
    return values[0] if values else ""


def _note_stranger(reception: Reception, reason: str) -> None:
    """Have it recorded that somebody came whom nobody sent; a flood is counted."""
    address = find_network(request.remote_addr)
    route = request.url_rule.rule if request.url_rule else ""
    reception.refusals.note(Unauthenticated(reason), address, route, request.path)


def _sent(url: str) -> Response:
    response = redirect(url, 303)
    assert isinstance(response, Response)
    return response
