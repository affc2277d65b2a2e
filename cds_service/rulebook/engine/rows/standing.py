"""Whether a resource counts: what its status, in any FHIR release, says of it.

Source: FHIR R4, and what DSTU2, STU3 and R5 wrote otherwise.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, tzinfo
from enum import Enum
from typing import Any

from ....fhir.chart import Resource
from ....fhir.moments import parse_moment
from .coded import codings, is_misshapen, texts_of
from .problems import (
    Abated,
    Ending,
    Times,
    abated,
    abatement_moment,
    is_long_ago,
)
from .readings import flag, is_true, items, text_of


class Standing(Enum):
    """Whether a resource counts under a fact's status.

    Beside the first three, what the record leaves open, in the words that are said.
    """

    COUNTS = 1
    DOES_NOT = 2
    UNCLEAR = 3
    """Its status cannot be read."""
    ON_HOLD = "on hold"
    NOT_TO_GIVE = "an order not to give it"
    STATUS_UNKNOWN = "recorded with an unknown status"
    TAKEN_UNKNOWN = "recorded as not known whether it is taken"
    REPORT_UNKNOWN = "planned, and not known whether it is taken"
    REPORTED_UNORDERED = "reported, and recorded as no more than proposed"
    UNCATEGORISED = "recorded without a category"
    OLD_ENCOUNTER = "a diagnosis of an encounter long ago, without a status"
    UNDATED_ENCOUNTER = "a diagnosis of an encounter, without a date and a status"
    END_UNKNOWN = "recorded with an end of which the date is not known"
    SUPPLY_ENDED = "active, but its supply ended long ago"
    SUPPLY_LASTS = "completed, but what was supplied lasts longer"
    NOT_BEGUN = "it is to be taken from a later time on"
    LATER_STOPPED = "active, but a later entry of it was stopped"
    LATER_COMPLETED = "active, but a later order of it is completed"
    LATER_NOT_TAKEN = "active, but a later entry says that it is not taken"
    LATER_HELD = "active, but a later entry is on hold or an order not to give it"

    @property
    def leaves_open(self) -> str:
        """What the record leaves open, as a phrase; empty if nothing."""
        return self.value if isinstance(self.value, str) else ""


_ACTIVE = {"active", "recurrence", "relapse"}
_INACTIVE = {"inactive", "remission", "resolved"}
_CLINICAL = _ACTIVE | _INACTIVE
_NEVER = {"refuted", "entered-in-error"}
_UNSURE = {"unconfirmed", "provisional", "differential", "unknown"}
_VERIFIED = _NEVER | _UNSURE | {"confirmed"}


def condition_standing(
    resource: Resource,
    policy: str,
    confirmed: bool,
    times: Times,
    categories: Collection[str] = (),
) -> Standing:
    """Return whether a Condition counts as ``active``, ``resolved``, ``any`` …

    Args:
        categories: Those that count; all if there are none.
    """
    written = resource.get("verificationStatus")
    verification = _status(written, _VERIFIED)
    if verification and verification not in _VERIFIED or _is_split(written, _NEVER):
        return Standing.UNCLEAR
    if verification in _NEVER or (confirmed and verification != "confirmed"):
        return Standing.DOES_NOT
    of = _categories(resource)
    if categories and of and of.isdisjoint(categories):
        return Standing.DOES_NOT
    said = _by_clinical_status(resource, policy, times, of)
    if said is Standing.COUNTS and categories and not of:
        return Standing.UNCATEGORISED
    return said


_ENDED = {"resolved": "resolved", "inactive": "inactive", "remission": "in remission"}


def problem_ending(resource: Resource, times: Times) -> Ending | None:
    """Return how a Condition is over; None where it is not, or never was.

    Source: FHIR R4 Condition.clinicalStatus, abatement[x].
    """
    if _status(resource.get("verificationStatus"), _VERIFIED) in _NEVER:
        return None
    clinical = _status(resource.get("clinicalStatus"), _CLINICAL)
    at = abatement_moment(resource, times)
    if not clinical and abated(resource, times) is Abated.YES:
        return Ending("ended", at)
    word = _ENDED.get(clinical)
    return Ending(word, at) if word else None


_ENCOUNTER, _LISTED = "encounter-diagnosis", "problem-list-item"
_CATEGORIES: Mapping[str, str] = {
    _LISTED: _LISTED,
    _ENCOUNTER: _ENCOUNTER,
    "health-concern": "health-concern",
    "problem": _LISTED,
    "75326-9": _LISTED,
}
"""Categories as R4 and US Core, DSTU2 and the IPS (LOINC) write them."""


def _categories(resource: Resource) -> set[str]:
    """The categories of a Condition, of those that a fact may ask for."""
    written = resource.get("category")
    if written is None:
        return set()
    several = written if isinstance(written, list) else [written]
    said = {_status(each, _CATEGORIES) for each in several}
    return {_CATEGORIES[each] for each in said & _CATEGORIES.keys()}


def _by_clinical_status(
    resource: Resource, policy: str, times: Times, categories: Collection[str]
) -> Standing:
    if policy == "any":
        return Standing.COUNTS
    written = resource.get("clinicalStatus")
    clinical = _status(written, _CLINICAL)
    if clinical and clinical not in _CLINICAL or _is_split(written, _INACTIVE):
        return Standing.UNCLEAR
    if not clinical:
        ended = abated(resource, times)
        if ended is Abated.OPEN:
            return Standing.END_UNKNOWN
        clinical = "inactive" if ended is Abated.YES else "active"
        if clinical == policy and set(categories) == {_ENCOUNTER}:
            return _of_encounter(resource, times)
    wanted = _INACTIVE if policy == "resolved" else _ACTIVE
    return Standing.COUNTS if clinical in wanted else Standing.DOES_NOT


def _of_encounter(resource: Resource, times: Times) -> Standing:
    """Check if what was diagnosed at an encounter, and never closed, still holds."""
    long_ago = is_long_ago(resource, times)
    if long_ago is None:
        return Standing.UNDATED_ENCOUNTER
    return Standing.OLD_ENCOUNTER if long_ago else Standing.COUNTS


_ORDERS = {"order", "original-order", "reflex-order", "filler-order", "instance-order"}
_NOT_ORDERS = {"proposal", "plan", "directive", "option"}
_REQUEST = {
    "current": {"active"},
    "stopped": {"stopped", "cancelled", "completed", "ended"},
    "any": {"active", "on-hold", "stopped", "cancelled", "completed", "ended", "draft"},
    "draft": {"draft", "active", "on-hold"},
}
_STATEMENT = {
    "current": {"active"},
    "stopped": {"stopped", "completed"},
    "any": {"active", "on-hold", "stopped", "completed", "intended"},
    "draft": set[str](),
}
_OPEN: Mapping[str, Standing] = {
    "on-hold": Standing.ON_HOLD,
    "unknown": Standing.STATUS_UNKNOWN,
    "taken-unknown": Standing.TAKEN_UNKNOWN,
}
"""Statuses that are neither of a medicine that is taken nor of one that is not."""
_KNOWN_STATUSES = (
    _REQUEST["any"] | _STATEMENT["any"] | {"entered-in-error", "not-taken"}
)
_ADHERENCE = {
    "taking": "active",
    "taking-as-directed": "active",
    "taking-not-as-directed": "active",
    "on-hold": "on-hold",
    "on-hold-as-directed": "on-hold",
    "on-hold-not-as-directed": "on-hold",
    "stopped": "stopped",
    "stopped-as-directed": "stopped",
    "stopped-not-as-directed": "stopped",
    "not-taking": "not-taken",
    "unknown": "taken-unknown",
}
"""What R5 says of taking a medicine, as the status that R4 has for it."""


def medication_standing(
    resource: Resource, policy: str, now: datetime, zone: tzinfo
) -> Standing:
    """Check if a MedicationRequest or MedicationStatement counts under *policy*."""
    status = word_of(resource.get("status"))
    is_request = resource.get("resourceType") == "MedicationRequest"
    if not is_request:
        status = statement_status(resource, status)
    if status not in _KNOWN_STATUSES and status not in _OPEN:
        return Standing.UNCLEAR
    said = _by_status(status, (_REQUEST if is_request else _STATEMENT)[policy], policy)
    if said is Standing.DOES_NOT:
        return said
    if is_request and policy != "draft":
        ordered = intent_standing(resource)
        if ordered is not Standing.COUNTS:
            return ordered
    not_to_give = flag(resource.get("doNotPerform"))
    if not_to_give is None:
        return Standing.UNCLEAR
    if not_to_give:
        return Standing.NOT_TO_GIVE if policy == "current" else Standing.DOES_NOT
    if policy == "current" and not is_request:
        return _by_end(resource, said, now, zone)
    return said


def intent_standing(request: Resource) -> Standing:
    """Check if a MedicationRequest is an order, or tells of one by somebody else."""
    intent = word_of(request.get("intent"))
    if intent in _ORDERS or (intent == "plan" and _is_reported(request)):
        return Standing.COUNTS
    if intent not in _NOT_ORDERS:
        return Standing.UNCLEAR
    if _says_reported(request):
        return Standing.REPORTED_UNORDERED
    unsaid = intent == "plan" and _may_be_reported(request)
    return Standing.REPORT_UNKNOWN if unsaid else Standing.DOES_NOT


def _by_status(status: str, counting: Collection[str], policy: str) -> Standing:
    if status in counting:
        return Standing.COUNTS
    if policy == "draft" or (policy == "stopped" and status == "on-hold"):
        return Standing.DOES_NOT
    return _OPEN.get(status, Standing.DOES_NOT)


_BY_PATIENT = "patientspecified"


def _is_reported(resource: Resource) -> bool:
    """Check if somebody reported that a medicine is taken, instead of ordering it.

    Source: US Core "Medication List": ``reported[x]``; a self-prescribed medicine has
    the patient, or a related person, as its requester. FHIR STU3 category.
    """
    requester = resource.get("requester")
    asked = requester.get("reference") if isinstance(requester, Mapping) else None
    whose = text_of(asked).split("/")
    categories = items(resource.get("category"))
    return (
        _says_reported(resource)
        or (len(whose) > 1 and whose[-2] in ("Patient", "RelatedPerson"))
        or any(_status(each, {_BY_PATIENT}) == _BY_PATIENT for each in categories)
    )


def _says_reported(resource: Resource) -> bool:
    # Who told of it, in R4 and in R5.
    sources = [resource.get("reportedReference"), resource.get("informationSource")]
    return (
        is_true(resource.get("reportedBoolean"))
        or is_true(resource.get("reported"))
        or any(each for source in sources for each in items(source))
    )


def _may_be_reported(resource: Resource) -> bool:
    """Check if ``reported[x]`` cannot be read, or a reason stands in its place."""
    written = [resource.get(name) for name in _REPORTED]
    said = [each for each in written if each is not None]
    if said:
        return any(flag(each) is None for each in said)
    return any(resource.get(f"_{name}") for name in _REPORTED)


_REPORTED = ("reportedBoolean", "reported")


def statement_status(resource: Resource, status: str) -> str:
    """The R4 status of a MedicationStatement of any release.

    Source: STU3 ``taken``, DSTU2 ``wasNotTaken``, R5 ``status`` and ``adherence``.
    """
    taken, was_not = resource.get("taken"), flag(resource.get("wasNotTaken"))
    if was_not is None or (taken is not None and word_of(taken) not in _TAKEN):
        return ""
    taken = word_of(taken)
    if was_not or taken == "n":
        return "entered-in-error" if status == "entered-in-error" else "not-taken"
    if taken in ("unk", "na") and status == "active":
        return "taken-unknown"
    if status != "recorded":
        return status
    adherence = resource.get("adherence")
    if adherence is None:
        return "active"
    code = adherence.get("code") if isinstance(adherence, Mapping) else None
    return _ADHERENCE.get(_status(code, _ADHERENCE), "")


def _by_end(
    resource: Resource, said: Standing, now: datetime, zone: tzinfo
) -> Standing:
    """Return what the end of its period makes of a statement that counts otherwise."""
    period = resource.get("effectivePeriod")
    if not isinstance(period, dict | None):
        return Standing.UNCLEAR
    end = period.get("end") if period else None
    if not isinstance(end, str | None):
        return Standing.UNCLEAR
    moment = parse_moment(end, zone)
    return Standing.DOES_NOT if moment is not None and moment.high < now else said


_RESULTS = {"final", "amended", "corrected"}
_NO_RESULTS = {"registered", "preliminary", "cancelled", "entered-in-error"}


def observation_standing(resource: Resource, policy: str) -> Standing:
    """Return whether an Observation counts: final, amended and corrected ones do."""
    status = word_of(resource.get("status"))
    if status in _RESULTS or (policy == "any" and status == "preliminary"):
        return Standing.COUNTS
    return Standing.DOES_NOT if status in _NO_RESULTS else Standing.UNCLEAR


_TAKEN = ("y", "n", "unk", "na")
_NO_CODE = "?"


def word_of(value: Any) -> str:
    """A code as it is compared; no code has upper case or spaces around it."""
    return text_of(value).strip().lower()


def _status(concept: Any, known: Collection[str]) -> str:
    """The code of a status that may be a CodeableConcept, or a bare code (DSTU2).

    Of several codings the first that is *known*. Empty where nothing is said; no code
    at all where it is said in a shape that FHIR does not know.
    """
    if concept is None:
        return ""
    if isinstance(concept, str):
        return concept.strip().lower()
    codes = [code.lower() for _, code, _ in codings(concept)]
    if not codes:
        if is_misshapen(concept):
            return _NO_CODE
        text = next(iter(texts_of(concept)), "")
        return text.strip().lower().replace(" ", "-")
    return next((code for code in codes if code in known), codes[0])


def _is_split(concept: Any, group: Collection[str]) -> bool:
    """Check if of several codings of a status some are of a *group*, and some not."""
    codes = {code.lower() for _, code, _ in codings(concept)} & (_VERIFIED | _CLINICAL)
    return not codes.isdisjoint(group) and not codes <= set(group)
