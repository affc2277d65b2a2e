"""The entries of Bundles, one by one: kept, set aside, dropped or counted. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..protocol.formats import is_whole
from .chart import Resource, Source, SourceState, Unusable
from .entries import Place, Told, is_container, judge_outcome, place_of
from .subjects import Identity, Whose, bundle_resources, whose

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
    strays: int = 0
    """Entries that answer another question."""
    unsaid: bool = False
    """Whether there is something of another type, and no word of why."""
    is_chart: bool = False
    """Whether it is a collection that holds the patient as well."""
    by_name: dict[str, Resource] = field(default_factory=dict)
    """Those of ``resources`` that have an id, by ``Type/id``."""

    def take_pages(self, pages: Iterable[Any]) -> None:
        """Takes every entry of every Bundle."""
        for page in pages:
            if not is_resource(page, "Bundle"):
                self.unusable.append(Unusable("not a Bundle"))
                continue
            entries = page.get("entry")
            if entries is not None and not isinstance(entries, list):
                self.unusable.append(Unusable("entries are not a list"))
                continue
            for entry in entries or ():
                if isinstance(entry, dict):
                    self.take(entry.get("resource"), place_of(entry, page))
                else:
                    self.take(None)
            if is_resource(page.get("issues"), "OperationOutcome"):
                self._heed(page["issues"])  # where R5 has it
            self.is_chart = self.is_chart or self._is_chart(page)

    def take(self, resource: Any, place: Place = Place.BESIDE) -> None:
        """Takes what stands in one entry."""
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
            self._take_other(resource, place)

    def source(self, name: str, why: str, origin: str) -> Source:
        """The source that the rows make; *why* says why more may exist."""
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

    def _doubts(self) -> Iterator[str]:
        """Why more may exist, by what came."""
        if len(self.unusable) > self.strays:
            yield "entries unreadable"
        if self.strays:
            yield "entries of another type"
        if self.unsaid and not self.matched and not self.is_chart:
            yield "nothing of the type that was asked for"
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
        """Takes a resource whose id came before: the newer version of it counts.

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


def next_link(page: Any) -> str | None:
    """Return the address of the page after *page*; none where it is the last.

    Empty where there is such a link but no address in it.
    """
    links = page.get("link") if is_resource(page, "Bundle") else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
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
    """Whether *one* is the later version; None where neither can be told to be.

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
