"""Entries of a Bundle that are no match: what they say about those that are. Pure.

An OperationOutcome is judged by the type of its issues before their severity: a server
that leaves something out says so as a warning, or for information, since nothing went
wrong. What a type means is looked up in one table, ``ISSUE_TYPES``.

Source: FHIR R4, R4B and R5 "issue-type", "issue-severity", "search-entry-mode".
"""

from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum
from typing import Any

from .chart import Resource


class Told(IntEnum):
    """What is told of the rest; a larger value is worse."""

    ROUTINE = 0
    """Nothing that raises a doubt."""
    LACKING = 1
    """Some of what there is was not sent, or may not have been."""
    FAILED = 2
    """What was asked could not be done."""


ISSUE_TYPES: Mapping[str, tuple[Told, str]] = {
    "invalid": (Told.LACKING, "what is held or asked is wrong, and may be left out"),
    "structure": (Told.LACKING, "a resource cannot be written as FHIR, so is not sent"),
    "required": (Told.LACKING, "a resource without an element it needs is not sent"),
    "value": (Told.LACKING, "a value is wrong: of a resource, or of what was asked"),
    "invariant": (Told.LACKING, "a resource breaks a rule of its type, and may lack"),
    "security": (Told.LACKING, "who asks may not see all"),
    "login": (Told.LACKING, "who asks is to log in to see the rest"),
    "unknown": (Told.LACKING, "who asks is not known to who holds the rest"),
    "expired": (Told.LACKING, "the session ended before all was sent"),
    "forbidden": (Told.LACKING, "who asks may not see all"),
    "suppressed": (Told.LACKING, "what may not be shown was left out"),
    "processing": (Told.ROUTINE, "said of nearly every answer by widespread servers"),
    "not-supported": (Told.ROUTINE, "a parameter was ignored: more came, not less"),
    "duplicate": (Told.ROUTINE, "the same is there twice"),
    "multiple-matches": (Told.LACKING, "it was not clear which of several is meant"),
    "not-found": (Told.ROUTINE, "there is nothing; that is what an empty answer says"),
    "deleted": (Told.ROUTINE, "it was there once and is not any more"),
    "too-long": (Told.LACKING, "what is too long is cut off or not sent"),
    "code-invalid": (Told.LACKING, "a code was not understood, so not looked for"),
    "extension": (Told.LACKING, "a resource with what is not understood is not sent"),
    "too-costly": (Told.LACKING, "the search was given up before its end"),
    "business-rule": (Told.LACKING, "a rule of the house stood against some of it"),
    "conflict": (Told.LACKING, "what was being changed is not sent"),
    "limited-filter": (Told.ROUTINE, "a filter was left out: more came, not less"),
    "transient": (Told.LACKING, "a part could not be reached for now"),
    "lock-error": (Told.LACKING, "a record was locked, so is not sent"),
    "no-store": (Told.LACKING, "a part of the store could not be reached"),
    "exception": (Told.LACKING, "something broke on the way to the answer"),
    "timeout": (Told.LACKING, "a part did not come in time"),
    "incomplete": (Told.LACKING, "not all sources were asked, or answered"),
    "throttled": (Told.LACKING, "too much was asked, so not all was answered"),
    "informational": (Told.ROUTINE, "a remark that has nothing to do with the answer"),
    "success": (Told.ROUTINE, "all went well"),
}
"""What an issue of each type tells, whatever its severity, and why.

One that is ``ROUTINE`` as a warning is a failure as an error.
"""

COMES_ALONG = frozenset(
    {
        *("Device", "Encounter", "Location", "Medication", "Organization", "Patient"),
        *("Practitioner", "PractitionerRole", "Provenance", "RelatedPerson"),
    }
)
"""Types that stand beside matches, as who and what those refer to."""

CONTAINERS = frozenset(
    {
        *("batch", "batch-response", "collection", "document", "history", "message"),
        *("transaction", "transaction-response"),
    }
)
"""Types of Bundle that hold whatever somebody put into them."""


class Place(Enum):
    """What an entry of another type than was asked for is to the search."""

    BESIDE = "beside"
    """Said to come along, or to tell of the search itself."""
    UNSAID = "unsaid"
    """It can come along with matches, if there are any."""
    STRAY = "stray"
    """It answers another question than was asked."""


def place_of(entry: Mapping[str, Any], bundle: Mapping[str, Any]) -> Place:
    """Return what an *entry* of another type than was asked for is in its *bundle*.

    A searchset says of an entry why it is there; where it does not, only what matches
    refer to may stand beside them. Charts and test data come as collections of many
    types under every key, and what those hold besides raises no doubt.
    """
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    mode = mode.strip().lower() if isinstance(mode, str) else ""
    if mode in ("include", "outcome"):
        return Place.BESIDE
    resource = entry.get("resource")
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if mode != "match" and (is_container(bundle) or _is_one_of(kind, COMES_ALONG)):
        return Place.UNSAID
    return Place.STRAY


def is_container(bundle: Mapping[str, Any]) -> bool:
    """Check whether a Bundle holds whatever somebody put into it."""
    return _is_one_of(bundle.get("type"), CONTAINERS)


def _is_one_of(value: Any, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def judge_outcome(outcome: Resource) -> tuple[Told, tuple[str, ...]]:
    """Return the worst that an OperationOutcome tells, and the issue types that do.

    One that cannot be read tells the worst that it could.
    """
    issues = outcome.get("issue")
    if not isinstance(issues, list):
        return Told.FAILED, ()
    if not issues:
        return Told.LACKING, ()
    judged = [(judge_issue(each), type_of(each)) for each in issues]
    worst = max(told for told, _ in judged)
    types = [type for told, type in judged if told is worst is not Told.ROUTINE]
    return worst, tuple(dict.fromkeys(filter(None, types)))


def judge_issue(issue: Any) -> Told:
    """Return what one issue of an OperationOutcome tells."""
    severity = issue.get("severity") if isinstance(issue, dict) else None
    if severity not in _HARMLESS:
        return Told.FAILED
    told, _ = ISSUE_TYPES.get(type_of(issue), (Told.LACKING, ""))
    return told


def type_of(issue: Any) -> str:
    """Return the issue's type; empty where FHIR knows no such type."""
    code = issue.get("code") if isinstance(issue, dict) else None
    code = code.strip().lower() if isinstance(code, str) else ""
    return code if code in ISSUE_TYPES else ""


def grave_issues(outcome: Resource) -> Iterator[Any]:
    """Yield the issues that tell of more than routine; all where none can be read."""
    issues = outcome.get("issue")
    for each in issues if isinstance(issues, list) and issues else [None]:
        if judge_issue(each) is not Told.ROUTINE:
            yield each


_HARMLESS = ("warning", "information", "success")
