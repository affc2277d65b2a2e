"""What a FHIR server's refusal says about how it wants to be asked. Pure.

Only names of parameters are taken from what it says: what surrounds them may name the
patient, and is neither kept nor repeated.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .entries import is_resource
from .forms import DEMANDED, OPTIONAL, Form

COMBINATIONS = (
    "http://hl7.org/fhir/StructureDefinition/"
    "capabilitystatement-search-parameter-combination"
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HINTS = {
    "_sort": re.compile(r"\bsort(ing|ed)?\b", re.I),
    "_count": re.compile(r"\bpage ?size\b", re.I),
}
"""Words that servers use for a parameter without naming it."""
_DEMANDS = re.compile(
    r"\b(required?s?|must|mandatory|missing|needs?|needed|at least|provide|specify"
    r"|supply|expect(s|ed)?)\b",
    re.I,
)
_FORBIDS = re.compile(
    r"\b(un(supported|known|recogni[sz]ed|expected)|invalid|illegal"
    r"|not (be )?(supported|allowed|known|recogni[sz]ed|permitted|implemented))\b",
    re.I,
)
_ALLOWED = re.compile(
    r"(?<!not )\b(valid|supported|allowed|available|permitted|known)"
    r"( search)? parameters\b",
    re.I,
)
"""What follows lists what the server knows, and says nothing of what it refuses."""
_ALONE = re.compile(
    r"\b(multiple|several|more than one|only one|single|comma|one value|list of"
    r"|too many)\b",
    re.I,
)
_ERRORS = ("error", "fatal", None)


@dataclass(frozen=True, slots=True)
class QueryComplaint:
    """What a server said of the parameters of a search, each by name."""

    refused: frozenset[str] = frozenset()
    """That it does not take."""
    demanded: frozenset[str] = frozenset()
    """Without which it does not answer."""
    alone: frozenset[str] = frozenset()
    """That take one value at a time."""

    def __bool__(self) -> bool:
        return bool(self.refused or self.demanded or self.alone)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a CapabilityStatement says of searches; nothing where there is none."""

    searched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Resource type to the parameters that are listed for it."""
    combinations: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)
    """Resource type to the parameters that are to be used together."""


def read_refusal(outcome: Any, kind: str, sent: Mapping[str, int]) -> QueryComplaint:
    """Return what an OperationOutcome says of the parameters of a search.

    *sent* has for each parameter how many values it had.
    Source: FHIR R4 OperationOutcome; ``http.name`` in a location is a parameter.
    """
    told = is_resource(outcome, "OperationOutcome")
    issues = _dicts(outcome, "issue") if told else []
    # What is a remark beside an error is the reason where it stands alone.
    errors = [each for each in issues if each.get("severity") in _ERRORS]
    found = QueryComplaint()
    for issue in errors or issues:
        more = _read_issue(issue, kind, sent)
        found = QueryComplaint(
            found.refused | more.refused,
            found.demanded | more.demanded,
            found.alone | more.alone,
        )
    return found


def read_statement(value: Any) -> Statement:
    """Return what a CapabilityStatement lists; nothing where it is none."""
    searched, combinations = {}, {}
    for rest in _dicts(value, "rest"):
        for each in _dicts(rest, "resource"):
            kind = each.get("type")
            served = rest.get("mode", "server") == "server"
            if served and isinstance(kind, str) and kind in DEMANDED:
                names = {str(one.get("name")) for one in _dicts(each, "searchParam")}
                searched[kind] = frozenset(names)
                combinations[kind] = tuple(_combinations(each))
    return Statement(searched, combinations)


def amend(
    form: Form,
    sent: Mapping[str, int],
    status: int,
    complaint: QueryComplaint,
    statement: Callable[[], Statement],
) -> Iterator[Form]:
    """Forms in which a search may be taken that was refused in *form*, the best first.

    *sent* has for each parameter how many values it had. *statement* is asked for only
    where the refusal leaves open what was wrong.
    """
    if complaint:
        demanded = _fewest(form, complaint.demanded)
        yield form.leaving_out(complaint.refused).asking_for(demanded)
        if complaint.alone:
            yield _separated(form, complaint.alone)
    if not 400 <= status < 500:
        return
    yield form.leaving_out(["_count"])
    if "_id" in sent:
        yield _separated(form, ["_id"])
    elif status not in _NOT_THERE:
        yield from _guesses(form.leaving_out(OPTIONAL), sent, statement)


_NOT_THERE = (404, 405, 410)
"""What servers answer for a type that they do not have."""


def _fewest(form: Form, demanded: Iterable[str]) -> list[str]:
    """Of the parameters, one of which may be enough, those that cost no row; or one."""
    known = DEMANDED.get(form.kind, {})
    asked = {each.name for each in form.added}
    lacking = [name for name in known if name in demanded and name not in asked]
    return [name for name in lacking if known[name].needed] or lacking[:1]


def _guesses(
    bare: Form, sent: Mapping[str, int], statement: Callable[[], Statement]
) -> Iterator[Form]:
    """Yield what to try with a server that does not say what it wants.

    Its CapabilityStatement comes last: many are long and slow to come.
    """
    yield bare
    several = [name for name, count in sent.items() if count > 1]
    if several:
        yield _separated(bare, several)
    known = DEMANDED.get(bare.kind, {})
    usual = [name for name in known if known[name].needed][:1]
    if _fewest(bare, usual):
        yield bare.asking_for(usual)
    yield from _by_statement(bare, set(sent) - set(bare.without), statement())


def _by_statement(bare: Form, sent: set[str], said: Statement) -> Iterator[Form]:
    """Yield what the CapabilityStatement says that the server wants."""
    listed = said.searched.get(bare.kind, frozenset())
    together = [e for e in said.combinations.get(bare.kind, ()) if "patient" in e]
    if not any(each <= sent for each in together):
        able = sent | set(DEMANDED.get(bare.kind, {}))
        for each in sorted(together, key=lambda names: (len(names), sorted(names))):
            if each <= able:
                yield bare.asking_for(each - sent)
    if "code" in sent and listed and "code" not in listed:
        yield bare.leaving_out(["code"])


def _read_issue(
    issue: Mapping[str, Any], kind: str, sent: Mapping[str, int]
) -> QueryComplaint:
    text = _ALLOWED.split(" ".join(_texts(issue)))[0]
    named = set(_NAME.findall(text))
    named |= {name for name, words in _HINTS.items() if words.search(text)}
    forbids = issue.get("code") == "not-supported" or bool(_FORBIDS.search(text))
    demands = issue.get("code") == "required" or bool(_DEMANDS.search(text))
    several = {name for name, count in sent.items() if count > 1}
    alone = named & several
    if _ALONE.search(text) and not alone:
        alone = several
    refused = named & set(OPTIONAL) & set(sent)
    if forbids and not alone:
        refused |= named & {"code"} & set(sent)
    demanded = (named & set(DEMANDED.get(kind, {}))) - set(sent) if demands else set()
    return QueryComplaint(frozenset(refused), frozenset(demanded), frozenset(alone))


def _texts(issue: Mapping[str, Any]) -> Iterator[str]:
    details = issue.get("details")
    held = details if isinstance(details, dict) else {}
    told = [issue.get("diagnostics"), held.get("text")]
    told += [each.get("display") for each in _dicts(held, "coding")]
    for name in ("location", "expression"):
        listed = issue.get(name)
        told += listed if isinstance(listed, list) else [listed]
    yield from (each for each in told if isinstance(each, str))


def _separated(form: Form, names: Iterable[str]) -> Form:
    if "_id" in names:
        return replace(form, as_reads=True)
    return form.separating(names)


def _combinations(resource: Mapping[str, Any]) -> Iterator[frozenset[str]]:
    """Source: the CapabilityStatement of US Core, which servers copy."""
    for extension in _dicts(resource, "extension"):
        if extension.get("url") == COMBINATIONS:
            yield frozenset(
                str(each.get("valueString"))
                for each in _dicts(extension, "extension")
                if each.get("url") == "required"
            )


def _dicts(holder: Any, name: str) -> list[Any]:
    held = holder.get(name) if isinstance(holder, dict) else None
    return [e for e in held if isinstance(e, dict)] if isinstance(held, list) else []
