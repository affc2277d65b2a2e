"""What patients permit to be shown of their wearables, in one call.

Consents come from the store, where webhooks have told of them, and from the EHR where
the service asks it. What the EHR tells is stored with the call. If it was asked and did
not say all, nobody knows what it would have denied: no alert is used then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..config import Clients, ConsentMode
from ..fhir.chart import Source, SourceState
from ..rulebook.engine import Rulebook
from ..store.records import ConsentUse
from ..store.store import Store
from ..wearables.adapters.consents import Unreadable, keep_consent
from ..wearables.consent import FHIR_SERVER, ConsentAction, ConsentRecord
from ..wearables.consent_gate import ConsentGate, plan_change, stamp_of
from ..wearables.records import PatientKey, WearableAlert


@dataclass(frozen=True, slots=True)
class Heeded:
    """The alerts that a call may use, and by what right."""

    alerts: tuple[WearableAlert, ...] | None
    """None where it is not known which may be used."""
    may_disclose: bool = True
    """Whether what they say may be sent to the EHR as a record of its own."""
    use: ConsentUse | None = None
    """For the record; None where nothing was at stake."""
    whole: bool = True
    """False where there are older alerts than these that rules may ask for."""


def open_gate(
    rulebook: Rulebook, clients: Clients, tenant: str, mode: ConsentMode
) -> ConsentGate:
    """Return how the consents of a tenant's patients are read."""
    return ConsentGate(
        rulebook.catalogue,
        rulebook.site.time_zone,
        clients.consent_actors.get(tenant, frozenset()),
        mode is ConsentMode.ASSUMED,
    )


def heed_consents(
    patient: PatientKey,
    alerts: tuple[WearableAlert, ...],
    source: Source | None,
    store: Store,
    gate: ConsentGate,
    now: datetime,
) -> Heeded:
    """Of the patient's alerts those that may be shown in a card.

    Args:
        source: The Consents as the EHR told them; None where it was not asked.

    Raises:
        StoreError: if the consents cannot be read.
    """
    if not alerts and source is None:
        return Heeded(())
    known = store.consents.of([patient])[patient]
    change, whole = None, source is None
    if source is not None:
        told, whole = _told(source, patient, now)
        lasting = store.consents.lasting_alerts(patient)
        whole_of = FHIR_SERVER if whole else ""
        change = plan_change(
            patient, known, told, lasting, gate, now, whole_of=whole_of, sure=whole
        )
    held = change.after(known) if change else known
    consents = gate.read(held)
    used = tuple(
        each for each in alerts if gate.permits(ConsentAction.USE, each, consents, now)
    )
    may_disclose = all(
        gate.permits(ConsentAction.DISCLOSE, each, consents, now) for each in used
    )
    if alerts and not whole:
        used, state = (), "not read"
    else:
        state = _state(alerts, used)
    use = ConsentUse(
        state=state,
        withheld=len(alerts) - len(used),
        may_disclose=may_disclose,
        consents=tuple(each.id for each in held),
        seen=stamp_of(known),
        change=None if change is None or change.is_empty else change,
    )
    return Heeded(None if state == "not read" else used, may_disclose, use)


def _told(
    source: Source, patient: PatientKey, now: datetime
) -> tuple[list[ConsentRecord], bool]:
    """The Consents that the EHR told, and whether they are surely all there are."""
    told, whole = [], source.state is SourceState.LOADED
    for resource in source.resources:
        try:
            told.append(keep_consent(resource, patient, FHIR_SERVER, now))
        except Unreadable:
            whole = False
    return told, whole


def _state(alerts: Sequence[WearableAlert], used: Sequence[WearableAlert]) -> str:
    if len(used) == len(alerts):
        return "permitted"
    return "part" if used else "withheld"
