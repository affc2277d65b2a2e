"""What came, read into the chart: sources, the context's orders, Medications. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..protocol.errors import Problem, WrongPatient
from ..protocol.formats import is_whole
from .chart import Chart, Resource, Source, SourceQuery, SourceState, medication_of
from .entries import Rows, is_resource, joined, reference_of, total_of
from .questions import Obtained, is_search
from .subjects import Identity, bundle_resources, identify, relative_form

DRAFTS = "draft_orders"
"""The source of the orders that a hook's context carries."""
MEDICATION_SOURCES = ("medication_requests", "medication_statements", DRAFTS)
BUNDLES = ("draftOrders", "medications", "orders")
"""Context fields that hold orders in a Bundle."""
RESOURCES = ("medication", "order")
"""Context fields that hold one order, plain or as ``{"resource": …}``."""

_MEDICATION_ID = re.compile(r"[A-Za-z0-9._-]+")


def build_chart(
    queries: Sequence[SourceQuery],
    by_key: Mapping[str, Source],
    drafts: Source | None,
    pages: Sequence[Any],
    identity: Identity,
) -> Chart:
    """Return the chart of the sources of each prefetch key, and of the drafts.

    *pages* are all that came: Medications may stand in any.
    """
    lots: dict[str, list[Source]] = {}
    for query in queries:
        lots.setdefault(query.source, []).append(by_key[query.key])
    if drafts:
        lots[drafts.name] = [drafts]
    sources = {name: merge(lot) for name, lot in lots.items()}
    patient = sources["patient"].resources if "patient" in sources else ()
    references = medication_references(
        resource
        for name in MEDICATION_SOURCES
        if name in sources
        for resource in sources[name].resources
    )
    return Chart(
        patient_id=identity.patient_id,
        patient=patient[0] if patient else None,
        sources=sources,
        medications=index_medications(pages, references, identity.base),
    )


# Sources


def read_sources(
    queries: Sequence[SourceQuery],
    obtained: Mapping[str, Obtained],
    identity: Identity,
) -> dict[str, Source]:
    """Return for each prefetch key the source that what was obtained gives.

    Raises WrongPatient for a Patient other than the context's.
    """
    return {
        each.key: read_source(each, obtained[each.key], identity) for each in queries
    }


def read_source(query: SourceQuery, obtained: Obtained, identity: Identity) -> Source:
    """Return the source that what was *obtained* gives for *query*.

    Raises WrongPatient for a Patient other than the context's.
    Source: CDS Hooks 3.0.0 "Prefetch Template".
    """
    if not obtained.pages:
        return _missing(query, obtained, obtained.why)
    first = obtained.pages[0]
    if is_resource(first, "OperationOutcome"):
        return _missing(query, obtained, "OperationOutcome")
    if first is None and query.resource_type == "Patient":
        return _missing(query, obtained, "null")
    if first is None:
        return Source(query.source, SourceState.LOADED, origin=obtained.origin)
    searches = is_search(query.template)
    if not is_resource(first, "Bundle" if searches else query.resource_type):
        return _missing(query, obtained, "wrong shape")
    if query.resource_type == "Patient":
        find = _find_patient if searches else _read_patient
        return find(query, obtained, identity)
    return _read_rows(query, obtained, identity)


def merge(sources: Sequence[Source]) -> Source:
    """Return one source from those of several prefetch keys; its state is the worst."""
    if len(sources) == 1:
        return sources[0]
    once = {
        reference_of(each) or id(each): each
        for source in sources
        for each in source.resources
    }
    return Source(
        name=sources[0].name,
        state=max(source.state for source in sources),
        resources=tuple(once.values()),
        why=joined(source.why for source in sources),
        unusable=tuple(each for source in sources for each in source.unusable),
        foreign=sum(source.foreign for source in sources),
        origin=joined(source.origin for source in sources),
    )


def _read_rows(query: SourceQuery, obtained: Obtained, identity: Identity) -> Source:
    rows = Rows(query.resource_type, identity)
    why = obtained.why
    if is_search(query.template):
        rows.take_pages(obtained.pages)
        total = total_of(obtained.pages[0])
        if not why and total is not None and total > rows.matched:
            why = "fewer entries than the total"
    else:
        rows.take(obtained.pages[0])
    return rows.source(query.source, why, obtained.origin)


