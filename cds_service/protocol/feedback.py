"""Feedback: what a clinician did with a card, as the client reports it.

The codes of the reasons that every rule may offer are HL7's; the words shown beside
them are ours.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .cards import Coding
from .errors import MOST_ITEMS, InvalidRequest, Problem, Remarks
from .formats import is_opaque, parse_instant, parse_uuid

LONGEST_COMMENT = 4000
"""Characters. A comment may tell about the patient, so not more is kept than said."""
LONGEST_CODE = 1000
"""Characters of a system, a code or a display."""


class FeedbackOutcome(StrEnum):
    """What became of a card."""

    ACCEPTED = "accepted"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """What became of one card.

    Acceptance is of single suggestions; an override is of the whole card.
    """

    card: str
    """The card's uuid as it was sent out, or whatever else the client names."""
    outcome: FeedbackOutcome
    at: datetime
    """When the clinician acted; UTC."""
    accepted: tuple[str, ...] = ()
    """Uuids of the suggestions that were taken."""
    reason: Coding | None = None
    """Why the card was overridden; a code of ours or of the client's own."""
    comment: str = ""
    """In the clinician's words. May hold patient data: never logged."""


def parse_feedback(body: Any) -> tuple[FeedbackEntry, ...]:
    """Return the entries of one feedback message, in its order.

    Raises:
        InvalidRequest: naming the index of the entries that are wrong.

    Source: CDS Hooks 3.0.0 "Feedback".
    """
    if not isinstance(body, dict):
        raise InvalidRequest(Problem("The body must be a JSON object.", "$"))
    remarks = Remarks()
    sent = body.get("feedback")
    if not isinstance(sent, list):
        missing = sent is None
        remarks.wrong("$.feedback", "required" if missing else "must be an array")
        raise InvalidRequest(*remarks.problems)
    entries = []
    for index, each in enumerate(sent):
        entry = _entry(each, f"$.feedback[{index}]", remarks)
        if entry:
            entries.append(entry)
        elif index - len(entries) >= MOST_ITEMS:
            break
    if remarks.problems:
        raise InvalidRequest(*remarks.problems)
    return tuple(entries)


def _entry(value: Any, path: str, remarks: Remarks) -> FeedbackEntry | None:
    """One entry; none if something in it is wrong."""
    if not isinstance(value, dict):
        remarks.wrong(path, "must be an object")
        return None
    before = len(remarks.problems)
    card = _identifier(value.get("card"), f"{path}.card", remarks)
    outcome = _outcome(value.get("outcome"), f"{path}.outcome", remarks)
    at = _instant(value.get("outcomeTimestamp"), f"{path}.outcomeTimestamp", remarks)
    accepted: tuple[str, ...] = ()
    reason, comment = None, ""
    if outcome is FeedbackOutcome.ACCEPTED:
        accepted = _accepted(value.get("acceptedSuggestions"), path, remarks)
    if outcome is FeedbackOutcome.OVERRIDDEN:
        reason, comment = _override(value.get("overrideReason"), path, remarks)
    if len(remarks.problems) > before or outcome is None or at is None:
        return None
    return FeedbackEntry(card, outcome, at, accepted, reason, comment)


def _identifier(value: Any, path: str, remarks: Remarks) -> str:
    if value is None or value == "":
        remarks.wrong(path, "required")
    elif not isinstance(value, str) or not is_opaque(value):
        remarks.wrong(path, "must be a uuid")
    else:
        return parse_uuid(value) or value
    return ""


def _outcome(value: Any, path: str, remarks: Remarks) -> FeedbackOutcome | None:
    for outcome in FeedbackOutcome:
        if value == outcome.value:
            return outcome
    missing = value is None or value == ""
    remarks.wrong(path, "required" if missing else "must be accepted or overridden")
    return None


def _instant(value: Any, path: str, remarks: Remarks) -> datetime | None:
    moment = parse_instant(value) if isinstance(value, str) else None
    if moment is None:
        missing = value is None or value == ""
        text = "must be an RFC 3339 date and time with its zone"
        remarks.wrong(path, "required" if missing else text)
    return moment


