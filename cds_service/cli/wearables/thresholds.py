"""``cds-service threshold``: limits of a patient's own for detectors."""

import json

import click

from ...audit import build_threshold_event
from ...wearables.detection.detectors import Detector
from ...wearables.metrics import Unmeasured, convert
from .judging import Bench, with_bench
from .links import json_option

patient_option = click.option(
    "--patient", metavar="ID", required=True, help="The FHIR id."
)


@click.group()
def threshold() -> None:
    """Set a patient's own limits, for detectors whose files allow it.

    A limit set here takes precedence over one set on a device, and that over the limit
    of the rules. It applies to what is measured from then on. Each change is in the
    audit trail. Exit code 0: done; 1: it could not be done; 2: usage.
    """


@threshold.command("set")
@with_bench
@patient_option
@click.argument("detector")
@click.argument("value", type=float)
@click.option(
    "--unit", default="", help="Unit of VALUE, in UCUM; by default the metric's."
)
def set_threshold(
    bench: Bench, patient: str, detector: str, value: float, unit: str
) -> None:
    """Have VALUE be the patient's limit for DETECTOR from now on."""
    known, key = _find(bench, detector), bench.patient(patient)
    own = known.own_limit
    if own is None:
        raise click.UsageError(f"{detector} does not allow a patient's own limit.")
    limit = _convert(bench, known, value, unit)
    if not own.lowest <= limit <= own.highest:
        raise click.UsageError(
            f"The limit of {detector} must be from {own.lowest:g} to {own.highest:g}"
            f" {known.unit}."
        )
    event = build_threshold_event(
        bench.now, key, bench.by, known.name, limit, known.unit
    )
    detections = bench.store.detections
    ended = detections.set_limit(key, known.name, limit, bench.by, event)
    instead = " instead of another" if ended else ""
    click.echo(f"{known.name}: {limit:g} {known.unit} from now on{instead}")


@threshold.command("end")
@with_bench
@patient_option
@click.argument("detector")
def end_threshold(bench: Bench, patient: str, detector: str) -> None:
    """Have the patient's limit for DETECTOR end; what held before holds again."""
    key = bench.patient(patient)
    event = build_threshold_event(bench.now, key, bench.by, detector, None, "")
    if not bench.store.detections.set_limit(key, detector, None, bench.by, event):
        raise click.ClickException(f"the patient has no limit for {detector}")
    click.echo(f"{detector}: the patient's limit has ended")


@threshold.command("list")
@with_bench
@patient_option
@json_option
def list_thresholds(bench: Bench, patient: str, as_json: bool) -> None:
    """List the limits that the clinic has set of a patient, ended ones as well."""
    units = {each.name: each.unit for each in bench.tenancy.detectors}
    for each in bench.store.detections.limits(bench.patient(patient)):
        told = {
            "detector": each.detector,
            "value": each.value,
            "unit": units.get(each.detector, ""),
            "since": each.since.isoformat(),
            "until": each.until and each.until.isoformat(),
            "set_by": each.set_by,
        }
        until = f" to {told['until']}" if each.until else ""
        line = (
            f"{each.detector}: {each.value:g} {told['unit']}, set by {each.set_by},"
            f" from {told['since']}{until}"
        )
        click.echo(json.dumps(told) if as_json else line)


def _find(bench: Bench, name: str) -> Detector:
    named = {each.name: each for each in bench.tenancy.detectors}
    if name not in named:
        known = ", ".join(sorted(named)) or "none"
        raise click.UsageError(f"There is no detector {name}; there are: {known}.")
    return named[name]


def _convert(bench: Bench, detector: Detector, value: float, unit: str) -> float:
    metric = bench.tenancy.gate.catalogue.metrics.get(detector.metric)
    molar_mass = metric.molar_mass if metric else 0.0
    try:
        return convert(value, unit or detector.unit, detector.unit, molar_mass)
    except Unmeasured as error:
        raise click.UsageError(f"--unit: {error}") from error
