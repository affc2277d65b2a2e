"""A search asked in the form that its server takes, which is found out and kept.

What is refused is asked again in another form, a few times and within the deadline;
every form says what it may miss. No form asks for more than the token's scope allows.

What servers were found to take is kept for a while by each worker. No chart and no
token is in it: the form of a search, and what a CapabilityStatement says. A server that
has learned better is asked as before within the hour.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from ...http.exchange import ReadFailure
from ..entries import (
    is_resource,
    joined,
    judge_outcome,
    refused_by,
    remarked_by,
    total_of,
)
from ..forms import Form, QueryPart, combine, counts, settle, write
from ..questions import is_search
from ..refusals import Statement, amend, read_refusal, read_statement
from ..scopes import Grant, Scope, grant
from ..subjects import bundle_resources

REMEMBERED_SECONDS = 3600.0


class Habits:
    """What is known of each server; the oldest is forgotten, and all of it in time."""

    def __init__(self, size: int = 512, clock: Callable[[], float] = monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[tuple[str, str], tuple[float, Any]] = OrderedDict()

    def find(self, server: str, what: str) -> Any:
        """Return what is known; None if nothing is."""
        with self._lock:
            until, value = self._held.get((server, what), (0.0, None))
            return value if self._clock() < until else None

    def keep(self, server: str, what: str, value: Any) -> None:
        """Remember *value*; None forgets."""
        with self._lock:
            self._held.pop((server, what), None)
            if value is not None:
                until = self._clock() + REMEMBERED_SECONDS
                self._held[server, what] = until, value
            while len(self._held) > self._size:
                self._held.popitem(last=False)


MOST_FORMS = 7
"""In which one search is asked before it is given up."""
MOST_PARTS = 64
"""Searches that one becomes where a parameter takes one value at a time."""
_AT_ONCE = 8
_NOT_ABOUT_FORM = (401, 403, 408, 425, 429)
"""Refusals that another form does not change."""


@dataclass(slots=True)
class Spent:
    """What the pages of one search have cost so far."""

    bytes: int = 0


class Asks(Protocol):
    """Whoever sends GETs to one server."""

    def first(self, query: str, spent: Spent) -> Any:
        """Return the first page, or the resource. Raises ReadFailure."""

    def rest(self, query: str, page: Any, spent: Spent) -> Iterator[Any]:
        """Return the pages after *page*. Raises ReadFailure."""


@dataclass(frozen=True, slots=True)
class AskedServer:
    """A server, and how it is asked."""

    base: str
    scope: Scope
    asks: Asks
    threads: Executor
    habits: Habits
    forms: Sequence[Form]
    """What somebody who knows the server says of it."""
    log: Callable[..., object]


@dataclass(frozen=True, slots=True)
class _Taken:
    """A form that the server takes."""

    form: Form
    parts: tuple[QueryPart, ...]
    page: Any
    """The first page of the first part; None where the parts are reads."""
    spent: Spent
    found: bool
    """Whether the form was found out just now."""


@dataclass(slots=True)
class _PartResult:
    """What one part came to."""

    pages: list[Any] = field(default_factory=list)
    failure: ReadFailure | None = None


def search(server: AskedServer, query: str) -> Iterator[Any]:
    """Yield the pages that a search gives, in whatever form the server takes.

    Raises ReadFailure where one cannot be had, or rows may be missed, after yielding
    what came. A search that no form makes good fails as it did in the first.
    """
    taken = _find_form(server, query)
    form, reasons = taken.form, list[str]()
    if len(taken.parts) == 1 and not form.as_reads:
        yield taken.page
        yield from server.asks.rest(taken.parts[0].query, taken.page, taken.spent)
    else:
        outcomes = _ask_parts(server, taken)
        for outcome in outcomes:
            yield from outcome.pages
        form, reasons = _judge(taken, outcomes)
    if taken.found:
        _remember(server, form)
    if why := joined([*reasons, form.why_partial, _narrowed(server, query, taken)]):
        raise ReadFailure(why)


def _find_form(server: AskedServer, query: str) -> _Taken:
    """The first form that the server does not refuse. Raises ReadFailure."""
    kind = query.partition("?")[0]
    plain = combine(server.forms, kind)
    known: Form | None = server.habits.find(server.base, kind)
    form = known or plain
    refusal: ReadFailure | None = None
    doubted: _Taken | None = None
    tried: set[tuple[QueryPart, ...]] = set()
    for _ in range(MOST_FORMS):
        parts = write(query, form)
        tried.add(parts)
        try:
            page, spent = _ask_first(server, form, parts)
            taken = _Taken(form, parts, page, spent, form not in (known, plain))
            doubted, another = doubted or taken, _doubt(server, query, taken, tried)
            if another is None:
                return taken if remarked_by(page) is None else doubted
            form = another
        except ReadFailure as failure:
            if not failure.status or failure.status in _NOT_ABOUT_FORM:
                raise
            if form == known and known != plain:
                server.habits.keep(server.base, kind, None)
                known, form = None, plain
                continue
            refusal = refusal or failure
            another = _next_form(server, query, form, failure, tried)
            if another is None:
                break
            form = another
    if doubted is not None:
        return doubted
    assert refusal is not None
    raise ReadFailure(refusal.reason)


def _doubt(
    server: AskedServer, query: str, taken: _Taken, tried: set[tuple[QueryPart, ...]]
) -> Form | None:
    """A form without what is not supported, where that may be why nothing came."""
    remark = remarked_by(taken.page)
    if remark is None:
        return None
    failure = ReadFailure("OperationOutcome", 200, remark)
    return _next_form(server, query, taken.form, failure, tried)


def _ask_first(
    server: AskedServer, form: Form, parts: tuple[QueryPart, ...]
) -> tuple[Any, Spent]:
    """The first page of the first part. Raises ReadFailure, a 200 that is none too."""
    spent = Spent()
    if form.as_reads:
        return None, spent
    return _first_page(server, parts[0].query, spent), spent


def _first_page(server: AskedServer, query: str, spent: Spent) -> Any:
    """The first page of a search. Raises ReadFailure, for a refusal with 200 too."""
    page = server.asks.first(query, spent)
    outcome = refused_by(page)
    if outcome is not None:
        about_form = not _FORM.isdisjoint(judge_outcome(outcome)[1])
        raise ReadFailure("OperationOutcome", 400 if about_form else 200, outcome)
    return page


_FORM = frozenset(
    ("invalid", "required", "value", "not-supported", "code-invalid", "business-rule")
)
"""Issue types of a refusal that may have to do with how it was asked."""


def _next_form(
    server: AskedServer,
    query: str,
    form: Form,
    failure: ReadFailure,
    tried: set[tuple[QueryPart, ...]],
) -> Form | None:
    """The best form that was not tried and asks for nothing out of scope."""
    sent = counts(write(query, form)[0].query)
    complaint = read_refusal(failure.outcome, form.kind, sent)

    def statement() -> Statement:
        return _read_statement(server)

    for each in amend(form, sent, failure.status, complaint, statement):
        parts = write(query, each)
        if parts in tried or len(parts) > MOST_PARTS:
            continue
        if all(grant(server.scope, part.query) is not Grant.NONE for part in parts):
            return each
    return None


def _read_statement(server: AskedServer) -> Statement:
    """The server's CapabilityStatement, read once in a while."""
    said: Statement | None = server.habits.find(server.base, "")
    if said is None:
        try:
            said = read_statement(server.asks.first("metadata", Spent()))
        except ReadFailure:
            said = Statement()
        server.habits.keep(server.base, "", said)
    return said


