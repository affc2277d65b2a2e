"""The entries of Bundles, one by one: kept, set aside, dropped or counted. Pure.

Those that are no match say something about those that are. An OperationOutcome is
judged by the type of its issues before their severity: a server that leaves something
out says so as a warning, or for information, since nothing went wrong. What a type
means is looked up in one table, ``ISSUE_TYPES``.

Source: FHIR R4, R4B and R5 "issue-type", "issue-severity", "search-entry-mode".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any

from ..protocol.formats import is_whole
from .chart import Resource, Source, SourceState, Unusable, is_cut
from .subjects import Identity, Whose, bundle_resources, whose


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
    severity = severity.strip().lower() if isinstance(severity, str) else ""
    if severity not in _HARMLESS:
        return Told.FAILED
    told, _ = ISSUE_TYPES.get(type_of(issue), (Told.LACKING, ""))
    if type_of(issue) in _REMARKS and any(map(_LEFT_OUT.search, words_of(issue))):
        return Told.LACKING
    return told


_REMARKS = ("processing", "informational", "success")
"""Types under which servers say whatever they have to say."""
_LEFT_OUT = re.compile(
    r"\b(withheld|suppressed|redacted|masked|restricted|truncated|unauthori[sz]ed"
    r"|break[ -]the[ -]glass"
    r"|not (be |been )?(authori[sz]ed|returned|included|shown|displayed|released))\b",
    re.IGNORECASE,
)
"""Words by which a remark says that some of what there is was not sent."""


def words_of(issue: Any) -> Iterator[str]:
    """Yield what an issue says to people."""
    details = issue.get("details")
    held = details if isinstance(details, dict) else {}
    told = [issue.get("diagnostics"), held.get("text")]
    told += [each.get("display") for each in _objects(held.get("coding"))]
    yield from (each for each in told if isinstance(each, str))


def type_of(issue: Any) -> str:
    """Return the issue's type; empty where FHIR knows no such type."""
    code = issue.get("code") if isinstance(issue, dict) else None
    code = code.strip().lower() if isinstance(code, str) else ""
    return code if code in ISSUE_TYPES else ""


def refused_by(page: Any) -> Resource | None:
    """Return the OperationOutcome by which a search was refused although it answered.

    One in place of a Bundle is a refusal whatever it tells; one in a Bundle if it tells
    of an error and nothing else came.
    """
    if is_resource(page, "OperationOutcome"):
        return dict(page)
    said = _said_of_nothing(page)
    return next((e for e in said if judge_outcome(e)[0] is Told.FAILED), None)


def remarked_by(page: Any) -> Resource | None:
    """Return the OperationOutcome in a Bundle with nothing else that says that
    something is not supported, if there is one.
    """
    for each in _said_of_nothing(page):
        if "not-supported" in map(type_of, _objects(each.get("issue"))):
            return each
    return None


def _said_of_nothing(page: Any) -> list[Resource]:
    """The OperationOutcomes of a Bundle in which nothing else stands."""
    if not is_resource(page, "Bundle"):
        return []
    found = [each.get("resource") for each in _objects(page.get("entry"))]
    found = [each for each in (*found, page.get("issues")) if each is not None]
    alone = all(is_resource(each, "OperationOutcome") for each in found)
    return found if alone else []


def _objects(value: Any) -> list[Any]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, dict)]


def grave_issues(outcome: Resource) -> Iterator[Any]:
    """Yield the issues that tell of more than routine; all where none can be read."""
    issues = outcome.get("issue")
    for each in issues if isinstance(issues, list) and issues else [None]:
        if judge_issue(each) is not Told.ROUTINE:
            yield each


_HARMLESS = ("warning", "information", "success")


_SET_ASIDE = ("Patient", "Medication")


