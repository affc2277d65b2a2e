"""Visits: pages of a session, about its patient, each of them looked at on record.

What a page shows of a patient has left the server with its answer, so the row of the
audit trail is there before that: what cannot be recorded is not shown.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Response, g

from ...audit import build_view_event
from ...connect.smart import TokenDesk, provider_of, with_access
from ...decision import World
from ...decision.looking import Onlooker
from ...store.sign_in.records import SmartSession
from ...wearables.records import PatientKey
from ..smart.sessions import guard, launching
from .banner import build_banner
from .shell import offer

Seen = TypeVar("Seen")
PAGES = (
    ("card", "Card"),
    ("why", "Why"),
    ("timeline", "Timeline"),
    ("consent", "Consent"),
)
"""Path and name of each page about a patient."""


def receive(blueprint: Blueprint, world: World) -> None:
    """Have the pages of a blueprint be about the patient of a session, and say so.

    Its views find the session as ``g.session``. Its ``url_prefix`` is ``UNDER``.

    Raises:
        InvalidConfig: if there is no key for what sessions hold.
    """
    guard(blueprint, world)

    @blueprint.before_request
    def introduce() -> Response | None:
        session: SmartSession = g.session
        zone = world.rulebook.site.time_zone
        opened, now = session.opened_at.astimezone(zone), world.clock().astimezone(zone)
        banner = build_banner(session.context, session.patient, opened, now)
        offer(patient=banner, pages=PAGES)
        return None


def record_view(world: World, page: str, card: str = "") -> None:
    """Record that somebody looks at a page of the session of this request.

    Args:
        card: The uuid of the card that it is about; empty for none.

    Raises:
        StoreError: if it cannot be recorded; then the page is not to be shown.
    """
    session: SmartSession = g.session
    event = build_view_event(
        world.clock(),
        patient_of(session),
        session.client,
        {"page": page, "session": session.id, "card": card, "user": session.user},
    )
    world.store.record_audit(event)


def look_as_user(
    world: World,
    tokens: TokenDesk,
    session: SmartSession,
    look: Callable[[Onlooker], Seen],
) -> Seen:
    """Return what is seen of the chart by who has the session, with its token.

    Raises:
        NoAccess: if the EHR gives none that it takes; the page of that says so, and
            where the session has ended, it says nothing else.
    """
    provider = provider_of(launching(world)[session.client])
    assert provider is not None, "the guard lets in who has one"

    def ask(token: str) -> Seen:
        onlooker = Onlooker(
            patient_of(session),
            session.user,
            session.encounter,
            token,
            " ".join(session.scopes),
        )
        return look(onlooker)

    return with_access(tokens, provider, session, ask)


def patient_of(session: SmartSession) -> PatientKey:
    """Return whom a session is about: by tenant and base as well as by id."""
    return PatientKey(session.tenant, session.fhir_base, session.patient)
