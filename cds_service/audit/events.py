"""What happened, as events of the audit trail: who asked what about whom. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..protocol.errors import CdsError, Unauthenticated
from ..protocol.feedback import FeedbackEntry
from ..protocol.requests import HookRequest
from ..store.configurations import Configuration
from ..store.records import (
    AuditEvent,
    Caller,
    CallRecord,
    ConsentUse,
    EvaluationRecord,
    SourceRecord,
)
from ..store.rows import instant
from ..wearables.consent_gate import ConsentChange
from ..wearables.records import PatientKey, WearableAlert

LONGEST = 300
"""Characters of a text that somebody unknown has sent."""


def build_call_event(call: CallRecord) -> AuditEvent:
    """Return the row of a call to be answered: what was read, what each rule said.

    What is not there was not: a call without a member for feedback, for Consents or for
    an encounter had none.
    """
    detail = {
        "service": call.service,
        "hook": call.hook,
        "hookInstance": call.hook_instance,
        "user": call.user,
        "encounter": call.encounter,
        "rulebook": call.rulebook,
        "sources": {each.name: _source_detail(each) for each in call.sources},
        "foreign": sum(each.foreign for each in call.sources) or None,
        "evaluations": _evaluations_detail(call.evaluations),
        "cards": [
            [each.uuid, f"{each.rule}@{each.version}", each.indicator]
            for each in call.cards
        ],
        "suppressed": [
            [f"{each.rule}@{each.version}", each.index, each.why, each.detail]
            for each in call.suppressions
        ],
        "systemActions": [
            [f"{each.rule}@{each.version}", each.type, each.target]
            for each in call.system_actions
        ],
        "consent": _consent_detail(call.consent),
        "deviations": call.deviations,
        "milliseconds": dict(call.spent),
    }
    told = _without_empty(detail)
    return AuditEvent(
        call.at, "call", call.patient.tenant, call.client, call.patient, told
    )


def _without_empty(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The members that say something; False and 0 do."""
    return {
        name: value
        for name, value in detail.items()
        if value is not None and value not in ("", (), [], {})
    }


def _source_detail(source: SourceRecord) -> list[Any]:
    """Its state, from where, how many, how many that could not be used or were not
    theirs, and why; up to the last of these that says something.
    """
    told: list[Any] = [source.state, source.origin]
    told += [source.count, source.unusable, source.foreign, source.why]
    while not told[-1]:
        told.pop()
    return told


def _evaluations_detail(evaluations: Sequence[EvaluationRecord]) -> list[list[Any]]:
    """Each outcome with its reasons, and the rules that have both."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in evaluations:
        rules = alike.setdefault((each.outcome, each.reasons), [])
        rules.append(f"{each.rule}@{each.version}")
    return [
        [outcome, list(reasons), rules] for (outcome, reasons), rules in alike.items()
    ]


def _consent_detail(use: ConsentUse | None) -> dict[str, Any] | None:
    """By what right wearable alerts were used; None where none were at stake."""
    if use is None:
        return None
    told = _changes_detail([use.change] if use.change else [])
    detail = {
        "state": use.state,
        "withheld": use.withheld or None,
        "disclose": use.may_disclose,
        "consents": use.consents,
        "told": told.pop("consents"),
        **told,
    }
    return _without_empty(detail)


def build_refusal_event(
    at: datetime,
    error: CdsError,
    path: str,
    client: Caller | None = None,
    hook_request: HookRequest | None = None,
    address: str = "",
) -> AuditEvent:
    """Return the row of who was not answered; the reason never left the server.

    *address* is where the message came from, as the server saw it.
    """
    reason = error.reason if isinstance(error, Unauthenticated) else ""
    detail: dict[str, Any] = {
        "path": path[:LONGEST],
        "status": error.status,
        "reason": reason or [each.text[:LONGEST] for each in error.problems],
    }
    if address:
        detail["address"] = address[:LONGEST]
    tenant, base = client.tenant if client else "", getattr(client, "fhir_base", "-")
    patient = None
    if hook_request:
        patient = PatientKey(tenant, base, hook_request.patient_id)
        detail["hook"] = hook_request.hook
        detail["hookInstance"] = hook_request.hook_instance
        detail["user"] = hook_request.user_id
    return AuditEvent(
        at, "refusal", tenant, client.id if client else "", patient, detail
    )


def build_repeats_event(
    at: datetime, since: datetime, repeats: Sequence[tuple[str, str, str, int]]
) -> AuditEvent:
    """Return the row of refusals that were like one with a row of its own.

    *repeats* are address, route, reason, and how many more there were *since*.
    """
    detail: dict[str, Any] = {
        "status": 401,
        "reason": "refused again",
        "since": since.isoformat(),
        "count": sum(count for *_, count in repeats),
        "repeated": [list(each) for each in repeats],
    }
    return AuditEvent(at, "refusal", detail=detail)


def build_delivery_event(
    at: datetime,
    tenant: str,
    source: str,
    key: str,
    status: int,
    alerts: Sequence[WearableAlert] = (),
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Return the row of a delivery: what was stored about whom, how it was answered.

    *detail* adds what else is worth knowing, such as the items that were rejected.
    """
    patients = {alert.patient for alert in alerts}
    told = {
        "key": key[:LONGEST],
        "status": status,
        "alerts": [
            [alert.patient.patient_id, alert.id, alert.rev, alert.type, alert.status]
            for alert in alerts
        ],
        **(detail or {}),
    }
    patient = patients.pop() if len(patients) == 1 else None
    return AuditEvent(at, "delivery", tenant, source, patient, told)


