"""Pages of who came from an EHR: the card again, why it was shown, consent, feedback.

They read what was kept of the card when it was answered and decide nothing. Without a
card they are about the patient of the session, and `why` says what the rules make of
the chart as it is now.
"""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Flask, Response, g, request

from ...audit import build_feedback_event
from ...connect.smart import TokenDesk
from ...decision import World
from ...decision.looking import HOOK, Looked, Onlooker, look
from ...decision.referring import OpenedReference, open_reference
from ...protocol.feedback import LONGEST_COMMENT
from ...rulebook.engine import AboutData, ServiceRules
from ...store.sign_in.records import SmartSession
from ...trust import TrustedClient
from ...trust.vault import Unopened
from ..notes import note
from ..smart.sessions import UNDER, launching
from .answers import Effects, read_answer, tell_answer
from .consents import tell_consents
from .shell import render_page, show_notice, tell_moment
from .visits import look_as_user, patient_of, receive, record_view
from .whys import tell_held, tell_rule, tell_sources


def add_clinician(app: Flask, world: World, tokens: TokenDesk) -> None:
    """Have the pages about a card there, where an EHR may open them."""
    if launching(world):
        app.register_blueprint(build_clinician(world, tokens))


def build_clinician(world: World, tokens: TokenDesk) -> Blueprint:
    """Return the pages about a card and its patient.

    Args:
        tokens: Where the tokens of sessions are.

    Raises:
        InvalidConfig: if there is no key for what sessions hold.
    """
    pages = Blueprint("clinician", __name__, url_prefix=UNDER)
    receive(pages, world)

    @pages.get("/card")
    def card() -> Response:
        return show_card(world)

    @pages.get("/why")
    def why() -> Response:
        return show_why(world, tokens)

    @pages.get("/consent")
    def consent() -> Response:
        return show_consent(world)

    @pages.post("/feedback")
    def feedback() -> Response:
        return take_answer(world)

    return pages


@dataclass(frozen=True, slots=True)
class CardVisit:
    """Who looks at what: a session, its client, and the card that it came by."""

    world: World
    session: SmartSession
    client: TrustedClient
    opened: OpenedReference | None
    """None without a card, and where its reference is over or not this session's."""

    @classmethod
    def of(cls, world: World) -> "CardVisit":
        """Return the visit of this request."""
        session: SmartSession = g.session
        client = launching(world)[session.client]
        return cls(world, session, client, _opened(world, session))

    @property
    def card_uuid(self) -> str:
        """Of the card; empty without one."""
        return self.opened.reference.card_uuid if self.opened else ""

    def told(self, at: datetime) -> str:
        """Return a moment as people of this site read it."""
        return tell_moment(at.astimezone(self.world.rulebook.site.time_zone))


def _opened(world: World, session: SmartSession) -> OpenedReference | None:
    if session.reference is None:
        return None
    found = world.store.references.resolve(
        session.reference,
        patient_of(session),
        session.client,
        session.user,
        world.clock(),
        session.known_as.__contains__,
    )
    if found is None:
        return None
    try:
        return open_reference(found, world.vault)
    except Unopened:
        note(reference="sealed under a key that is not set")
        return None


def show_card(world: World) -> Response:
    """Return the page with the card as it was answered, and what became of it."""
    visit = CardVisit.of(world)
    record_view(world, "card", visit.card_uuid)
    if visit.opened is None:
        return show_no_card(visit)
    card, service = visit.opened.card, visit.opened.why["service"]
    heard = world.store.heard_of(service, card["uuid"], visit.client)
    return render_page(
        "card.html",
        title="The card",
        lead=f"Shown on {visit.told(visit.opened.at)}.",
        card=card,
        said=tell_answer(heard, card, _effects(visit, visit.opened)) if heard else None,
        suggestions=card.get("suggestions", ()),
        several=card.get("selectionBehavior") == "any",
        reasons=card.get("overrideReasons", ()),
        longest_comment=LONGEST_COMMENT,
    )


