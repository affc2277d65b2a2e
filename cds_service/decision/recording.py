"""What a call is recorded as: its sources, its evaluations, its cards. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..fhir.chart import SOURCES, Chart, Source
from ..protocol.requests import HookRequest
from ..rulebook.cards import BuiltCard, Held, target_of
from ..rulebook.engine import Evaluations, Outcome, ServiceRules
from ..store.records import (
    CallRecord,
    CardRecord,
    ConsentUse,
    EvaluationRecord,
    SourceRecord,
    SuppressionRecord,
    SystemActionRecord,
)
from ..store.references.records import NewReference
from ..trust import TrustedClient
from ..wearables.records import PatientKey


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided for one call, and on what."""

    at: datetime
    """Aware."""
    chart: Chart
    evaluations: Evaluations
    built: tuple[BuiltCard, ...]
    """The cards that are about to be shown."""
    held: Held
    consent: ConsentUse | None = None
    spent: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase that is over by the time that it is recorded."""


def build_call_record(
    service: ServiceRules,
    hook_request: HookRequest,
    client: TrustedClient,
    decided: Decided,
    references: tuple[NewReference, ...] = (),
) -> CallRecord:
    """Return who asked what about whom, and what was decided."""
    return CallRecord(
        at=decided.at,
        client=client.id,
        service=service.service.id,
        hook=hook_request.hook,
        hook_instance=hook_request.hook_instance,
        patient=PatientKey(client.tenant, client.fhir_base, hook_request.patient_id),
        rulebook=service.digest,
        user=hook_request.user_id,
        encounter=hook_request.encounter_id,
        sources=source_records(decided.chart),
        evaluations=evaluation_records(decided.evaluations),
        cards=card_records(decided.built, decided.at),
        suppressions=suppression_records(decided.held),
        system_actions=system_action_records(decided.built),
        consent=decided.consent,
        deviations=hook_request.deviations,
        references=references,
        spent={name: round(each * 1000, 1) for name, each in decided.spent.items()},
    )


def unusable_of(evaluations: Evaluations) -> tuple[tuple[str, str], ...]:
    """Return type and reason of what was not read, then of what no rule could use."""
    case = evaluations.case
    unread = [
        (type_of(source), each.reason)
        for source in case.chart.sources.values()
        for each in source.unusable
    ]
    known = SOURCES.values()
    unused = [
        (type if type in known else "other", why) for type, why in case.unusable()
    ]
    return (*unread, *unused)


def type_of(source: Source) -> str:
    """Return the resource type of a source; ``other`` for orders of any type."""
    return SOURCES.get(source.name, "other")


def source_records(chart: Chart) -> tuple[SourceRecord, ...]:
    """Return how each part of the chart was read."""
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
    """Return what each rule said; a rule that is not listed did not fire."""
    return tuple(
        EvaluationRecord(
            each.rule.id,
            each.rule.version,
            each.outcome.value,
            tuple(dict.fromkeys(f"{r.fact} {r.kind.value}" for r in each.reasons)),
        )
        for each in evaluations.items
        if each.outcome is not Outcome.NO
    )


def card_records(built: tuple[BuiltCard, ...], now: datetime) -> tuple[CardRecord, ...]:
    """Return the cards that are about to be shown."""
    return tuple(
        CardRecord(
            uuid=each.card.uuid,
            rule=each.rule,
            version=each.version,
            dedup_key=each.dedup_key,
            indicator=each.card.indicator.name.lower(),
            shown_at=now,
            evidence=each.evidence,
        )
        for each in built
    )


def suppression_records(held: Held) -> tuple[SuppressionRecord, ...]:
    """Return the cards that are held back, and why."""
    return tuple(
        SuppressionRecord(
            rule=each.card.rule,
            version=each.card.version,
            index=each.card.index,
            dedup_key=each.card.dedup_key,
            why=each.why.value,
            until=each.until,
            detail=each.detail,
            indicator=each.card.card.indicator.name.lower(),
            told_under=each.told_under,
        )
        for each in held.suppressed
    )


def system_action_records(
    built: tuple[BuiltCard, ...],
) -> tuple[SystemActionRecord, ...]:
    """Return what is about to be done without a person, and which rule asked for it."""
    return tuple(
        SystemActionRecord(each.rule, each.version, action.type, target_of(action))
        for each in built
        for action in each.system_actions
    )
