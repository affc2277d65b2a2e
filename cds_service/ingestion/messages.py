"""Messages of HL7 v2: each is a delivery, of a source that its connection names.

What tells a message from others is its control id together with what it says: devices
begin to count anew when they are switched on, and what is sent again after a connection
broke is the same to the last byte. What is accepted is committed.
"""

import hashlib
import re
from datetime import datetime
from typing import Any

from ..config import WebhookSource
from ..protocol.errors import (
    CdsError,
    Conflict,
    InvalidRequest,
    Throttled,
    Unavailable,
    Unprocessable,
)
from ..wearables.adapters.hl7v2.acknowledging import (
    DATA_TYPE,
    INTERNAL,
    UNSUPPORTED_TYPE,
    UNSUPPORTED_VERSION,
    MessageOutcome,
    MessageVerdict,
    SegmentError,
    list_errors,
    read_header,
)
from ..wearables.adapters.hl7v2.observations import FORMAT
from .delivery import accept_from
from .judging import Acknowledgement, Delivery, Ingestion
from .readings import REJECTED, SOURCES
from .senders import Sent
from .whose import Deliverer

AGAIN = (Conflict, Throttled, Unavailable)
"""What may go well when it is sent again."""
TYPE, VERSION = "$.MSH.9", "$.MSH.12"


def accept_message(
    raw: bytes, source: WebhookSource, ingestion: Ingestion, now: datetime
) -> MessageVerdict:
    """Return how a message is answered, after what it brings is stored.

    Args:
        source: Whose connection it came over.
    """
    delivery = Delivery(SOURCES[FORMAT], {}, raw, now)
    sent = Sent(Deliverer(source), _key(raw), source.formats, source.id)
    try:
        return _verdict(accept_from(sent, delivery, ingestion))
    except AGAIN as error:
        text = "; ".join(each.text for each in error.problems)
        return MessageVerdict(
            MessageOutcome.ERROR, text, (SegmentError(INTERNAL, text),)
        )
    except CdsError as error:
        return _refusal(error)


def _key(raw: bytes) -> str:
    """Control id, as far as it can be kept, and digest."""
    header = read_header(raw)
    told = _KEPT.findall(header.text(10)) if header else []
    return f"{''.join(told)[:64]} {hashlib.sha256(raw).hexdigest()}".strip()


_KEPT = re.compile(r"[!-~]+")


def _verdict(answer: Acknowledgement) -> MessageVerdict:
    body = answer.body or {}
    if "resourceType" in body:
        first: Any = body["issue"][0]
        path = (first.get("expression") or ["$"])[0]
        problem = first.get("details", {}).get("text", "")
        return MessageVerdict(MessageOutcome.REJECT, problem, (_whole(path, problem),))
    rejected = [each for each in body["results"] if each["status"] == REJECTED]
    text = ", ".join(
        f"{number} {name}"
        for name, number in body.items()
        if isinstance(number, int) and number
    )
    if answer.status != Unprocessable.status:
        return MessageVerdict(MessageOutcome.ACCEPT, text)
    told = [(each["expression"], each["reason"], each["text"]) for each in rejected]
    mendable = any(reason != "consent" for _, reason, _ in told)
    outcome = MessageOutcome.ERROR if mendable else MessageOutcome.REJECT
    return MessageVerdict(outcome, text, list_errors(told))


def _refusal(error: CdsError) -> MessageVerdict:
    text = "; ".join(each.text for each in error.problems)
    code = DATA_TYPE if isinstance(error, InvalidRequest | Unprocessable) else INTERNAL
    return MessageVerdict(MessageOutcome.REJECT, text, (SegmentError(code, text),))


def _whole(path: str, text: str) -> SegmentError:
    if path == TYPE:
        return SegmentError(UNSUPPORTED_TYPE, text, "MSH", 1, 9)
    if path == VERSION:
        return SegmentError(UNSUPPORTED_VERSION, text, "MSH", 1, 12)
    return SegmentError(DATA_TYPE, text)
