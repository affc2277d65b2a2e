"""Operations: what the server did last, what waits, and what somebody should see to.

All of it stands in the database, so that it does not matter which worker answers, but
for what is said to be of this process: the rules that it serves and the keys that it
has fetched. Nothing of a patient is on the page, nor words of another side, which may
name one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue

from ...decision import World
from ...store.outbox.backlog import Chosen
from ...store.outbox.records import DEAD
from ...store.records import AuditEvent
from ...store.workbench.recent import RecentCall
from ...trust import Keyring, RegisteredClient
from ..health import summarise
from ..pages.shell import local_url, render_page
from ..sources import SourceWatch
from .sessions import PREFIX, BenchRole, Workplace, current_visit, needs

PAGE = f"{PREFIX}/operations"
MOST_CALLS = 50
MOST_DEAD = 100
"""That are listed; how many there are is said beside it."""
SPAN = timedelta(hours=24)
"""Of deliveries."""
ROWS = range(1, 2**63)
"""The ids that a row may have."""
PHASES = ("auth", "gather", "evaluate", "cards")
"""Of a call, up to when it is recorded."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One phase of a call, as a part of a bar a hundred wide."""

    phase: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call with where its time went."""

    call: RecentCall
    bars: tuple[Bar, ...]
    spent: str
    """In words."""
    chart: str


@dataclass(frozen=True, slots=True)
class FhirReads:
    """How the FHIR servers of a client were read in the newest calls."""

    client: str
    servers: tuple[str, ...]
    read: int
    failed: Mapping[str, int]
    """Why, and how often."""
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A key, or a place of keys, that a client proves itself by."""

    client: str
    issuer: str
    kids: tuple[str, ...]
    place: str
    """Where they come from; empty for the clients file."""
    since: datetime | None = None
    next: datetime | None = None
    """From when on they are fetched again."""
    is_usable: bool = True


def add_operations(workbench: Blueprint, place: Workplace) -> None:
    """Add the page, and what its button does."""
    world = place.world
    sources = SourceWatch(world)

    @workbench.get("/operations")
    @needs(BenchRole.VIEWER)
    def show_operations() -> Response:
        return render_page(
            "workbench/operations.html",
            title="Operations",
            may_retry=current_visit().role >= BenchRole.OPERATOR,
            done=request.args.get("again", "", type=str)[:12],
            **_look(world, sources),
        )

    @workbench.post("/operations/retry")
    @needs(BenchRole.OPERATOR, fresh=True)
    def retry() -> ResponseReturnValue:
        told = request.form.getlist("id", type=int)
        ids = [each for each in told if each in ROWS]
        destination = request.form.get("destination", "")
        if not ids and not destination:
            return redirect(local_url(PAGE), 303)
        chosen = Chosen(tuple(ids), destination, DEAD)
        why = {"verb": "retry", "destination": destination, "state": DEAD}
        by = current_visit().session.subject
        event = AuditEvent(world.clock(), "outbox", client=by, detail=why)
        done = world.store.outbox_desk.retry(chosen, event)
        return redirect(local_url(f"{PAGE}?again={done}"), 303)


def _look(world: World, sources: SourceWatch) -> dict[str, Any]:
    """What the page shows.

    Raises:
        StoreError: if the database does not answer: then nothing is known.
    """
    store, now = world.store, world.clock()
    calls = store.recent.calls(MOST_CALLS)
    desk = store.outbox_desk
    keyring: Keyring = current_app.extensions["cds_keyring"]
    clients = world.clients.clients
    return {
        "now": now,
        "health": summarise(world, sources),
        "serving": world.serving,
        "calls": show_calls(calls),
        "phases": PHASES,
        "fhir": list_reads(clients, calls),
        "keys": list_keys(clients, keyring, now),
        "backlogs": desk.backlogs(now),
        "dead": desk.rows(Chosen(state=DEAD), MOST_DEAD),
        "deliveries": store.recent.deliveries(now, SPAN),
        "held": store.recent.held(),
        "silent": sources.silent(),
        "heard": sources.heard(),
        "silent_hours": sources.hours,
        "trusts": world.clients.anonymous is None,
    }


def show_calls(calls: Sequence[RecentCall]) -> list[CallRow]:
    """Return the calls with bars, the longest of which is a hundred wide."""
    longest = max((each.total for each in calls), default=0.0)
    return [_call_row(each, longest) for each in calls]


def _call_row(call: RecentCall, longest: float) -> CallRow:
    bars, at = [], 0.0
    for phase in PHASES:
        width = 100 * call.milliseconds.get(phase, 0.0) / longest if longest else 0.0
        if width:
            bars.append(Bar(phase, round(at, 2), round(width, 2)))
        at += width
    spent = ", ".join(
        f"{phase} {call.milliseconds[phase]:g}"
        for phase in PHASES
        if phase in call.milliseconds
    )
    chart = ", ".join(f"{number} {state}" for state, number in call.sources.items())
    return CallRow(call, tuple(bars), spent, chart)


def list_reads(
    clients: Iterable[RegisteredClient], calls: Sequence[RecentCall]
) -> list[FhirReads]:
    """Return how the FHIR servers of each client answered in the newest calls."""
    found = []
    for each in clients:
        own = [call for call in calls if call.client == each.client.id]
        listed = (*each.client.fhir_servers, *each.client.open_fhir_servers)
        failed = Counter[str]()
        for call in own:
            failed.update(call.unread)
        latest = max((call.at for call in own if call.unread), default=None)
        read = sum(call.fetched for call in own)
        urls = tuple(dict.fromkeys(server.url for server in listed))
        if urls or read or failed:
            found.append(FhirReads(each.client.id, urls, read, failed, latest))
    return found


def list_keys(
    clients: Iterable[RegisteredClient], keyring: Keyring, now: datetime
) -> list[IssuerKey]:
    """Return by what each client proves who it is, as this process has it."""
    found = []
    for each in clients:
        whose = (each.client.id, each.client.issuer)
        if each.keys:
            found.append(IssuerKey(*whose, tuple(sorted(each.keys)), ""))
        for server in each.key_servers:
            known = keyring.look_at(server, now)
            found.append(
                IssuerKey(
                    *whose,
                    known.kids,
                    server.url,
                    known.since,
                    known.fresh_until,
                    known.is_usable,
                )
            )
    return found
