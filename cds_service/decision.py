"""answer(): one call of a service, from the request to its cards. Read this first.

Gather what is needed, decide, record. Only the first and the last step touch the world;
what happens between them is pure and can be repeated from the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from .audit import build_call_event
from .config import Clients, Config
from .fhir.chart import Chart
from .fhir.client import FhirLimits, FhirPool, open_reader
from .fhir.gather import gather
from .protocol.cards import Card
from .protocol.errors import Unavailable
from .protocol.requests import HookRequest
from .protocol.responses import build_response
from .rulebook.cards import BuiltCard, build_cards
from .rulebook.evaluate import Evaluations, Outcome, alerts_since, evaluate
from .rulebook.rules import Rulebook, ServiceRules
from .store.records import (
    CallRecord,
    CardRecord,
    EvaluationRecord,
    SourceRecord,
    StoreError,
)
from .store.store import Store
from .trust import TrustedClient
from .wearables.records import PatientKey, WearableAlert


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the pure core that a call may touch."""

    config: Config
    clients: Clients
    store: Store
    rulebook: Rulebook
    clock: Callable[[], datetime]
    """Now, aware."""
    fhir: FhirPool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with."""

    cards: tuple[Card, ...]
    body: Mapping[str, Any]
    """The response, as it goes to the wire."""
    chart: Chart
    """What the cards rest on."""


def answer(
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
) -> Answer:
    """The cards for one call; recorded before they are returned.

    Raises:
        UnmetPrecondition: if data that the service requires cannot be had.
        WrongPatient: if the data is about somebody else.
        InvalidAnswer: if a card breaks the protocol.
        Unavailable: if the call cannot be recorded.
    """
    now = world.clock()
    patient = PatientKey(client.tenant, client.fhir_base, hook_request.patient_id)

    chart = read_chart(service, hook_request, client, world)
    alerts = read_alerts(service, patient, now, world.store)

    evaluations = evaluate(service, chart, alerts, now)
    built = build_cards(evaluations, service.service, seed_of(hook_request, client))
    cards = tuple(each.card for each in built)
    body = build_response(cards)

    record(
        CallRecord(
            at=now,
            client=client.id,
            service=service.service.id,
            hook=hook_request.hook,
            hook_instance=hook_request.hook_instance,
            patient=patient,
            rulebook=world.rulebook.digest,
            user=hook_request.user_id,
            encounter=hook_request.encounter_id,
            sources=source_records(chart),
            evaluations=evaluation_records(evaluations),
            cards=card_records(built, now),
            deviations=hook_request.deviations,
        ),
        world.store,
    )
    return Answer(cards, body, chart)


def read_chart(
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    world: World,
) -> Chart:
    """The chart: from the prefetch, and the rest from the EHR's FHIR server."""
    limits = FhirLimits(
        pages=world.config.fhir_page_limit, bytes=world.config.fhir_byte_limit
    )
    reader = open_reader(
        hook_request,
        client.fhir_servers,
        client.open_fhir_servers,
        world.fhir,
        limits,
    )
    deadline = world.config.gather_deadline_ms / 1000
    return gather(service.queries, hook_request, reader, deadline)


def read_alerts(
    service: ServiceRules, patient: PatientKey, now: datetime, store: Store
) -> tuple[WearableAlert, ...]:
    """The patient's wearable alerts that the rules of the service may look at."""
    since = alerts_since(service, now)
    if since is None:
        return ()
    try:
        return store.wearable_alerts(patient, since)
    except StoreError as error:
        raise Unavailable("The wearable alerts could not be read.") from error


def seed_of(hook_request: HookRequest, client: TrustedClient) -> str:
    """Who asks what about whom: equal only for an identical retry.

    Source: decision on card ids; a hookInstance that is no UUID tells calls apart no
    better than chance, so each gets a seed of its own.
    """
    repeatable = hook_request.instance_is_uuid and not client.profile.constant_instance
    instance = hook_request.hook_instance if repeatable else str(uuid4())
    parts = (client.tenant, client.id, hook_request.hook, instance)
    return "|".join((*parts, hook_request.patient_id))


def record(call: CallRecord, store: Store) -> None:
    """Record a call with its audit row; what is not recorded is not answered."""
    try:
        store.record_call(call, build_call_event(call))
    except StoreError as error:
        raise Unavailable("The call could not be recorded.") from error


def source_records(chart: Chart) -> tuple[SourceRecord, ...]:
    """How each part of the chart was read."""
    return tuple(
        SourceRecord(
            name=source.name,
            state=source.state.name.lower(),
            origin=source.origin,
            why=source.why,
            count=len(source.resources),
            unusable=len(source.unusable),
            foreign=source.foreign,
        )
        for source in chart.sources.values()
    )


def evaluation_records(evaluations: Evaluations) -> tuple[EvaluationRecord, ...]:
    """What each rule that had something to say said; a rule not listed did not fire."""
    return tuple(
        EvaluationRecord(
            each.rule.id,
            each.rule.version,
            each.outcome.value,
            tuple(f"{reason.fact} {reason.kind.value}" for reason in each.reasons),
        )
        for each in evaluations.items
        if each.outcome is not Outcome.NO
    )


def card_records(built: tuple[BuiltCard, ...], now: datetime) -> tuple[CardRecord, ...]:
    """The cards that are about to be shown."""
    return tuple(
        CardRecord(
            uuid=each.card.uuid,
            rule=each.rule,
            version=each.version,
            dedup_key=each.dedup_key,
            indicator=each.card.indicator.name.lower(),
            shown_at=now,
        )
        for each in built
    )
