"""Looking at a chart as it is now, for somebody who wants to know why.

Gathered and judged as a call is, and nothing more: no card is shown by it, none is
recorded as shown, so that to look changes nothing of what is shown next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from ..fhir.chart import Chart, SourceQuery
from ..protocol.errors import Problem, TokenRefused
from ..protocol.requests import FhirAuthorization, HookRequest
from ..rulebook.cards import draft_cards
from ..rulebook.describe import source_json, why_json
from ..rulebook.engine import Evaluations, Outcome, ServiceRules, evaluate
from ..trust import TrustedClient
from ..wearables.records import PatientKey
from . import (
    World,
    hold,
    read_chart,
    read_queries,
    read_wearables,
    told_of,
    with_partial_alerts,
)
from .referring import held_back_json
from .stopwatch import Stopwatch

HOOK = "patient-view"
"""What a chart is opened on."""


@dataclass(frozen=True, slots=True)
class Onlooker:
    """Who looks at whose chart, and by what right."""

    patient: PatientKey
    user: str | None
    encounter: str | None
    token: str
    scope: str
    """As it was granted."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the rules of a service make of a chart now, as plain data."""

    rules: tuple[Mapping[str, Any], ...]
    """``why_json`` of each that applies, or of which that is not known; those that
    apply first."""
    others: int
    """How many more were asked, and do not apply."""
    held_back: tuple[Mapping[str, Any], ...]
    """Cards that would be held back."""
    sources: tuple[Mapping[str, Any], ...]
    rulebook: str
    at: datetime


def look(
    service: ServiceRules, onlooker: Onlooker, client: TrustedClient, world: World
) -> Looked:
    """Return what a service would make of a chart at this moment.

    Raises:
        TokenRefused: if the EHR took the token for nothing.
        UnmetPrecondition: if data that the service requires cannot be had.
        WrongPatient: if the data is about somebody else.
        Unavailable: if what is known here cannot be read.
    """
    now = world.clock()
    asked = _as_call(onlooker, client)
    chart = _heed(read_chart(service, asked, client, world, Stopwatch()))
    patient = onlooker.patient
    heeded = read_wearables(service, chart, patient, client, world, now)
    chart = with_partial_alerts(chart, heeded)
    draws = client.profile.draws_days
    permits = heeded.may_disclose
    evaluations = evaluate(
        service, chart, heeded.wearables, now, may_disclose=permits, draws=draws
    )
    drafts = draft_cards(evaluations, service.service, told_of(asked))
    held = hold(evaluations, drafts, service, patient, asked, client, world.store)
    rules = tuple(_told(evaluations))
    return Looked(
        rules,
        len(service.rules) - len(rules),
        tuple(held_back_json(held.suppressed)),
        tuple(source_json(each) for each in chart.sources.values()),
        service.digest,
        now,
    )


MEDICINES = tuple(
    SourceQuery(key, source, f"{type}?patient={{{{context.patientId}}}}")
    for key, source, type in (
        ("medication-requests", "medication_requests", "MedicationRequest"),
        ("medication-statements", "medication_statements", "MedicationStatement"),
    )
)
"""All orders and statements, over or not."""


def look_at_medicines(onlooker: Onlooker, client: TrustedClient, world: World) -> Chart:
    """Return the medicines of a chart at this moment, as far as they can be read.

    Raises:
        TokenRefused: if the EHR took the token for nothing.
        WrongPatient: if the data is about somebody else.
    """
    asked = _as_call(onlooker, client)
    return _heed(read_queries(MEDICINES, asked, client, world, Stopwatch()))


def _heed(chart: Chart) -> Chart:
    if chart.token_refused:
        raise TokenRefused(Problem("The EHR takes the token no more."))
    return chart


def _as_call(onlooker: Onlooker, client: TrustedClient) -> HookRequest:
    """The call of an EHR that opens this chart and brings nothing along."""
    granted = FhirAuthorization(
        onlooker.token,
        onlooker.scope,
        client.fhir_client_id,
        patient=onlooker.patient.patient_id,
    )
    return HookRequest(
        hook=HOOK,
        hook_instance=str(uuid4()),
        instance_is_uuid=True,
        patient_id=onlooker.patient.patient_id,
        user_id=onlooker.user,
        encounter_id=onlooker.encounter,
        context={"patientId": onlooker.patient.patient_id},
        prefetch={},
        fhir_server=onlooker.patient.fhir_base,
        fhir_authorization=granted,
    )


def _told(evaluations: Evaluations) -> Iterator[Mapping[str, Any]]:
    for outcome in (Outcome.FIRES, Outcome.UNKNOWN):
        for each in evaluations.items:
            if each.outcome is outcome:
                yield why_json(each.rule, each.case)
