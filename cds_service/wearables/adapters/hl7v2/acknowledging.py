"""Acknowledgements of HL7 v2: what a sender is answered, and what an answer says. Pure.

In original mode one message answers: AA, AE or AR. Where the sender tells by MSH-15 and
MSH-16 what it wants to hear, it is enhanced mode: CA, CE or CR once it is stored, and
then what an application has to say, each only if it is wanted.

Source: HL7 2.5.1 chapter 2, sections 2.9 (processing rules), 2.15.5 (ERR), 2.15.8
(MSA); tables 0008, 0155, 0357 and 0516.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ....protocol.errors import Unprocessable
from .messages import Message, Segment, decode, parse_message, split_messages

MOST_ERRORS = 10
"""ERR segments of one answer."""
LONGEST_TEXT = 200
"""Characters; MSA-3 and ERR-8 hold no more in all versions."""
UNSUPPORTED_TYPE, UNSUPPORTED_VERSION = "200", "203"
DATA_TYPE, UNKNOWN_VALUE, UNKNOWN_KEY, INTERNAL = "102", "103", "204", "207"
TEXTS = {
    DATA_TYPE: "Data type error",
    UNKNOWN_VALUE: "Table value not found",
    UNSUPPORTED_TYPE: "Unsupported message type",
    UNSUPPORTED_VERSION: "Unsupported version id",
    UNKNOWN_KEY: "Unknown key identifier",
    INTERNAL: "Application internal error",
}
"""What each code of table 0357 means that is said here."""


class MessageOutcome(StrEnum):
    """What becomes of a message; the letter is that of table 0008."""

    ACCEPT = "A"
    ERROR = "E"
    """It may be sent again."""
    REJECT = "R"
    """It need not be: it will never be taken."""


@dataclass(frozen=True, slots=True)
class SegmentError:
    """What is wrong, and where."""

    code: str
    """Of table 0357."""
    text: str
    segment: str = ""
    sequence: int = 0
    """Which segment of that name, from 1 on; 0 for none."""
    field: int = 0


@dataclass(frozen=True, slots=True)
class MessageVerdict:
    """What a message is answered."""

    outcome: MessageOutcome
    text: str = ""
    errors: tuple[SegmentError, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What an acknowledgement says."""

    code: str
    """MSA-1, such as AA."""
    control_id: str
    """MSA-2: of the message that it is about."""
    text: str = ""
    """What MSA-3 and ERR say, on one line."""


def read_header(raw: bytes) -> Segment | None:
    """Return MSH of a message; None where it is none, or cannot be split."""
    message = _first(raw)
    return message.header if message else None


def read_acknowledgement(raw: bytes) -> Acknowledged | None:
    """Return what an answer says; None where it is no acknowledgement."""
    message = _first(raw)
    if message is None:
        return None
    for segment in message.segments:
        if segment.name == "MSA":
            told = [segment.text(3), *_errors(message)]
            text = " ".join("; ".join(each for each in told if each).split())
            return Acknowledged(segment.text(1).upper(), segment.text(2), text)
    return None


def _first(raw: bytes) -> Message | None:
    try:
        return parse_message(next(split_messages(decode(raw)), ""))
    except Unprocessable:
        return None


def _errors(message: Message) -> Iterator[str]:
    for segment in message.segments:
        if segment.name == "ERR":
            code = segment.text(3, 2) or segment.text(3)
            place = "-".join(filter(None, (segment.text(2), segment.text(2, 3))))
            said = segment.text(8) or segment.text(7) or segment.text(1, 4)
            yield " ".join(filter(None, (place, code, said)))


def acknowledge(
    header: Segment | None, verdict: MessageVerdict, now: datetime, control_id: str
) -> list[bytes]:
    """Return the messages that answer one, without what MLLP puts around them.

    Args:
        header: MSH of the message; None where it could not be read.
        control_id: MSH-10 of the first answer; the second has ``A`` behind it.
    """
    outcome = verdict.outcome
    accept, application = ("", "")
    if header is not None:
        accept, application = header.text(15).upper(), header.text(16).upper()
    if not accept and not application:
        return [_build(header, f"A{outcome}", verdict, now, control_id)]
    answers = []
    if _wants(accept, outcome):
        answers.append(_build(header, f"C{outcome}", verdict, now, control_id))
    if _wants(application, outcome):
        own = f"{control_id}A"
        answers.append(_build(header, f"A{outcome}", verdict, now, own))
    return answers


