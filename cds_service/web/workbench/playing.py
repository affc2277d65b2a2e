"""One play: a chart, a call as an EHR makes it, what came of it, and why.

The call goes through everything that an EHR's goes through. What each rule saw is asked
once more beside it: the same chart, wearables and moment give the same truths.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ...config import Profile
from ...decision import read_chart, read_wearables, with_partial_alerts
from ...decision.stopwatch import Stopwatch
from ...ehr.exchange import Incomplete, Unanswered
from ...ehr.fixture_server import build_outcome
from ...ehr.hook_calls import (
    FhirAccess,
    build_context,
    build_request,
    derive_scope,
    discover,
)
from ...ehr.prefetch import Prefetched, fill_templates
from ...fhir.chart import Chart, Policy, Source
from ...http.addresses import ListedServer
from ...protocol.conformance import (
    AskedCall,
    Reply,
    Violation,
    judge_answer,
    read_json,
)
from ...protocol.errors import CdsError
from ...protocol.prefetch_tokens import Filling
from ...protocol.requests import parse_request
from ...rulebook.describe import why_json
from ...rulebook.engine import Case, Outcome, Rule, ServiceRules, evaluate
from ...store.reports import FeedbackRecord, Period
from ...wearables.records import PatientKey
from .charts import BroughtChart, ChartChoice
from .stage import PlayStage
from .wearing import Delivered, wear
from .wishes import DROPPED, FAILED, PlayWish

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
END = datetime(2200, 1, 1, tzinfo=UTC)
ORDER = {Outcome.FIRES: 0, Outcome.UNKNOWN: 1}
MOST_TREES = 60
"""Rules that are told criterion by criterion: first those that say something."""


@dataclass(frozen=True, slots=True)
class ToldBack:
    """Feedback that was sent, its answer, and what is on record of it."""

    sent: Mapping[str, Any]
    status: int
    recorded: FeedbackRecord | None


@dataclass(frozen=True, slots=True)
class AskedOne:
    """What one rule said."""

    why: Mapping[str, Any]
    """As ``why_json`` tells it."""
    notes: tuple[str, ...]
    """What keeps it from being heard, whatever it says."""


@dataclass(slots=True)
class Play:
    """What came of it."""

    now: datetime
    """What the clock said."""
    request: Mapping[str, Any] = field(default_factory=dict)
    reply: Reply | None = None
    body: Any = None
    violations: tuple[Violation, ...] = ()
    keys: tuple[str, ...] = ()
    """Of the prefetch that the service asks for."""
    filled: Prefetched = field(default_factory=Prefetched)
    delivered: tuple[Delivered, ...] = ()
    told_back: tuple[ToldBack, ...] = ()
    again: Any = None
    """The body of the answer when the chart is opened once more, after feedback."""
    asked: tuple[AskedOne, ...] = ()
    rest: tuple[str, ...] = ()
    """The names of further rules, which say nothing."""
    sources: tuple[Mapping[str, Any], ...] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    """The ``appContext`` of a link to the page of this server that it opens."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """``Type/id`` to what came of it."""
    refused: str = ""
    """Why no rule could be asked."""

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        """The cards of the answer."""
        return _cards(self.body)

    @property
    def launches(self) -> bool:
        """Whether a card has a link that launches an app."""
        links = (link for card in self.cards for link in card.get("links", ()))
        return any(each.get("type") == "smart" for each in links)

    @property
    def cards_again(self) -> tuple[Mapping[str, Any], ...]:
        """Those that are shown when the chart is opened once more."""
        return _cards(self.again)


class NoPlay(Exception):
    """It cannot be played; a sentence for the page says why."""


def play(
    stage: PlayStage, wish: PlayWish, choice: ChartChoice | None, chart: BroughtChart
) -> Play:
    """Return what came of it.

    Raises:
        NoPlay: if the call cannot be made as it is wished.
    """
    world = stage.world
    id, _, hook = wish.service.partition(" ")
    service = world.rulebook.services.get((id, hook))
    if service is None:
        raise NoPlay("No service with that name is offered on that hook.")
    patient = wish.patient or next(iter(chart.patients), "")
    if not patient:
        raise NoPlay("Enter the id of a Patient on that server.")
    done = Play(stage.now)
    done.delivered = tuple(wear(stage, wish, chart, patient))
    stage.now = done.now = wish.opened + wish.span
    found = discover(stage.ehr, id)
    templates = _templates(found.services, id, hook)
    done.keys = tuple(templates)
    context = _context(wish, hook, chart, patient)
    access = None
    if choice is not None and choice.server is not None:
        done.filled = _left_to_read(templates, wish)
        stage.withhold((id, hook), done.filled.left_out)
        service = stage.world.rulebook.services[id, hook]
        access = _access(stage, choice.server, wish.token, templates)
    else:
        done.filled = _fill(templates, wish, chart, context, done.now)
    asked = build_request(hook, context, done.filled.values, access)
    done.request = {**asked, "hookInstance": wish.instance}
    _call(stage, done, id, patient, found.violations)
    _look(stage, done, service)
    _tell_back(stage, done, wish, id)
    return done


def _templates(services: Iterable[Any], id: str, hook: str) -> Mapping[str, str]:
    for each in services:
        if (each.get("id"), each.get("hook")) == (id, hook):
            held = each.get("prefetch")
            return held if isinstance(held, dict) else {}
    return {}


def _context(
    wish: PlayWish, hook: str, chart: BroughtChart, patient: str
) -> dict[str, Any]:
    held = chart.request.get("context")
    written = dict(held) if isinstance(held, dict) else {}
    if written and chart.request.get("hook") == hook:
        return written | ({"userId": wish.user} if wish.user else {})
    drafts = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each} for each in chart.drafts],
    }
    chosen = [f"MedicationRequest/{each['id']}" for each in chart.drafts]
    known: dict[str, Any] = {"draftOrders": drafts, "selections": chosen}
    wanted = ("order-select", "order-sign")
    more = {
        name: each
        for name, each in known.items()
        if hook in wanted and (name == "draftOrders" or hook == "order-select")
    }
    encounter = str(written.get("encounterId") or "try-encounter")
    try:
        return build_context(
            hook, patient, user=wish.user, encounter_id=encounter, more=more
        )
    except Incomplete as error:
        raise NoPlay(f"This hook needs more than a chart contains: {error}") from error


def _fill(
    templates: Mapping[str, str],
    wish: PlayWish,
    chart: BroughtChart,
    context: Mapping[str, Any],
    now: datetime,
) -> Prefetched:
    """Return the prefetch as an EHR fills it, but for what is to go wrong."""
    written = chart.request.get("prefetch")
    if isinstance(written, dict):
        filled = Prefetched(dict(written))
    elif chart.fetch is None:
        filled = Prefetched()
    else:
        filling = Filling(context, wish.user, now.date())
        filled = fill_templates(templates, filling, chart.fetch, True)
    for key, state in wish.states.items():
        _spoil(filled, key, state)
    return filled


def _spoil(filled: Prefetched, key: str, state: str) -> None:
    if state == DROPPED:
        filled.values.pop(key, None)
        filled.left_out[key] = "it was left out"
    elif state == FAILED:
        text = "The EHR could not read this."
        filled.values[key] = build_outcome("exception", text)
        filled.failed.add(key)


def _left_to_read(templates: Mapping[str, str], wish: PlayWish) -> Prefetched:
    """Nothing is sent where the service reads the FHIR server itself, but failures."""
    filled = Prefetched()
    for key, state in wish.states.items():
        if key in templates:
            _spoil(filled, key, state)
    return filled


def _access(
    stage: PlayStage, server: ListedServer, token: str, templates: Mapping[str, str]
) -> FhirAccess:
    known = stage.client.fhir_client_id
    told = {"subject": known} if known else {}
    scope = derive_scope(templates.values())
    return FhirAccess(server.url.rstrip("/"), token, scope, **told)


def _call(
    stage: PlayStage, done: Play, id: str, patient: str, found: tuple[Violation, ...]
) -> None:
    ehr = stage.ehr
    url = ehr.service_url(id)
    done.reply = ehr.ask("POST", url, done.request)
    done.body = read_json(done.reply.content).value
    asked = AskedCall(patient, "", url, "", False, "")
    done.violations = (*found, *judge_answer(done.reply, asked))
    done.pages = dict(_pages(stage, done, patient))


def _pages(stage: PlayStage, done: Play, patient: str) -> Iterator[tuple[str, str]]:
    """What links of cards refer to, by what they bear."""
    client, references = stage.client, stage.world.store.references
    whose = PatientKey(client.tenant, client.fhir_base, patient)
    for card in done.cards:
        for link in card.get("links", ()):
            bears = link.get("appContext", "")
            found = references.resolve(bears, whose, client.id, None, done.now)
            if found is not None:
                yield bears, found.page


def _look(stage: PlayStage, done: Play, service: ServiceRules) -> None:
    """Ask every rule once more, and keep what it saw."""
    world, client = stage.world, stage.client
    try:
        https_only = world.config.profile is Profile.PRODUCTION
        hook_request = parse_request(done.request, https_only=https_only)
        lenient = replace(service, queries=_optional(service))
        chart = read_chart(lenient, hook_request, client, world, Stopwatch())
        key = PatientKey(client.tenant, client.fhir_base, hook_request.patient_id)
        heeded = read_wearables(lenient, chart, key, client, world, done.now)
    except CdsError as error:
        done.refused = "; ".join(each.text for each in error.problems)
        return
    chart = with_partial_alerts(chart, heeded)
    told = evaluate(service, chart, heeded.wearables, done.now)
    said = {each.rule.id: each.outcome for each in told.items}
    rules = sorted(
        service.rules, key=lambda each: ORDER.get(said.get(each.id, Outcome.NO), 2)
    )
    done.asked = tuple(
        AskedOne(why_json(rule, told.case), tuple(_notes(rule, service, told.case)))
        for rule in rules[:MOST_TREES]
    )
    done.rest = tuple(each.id for each in rules[MOST_TREES:])
    done.sources = tuple(map(_as_source, chart.sources.values()))
    done.resources = dict(_resources(chart))


def _optional(service: ServiceRules) -> Any:
    """The same queries, none of which keeps a rule from being asked."""
    return tuple(
        each if each.policy is Policy.SKIP else replace(each, policy=Policy.OPTIONAL)
        for each in service.queries
    )


def _notes(rule: Rule, service: ServiceRules, case: Case) -> Iterator[str]:
    if rule.status != "active":
        yield f"its status is {rule.status}, so no card is shown"
    elif not rule.served:
        yield "it is not approved, so no card is shown"
    if rule.is_evaluated and not rule.in_force(case.today):
        yield f"it is not in force on {case.today}"
    if rule not in service.program.candidates(case.index):
        yield "it is not evaluated in this call: data that it needs are missing"


def _as_source(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "state": source.state.name.lower(),
        "why": source.why,
        "resources": len(source.resources),
    }


def _resources(chart: Chart) -> Iterator[tuple[str, Any]]:
    if chart.patient:
        yield f"Patient/{chart.patient_id}", chart.patient
    for source in chart.sources.values():
        for each in source.resources:
            yield f"{each.get('resourceType')}/{each.get('id')}", each
    for reference, each in chart.medications.items():
        yield reference, each


def _tell_back(stage: PlayStage, done: Play, wish: PlayWish, id: str) -> None:
    """Send what was done with the cards, then open the chart once more."""
    if not wish.acts:
        return
    url = f"{stage.ehr.service_url(id)}/feedback"
    told = []
    for act in wish.acts:
        sent = act.as_feedback(done.now)
        reply = stage.ehr.ask("POST", url, {"feedback": [sent]})
        told.append((sent, reply.status))
    records = list(stage.world.store.reports.feedback(Period(BEGINNING, END)))
    known = {each.card: each for each in records}
    done.told_back = tuple(
        ToldBack(sent, status, known.get(str(sent["card"]))) for sent, status in told
    )
    instance = str(uuid5(NAMESPACE_URL, f"{wish.instance} again"))
    asked = {**done.request, "hookInstance": instance}
    try:
        reply = stage.ehr.ask("POST", stage.ehr.service_url(id), asked)
    except Unanswered:
        return
    done.again = read_json(reply.content).value


def _cards(body: Any) -> tuple[Mapping[str, Any], ...]:
    cards = body.get("cards") if isinstance(body, dict) else None
    found = cards if isinstance(cards, list) else []
    return tuple(each for each in found if isinstance(each, dict))
