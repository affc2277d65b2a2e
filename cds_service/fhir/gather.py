"""Gathering the chart: the prefetch first, the rest fetched within the deadline."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..protocol.errors import Problem, UnmetPrecondition
from ..protocol.requests import HookRequest
from .chart import Chart, Policy, Source, SourceQuery, SourceState
from .client import FhirReader
from .fetching import Crew, Fetch
from .medications import ids_to_fetch, medication_references
from .queries import fill, without
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
from .rows import is_resource
from .scopes import Grant, Scope, grant, parse_scope
from .subjects import Identity, bundle_resources

_IDS_PER_SEARCH = 50
_MOST_READS = 20
"""Medications that are read one by one, where a token may read and not search."""
_EARLY = 0.6
"""Of the time: when the Medications of the pages that came are asked for, whether or
not more pages are to come."""

Note = Callable[[str, float], None]
"""Takes what was fetched, a prefetch key or ``medications``, and its seconds."""

Plan = Mapping[str, Answer | Fetch]
"""For each prefetch key its answer, or the fetch that brings it."""


def gather(
    queries: Sequence[SourceQuery],
    hook_request: HookRequest,
    reader: FhirReader | None,
    deadline: float,
    *,
    why_unread: str = "",
    allowed: float | None = None,
    note: Note = lambda key, seconds: None,
) -> Chart:
    """The chart of the context's patient, within *deadline* seconds.

    *why_unread* says why there is no *reader*, where it is not for want of a server.
    *allowed* is what the setting allows, in seconds, where some of it was spent before.

    Raises WrongPatient, and UnmetPrecondition, which tells what became of every key.
    Source: CDS Hooks 3.0.0 "Prefetch Template", "FHIR Resource Access".
    """
    asked = [query for query in queries if query.policy is not Policy.SKIP]
    supplied = {
        query.key: Answer((hook_request.prefetch[query.key],), origin="prefetch")
        for query in asked
        if query.key in hook_request.prefetch
    }
    _refuse_other_patients(asked, supplied, hook_request)
    took: dict[str, float] = {}
    if reader is None:
        unread = why_unread or _why_no_reader(hook_request)
        answers = {query.key: _unread(query, supplied, unread) for query in asked}
        pages = all_pages(answers, hook_request)
    else:
        with Crew(deadline, reader.threads) as crew, reader.until(crew.reads_end):
            plan = _plan(asked, supplied, hook_request, reader)
            crew.start(_fetches(plan))
            medications = _medications(asked, plan, hook_request, reader, crew)
            crew.wait_for_all()
            answers = _answers(plan)
        _tell(plan, medications, note)
        took = {
            key: each.seconds for key, each in plan.items() if isinstance(each, Fetch)
        }
        pages = all_pages(answers, hook_request)
        pages += [
            page if is_resource(page, "Bundle") else {"entry": [{"resource": page}]}
            for each in medications
            for page in each.answer().pages
        ]
    sources = read_sources(asked, answers, hook_request)
    _refuse_unmet(asked, sources, Spent(deadline, allowed or deadline, took))
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


@dataclass(frozen=True, slots=True)
class Spent:
    """The time for reading a chart, and what became of it; in seconds."""

    left: float
    """When the FHIR server was asked."""
    allowed: float
    """By ``CDS_GATHER_DEADLINE_MS``."""
    took: Mapping[str, float]
    """For each prefetch key that was fetched, until it came or was given up."""

    def told(self, key: str, why: str) -> str:
        """Return a sentence for a key that did not come in time; else nothing."""
        if "timeout" not in why.split("; ") or key not in self.took:
            return ""
        return (
            f" The FHIR server had not answered after {_milliseconds(self.took[key])}. "
            f"CDS_GATHER_DEADLINE_MS allows {_milliseconds(self.allowed)} from the "
            f"call's arrival; {_milliseconds(self.left)} were left when it was asked."
        )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _refuse_unmet(
    asked: Sequence[SourceQuery], sources: Mapping[str, Source], spent: Spent
) -> None:
    """Raises UnmetPrecondition where a required key is missing; those come first."""
    unmet = [each for each in asked if _is_unmet(each, sources[each.key])]
    if unmet:
        others = [each for each in asked if each not in unmet]
        raise UnmetPrecondition(
            *(
                Problem(
                    f"Required {each.resource_type} data could not be had: "
                    f"{sources[each.key].why}."
                    + spent.told(each.key, sources[each.key].why),
                    diagnostics=each.key,
                )
                for each in unmet
            ),
            *(
                Problem(
                    _what_became(each, sources[each.key], spent),
                    diagnostics=each.key,
                    informs=True,
                )
                for each in others
            ),
        )


def _is_unmet(query: SourceQuery, source: Source) -> bool:
    return query.policy is Policy.REQUIRED and source.state is SourceState.MISSING


def _what_became(query: SourceQuery, source: Source, spent: Spent) -> str:
    """What came of a key that is not why the call is refused."""
    came = {
        SourceState.LOADED: "data were read",
        SourceState.PARTIAL: "data were read in part",
        SourceState.MISSING: "data could not be had, and are optional",
    }[source.state]
    place = {"prefetch": " from the prefetch", "fhir": " from the FHIR server"}
    origin = place.get(source.origin, "") if source.state.name != "MISSING" else ""
    if source.origin == "fhir" and source.state is SourceState.LOADED:
        origin += f" in {_milliseconds(spent.took[query.key])}"
    why = f": {source.why}" if source.why else ""
    late = spent.told(query.key, source.why)
    return f"{query.resource_type} {came}{origin}{why}.{late}"


def _why_no_reader(hook_request: HookRequest) -> str:
    server = "may not be read" if hook_request.fhir_server else "is not named"
    return f"the FHIR server {server}"


def _unread(query: SourceQuery, supplied: Mapping[str, Answer], why: str) -> Answer:
    """What the prefetch alone gives for *query*."""
    if query.key not in supplied:
        return Answer(why=f"not supplied, and {why}")
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
    scope = parse_scope(reader.scope)
    for query in asked:
        answer = supplied.get(query.key)
        filled = _in_scope(fill(query.template, hook_request), scope)
        if answer is None:
            if filled not in by_query:
                by_query[filled] = _ask(filled, Answer(origin="fhir"), scope, reader)
            plan[query.key] = by_query[filled]
        elif next_link(answer.pages[0]) is not None:
            plan[query.key] = _ask(filled, answer, scope, reader)
        else:
            plan[query.key] = answer
    return plan


def _in_scope(filled: str | None, scope: Scope) -> str | None:
    """The query without Medications that it would bring along out of scope."""
    if filled is None or _shows_medications(scope):
        return filled
    return without(filled, "_include")


def _shows_medications(scope: Scope) -> bool:
    asked = ("Medication?_id=", "Medication/id")
    return any(grant(scope, each) is not Grant.NONE for each in asked)


def _ask(
    filled: str | None, came: Answer, scope: Scope, reader: FhirReader
) -> Answer | Fetch:
    """A fetch of what *came* lacks, unless it cannot or may not be asked for."""
    if filled is None:
        return replace(came, why="cannot be asked")
    granted = grant(scope, filled)
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


def _tell(plan: Plan, medications: Iterable[Fetch], note: Note) -> None:
    for key, each in plan.items():
        if isinstance(each, Fetch):
            note(key, each.seconds)
    for each in medications:
        note("medications", each.seconds)


def _medications(
    asked: Sequence[SourceQuery],
    plan: Plan,
    hook_request: HookRequest,
    reader: FhirReader,
    crew: Crew,
) -> list[Fetch]:
    """Fetches of the Medications that are referred to and did not come along.

    Those of the first pages do not wait for the last page when that is slow to come.
    """
    listing = _fetches(_listing_medications(asked, plan))
    fetches: list[Fetch] = []
    known: set[str] = set()
    for share in (_EARLY, 1.0):
        complete = crew.wait_for(listing, share)
        ids = _missing_medications(asked, plan, hook_request)
        lacking = [each for each in ids if each not in known]
        known.update(lacking)
        more = _searches(lacking, reader)
        crew.start(more)
        fetches += more
        if complete:
            break
    return fetches


def _missing_medications(
    asked: Sequence[SourceQuery], plan: Plan, hook_request: HookRequest
) -> list[str]:
    answers = _answers(plan)
    pages = all_pages(answers, hook_request)
    resources = (resource for _, resource in bundle_resources(pages))
    if not medication_references(resources):
        return []
    listing = [query for query in asked if query.source in MEDICATION_SOURCES]
    sources = read_sources(listing, answers, hook_request)
    chart = build_chart(listing, sources, pages, hook_request)
    rows = [each for source in chart.sources.values() for each in source.resources]
    base = known_base(hook_request)
    return ids_to_fetch(medication_references(rows), chart.medications, base)


def _searches(ids: Sequence[str], reader: FhirReader) -> list[Fetch]:
    """As few queries for the Medications as the token may make."""
    if not ids:
        return []
    scope = parse_scope(reader.scope)
    if grant(scope, "Medication?_id=") is not Grant.NONE:
        lots = [
            ",".join(ids[start : start + _IDS_PER_SEARCH])
            for start in range(0, len(ids), _IDS_PER_SEARCH)
        ]
        return [Fetch(reader.pages(f"Medication?_id={lot}")) for lot in lots]
    if grant(scope, "Medication/id") is not Grant.NONE:
        return [Fetch(reader.pages(f"Medication/{each}")) for each in ids[:_MOST_READS]]
    return []
