"""What this server counts and how it fares, for Prometheus; nothing of a patient.

Under `cds-service serve` the workers of one machine keep their numbers in files of one
folder, so that whichever is asked answers for all of them: counters as sums, of workers
that died as well, gauges over those that live. Elsewhere a process counts for itself.
What the database knows is read when somebody asks, and left out where it does not
answer.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from .. import __version__
from ..config import Reload
from ..decision import World
from ..ingestion import ReadingsTally
from ..rulebook.compile import overdue
from ..store.detection.due import REASONS
from ..store.detection.records import DetectionOutcome
from ..store.grants.pulling import FAILING
from ..store.grants.records import GrantState
from ..store.grants.subscriptions import STATES
from ..store.outbox.records import Backlog
from ..store.records import StoreError
from .sources import SourceWatch

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds; the answer is due on the order of half a second (CDS Hooks)."""
LAGS = (60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0)
"""Seconds; a phone may wait for its wearer to open the app."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of all workers, as prometheus-client wants it."""
EVERY = 1.0
"""Seconds between two times that a worker says how it fares."""

COUNTERS = {
    "requests": ("Requests answered.", "route", "method", "status"),
    "cards": ("Cards shown.", "service", "indicator"),
    "cards_suppressed": ("Cards held back, by reason.", "service", "why"),
    "resources_unusable": (
        "Resources about patients that could not be used, by reason.",
        *("type", "reason"),
    ),
    "resources_foreign": (
        "Resources about other patients that arrived and were dropped.",
        "type",
    ),
    "wearable_alerts_withheld": (
        "Wearable alerts that no consent permitted a call to use.",
        "service",
    ),
    "readings": ("Readings delivered, by outcome.", "source", "outcome"),
    "readings_left_out": ("Readings left out, by reason.", "source", "reason"),
    "notifications": (
        "Items named in vendors' notifications, by outcome.",
        *("source", "outcome"),
    ),
    "judged": ("Readings and days that detectors judged.", "detector"),
    "not_judged": (
        "Readings and days that detectors could not judge, by reason.",
        *("detector", "reason"),
    ),
    "episodes": ("Episodes that changed, by kind of change.", "detector", "change"),
    "launches": ("Sign-ins from EHRs, by outcome.", "outcome"),
    "half_characters": (
        "Broken characters that were replaced in texts, by place.",
        "where",
    ),
    "store_failures": (
        "Failures of the database, by its own name for them.",
        "kind",
    ),
    "connections_given_up": ("Connections that were closed early, by reason.", "why"),
    "rulebook_swaps": ("Times that a worker switched to another rulebook.",),
}
"""Name without its prefix, to what is counted, and the labels."""
TIMES: Mapping[str, tuple[tuple[float, ...], str, *tuple[str, ...]]] = {
    "request_seconds": (BUCKETS, "Time to answer.", "route"),
    "readings_lag_seconds": (
        LAGS,
        "Time from the end of the newest reading in a delivery until it arrived.",
        "source",
    ),
    "detection_seconds": (
        BUCKETS,
        "Time that a transaction took to judge what had arrived or was due.",
    ),
}
"""Name without its prefix, to its buckets, what takes that long, and the labels."""
GAUGES: Mapping[str, tuple[Any, str]] = {
    "workers": ("livesum", "Workers that answer."),
    "workers_unready": ("livesum", "Workers that cannot record, and so cannot answer."),
    "threads": ("livesum", "Threads of all workers: calls at once."),
    "threads_busy": ("livesum", "Threads that answer a request."),
    "requests_waiting": ("livesum", "Requests that wait for a thread."),
    "connections_open": ("livesum", "Open connections, idle ones included."),
    "database_connections_busy": ("livesum", "Connections to the database in use."),
    "database_connections_most": (
        "livesum",
        "Largest number of connections to the database; 0 if it is not limited.",
    ),
    "rulebook_behind": ("livesum", "Workers that cannot serve the newest rules."),
    "rulebook_loaded_timestamp_seconds": (
        "livemax",
        "When a worker last switched to a rulebook.",
    ),
    "rulebook_checked_timestamp_seconds": (
        "livemin",
        "When it was last asked what is published, by the worker that is latest.",
    ),
}
"""Name without its prefix, to how the workers' values become one, and what it is."""


