"""What a patient permits to be done with what their wearables tell, in words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ...wearables.adapters.consents import doubts
from ...wearables.consent import Consent, ConsentAction, ConsentRecord
from ...wearables.consent_gate import ConsentGate
from .shell import tell_moment

ACTIONS: Mapping[ConsentAction, tuple[str, str]] = {
    ConsentAction.COLLECT: ("Collect", "stored on this server"),
    ConsentAction.USE: ("Use", "shown to you, in cards and on these pages"),
    ConsentAction.DISCLOSE: ("Disclose", "sent on to the EHR as a record of its own"),
}
"""By action: what it is called, and what that means."""


@dataclass(frozen=True, slots=True)
class PermittedData:
    """What is permitted of one kind of data."""

    title: str
    may: tuple[bool, ...]
    """In the order of ``ACTIONS``."""


@dataclass(frozen=True, slots=True)
class ActionWords:
    """What is permitted of one action, at a glance."""

    label: str
    meaning: str
    mark: str
    word: str


@dataclass(frozen=True, slots=True)
class ConsentWords:
    """One Consent."""

    id: str
    status: str
    since: str
    until: str
    changed: str
    source: str
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsentStatus:
    """What a patient permits, and by which Consents."""

    lead: str
    actions: tuple[ActionWords, ...]
    permitted: tuple[PermittedData, ...]
    consents: tuple[ConsentWords, ...]


def tell_consents(
    records: Sequence[ConsentRecord], gate: ConsentGate, now: datetime
) -> ConsentStatus:
    """Return what the Consents of a patient permit at a moment."""
    consents = gate.read(records)
    permitted = gate.permitted(consents, now)
    data = tuple(
        PermittedData(
            metric.title,
            tuple(name in permitted[action].metrics for action in ACTIONS),
        )
        for name, metric in gate.catalogue.metrics.items()
    )
    pairs = zip(records, consents, strict=True)
    return ConsentStatus(
        _lead(consents, gate.assumed),
        tuple(_glance(data)),
        data,
        tuple(_consent(record, consent, gate.zone) for record, consent in pairs),
    )


def _lead(consents: Iterable[Consent], assumed: bool) -> str:
    if any(each.speaks for each in consents):
        return "According to the patient's current consents."
    if assumed:
        return (
            "The patient has said nothing about wearable data. This site assumes"
            " consent until they do."
        )
    return (
        "The patient has said nothing about wearable data. Nothing is stored or shown"
        " until they agree."
    )


def _glance(data: Sequence[PermittedData]) -> Iterable[ActionWords]:
    for place, (label, meaning) in enumerate(ACTIONS.values()):
        number = sum(each.may[place] for each in data)
        if number == len(data):
            mark, word = "yes", "Permitted"
        elif number:
            mark, word = "yes", f"Permitted for {number} of {len(data)} kinds of data"
        else:
            mark, word = "no", "Not permitted"
        yield ActionWords(label, meaning, mark, word)


def _consent(record: ConsentRecord, consent: Consent, zone: tzinfo) -> ConsentWords:
    start, end = consent.provision.start, consent.provision.end
    return ConsentWords(
        record.id,
        consent.status,
        tell_moment(start.astimezone(zone)) if start else "not limited",
        tell_moment(end.astimezone(zone)) if end else "not limited",
        tell_moment(record.updated.astimezone(zone)),
        record.source,
        tuple(doubts(consent)),
    )
