"""What wearables tell: the metrics and types of alerts that a site knows.

``metrics.yaml``, which a folder may do without, and ``alert-types.yaml``. Without the
first no metric is known: readings are left out, and alerts come as ever. How what was
told leaves again stands in ``outputs.yaml``; without it, days are told to nobody.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time, timedelta
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...wearables.metrics import Band, Catalogue, Derivation, Metric, Night
from ...wearables.outputs.contents import (
    BANDS,
    NO_OUTPUTS,
    NO_WORDS,
    Concept,
    DayOutput,
    MetricOutput,
    Outputs,
)
from ...wearables.records import AlertType
from ..language.document import Document
from ..values.intervals import parse_duration

METRICS, ALERT_TYPES = "metrics.yaml", "alert-types.yaml"
OUTPUTS = "outputs.yaml"

Body = Mapping[str, Any]


def build_catalogue(
    metrics: Document | None,
    alert_types: Document | None,
    outputs: Document | None = None,
) -> Catalogue:
    """Return what the files of the right shape say; nothing of one that is missing."""
    known = {
        name: _metric(name, body, _priority(metrics))
        for name, body in _written(metrics, "metrics").items()
    }
    types = {
        name: _alert_type(name, body, known.get(body.get("metric", "")))
        for name, body in _written(alert_types, "alert_types").items()
    }
    told = build_outputs(outputs, known)
    return Catalogue(known, types, _night(metrics), told)


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
        body.get("shown_with", ""),
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
        _range(body.get("plausible")),
    )


def _range(written: Sequence[float] | None) -> tuple[float, float] | None:
    return (written[0], written[1]) if written else None


def _written(document: Document | None, key: str) -> Mapping[str, Mapping[str, Any]]:
    written: Mapping[str, Any] = document.data[key] if document else {}
    return written


def _priority(document: Document | None) -> tuple[str, ...]:
    return tuple(document.data.get("priority", ())) if document else ()


def _codes(entries: Iterable[Body]) -> frozenset[tuple[str, str]]:
    return frozenset(codes_in_order(entries))


# How it leaves again


def build_outputs(document: Document | None, metrics: Mapping[str, Metric]) -> Outputs:
    """Return what a file of the right shape says; nothing of one that is missing."""
    if document is None:
        return NO_OUTPUTS
    data: Body = document.data
    episodes = data.get("episodes", {})
    plain = Outputs(
        systems=tuple(map(canonical_system, data.get("systems", ()))),
        categories={
            name: Concept("", tuple(codes_in_order(entries)))
            for name, entries in data.get("categories", {}).items()
        },
        units=data.get("units", {}),
        statistics=_concepts(data.get("statistics", {})),
        methods=data.get("methods", {}),
        episode_categories=tuple(episodes.get("categories", ())),
        threshold=_concept(episodes.get("threshold")),
        readings=_concept(episodes.get("readings")),
        coverage=_concept(data.get("coverage")),
        wear=_concept(data.get("wear")),
        provenance=_concepts(data.get("provenance", {})),
    )
    told = {
        name: _metric_output(body, metrics[name], plain)
        for name, body in data["metrics"].items()
        if name in metrics
    }
    # Which codes go first is needed to write those of the metrics.
    return plain.with_metrics(told)


def _metric_output(body: Body, metric: Metric, outputs: Outputs) -> MetricOutput:
    codes = codes_in_order(body["codes"]) if "codes" in body else metric.codes
    return MetricOutput(
        codes=outputs.in_order(list(codes)),
        categories=tuple(body.get("categories", ())),
        profiles=tuple(body.get("profiles", ())),
        unit_text=body.get("unit_text", ""),
        days=tuple(
            _day_output(value, told, metric, outputs)
            for value, told in body.get("days", {}).items()
        ),
    )


def _day_output(value: str, body: Body, metric: Metric, outputs: Outputs) -> DayOutput:
    summary = metric.summary_codes.get(value, frozenset())
    codes = _codes(body.get("codes", ())) or summary
    members: dict[str, Concept] = {}
    if value == BANDS:
        members = {
            each.name: Concept(
                each.name,
                outputs.in_order(metric.summary_codes.get(f"band:{each.name}", ())),
            )
            for each in metric.bands
        }
    return DayOutput(
        value,
        Concept(body["text"], outputs.in_order(codes)),
        tuple(body.get("categories", ())),
        tuple(body.get("profiles", ())),
        body.get("unit", ""),
        body.get("unit_text", ""),
        members,
    )


def _concepts(body: Body) -> dict[str, Concept]:
    return {name: _concept(each) for name, each in body.items()}


def _concept(body: Body | None) -> Concept:
    if body is None:
        return NO_WORDS
    return Concept(body["text"], tuple(codes_in_order(body.get("codes", ()))))


def codes_in_order(entries: Iterable[Body]) -> Iterator[tuple[str, str]]:
    """Yield system and code of each code that is written, in their order."""
    for entry in entries:
        system = canonical_system(entry["system"])
        for code in entry["codes"]:
            yield system, normalise_code(system, code)
