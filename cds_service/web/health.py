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
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from .. import __version__
from ..decision import World
from ..protocol.errors import Unavailable
from ..protocol.openapi import build_openapi
from ..store.records import StoreError
from .json import render_json
from .notes import read_notes
from .rulebook_state import RulebookMetrics, read_rulebook_error, summarise

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
