"""For EHR vendors: what the server offers, and a request to send and see answered.

A request goes to this very server and nowhere else: it never leaves the process, but
passes everything that one from outside does, trust and limits included.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound
from werkzeug.test import Client, EnvironBuilder

from ... import __version__
from ...config import Auth, Discovery
from ...decision import World
from ...ingestion import SOURCES
from ...protocol.collection import build_collection, build_environment
from ...protocol.conformance import (
    AskedCall,
    Reply,
    Violation,
    judge_answer,
    judge_discovery,
    read_json,
)
from ...protocol.examples import build_example_call
from ...protocol.openapi import build_openapi
from ..json import render_json
from ..pages.shell import render_page
from .sessions import BenchRole, Workplace, current_visit, needs
from .throwaway import is_offered, make_key

DISCOVERY = "/cds-services"
MADE, OWN, NONE = "made", "own", "none"
"""By what a request proves who sends it: a key made for it, a token of theirs, none."""
SHOWN = ("content-type", "server-timing", "x-request-id", "www-authenticate",
         "retry-after", "cache-control")  # fmt: skip
"""Headers of an answer that tell a vendor something."""
WRITTEN = 200_000
"""Characters of an answer that are shown."""
MOST_SERVICES = 200


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A request that is edited."""

    path: str
    body: str
    proof: str
    token: str = ""

    @property
    def is_call(self) -> bool:
        """Whether a service is asked about a patient."""
        return self.path.startswith(f"{DISCOVERY}/") and self.path.count("/") == 2

    @property
    def method(self) -> str:
        """Discovery is read, everything else sent."""
        return "GET" if self.path == DISCOVERY else "POST"


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What came back, and what is to be said of it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    milliseconds: float
    violations: tuple[Violation, ...]


def add_vendors(workbench: Blueprint, place: Workplace) -> None:
    """Add the page, what it sends, and what may be taken from it."""
    world = place.world

    @workbench.get("/vendors")
    @needs(BenchRole.VIEWER)
    def show_vendors() -> Response:
        return _show(world, _draft_of(world, request.args.get("service", "")))

    @workbench.post("/vendors/send")
    @needs(BenchRole.VIEWER)
    def send() -> ResponseReturnValue:
        draft = _sent_draft(world)
        return _show(world, draft, _send(world, draft))

    @workbench.get("/vendors/collection.json")
    @needs(BenchRole.VIEWER)
    def give_collection() -> Response:
        return _as_file(build_collection(_document(world)), "collection.json")

    @workbench.post("/vendors/environment.json")
    @needs(BenchRole.VIEWER)
    def give_environment() -> ResponseReturnValue:
        if not is_offered(world.config):
            raise NotFound()
        key = make_key(world, current_visit().session.subject)
        environment = build_environment(key.issuer, key.kid, key.jwk)
        return _as_file(environment, "environment.json")


def _show(
    world: World, draft: TrialRequest, answered: TrialAnswer | None = None
) -> Response:
    services = sorted(world.rulebook.services)
    return render_page(
        "workbench/vendors.html",
        title="For EHR vendors",
        draft=draft,
        answered=answered,
        offers_keys=is_offered(world.config),
        is_open=world.config.auth is Auth.OFF,
        url=world.config.public_url,
        services=services[:MOST_SERVICES],
        discovery=_discover(world),
        curl=_as_curl(world, draft),
    )


def _draft_of(world: World, service: str) -> TrialRequest:
    """The example of a service, or of the first that there is."""
    offered = world.rulebook.services
    key = next((each for each in sorted(offered) if "@".join(each) == service), None)
    if key is None:
        key = min(offered, default=None)
    if key is None:
        return TrialRequest(DISCOVERY, "", _usual_proof(world))
    example = build_example_call(offered[key].service)
    body = json.dumps(example, indent=2, ensure_ascii=False)
    return TrialRequest(f"{DISCOVERY}/{key[0]}", body, _usual_proof(world))