@dataclass(slots=True)
class Rows:
    """What the entries of Bundles come to, one after another."""

    wanted: str
    """The resource type asked for; empty for the context's own orders of any type."""
    identity: Identity
    resources: list[Resource] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    foreign: int = 0
    matched: int = 0
    told: Told = Told.ROUTINE
    """The worst that an OperationOutcome among the entries tells."""
    types: list[str] = field(default_factory=list)
    """Of the issues that tell more than routine."""
    unsupported: bool = False
    """Whether an issue says that something is not supported."""
    strays: int = 0
    """Entries that answer another question."""
    unsaid: bool = False
    """Whether there is something of another type, and no word of why."""
    is_chart: bool = False
    """Whether it is a collection that holds the patient as well."""
    is_cut: bool = False
    """Whether a Bundle is labelled as a part of what there is."""
    by_name: dict[str, Resource] = field(default_factory=dict)
    """Those of ``resources`` that have an id, by ``Type/id``."""

    def take_pages(self, pages: Iterable[Any]) -> None:
        """Take every entry of every Bundle."""
        for page in pages:
            if not is_resource(page, "Bundle"):
                self.unusable.append(Unusable("not a Bundle"))
                continue
            entries = page.get("entry")
            if entries is not None and not isinstance(entries, list):
                self.unusable.append(Unusable("entries are not a list"))
                continue
            for entry in entries or ():
                resource = entry.get("resource") if isinstance(entry, dict) else None
                self.take(resource, entry, page)
            if is_resource(page.get("issues"), "OperationOutcome"):
                self._heed(page["issues"])  # where R5 has it
            self.is_chart = self.is_chart or self._is_chart(page)
            self.is_cut = self.is_cut or is_cut(page)

    def take(self, resource: Any, entry: Any = None, bundle: Any = None) -> None:
        """Take what stands in one *entry* of a *bundle*, or in none."""
        if not isinstance(resource, dict):
            self.unusable.append(Unusable("entry without a resource"))
            return
        kind = resource.get("resourceType")
        if kind == self.wanted and kind:
            self._take_match(resource)
        elif not isinstance(kind, str):
            self.unusable.append(Unusable("no resourceType"))
        elif kind == "Bundle":
            self.unusable.append(Unusable("a Bundle in a Bundle"))
        elif kind == "OperationOutcome":
            self._heed(resource)
        elif not self.wanted and kind not in _SET_ASIDE:
            self._take_match(resource)
        elif self.wanted and kind.strip().lower() == self.wanted.lower():
            self.unusable.append(Unusable("resourceType misspelled"))
        elif self.wanted:
            place = Place.BESIDE if entry is None else place_of(entry, bundle)
            self._take_other(resource, place)

    def source(self, name: str, why: str, origin: str) -> Source:
        """Return the source that the rows make; *why* says why more may exist."""
        nothing = not self.matched and len(self.unusable) == self.strays
        if self.told is Told.FAILED and nothing:
            failure = joined(["OperationOutcome", why])
            return Source(name, SourceState.MISSING, why=failure, origin=origin)
        reasons = joined([why, *self._doubts()])
        return Source(
            name=name,
            state=SourceState.PARTIAL if reasons else SourceState.LOADED,
            resources=tuple(self.resources),
            why=reasons,
            unusable=tuple(self.unusable),
            foreign=self.foreign,
            origin=origin,
        )

    def _heed(self, outcome: Resource) -> None:
        told, types = judge_outcome(outcome)
        self.told = max(self.told, told)
        self.types += types
        named = map(type_of, _objects(outcome.get("issue")))
        self.unsupported = self.unsupported or "not-supported" in named

    def _doubts(self) -> Iterator[str]:
        """Why more may exist, by what came."""
        if len(self.unusable) > self.strays:
            yield "entries unreadable"
        if self.strays:
            yield "entries of another type"
        if self.unsaid and not self.matched and not self.is_chart:
            yield "nothing of the type that was asked for"
        if self.unsupported and not self.matched:
            yield "nothing came, and something is not supported"
        if self.is_cut:
            yield "the bundle is labelled as cut"
        types = f" ({', '.join(dict.fromkeys(self.types))})" if self.types else ""
        if self.told is Told.FAILED:
            yield f"OperationOutcome beside the matches{types}"
        if self.told is Told.LACKING:
            yield f"an OperationOutcome says that not all came{types}"

    def _take_other(self, resource: Resource, place: Place) -> None:
        if place is Place.STRAY:
            self.strays += 1
            reference = reference_of(resource)
            self.unusable.append(Unusable("not the type asked for", reference))
        self.unsaid = self.unsaid or place is Place.UNSAID

    def _is_chart(self, page: Resource) -> bool:
        return is_container(page) and any(
            each.get("id") == self.identity.patient_id
            for _, each in bundle_resources([page], "Patient")
        )

    def _take_match(self, resource: Resource) -> None:
        self.matched += 1
        verdict = whose(resource, self.identity)
        if verdict is Whose.NOBODY and not self.wanted:
            verdict = Whose.OWN
        reference = reference_of(resource)
        if verdict is Whose.FOREIGN:
            self.foreign += 1
        elif verdict is not Whose.OWN:
            self.unusable.append(Unusable(verdict.value, reference))
        elif reference in self.by_name:
            self._take_again(resource, reference)
        else:
            self.resources.append(resource)
            if reference:
                self.by_name[reference] = resource

    def _take_again(self, resource: Resource, reference: str) -> None:
        """Take a resource whose id came before: the newer version of it counts.

        Two that are not versions of one another are not told apart by that id.
        """
        held = self.by_name[reference]
        if resource == held:
            return
        newer = _is_newer(resource, held)
        if newer:
            place = next(n for n, each in enumerate(self.resources) if each is held)
            self.resources[place] = self.by_name[reference] = resource
        elif newer is None:
            self.unusable.append(Unusable("another resource has this id", reference))


