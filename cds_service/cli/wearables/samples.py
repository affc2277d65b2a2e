"""``cds-service samples``: what is kept of a patient's readings, and of their days."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ...wearables.adapters.written import item_as_json
from ...wearables.consent import ConsentAction
from ...wearables.metrics import Metric
from ...wearables.records import PatientKey
from ...wearables.summaries import STATISTICS, DaySummary
from .judging import Bench, with_bench
from .links import LinkDesk, TimeOption, json_option, patient_options, with_desk


@click.group()
def samples() -> None:
    """Count or show a patient's readings, or summaries of days."""


@samples.command()
@with_desk
@patient_options
@click.option("--metric", default="", help="Only this metric, as heart-rate.")
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


@samples.command()
@with_bench
@click.option("--patient", metavar="ID", required=True, help="The FHIR id.")
@click.option("--metric", default="", help="Only this metric, as heart-rate.")
@click.option(
    "--from",
    "since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The first day; by default 13 days before --to.",
)
@click.option(
    "--to",
    "until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day; by default today.",
)
@json_option
def days(
    bench: Bench,
    patient: str,
    metric: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Print what the days and nights of a patient were, one a line.

    Totals that sources tell of a whole day are lines of their own. Of what the patient
    does not permit to use nothing is shown.
    """
    key = bench.patient(patient)
    # Further east it is tomorrow already.
    last = until.date() if until else bench.now.date() + timedelta(days=1)
    first = since.date() if since else last - timedelta(days=13)
    found = bench.store.detections.summaries(key, first, last, metric)
    shown = list(_permitted(found, key, bench))
    known = bench.tenancy.gate.catalogue.metrics
    if metric and not found and metric not in known:
        raise click.UsageError(f"metrics.yaml has no metric {metric}")
    for each in shown:
        told = _as_json(each, known.get(each.metric))
        click.echo(json.dumps(told) if as_json else _describe(each, told))
    if len(shown) < len(found):
        click.echo("not all is shown: its use is not permitted", err=True)


def _permitted(
    found: tuple[DaySummary, ...], patient: PatientKey, bench: Bench
) -> Iterator[DaySummary]:
    gate = bench.tenancy.gate
    consents = gate.read(bench.store.consents.of([patient])[patient])
    for each in found:
        at = each.first or datetime.combine(each.day, datetime.min.time(), UTC)
        use = ConsentAction.USE
        if gate.permits_reading(use, each.metric, at, consents, bench.now):
            yield each


def _as_json(day: DaySummary, metric: Metric | None) -> dict[str, Any]:
    """A summary as JSON, with the codes of its values; what it has not is left out."""
    codes = metric.summary_codes if metric else {}
    values = {name: day.statistic(name) for name in STATISTICS}
    told = {
        "day": day.day.isoformat(),
        "metric": day.metric,
        "part": day.part,
        "source": day.source,
        "unit": metric.unit if metric else "",
        "zone": day.zone,
        "minutes": day.minutes,
        "n": day.n,
        **values,
        "covered": day.covered,
        "bands": {name: day.bands[name] for name in _in_order(day, metric)},
        "first": day.first and day.first.isoformat(),
        "last": day.last and day.last.isoformat(),
        "sources": list(day.sources),
        "devices": list(day.devices),
        "version": day.version,
        "codes": {
            name: sorted("|".join(code) for code in codes[name])
            for name in codes
            if day.statistic(name) is not None
        },
    }
    return {
        name: value for name, value in told.items() if value not in (None, "", {}, [])
    }


def _in_order(day: DaySummary, metric: Metric | None) -> list[str]:
    """The bands of a day, rising as the metric has them now; others go last."""
    known = [each.name for each in metric.bands] if metric else []
    order = [*known, *sorted(set(day.bands) - set(known))]
    return [name for name in order if name in day.bands]


def _describe(day: DaySummary, told: dict[str, Any]) -> str:
    unit = told.get("unit", "")
    values = [
        f"{name} {told[name]:g} {unit}".rstrip()
        for name in ("total", "mean", "median", "min", "max")
        if name in told
    ]
    if day.coverage is not None:
        values.append(f"{day.coverage:.0%} covered")
    values += [
        f"{name} {day.statistic(f'band:{name}'):.0%}"
        for name in told.get("bands", ())
        if day.covered
    ]
    if day.worn is not None:
        values.append(f"worn {day.worn / 60:.1f} h")
    by = ", ".join(day.devices or day.sources)
    whole = ", told as a whole" if day.source else ""
    part = " (night)" if day.part == "night" else ""
    return f"{day.day}  {day.metric}{part}  {'; '.join(values)}  by {by}{whole}"
