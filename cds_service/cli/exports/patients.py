"""``cds-service patients``: who is in a FHIR server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import click

from ...exports.demographics import export as run_export
from ...exports.demographics import header, start_of, tally
from ...exports.entries import complaints
from ...exports.journal import (
    CannotGoOn,
    ExportFiles,
    ExportPosition,
    InUse,
    P,
    Subject,
    go_on_with_patients,
)
from ...exports.server import FhirServer, ServerFailure, Wanted
from ..terminal import ProgressLine
from .access import ServerAccess, access_options, count_option, reach, read_base

PATIENTS = Wanted("Patient")

_SAFE = "/?&=:,$%*!'();@~"
_ODD = {"_summary", "_elements", "_contained", "_containedType", "_format", "_pretty"}
_ODD |= {"_include", "_revinclude", "_graph"}
"""Parameters that would bring something else than whole patients."""


@click.group()
def patients() -> None:
    """Read who is in a FHIR server."""


@patients.command()
@click.option("--fhir", required=True, help="Base address of the FHIR server.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; only its owner may read it.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="Output format: a table, or one JSON object per line.",
)
@click.option(
    "--query",
    default="Patient",
    show_default=True,
    help="The patients: a search such as 'Patient?active=true'.",
)
@count_option(PATIENTS)
@click.option(
    "--resume", is_flag=True, help="Continue an interrupted export, if there is one."
)
@click.option(
    "--fresh", is_flag=True, help="Start over, even if an export is unfinished."
)
@access_options(PATIENTS)
def export(
    fhir: str,
    out: Path,
    form: str,
    query: str,
    count: int,
    resume: bool,
    fresh: bool,
    access: ServerAccess,
) -> None:
    """Write the demographics of a FHIR server's patients to a file, one row a patient.

    What was written is kept when it is interrupted, and --resume continues. The file
    appears when it is whole. Exit code 0: written; 1: it could not be done, or it is
    written and some entries could not be read; 2: usage.
    """
    if resume and fresh:
        raise click.UsageError("--resume and --fresh exclude each other")
    base, search = read_base(fhir), read_query(query)
    progress, subject = ProgressLine(), Subject(str(base), search, form)
    with (
        holding(ExportFiles(out, subject, ExportPosition)) as files,
        reach(base, PATIENTS, search, access, progress.say) as server,
    ):
        position, seen = _position(server, files, count, resume, fresh)
        try:
            position = run_export(
                server,
                files,
                position,
                seen,
                search,
                form,
                lambda at: progress.say(_where(at)),
            )
            files.finish()
        except ServerFailure as failure:
            progress.clear()
            raise click.ClickException(f"{failure} {_kept(files)}".strip()) from failure
        except KeyboardInterrupt:
            progress.clear()
            raise click.ClickException(f"Interrupted. {_kept(files)}".strip()) from None
        progress.clear()
    _conclude(position, out)


def read_query(text: str) -> str:
    """Return a search of Patient, encoded. Raises UsageError."""
    path, _, parameters = text.partition("?")
    if path != "Patient" or "#" in text:
        raise click.UsageError("--query is a search of Patient: 'Patient?active=true'")
    for name, _ in parse_qsl(parameters, keep_blank_values=True):
        if name.partition(":")[0] in _ODD:
            raise click.UsageError(
                f"--query: {name} would not return complete patients"
            )
    return quote(text.rstrip("?"), safe=_SAFE)


@contextmanager
def holding(files: ExportFiles[P]) -> Iterator[ExportFiles[P]]:
    """Have the files of an export to itself in the block; what goes wrong is said."""
    out = files.out
    try:
        yield files
    except CannotGoOn as error:
        message = f"{out}: {error}; --fresh starts over"
        raise click.UsageError(message) from error
    except InUse as error:
        message = f"{out}: another export is writing there now"
        raise click.ClickException(message) from error
    except OSError as error:
        message = f"{error.filename or out}: {error.strerror}"
        raise click.ClickException(message) from error
    finally:
        files.close()


def goes_on(files: ExportFiles[Any], resume: bool, fresh: bool) -> bool:
    """Check whether an unfinished export is gone on with.

    Raises:
        click.UsageError: if there is one, and nobody says what to do.
    """
    if files.unfinished and not (resume or fresh):
        raise click.UsageError(
            f"{files.state} belongs to an export that was not finished: --resume"
            " continues it, --fresh starts over"
        )
    return files.unfinished and resume


def _position(
    server: FhirServer,
    files: ExportFiles[ExportPosition],
    count: int,
    resume: bool,
    fresh: bool,
) -> tuple[ExportPosition, set[str]]:
    if goes_on(files, resume, fresh):
        position, ids = go_on_with_patients(files)
        return position, set(ids)
    today = datetime.now(UTC).astimezone().date()
    start = start_of(server, files.subject.query, count, today)
    return files.begin(start, header(files.subject.form)), set()


def _where(position: ExportPosition) -> str:
    total = f" of {position.total}" if position.total else ""
    return f"{position.rows}{total} patients, {position.pages} pages"


def _kept(files: ExportFiles[ExportPosition]) -> str:
    """Return what to do about rows that are there; without a page none is kept."""
    try:
        position = files.go_on()
    except CannotGoOn:
        return ""
    if not position.pages:
        files.discard()
        return ""
    return f"{_where(position)} are kept in {files.partial}; --resume continues."


def _conclude(position: ExportPosition, out: Path) -> None:
    click.echo(f"{_where(position)}, written to {out}", err=True)
    problems = list(complaints(tally(position), PATIENTS.many, "in the file"))
    if problems:
        raise click.ClickException("\n".join(problems))