def _wants(condition: str, outcome: MessageOutcome) -> bool:
    """Whether table 0155 asks for an answer of this outcome."""
    taken = outcome is MessageOutcome.ACCEPT
    return condition == "AL" or condition == ("SU" if taken else "ER")


def _build(
    header: Segment | None,
    code: str,
    verdict: MessageVerdict,
    now: datetime,
    control_id: str,
) -> bytes:
    told = {number: "" for number in (3, 4, 5, 6, 10, 11, 12)}
    event = ""
    if header is not None:
        told = {number: escape(header.text(number)) for number in told}
        event = escape(header.text(9, 2))
    version = told[12] if told[12].startswith("2.") else "2.5.1"
    structure = "" if version in ("2.1", "2.2", "2.3") else "^ACK"
    kind = f"ACK^{event}{structure}" if event else "ACK"
    stamp = f"{now:%Y%m%d%H%M%S%z}"
    lines = [
        "|".join(
            [
                *("MSH", "^~\\&", told[5], told[6], told[3], told[4], stamp, "", kind),
                *(control_id, told[11] or "P", version),
                *("", "", "", "", "", "UNICODE UTF-8"),
            ]
        ),
        f"MSA|{code}|{told[10]}|{escape(verdict.text[:LONGEST_TEXT])}".rstrip("|"),
        *(_error(each, version) for each in verdict.errors[:MOST_ERRORS]),
    ]
    return ("\r".join(lines) + "\r").encode("utf-8", "replace")


def _error(error: SegmentError, version: str) -> str:
    """ERR as the version has it: before 2.5 in one field, from then on in several."""
    place = [error.segment, str(error.sequence or ""), str(error.field or "")]
    meaning = TEXTS.get(error.code, "")
    if version in ("2.1", "2.2", "2.3", "2.3.1", "2.4"):
        return f"ERR|{'^'.join(place)}^{error.code}&{meaning}"
    where = "^".join(place).rstrip("^")
    said = escape(error.text[:LONGEST_TEXT])
    return f"ERR||{where}|{error.code}^{meaning}^HL70357|E||||{said}"


def escape(text: str) -> str:
    """Return text so that nothing in it is a delimiter or ends a segment."""
    return "".join(_ESCAPES.get(each, each) for each in text)


_ESCAPES = {
    "\\": "\\E\\",
    "|": "\\F\\",
    "^": "\\S\\",
    "&": "\\T\\",
    "~": "\\R\\",
    "\r": "\\X0D\\",
    "\n": "\\X0A\\",
    "\x0b": " ",
    "\x1c": " ",
}


def list_errors(
    results: Sequence[tuple[str, str, str]],
) -> tuple[SegmentError, ...]:
    """Return ERR of items that were rejected: expression, reason and text of each."""
    return tuple(
        SegmentError(_CODES.get(reason, DATA_TYPE), text, *_place(expression))
        for expression, reason, text in results[:MOST_ERRORS]
    )


_CODES = {"unit": UNKNOWN_VALUE, "metric": UNKNOWN_VALUE, "wearer": UNKNOWN_KEY}


def _place(expression: str) -> tuple[str, int, int]:
    """Segment, which of them, and field of a path such as ``$.OBX[2].5``."""
    steps = expression.split(".")
    step = steps[1] if len(steps) > 1 else ""
    name, _, index = step.partition("[")
    number = index.rstrip("]")
    told = steps[2] if len(steps) > 2 else ""
    sequence = int(number) + 1 if number.isdigit() else 1
    if name != name.upper() or len(name) != 3:
        return "", 0, 0
    return name, sequence, int(told) if told.isdigit() else 0
