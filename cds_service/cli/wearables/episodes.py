"""``cds-service episodes``: what detectors found of a patient."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import click

from ...store.detection.records import KeptEpisode
from ...wearables.consent import ConsentAction
from ...wearables.detection.detectors import Detector
from ...wearables.detection.recurring import places_in_rows
from ...wearables.records import PatientKey
from .judging import Bench, with_bench
from .links import json_option

MINUTE = timedelta(minutes=1)


@click.command()
@with_bench
@click.option("--patient", metavar="ID", required=True, help="The FHIR id.")
@click.option("--all", "retracted", is_flag=True, help="Include retracted ones.")
@json_option
def episodes(bench: Bench, patient: str, retracted: bool, as_json: bool) -> None:
    """List the episodes of a patient, by their start, one a line.

    Of what the patient does not permit to use nothing is shown. Exit code 0: listed; 1:
    the database could not be read.
    """
    key = bench.patient(patient)
    found = bench.store.detections.episodes(key, retracted=retracted)
    shown = list(permitted(found, key, bench))
    places = find_recurrences(shown, bench.tenancy.detectors)
    for each in shown:
        place = places.get(each.stored.id, 0)
        told = as_lines(each) | ({"recurrence": place} if place else {})
        click.echo(json.dumps(told) if as_json else describe(each, place))
    if len(shown) < len(found):
        click.echo("not all is shown: its use is not permitted", err=True)


def permitted(
    found: Iterable[KeptEpisode], patient: PatientKey, bench: Bench
) -> Iterable[KeptEpisode]:
    """Yield the episodes that the patient permits to use."""
    gate = bench.tenancy.gate
    consents = gate.read(bench.store.consents.of([patient])[patient])
    for each in found:
        start = each.stored.episode.start
        use = ConsentAction.USE
        if gate.permits_reading(use, each.metric, start, consents, bench.now):
            yield each


def find_recurrences(
    kept: Iterable[KeptEpisode], detectors: Iterable[Detector]
) -> Mapping[str, int]:
    """Return by id which of its row an episode is that holds; see ``recurring``."""
    places: dict[str, int] = {}
    holding = [each.stored for each in kept if each.status != "retracted"]
    for detector in detectors:
        own = [each for each in holding if each.episode.detector == detector.name]
        own.sort(key=lambda each: each.episode.opened)
        opened = [each.episode.opened for each in own]
        told = places_in_rows(opened, detector.cooldown)
        places |= {each.id: place for each, place in zip(own, told, strict=True)}
    return places


def as_lines(kept: KeptEpisode) -> dict[str, Any]:
    """Return an episode as JSON; what it does not say is left out."""
    episode = kept.stored.episode
    told = {
        "id": kept.stored.id,
        "rev": kept.stored.rev,
        "detector": episode.detector,
        "version": episode.version,
        "type": episode.alert_type,
        "metric": kept.metric,
        "status": kept.status,
        "replaced_by": kept.replaced_by,
        "start": episode.start.isoformat(),
        "opened": episode.opened.isoformat(),
        "last": episode.last.isoformat(),
        "end": episode.end and episode.end.isoformat(),
        "closing": str(episode.closing),
        "peak": episode.peak,
        "median": episode.median,
        "threshold": episode.threshold,
        "unit": kept.unit,
        "n": episode.n,
        "coverage": episode.coverage,
        "source": episode.source,
        "device": episode.device,
        "historical": kept.stored.historical,
    }
    return {name: each for name, each in told.items() if each not in (None, "")}


def describe(kept: KeptEpisode, place: int) -> str:
    """Return an episode in a line; *place* is which of its row it is."""
    episode = kept.stored.episode
    lasted = (episode.end or episode.last) - episode.start
    minutes = f"{lasted / MINUTE:,.0f} min"
    ended = f"{episode.closing}" if episode.end else "lasts"
    if kept.status == "retracted":
        by = f" in favour of {kept.replaced_by}" if kept.replaced_by else ""
        ended = f"retracted{by}"
    history = ", known late" if kept.stored.historical else ""
    again = f", number {place} in a row" if place > 1 else ""
    by = episode.device or episode.source
    return (
        f"{_minute(episode.start)}  {episode.alert_type}"
        f"  {minutes} ({ended}{history}{again}),"
        f" {kept.stat} {episode.peak:g} {kept.unit}, limit {episode.threshold:g},"
        f" {episode.coverage:.0%} covered by {episode.n:,} readings of {by}"
        f"  [{kept.stored.id}]"
    )


def _minute(at: datetime) -> str:
    return at.isoformat(timespec="minutes")
