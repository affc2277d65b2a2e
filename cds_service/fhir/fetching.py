"""Queries on their way, in parallel and under one deadline."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ..http.exchange import ReadFailure
from .reading import Answer
from .rows import joined

_READ_SHARE, _WAIT_SHARE = 0.90, 0.95
"""Of the deadline: when reads end by themselves, and when what came is all there is.
What is left cuts off and sees off those that still run."""


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
        self._began = monotonic()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took from its making, or takes until now."""
        return (self._ended or monotonic()) - self._began

    def run(self) -> None:
        """Reads every page, to the end or to the first failure."""
        try:
            for page in self._pages:
                self._came.append(page)
        except ReadFailure as failure:
            self._why = failure.reason
        else:
            self._why = ""
        self._ended = monotonic()

    def answer(self) -> Answer:
        """What came until now; all of it only where there is no ``why``."""
        why = joined([self._why, self._narrowed])
        return Answer(tuple(self._came), why, self._origin)


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
        """Starts each fetch once."""
        for fetch in fetches:
            if fetch not in self._running:
                self._running[fetch] = self._threads.submit(fetch.run)

    def wait_for(self, fetches: Iterable[Fetch], share: float = 1.0) -> bool:
        """Whether all are done, at the latest when *share* of the time is up."""
        futures = [self._running[fetch] for fetch in fetches]
        done, unfinished = wait(futures, timeout=self._left(share * _WAIT_SHARE))
        for future in done:
            future.result()
        return not unfinished

    def wait_for_all(self) -> None:
        """Returns when every fetch is done, or when the time is up."""
        self.wait_for(list(self._running))

    def _left(self, share: float) -> float:
        return max(0.0, self._started + self._deadline * share - monotonic())