def build_readings_event(
    at: datetime,
    tenant: str,
    source: str,
    key: str,
    status: int,
    patients: Collection[PatientKey] = (),
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Return the row of a delivery of readings: of whom how many, how it was answered.

    *detail* tells what of whom; what became of each is known to who stores it.
    """
    told = {"key": key[:LONGEST], "status": status, **(detail or {})}
    patient = next(iter(patients)) if len(patients) == 1 else None
    return AuditEvent(at, "delivery", tenant, source, patient, told)


def build_link_event(
    at: datetime,
    tenant: str,
    teller: str,
    patient: PatientKey | None,
    detail: Mapping[str, Any],
) -> AuditEvent:
    """Return the row of what *teller* said about whose wrist it is."""
    return AuditEvent(at, "link", tenant, teller, patient, detail)


def build_sign_in_event(
    at: datetime,
    tenant: str,
    client: str,
    patient: PatientKey | None,
    detail: Mapping[str, Any],
) -> AuditEvent:
    """Return the row of somebody who came from an EHR, was refused, or has left.

    Args:
        client: The entry of the clients file whose EHR it was; empty for none of them.
        detail: ``signIn`` is ``launched``, ``window``, ``refused`` or ``ended``.
    """
    return AuditEvent(at, "sign-in", tenant, client, patient, detail)


def build_detection_event(
    at: datetime, patient: PatientKey, by: str = ""
) -> AuditEvent:
    """Return the row of what was judged of a patient because it was due.

    Args:
        by: Who has asked for it; empty where the server does so by itself.
    """
    return AuditEvent(at, "detection", patient.tenant, by, patient)


def build_threshold_event(
    at: datetime,
    patient: PatientKey,
    by: str,
    detector: str,
    value: float | None,
    unit: str,
) -> AuditEvent:
    """Return the row of a limit of the patient's own that is set, or ends."""
    told = {"detector": detector, "value": value, "unit": unit}
    return AuditEvent(at, "threshold", patient.tenant, by, patient, told)


def build_consent_event(
    at: datetime,
    tenant: str,
    teller: str,
    changes: Sequence[ConsentChange],
    detail: Mapping[str, Any],
) -> AuditEvent:
    """Return the row of Consents that *teller* told, and alerts that end with them."""
    patients = [each.patient for each in changes]
    told = {**detail, **_changes_detail(changes)}
    patient = patients[0] if len(patients) == 1 else None
    return AuditEvent(at, "consent", tenant, teller, patient, told)


def _changes_detail(changes: Sequence[ConsentChange]) -> dict[str, Any]:
    """Versions that hold from now on, what is gone, and the alerts that end."""
    return {
        "consents": [
            [
                change.patient.patient_id,
                each.id,
                instant(each.updated),
                str(each.resource.get("status")),
            ]
            for change in changes
            for each in change.kept
        ],
        "gone": [
            [change.patient.patient_id, id] for change in changes for id in change.gone
        ],
        "ended": [
            [change.patient.patient_id, each.source, each.id]
            for change in changes
            for each in change.ended
        ],
    }


def build_feedback_event(
    service: str, entries: Sequence[FeedbackEntry], client: Caller, at: datetime
) -> AuditEvent:
    """Return the row of feedback, without the clinician's words, kept elsewhere."""
    told = [
        [
            entry.card,
            entry.outcome.value,
            f"{entry.reason.system}|{entry.reason.code}" if entry.reason else "",
            *entry.accepted,
        ]
        for entry in entries
    ]
    detail = {"service": service, "feedback": told}
    return AuditEvent(at, "feedback", client.tenant, client.id, None, detail)


def build_view_event(
    at: datetime, patient: PatientKey, client: str, told: Mapping[str, Any]
) -> AuditEvent:
    """Return the row of somebody who came from an EHR and looks at a page.

    Args:
        told: ``page``, ``session``, and where they are known ``card`` and ``user``.
    """
    detail = _without_empty(told)
    return AuditEvent(at, "view", patient.tenant, client, patient, detail)


def build_workbench_event(
    at: datetime, kind: str, subject: str, detail: Mapping[str, Any]
) -> AuditEvent:
    """Return the row of what somebody did in the workbench.

    Args:
        kind: ``sign-in`` for coming and going, ``view`` for what was looked at.
        subject: Who, as the provider or the server's machine calls them.
    """
    told = {"user": subject[:LONGEST], **detail}
    return AuditEvent(at, kind, client="workbench", detail=told)


def build_publication_event(
    at: datetime,
    publisher: str,
    digest: str,
    previous: str,
    changed: Sequence[str],
) -> AuditEvent:
    """Return the row of rules that all serve from now on, and of their files."""
    detail = {"published": digest, "previous": previous, "changed": list(changed)}
    return AuditEvent(at, "rulebook", client=publisher, detail=detail)


def build_rules_refusal_event(
    at: datetime, publisher: str, errors: Sequence[str]
) -> AuditEvent:
    """Return the row of rules that are not served, and what is wrong with them."""
    detail = {"refused": [each[:LONGEST] for each in errors]}
    return AuditEvent(at, "rulebook", client=publisher, detail=detail)


MOST = 8
"""Names of one kind that are told in words."""
_OWNER = re.compile(
    r'(?:(client|webhook|destination|cloud)\.("[^"]+"|[^."]+)|anonymous)\.'
)


@dataclass(frozen=True, slots=True)
class InventoryChange:
    """What is otherwise in one inventory than in another."""

    added: Mapping[str, Any]
    removed: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]
    """Name to what was and what is."""


