"""Hours of a watch that tells heart rate and steps minute by minute."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cds_service.store.detection.records import Detection, DetectionOutcome, KeptEpisode
from cds_service.store.records import AuditEvent, Intake, TakenIn
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Removal, Sample, Stat, microseconds

EIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)
NOW = EIGHT + timedelta(hours=2)
JANE = StreamOwner(PatientKey("north", "-", "jane"), "watch")
MINUTE = timedelta(minutes=1)
WATCH = Device("w1", "Watch")
DELIVERY = AuditEvent(NOW, "delivery", "north", "watch")


def beats(
    *values: float, since: datetime = EIGHT, device: Device = WATCH, revision: int = 0
) -> list[Sample]:
    """A heart rate a minute."""
    starts = (since + n * MINUTE for n in range(len(values)))
    return [
        Sample(
            *("heart-rate", value, "/min", start, start),
            device=device,
            revision=revision,
        )
        for value, start in zip(values, starts)
    ]


def steps(
    *counts: int, since: datetime = EIGHT, device: Device = WATCH
) -> list[Sample]:
    """So many steps minute by minute."""
    starts = (since + n * MINUTE for n in range(len(counts)))
    return [
        Sample(
            *("steps", count, "1", start, start + MINUTE),
            device=device,
            stat=Stat.TOTAL,
        )
        for count, start in zip(counts, starts)
    ]


def hour(value: float = 115.0, since: datetime = EIGHT) -> list[Sample]:
    """An hour at rest with that heart rate, and what proves the rest."""
    before = since - 10 * MINUTE
    return [*beats(*[value] * 60, since=since), *steps(*[0] * 70, since=before)]


def take(
    store: Store,
    items: Sequence[Sample | Removal],
    detection: Detection | None,
    owner: StreamOwner = JANE,
    now: datetime = NOW,
) -> TakenIn:
    """Have the store take in what an owner tells, judged by what is given."""
    intake = Intake(samples=(SampleBatch(owner, items),), detection=detection)
    return store.take_in(intake, DELIVERY, now)


def told(kept: KeptEpisode) -> tuple[object, ...]:
    """What an episode says, but for its id."""
    episode = kept.stored.episode
    minutes = [
        None if each is None else (each - EIGHT) / MINUTE
        for each in (episode.start, episode.opened, episode.end)
    ]
    return (*minutes, str(episode.closing), episode.peak, kept.status)


def episodes(
    store: Store, owner: StreamOwner = JANE, *, retracted: bool = False
) -> list[tuple[object, ...]]:
    """What the patient's episodes say."""
    found = store.detections.episodes(owner.patient, retracted=retracted)
    return [told(each) for each in found]


ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"


def say(
    store: Store,
    *actions: str,
    kind: str = "permit",
    owner: StreamOwner = JANE,
    **members: Any,
) -> None:
    """Have the patient's one Consent say that from now on."""
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    known = store.consents.of([owner.patient])[owner.patient]
    at = known[0].updated + MINUTE if known else EIGHT
    provision = {"type": kind, "action": named, **members}
    resource = {"resourceType": "Consent", "status": "active", "provision": provision}
    record = ConsentRecord(owner.patient, "c1", at, "app", resource)
    lasting = store.consents.lasting_alerts(owner.patient)
    change = ConsentChange(
        owner.patient,
        stamp_of(known),
        (record,),
        lasting=frozenset((each.source, each.id) for each in lasting),
    )
    store.consents.record([change], AuditEvent(NOW, "consent"))


def due(store: Store, owner: StreamOwner = JANE) -> list[tuple[object, ...]]:
    """What is due of a patient, in minutes after eight."""
    return [
        (
            each.metric,
            *((us - microseconds(EIGHT)) // 60_000_000 for us in each.span),
            each.why,
        )
        for each in store.detections.due(owner.patient)
    ]


def judge_due(
    store: Store, detection: Detection, owner: StreamOwner = JANE
) -> list[DetectionOutcome]:
    """Judge all that is due; what came of each transaction."""
    event, done = AuditEvent(NOW, "detection"), list[DetectionOutcome]()
    while not done or done[-1].due:
        done.append(store.detections.detect_due(owner.patient, detection, event))
    return done
