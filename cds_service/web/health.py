"""Is it alive, ready, what did it do, what does it offer: for an operator's machinery.

Health, metrics, one log line a request, and the interface described for programs.

Counters live in each worker process and are not added up: with several workers a scrape
sees one of them, named by the label ``worker``. Neither stream holds patient data.
"""

import os
import time
from collections.abc import Mapping
from typing import Any, BinaryIO
from uuid import uuid4

import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily

from .. import __version__
from ..config import Reload
from ..decision import World
from ..protocol.errors import Unavailable
from ..protocol.openapi import build_openapi
from ..rulebook.compile import overdue
from ..store.publications import Publication, Refusal
from ..store.records import StoreError
from .json import render_json
from .notes import read_notes

METHODS = {"GET", "HEAD", "OPTIONS", "POST"}
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds; the answer is due on the order of half a second (CDS Hooks)."""


def build_health(world: World) -> Blueprint:
    """Return the URLs that an operator's machinery asks."""
    health = Blueprint("health", __name__)

    @health.get("/health")
    def summary() -> Response:
        return _json(summarise(world))

    @health.get("/health/live")
    def live() -> Response:
        return _json({"status": "alive"})

    @health.get("/health/ready")
    def ready() -> Response:
        try:
            world.store.ping()
        except StoreError as error:
            raise Unavailable("The database does not answer.") from error
        rulebook = world.rulebook
        told = {
            "status": "ready",
            "profile": str(world.config.profile),
            "rulebook": rulebook.digest,
            "rules": len(rulebook.rules),
            "services": len(rulebook.services),
        }
        refused = read_rulebook_error(world)
        return _json({**told, **({"rulebook_error": refused} if refused else {})})

    @health.get("/metrics")
    def metrics() -> Response:
        counted: Metrics = current_app.extensions["cds_metrics"]
        counted.rulebook.read(world)
        return Response(generate_latest(counted.registry), mimetype="text/plain")

    return health


class Metrics:
    """Counters of one worker process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.worker = str(os.getpid())
        self.requests = Counter(
            "cds_requests",
            "Requests answered by this worker.",
            ["worker", "route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cds_request_seconds",
            "Time to answer, in this worker.",
            ["worker", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.cards = Counter(
            "cds_cards",
            "Cards shown by this worker.",
            ["worker", "service", "indicator"],
            registry=self.registry,
        )

        self.suppressed = Counter(
            "cds_cards_suppressed",
            "Cards held back by this worker, by reason.",
            ["worker", "service", "why"],
            registry=self.registry,
        )

        self.unusable = Counter(
            "cds_resources_unusable",
            "Resources about patients that this worker could not use, by reason.",
            ["worker", "type", "reason"],
            registry=self.registry,
        )
        self.foreign = Counter(
            "cds_resources_foreign",
            "Resources about other patients that this worker was handed and dropped.",
            ["worker", "type"],
            registry=self.registry,
        )

        self.withheld = Counter(
            "cds_wearable_alerts_withheld",
            "Wearable alerts that no consent permitted a call of this worker to use.",
            ["worker", "service"],
            registry=self.registry,
        )

        self.halves = Counter(
            "cds_half_characters",
            "Half characters that this worker replaced in texts, by where they stood.",
            ["worker", "where"],
            registry=self.registry,
        )

        self.rulebook = RulebookMetrics(self.registry, self.worker)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self.requests.labels(self.worker, route, method, str(status)).inc()
        self.seconds.labels(self.worker, route).observe(seconds)

    def count_card(self, service: str, indicator: str) -> None:
        """One card that was shown."""
        self.cards.labels(self.worker, service, indicator).inc()

    def count_unusable(self, resource_type: str, reason: str) -> None:
        """One resource that could not be used."""
        self.unusable.labels(self.worker, resource_type, reason).inc()

    def count_foreign(self, resource_type: str, number: int) -> None:
        """Resources about other patients."""
        self.foreign.labels(self.worker, resource_type).inc(number)

    def count_withheld(self, service: str, number: int) -> None:
        """Wearable alerts that a patient does not permit to be used."""
        self.withheld.labels(self.worker, service).inc(number)

    def count_halves(self, where: str, number: int) -> None:
        """Halves of characters that were replaced in texts."""
        self.halves.labels(self.worker, where).inc(number)

    def count_suppressed(self, service: str, why: str) -> None:
        """One card that was held back."""
        self.suppressed.labels(self.worker, service, why).inc()


def count_halves(where: str, number: int) -> None:
    """Count the halves of characters that were replaced in this request's texts."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_halves(where, number)


