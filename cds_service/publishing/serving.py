"""Which rulebook this process serves, and how it follows what is published.

A request takes the rulebook once and finishes on it; a swap is one assignment. The new
one is compiled in a thread beside the requests, in slices, because they share one
interpreter lock.
"""

import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from ..garbage import uncollected
from ..rulebook.compile import Compiled, compile_rulebook, digest_of
from ..rulebook.engine import Rulebook
from ..rulebook.language import Document, Level
from ..store.publications import Publication
from ..store.records import StoreError
from ..store.store import Store

SLICE = 0.002
"""Seconds that the compiler works before it lets requests go first."""
REST = 0.001
"""Seconds that it then rests."""
SWITCH = 0.0005
"""Seconds after which a waiting request gets the interpreter while rules compile; the
usual 5 ms are longer than many a request takes."""
HURRY = 0.8
"""Seconds of compiling after which it rests no more, and is interrupted less often: a
server that is asked more than it can answer would never come to the end of it."""

Log = Callable[..., object]
"""Writes one line: an event, and facts by name."""
PACKAGE = Path(__file__).parent.parent


@dataclass(slots=True)
class Serving:
    """What this process serves."""

    rulebook: Rulebook
    """Replaced as a whole, never changed."""
    since: datetime
    swaps: int = 0
    problem: str = ""
    """Why what is published is not served here; empty where it is."""
    checked: datetime = field(init=False)
    """When the database last said what is published."""

    def __post_init__(self) -> None:
        self.checked = self.since

    def swap(self, rulebook: Rulebook, now: datetime) -> None:
        """Serve this one from now on."""
        self.rulebook = rulebook
        self.since = now
        self.swaps += 1


class Follower:
    """Keeps a process at the newest publication."""

    def __init__(
        self,
        serving: Serving,
        store: Store,
        clock: Callable[[], datetime],
        log: Log,
        documents: Mapping[str, Document] = MappingProxyType({}),
    ) -> None:
        self._serving = serving
        self._store = store
        self._clock = clock
        self._log = log
        self._documents = documents
        """The files of what is served: those that stay are not parsed again."""
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._follow, name="rulebook", daemon=True
        )
        self._hopeless = ""
        """The digest that does not compile here; it is not tried again and again."""

    def start(self) -> None:
        """Follow in a thread that ends with the process."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; return when the last look is over."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._over.is_set():
                self._store.publications.await_next()
                self.look()
        except BaseException:
            self._report("nothing follows what is published; restart this worker")
            raise

    def look(self) -> None:
        """Serve what is published, unless it is served already."""
        try:
            newest = self._store.publications.newest()
            self._serving.checked = self._clock()
            if newest is None or newest.digest == self._serving.rulebook.digest:
                self._report("")
            elif newest.digest != self._hopeless:
                self._take(newest)
        except StoreError as error:
            self._report(f"what is published cannot be read: {error}")

    def _take(self, newest: Publication) -> None:
        begun, before = time.monotonic(), self._serving.rulebook.digest
        with beside_requests() as pause:
            rulebook = self._compile(newest.digest, pause)
            if rulebook is not None:
                self._serving.swap(rulebook, self._clock())
        if rulebook is None:
            self._hopeless = newest.digest
            return
        self._report("")
        self._log(
            "rulebook swapped",
            rulebook=rulebook.digest,
            before=before,
            rules=len(rulebook.rules),
            milliseconds=round((time.monotonic() - begun) * 1000, 1),
        )

    def _compile(self, digest: str, pause: Callable[[], None]) -> Rulebook | None:
        files = published_files(self._store, digest)
        compiled = compile_rulebook(files, pause=pause, known=self._documents)
        if compiled.rulebook is None:
            errors = (each for each in compiled.findings if each.level is Level.ERROR)
            first = next(errors)
            self._report(
                f"the published rules do not compile here: {first.file}:{first.line}:"
                f"{first.column}: {first.code}: {first.message}"
            )
        else:
            self._documents = compiled.documents
        return compiled.rulebook

    def _report(self, problem: str) -> None:
        """Say a problem once, however long it lasts."""
        if problem and problem != self._serving.problem:
            self._log("rulebook not followed", problem=problem)
        self._serving.problem = problem


def published_files(store: Store, digest: str) -> Mapping[str, str]:
    """Return the texts of a rulebook that was published, by path.

    Raises:
        StoreError: if it never was, or its texts are not those that passed.
    """
    files = store.publications.files(digest)
    if digest_of(files) != digest:
        raise StoreError(f"the rulebook {digest} that was published is damaged")
    return files


def reopen(store: Store, digest: str) -> Compiled:
    """Return what a rulebook that was published compiles to, at a start.

    Raises:
        StoreError: if it never was, or its texts are not those that passed.
    """
    files = published_files(store, digest)
    with uncollected():
        return compile_rulebook(files)


@contextmanager
def beside_requests() -> "Iterator[Pause]":
    """Let requests go first while a thread compiles rules.

    The garbage collector rests meanwhile: it would walk all that was compiled so far
    again and again, with every thread waiting (a tenth of a second for a thousand
    rules). A rulebook has no cycles, so the old one goes by counting alone; the new one
    is taken as here to stay.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    gc.disable()
    try:
        yield Pause()
        gc.freeze()
    finally:
        gc.enable()
        sys.setswitchinterval(interval)


class Pause:
    """Rests after every slice of work, until it is time to hurry."""

    def __init__(self) -> None:
        self._begun = self._rested = time.monotonic()
        self._hurries = False

    def __call__(self) -> None:
        """Rest, if the slice is over."""
        if self._hurries:
            return
        now = time.monotonic()
        if now - self._begun >= HURRY:
            self._hurries = True
            sys.setswitchinterval(SWITCH * 4)
        elif now - self._rested >= SLICE:
            time.sleep(REST)
            self._rested = time.monotonic()


def find_lines(error: BaseException) -> list[str]:
    """Return where an exception passed through our code, then where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    return [f"{Path(each.filename).name}:{each.lineno}" for each in ours + frames[-1:]]
