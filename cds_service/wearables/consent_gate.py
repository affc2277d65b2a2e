"""What consents mean for alerts: which may be stored and shown, and which end. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from .adapters.consents import read_consent
from .consent import (
    ACTIVE,
    Consent,
    ConsentAction,
    ConsentRecord,
    DataAction,
    data_limits,
    is_permitted,
)
from .metrics import Catalogue
from .records import PatientKey, WearableAlert
from .summaries import DaySummary
from .telling import span_of_day

Stamp = frozenset[tuple[str, datetime, str]]
"""Id, version and content of a patient's Consents: equal while none has changed."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """Of what an action is permitted."""

    alert_types: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alert_types or self.metrics)


@dataclass(frozen=True, slots=True)
class ConsentGate:
    """How one tenant's consents are read."""

    catalogue: Catalogue
    zone: tzinfo = UTC
    """Of the site."""
    actors: frozenset[str] = frozenset()
    """What this server's hospital is called in Consents."""
    assumed: bool = False
    """Patients agree until they say anything about wearable data."""

    def read(self, records: Iterable[ConsentRecord]) -> tuple[Consent, ...]:
        """Return what a patient's Consents say."""
        return tuple(read_consent(each, self.zone) for each in records)

    def permits(
        self,
        action: ConsentAction,
        alert: WearableAlert,
        consents: Sequence[Consent],
        now: datetime,
    ) -> bool:
        """Check whether a patient's *consents* permit this of an alert."""
        return self.permits_type(action, alert.type, alert.start, consents, now)

    def permits_type(
        self,
        action: ConsentAction,
        type: str,
        at: datetime,
        consents: Sequence[Consent],
        now: datetime,
    ) -> bool:
        """Check whether *consents* permit this of alerts of a type and some time."""
        known = self.catalogue.alert_types.get(type)
        codes = known.codes if known else frozenset()
        return self._allows(action, codes, at, consents, now)

    def permits_reading(
        self,
        action: ConsentAction,
        metric: str,
        at: datetime,
        consents: Sequence[Consent],
        now: datetime,
    ) -> bool:
        """Check whether *consents* permit this of what a metric was at some time."""
        known = self.catalogue.metrics.get(metric)
        codes = known.consent_codes if known else frozenset()
        return self._allows(action, codes, at, consents, now)

    def permits_day(
        self,
        action: ConsentAction,
        day: DaySummary,
        consents: Sequence[Consent],
        now: datetime,
    ) -> bool:
        """Check whether *consents* permit this of all that a day or night may tell."""
        first, last = span_of_day(day)
        limits = (each for each in data_limits(consents) if first < each <= last)
        return all(
            self.permits_reading(action, day.metric, at, consents, now)
            for at in (first, *limits)
        )

    def permitted(
        self, consents: Sequence[Consent], now: datetime
    ) -> dict[ConsentAction, Permitted]:
        """For each action of what it is permitted, if that is measured at *now*."""
        types, metrics = self.catalogue.alert_types, self.catalogue.metrics
        return {
            action: Permitted(
                tuple(
                    name
                    for name, each in types.items()
                    if self._allows(action, each.codes, now, consents, now)
                ),
                tuple(
                    name
                    for name, each in metrics.items()
                    if self._allows(action, each.consent_codes, now, consents, now)
                ),
            )
            for action in ConsentAction
        }

    def _allows(
        self,
        action: ConsentAction,
        codes: frozenset[tuple[str, str]],
        at: datetime,
        consents: Sequence[Consent],
        now: datetime,
    ) -> bool:
        asked = DataAction(action, now, codes, at.astimezone(UTC), self.actors)
        return is_permitted(consents, asked, assumed=self.assumed)


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """What is to be done because a patient's Consents are others now."""

    patient: PatientKey
    seen: Stamp
    """The Consents that it was worked out from."""
    kept: tuple[ConsentRecord, ...] = ()
    """New ones, and new versions."""
    gone: tuple[str, ...] = ()
    """Ids of those that their source has no longer."""
    lasting: frozenset[tuple[str, str]] = frozenset()
    """Source and id of the alerts that were open."""
    ended: tuple[WearableAlert, ...] = ()
    """Alerts that lasted, and end because their data may not be collected."""

    @property
    def is_empty(self) -> bool:
        """Whether all stays as it is."""
        return not (self.kept or self.gone or self.ended)

    def after(self, known: Iterable[ConsentRecord]) -> tuple[ConsentRecord, ...]:
        """Return the Consents that hold once it is done, where *known* held before."""
        held = {each.id: each for each in (*known, *self.kept)}
        return tuple(each for id, each in held.items() if id not in self.gone)


def stamp_of(records: Iterable[ConsentRecord]) -> Stamp:
    """Return what tells a patient's Consents from those of another time."""
    return frozenset(
        (each.id, each.updated, json.dumps(each.resource, sort_keys=True))
        for each in records
    )


def plan_change(
    patient: PatientKey,
    known: Sequence[ConsentRecord],
    told: Iterable[ConsentRecord],
    lasting: Iterable[WearableAlert],
    gate: ConsentGate,
    now: datetime,
    *,
    whole_of: str = "",
    sure: bool = True,
) -> ConsentChange:
    """Return what changes with what was *told* of a patient's Consents.

    An alert that lasts ends where collecting its data is not permitted any more, and
    also where it was not permitted until now: nobody sent it on in the meantime.

    Args:
        known: All that is kept of the patient.
        lasting: The patient's alerts that are open.
        whole_of: A source that was told whole: what it no longer has is gone.
        sure: Whether nothing is missing of what is told. If something may be, nothing
            new is kept that permits anything: what is missing may deny it.
    """
    before = {each.id: each for each in known}
    open_alerts, told = tuple(lasting), tuple(told)
    kept: dict[str, ConsentRecord] = {}
    for each in told:
        old = kept.get(each.id) or before.get(each.id)
        if old is None and not sure and _widens(each, gate, now):
            continue
        if old is None or _supersedes(each, old):
            kept[each.id] = each
    ids = {each.id for each in told}
    gone = tuple(
        each.id
        for each in known
        if whole_of and each.source == whole_of and each.id not in ids
    )
    change = ConsentChange(
        patient,
        seen=stamp_of(known),
        kept=tuple(kept.values()),
        gone=gone,
        lasting=frozenset((each.source, each.id) for each in open_alerts),
    )
    views = [gate.read(each) for each in (known, change.after(known))]
    ended = tuple(
        alert
        for alert in open_alerts
        if not all(
            gate.permits(ConsentAction.COLLECT, alert, view, now) for view in views
        )
    )
    return replace(change, ended=ended)


def _widens(record: ConsentRecord, gate: ConsentGate, now: datetime) -> bool:
    return any(gate.permitted(gate.read([record]), now).values())


def _supersedes(new: ConsentRecord, old: ConsentRecord) -> bool:
    """Check if a version holds instead of another; of the same age, the stricter."""
    if new.resource == old.resource:
        return False
    if new.updated != old.updated:
        return new.updated > old.updated
    return str(new.resource.get("status")).strip().lower() != ACTIVE