def observe_requests(app: Flask, log: BinaryIO | None) -> None:
    """Number, time, count and log every request of *app*; a log of None is silent."""
    metrics = app.extensions["cds_metrics"] = Metrics()
    write = build_logger(log).info if log else None

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = str(uuid4())

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        response.headers["X-Request-Id"] = g.request_id
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "OTHER"
        metrics.count(route, method, response.status_code, seconds)
        if write:
            write(
                "request",
                request_id=g.request_id,
                method=method,
                route=route,
                status=response.status_code,
                milliseconds=round(seconds * 1000, 1),
                **read_notes(),
            )
        return response


def build_logger(log: BinaryIO) -> structlog.typing.FilteringBoundLogger:
    """Return a log of one line of JSON an event."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(log),
        wrapper_class=structlog.make_filtering_bound_logger(0),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=_serialize),
        ],
    )
    return logger


def _serialize(event: Mapping[str, Any], **_: Any) -> bytes:
    return render_json(event)


def _json(value: Any) -> Response:
    return Response(render_json(value), mimetype="application/json")


def build_description(world: World) -> Blueprint:
    """Return the URL that describes all others."""
    description = Blueprint("description", __name__)

    @description.get("/openapi.json")
    def openapi() -> Response:
        services = (each.service for each in world.rulebook.services.values())
        url = world.config.public_url
        document = build_openapi(services, __version__, url)
        return Response(render_json(document), mimetype="application/json")

    return description


# The rulebook that is served, for people and for metrics

MOST = 10
"""Errors that are shown; the log has more, and `cds-service check` all."""
_IMPORTED, _NOT_IMPORTED = "imported", "not imported: products match by name"


def summarise(world: World) -> Mapping[str, Any]:
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
            "review_overdue": _overdue(world),
            "rxnorm": _IMPORTED if rulebook.has_rxnorm else _NOT_IMPORTED,
        },
    }
    problems = [serving.problem] if serving.problem else []
    try:
        problems += _add_published(told, world)
    except StoreError as error:
        problems.append(f"the database does not answer: {error}")
        return {**told, "status": "failing", "problems": problems}
    if problems or told["rulebook_error"]:
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
    return [] if holder else ["nobody watches the rules folder"]


def read_rulebook_error(world: World) -> Mapping[str, Any] | None:
    """Return why the newest rules are not served; None where they are."""
    try:
        return _error(world.store.publications.refusal())
    except StoreError:
        return None


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


def _overdue(world: World) -> int:
    rulebook = world.rulebook
    today = world.clock().astimezone(rulebook.site.time_zone).date()
    return sum(1 for _ in overdue(rulebook.rules.values(), today))


class RulebookMetrics:
    """What the rulebook of this worker is, read when somebody asks."""

    def __init__(self, registry: CollectorRegistry, worker: str) -> None:
        self._worker = worker
        self._swaps = 0
        registry.register(self)
        self._info = Gauge(
            "cds_rulebook_info",
            "1 for the rulebook that this worker serves.",
            ["worker", "digest"],
            registry=registry,
        )
        self._gauges = {
            name: Gauge(f"cds_{name}", text, ["worker"], registry=registry)
            for name, text in {
                "rulebook_refused": "1 while the newest rules are refused.",
                "rulebook_loaded_timestamp_seconds": "Since when it is served.",
                "rulebook_behind": "1 while this worker cannot serve the newest.",
                "rules_review_overdue": "Rules in force whose review is overdue.",
            }.items()
        }

    def collect(self) -> Any:
        """Yield the swaps so far."""
        swaps = CounterMetricFamily(
            "cds_rulebook_swaps",
            "Times that this worker took another rulebook.",
            labels=["worker"],
        )
        swaps.add_metric([self._worker], self._swaps)
        yield swaps

    def read(self, world: World) -> None:
        """Take everything as it is now."""
        serving = world.serving
        self._swaps = serving.swaps
        self._info.clear()
        self._info.labels(self._worker, world.rulebook.digest).set(1)
        for name, value in {
            "rulebook_refused": read_rulebook_error(world) is not None,
            "rulebook_loaded_timestamp_seconds": serving.since.timestamp(),
            "rulebook_behind": bool(serving.problem),
            "rules_review_overdue": _overdue(world),
        }.items():
            self._gauges[name].labels(self._worker).set(float(value))
