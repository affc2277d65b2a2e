"""``cds-service samples``: what is kept of a patient's readings."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ...wearables.adapters.written import item_as_json
from ...wearables.records import PatientKey
from .links import LinkDesk, TimeOption, json_option, patient_options, with_desk


@click.group()
def samples() -> None:
    """Count or print the readings that are kept of a patient."""


@samples.command()
@with_desk
@patient_options
@click.option("--metric", default="", help="Of one metric only, as heart-rate.")
@json_option
def count(desk: LinkDesk, patient: PatientKey, metric: str, as_json: bool) -> None:
    """Say how many readings are kept, of what, by which source, from when to when."""
    for each in desk.store.samples.count(patient, metric):
        owner = each.stream.owner
        told: dict[str, Any] = {
            "metric": each.stream.metric,
            "unit": each.stream.unit,
            "source": owner.source,
            "link": owner.link,
            "samples": each.samples,
            "first": each.first and each.first.isoformat(),
            "last": each.last and each.last.isoformat(),
            "withdrawn": each.withdrawn and each.withdrawn.isoformat(),
        }
        if as_json:
            click.echo(json.dumps(told))
            continue
        span = f", {told['first']} to {told['last']}" if each.first else ""
        back = ", withdrawn" if each.withdrawn else ""
        by = f"by {owner.source}"
        click.echo(f"{told['metric']}: {each.samples:,} {by}{span}{back}")


@samples.command()
@with_desk
@patient_options
@click.option("--metric", required=True, help="As heart-rate.")
@click.option(
    "--from", "since", type=TimeOption(), help="By default a day before --to."
)
@click.option("--to", "until", type=TimeOption(), help="By default now.")
@json_option
def show(
    desk: LinkDesk,
    patient: PatientKey,
    metric: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Print the readings of a time, by their start, of every source."""
    end = until or datetime.now(UTC)
    begin = since or end - timedelta(days=1)
    for each in desk.store.samples.of(patient, metric, begin, end):
        sample = each.sample
        if as_json:
            told = {"source": each.source, "link": each.link, **item_as_json(sample)}
            click.echo(json.dumps(told))
        else:
            device = sample.device.name or sample.device.app or sample.device.id
            value = f"{sample.comparator}{sample.value:g} {sample.unit}"
            click.echo(
                f"{sample.start.isoformat()}  {value}  {each.source} {device}".rstrip()
            )
