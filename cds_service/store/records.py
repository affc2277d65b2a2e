"""What the store keeps and gives back, as data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from ..wearables.consent_gate import ConsentChange, Stamp
from ..wearables.links import WearerLink
from ..wearables.records import PatientKey, WearableAlert
from .detection.records import Detection, DetectionOutcome, told_of_episodes
from .grants.records import Pulled
from .references.records import NewReference
from .samples.records import (
    HeldBatch,
    ImportProgress,
    ItemOutcome,
    LinkEnd,
    LinkOutcome,
    QuarantineLimits,
    SampleBatch,
    Skewed,
)


class StoreError(Exception):
    """The database could not do what was asked; nothing of it was stored.

    The message holds no patient data.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        """Take what happened.

        Args:
            kind: What the database calls it, such as ``SQLITE_FULL`` or ``53100``, or a
                word of our own. Empty where nothing is wrong with the database.
        """
        super().__init__(message)
        self.kind = kind


class StoreBusy(StoreError):
    """Other writers did not let go of the database in time."""


class StoreLost(StoreError):
    """What this process has open is not the database any more that it was.

    What was committed last may or may not be kept; it must not be acknowledged.
    """


class StoreTooNew(StoreError):
    """The schema of the database is of a newer version of this program."""


class TokenSpent(StoreError):
    """The token was used before; nothing was done for who came with it."""


class Outdated(StoreError):
    """What was decided rests on what does not hold any more; decide anew."""


class TooLate(StoreError):
    """Nobody waits any more for what was to be recorded."""


class ConsentsChanged(Outdated):
    """It rests on Consents that do not hold any more."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The connections of this process to the database."""

    busy: int
    """Those that somebody has at this moment."""
    most: int = 0
    """So many there may be; 0 where nothing limits them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the database takes, and what waits in it."""

    bytes: int
    """On its disk."""
    free: int | None
    """Bytes that are left there; None where that cannot be seen from here."""
    oldest_unanswered: float = 0.0
    """Seconds since the oldest delivery of the last hour began that has no answer."""


class Caller(Protocol):
    """Whoever is answered: a client of the clients file."""

    @property
    def id(self) -> str:
        """The client's name in the clients file."""

    @property
    def tenant(self) -> str:
        """Whose patients it asks about."""


class TokenKey(NamedTuple):
    """What tells a token that is good for one message from every other."""

    issuer: str
    jti: str
    expires_utc: float
    """Seconds since 1970; until then somebody accepts it."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened, for the audit trail. The trail holds patient data."""

    at: datetime
    """Aware; kept in UTC."""
    kind: str
    """``call``, ``refusal``, ``delivery``, ``consent``, ``link`` (of a wearer: made,
    ended, its tokens, what was held), ``detection`` (of what was due), ``threshold``
    (a patient's own limit), ``sign-in`` (from an EHR, and its end), ``feedback``,
    ``rulebook``, ``configuration``, ``pruning``, ``disclosure`` or ``erasure``."""
    tenant: str = ""
    client: str = ""
    """The client or the webhook source; empty where nobody was recognised."""
    patient: PatientKey | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON data."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the audit trail, as it was stored."""

    writer: str
    """Unlike every other; each start of a process writes a chain of its own."""
    sequence: int
    """From 1, without a gap."""
    previous_hash: str
    """Of a writer's first row zeros or, where it takes up the chain of a connection
    that was lost, that writer, and sequence and hash of its last row that is known."""
    hash: str
    """SHA-256 over what its version names: in hexadecimal, since version 3 in base64url
    without padding."""
    at: str
    """ISO 8601 in UTC."""
    kind: str
    tenant: str
    client: str
    fhir_base: str
    patient_id: str
    detail: str
    """Canonical JSON; empty where the row was erased."""
    version: int = 1
    """Of the way in which it is hashed."""
    pseudonym: str = ""
    """Of the patient, where there is one; who has the patient's key can make it."""
    salt: str = ""
    """Of the digest of the body; gone where the row was erased."""
    body_digest: str = ""
    """Kept in place of the body where that was erased; else it follows from it."""

    @property
    def erased(self) -> bool:
        """Whether the body was taken away, and the row itself stays."""
        return bool(self.body_digest)


