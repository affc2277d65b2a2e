"""Why an episode opened, or did not: readings of a patient, or of a file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ...exports.phones import EXPORTS
from ...wearables.adapters.registry import FORMATS
from ...wearables.detection.detectors import Detector
from ...wearables.detection.evidence import GivenEvidence
from ...wearables.detection.tracing import Event, TracedReading, trace
from ...wearables.metrics import Catalogue
from ...wearables.samples import Sample, microseconds
from ...wearables.series import series_of
from ..rules.compiled import compile_folder
from .adapt import SenderOfFile, read_items
from .judging import Bench

Traced = tuple[Detector, TracedReading]
KNOWN = (*FORMATS, *EXPORTS)
"""Formats of files, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Of what readings are explained, and to whom."""

    since: datetime | None
    until: datetime | None
    detector: str
    """One of them only; empty for all."""
    as_json: bool


def explain_patient(bench: Bench, patient: str, asked: Explained) -> None:
    """Say of each reading of a patient why an episode opened with it, or did not.

    Of what the patient does not permit to use nothing is shown.
    """
    until = asked.until or bench.now
    since = asked.since or until - timedelta(days=1)
    chosen = _chosen(bench.detection.detectors, asked.detector)
    detection = replace(bench.detection, detectors=chosen)
    span = microseconds(since), microseconds(until)
    whose, detections = bench.patient(patient), bench.store.detections
    _tell(detections.trace(whose, detection, span, bench.now), asked.as_json)


def explain_file(
    file: Path,
    formats: Sequence[str],
    rules: Path | None,
    time_zone: str,
    asked: Explained,
) -> None:
    """Say of each reading of a file what detectors would make of it.

    All of it is one wearer's. Nothing is stored, and nothing asked of a database.

    Args:
        formats: What it may be; all that are known where none is named.
    """
    rulebook = compile_folder(rules).rulebook
    chosen = _chosen(rulebook.detectors.values(), asked.detector)
    format = _recognise(file, formats, rulebook.catalogue)
    items = read_items(format, file, SenderOfFile(time_zone, "-"), rulebook.catalogue)
    samples = [each for each in items if isinstance(each, Sample)]
    zone = rulebook.site.time_zone
    evidence = GivenEvidence(series_of(samples, format), zone=zone, zone_name=str(zone))
    starts = [microseconds(each.start) for each in samples]
    since = microseconds(asked.since) if asked.since else min(starts, default=0)
    until = microseconds(asked.until) if asked.until else max(starts, default=0)
    now = datetime.now(UTC)
    traced = (
        (each, one)
        for each in chosen
        for one in trace(each, rulebook.catalogue, evidence, (since, until), now)
    )
    _tell(traced, asked.as_json)


def _recognise(file: Path, formats: Sequence[str], catalogue: Catalogue) -> str:
    """Return the format in which the file holds readings.

    Raises:
        click.UsageError: if it must be named.
        click.ClickException: if it is of none, or of several.
    """
    unknown = [each for each in formats if each not in KNOWN]
    if unknown:
        known = ", ".join(KNOWN)
        raise click.UsageError(f"There is no format {unknown[0]}: {known}.")
    if len(formats) == 1:
        return formats[0]
    if str(file) == "-":
        raise click.UsageError("Name the format of standard input, such as samples.")
    found = [each for each in formats or KNOWN if _holds(file, each, catalogue)]
    if len(found) == 1:
        return found[0]
    several = f"may be {' or '.join(found)}" if found else "is of no format that is"
    text = several if found else f"{several} known, or contains no reading"
    raise click.ClickException(f"{file} {text}; name it: --replay {file} FORMAT")


def _holds(file: Path, format: str, catalogue: Catalogue) -> bool:
    """Check whether a file holds a reading in a format."""
    try:
        items = read_items(format, file, SenderOfFile("UTC", "-"), catalogue)
        return any(isinstance(each, Sample) for each in items)
    except click.ClickException:
        return False


def _chosen(detectors: Iterable[Detector], name: str) -> Sequence[Detector]:
    """Return the detectors that are meant. Raises UsageError where there is none."""
    known = {each.name: each for each in detectors}
    if name and name not in known:
        raise click.UsageError(f"There is no detector {name}: {', '.join(known)}.")
    return [known[name]] if name else list(known.values())


def _tell(traced: Iterable[Traced], as_json: bool) -> None:
    told = 0
    for detector, each in traced:
        told += 1
        telling = json.dumps(_as_json(detector, each)) if as_json else ""
        click.echo(telling or _as_text(detector, each))
    if not told:
        click.echo("no reading that a detector uses", err=True)


def _as_json(detector: Detector, traced: TracedReading) -> dict[str, Any]:
    """Return a reading as JSON; what does not apply is left out."""
    told = {
        "detector": detector.name,
        "at": traced.at.isoformat(),
        "value": traced.value,
        "unit": detector.unit,
        "source": traced.source,
        "device": traced.device,
        "limit": traced.limit,
        "in_breach": traced.in_breach,
        "resting": str(traced.resting),
        "covered": traced.covered,
        "breached": traced.breached,
        "n": traced.n,
        "late_seconds": traced.late_seconds,
        "lacks": [str(each) for each in traced.lacks],
        "event": str(traced.event),
        "not_judged": traced.not_judged and str(traced.not_judged),
    }
    return {name: each for name, each in told.items() if each not in (None, "", [])}


def _as_text(detector: Detector, traced: TracedReading) -> str:
    words = ", ".join(_words(detector, traced))
    return f"{detector.name} {traced.at.isoformat()} {words}"


def _words(detector: Detector, traced: TracedReading) -> Iterator[str]:
    value = f"{traced.value:g} {detector.unit}"
    if traced.limit is None:
        yield value
    else:
        side = "in breach" if traced.in_breach else "not in breach"
        yield f"{value}, {side} of {traced.limit:g}"
    if traced.covered is not None and traced.breached is not None:
        yield f"{traced.n} readings speak for {traced.covered:.0%} of the time before"
        yield f"{traced.breached:.0%} of that in breach"
    elif traced.limit is not None:
        yield f"rest: {traced.resting}"
    if traced.event is not Event.NONE:
        yield str(traced.event)
    elif traced.not_judged:
        yield f"not judged: {traced.not_judged}"
    elif traced.in_breach and traced.lacks:
        yield "lacks " + " and ".join(traced.lacks)
