"""``cds-service detect trace`` and ``replay``: why an episode opened, or did not."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ...exports.phones import EXPORTS
from ...wearables.adapters.registry import FORMATS
from ...wearables.detection.detectors import Detector
from ...wearables.detection.evidence import GivenEvidence
from ...wearables.detection.tracing import Event, TracedReading, trace
from ...wearables.samples import Sample, microseconds
from ...wearables.series import series_of
from ..rules.compiled import compile_folder
from ..valuesets import rules_option
from .adapt import SenderOfFile, check_zone, read_items
from .judging import Bench, with_bench
from .links import TimeOption, json_option

Traced = tuple[Detector, TracedReading]
detector_option = click.option(
    "--detector", "name", metavar="NAME", default="", help="One of them only."
)


@click.command(name="trace")
@with_bench
@click.option("--patient", metavar="ID", required=True, help="The FHIR id.")
@click.option(
    "--from", "since", type=TimeOption(), help="A day before --to by default."
)
@click.option("--to", "until", type=TimeOption(), help="Now by default.")
@detector_option
@json_option
def trace_patient(
    bench: Bench,
    patient: str,
    since: datetime | None,
    until: datetime | None,
    name: str,
    as_json: bool,
) -> None:
    """Say of each reading of a patient why an episode opened with it, or did not.

    In a detector's own terms: for how much of the time before a reading others speak,
    how much of that is in breach, whether the wearer rests, and what is lacking. Of
    what the patient does not permit to use nothing is shown.

    Exit code 0: told; 1: the database could not be read.
    """
    until = until or bench.now
    since = since or until - timedelta(days=1)
    chosen = _chosen(bench.detection.detectors, name)
    detection = replace(bench.detection, detectors=chosen)
    span = microseconds(since), microseconds(until)
    whose, detections = bench.patient(patient), bench.store.detections
    _tell(detections.trace(whose, detection, span, bench.now), as_json)


@click.command()
@click.argument("format", type=click.Choice([*FORMATS, *EXPORTS]))
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@rules_option
@click.option(
    "--time-zone",
    default="",
    callback=check_zone,
    metavar="ZONE",
    help="Where all wearers of the source are, as in the clients file.",
)
@detector_option
@json_option
def replay(
    format: str,
    file: Path,
    rules: Path | None,
    time_zone: str,
    name: str,
    as_json: bool,
) -> None:
    """Say of each reading of FILE, in a format, what detectors would make of it.

    All of FILE is one wearer's. FILE may be - for standard input. Nothing is stored,
    and nothing asked of a database. What is left out of a format, `adapt` tells.

    Exit code 0: told; 1: FILE is none of the format.
    """
    rulebook = compile_folder(rules).rulebook
    chosen = _chosen(rulebook.detectors.values(), name)
    sender = SenderOfFile(time_zone, "-")
    items = read_items(format, file, sender, rulebook.catalogue)
    samples = [each for each in items if isinstance(each, Sample)]
    zone = rulebook.site.time_zone
    evidence = GivenEvidence(series_of(samples, format), zone=zone, zone_name=str(zone))
    starts = [microseconds(each.start) for each in samples]
    span = min(starts, default=0), max(starts, default=0)
    now = datetime.now(UTC)
    traced = (
        (each, one)
        for each in chosen
        for one in trace(each, rulebook.catalogue, evidence, span, now)
    )
    _tell(traced, as_json)


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
        click.echo("no reading that a detector looks at", err=True)


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
