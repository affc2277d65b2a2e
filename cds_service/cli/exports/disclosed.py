"""``cds-service export``: readings and days of wearers, as FHIR or as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...exports.disclosed import (
    CSV,
    DAY_COLUMNS,
    NDJSON,
    READING_COLUMNS,
    Look,
    Take,
    Taken,
    TakenPosition,
    Taker,
    take_days,
    take_into,
    take_readings,
)
from ...exports.files import csv_lines
from ...exports.journal import ExportFiles, Subject
from ...store.upkeep.disclosures import Extent
from ...wearables.outputs.naming import Naming
from ...wearables.records import PATIENT_ID
from ..terminal import ProgressLine
from ..wearables.judging import Bench, with_bench
from ..wearables.links import TimeOption
from .patients import goes_on, holding


@click.group()
def export() -> None:
    """Export readings and days, as far as patients permit their disclosure.

    As FHIR Observations, one JSON object a line, as an EHR is sent them; or as a table
    of what is kept. Each patient whose data are exported is in the audit trail. A file
    appears when it is complete, and only its owner may read it; --resume continues an
    interrupted one, with no patient twice. Exit code 0: done, and standard error says
    how much was withheld; 1: it could not be done; 2: usage.
    """


def export_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of both verbs."""
    wrapped = command
    for option in reversed(
        (
            click.option(
                "--since", type=TimeOption(), required=True, help="Start of the period."
            ),
            click.option("--until", type=TimeOption(), help="By default now."),
            click.option("--patient", metavar="ID", default="", help="Only this one."),
            click.option(
                "--format",
                "form",
                type=click.Choice([NDJSON, CSV]),
                default=NDJSON,
                show_default=True,
                help="FHIR, one resource per line; or a table.",
            ),
            click.option(
                "--output",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Output file; by default standard output.",
            ),
            click.option(
                "--resume", is_flag=True, help="Continue an interrupted export."
            ),
            click.option(
                "--fresh",
                is_flag=True,
                help="Start over, and discard an interrupted export.",
            ),
            click.option(
                "--public-url",
                envvar="CDS_PUBLIC_URL",
                default="http://127.0.0.1:8000",
                show_envvar=True,
                help="Of the server: on it identifiers rest where nothing was told"
                " before; else they are the ones that EHRs know.",
            ),
        )
    ):
        wrapped = option(wrapped)
    return with_bench(wrapped)


@export.command()
@export_options
def observations(bench: Bench, **arguments: Any) -> None:
    """Take out the readings that start in a time, each as an Observation or a row."""
    _export(bench, take_readings, "readings", READING_COLUMNS, **arguments)


@export.command()
@export_options
def summaries(bench: Bench, **arguments: Any) -> None:
    """Take out what days and nights were, from the day of --since to that of --until.

    As Observations those values of days that are over and that outputs.yaml tells; as
    a table all of them, and what sources told of a whole day apart.
    """
    _export(bench, take_days, "days", DAY_COLUMNS, **arguments)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is taken out, of whom, and where it goes."""

    take: Take
    what: str
    columns: Sequence[str]
    since: datetime
    until: datetime | None
    patient: str
    form: str
    output: Path | None
    resume: bool
    fresh: bool
    public_url: str

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.patient and not PATIENT_ID.fullmatch(self.patient):
            raise click.UsageError("--patient must be the id of a FHIR Patient.")
        if self.resume and self.fresh:
            raise click.UsageError("--resume and --fresh exclude each other.")
        if (self.resume or self.fresh) and self.output is None:
            raise click.UsageError("--resume and --fresh are for --output.")

    @property
    def header(self) -> str:
        """What a table begins with."""
        return csv_lines([self.columns]) if self.form == CSV else ""


def _export(
    bench: Bench, take: Take, what: str, columns: Sequence[str], **arguments: Any
) -> None:
    asked = _Asked(take, what, columns, **arguments)
    end = asked.until or datetime.now(UTC)
    if end <= asked.since:
        raise click.UsageError("--until must be later than --since.")
    tenancy = bench.tenancy
    taker = Taker(
        bench.store.disclosures,
        tenancy.gate,
        Naming(bench.store.outbox.base() or asked.public_url.rstrip("/")),
        Extent(tenancy.tenant, tenancy.fhir_base, asked.since, end, asked.patient),
        asked.form,
        bench.by,
        bench.now,
    )
    line = ProgressLine()

    def look(so_far: Taken) -> None:
        line.say(_how_many(so_far, what))

    try:
        if asked.output is None:
            taken = Taken()
            click.echo(asked.header, nl=False)
            for page in take(taker, taken, look):
                click.echo(page.text, nl=False)
        else:
            taken = _into_file(asked.output, asked, taker, look)
    finally:
        line.clear()
    click.echo(_how_many(taken, what), err=True)


def _into_file(output: Path, asked: _Asked, taker: Taker, look: Look) -> Taken:
    extent = taker.extent
    whom = f"of {asked.patient} " if asked.patient else ""
    until = f" until {asked.until.isoformat()}" if asked.until else ""
    subject = Subject(
        f"{extent.tenant}, {extent.fhir_base}",
        f"{asked.what} {whom}since {asked.since.isoformat()}{until}",
        asked.form,
    )
    with holding(ExportFiles(output, subject, TakenPosition)) as files:
        if goes_on(files, asked.resume, asked.fresh):
            position = files.go_on()
        else:
            start = TakenPosition(extent.until.isoformat())
            position = files.begin(start, asked.header)
        return _write(files, taker, asked.take, position, look)


def _write(
    files: ExportFiles[TakenPosition],
    taker: Taker,
    take: Take,
    position: TakenPosition,
    look: Look,
) -> Taken:
    until = datetime.fromisoformat(position.until)
    taker = replace(taker, extent=replace(taker.extent, until=until))
    try:
        taken = take_into(files, taker, take, position, look)
    except KeyboardInterrupt:
        message = f"Interrupted. {files.partial} is kept; --resume continues."
        raise click.ClickException(message) from None
    files.finish()
    return taken


def _how_many(taken: Taken, what: str) -> str:
    told = f"{taken.given:,} {what} of {taken.patients:,} patients"
    if taken.withheld:
        told += f"; {taken.withheld:,} withheld, which patients do not permit to "
        told += "disclose"
    if taken.unfinished:
        told += f"; {taken.unfinished:,} not finished yet"
    return told
