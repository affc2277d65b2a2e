"""Deliveries of readings: whose they are, what of them may be stored, and the answer.

To take something back needs no consent: it adds nothing to what is known of anybody.
What nobody is known to have worn is kept apart until somebody says whose it is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from ..audit import build_readings_event
from ..protocol.errors import Problem, Unprocessable
from ..store.records import Intake, TakenIn
from ..store.samples.records import (
    HeldBatch,
    ItemOutcome,
    SampleBatch,
    Skewed,
    StreamOwner,
    UnknownWearer,
)
from ..wearables.adapters.registry import FORMATS, SourceFormat
from ..wearables.consent import Consent, ConsentAction
from ..wearables.consent_gate import ConsentGate, stamp_of
from ..wearables.held import Holdable
from ..wearables.links import WearerLink
from ..wearables.records import PatientKey, WearableAlert
from ..wearables.samples import Item, LeftOut, Notice, Removal, Sample
from .judging import Acknowledgement, Format, Ingestion, Judged, ReadingsTally, always
from .whose import (
    Deliverer,
    FutureItem,
    OwnedItem,
    Placed,
    UnlinkedItem,
    place_items,
)

NO_CONSENT = "No consent of the patient to the storing of these data is known."
MOST_RESULTS = 1000
"""Items of which an answer tells each. Of more it tells what was left out, so many."""
REJECTED, SKIPPED = "rejected", "skipped"


@dataclass(frozen=True, slots=True)
class Shelves:
    """The items of a delivery by where they go, each with its place in it."""

    samples: Mapping[StreamOwner, Sequence[tuple[int, Sample | Removal]]]
    alerts: Sequence[tuple[int, WearableAlert]]
    held: Mapping[UnknownWearer, Sequence[tuple[int, Holdable]]]
    left_out: Sequence[tuple[int, LeftOut]]
    skewed: Skewed = field(default_factory=dict)
    """Of these, readings of the future whose storing is permitted."""

    @property
    def take_nothing(self) -> bool:
        """Whether nothing is taken in, and something is to be mended."""
        taken = self.samples or self.alerts or self.held
        return not taken and any(each.rejected for _, each in self.left_out)


def judge_readings(
    format: SourceFormat,
    body: Any,
    deliverer: Deliverer,
    ingestion: Ingestion,
    now: datetime,
) -> Judged:
    """Return what of the readings is stored, and how the delivery is answered.

    An answer is 422 where the body is none of the format, or nothing of it is taken in
    and something is to be mended. Where a format tells its senders nothing about items,
    the second is its usual answer: they would send the same for days.
    """
    source, deliverer = deliverer.source, as_of_now(deliverer, ingestion)
    gate = ingestion.gate_of(source.tenant)
    try:
        items = list(format.adapt(body, source, gate.catalogue))
    except Unprocessable as error:
        return _not_understood(error, deliverer, now)
    shelves, intake, placed = sort_items(items, deliverer, ingestion, format.name, now)
    status = format.acknowledged
    if shelves.take_nothing and format.answers_items:
        status = Unprocessable.status

    def answer(taken: TakenIn) -> Acknowledgement:
        body = answer_items(shelves, taken, placed) if format.answers_items else None
        return Acknowledgement(status, body, tally_items(shelves, taken, now))

    detail = tell_shelves(shelves, format.name)
    return Judged(
        answer,
        lambda key: build_readings_event(
            now, source.tenant, source.id, key, status, intake.seen, detail
        ),
        intake,
    )


def sort_items(
    items: Sequence[Item],
    deliverer: Deliverer,
    ingestion: Ingestion,
    format: str,
    now: datetime,
) -> tuple[Shelves, Intake, Sequence[Placed]]:
    """Return where each item goes, what the store is given, and whose each is."""
    gate = ingestion.gate_of(deliverer.source.tenant)
    links = find_links(items, deliverer, ingestion)
    placed = list(place_items(items, deliverer, links, now))
    owned = OwnedItem | FutureItem
    patients = {each.owner.patient for each in placed if isinstance(each, owned)}
    known = ingestion.store.consents.of(patients)
    consents = {patient: gate.read(each) for patient, each in known.items()}
    shelves = shelve_items(placed, Permission(gate, consents, now), deliverer)
    seen = {patient: stamp_of(each) for patient, each in known.items()}
    intake = replace(
        build_intake(shelves, seen, links, format),
        limits=ingestion.quarantine,
        detection=ingestion.detection_of(deliverer.source.tenant),
    )
    return shelves, intake, placed


def as_of_now(deliverer: Deliverer, ingestion: Ingestion) -> Deliverer:
    """Return the deliverer with their link as it is by now."""
    if deliverer.link is None:
        return deliverer
    return replace(deliverer, link=ingestion.store.links.get(deliverer.link.id))


def find_links(
    items: Iterable[Item], deliverer: Deliverer, ingestion: Ingestion
) -> tuple[WearerLink, ...]:
    """Return the links that say anything about the wearers of the items."""
    if deliverer.link is not None:
        return (deliverer.link,)
    if deliverer.owner is not None:
        return ()
    users, devices = set(), set()
    for each in items:
        if not isinstance(each, LeftOut) and not each.wearer.patient:
            users.add(each.wearer.user)
            if not isinstance(each, Removal):
                devices.add(each.device.id)
    if not any(users) and not any(devices):
        return ()
    source = deliverer.source
    links = ingestion.store.links
    return links.naming(source.tenant, source.id, users, devices)


@dataclass(slots=True)
class Permission:
    """Whether consents permit to store."""

    gate: ConsentGate
    consents: Mapping[PatientKey, Sequence[Consent]]
    now: datetime
    _timeless: dict[tuple[PatientKey, str], bool] = field(default_factory=dict)
    """What was found where no Consent is known, so that no time of data matters."""

    def for_sample(self, patient: PatientKey, sample: Sample) -> bool:
        """Check whether a reading may be stored."""
        key = (patient, sample.metric)
        if key in self._timeless:
            return self._timeless[key]
        consents = self.consents[patient]
        action, at = ConsentAction.COLLECT, sample.start
        permitted = self.gate.permits_reading(
            action, sample.metric, at, consents, self.now
        )
        if not consents:
            self._timeless[key] = permitted
        return permitted

    def for_alert(self, alert: WearableAlert) -> bool:
        """Check whether an alert may be stored; one that is taken back always may."""
        consents = self.consents[alert.patient]
        return alert.status == "retracted" or self.gate.permits(
            ConsentAction.COLLECT, alert, consents, self.now
        )


def shelve_items(
    placed: Iterable[Placed], permission: Permission, deliverer: Deliverer
) -> Shelves:
    """Return where each item goes."""
    samples: dict[StreamOwner, list[tuple[int, Sample | Removal]]] = defaultdict(list)
    held: dict[UnknownWearer, list[tuple[int, Holdable]]] = defaultdict(list)
    alerts: list[tuple[int, WearableAlert]] = []
    left_out: list[tuple[int, LeftOut]] = []
    skewed: Counter[tuple[StreamOwner, str]] = Counter()
    for place, each in enumerate(placed):
        match each:
            case LeftOut():
                left_out.append((place, each))
            case FutureItem(owner, sample):
                left_out.append((place, each.left_out))
                if permission.for_sample(owner.patient, sample):
                    skewed[owner, sample.metric] += 1
            case UnlinkedItem(item):
                held[_unknown(item, deliverer)].append((place, item))
            case OwnedItem(owner, Notice() as notice):
                alert = build_alert(notice, owner, permission)
                if permission.for_alert(alert):
                    alerts.append((place, alert))
                else:
                    left_out.append((place, _without_consent(notice.id, notice.path)))
            case OwnedItem(owner, Removal() as removal):
                samples[owner].append((place, removal))
            case OwnedItem(owner, Sample() as sample):
                if permission.for_sample(owner.patient, sample):
                    samples[owner].append((place, sample))
                else:
                    refused = _without_consent(sample.source_id, sample.path)
                    left_out.append((place, refused))
    return Shelves(samples, alerts, held, left_out, skewed)


def build_alert(
    notice: Notice, owner: StreamOwner, permission: Permission
) -> WearableAlert:
    """Return the alert that a vendor's notice is."""
    known = permission.gate.catalogue.alert_types[notice.type]
    status = "closed" if notice.end else "open"
    return WearableAlert(
        id=notice.id,
        patient=owner.patient,
        type=notice.type,
        start=notice.start,
        opened=permission.now,
        end=notice.end,
        local=notice.local,
        metric=known.metric,
        value=notice.value,
        unit=known.unit,
        stat=notice.stat,
        threshold=notice.threshold,
        status="retracted" if notice.retracted else status,
        rev=notice.revision,
        device=notice.device.name or notice.device.app,
        source=owner.source,
        n=notice.n,
        link=owner.link,
    )


