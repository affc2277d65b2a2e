"""What becomes of a delivery: its format, who judges it, the answer item by item."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..config import WebhookSource
from ..protocol.errors import Problem
from ..store.detection.records import DetectionOutcome
from ..store.records import AuditEvent, Intake, TakenIn
from ..store.samples.records import QuarantineLimits
from ..store.store import Store
from ..wearables.adapters.members import Rejected
from ..wearables.consent_gate import ConsentGate
from .detecting import DetectionOf
from .whose import Deliverer


@dataclass(frozen=True, slots=True)
class ReadingsTally:
    """What is counted of a delivery of readings; it names nobody."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """How many became what."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many were left out, by reason."""
    lag: float | None = None
    """Seconds from the end of the newest reading until it came; None without any."""


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Everything outside the pure core that a delivery may touch."""

    store: Store
    webhooks: Sequence[WebhookSource]
    """Who may deliver."""
    gate_of: Callable[[str], ConsentGate]
    """How the consents of a tenant are read."""
    parse_json: Callable[[bytes], Any]
    """Raises InvalidRequest for what is not JSON, or too large a value."""
    admit: Callable[[str], None] = lambda source: None
    """Raises Throttled where a source sends too many."""
    quarantine: QuarantineLimits = QuarantineLimits()
    count: Callable[[str, ReadingsTally], None] = lambda source, tally: None
    """Told once of each delivery that is stored, and of its source."""
    detection_of: DetectionOf = lambda tenant: None
    """By what the readings of a tenant are judged."""
    count_detected: Callable[[DetectionOutcome], None] = lambda detected: None
    """Told what came of that."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a delivery is answered with."""

    status: int
    body: Mapping[str, Any] | None
    """None for none."""
    tally: ReadingsTally = ReadingsTally()


@dataclass(frozen=True, slots=True)
class Judged:
    """A delivery with its answer, not yet stored."""

    answer: Callable[[TakenIn], Acknowledgement]
    """Given what became of what it brings."""
    build_event: Callable[[str], AuditEvent]
    """The row of the audit trail, given the delivery's key."""
    intake: Intake = Intake()


Judge = Callable[[Any, Deliverer, Ingestion, datetime], Judged]
"""Takes the body, who delivered it, what it may touch and the time.

Raises Forbidden if no consent of a patient permits any of it.
"""


@dataclass(frozen=True, slots=True)
class Format:
    """One format of deliveries."""

    name: str
    """What a source must be allowed to deliver."""
    path: str
    """Where they arrive."""
    judge: Judge
    of_readings: bool = False
    """Then single wearers may deliver it by their tokens, and sources prove themselves
    in ways of their own."""
    parse: Callable[[bytes], Any] | None = None
    """How its raw body is read; None for JSON."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery, as it came."""

    format: Format
    headers: Mapping[str, str]
    raw: bytes
    at: datetime
    """Aware."""
    url_secret: str = field(default="", repr=False)
    """The last step of its URL, where that is a secret."""


def always(answer: Acknowledgement) -> Callable[[TakenIn], Acknowledgement]:
    """Return the answer to a delivery that is answered so whatever becomes of it."""
    return lambda taken: answer


def acknowledge(
    accepted: Mapping[int, Mapping[str, Any]], rejected: Sequence[Rejected]
) -> Acknowledgement:
    """Return the answer where something is stored, items in the delivery's order.

    *accepted* is what is said of each good item, by its place in the delivery.
    """
    results = [{"index": index, **told} for index, told in accepted.items()]
    results += map(rejection, rejected)
    results.sort(key=lambda each: int(each["index"]))
    counts = {"accepted": len(accepted), "rejected": len(rejected)}
    return Acknowledgement(202, {**counts, "results": results})


def problems_of(rejected: Sequence[Rejected]) -> Iterator[Problem]:
    """Yield everything that is wrong with any item."""
    for item in rejected:
        yield from item.problems


def rejection(item: Rejected) -> dict[str, Any]:
    """Return what is said of one item that cannot be stored: its place, and why."""
    problems = [
        {"expression": each.expression, "text": each.text} for each in item.problems
    ]
    named = {"id": item.id} if item.id else {}
    return {
        "index": item.index,
        **named,
        "status": "rejected",
        "problems": problems,
    }