def compare_inventories(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> InventoryChange:
    """Return what is otherwise in *after*."""
    return InventoryChange(
        added={name: after[name] for name in after if name not in before},
        removed={name: before[name] for name in before if name not in after},
        changed={
            name: (before[name], after[name])
            for name in after
            if name in before and before[name] != after[name]
        },
    )


def build_configuration_event(
    at: datetime, configuration: Configuration, before: Configuration, release: str
) -> AuditEvent:
    """Return the row of a server that starts otherwise than *before*.

    *release* is the version of this program.
    """
    change = compare_inventories(before.inventory, configuration.inventory)
    detail = {
        "server": configuration.server,
        "digest": configuration.digest,
        "previous": before.digest,
        "release": release,
        "added": change.added,
        "removed": change.removed,
        "changed": change.changed,
    }
    return AuditEvent(at, "configuration", client=configuration.server, detail=detail)


def describe_change(change: InventoryChange) -> str:
    """Return who and what is otherwise, by name, without values; else nothing."""
    told: dict[str, dict[str, None]] = {}
    for name in sorted({*change.added, *change.removed, *change.changed}):
        group, subject = _subject(name, change)
        told.setdefault(group, {})[subject] = None
    return "; ".join(
        f"{group}: {_listed(list(subjects))}"
        for group, subjects in sorted(told.items())
    )


def _subject(name: str, change: InventoryChange) -> tuple[str, str]:
    """Return what became of whom: an entry of a client or source, or the setting."""
    owner = _OWNER.match(name)
    if owner is None:
        group, _, field = name.partition(".")
        return group, field.split(".")[0]
    id = f"{owner[0]}id"
    became = "added" if id in change.added else "changed"
    became = "removed" if id in change.removed else became
    return f"{owner[1] or 'client'}s {became}", (owner[2] or "anonymous").strip('"')


def _listed(names: list[str]) -> str:
    more = len(names) - MOST
    told = ", ".join(names[:MOST])
    return f"{told} and {more} more" if more > 0 else told
