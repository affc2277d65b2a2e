"""Entries of the pages of a search, one by one, and what a whole search lacks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..fhir.entries import Place, grave_issues, is_resource, place_of
from ..fhir.foreign_text import outcome_text
from ..fhir.questions import with_count
from .server import FhirServer, ServerFailure

NAMED = 50
"""So many entries that could not be read are named, the rest only counted."""
BARREN = 200
"""Pages in a row without anything new, after which a server is taken to go round."""

_NOT_THE_SIZE = (401, 403, 404, 408, 425, 429)


class Role(Enum):
    """What an entry is to the search."""

    MATCH = "match"
    OTHER = "other"
    """Of another type, or beside the matches."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class PageEntry:
    """One entry of a page."""

    role: Role
    name: str
    """Its id, as far as one can be told, or its place."""
    resource: Mapping[str, Any]
    """Empty where it cannot be read."""


@dataclass(frozen=True, slots=True)
class SearchTally:
    """What came of a search."""

    found: int
    total: int | None
    """How many there are, where the server says."""
    unreadable: int
    names: Sequence[str]
    """Of entries that could not be read, the first of them."""
    errors: Sequence[str]
    """What the server says went wrong, beside what it found."""


def entries_of(page: Mapping[str, Any], kind: str) -> Iterator[PageEntry]:
    """Yield every entry of a page of a search for resources of a type."""
    for place, entry in enumerate(page.get("entry") or (), 1):
        name = _name(entry, place)
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if not isinstance(resource, Mapping) or _is_unclear(resource, kind):
            yield PageEntry(Role.UNREADABLE, name, {})
        elif _is_astray(entry, page, kind):
            yield PageEntry(Role.UNREADABLE, f"{name} (not a {kind})", {})
        elif resource["resourceType"] != kind or not _matches(entry):
            yield PageEntry(Role.OTHER, name, resource)
        else:
            yield PageEntry(Role.MATCH, name, resource)
    if is_resource(page.get("issues"), "OperationOutcome"):  # where R5 has it
        yield PageEntry(Role.OTHER, "issues", page["issues"])


def errors_of(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield what went wrong or is lacking, as entries beside the matches tell."""
    if is_resource(resource, "OperationOutcome"):
        for issue in grave_issues(resource):
            yield outcome_text({**resource, "issue": [issue]}) or "no reason given"


def pages_of(
    server: FhirServer, search: str, count: int
) -> Iterator[Mapping[str, Any]]:
    """Yield every page of a search, in turn. Raises ServerFailure.

    As elsewhere, a server that refuses our page size is asked without one.
    """
    address = f"{server.base}/{with_count(search, count)}"
    try:
        page = server.page(address)
    except ServerFailure as failure:
        if not refuses_size(failure):
            raise
        address = f"{server.base}/{search}"
        page = server.page(address)
    while True:
        yield page
        following = server.following(page, address)
        if not following:
            return
        address, page = following, server.page(following)


def refuses_size(failure: ServerFailure) -> bool:
    """Check whether a first page may come where no size is asked for."""
    return 400 <= failure.status < 500 and failure.status not in _NOT_THE_SIZE


def complaints(tally: SearchTally, many: str, left: str) -> Iterator[str]:
    """Yield a sentence for each reason why a search may not have found all there is.

    Args:
        many: What was searched, such as ``patients``.
        left: What entries that could not be read are not, such as ``in the file``.
    """
    if tally.unreadable:
        more = tally.unreadable - len(tally.names)
        rest = f" and {more} more" if more else ""
        yield (
            f"{counted(tally.unreadable, 'entry', 'entries')} could not be read "
            f"and are not {left}: {', '.join(tally.names)}{rest}."
        )
    for each in dict.fromkeys(tally.errors):
        yield f"The server says that something went wrong: {each}."
    came = tally.found + tally.unreadable
    if tally.total is not None and came < tally.total:
        yield f"The server says that there are {tally.total} {many}, and {came} came."


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many}"


def _is_unclear(resource: Mapping[str, Any], kind: str) -> bool:
    """Return whether it may be, or hold, what is searched, and not say so."""
    found = resource.get("resourceType")
    if not isinstance(found, str):
        return True
    return found != kind and found.strip().lower() in (kind.lower(), "bundle")


def _is_astray(entry: Any, page: Mapping[str, Any], kind: str) -> bool:
    """Return whether it answers another question than was asked."""
    if entry["resource"]["resourceType"] in (kind, "OperationOutcome"):
        return False
    place = place_of(entry, page)
    return place is Place.STRAY or place is Place.UNSAID and not _holds(page, kind)


def _holds(page: Mapping[str, Any], kind: str) -> bool:
    """Return whether there is anything that others can come along with."""
    entries = (each for each in page.get("entry") or () if isinstance(each, Mapping))
    return any(is_resource(each.get("resource"), kind) for each in entries)


def _matches(entry: Any) -> bool:
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, Mapping) else None
    return mode not in ("include", "outcome")


def _name(entry: Any, place: int) -> str:
    url = entry.get("fullUrl") if isinstance(entry, Mapping) else None
    last = url.rstrip("/").rpartition("/")[2] if isinstance(url, str) else ""
    printable = "".join(each for each in last if each.isprintable())[:80]
    return printable or f"entry {place} of a page, which has no id"
