"""What came for each prefetch key, read into the sources of the chart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..http.addresses import parse_base
from ..protocol.errors import Problem, WrongPatient
from ..protocol.requests import HookRequest
from .chart import Chart, Resource, Source, SourceQuery, SourceState
from .drafts import draft_pages, read_drafts
from .medications import index_medications, medication_references
from .queries import is_search
from .rows import Rows, is_resource, joined, reference_of
from .subjects import Identity, bundle_resources, identify

MEDICATION_SOURCES = ("medication_requests", "medication_statements", "draft_orders")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for one prefetch key, before it is read."""

    pages: tuple[Any, ...] = ()
    """As it came: the value of the key, or the pages of a search, in order."""
    why: str = ""
    """Why nothing came, or why more may exist; a constant phrase."""
    origin: str = ""
    """``prefetch`` or ``fhir``."""


def read_source(query: SourceQuery, answer: Answer, identity: Identity) -> Source:
    """The source that *answer* gives for *query*.

    Raises WrongPatient for a Patient other than the context's.
    Source: CDS Hooks 3.0.0 "Prefetch Template".
    """
    if not answer.pages:
        return _missing(query, answer, answer.why)
    first = answer.pages[0]
    if is_resource(first, "OperationOutcome"):
        return _missing(query, answer, "OperationOutcome")
    if first is None and query.resource_type == "Patient":
        return _missing(query, answer, "null")
    if first is None:
        return Source(query.source, SourceState.LOADED, origin=answer.origin)
    searches = is_search(query.template)
    if not is_resource(first, "Bundle" if searches else query.resource_type):
        return _missing(query, answer, "wrong shape")
    if query.resource_type == "Patient":
        find = _find_patient if searches else _read_patient
        return find(query, answer, identity)
    return _read_rows(query, answer, identity)


def read_sources(
    queries: Sequence[SourceQuery],
    answers: Mapping[str, Answer],
    hook_request: HookRequest,
) -> dict[str, Source]:
    """For each prefetch key the source that its answer gives.

    Raises WrongPatient for a Patient other than the context's.
    """
    identity = identify(
        hook_request.patient_id,
        known_base(hook_request),
        all_pages(answers, hook_request),
    )
    return {
        query.key: read_source(query, answers[query.key], identity) for query in queries
    }


def build_chart(
    queries: Sequence[SourceQuery],
    by_key: Mapping[str, Source],
    pages: Sequence[Any],
    hook_request: HookRequest,
) -> Chart:
    """The chart of the sources of each prefetch key, and of the context's orders.

    *pages* are all that came: Medications may stand in any.
    """
    lots: dict[str, list[Source]] = {}
    for query in queries:
        lots.setdefault(query.source, []).append(by_key[query.key])
    base = known_base(hook_request)
    if draft_pages(hook_request.context):
        identity = identify(hook_request.patient_id, base, pages)
        drafts = read_drafts(hook_request.context, identity)
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
        patient_id=hook_request.patient_id,
        patient=patient[0] if patient else None,
        sources=sources,
        medications=index_medications(pages, references, base),
        context=hook_request.context,
    )


def all_pages(answers: Mapping[str, Answer], hook_request: HookRequest) -> list[Any]:
    """Everything that came, the context's orders included."""
    pages = [page for answer in answers.values() for page in answer.pages]
    return pages + list(draft_pages(hook_request.context))


def known_base(hook_request: HookRequest) -> str:
    """The FHIR server's base; empty where the request names none that is one."""
    base = parse_base(hook_request.fhir_server) if hook_request.fhir_server else None
    return str(base) if base else ""


def merge(sources: Sequence[Source]) -> Source:
    """One source from those that several prefetch keys gave; its state is the worst."""
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


def next_link(page: Any) -> str | None:
    """The address of the page after *page*; none where it is the last.

    Empty where there is such a link but no address in it.
    """
    links = page.get("link") if is_resource(page, "Bundle") else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def _read_rows(query: SourceQuery, answer: Answer, identity: Identity) -> Source:
    rows = Rows(query.resource_type, identity)
    why = answer.why
    if is_search(query.template):
        rows.take_pages(answer.pages)
        total = answer.pages[0].get("total")
        if not why and isinstance(total, int) and total > rows.matched:
            why = "fewer entries than the total"
    else:
        rows.take(answer.pages[0])
    return rows.source(query.source, why, answer.origin)


def _read_patient(query: SourceQuery, answer: Answer, identity: Identity) -> Source:
    patient = answer.pages[0]
    if not isinstance(patient.get("id"), str):
        return _missing(query, answer, "Patient without an id")
    if patient["id"] != identity.patient_id:
        prefetched = answer.origin == "prefetch"
        raise WrongPatient(
            Problem(
                "The Patient resource is not the patient of the context.",
                expression=f"$.prefetch.{query.key}" if prefetched else "",
                diagnostics=query.key,
            )
        )
    return _one(query, answer, patient)


def _find_patient(query: SourceQuery, answer: Answer, identity: Identity) -> Source:
    """The context's Patient in a Bundle that may hold relatives."""
    for _, resource in bundle_resources(answer.pages, "Patient"):
        if resource.get("id") == identity.patient_id:
            return _one(query, answer, resource)
    return _missing(query, answer, answer.why or "not found")


def _one(query: SourceQuery, answer: Answer, resource: Resource) -> Source:
    return Source(query.source, SourceState.LOADED, (resource,), origin=answer.origin)


def _missing(query: SourceQuery, answer: Answer, why: str) -> Source:
    return Source(query.source, SourceState.MISSING, why=why, origin=answer.origin)