def build_intake(
    shelves: Shelves,
    seen: Mapping[PatientKey, Any],
    links: tuple[WearerLink, ...],
    format: str,
) -> Intake:
    """Return what the store is given of it, with all that it rests on."""
    alerts = [each for _, each in shelves.alerts]
    return Intake(
        alerts=tuple(each for each in alerts if each.status != "retracted"),
        retracted=tuple(each for each in alerts if each.status == "retracted"),
        seen=seen,
        links=links,
        samples=tuple(
            SampleBatch(owner, [item for _, item in placed])
            for owner, placed in shelves.samples.items()
        ),
        held=tuple(
            HeldBatch(wearer, format, [item for _, item in placed])
            for wearer, placed in shelves.held.items()
        ),
        skewed=shelves.skewed,
    )


def answer_items(
    shelves: Shelves, taken: TakenIn, placed: Sequence[Placed]
) -> dict[str, Any]:
    """Return what is said of a delivery: how many items became what, and which."""
    told = dict(_outcomes(shelves, taken))
    counts = Counter(each["status"] for each in told.values())
    always = (ItemOutcome.ACCEPTED, ItemOutcome.DUPLICATE, REJECTED)
    body: dict[str, Any] = {str(each): counts.pop(str(each), 0) for each in always}
    body |= counts
    listed = sorted(told)
    if len(listed) > MOST_RESULTS:
        listed = [place for place, _ in shelves.left_out][:MOST_RESULTS]
        body["listed"] = "left out" if len(listed) == len(shelves.left_out) else "some"
    body["results"] = [{**_where(placed[place]), **told[place]} for place in listed]
    return body