def _accepted(value: Any, path: str, remarks: Remarks) -> tuple[str, ...]:
    path = f"{path}.acceptedSuggestions"
    if not isinstance(value, list) or not value:
        remarks.wrong(path, "required where a card is accepted")
        return ()
    ids = [each.get("id") if isinstance(each, dict) else None for each in value]
    wrong = (
        index
        for index, id in enumerate(ids)
        if not isinstance(id, str) or not is_opaque(id)
    )
    remarks.wrong_items(path, wrong, "must be an object with an id")
    return tuple(parse_uuid(id) or id for id in ids if isinstance(id, str))


def _override(value: Any, path: str, remarks: Remarks) -> tuple[Coding | None, str]:
    """The reason and the comment of an override, both optional.

    Clients of 2020 and before send the reason's coding without ``reason`` around it.
    """
    path = f"{path}.overrideReason"
    if value is None or value == {}:
        return None, ""
    if not isinstance(value, dict):
        remarks.wrong(path, "must be an object")
        return None, ""
    comment = _comment(value.get("userComment"), f"{path}.userComment", remarks)
    if "reason" not in value and "code" in value:
        return _coding(value, path, remarks), comment
    if value.get("reason") in (None, {}):
        if not comment:
            remarks.wrong(path, "must hold a reason or a userComment")
        return None, comment
    return _coding(value["reason"], f"{path}.reason", remarks), comment


def _coding(value: Any, path: str, remarks: Remarks) -> Coding | None:
    if not isinstance(value, dict):
        remarks.wrong(path, "must be a Coding")
        return None
    return Coding(
        system=_word(value, "system", path, remarks),
        code=_word(value, "code", path, remarks),
        display=_word(value, "display", path, remarks, required=False),
    )


def _word(
    coding: Mapping[str, Any],
    name: str,
    path: str,
    remarks: Remarks,
    *,
    required: bool = True,
) -> str:
    """One member of a Coding; empty if it has none."""
    value = coding.get(name)
    if value is None or value == "":
        if required:
            remarks.wrong(f"{path}.{name}", "required")
        return ""
    if not isinstance(value, str) or not _keepable(value):
        remarks.wrong(f"{path}.{name}", "must be a string")
        return ""
    if len(value) > LONGEST_CODE:
        remarks.wrong(f"{path}.{name}", f"longer than {LONGEST_CODE} characters")
    return value


def _comment(value: Any, path: str, remarks: Remarks) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        remarks.wrong(path, "must be a string")
        return ""
    if len(value) > LONGEST_COMMENT:
        remarks.wrong(path, f"longer than {LONGEST_COMMENT} characters")
    return "".join(each for each in value if each in "\n\t" or _keepable(each)).strip()


def _keepable(text: str) -> bool:
    """Check if every database can keep *text*: no control characters, no half pairs."""
    return not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)


# Reasons for overriding a card, whatever its rule. Source: CDS Hooks 3.0.0 "Reasons for
# rejecting a card" (clinical value set)

NON_ADHERENCE = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"

OVERRIDE_REASONS: Mapping[str, Coding] = {
    code: Coding(NON_ADHERENCE, code, display)
    for code, display in (
        ("action-completed", "Already done"),
        ("cds-not-applicable", "Does not apply to this patient"),
        ("cds-suboptimal-context", "Wrong time or place for this advice"),
        ("does-not-align-preferences", "Does not fit the patient's preferences"),
        ("not-convenient-feasible", "Not convenient or feasible"),
        ("patient-contraindication", "Contraindicated in this patient"),
        ("patient-refuses", "Patient declines"),
        ("recipient-concerns-outcomes", "Concerned about the outcome"),
        ("recipient-disagrees-evidence", "Disagree with the evidence"),
        ("recipient-does-not-understand", "Advice is not clear"),
        ("service-not-available", "Service is not available"),
        ("too-costly-uncovered", "Too costly or not covered"),
    )
}
"""By code."""
