"""gather(): the chart of one call, from what came with it and the EHR's FHIR server.

One line: whose chart it is, what to ask, what came, what it says. Each is settled once
and in that order; nothing later goes back to the request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..protocol.errors import Problem, TokenRefused, UnmetPrecondition
from ..protocol.requests import HookRequest
from .chart import Chart, Policy, Source, SourceQuery, SourceState
from .client import FhirReader
from .fetching import Came, fetch
from .questions import Question, plan
from .reading import build_chart, draft_pages, read_drafts, read_source, read_sources
from .scopes import parse_scope
from .subjects import Identity, context_patient, identify

Note = Callable[[str, float], None]
"""Takes what was fetched, a prefetch key or ``medications``, and its seconds."""


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
    """Return the chart of the context's patient, within *deadline* seconds.

    *why_unread* says why there is no *reader*, where it is not for want of a server.
    *allowed* is what the setting allows, in seconds, where some of it was spent before.

    Raises WrongPatient, and UnmetPrecondition, which tells what became of every key:
    TokenRefused where the server took the token for nothing.
    Source: CDS Hooks 3.0.0 "Prefetch Template", "FHIR Resource Access".
    """
    asked = [query for query in queries if query.policy is not Policy.SKIP]
    patient = context_patient(hook_request)
    drafts = draft_pages(hook_request.context)

    scope = parse_scope(reader.scope) if reader else None
    unread = why_unread or _why_no_reader(hook_request)
    questions = plan(asked, hook_request, scope, unread)
    _refuse_other_patients(questions, patient)

    if reader:
        came = fetch(questions, drafts, patient, reader, deadline)
    else:
        came = Came({each.query.key: each.came for each in questions})
    for key, seconds in came.took.items():
        note(key, seconds)

    pages = came.pages(drafts)
    identity = identify(patient, pages)
    sources = read_sources(asked, came.by_key, identity)
    refused = reader is not None and reader.token_refused
    spent = TimeSpent(deadline, allowed or deadline, came.took)
    _refuse_unmet(asked, sources, spent, TokenRefused if refused else UnmetPrecondition)
    orders = read_drafts(drafts, identity)
    chart = build_chart(asked, sources, orders, pages, identity)
    halves = reader.halves if reader else 0
    context = hook_request.context
    return replace(chart, context=context, halves=halves, token_refused=refused)


def _why_no_reader(hook_request: HookRequest) -> str:
    server = "may not be read" if hook_request.fhir_server else "is not named"
    return f"the FHIR server {server}"


def _refuse_other_patients(questions: Sequence[Question], patient: Identity) -> None:
    """Raise WrongPatient before anything is asked about the context's patient."""
    for each in questions:
        if each.query.resource_type == "Patient" and each.came.origin == "prefetch":
            read_source(each.query, each.came, patient)


@dataclass(frozen=True, slots=True)
class TimeSpent:
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
    asked: Sequence[SourceQuery],
    sources: Mapping[str, Source],
    spent: TimeSpent,
    error: type[UnmetPrecondition],
) -> None:
    """Raise an error where a required key is missing; such keys come first in it."""
    unmet = [each for each in asked if _is_unmet(each, sources[each.key])]
    if unmet:
        others = [each for each in asked if each not in unmet]
        raise error(
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


def _what_became(query: SourceQuery, source: Source, spent: TimeSpent) -> str:
    """Return what came of a key that is not why the call is refused."""
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
