"""What patients permit to be shown of their wearables, in one call.

Consents come from the store, where webhooks have told of them, and from the EHR where
the service asks it. What the EHR tells is stored with the call. If it was asked and did
not say all, nobody knows what it would have denied: no alert is used then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..config import Clients, ConsentMode
from ..fhir.chart import Chart, Source, SourceState
from ..rulebook.engine import Rulebook, ServiceRules, wearables_asked
from ..store.records import ConsentUse
from ..store.store import Store
from ..wearables.adapters.consents import Unreadable, keep_consent
from ..wearables.consent import FHIR_SERVER, ConsentAction, ConsentRecord
from ..wearables.consent_gate import ConsentGate, plan_change, stamp_of
from ..wearables.detection.recurring import find_places
from ..wearables.metrics import Catalogue
from ..wearables.records import PatientKey
from ..wearables.worn import Wearables, best_first
from .permitted import (
    NO_DETECTORS,
    CallPermission,
    Detectors,
    Item,
    items_of,
    unread,
)


@dataclass(frozen=True, slots=True)
class Heeded:
    """What wearables told that a call may use, and by what right."""

    wearables: Wearables
    """None of a part where it is not known what of it may be used."""
    may_disclose: bool = True
    """Whether what they say may be sent to the EHR as a record of its own."""
    use: ConsentUse | None = None
    """For the record; None where nothing was at stake."""


def active_detectors(rulebook: Rulebook) -> Detectors:
    """Return the detectors whose episodes rules may see, by name."""
    known = rulebook.detectors.values()
    return {each.name: each for each in known if each.status == "active"}


def heard_by_rules(
    worn: Wearables, detectors: Detectors, catalogue: Catalogue
) -> Wearables:
    """Return what rules may see: no episode of a detector that is only tried."""
    alerts = worn.alerts or ()
    seen = tuple(
        each for each in alerts if not each.detector or each.detector in detectors
    )
    return replace(
        worn,
        alerts=seen,
        places=find_places(seen, detectors),
        days=best_first(worn.days or (), catalogue),
    )


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


def find_wearables(
    service: ServiceRules,
    chart: Chart,
    patient: PatientKey,
    rulebook: Rulebook,
    store: Store,
    gate: ConsentGate,
    now: datetime,
) -> Heeded:
    """Return what the service's rules may look at of the patient's wearables.

    Raises:
        StoreError: if that, or what the patient permits, cannot be read.
    """
    asked = wearables_asked(service, now)
    if not asked:
        return Heeded(Wearables())
    detectors = active_detectors(rulebook)
    heard = {n: day for n, day in asked.detectors.items() if n in detectors}
    worn = store.wearables(patient, replace(asked, detectors=heard), now)
    return heed_consents(
        patient,
        heard_by_rules(worn, detectors, rulebook.catalogue),
        chart.sources.get("consents"),
        store,
        gate,
        now,
        detectors,
    )


def heed_consents(
    patient: PatientKey,
    worn: Wearables,
    source: Source | None,
    store: Store,
    gate: ConsentGate,
    now: datetime,
    detectors: Detectors = NO_DETECTORS,
) -> Heeded:
    """Of what wearables told what may be shown in a card.

    Args:
        source: The Consents as the EHR told them; None where it was not asked.
        detectors: Of which something is told that was not judged.

    Raises:
        StoreError: if the consents cannot be read.
    """
    items = items_of(worn)
    if not items and source is None:
        return Heeded(worn)
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
    permission = CallPermission(gate, consents, now, detectors)
    used = permission.used(worn)
    left = items_of(used)
    may_disclose = all(permission.may(ConsentAction.DISCLOSE, each) for each in left)
    if items and not whole:
        used, state = unread(worn), "not read"
    else:
        state = _state(items, left)
    alerts, kept = worn.alerts or (), used.alerts or ()
    use = ConsentUse(
        state=state,
        withheld=len(alerts) - len(kept),
        may_disclose=may_disclose,
        consents=tuple(each.id for each in held),
        seen=stamp_of(known),
        change=None if change is None or change.is_empty else change,
    )
    return Heeded(used, may_disclose, use)


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


def _state(told: Sequence[Item], used: Sequence[Item]) -> str:
    if len(used) == len(told):
        return "permitted"
    return "part" if used else "withheld"
