"""The pages Try and Why: a chart, a call, the cards, and what every rule saw.

One form carries all of it, so that any worker can answer and nothing of a chart is kept
here between two questions. Without JavaScript the form is sent and the page comes anew;
with it only the part that changed does.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from ...audit import build_workbench_event
from ...config import ConsentMode
from ...decision import World
from ...decision.referring import referring_of
from ...ehr.exchange import Unanswered
from ...rulebook.cards import HELD_BACK_EXTENSION
from ...store.records import AuditEvent
from ...trust import TrustedClient
from ...wearables.records import PatientKey
from ..pages.shell import offer, render_page
from ..pages.whys import RuleWhy, tell_rule, tell_sources
from .charts import (
    FIRST,
    UPLOAD,
    BroughtChart,
    ChartChoice,
    NoChart,
    bring,
    list_choices,
)
from .playing import AskedOne, NoPlay, Play, play
from .sessions import BenchRole, Workplace, current_visit, needs
from .stage import NOBODY, NoStage, PlaySetting, open_stage
from .throwaway import issuer_of
from .wearing import NAMING, scenarios
from .wishes import CONSENTS, MISSING, SENT, SHIFTS, STATES, PlayWish, read_wish

LARGEST_SHOWN = 200_000
"""Characters of a request, an answer or a resource that a page shows."""


@dataclass(frozen=True, slots=True)
class ToldRule:
    """A rule as the page tells it."""

    why: RuleWhy
    name: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class Scene:
    """All that a page shows."""

    wish: PlayWish
    choices: tuple[ChartChoice, ...]
    callers: Mapping[str, TrustedClient] = field(default_factory=dict)
    """The clients that may be played, by name."""
    choice: ChartChoice | None = None
    client: TrustedClient = NOBODY
    """Who calls."""
    opens_pages: bool = True
    """Whether it opens the pages that links of cards lead to."""
    chart: BroughtChart = field(default_factory=BroughtChart)
    play: Play | None = None
    problem: str = ""
    """Why nothing was played; empty where something was."""


def add_trying(workbench: Blueprint, place: Workplace) -> None:
    """Add the pages Try and Why."""

    @workbench.route("/try", methods=["GET", "POST"])
    @needs(BenchRole.AUTHOR)
    def show_try() -> ResponseReturnValue:
        return _show(place.world, "try", "Try rules on a chart")

    @workbench.route("/why", methods=["GET", "POST"])
    @needs(BenchRole.AUTHOR)
    def show_why() -> ResponseReturnValue:
        return _show(place.world, "why", "Why each rule decided as it did")


def add_nothing(workbench: Blueprint, place: Workplace) -> None:
    """Add no page: it comes with another."""


class Rehearsal:
    """Plays and shows the first chart once, beside whoever has opened the workbench.

    What only a first play takes (templates and statements that are compiled, tables
    that are made) is most of its time, and somebody would wait for it.
    """

    def __init__(self) -> None:
        self._begun = threading.Lock()

    def begin(self, app: Flask, world: World) -> threading.Thread | None:
        """Return the thread that does it; None where it has begun before."""
        if not self._begun.acquire(blocking=False):
            return None
        thread = threading.Thread(
            target=_rehearse, args=(app, world), name="workbench rehearsal", daemon=True
        )
        thread.start()
        return thread


REHEARSAL = Rehearsal()
"""Of this process."""


def _rehearse(app: Flask, world: World) -> None:
    """Play what a page begins with and show it to nobody: no trail tells of it.

    Where it cannot be played, the page says so to who opens it.
    """
    with app.test_request_context("/"):
        offer(navigation=(), subject="", role="", form_token="")  # nosec B106 # none
        scene = set_scene(world)
        for name in ("try", "why"):
            _render(world, name, "", scene)


def _show(world: World, name: str, title: str) -> Response:
    scene = set_scene(world)
    record_view(world, name, scene)
    return _render(world, name, title, scene)


def _render(world: World, name: str, title: str, scene: Scene) -> Response:
    played = scene.play
    resources = _texts(played.resources) if played and name == "why" else {}
    return render_page(
        f"workbench/{name}.html",
        title=title,
        name=name,
        scene=scene,
        wish=scene.wish,
        play=played,
        groups=_groups(scene.choices),
        services=_services(world, scene.client),
        is_known=scene.client is not NOBODY,
        consents=CONSENTS,
        watches=_watches(),
        formats=NAMING,
        shifts=SHIFTS,
        states=STATES,
        sent=SENT,
        rules=tuple(map(_told, played.asked)) if played else (),
        rest=played.rest if played else (),
        sources=tell_sources(played.sources) if played else (),
        resources=resources,
        anchors={each: f"entry-{number}" for number, each in enumerate(resources)},
        request_text=_text(_without_token(played.request)) if played else "",
        answer_text=_text(played.body) if played else "",
        timings=_timings(played) if played else (),
        held=(
            _held_back(played.again if played.told_back else played.body)
            if played
            else 0
        ),
    )


def set_scene(world: World) -> Scene:
    """Return what was asked for, played as far as it can be."""
    now = world.clock()
    choices = list_choices(world)
    wish = read_wish(request.form, request.files, now)
    scene = Scene(_with_defaults(wish, choices), choices, _callers(world))
    wish = scene.wish
    scene.choice = {each.key: each for each in choices}.get(wish.chart)
    if scene.choice is None and wish.chart != UPLOAD:
        scene.problem = "Choose a chart."
        return scene
    # A FHIR server is read for the client whose it is.
    server = scene.choice.server if scene.choice else None
    name = scene.choice.client if scene.choice and server else wish.client
    scene.client = scene.callers.get(name, NOBODY)
    try:
        scene.chart = bring(scene.choice, wish.upload, world, wish.opened)
        scene.wish = _suited(wish, scene, world)
        _play(scene, world)
    except (NoChart, NoPlay, NoStage, Unanswered) as error:
        scene.problem = str(error)
    return scene


def _play(scene: Scene, world: World) -> None:
    wish, choice = scene.wish, scene.choice
    server = choice.server if choice else None
    setting = PlaySetting(
        scene.client,
        server,
        needs_token=bool(choice and server and not choice.open),
        consent=(
            ConsentMode.REQUIRED if wish.consent == MISSING else ConsentMode.ASSUMED
        ),
    )
    with open_stage(world, wish.opened, setting) as stage:
        played = stage.world
        opening = referring_of(played.config, stage.client, played.vault)
        scene.opens_pages = opening is not None
        scene.play = play(stage, wish, choice, scene.chart)


def _callers(world: World) -> dict[str, TrustedClient]:
    """The clients of the clients file."""
    own = issuer_of(world.config)
    known = (each.client for each in world.clients.clients)
    return {each.id: each for each in known if each.issuer != own}


def _with_defaults(wish: PlayWish, choices: tuple[ChartChoice, ...]) -> PlayWish:
    """Where nothing was chosen yet, the page begins with a case that shows a card."""
    if wish.chart or not choices:
        return wish
    first = [each for each in choices if each.key.endswith(f"/{FIRST}")] or choices
    return replace(wish, chart=first[0].key)


def _suited(wish: PlayWish, scene: Scene, world: World) -> PlayWish:
    """Return the wish with a client, a service and a patient that there are.

    Raises:
        NoPlay: if the client has no service.
    """
    chart, client = scene.chart, scene.client
    offered = [key for key, _ in _services(world, client)]
    if not offered:
        raise NoPlay(f"{client.id} has no service here.")
    service = wish.service
    if service not in offered:
        hook = chart.request.get("hook")
        fitting = [each for each in offered if each.endswith(f" {hook}")]
        service = next(iter(fitting or offered))
    patient = wish.patient
    if chart.patients and patient not in chart.patients:
        patient = chart.patients[0]
    named = client.id if client is not NOBODY else ""
    return replace(wish, client=named, service=service, patient=patient)


def record_view(world: World, page: str, scene: Scene) -> None:
    """Have the trail say who looked at whose chart here, before it is shown."""
    visit, wish, choice = current_visit(), scene.wish, scene.choice
    told: dict[str, Any] = {
        "page": page,
        "chart": choice.key if choice else UPLOAD,
        "client": wish.client,
        "service": wish.service,
        "patient": wish.patient,
    }
    event = build_workbench_event(visit.now, "view", visit.session.subject, told)
    if choice is not None and choice.server is not None:
        event = _about_patient(event, world, choice, wish.patient)
    world.store.record_audit(event)


def _about_patient(
    event: AuditEvent, world: World, choice: ChartChoice, patient: str
) -> AuditEvent:
    """A chart of a hospital's own server is one of its patients'."""
    known = {each.client.id: each.client for each in world.clients.clients}
    client = known[choice.client]
    whose = PatientKey(client.tenant, client.fhir_base, patient)
    return replace(event, tenant=client.tenant, patient=whose)


def _told(asked: AskedOne) -> ToldRule:
    return ToldRule(tell_rule(asked.why), str(asked.why["rule"]), asked.notes)


def _groups(choices: tuple[ChartChoice, ...]) -> dict[str, list[ChartChoice]]:
    groups: dict[str, list[ChartChoice]] = {}
    for each in choices:
        groups.setdefault(each.group, []).append(each)
    return groups


def _services(world: World, client: TrustedClient) -> list[tuple[str, str]]:
    return [
        (f"{id} {hook}", f"{id}, {hook}")
        for id, hook in world.rulebook.services
        if client.may_call(id)
    ]


def _watches() -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for group, name, says in scenarios():
        groups.setdefault(group, []).append((name, says))
    return groups


def _texts(resources: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(each) for name, each in resources.items()}


LEFT_OUT = "…"
"""Stands where something is not shown."""


def _without_token(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A request as a page shows it: who looks on learns no token."""
    shown = dict(sent)
    granted = shown.get("fhirAuthorization")
    if isinstance(granted, dict):
        shown["fhirAuthorization"] = {**granted, "access_token": LEFT_OUT}
    return shown


def _text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Half of a surrogate pair is legal in JSON, and no character.
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= LARGEST_SHOWN:
        return text
    return f"{text[:LARGEST_SHOWN]}\n… {len(text) - LARGEST_SHOWN:,} characters more"


def _timings(played: Play) -> tuple[tuple[str, str], ...]:
    """What ``Server-Timing`` says, a phase and its milliseconds each."""
    if played.reply is None:
        return ()
    told = []
    for entry in played.reply.headers.get("server-timing", "").split(","):
        name, *rest = (each.strip() for each in entry.split(";"))
        values = dict(each.partition("=")[::2] for each in rest)
        if "dur" in values:
            about = values.get("desc", "").strip('"')
            told.append((f"{name} {about}".strip(), f"{values['dur']} ms"))
    return tuple(told)


def _held_back(body: Any) -> int:
    """How many cards an answer says were held back."""
    extension = body.get("extension") if isinstance(body, dict) else None
    told = extension.get(HELD_BACK_EXTENSION) if isinstance(extension, dict) else None
    count = told.get("count") if isinstance(told, dict) else 0
    return count if isinstance(count, int) else 0