def _read_patient(query: SourceQuery, obtained: Obtained, identity: Identity) -> Source:
    patient = obtained.pages[0]
    if not isinstance(patient.get("id"), str):
        return _missing(query, obtained, "Patient without an id")
    if patient["id"] != identity.patient_id:
        prefetched = obtained.origin == "prefetch"
        raise WrongPatient(
            Problem(
                "The Patient resource is not the patient of the context.",
                expression=f"$.prefetch.{query.key}" if prefetched else "",
                diagnostics=query.key,
            )
        )
    return _one(query, obtained, patient)


def _find_patient(query: SourceQuery, obtained: Obtained, identity: Identity) -> Source:
    """The context's Patient in a Bundle that may hold relatives."""
    for _, resource in bundle_resources(obtained.pages, "Patient"):
        if resource.get("id") == identity.patient_id:
            return _one(query, obtained, resource)
    return _missing(query, obtained, obtained.why or "not found")


def _one(query: SourceQuery, obtained: Obtained, resource: Resource) -> Source:
    return Source(query.source, SourceState.LOADED, (resource,), origin=obtained.origin)


def _missing(query: SourceQuery, obtained: Obtained, why: str) -> Source:
    return Source(query.source, SourceState.MISSING, why=why, origin=obtained.origin)


# The context's orders


def draft_pages(context: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the orders of the context, each field as a Bundle where it can be one.

    Source: CDS Hooks library: order-select, order-sign, medication-refill,
    medication-verify, medication-prescribe, order-review.
    """
    return tuple(_lots(context))


def read_drafts(pages: Sequence[Any], identity: Identity) -> Source | None:
    """Return the source of the context's orders; none where it carries none.

    A draft may lack an id, and lacking a subject is the context's patient's.
    """
    if not pages:
        return None
    if not any(is_resource(page, "Bundle") for page in pages):
        return Source(DRAFTS, SourceState.MISSING, why="wrong shape", origin="context")
    rows = Rows("", identity)
    rows.take_pages(pages)
    return rows.source(DRAFTS, "", "context")


def _lots(context: Mapping[str, Any]) -> Iterator[Any]:
    for name in BUNDLES:
        if context.get(name) is not None:
            yield _as_bundle(context[name])
    for name in RESOURCES:
        # Older order-dispatch clients send a reference here, which is no order.
        if isinstance(context.get(name), dict):
            yield _as_bundle(context[name])


def _as_bundle(value: Any) -> Any:
    if isinstance(value, list):
        return _bundle(value)
    if not isinstance(value, dict) or is_resource(value, "Bundle"):
        return value
    entries = value.get("entry")
    return _bundle(entries if isinstance(entries, list) else [value])


def _bundle(values: list[Any]) -> dict[str, Any]:
    entries = [
        (
            value
            if isinstance(value, dict) and "resource" in value
            else {"resource": value}
        )
        for value in values
    ]
    return {"resourceType": "Bundle", "entry": entries}


# Medications by the references that name them


def lacking_medications(
    queries: Sequence[SourceQuery],
    obtained: Mapping[str, Obtained],
    drafts: Sequence[Any],
    patient: Identity,
) -> list[str]:
    """Return the ids of the Medications that the patient's own orders and statements
    refer to and that did not come along, sorted.
    """
    pages = [*all_pages(obtained), *drafts]
    resources = (resource for _, resource in bundle_resources(pages))
    if not medication_references(resources):
        return []
    identity = identify(patient, pages)
    listing = [query for query in queries if query.source in MEDICATION_SOURCES]
    sources = read_sources(listing, obtained, identity)
    read = read_drafts(drafts, identity)
    chart = build_chart(listing, sources, read, pages, identity)
    rows = [each for source in chart.sources.values() for each in source.resources]
    return ids_to_fetch(medication_references(rows), chart.medications, identity.base)


def all_pages(obtained: Mapping[str, Obtained]) -> list[Any]:
    """Return everything that was obtained, in the order of the keys."""
    return [page for each in obtained.values() for page in each.pages]


def medication_references(resources: Iterable[Resource]) -> frozenset[str]:
    """Return the references to Medications that no resource itself contains."""
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
    """Return the Medications in *pages* by every name, and by each of *references*.

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
    """Return the ids of the Medications that *references* name and *index* lacks."""
    found = set()
    for reference in references:
        kind, _, identifier = relative_form(reference, base).partition("/")
        if (
            kind == "Medication"
            and reference not in index
            and _MEDICATION_ID.fullmatch(identifier)
        ):
            found.add(identifier)
    return sorted(found)
