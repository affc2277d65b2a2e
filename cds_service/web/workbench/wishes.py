"""What somebody wants to see played, as the form of the page says it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from werkzeug.datastructures import FileStorage, MultiDict

SENT, DROPPED, FAILED = "sent", "dropped", "failed"
STATES: Mapping[str, str] = {
    SENT: "Sent",
    DROPPED: "Left out",
    FAILED: "Failed",
}
"""What an EHR may do about a prefetch key."""
STANDS, WITHDRAWN, MISSING = "stands", "withdrawn", "missing"
CONSENTS: Mapping[str, str] = {
    STANDS: "stands",
    WITHDRAWN: "was withdrawn",
    MISSING: "was never given",
}
"""What the wearer may have said about the data of their watch."""
SHIFTS: Mapping[str, str] = {
    "-30d": "30 days ago",
    "-1d": "yesterday",
    "0h": "now",
    "2h": "in 2 hours",
    "12h": "in 12 hours",
    "1d": "in a day",
    "7d": "in 7 days",
    "30d": "in 30 days",
    "365d": "in a year",
}
"""Where the clock may be set; any other span may be written like these."""
LONGEST_SHIFT = timedelta(days=36_500)
MOST_ACTS = 20
LONGEST = 2_000
"""Characters of a field; of a comment a service takes more."""
PREFIX = "state:"


@dataclass(frozen=True, slots=True)
class Act:
    """What a clinician did with a card."""

    outcome: str
    """``accepted`` or ``overridden``."""
    card: str
    suggestion: str = ""
    system: str = ""
    code: str = ""
    comment: str = ""

    def as_feedback(self, at: datetime) -> dict[str, Any]:
        """Return it as the EHR sends it. Source: CDS Hooks 3.0.0 "Feedback"."""
        told: dict[str, Any] = {
            "card": self.card,
            "outcome": self.outcome,
            "outcomeTimestamp": at.astimezone(UTC).isoformat(timespec="seconds"),
        }
        if self.outcome == "accepted":
            told["acceptedSuggestions"] = [{"id": self.suggestion}]
            return told
        why: dict[str, Any] = {}
        if self.code:
            why["reason"] = {"system": self.system, "code": self.code}
        if self.comment:
            why["userComment"] = self.comment
        return {**told, "overrideReason": why} if why else told

    def as_text(self) -> str:
        """Return it as a field of the form holds it."""
        told = (self.outcome, self.card, self.suggestion, self.system, self.code)
        return json.dumps([*told, self.comment])


@dataclass(frozen=True, slots=True)
class PlayWish:
    """One play: which chart, which call, and what is otherwise than it should be."""

    chart: str = ""
    """The key of a choice."""
    upload: str = field(default="", repr=False)
    """The text of a Bundle."""
    client: str = ""
    """Who calls: a name in the clients file, or nobody that is known."""
    service: str = ""
    """Id and hook, with a blank between."""
    patient: str = ""
    user: str = ""
    token: str = field(default="", repr=False)
    """For a FHIR server; it is not sent back with the page."""
    states: Mapping[str, str] = field(default_factory=dict)
    """By prefetch key, where it is not sent."""
    shift: str = "0h"
    watch: str = ""
    """The scenario of a wearable, such as ``hour steady_tachy``."""
    format: str = "samples"
    consent: str = STANDS
    """One of ``CONSENTS``."""
    instance: str = ""
    opened: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    """When the play began: what times in charts are counted from."""
    acts: tuple[Act, ...] = ()

    @property
    def span(self) -> timedelta:
        """How far the clock is moved."""
        return read_span(self.shift)


def read_wish(
    form: MultiDict[str, str], files: MultiDict[str, FileStorage], now: datetime
) -> PlayWish:
    """Return what a form asks for; what cannot be read of it is as if not said."""
    upload = files.get("file")
    text = upload.read().decode("utf-8", "replace") if upload else ""
    consent = _text(form, "consent")
    states = {
        name.removeprefix(PREFIX): value
        for name, value in form.items()
        if name.startswith(PREFIX) and value in (DROPPED, FAILED)
    }
    return PlayWish(
        chart="upload" if text else _text(form, "chart"),
        upload=text or form.get("upload", ""),
        client=_text(form, "client"),
        service=_text(form, "service"),
        patient=_text(form, "patient"),
        user=_text(form, "user"),
        token=_text(form, "token"),
        states=states,
        shift=_shift(_text(form, "shift")),
        watch=_text(form, "watch"),
        format=_text(form, "format") or "samples",
        consent=consent if consent in CONSENTS else STANDS,
        instance=_uuid(_text(form, "instance")),
        opened=_moment(_text(form, "opened"), now),
        acts=tuple(_acts(form))[-MOST_ACTS:],
    )


def read_span(text: str) -> timedelta:
    """Return a span such as ``-12h`` or ``30d``; none where it is none."""
    number, unit = text[:-1], text[-1:]
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    try:
        span = timedelta(**{units[unit]: int(number)})
    except (KeyError, ValueError, OverflowError):
        return timedelta(0)
    return span if abs(span) <= LONGEST_SHIFT else timedelta(0)


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()[:LONGEST]


def _shift(text: str) -> str:
    return text if read_span(text) else "0h"


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid4())


def _moment(text: str, now: datetime) -> datetime:
    """When the play began, if that was today; else it begins now."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return now
    if said.tzinfo is None or abs(now - said) > timedelta(days=1):
        return now
    return said


def _acts(form: MultiDict[str, str]) -> Iterator[Act]:
    for text in form.getlist("act")[:MOST_ACTS]:
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(told, list) and len(told) == 6:
            if all(isinstance(each, str) for each in told):
                yield Act(*(each[:LONGEST] for each in told))
    outcome, _, rest = _text(form, "do").partition(" ")
    card, _, suggestion = rest.partition(" ")
    if outcome == "accepted" and suggestion:
        yield Act(outcome, card, suggestion)
    elif outcome == "overridden" and card:
        system, _, code = _text(form, f"reason:{card}").rpartition("|")
        comment = _text(form, f"comment:{card}")
        yield Act(outcome, card, "", system, code, comment)
