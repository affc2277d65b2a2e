"""What a worker says of the rulebook that it serves: for people and for metrics."""

import os
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily

from ..config import Reload
from ..decision import World
from ..rulebook.compile import overdue
from ..store.publications import Publication, Refusal
from ..store.records import StoreError

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