def is_resource(value: Any, resource_type: str) -> bool:
    """Check whether *value* claims to be a resource of that type."""
    return isinstance(value, dict) and value.get("resourceType") == resource_type


def total_of(page: Any) -> int | None:
    """Return how many matches a Bundle says that there are; None where it does not."""
    total = page.get("total") if is_resource(page, "Bundle") else None
    if isinstance(total, str) and total.strip().isdecimal():
        return int(total) if len(total) < _DIGITS else None
    if isinstance(total, float) and total.is_integer():
        return int(total)
    return total if isinstance(total, int) else None


def next_link(page: Any) -> str | None:
    """Return the address of the page after *page*; none where it is the last.

    Empty where there is such a link but no address in it.
    """
    links = page.get("link") if is_resource(page, "Bundle") else None
    for link in links if isinstance(links, list) else [links]:
        if not isinstance(link, dict):
            continue
        relation = link.get("relation")
        if isinstance(relation, str) and relation.strip().lower() == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def reference_of(resource: Resource) -> str:
    """Return ``Type/id``; empty without an id, or with half a character in it."""
    identifier = resource.get("id")
    if not isinstance(identifier, str) or not identifier or not is_whole(identifier):
        return ""
    return f"{resource['resourceType']}/{identifier}"


def joined(reasons: Iterable[str]) -> str:
    """Return the reasons in one phrase, each once."""
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _is_newer(one: Resource, other: Resource) -> bool | None:
    """Return whether *one* is the later version; None where neither can be told to be.

    Source: FHIR R4 Meta.
    """
    versions = [_meta(each, "versionId") for each in (one, other)]
    if all(each.isdecimal() and len(each) < _DIGITS for each in versions):
        if versions[0] != versions[1]:
            return int(versions[0]) > int(versions[1])
    try:
        new, old = (
            datetime.fromisoformat(_meta(each, "lastUpdated")) for each in (one, other)
        )
        return None if new == old else new > old
    except (ValueError, TypeError):
        return None


_DIGITS = 19


def _meta(resource: Resource, name: str) -> str:
    meta = resource.get("meta")
    held = meta.get(name) if isinstance(meta, dict) else None
    return held if isinstance(held, str) else ""