def _ask_parts(server: AskedServer, taken: _Taken) -> list[_PartResult]:
    """Return what each part came to, in their order; some are asked at the same time.

    This thread asks too, so that nobody waits for a thread that is not to be had.
    """
    outcomes = [_PartResult() for _ in taken.parts]
    left = deque(enumerate(taken.parts))

    def work() -> None:
        while left:
            try:
                place, part = left.popleft()
            except IndexError:
                return
            page = taken.page if place == 0 else None
            outcomes[place] = _ask_part(server, part.query, page, taken.spent)

    several = min(len(taken.parts), _AT_ONCE) - 1
    helpers = [server.threads.submit(work) for _ in range(several)]
    work()
    for each in wait([each for each in helpers if not each.cancel()]).done:
        each.result()
    return outcomes


def _ask_part(server: AskedServer, query: str, page: Any, spent: Spent) -> _PartResult:
    outcome = _PartResult()
    try:
        if page is None:
            ask = _first_page if is_search(query) else _read
            page = ask(server, query, spent)
        if is_search(query) and not is_resource(page, "Bundle"):
            told = is_resource(page, "OperationOutcome")
            raise ReadFailure("OperationOutcome" if told else "wrong shape")
        outcome.pages.append(page)
        for each in server.asks.rest(query, page, spent):
            outcome.pages.append(each)
        if is_search(query):
            _settle_total(outcome, query.partition("?")[0])
    except ReadFailure as failure:
        outcome.failure = failure
    return outcome


def _read(server: AskedServer, query: str, spent: Spent) -> Any:
    return server.asks.first(query, spent)


def _settle_total(outcome: _PartResult, kind: str) -> None:
    """Raise ReadFailure where a part has less than its total.

    It is taken out of the pages: there it would be read as that of the whole.
    """
    total = total_of(outcome.pages[0])
    came = sum(1 for _ in bundle_resources(outcome.pages, kind))
    outcome.pages = [
        {name: each for name, each in page.items() if name != "total"}
        for page in outcome.pages
    ]
    if total is not None and total > came:
        raise ReadFailure("fewer entries than the total")


def _judge(taken: _Taken, outcomes: Sequence[_PartResult]) -> tuple[Form, list[str]]:
    """The form without what the server does not know, and why rows may be missed."""
    failures = [
        (part, each.failure)
        for part, each in zip(taken.parts, outcomes, strict=True)
        if each.failure
    ]
    if len(failures) == len(outcomes):
        raise ReadFailure(failures[0][1].reason)
    refused = {
        each
        for part, failure in failures
        for each in part.chosen
        if _is_refusal(failure)
    }
    for part, each in zip(taken.parts, outcomes, strict=True):
        if not each.failure or not _is_refusal(each.failure):
            refused -= set(part.chosen)
    added = {each.name for each in taken.form.added}
    unknown = {each for each in refused if each[0] in added}
    reasons = [
        failure.reason for part, failure in failures if unknown.isdisjoint(part.chosen)
    ]
    return settle(taken.form, unknown), reasons


def _is_refusal(failure: ReadFailure) -> bool:
    return 400 <= failure.status < 500 and failure.status not in _NOT_ABOUT_FORM


def _narrowed(server: AskedServer, query: str, taken: _Taken) -> str:
    """Why the scope hides rows of this form that it would not of the query."""
    if grant(server.scope, query) is not Grant.FULL:
        return ""
    granted = {grant(server.scope, each.query) for each in taken.parts}
    return "" if granted == {Grant.FULL} else Grant.NARROWED.value


def _remember(server: AskedServer, form: Form) -> None:
    server.habits.keep(server.base, form.kind, form)
    server.log("FHIR server asked otherwise", server=server.base, **form.facts())
