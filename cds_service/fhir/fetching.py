"""What came: questions asked of a FHIR server, in parallel and under one deadline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ..http.exchange import ReadFailure
from .client import FhirReader
from .entries import is_resource, joined
from .questions import Obtained, Question, medication_queries
from .reading import MEDICATION_SOURCES, all_pages, lacking_medications
from .scopes import parse_scope
from .subjects import Identity

_READ_SHARE, _WAIT_SHARE = 0.90, 0.95
"""Of the deadline: when reads end by themselves, and when what came is all there is.
What is left cuts off and sees off those that still run."""
_EARLY = 0.6
"""Of the time: when the Medications of the pages that came are asked for, whether or
not more pages are to come."""

MEDICATIONS = "medications"
"""Under which the time of Medications stands; no prefetch key is called so."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came, with the call and from the FHIR server."""

    by_key: Mapping[str, Obtained]
    """Of each prefetch key."""
    medications: tuple[Any, ...] = ()
    """Bundles of the Medications that were fetched besides."""
    took: Mapping[str, float] = field(default_factory=dict)
    """For each prefetch key that was fetched, and for ``medications``: the seconds
    until it came or was given up; of several the longest."""

    def pages(self, drafts: Sequence[Any]) -> list[Any]:
        """Return everything there is to read, the *drafts* of the context included."""
        return [*all_pages(self.by_key), *drafts, *self.medications]


class Fetch:
    """One query on its way; what has come so far can be seen while it still runs."""

    def __init__(
        self, pages: Iterator[Any], came: Obtained = Obtained(), narrowed: str = ""
    ) -> None:
        self._pages = pages
        self._came = list(came.pages)
        self._origin = came.origin
        self._narrowed = narrowed
        self._why = "timeout"
        self._began = monotonic()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """Time from its making until it ended, or until now."""
        return (self._ended or monotonic()) - self._began

    def run(self) -> None:
        """Read every page, to the end or to the first failure."""
        try:
            for page in self._pages:
                self._came.append(page)
        except ReadFailure as failure:
            self._why = failure.reason
        else:
            self._why = ""
        self._ended = monotonic()

    def obtained(self) -> Obtained:
        """Return what came until now; all of it only where there is no ``why``."""
        why = joined([self._why, self._narrowed])
        return Obtained(tuple(self._came), why, self._origin)


class Crew:
    """The fetches of one CDS request, run by *threads* that requests share.

    None of them is under way any more when the block is left, unless it is stuck where
    nothing can be cut off; nobody waits for that beyond the deadline.
    """

    def __init__(self, deadline: float, threads: Executor) -> None:
        self._started = monotonic()
        self._deadline = deadline
        self.reads_end = self._started + deadline * _READ_SHARE
        self._threads = threads
        self._running: dict[Fetch, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running = [each for each in self._running.values() if not each.cancel()]
        wait(running, timeout=self._left(1.0))

    def start(self, fetches: Iterable[Fetch]) -> None:
        """Start each fetch once."""
        for fetch in fetches:
            if fetch not in self._running:
                self._running[fetch] = self._threads.submit(fetch.run)

    def wait_for(self, fetches: Iterable[Fetch], share: float = 1.0) -> bool:
        """Check whether all are done, at the latest when *share* of the time is up."""
        futures = [self._running[fetch] for fetch in fetches]
        done, unfinished = wait(futures, timeout=self._left(share * _WAIT_SHARE))
        for future in done:
            future.result()
        return not unfinished

    def wait_for_all(self) -> None:
        """Wait until every fetch is done, or the time is up."""
        self.wait_for(list(self._running))

    def _left(self, share: float) -> float:
        return max(0.0, self._started + self._deadline * share - monotonic())


def fetch(
    questions: Sequence[Question],
    drafts: Sequence[Any],
    patient: Identity,
    reader: FhirReader,
    deadline: float,
) -> Came:
    """Return what came of the questions within *deadline* seconds.

    The Medications that the patient's orders, *drafts* too, refer to are fetched where
    they do not come along.
    """
    with Crew(deadline, reader.threads) as crew, reader.until(crew.reads_end):
        asked = _ask(questions, reader)
        crew.start(asked.values())
        medications = _ask_medications(questions, asked, drafts, patient, reader, crew)
        crew.wait_for_all()
        by_key = _so_far(questions, asked)
    took = {key: each.seconds for key, each in asked.items()}
    if medications:
        took[MEDICATIONS] = max(each.seconds for each in medications)
    came = (page for each in medications for page in each.obtained().pages)
    return Came(by_key, tuple(map(_as_bundle, came)), took)


def _ask(questions: Sequence[Question], reader: FhirReader) -> dict[str, Fetch]:
    """A fetch for each key that lacks something; keys that ask the same share one."""
    by_query: dict[str, Fetch] = {}
    asked = {}
    for each in questions:
        if not each.asks:
            continue
        key = each.query.key
        if each.came.pages:
            pages = reader.pages_after(each.came.pages[0], each.asks)
            asked[key] = Fetch(pages, each.came, each.narrowed)
            continue
        if each.asks not in by_query:
            pages = reader.pages(each.asks)
            by_query[each.asks] = Fetch(pages, each.came, each.narrowed)
        asked[key] = by_query[each.asks]
    return asked


def _ask_medications(
    questions: Sequence[Question],
    asked: Mapping[str, Fetch],
    drafts: Sequence[Any],
    patient: Identity,
    reader: FhirReader,
    crew: Crew,
) -> list[Fetch]:
    """Fetches of the Medications that are referred to and did not come along.

    Those of the first pages do not wait for the last page when that is slow to come.
    """
    queries = [each.query for each in questions]
    listing = [
        asked[each.key]
        for each in queries
        if each.source in MEDICATION_SOURCES and each.key in asked
    ]
    scope = parse_scope(reader.scope)
    fetches: list[Fetch] = []
    known: set[str] = set()
    for share in (_EARLY, 1.0):
        complete = crew.wait_for(listing, share)
        obtained = _so_far(questions, asked)
        lacking = lacking_medications(queries, obtained, drafts, patient)
        ids = [each for each in lacking if each not in known]
        known.update(ids)
        more = [Fetch(reader.pages(each)) for each in medication_queries(ids, scope)]
        crew.start(more)
        fetches += more
        if complete:
            break
    return fetches


def _so_far(
    questions: Sequence[Question], asked: Mapping[str, Fetch]
) -> dict[str, Obtained]:
    return {
        each.query.key: (
            asked[each.query.key].obtained() if each.query.key in asked else each.came
        )
        for each in questions
    }


def _as_bundle(page: Any) -> Any:
    """A page, where a Medication was read and not searched as if it were."""
    if is_resource(page, "Bundle"):
        return page
    return {"entry": [{"resource": page}]}
