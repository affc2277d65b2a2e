"""Gathering the chart: the prefetch first, the rest fetched within the deadline."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..protocol.errors import Problem, UnmetPrecondition
from ..protocol.requests import HookRequest
from .chart import Chart, Policy, Source, SourceQuery, SourceState
from .client import FhirReader
from .fetching import Crew, Fetch
from .medications import ids_to_fetch, medication_references
from .queries import fill
from .reading import (
    MEDICATION_SOURCES,
    Answer,
    all_pages,
    build_chart,
    known_base,
    next_link,
    read_source,
    read_sources,
)
from .scopes import Grant, grant
from .subjects import Identity, bundle_resources

_IDS_PER_SEARCH = 50

Plan = Mapping[str, Answer | Fetch]
"""For each prefetch key its answer, or the fetch that brings it."""


def gather(
    queries: Sequence[SourceQuery],
    hook_request: HookRequest,
    reader: FhirReader | None,
    deadline: float,
) -> Chart:
    """The chart of the context's patient, within *deadline* seconds.

    Raises WrongPatient, and UnmetPrecondition naming each required key that is missing.
    Source: CDS Hooks 3.0.0 "Prefetch Template", "FHIR Resource Access".
    """
    asked = [query for query in queries if query.policy is not Policy.SKIP]
    supplied = {
        query.key: Answer((hook_request.prefetch[query.key],), origin="prefetch")
        for query in asked
        if query.key in hook_request.prefetch
    }
    _refuse_other_patients(asked, supplied, hook_request)
    if reader is None:
        answers = {query.key: _unread(query, supplied, hook_request) for query in asked}
        pages = all_pages(answers, hook_request)
    else:
        with Crew(deadline) as crew, reader.until(crew.reads_end):
            plan = _plan(asked, supplied, hook_request, reader)
            crew.start(_fetches(plan))
            crew.wait_for(_fetches(_listing_medications(asked, plan)))
            medications = _medications(asked, plan, hook_request, reader)
            crew.start(medications)
            crew.wait_for_all()
            answers = _answers(plan)
        pages = all_pages(answers, hook_request)
        pages += [page for each in medications for page in each.answer().pages]
    sources = read_sources(asked, answers, hook_request)
    _refuse_unmet(asked, sources)
    return build_chart(asked, sources, pages, hook_request)


def _refuse_other_patients(
    asked: Sequence[SourceQuery],
    supplied: Mapping[str, Answer],
    hook_request: HookRequest,
) -> None:
    """Raises WrongPatient before anything is asked about the context's patient."""
    identity = Identity(hook_request.patient_id)
    for query in asked:
        if query.resource_type == "Patient" and query.key in supplied:
            read_source(query, supplied[query.key], identity)


def _refuse_unmet(asked: Sequence[SourceQuery], sources: Mapping[str, Source]) -> None:
    problems = [
        Problem(
            f"Required {query.resource_type} data could not be had: "
            f"{sources[query.key].why}.",
            diagnostics=query.key,
        )
        for query in asked
        if query.policy is Policy.REQUIRED
        and sources[query.key].state is SourceState.MISSING
    ]
    if problems:
        raise UnmetPrecondition(*problems)


def _unread(
    query: SourceQuery, supplied: Mapping[str, Answer], hook_request: HookRequest
) -> Answer:
    """What the prefetch alone gives for *query*."""
    if query.key not in supplied:
        server = "may not be read" if hook_request.fhir_server else "is not named"
        return Answer(why=f"not supplied, and the FHIR server {server}")
    answer = supplied[query.key]
    if next_link(answer.pages[0]) is not None:
        return replace(answer, why="more pages, not fetched")
    return answer


def _plan(
    asked: Sequence[SourceQuery],
    supplied: Mapping[str, Answer],
    hook_request: HookRequest,
    reader: FhirReader,
) -> Plan:
    plan: dict[str, Answer | Fetch] = {}
    by_query: dict[str | None, Answer | Fetch] = {}
    for query in asked:
        answer = supplied.get(query.key)
        filled = fill(query.template, hook_request)
        if answer is None:
            if filled not in by_query:
                by_query[filled] = _ask(filled, Answer(origin="fhir"), reader)
            plan[query.key] = by_query[filled]
        elif next_link(answer.pages[0]) is not None:
            plan[query.key] = _ask(filled, answer, reader)
        else:
            plan[query.key] = answer
    return plan


def _ask(filled: str | None, came: Answer, reader: FhirReader) -> Answer | Fetch:
    """A fetch of what *came* lacks, unless it cannot or may not be asked for."""
    if filled is None:
        return replace(came, why="cannot be asked")
    granted = grant(reader.scope, filled)
    if granted is Grant.NONE:
        return replace(came, why=granted.value)
    narrowed = granted.value if granted is Grant.NARROWED else ""
    if came.pages:
        return Fetch(reader.pages_after(came.pages[0], filled), came, narrowed)
    return Fetch(reader.pages(filled), came, narrowed)


def _fetches(plan: Plan) -> list[Fetch]:
    return [each for each in plan.values() if isinstance(each, Fetch)]


def _answers(plan: Plan) -> dict[str, Answer]:
    return {
        key: each.answer() if isinstance(each, Fetch) else each
        for key, each in plan.items()
    }


def _listing_medications(asked: Sequence[SourceQuery], plan: Plan) -> Plan:
    return {q.key: plan[q.key] for q in asked if q.source in MEDICATION_SOURCES}


def _medications(
    asked: Sequence[SourceQuery],
    plan: Plan,
    hook_request: HookRequest,
    reader: FhirReader,
) -> list[Fetch]:
    """Searches for the Medications that are referred to and did not come along."""
    answers = _answers(plan)
    pages = all_pages(answers, hook_request)
    resources = (resource for _, resource in bundle_resources(pages))
    if not medication_references(resources):
        return []
    if grant(reader.scope, "Medication?_id=") is Grant.NONE:
        return []
    listing = [query for query in asked if query.source in MEDICATION_SOURCES]
    sources = read_sources(listing, answers, hook_request)
    chart = build_chart(listing, sources, pages, hook_request)
    rows = [each for source in chart.sources.values() for each in source.resources]
    base = known_base(hook_request)
    ids = ids_to_fetch(medication_references(rows), chart.medications, base)
    lots = [ids[n : n + _IDS_PER_SEARCH] for n in range(0, len(ids), _IDS_PER_SEARCH)]
    return [Fetch(reader.pages(f"Medication?_id={','.join(lot)}")) for lot in lots]