@dataclass(frozen=True, slots=True)
class Seal:
    """Some rows of one writer, sealed; seals are a chain of their own."""

    number: int
    """From 1, without a gap."""
    writer: str
    first: int
    last: int
    """The sequence of the first and last row."""
    hash_before: str
    """What the first row follows from."""
    hash_last: str
    newest: str
    """The latest moment of any of the rows, as instants are stored."""
    previous: str
    """The digest of the seal before this one."""
    digest: str
    at: str
    pruned: str | None = None
    """When the rows were removed; None while they are there."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """How one part of the chart was read."""

    name: str
    state: str
    """``loaded``, ``partial`` or ``missing``."""
    origin: str = ""
    why: str = ""
    count: int = 0
    """Resources that were read."""
    unusable: int = 0
    """Entries that could not be read."""
    foreign: int = 0
    """Resources about somebody else, dropped."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """What one rule said."""

    rule: str
    version: str
    outcome: str
    """``fires``, ``no`` or ``unknown``."""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardRecord:
    """One card that was shown."""

    uuid: str
    """Lower case; the same for an identical retry only."""
    rule: str
    """Empty for a card that no single rule gave."""
    version: str
    dedup_key: str
    """The same for cards that say the same about the same patient."""
    indicator: str
    shown_at: datetime
    evidence: tuple[str, ...] = ()
    """References of the alerts and observations that it rests on."""


@dataclass(frozen=True, slots=True)
class SuppressionRecord:
    """One card that was held back."""

    rule: str
    version: str
    index: int
    """Of the card in its rule."""
    dedup_key: str
    why: str
    """``snoozed``, ``repeated``, ``grouped`` or ``budget``."""
    until: datetime | None
    """None where it depended on what else was shown."""
    detail: str
    """What it rested on, in words."""
    indicator: str = ""
    told_under: str = ""
    """The rule on whose card it stood as a line."""


@dataclass(frozen=True, slots=True)
class SystemActionRecord:
    """One change that the client was sent to make without a person."""

    rule: str
    version: str
    type: str
    """``create``, ``update`` or ``delete``."""
    target: str
    """``Type/id``; of what is created, the type alone."""


@dataclass(frozen=True, slots=True)
class ConsentUse:
    """By which Consents wearable alerts were shown or kept out of a call."""

    state: str
    """``permitted``, ``withheld``, ``part`` (some of each) or ``not read``."""
    withheld: int = 0
    """Alerts that no card may rest on."""
    may_disclose: bool = True
    """Whether what the others say may be sent to the EHR as a record of its own."""
    consents: tuple[str, ...] = ()
    """Ids of all that were known."""
    seen: Stamp | None = None
    """What must still hold when the call is recorded; None for nothing."""
    change: ConsentChange | None = None
    """What the EHR's FHIR server has told anew."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call of a service, as it was answered."""

    at: datetime
    client: str
    service: str
    hook: str
    hook_instance: str
    patient: PatientKey
    rulebook: str
    """The digest of the rulebook that answered."""
    user: str | None = None
    encounter: str | None = None
    sources: tuple[SourceRecord, ...] = ()
    evaluations: tuple[EvaluationRecord, ...] = ()
    cards: tuple[CardRecord, ...] = ()
    suppressions: tuple[SuppressionRecord, ...] = ()
    system_actions: tuple[SystemActionRecord, ...] = ()
    """Stands in the audit event alone."""
    consent: ConsentUse | None = None
    """None where no wearable data were at stake."""
    deviations: tuple[str, ...] = ()
    """What was forgiven, in words."""
    references: tuple[NewReference, ...] = ()
    """What links of the cards bear."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds of each phase, up to when it was recorded; in the audit event."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to work on a delivery, unlike every other attempt."""

    source: str
    key: str
    id: str = field(default_factory=lambda: str(uuid4()))


class DeliveryState(StrEnum):
    """What is known about a delivery when it arrives."""

    NEW = "new"
    """Nobody has seen it; the caller now works on it."""
    STORED = "stored"
    """It was answered; the same answer is due."""
    IN_PROGRESS = "in_progress"
    """Somebody is working on it."""
    DIFFERENT = "different"
    """The key was used with another body."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of a claim to a delivery."""

    state: DeliveryState
    status: int | None = None
    """The HTTP status that was answered; only where ``stored``."""
    body: str = ""
    """The body that was answered; only where ``stored``."""


class StoredAnswer(NamedTuple):
    """What a delivery was answered with, and is again."""

    status: int
    """Of HTTP."""
    body: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What one delivery brings, all of it stored or nothing."""

    alerts: tuple[WearableAlert, ...] = ()
    retracted: tuple[WearableAlert, ...] = ()
    """Stored only where the alert is that is taken back."""
    changes: tuple[ConsentChange, ...] = ()
    seen: Mapping[PatientKey, Stamp] = field(default_factory=dict)
    """The Consents that it rests on."""
    links: tuple[WearerLink, ...] = ()
    """Those that it rests on."""
    samples: tuple[SampleBatch, ...] = ()
    """A batch an owner."""
    held: tuple[HeldBatch, ...] = ()
    """For the quarantine: a batch a wearer."""
    skewed: Skewed = field(default_factory=dict)
    """Readings of the future, which are not stored: detectors count them."""
    limits: QuarantineLimits = QuarantineLimits()
    released: tuple[int, ...] = ()
    """Ids of what was held, and is taken in or left out by now."""
    link_changes: tuple[WearerLink | LinkEnd, ...] = ()
    """Links that are made or ended; then nothing else comes with them."""
    progress: ImportProgress | None = None
    """Where it is part of an import: how far that is with it."""
    pulled: Pulled | None = None
    """Where it was pulled: how far that is with it."""
    detection: Detection | None = None
    """By what its readings are judged; None where nobody judges them."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of what a delivery brought, known once it is stored."""

    samples: Sequence[Sequence[ItemOutcome]] = ()
    """Of each batch, in the order of its items."""
    held: Sequence[Sequence[ItemOutcome]] = ()
    """Likewise."""
    links: Sequence[LinkOutcome] = ()
    """Of each change of a link."""
    detected: DetectionOutcome = DetectionOutcome()
    """In its readings."""

    def count(self) -> dict[str, int]:
        """Return how many items had which outcome, of those that any had."""
        batches = (*self.samples, *self.held)
        return dict(Counter(str(each) for batch in batches for each in batch))

    def told(self) -> dict[str, Any]:
        """Return what the trail is to tell of it: nothing, where there was none."""
        counted = self.count()
        told = told_of_episodes(self.detected.episodes)
        return {"outcomes": counted, **told} if counted else told
