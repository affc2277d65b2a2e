"""What a clinician does with a card on its page, and what comes of that.

It takes the way of any feedback that an EHR sends: read by the same reader, kept in the
same rows, so that a card that is overridden here stays away as one that is overridden
there. Nothing is ordered by it.

Source: CDS Hooks 3.0.0 "Feedback".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from ...protocol.cards import Coding
from ...protocol.errors import InvalidRequest
from ...protocol.feedback import FeedbackEntry, FeedbackOutcome, parse_feedback
from ...rulebook.engine import AboutData, Alerting
from .shell import tell_moment

ACCEPTED, OVERRIDDEN = FeedbackOutcome
FOREIGN = "That is not one of the choices of this card."


@dataclass(frozen=True, slots=True)
class AnswerWords:
    """What became of a card, and what comes of it, in sentences."""

    text: str
    kind: str = "done"


@dataclass(frozen=True, slots=True)
class Effects:
    """What feedback about a card's rule brings about."""

    rule: str
    is_critical: bool
    about_data: AboutData
    zone: tzinfo

    @property
    def alerting(self) -> Alerting | None:
        """What the rule says of it; None where it is no longer served."""
        return self.about_data.rules.get(self.rule)


def read_answer(
    card: Mapping[str, Any],
    outcome: str,
    suggestions: Sequence[str],
    reason: str,
    comment: str,
    now: datetime,
) -> FeedbackEntry:
    """Return what somebody has done with a card.

    Args:
        outcome: ``accepted`` or ``overridden``.
        suggestions: Uuids of those that were taken.
        reason: ``system|code``, or nothing.

    Raises:
        InvalidRequest: if it is not what the card lets one choose from.
    """
    told: dict[str, Any] = {
        "card": card["uuid"],
        "outcome": outcome,
        "outcomeTimestamp": now.isoformat(),
    }
    if outcome == ACCEPTED:
        offered = {each["uuid"] for each in card.get("suggestions", ())}
        if not suggestions or not set(suggestions) <= offered:
            raise InvalidRequest(FOREIGN)
        told["acceptedSuggestions"] = [{"id": each} for each in suggestions]
    elif reason or comment:
        told["overrideReason"] = {**_reason(card, reason), "userComment": comment}
    (entry,) = parse_feedback({"feedback": [told]})
    return entry


def _reason(card: Mapping[str, Any], reason: str) -> dict[str, Any]:
    if not reason:
        return {}
    for each in card.get("overrideReasons", ()):
        if reason == f"{each['system']}|{each['code']}":
            return {"reason": each}
    raise InvalidRequest(FOREIGN)


def tell_answer(
    entry: FeedbackEntry, card: Mapping[str, Any], effects: Effects
) -> AnswerWords:
    """Return in sentences what was recorded of a card, and what comes of it."""
    at = tell_moment(entry.at.astimezone(effects.zone))
    if entry.outcome is ACCEPTED:
        labels = {each["uuid"]: each["label"] for each in card.get("suggestions", ())}
        taken = "; ".join(labels.get(each, "a suggestion") for each in entry.accepted)
        head = f"Recorded as accepted on {at}: {taken}."
    else:
        why = entry.reason.display if entry.reason else entry.comment
        head = f"Recorded as overridden on {at}{f': {why}' if why else ''}."
    return AnswerWords(" ".join([head, *_effects(entry, effects)]))


def _effects(entry: FeedbackEntry, effects: Effects) -> Iterator[str]:
    alerting = effects.alerting
    if alerting is None:
        yield "The rule is no longer in service, so this has no further effect."
        return
    if entry.outcome is ACCEPTED:
        length, whose = alerting.snooze_on_accept, "for everybody"
    else:
        reason = _key(entry.reason)
        disputed = effects.about_data.lasts(effects.rule, reason)
        if disputed:
            until = _until(disputed.after(entry.at, effects.zone), effects.zone)
            yield (
                f"Its data count as wrong until {until}, in every rule: cards"
                " that rest only on them are not shown."
            )
            return
        length = alerting.snoozed_for(reason)
        whose = "for everybody" if alerting.is_for_all else "for you"
    if length is None:
        yield "The card is shown again when its rule applies."
    elif effects.is_critical and not alerting.allow_suppress:
        yield "A critical card is still shown again while its rule applies."
    else:
        until = _until(length.after(entry.at, effects.zone), effects.zone)
        yield f"The card is not shown {whose} until {until}."


def _key(reason: Coding | None) -> str:
    return f"{reason.system}|{reason.code}" if reason else ""


def _until(at: datetime, zone: tzinfo) -> str:
    return tell_moment(at.astimezone(zone))
