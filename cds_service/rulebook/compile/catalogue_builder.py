"""What wearables tell: the metrics and types of alerts that a site knows.

``metrics.yaml``, which a folder may do without, and ``alert-types.yaml``. Without the
first no metric is known: readings are left out, and alerts come as ever.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import time, timedelta
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...wearables.metrics import Band, Catalogue, Derivation, Metric, Night
from ...wearables.records import AlertType
from ..language.document import Document
from ..values.intervals import parse_duration

METRICS, ALERT_TYPES = "metrics.yaml", "alert-types.yaml"


def build_catalogue(
    metrics: Document | None, alert_types: Document | None
) -> Catalogue:
    """Return what two files of the right shape say; nothing of one that is missing."""
    known = {
        name: _metric(name, body, _priority(metrics))
        for name, body in _written(metrics, "metrics").items()
    }
    types = {
        name: _alert_type(name, body, known.get(body.get("metric", "")))
        for name, body in _written(alert_types, "alert_types").items()
    }
    return Catalogue(known, types, _night(metrics))


def _metric(name: str, body: Mapping[str, Any], priority: tuple[str, ...]) -> Metric:
    codes = _codes(body.get("codes", ()))
    names = {
        format: [(each, "") if isinstance(each, str) else _told(each) for each in told]
        for format, told in body.get("names", {}).items()
    }
    lowest, highest = body["plausible"]
    return Metric(
        name,
        body["title"],
        body["unit"],
        lowest,
        highest,
        codes,
        codes | _codes(body.get("consent", ())),
        {format: frozenset(name for name, _ in told) for format, told in names.items()},
        {
            (format, name): unit
            for format, told in names.items()
            for name, unit in told
            if unit
        },
        body.get("molar_mass", 0.0),
        body.get("cumulative", False),
        body.get("at_rest", False),
        tuple(body.get("priority", priority)),
        _span(body.get("speaks_for")),
        tuple(_bands(body.get("bands", {}))),
        _span(body.get("proves_wear")),
        body.get("sleep", False),
        tuple(body.get("includes", ())),
        _derivation(body.get("derived")),
        {name: _codes(told) for name, told in body.get("summary_codes", {}).items()},
    )


def _span(written: str | None) -> timedelta | None:
    told = parse_duration(written)
    return told.length if told else None


def _bands(body: Mapping[str, Any]) -> Iterator[Band]:
    for name, (low, high) in body.items():
        yield Band(
            name,
            -math.inf if low is None else low,
            math.inf if high is None else high,
        )


def _derivation(body: Mapping[str, Any] | None) -> Derivation | None:
    if body is None:
        return None
    return Derivation(body["from"], body["summary"], body["times"], body["plus"])


def _night(document: Document | None) -> Night | None:
    told = document.data.get("night") if document else None
    if told is None:
        return None
    return Night(
        *(time.fromisoformat(told[each]) for each in ("from", "to", "sleep_from"))
    )


def _told(entry: Mapping[str, str]) -> tuple[str, str]:
    return entry["name"], entry["unit"]


def _alert_type(name: str, body: Mapping[str, Any], metric: Metric | None) -> AlertType:
    molar_mass = metric.molar_mass if metric else 0.0
    return AlertType(
        name,
        body["title"],
        body.get("metric", ""),
        body.get("unit", ""),
        _codes(body.get("codes", ())) | (metric.consent_codes if metric else set()),
        body.get("molar_mass", molar_mass),
        {format: frozenset(told) for format, told in body.get("names", {}).items()},
    )


def _written(document: Document | None, key: str) -> Mapping[str, Mapping[str, Any]]:
    written: Mapping[str, Any] = document.data[key] if document else {}
    return written


def _priority(document: Document | None) -> tuple[str, ...]:
    return tuple(document.data.get("priority", ())) if document else ()


def _codes(entries: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    pairs = []
    for entry in entries:
        system = canonical_system(entry["system"])
        pairs += [(system, normalise_code(system, each)) for each in entry["codes"]]
    return frozenset(pairs)