def show_no_card(visit: CardVisit) -> Response:
    """Return the page of who came without a card, or by one that is over."""
    return render_page(
        "no_card.html", title="No card", over=bool(visit.session.reference)
    )


def show_why(world: World, tokens: TokenDesk) -> Response:
    """Return why the card was shown; without one, what rules make of the chart now."""
    visit = CardVisit.of(world)
    record_view(world, "why", visit.card_uuid)
    if visit.opened is None:
        return show_why_now(visit, tokens)
    return show_kept_why(visit, visit.opened)


def show_kept_why(visit: CardVisit, opened: OpenedReference) -> Response:
    """Return why a card was shown, as it was decided then."""
    why, zone = opened.why, visit.world.rulebook.site.time_zone
    return render_page(
        "why.html",
        title="Why this card",
        lead=f"“{opened.card['summary']}”, as decided on {visit.told(opened.at)}.",
        rules=[tell_rule(each) for each in (why, *why["also"])],
        others=0,
        held=tell_held(why["held_back"], zone),
        sources=tell_sources(why["sources"]),
        rulebook=why["rulebook"],
    )


def show_why_now(visit: CardVisit, tokens: TokenDesk) -> Response:
    """Return what the rules make of the chart as it is now, read as its user may."""
    service = _service(visit)
    if service is None:
        text = "No service of this server is called when this EHR opens a chart."
        return show_notice("Nothing to say", text)

    def look_on(onlooker: Onlooker) -> Looked:
        return look(service, onlooker, visit.client, visit.world)

    looked = look_as_user(visit.world, tokens, visit.session, look_on)
    return render_page(
        "why.html",
        title="What the rules say now",
        lead=f"For the chart as it is now, on {visit.told(looked.at)}. Nothing on this"
        " page was shown, or is recorded, as a card.",
        rules=[tell_rule(each) for each in looked.rules],
        others=looked.others,
        held=tell_held(looked.held_back, visit.world.rulebook.site.time_zone),
        sources=tell_sources(looked.sources),
        rulebook=looked.rulebook,
    )


def _service(visit: CardVisit) -> ServiceRules | None:
    """The first service that this EHR may ask when it opens a chart."""
    for (id, hook), service in visit.world.rulebook.services.items():
        if hook == HOOK and visit.client.may_call(id):
            return service
    return None


def take_answer(world: World) -> Response:
    """Record what somebody has done with the card, and show it again."""
    visit, now = CardVisit.of(world), world.clock()
    if visit.opened is None:
        return show_no_card(visit)
    form = request.form
    entry = read_answer(
        visit.opened.card,
        form.get("outcome", ""),
        form.getlist("suggestion"),
        form.get("reason", ""),
        # A browser counts an end of line as one character, and sends two.
        form.get("comment", "").replace("\r\n", "\n").strip(),
        now,
    )
    service, told = visit.opened.why["service"], (entry,)
    event = build_feedback_event(service, told, visit.client, now)
    world.store.record_feedback(service, told, visit.client, event, now)
    return Response(status=303, headers={"Location": "card"})


def _effects(visit: CardVisit, opened: OpenedReference) -> Effects:
    rulebook = visit.world.rulebook
    found = [each.about_data for each in rulebook.services.values()]
    return Effects(
        opened.why["rule"],
        opened.card["indicator"] == "critical",
        found[0] if found else AboutData(),
        rulebook.site.time_zone,
    )


def show_consent(world: World) -> Response:
    """Return the page about what the patient permits of their wearables."""
    visit = CardVisit.of(world)
    record_view(world, "consent", visit.card_uuid)
    patient = patient_of(visit.session)
    records = world.store.consents.of([patient])[patient]
    gate = world.consent_gate(visit.session.tenant)
    told = tell_consents(records, gate, world.clock())
    return render_page(
        "consent.html", title="Consent to wearable data", lead=told.lead, told=told
    )
