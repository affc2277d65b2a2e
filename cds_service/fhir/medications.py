"""Medication resources by the references that name them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..protocol.formats import is_whole
from .chart import Resource, medication_of
from .subjects import bundle_resources, relative_form

_ID = re.compile(r"[A-Za-z0-9._-]+")


def medication_references(resources: Iterable[Resource]) -> frozenset[str]:
    """The references to Medications that are not contained in the resource itself."""
    found = set()
    for resource in resources:
        _, member = medication_of(resource)
        reference = member.get("reference") if isinstance(member, dict) else None
        if not isinstance(reference, str) or not is_whole(reference):
            continue
        if reference[:1] not in ("", "#"):
            found.add(reference)
    return frozenset(found)


def index_medications(
    pages: Iterable[Any], references: Iterable[str], base: str
) -> dict[str, Resource]:
    """The Medications in *pages* by every name, and by each of *references* to them.

    *base* is the FHIR server's, or empty where none is known.
    """
    index: dict[str, Resource] = {}
    for full_url, resource in bundle_resources(pages, "Medication"):
        names = [full_url, relative_form(full_url, base)]
        if isinstance(resource.get("id"), str):
            names.append(f"Medication/{resource['id']}")
        for name in filter(is_whole, filter(None, names)):
            index.setdefault(name, resource)
    for reference in references:
        known = index.get(relative_form(reference, base))
        if known is not None:
            index.setdefault(reference, known)
    return index


def ids_to_fetch(
    references: Iterable[str], index: Mapping[str, Resource], base: str
) -> list[str]:
    """The ids of the Medications that *references* name and *index* lacks, sorted."""
    found = set()
    for reference in references:
        kind, _, identifier = relative_form(reference, base).partition("/")
        if (
            kind == "Medication"
            and reference not in index
            and _ID.fullmatch(identifier)
        ):
            found.add(identifier)
    return sorted(found)