def tally_items(shelves: Shelves, taken: TakenIn, now: datetime) -> ReadingsTally:
    """Return what is counted of a delivery that came *now*, whatever its answer is."""
    outcomes = Counter(taken.count())
    outcomes[str(ItemOutcome.ACCEPTED)] += len(shelves.alerts)
    for _, each in shelves.left_out:
        outcomes[REJECTED if each.rejected else SKIPPED] += 1
    shelved = chain(*shelves.samples.values(), *shelves.held.values())
    ends = (item.end for _, item in shelved if isinstance(item, Sample))
    newest = max(ends, default=None)
    return ReadingsTally(
        outcomes=+outcomes,
        left_out=Counter(each.reason for _, each in shelves.left_out),
        lag=None if newest is None else max(0.0, (now - newest).total_seconds()),
    )


def _outcomes(shelves: Shelves, taken: TakenIn) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what is said of each item, with its place."""
    for shelf, outcomes in (
        (shelves.samples, taken.samples),
        (shelves.held, taken.held),
    ):
        for batch, of_batch in zip(shelf.values(), outcomes, strict=True):
            for (place, _), outcome in zip(batch, of_batch, strict=True):
                yield place, {"status": str(outcome)}
    for place, _ in shelves.alerts:
        yield place, {"status": str(ItemOutcome.ACCEPTED)}
    for place, each in shelves.left_out:
        status = REJECTED if each.rejected else SKIPPED
        yield place, {
            "status": status,
            "reason": each.reason,
            "text": each.problem.text,
        }


def _where(placed: Placed) -> dict[str, str]:
    match placed:
        case LeftOut(problem=problem, id=id):
            path = problem.expression
        case UnlinkedItem(item) | OwnedItem(_, item):
            id = item.id if isinstance(item, Notice) else item.source_id
            path = item.path
        case FutureItem(sample=sample):
            id, path = sample.source_id, sample.path
    return {"expression": path, **({"id": id} if id else {})}


def _unknown(item: Holdable, deliverer: Deliverer) -> UnknownWearer:
    device = "" if isinstance(item, Removal) else item.device.id
    source = deliverer.source
    return UnknownWearer(source.tenant, source.id, item.wearer.user, device)


def _without_consent(id: str, path: str) -> LeftOut:
    return LeftOut("consent", Problem(NO_CONSENT, path), id)


def _not_understood(
    error: Unprocessable, deliverer: Deliverer, now: datetime
) -> Judged:
    source, answer = deliverer.source, Acknowledgement(error.status, error.as_json())
    return Judged(
        always(answer),
        lambda key: build_readings_event(
            now, source.tenant, source.id, key, error.status, (), {}
        ),
    )


def tell_shelves(shelves: Shelves, format: str) -> dict[str, Any]:
    """Return what the trail tells: of whom how many readings of what, by which link."""
    readings = [
        [owner.patient.patient_id, owner.link, metric, number]
        for owner, placed in shelves.samples.items()
        for metric, number in sorted(Counter(each.metric for _, each in placed).items())
    ]
    alerts = [
        [each.patient.patient_id, each.id, each.rev, each.type, each.status]
        for _, each in shelves.alerts
    ]
    left_out = Counter(each.reason for _, each in shelves.left_out)
    told = {"readings": readings, "alerts": alerts, "left_out": dict(left_out)}
    return {
        "format": format,
        **{name: each for name, each in told.items() if each},
    }


def readings_format(format: SourceFormat, path: str) -> Format:
    """Return how deliveries of a format of readings are taken, and where."""
    judge = partial(judge_readings, format)
    return Format(format.name, path, judge, of_readings=True, parse=format.parse)


SAMPLES = readings_format(FORMATS["samples"], "/wearables/v1/samples")
SOURCES: Mapping[str, Format] = {
    name: readings_format(each, f"/wearables/v1/sources/{name}")
    for name, each in FORMATS.items()
    if name != SAMPLES.name
}
"""By the name of the format."""