BACKLOGS: Mapping[str, tuple[str, Callable[[Backlog, datetime], float]]] = {
    "outbox_waiting": (
        "Items that wait to be delivered to a destination.",
        lambda each, now: each.waiting,
    ),
    "outbox_due": ("Those of them that are due.", lambda each, now: each.due),
    "outbox_withheld": (
        "Items withheld from a destination, because no consent permits sending them.",
        lambda each, now: each.withheld,
    ),
    "outbox_dead": (
        "Items that were given up, until somebody queues them again.",
        lambda each, now: each.dead,
    ),
    "outbox_oldest_seconds": (
        "For how long the oldest has been due, or 0.",
        lambda each, now: each.oldest_seconds,
    ),
    "destination_paused": (
        "1 while deliveries to a destination are paused after repeated failures.",
        lambda each, now: each.health.is_left_alone(now),
    ),
}
"""Name without its prefix, to what it is of each destination, and its value."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker has to do at this moment."""

    busy: int = 0
    """Threads that answer."""
    waiting: int = 0
    """Requests for which there is no thread yet."""
    connections: int = 0
    """Open ones, those that do nothing included."""


class Metrics:
    """Counters and gauges of one worker process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.workload: Callable[[], Load] = Load
        """Asked for what the worker has to do; who runs the worker sets it."""
        self.is_unready: Callable[[], bool] = lambda: False
        """Asked whether something keeps the worker from recording; the app sets it."""
        self._swapped = 0
        self._counters = {
            name: Counter(f"cds_{name}", text, labels, registry=self.registry)
            for name, (text, *labels) in COUNTERS.items()
        }
        self._seconds = {
            name: Histogram(
                f"cds_{name}", text, labels, buckets=buckets, registry=self.registry
            )
            for name, (buckets, text, *labels) in TIMES.items()
        }
        self._sums = {
            name: Gauge(
                f"cds_{name}", text, registry=self.registry, multiprocess_mode=of_all
            )
            for name, (of_all, text) in GAUGES.items()
        }

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self._counters["requests"].labels(route, method, str(status)).inc()
        self._seconds["request_seconds"].labels(route).observe(seconds)

    def count_card(self, service: str, indicator: str) -> None:
        """One card that was shown."""
        self._counters["cards"].labels(service, indicator).inc()

    def count_unusable(self, resource_type: str, reason: str) -> None:
        """One resource that could not be used."""
        self._counters["resources_unusable"].labels(resource_type, reason).inc()

    def count_foreign(self, resource_type: str, number: int) -> None:
        """Resources about other patients."""
        self._counters["resources_foreign"].labels(resource_type).inc(number)

    def count_withheld(self, service: str, number: int) -> None:
        """Wearable alerts that a patient does not permit to be used."""
        self._counters["wearable_alerts_withheld"].labels(service).inc(number)

    def count_launch(self, outcome: str) -> None:
        """One step of somebody who signs in from an EHR."""
        self._counters["launches"].labels(outcome).inc()

    def count_readings(self, source: str, tally: ReadingsTally) -> None:
        """The readings of one delivery."""
        for outcome, number in tally.outcomes.items():
            self._counters["readings"].labels(source, outcome).inc(number)
        for reason, number in tally.left_out.items():
            self._counters["readings_left_out"].labels(source, reason).inc(number)
        if tally.lag is not None:
            self._seconds["readings_lag_seconds"].labels(source).observe(tally.lag)

    def count_notifications(self, source: str, outcomes: Mapping[str, int]) -> None:
        """What one notification named."""
        for outcome, number in outcomes.items():
            self._counters["notifications"].labels(source, outcome).inc(number)

    def count_detected(self, detected: DetectionOutcome) -> None:
        """What came of the judging of readings."""
        for detector, number in detected.judged.items():
            self._counters["judged"].labels(detector).inc(number)
        for (detector, reason), number in detected.not_judged.items():
            self._counters["not_judged"].labels(detector, reason).inc(number)
        for each in detected.episodes:
            for change in each.happened:
                self._counters["episodes"].labels(each.detector, change).inc()
        if detected.seconds:
            self._seconds["detection_seconds"].observe(detected.seconds)

    def count_halves(self, where: str, number: int) -> None:
        """Halves of characters that were replaced in texts."""
        self._counters["half_characters"].labels(where).inc(number)

    def count_store_failure(self, kind: str) -> None:
        """One time that the database failed."""
        self._counters["store_failures"].labels(kind).inc()

    def count_given_up(self, why: str) -> None:
        """One connection that was closed, or refused, before its request was whole."""
        self._counters["connections_given_up"].labels(why).inc()

    def count_suppressed(self, service: str, why: str) -> None:
        """One card that was held back."""
        self._counters["cards_suppressed"].labels(service, why).inc()

    def say(self, world: World) -> None:
        """Take how this worker fares at this moment."""
        serving, todo, pool = world.serving, self.workload(), world.store.pool
        swaps = serving.swaps
        self._counters["rulebook_swaps"].inc(swaps - self._swapped)
        self._swapped = swaps
        now = {
            "workers": 1,
            "workers_unready": self.is_unready(),
            "threads": world.config.threads,
            "threads_busy": todo.busy,
            "requests_waiting": todo.waiting,
            "connections_open": todo.connections,
            "database_connections_busy": pool.busy,
            "database_connections_most": pool.most,
            "rulebook_behind": bool(serving.problem),
            "rulebook_loaded_timestamp_seconds": serving.since.timestamp(),
            "rulebook_checked_timestamp_seconds": serving.checked.timestamp(),
        }
        for name, value in now.items():
            self._sums[name].set(float(value))

    def keep_saying(self, world: World) -> None:
        """Say it every second from now on, for when another worker is asked."""

        def work() -> None:
            while True:
                self.say(world)
                time.sleep(EVERY)

        threading.Thread(target=work, name="metrics", daemon=True).start()

    def render_own(self) -> bytes:
        """Return what this process has counted, where it has no workers."""
        return generate_latest(self.registry)

    def render(self, world: World, sources: SourceWatch) -> bytes:
        """Return everything as Prometheus reads it, of all workers of this server."""
        self.say(world)
        counted = self.registry
        if FOLDER in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        known = CollectorRegistry()
        known.register(Known(world, sources))
        return generate_latest(counted) + generate_latest(known)


class Known:
    """What the database and the rulebook say, read when somebody asks."""

    def __init__(self, world: World, sources: SourceWatch) -> None:
        self._world = world
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield what is known; what could not be read is missing, and never 0."""
        yield _labelled(
            "build_info", "1 for the version that runs.", version=__version__
        )
        rulebook = self._world.rulebook
        told = "1 for the rulebook that the worker serves that was asked."
        yield _labelled("rulebook_info", told, digest=rulebook.digest)
        text = "Rules and detectors in force whose review is overdue."
        yield _gauge("rules_review_overdue", text, count_overdue(self._world))
        try:
            read = list(self._read())
        except StoreError:
            read = []
        yield _gauge("database_up", "1 while the database answers.", bool(read))
        yield from read

    def _read(self) -> Iterator[Metric]:
        store, now = self._world.store, self._world.clock()
        usage, publications = store.usage(now), store.publications
        text = "1 while the newest rules are refused."
        refused = publications.refusal() is not None
        yield _gauge("rulebook_refused", text, refused)
        if self._world.config.reload is Reload.ON:
            text = "1 while a process watches the rules folder."
            watched = bool(publications.lease_holder(now))
            yield _gauge("rules_watched", text, watched)
        yield _gauge("database_size_bytes", "Of the database.", usage.bytes)
        if usage.free is not None:
            text = "Free space on the disk of the database."
            yield _gauge("database_free_bytes", text, usage.free)
        text = "Age of the oldest delivery of the last hour without an answer, or 0."
        yield _gauge("delivery_unanswered_seconds", text, usage.oldest_unanswered)
        yield from self._read_due(now)
        if self._world.clients.clouds:
            yield self._read_grants()
            yield self._read_subscriptions()
        yield from _told(store.outbox_desk.backlogs(now), now)
        if self._sources.hours:
            yield self._read_silence()

    def _read_due(self, now: datetime) -> Iterator[GaugeMetricFamily]:
        detections = self._world.store.detections
        text = "Periods of patients' readings that still have to be judged, by reason."
        family = GaugeMetricFamily("cds_detection_due", text, labels=["why"])
        text = "For how long the oldest of them has been due, or 0, by reason."
        name = "cds_detection_due_oldest_seconds"
        oldest = GaugeMetricFamily(name, text, labels=["why"])
        due, since = detections.count_due(), detections.due_since()
        for why in REASONS:
            family.add_metric([why], float(due.get(why, 0)))
            waited = (now - since.get(why, now)).total_seconds()
            oldest.add_metric([why], max(0.0, waited))
        yield family
        yield oldest

    def _read_grants(self) -> GaugeMetricFamily:
        text = (
            "Wearers' permissions at vendors by state, and those with incomplete data."
        )
        labels = ["source", "state"]
        family = GaugeMetricFamily("cds_grants", text, labels=labels)
        counted = self._world.store.pulls.count()
        for cloud in self._world.clients.clouds:
            of_source = counted.get(cloud.id, {})
            for state in (*GrantState, FAILING):
                family.add_metric([cloud.id, state], float(of_source.get(state, 0)))
        return family

    def _read_subscriptions(self) -> GaugeMetricFamily:
        text = "What vendors are asked to notify of: as wanted, or failing."
        labels = ["source", "state"]
        family = GaugeMetricFamily(
            "cds_notification_subscriptions", text, labels=labels
        )
        counted = self._world.store.subscriptions.count()
        for cloud in self._world.clients.clouds:
            if cloud.vendor.subscribing is not None:
                for state in STATES:
                    number = counted.get(cloud.id, {}).get(state, 0)
                    family.add_metric([cloud.id, state], float(number))
        return family

    def _read_silence(self) -> GaugeMetricFamily:
        text = "1 while a source that delivered readings before delivers none."
        family = GaugeMetricFamily("cds_source_silent", text, labels=["source"])
        silent = self._sources.silent()
        for source in self._sources.heard():
            family.add_metric([source], float(source in silent))
        return family


