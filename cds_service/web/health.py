"""Is it alive, ready, what did it do, what does it offer: for an operator's machinery.

Health, metrics, and the interface described for programs.
Nothing of it holds patient data.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from .. import __version__
from ..config import Reload
from ..decision import World
from ..ingestion import SOURCES
from ..protocol.errors import Unavailable
from ..protocol.openapi import build_openapi
from ..store.grants.pulling import FAILING
from ..store.publications import Publication, Refusal
from ..store.records import StoreError
from .json import render_json
from .metrics import Metrics, count_overdue
from .readiness import Readiness
from .sources import SourceWatch


def build_health(world: World) -> Blueprint:
    """Return the URLs that an operator's machinery asks."""
    health = Blueprint("health", __name__)
    sources = SourceWatch(world)

    @health.get("/health", strict_slashes=True)
    def summary() -> Response:
        return _json(summarise(world, sources))

    @health.get("/health/live", strict_slashes=True)
    def live() -> Response:
        return _json({"status": "alive"})

    @health.get("/health/ready", strict_slashes=True)
    def ready() -> Response:
        answer = read_readiness(current_app)
        return Response(answer.body, answer.status, answer.headers)

    @health.get("/metrics", strict_slashes=True)
    def metrics() -> Response:
        counted: Metrics = current_app.extensions["cds_metrics"]
        text = counted.render(world, sources)
        return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return health


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """What ``/health/ready`` says at this moment."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """JSON."""


def read_readiness(app: Flask) -> HealthAnswer:
    """Return what ``/health/ready`` answers; from memory, and in any thread."""
    readiness: Readiness = app.extensions["cds_readiness"]
    world: World = app.extensions["cds_service"]
    headers = {"Content-Type": "application/json"}
    ends: Callable[[], bool] | None = app.extensions.get("cds_ends")
    why = "This server is shutting down." if ends and ends() else ""
    fault = readiness.fault
    if fault is not None:
        why = why or f"Nothing can be recorded: {fault.kind}."
    if why:
        error = Unavailable(why)
        headers["Retry-After"] = str(error.retry_after)
        return HealthAnswer(error.status, headers, render_json(error.as_json()))
    rulebook, refused = world.rulebook, _error(readiness.refusal)
    told = {
        "status": "ready",
        "profile": str(world.config.profile),
        "rulebook": rulebook.digest,
        "rules": len(rulebook.rules),
        "services": len(rulebook.services),
        **({"rulebook_error": refused} if refused else {}),
    }
    return HealthAnswer(200, headers, render_json(told))


def _json(value: Any) -> Response:
    return Response(render_json(value), mimetype="application/json")


def build_description(world: World) -> Blueprint:
    """Return the URL that describes all others."""
    description = Blueprint("description", __name__)

    @description.get("/openapi.json", strict_slashes=True)
    def openapi() -> Response:
        services = (each.service for each in world.rulebook.services.values())
        url = world.config.public_url
        document = build_openapi(services, __version__, url, SOURCES)
        return Response(render_json(document), mimetype="application/json")

    return description


# The rulebook that is served, for people

LATE = 900.0
"""Seconds that something may be due for a destination before somebody should look."""
MOST = 10
"""Errors that are shown; the log has more, and `cds-service check` all."""
_IMPORTED, _NOT_IMPORTED = "imported", "not imported: products match by name"


def summarise(world: World, sources: SourceWatch) -> Mapping[str, Any]:
    """Return how this worker and the rules that it serves are; nothing of a patient.

    ``degraded``: calls are answered, and somebody should look.
    """
    serving, rulebook = world.serving, world.rulebook
    told: dict[str, Any] = {
        "status": "ok",
        "profile": str(world.config.profile),
        "worker": os.getpid(),
        "rulebook": {
            "digest": rulebook.digest,
            "since": serving.since.isoformat(timespec="seconds"),
            "swaps": serving.swaps,
            "rules": len(rulebook.rules),
            "services": len(rulebook.services),
            "review_overdue": count_overdue(world),
            "rxnorm": _IMPORTED if rulebook.has_rxnorm else _NOT_IMPORTED,
        },
    }
    problems = [serving.problem] if serving.problem else []
    readiness: Readiness = current_app.extensions["cds_readiness"]
    if fault := readiness.fault:
        problems.append(f"nothing can be recorded: {fault.kind}: {fault.text}")
        return {**told, "status": "failing", "problems": problems}
    try:
        problems += _add_published(told, world)
        told["detection_due"] = world.store.detections.count_due()
        if world.clients.clouds:
            told["grants"] = world.store.pulls.count()
            problems += _unpulled(told["grants"])
        problems += _add_destinations(told, world)
        if sources.hours:
            told["sources_silent"] = _silent(sources)
    except StoreError as error:
        problems.append(f"the database does not answer: {error}")
        return {**told, "status": "failing", "problems": problems}
    if problems or told["rulebook_error"] or told.get("sources_silent"):
        told["status"] = "degraded"
    return {**told, "problems": problems}


def _add_published(told: dict[str, Any], world: World) -> list[str]:
    """Add what every worker should serve; what is wrong with that comes back."""
    publications = world.store.publications
    newest = publications.newest()
    told["published"] = _published(newest) if newest else None
    told["rulebook_error"] = _error(publications.refusal())
    if world.config.reload is Reload.OFF:
        told["watched"] = "off"
        return []
    holder = publications.lease_holder(world.clock())
    told["watched"] = bool(holder)
    return [] if holder else ["no process watches the rules folder"]


def _unpulled(grants: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [
        f"not all data can be fetched from {source}: see `cds-service connect list`"
        for source, counted in grants.items()
        if counted.get(FAILING)
    ]


def _add_destinations(told: dict[str, Any], world: World) -> list[str]:
    """Add what waits for each destination; what somebody should see to comes back."""
    now, problems = world.clock(), list[str]()
    backlogs = world.store.outbox_desk.backlogs(now)
    for each in backlogs:
        if each.dead:
            problems.append(
                f"destination {each.destination}: some deliveries were given up"
            )
        if each.health.is_left_alone(now):
            problems.append(f"destination {each.destination}: fails, and is paused")
        elif each.oldest_seconds > LATE:
            problems.append(f"destination {each.destination}: deliveries are late")
    told["destinations"] = [
        {
            "destination": each.destination,
            "waiting": each.waiting,
            "withheld": each.withheld,
            "dead": each.dead,
            "lag_seconds": round(each.oldest_seconds),
            "left_alone": each.health.is_left_alone(now),
        }
        for each in backlogs
    ]
    return problems


def _silent(sources: SourceWatch) -> list[Mapping[str, str]]:
    return [
        {"source": source, "since": since.isoformat(timespec="seconds")}
        for source, since in sources.silent().items()
    ]


def _published(newest: Publication) -> Mapping[str, Any]:
    return {
        "digest": newest.digest,
        "at": newest.at,
        "publisher": newest.publisher,
        "rules": newest.rules,
    }


def _error(refusal: Refusal | None) -> Mapping[str, Any] | None:
    if refusal is None:
        return None
    return {
        "at": refusal.at,
        "publisher": refusal.publisher,
        "findings": [
            f"{each['file']}:{each['line']}:{each['column']}: "
            f"{each['code']}: {each['message']}"
            for each in refusal.findings[:MOST]
        ],
        "more": max(0, len(refusal.findings) - MOST),
    }
