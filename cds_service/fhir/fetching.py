"""Queries on their way, in parallel and under one deadline."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic
from types import TracebackType
from typing import Any, Self

from .client import FhirFailure
from .reading import Answer
from .rows import joined

_THREADS = 8
_READ_SHARE, _WAIT_SHARE = 0.90, 0.95
"""Of the deadline: when reads end by themselves, and when nobody waits any longer."""


class Fetch:
    """One query on its way; what has come so far can be seen while it still runs."""

    def __init__(
        self, pages: Iterator[Any], came: Answer = Answer(), narrowed: str = ""
    ) -> None:
        self._pages = pages
        self._came = list(came.pages)
        self._origin = came.origin
        self._narrowed = narrowed
        self._why = "timeout"

    def run(self) -> None:
        """Reads every page, to the end or to the first failure."""
        try:
            for page in self._pages:
                self._came.append(page)
        except FhirFailure as failure:
            self._why = failure.reason
        else:
            self._why = ""

    def answer(self) -> Answer:
        """What came until now; all of it only where there is no ``why``."""
        why = joined([self._why, self._narrowed])
        return Answer(tuple(self._came), why, self._origin)


class Crew:
    """The threads that run the fetches of one CDS request; nobody waits for them
    beyond the deadline.
    """

    def __init__(self, deadline: float) -> None:
        started = monotonic()
        self.reads_end = started + deadline * _READ_SHARE
        self._wait_ends = started + deadline * _WAIT_SHARE
        self._threads: ThreadPoolExecutor | None = None
        self._running: dict[Fetch, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def start(self, fetches: Iterable[Fetch]) -> None:
        """Starts each fetch once."""
        for fetch in fetches:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "fhir")
            if fetch not in self._running:
                self._running[fetch] = self._threads.submit(fetch.run)

    def wait_for(self, fetches: Iterable[Fetch]) -> None:
        """Returns when they are done, or when the time is up."""
        futures = [self._running[fetch] for fetch in fetches]
        if not futures:
            return
        done, _ = wait(futures, timeout=max(0.0, self._wait_ends - monotonic()))
        for future in done:
            future.result()

    def wait_for_all(self) -> None:
        """Returns when every fetch is done, or when the time is up."""
        self.wait_for(list(self._running))
