"""answer(): one call of a service, from the request to its cards. Read this first.

Gather what is needed, decide, record. What decides is pure and can be repeated from the
record; the world is touched before it, after it, and once in the middle: what was shown
before is asked for only where a card fires that it may hold back.

Two calls at the same time do not wait for each other, so both may show the same card:
shown twice is the safe mistake, never shown is not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from ..audit import build_call_event
from ..config import Clients, Config
from ..fhir.chart import Chart, Source, SourceQuery, SourceState
from ..fhir.client import FhirLimits, FhirPool, open_reader
from ..fhir.gather import gather
from ..fhir.scopes import is_for_another, why_not_fetched
from ..protocol.capabilities import gate_card
from ..protocol.cards import Card, build_response
from ..protocol.errors import Unauthenticated, Unavailable
from ..protocol.requests import HookRequest
from ..publishing.serving import Serving
from ..rulebook.cards import (
    BuiltCard,
    Held,
    Suppressed,
    decide,
    draft_cards,
    held_back_extension,
    identify,
    look_back,
    say_held_back,
    settle_actions,
)
from ..rulebook.engine import (
    ALERTS,
    Evaluations,
    Rulebook,
    ServiceRules,
    evaluate,
)
from ..store.detection.records import Detection
from ..store.displays import OwnCall
from ..store.records import CallRecord, StoreError, TokenKey, TokenSpent, TooLate
from ..store.references.records import NewReference
from ..store.store import Store
from ..trust import USED_BEFORE, TrustedClient
from ..trust.vault import Vault
from ..wearables.consent_gate import ConsentGate
from ..wearables.records import PatientKey
from .consenting import Heeded, find_wearables, open_gate
from .recording import Decided, build_call_record, unusable_of
from .referring import refer, referring_of
from .stopwatch import Stopwatch


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the pure core that a call may touch."""

    config: Config
    clients: Clients
    store: Store
    serving: Serving
    clock: Callable[[], datetime]
    """Now, aware."""
    fhir: FhirPool
    vault: Vault = Vault()
    """What is kept encrypted is so under its keys; without one nothing is."""

    @property
    def rulebook(self) -> Rulebook:
        """What is served at this moment; a request asks once and keeps to it."""
        return self.serving.rulebook

    def consent_gate(self, tenant: str) -> ConsentGate:
        """Return how the consents of a tenant's patients are read at this moment."""
        mode = self.config.wearables_consent
        return open_gate(self.rulebook, self.clients, tenant, mode)

    def detection(self, tenant: str) -> Detection:
        """Return by what the readings of a tenant's patients are judged."""
        return Detection(
            tuple(self.rulebook.detectors.values()),
            self.consent_gate(tenant),
            self.config.detection_days,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with."""

    cards: tuple[Card, ...]
    body: Mapping[str, Any]
    """The response, as it goes to the wire."""
    chart: Chart
    """What the cards rest on."""
    suppressed: tuple[Suppressed, ...] = ()
    """What is held back."""
    unusable: tuple[tuple[str, str], ...] = ()
    """Type and reason of each resource that could not be used."""
    withheld: int = 0
    """Wearable alerts that the patient does not permit to be used."""


def answer(
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
    watch: Stopwatch | None = None,
    is_late: Callable[[], bool] = lambda: False,
    token: TokenKey | None = None,
) -> Answer:
    """Return the cards for one call; recorded before they are returned.

    The *watch* has run since the call arrived, and is told of every phase. What is late
    is refused and not recorded, since a card that was recorded counts as seen and may
    be held back the next time. The *token* is spent with the record, so that a call
    that could not be recorded may come again with it.

    Raises:
        Unauthenticated: if another call with the token was faster.
        UnmetPrecondition: if data that the service requires cannot be had.
        WrongPatient: if the data is about somebody else.
        InvalidAnswer: if a card breaks the protocol.
        Unavailable: if the call cannot be recorded, or not in time.
    """
    now = world.clock()
    watch = watch or Stopwatch()
    patient = PatientKey(client.tenant, client.fhir_base, hook_request.patient_id)

    watch.enter("gather")
    chart = read_chart(service, hook_request, client, world, watch)
    heeded = read_wearables(service, chart, patient, client, world, now)

    watch.enter("evaluate")
    chart = with_partial_alerts(chart, heeded)
    evaluations = evaluate(
        service,
        chart,
        heeded.wearables,
        now,
        may_disclose=heeded.may_disclose,
        draws=client.profile.draws_days,
    )
    watch.enter("cards")
    drafts = draft_cards(evaluations, service.service, told_of(hook_request))
    held = hold(
        evaluations, drafts, service, patient, hook_request, client, world.store
    )
    capabilities = client.profile.capabilities
    seed = seed_of(service.service.id, hook_request, client)
    built = settle_actions(identify(held.shown, seed), capabilities)
    built = say_held_back(built, held)
    cards = tuple(gate_card(each.card, capabilities) for each in built)
    spent = watch.phases
    decided = Decided(now, chart, evaluations, built, held, heeded.use, spent)
    cards, references = refer_to_pages(
        cards, decided, service, hook_request, client, world
    )
    actions = [action for each in built for action in each.system_actions]
    body = build_response(cards, actions, held_back_extension(held))
    watch.enter("record")
    call = build_call_record(service, hook_request, client, decided, references)
    record(call, world.store, token, is_late)
    watch.enter("")
    withheld = heeded.use.withheld if heeded.use else 0
    return Answer(
        cards, body, chart, held.suppressed, unusable_of(evaluations), withheld
    )


def read_chart(
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
    watch: Stopwatch,
) -> Chart:
    """Return the chart: from the prefetch, and the rest from the EHR's FHIR server."""
    return read_queries(service.queries, hook_request, client, world, watch)


def read_queries(
    queries: Sequence[SourceQuery],
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
    watch: Stopwatch,
) -> Chart:
    """Return what these queries make of the chart."""
    config = world.config
    # Of the time, what it took to know the caller is spent.
    left = max(0.0, config.gather_deadline_ms / 1000 - watch.elapsed)
    granted = hook_request.fhir_authorization
    why_unread = why_not_fetched(granted, client.fhir_client_id, left)
    reader = None
    if not why_unread:
        reader = open_reader(
            hook_request,
            client.fhir_servers,
            client.open_fhir_servers,
            world.fhir,
            FhirLimits(pages=config.fhir_page_limit, bytes=config.fhir_byte_limit),
            client.queries,
            watch.traceparent,
        )
    return gather(
        queries,
        hook_request,
        reader,
        left,
        why_unread=why_unread,
        allowed=config.gather_deadline_ms / 1000,
        note=watch.note_fetch,
    )


def heed_token(hook_request: HookRequest, client: TrustedClient) -> HookRequest:
    """Return the request, with a deviation where its token was made for somebody else.

    Source: CDS Hooks 3.0.0 "Passing the Access Token to the CDS Service".
    """
    if not is_for_another(hook_request.fhir_authorization, client.fhir_client_id):
        return hook_request
    told = "$.fhirAuthorization.subject: not our client id; the token is not used"
    return replace(hook_request, deviations=(*hook_request.deviations, told))


def read_wearables(
    service: ServiceRules,
    chart: Chart,
    patient: PatientKey,
    client: TrustedClient,
    world: World,
    now: datetime,
) -> Heeded:
    """Return what the service's rules may look at of the patient's wearables."""
    gate, store = world.consent_gate(client.tenant), world.store
    try:
        return find_wearables(service, chart, patient, world.rulebook, store, gate, now)
    except StoreError as error:
        raise Unavailable("The wearable data could not be read.") from error


def with_partial_alerts(chart: Chart, heeded: Heeded) -> Chart:
    """Return the chart, in which it stands where there are more alerts than were read.

    Rules, record and cards then know of it as of any part of the chart.
    """
    if heeded.wearables.whole:
        return chart
    source = Source(
        ALERTS, SourceState.PARTIAL, why="more than are read of one patient"
    )
    return replace(chart, sources={**chart.sources, source.name: source})


def told_of(hook_request: HookRequest) -> dict[str, str | None]:
    """Return what a rule may name of the call to say what makes cards the same."""
    return {"user": hook_request.user_id, "encounter": hook_request.encounter_id}


def hold(
    evaluations: Evaluations,
    drafts: tuple[BuiltCard, ...],
    service: ServiceRules,
    patient: PatientKey,
    hook_request: HookRequest,
    client: TrustedClient,
    store: Store,
) -> Held:
    """Return what of the cards is shown, by what was shown and answered before."""
    site, call = service.site, told_of(hook_request)
    now, zone = evaluations.case.now, site.time_zone
    lookback = look_back(drafts, site.limits, now, zone, service.about_data)
    if lookback is None:
        return decide(evaluations, drafts, (), service, call)
    instance = hook_request.hook_instance
    own = OwnCall(client.id, hook_request.hook, instance)
    told_apart = has_own_instance(hook_request, client)
    try:
        displays = store.displays(patient, lookback, own if told_apart else None)
    except StoreError as error:
        raise Unavailable("The earlier cards could not be read.") from error
    return decide(evaluations, drafts, displays, service, call)


def refer_to_pages(
    cards: tuple[Card, ...],
    decided: Decided,
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
) -> tuple[tuple[Card, ...], tuple[NewReference, ...]]:
    """Return the cards, with links to pages as far as the client opens such pages."""
    if not any(link.page for card in cards for link in card.links):
        return cards, ()
    referring = referring_of(world.config, client, world.vault)
    if referring is None:
        return cards, ()
    return refer(cards, decided, service, hook_request, referring)


def has_own_instance(hook_request: HookRequest, client: TrustedClient) -> bool:
    """Check whether the hookInstance tells this call from every other but its retry.

    Source: decision on card ids.
    """
    return hook_request.instance_is_uuid and not client.profile.constant_instance


def seed_of(service_id: str, hook_request: HookRequest, client: TrustedClient) -> str:
    """Return who asks what about whom: equal only for an identical retry.

    Source: decision on card ids; a hookInstance that is no UUID tells calls apart no
    better than chance, so each gets a seed of its own.
    """
    repeatable = has_own_instance(hook_request, client)
    instance = hook_request.hook_instance if repeatable else str(uuid4())
    parts = (client.tenant, client.id, service_id, hook_request.hook, instance)
    return "|".join((*parts, hook_request.patient_id))


def record(
    call: CallRecord,
    store: Store,
    token: TokenKey | None,
    is_late: Callable[[], bool],
) -> None:
    """Record a call with its audit row; what is not recorded is not answered."""
    try:
        store.record_call(call, build_call_event(call), token, is_late)
    except TokenSpent as error:
        raise Unauthenticated(USED_BEFORE) from error
    except TooLate as error:
        raise Unavailable("This took too long. Try again.") from error
    except StoreError as error:
        raise Unavailable("The call could not be recorded.") from error