def _told(backlogs: Sequence[Backlog], now: datetime) -> Iterator[Metric]:
    """What waits for each destination, and how it is."""
    for name, (text, value) in BACKLOGS.items():
        family = GaugeMetricFamily(f"cds_{name}", text, labels=["destination"])
        for each in backlogs:
            family.add_metric([each.destination], float(value(each, now)))
        yield family
    text, labels = "Attempts to deliver to a destination, by outcome.", (
        "sent",
        "failed",
    )
    counted = CounterMetricFamily(
        "cds_outbox_attempts", text, labels=["destination", "outcome"]
    )
    for each in backlogs:
        for label, number in zip(labels, (each.sent, each.failed)):
            counted.add_metric([each.destination, label], float(number))
    yield counted


def count_overdue(world: World) -> int:
    """Return how many rules and detectors in force should have been reviewed."""
    rulebook = world.rulebook
    today = world.clock().astimezone(rulebook.site.time_zone).date()
    rules = overdue(rulebook.rules.values(), today)
    detectors = overdue(rulebook.detectors.values(), today)
    return sum(1 for _ in rules) + sum(1 for _ in detectors)


def count_halves(where: str, number: int) -> None:
    """Count the halves of characters that were replaced in this request's texts."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_halves(where, number)


def count_readings(source: str, tally: ReadingsTally) -> None:
    """Count the readings of a delivery that is stored."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_readings(source, tally)


def count_notifications(source: str, outcomes: Mapping[str, int]) -> None:
    """Count what became of what a notification names."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_notifications(source, outcomes)


def count_detected(detected: DetectionOutcome) -> None:
    """Count what came of the judging of readings."""
    metrics: Metrics = current_app.extensions["cds_metrics"]
    metrics.count_detected(detected)


def forget_worker(process: int) -> None:
    """Leave the gauges of a worker that ended out from now on; its counters stay."""
    if FOLDER in os.environ:
        mark_process_dead(process)  # type: ignore[no-untyped-call]


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cds_{name}", text, value=float(value))


def _labelled(name: str, text: str, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"cds_{name}", text, labels=list(labels))
    family.add_metric(list(labels.values()), 1.0)
    return family