def _usual_proof(world: World) -> str:
    if world.config.auth is Auth.OFF:
        return NONE
    return MADE if is_offered(world.config) else OWN


def _sent_draft(world: World) -> TrialRequest:
    """What was written into the form.

    Raises:
        NotFound: if it is for a place that an EHR does not call.
    """
    form = request.form
    path, proof = form.get("path", ""), form.get("proof", NONE)
    if path != DISCOVERY and not path.startswith(f"{DISCOVERY}/"):
        raise NotFound()
    if proof == MADE and not is_offered(world.config):
        proof = NONE
    token = "".join(form.get("token", "").split())  # a terminal breaks its lines
    return TrialRequest(path, form.get("body", ""), proof, token)


def _send(world: World, draft: TrialRequest) -> TrialAnswer:
    """What this server answers to the request."""
    headers = {"Accept": "application/json"}
    if token := _token_for(world, draft):
        headers["Authorization"] = f"Bearer {token}"
    body = draft.body.encode("utf-8", "replace") if draft.method == "POST" else None
    builder = EnvironBuilder(
        path=draft.path,
        base_url=request.host_url,
        method=draft.method,
        headers=list(headers.items()),
        data=body,
        content_type="application/json" if body is not None else None,
        environ_base={"REMOTE_ADDR": request.remote_addr or ""},
    )
    begun = perf_counter()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    answer = Client(app).open(builder)
    seconds = perf_counter() - begun
    told = {name.lower(): value for name, value in answer.headers}
    reply = Reply(answer.status_code, told, answer.get_data(), seconds, seconds)
    return TrialAnswer(
        reply.status,
        tuple((name, told[name]) for name in SHOWN if name in told),
        _written(reply.content),
        round(seconds * 1000, 1),
        tuple(_judge(reply, draft, world)),
    )


def _judge(reply: Reply, draft: TrialRequest, world: World) -> list[Violation]:
    if draft.path == DISCOVERY:
        return list(judge_discovery(reply, ""))
    if not draft.is_call:
        return []
    sent = read_json(draft.body.encode("utf-8", "replace")).value
    context = sent.get("context") if isinstance(sent, dict) else None
    patient = context.get("patientId") if isinstance(context, dict) else ""
    url = world.config.public_url + draft.path
    return judge_answer(reply, AskedCall(patient_id=str(patient or ""), url=url))


def _token_for(world: World, draft: TrialRequest) -> str:
    if draft.proof == OWN:
        return draft.token
    if draft.proof != MADE:
        return ""
    key = make_key(world, current_visit().session.subject)
    return key.sign(world.config.public_url + draft.path, world.clock())


def _discover(world: World) -> str:
    """Discovery as it is answered."""
    asks = world.config.discovery is Discovery.AUTHENTICATED
    proof = _usual_proof(world) if asks else NONE
    return _send(world, TrialRequest(DISCOVERY, "", proof)).body


def _written(content: bytes) -> str:
    read = read_json(content)
    if not read.is_json:
        return content.decode("utf-8", "replace")[:WRITTEN]
    return json.dumps(read.value, indent=2, ensure_ascii=False)[:WRITTEN]


def _as_curl(world: World, draft: TrialRequest) -> str:
    """The same request for a shell; its token is used once, so a command makes it."""
    url = world.config.public_url + draft.path
    words = ["curl", "-sS", shlex.quote(url)]
    if draft.proof != NONE:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if draft.method == "POST":
        words += ["-H 'Content-Type: application/json'", "--data-binary"]
        words.append(shlex.quote(_compact(draft.body)))
    return " \\\n  ".join([" ".join(words[:3]), *words[3:]])


def _compact(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return body


def _document(world: World) -> dict[str, Any]:
    services = (each.service for each in world.rulebook.services.values())
    return build_openapi(services, __version__, world.config.public_url, SOURCES)


def _as_file(value: Mapping[str, Any], name: str) -> Response:
    answer = Response(render_json(value), mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
