"""``cds-service import``: the export of a patient's phone, taken in."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from ...exports.consents import Tenancy
from ...exports.phones import DAMAGED, EXPORTS, digest_export
from ...ingestion import Ingestion
from ...ingestion.importing import ImportTotals, open_import, take_in_all
from ...store.detection.records import Detection
from ...store.records import StoreError
from ...store.samples.records import NO_LINK, StreamOwner
from ...store.store import Store
from ...wearables.records import PATIENT_ID, PatientKey
from ..consents import tenancy_options
from ..database import database_option, open_store
from ..terminal import ProgressLine
from .judging import JudgingTotals, judge_due


@click.group(name="import")
def imports() -> None:
    """Import the export of a patient's phone.

    It is stored in batches, each completely or not at all. An interrupted import,
    started again, continues after the last batch, as long as file, rules and Consents
    have not changed; a later export with the same readings stores nothing twice.

    Exit code 0: all of it was read; 1: it is not an export, is truncated, or could not
    be stored; batches before that are kept.
    """


def _check_patient(context: click.Context, parameter: click.Parameter, id: str) -> str:
    if not PATIENT_ID.fullmatch(id):
        raise click.BadParameter("must be the id of a FHIR Patient")
    return id


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the options of every import on a command."""
    wrapped = tenancy_options(database_option(command))
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print counts as JSON."),
        click.option(
            "--again",
            is_flag=True,
            help="Start from the beginning, even if an import was interrupted.",
        ),
        click.option(
            "--patient",
            required=True,
            callback=_check_patient,
            metavar="ID",
            help="The patient whose phone it is.",
        ),
        click.argument("file", type=click.Path(exists=True, path_type=Path)),
    ):
        wrapped = option(wrapped)
    return wrapped


@imports.command(name="apple-health")
@_options
def import_apple_health(
    file: Path,
    patient: str,
    database: str,
    tenancy: Tenancy,
    again: bool,
    as_json: bool,
) -> None:
    """Take in FILE, what an iPhone exports: the ZIP, its folder, or the XML alone."""
    key = PatientKey(tenancy.tenant, tenancy.fhir_base, patient)
    _take_in("apple-health", file, key, open_store(database), tenancy, again, as_json)


@imports.command(name="health-connect")
@_options
def import_health_connect(
    file: Path,
    patient: str,
    database: str,
    tenancy: Tenancy,
    again: bool,
    as_json: bool,
) -> None:
    """Take in FILE, what Health Connect exports: the ZIP, or the database in it."""
    key = PatientKey(tenancy.tenant, tenancy.fhir_base, patient)
    _take_in("health-connect", file, key, open_store(database), tenancy, again, as_json)


IMPORTED = "operator:import"
"""Who judges what was imported, for the trail."""


class _Progress:
    """How far it is, in a line."""

    def __init__(self) -> None:
        self.line, self.share = ProgressLine(), 0.0

    def hear(self, share: float) -> None:
        self.share = share

    def say(self, totals: ImportTotals) -> None:
        self.line.say(f"{self.share:4.0%}  {totals.outcomes.total():,} readings")


def _take_in(
    format: str,
    file: Path,
    patient: PatientKey,
    store: Store,
    tenancy: Tenancy,
    again: bool,
    as_json: bool,
) -> None:
    progress, totals, judged, begin = _Progress(), ImportTotals(), JudgingTotals(), 0
    # What is in order of kind, not of time, is judged once all of it is there.
    later = Detection(tenancy.detectors, tenancy.gate, days=0)
    ingestion = Ingestion(
        *(store, (), lambda tenant: tenancy.gate, json.loads),
        detection_of=lambda tenant: later,
    )
    owner = StreamOwner(patient, format, NO_LINK)
    try:
        export = digest_export(file)
        work = open_import(format, owner, export, tenancy.rules, ingestion, again)
        begin = work.begin
        if begin:
            told = f"{begin:,} entries of it were read before, and are skipped"
            click.echo(f"{told}; --again begins at the beginning.", err=True)
        items = EXPORTS[format](file, tenancy.gate.catalogue, progress.hear, begin)
        for totals in take_in_all(items, work, ingestion, _now):
            progress.say(totals)
        detection = Detection(tenancy.detectors, tenancy.gate)
        judged = judge_due(store, [patient], detection, IMPORTED, _now)
    except (*DAMAGED, StoreError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    finally:
        progress.line.clear()
        store.close()
        _tell(totals, judged, begin, as_json)


def _now() -> datetime:
    return datetime.now(UTC)


def _tell(
    totals: ImportTotals, judged: JudgingTotals, begin: int, as_json: bool
) -> None:
    counts = {name: number for name, number in totals.outcomes.items() if number}
    counts = {"accepted": 0, **counts}
    opened = judged.happened["opened"]
    episodes = {"episodes": opened} if opened else {}
    left_out = dict(sorted(totals.left_out.items()))
    if as_json:
        passed_over = {"passed_over": begin} if begin else {}
        told = {**counts, "left_out": left_out, **episodes, **passed_over}
        click.echo(json.dumps(told))
        return
    click.echo(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    for reason, number in left_out.items():
        click.echo(f"{number:,} left out: {reason}")
    if opened:
        click.echo(f"{opened:,} episodes found")
