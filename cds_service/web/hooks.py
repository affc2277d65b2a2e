"""CDS Hooks over HTTP: discovery, calls and feedback.

Source: CDS Hooks 3.0.0 "Discovery", "Calling a CDS Service", "Feedback".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState

from .. import __version__
from ..audit import build_feedback_event, build_refusal_event
from ..config import Config, Discovery, Profile
from ..decision import Answer, World, answer, heed_token
from ..decision.recording import type_of
from ..protocol.capabilities import Capabilities, gate_service
from ..protocol.cards import checked
from ..protocol.errors import CdsError, Throttled, Unauthenticated, UnknownService
from ..protocol.feedback import parse_feedback
from ..protocol.requests import HookRequest, parse_request
from ..protocol.services import Service, discovery, find_service
from ..rulebook.engine import Rulebook
from ..store.records import TokenKey, TokenSpent
from ..trust import USED_BEFORE, Keyring, TrustedClient, authenticate
from ..trust.documents import fetcher
from ..trust.keyring import Log, keep_quiet
from .json import parse_json, read_body, render_json
from .limits import Deadline, admit
from .metrics import Metrics, count_halves
from .notes import note
from .refusals import Refusals
from .tracing import start_watch, tell_trace


@dataclass(frozen=True, slots=True)
class Desk:
    """What one process keeps in mind about its callers."""

    world: World
    keyring: Keyring
    refusals: Refusals


def build_hooks(
    world: World, log: Log = keep_quiet, refusals: Refusals | None = None
) -> Blueprint:
    """Return the URLs that EHRs call."""
    hooks = Blueprint("hooks", __name__)
    refusals = refusals or Refusals(world.store, world.clock)
    desk = Desk(world, Keyring(fetcher(world.fhir), log), refusals)
    hooks.record_once(lambda setup: _lay_out(setup, desk.keyring))

    @hooks.get("/cds-services")
    def discover() -> Response:
        if world.config.discovery is Discovery.AUTHENTICATED:
            with refusals_audited(desk):
                recognise(desk, "/cds-services")
                spend_token(desk)
        client: TrustedClient | None = g.get("client")
        services = visible(world.rulebook, client)
        return _json(checked("discovery", discovery(services, release=__version__)))

    @hooks.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        answered = answer_call(desk, service_id)
        note_cards(service_id, answered)
        tell_trace(answered)
        count_resources(answered)
        return _json(answered.body)

    @hooks.post("/cds-services/<service_id>/feedback")
    def feedback(service_id: str) -> Response:
        return _json({"recorded": take_feedback(desk, service_id)})

    return hooks


def _lay_out(setup: BlueprintSetupState, keyring: Keyring) -> None:
    """Have the keys that callers prove themselves by seen elsewhere in the process."""
    setup.app.extensions["cds_keyring"] = keyring


def answer_call(desk: Desk, service_id: str) -> Answer:
    """Return what the service answers; the straight line of a call.

    Raises:
        CdsError: if it is refused; that is in the audit trail by then.
    """
    world, config = desk.world, desk.world.config
    g.watch = watch = start_watch()
    with refusals_audited(desk):
        body = read_body(config.body_limit)
        deadline = Deadline.of(config)
        watch.enter("auth")
        client = recognise(desk, f"/cds-services/{service_id}")
        watch.enter("")
        rulebook = world.rulebook
        refuse_unknown(service_id, rulebook, client)
        hook_request = heed_token(read_call(body, client, config), client)
        services = rulebook.services
        offered = (each.service for each in services.values())
        service = find_service(offered, service_id, hook_request.hook)
        note_call(service_id, hook_request)
        rules = services[service.id, service.hook]
        is_late, token = deadline.is_over, g.get("token")
        return answer(rules, hook_request, client, world, watch, is_late, token)


def read_call(body: bytes, client: TrustedClient, config: Config) -> HookRequest:
    """Return the call that a body makes, with all that was forgiven in it.

    Raises:
        InvalidRequest: naming every field that is wrong.
    """
    told: list[int] = []
    hook_request = parse_request(
        parse_json(body, config.value_limit, told.append),
        strict=client.profile.strict,
        https_only=config.profile is Profile.PRODUCTION,
    )
    return heed_halves(hook_request, told)


def take_feedback(desk: Desk, service_id: str) -> int:
    """Record what became of cards; return how many.

    Raises:
        CdsError: if it is refused; that is in the audit trail by then.
    """
    world, config = desk.world, desk.world.config
    with refusals_audited(desk):
        body = read_body(config.body_limit)
        client = recognise(desk, f"/cds-services/{service_id}/feedback")
        refuse_unknown(service_id, world.rulebook, client)
        note_halves = partial(count_halves, "feedback")
        entries = parse_feedback(parse_json(body, config.value_limit, note_halves))
        now = world.clock()
        event = build_feedback_event(service_id, entries, client, now)
        told = (service_id, entries, client, event, now)
        world.store.record_feedback(*told, token=g.get("token"))
    return len(entries)


@contextmanager
def refusals_audited(desk: Desk) -> Iterator[None]:
    """Record who was refused what, before the refusal leaves.

    A caller who was not recognised is recorded for failing to be; what else is wrong
    with a message of nobody in particular is not worth a row.
    """
    try:
        yield
    except (CdsError, TokenSpent) as error:
        refusal = as_refusal(error)
        if isinstance(refusal, Throttled) and refusal.again:
            raise
        try:
            record_refusal(desk, refusal)
        except TokenSpent as late:
            refusal = as_refusal(late)
            record_refusal(desk, refusal)
        if refusal is error:
            raise
        raise refusal from error


def as_refusal(error: CdsError | TokenSpent) -> CdsError:
    """Return what a caller is told; who comes late with a token, what a stranger is."""
    if isinstance(error, TokenSpent):
        error = Unauthenticated(USED_BEFORE)
    if isinstance(error, Unauthenticated):
        g.client = g.token = None
    return error


def record_refusal(desk: Desk, error: CdsError) -> None:
    """Record a refusal, and spend the token that it was the answer to.

    Who is told to come again may do so with the same token.

    Raises:
        TokenSpent: if that was used before.
    """
    world, client = desk.world, g.get("client")
    address = request.remote_addr or ""
    if client:
        event = build_refusal_event(
            at=world.clock(),
            error=error,
            client=client,
            path=request.path,
            hook_request=g.get("hook_request"),
            address=address,
        )
        token = g.get("token") if error.retry_after is None else None
        world.store.record_audit(event, token)
    elif isinstance(error, Unauthenticated):
        route = request.url_rule.rule if request.url_rule else ""
        desk.refusals.note(error, address, route, request.path)


def recognise(desk: Desk, path: str) -> TrustedClient:
    """Return who calls. The audience is the public URL, whatever a proxy did.

    The token is looked at; it is spent together with what is done for it.

    Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
    """
    world, now = desk.world, desk.world.clock()

    def is_new(issuer: str, jti: str, until: datetime) -> bool:
        g.token = TokenKey(issuer, jti, until.timestamp())
        return not world.store.is_spent(g.token)

    client: TrustedClient = authenticate(
        request.headers.get("Authorization"),
        world.config.public_url + path,
        world.clients,
        desk.keyring,
        is_new,
        now,
    )
    g.client = client
    note(client=client.id)
    admit("client", client.id)
    return client


def spend_token(desk: Desk) -> None:
    """Spend the token of a message that leaves no record.

    Raises:
        TokenSpent: if somebody else was faster.
    """
    token: TokenKey | None = g.get("token")
    if token:
        until = datetime.fromtimestamp(token.expires_utc, UTC)
        now = desk.world.clock()
        if not desk.world.store.spend_token(token.issuer, token.jti, until, now):
            raise TokenSpent(USED_BEFORE)


def visible(rulebook: Rulebook, client: TrustedClient | None) -> list[Service]:
    """Return the services that exist for the client, as it may be told of them.

    Who asks without being asked for a token is told what any client understands.
    """
    capabilities = client.profile.capabilities if client else Capabilities()
    return [
        gate_service(each.service, capabilities)
        for each in rulebook.services.values()
        if client is None or client.may_call(each.service.id)
    ]


def refuse_unknown(service_id: str, rulebook: Rulebook, client: TrustedClient) -> None:
    """Refuse an id that no service of the client has, whatever else is wrong."""
    known = any(service_id == id for id, _ in rulebook.services)
    if not known or not client.may_call(service_id):
        raise UnknownService("There is no service with this id.")


def heed_halves(hook_request: HookRequest, told: Sequence[int]) -> HookRequest:
    """Return the request, with a deviation where half characters were replaced in it.

    A strict client is forgiven that as well: it passes on what stands in a record.
    """
    if not told:
        return hook_request
    count_halves("call", sum(told))
    text = f"$: half characters in texts, replaced: {sum(told)}"
    return replace(hook_request, deviations=(*hook_request.deviations, text))


def note_call(service_id: str, hook_request: HookRequest) -> None:
    """Put the call in the log line, without anything about the patient."""
    g.hook_request = hook_request
    note(service=service_id, hook=hook_request.hook)
    if hook_request.instance_is_uuid:
        note(hookInstance=hook_request.hook_instance)
    if hook_request.deviations:
        note(deviations=hook_request.deviations)


def note_cards(service_id: str, answered: Answer) -> None:
    """Count the cards, and those that were held back."""
    note(cards=len(answered.cards), suppressed=len(answered.suppressed))
    metrics: Metrics = current_app.extensions["cds_metrics"]
    for card in answered.cards:
        metrics.count_card(service_id, card.indicator.name.lower())
    for held in answered.suppressed:
        metrics.count_suppressed(service_id, held.why.value)
    if answered.withheld:
        note(withheld=answered.withheld)
        metrics.count_withheld(service_id, answered.withheld)


def count_resources(answered: Answer) -> None:
    """Count what came and could not be used, and what was about somebody else."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    if answered.chart.halves:
        count_halves("fhir", answered.chart.halves)
    for resource_type, reason in answered.unusable:
        metrics.count_unusable(resource_type, reason)
    for source in answered.chart.sources.values():
        if source.foreign:
            metrics.count_foreign(type_of(source), source.foreign)


def _json(value: Any) -> Response:
    return Response(render_json(value), mimetype="application/json")
