"""``cds-service patients``: who is in a FHIR server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from ..fhir.client import FhirPool
from ..fhir.pacing import Backoff
from .patients_access import (
    Identity,
    check_scope,
    choose_credentials,
    read_base,
    read_query,
)
from .patients_files import CannotGoOn, ExportFiles, InUse, Position, Subject
from .patients_run import complaints
from .patients_run import export as run_export
from .patients_run import header, start_of
from .patients_server import Manners, PatientServer, ServerFailure
from .progress import Progress

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
    help="How it is written: a table, or a JSON object a line.",
)
@click.option(
    "--query",
    default="Patient",
    show_default=True,
    help="Which patients: a search such as 'Patient?active=true'.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="Patients on a page; a server may give fewer.",
)
@click.option("--bearer-file", type=_FILE, help="File with a token, and nothing else.")
@click.option("--client-id", default="", help="Client id for SMART backend services.")
@click.option("--key", type=_FILE, help="Its private key: PEM, JWK or JWK Set.")
@click.option("--kid", default="", help="The key's id; a JWK may say it itself.")
@click.option(
    "--token-url",
    default="",
    help="Token endpoint; by default the FHIR server's SMART configuration names it.",
)
@click.option(
    "--scope",
    default="",
    help="What to ask for; by default system/Patient.rs, or system/Patient.read where "
    "the server knows scopes of SMART 1 only.",
)
@click.option("--ca-file", type=_FILE, help="PEM file of the authorities to trust.")
@click.option("--resume", is_flag=True, help="Go on where an export stopped, if any.")
@click.option("--fresh", is_flag=True, help="Start anew, whatever is unfinished.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Requests a second at most; by default as fast as the server answers.",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="How often a page is asked for before the export stops.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for one answer, until its last byte.",
)
def export(
    fhir: str,
    out: Path,
    form: str,
    query: str,
    count: int,
    resume: bool,
    fresh: bool,
    rate: float | None,
    max_attempts: int,
    timeout: float,
    ca_file: Path | None,
    **who: str | Path | None,
) -> None:
    """Write the demographics of a FHIR server's patients to a file, one row a patient.

    What was written is kept when it is interrupted, and --resume goes on. The file
    appears when it is whole. Exit code 0: written; 1: it could not be done, or it is
    written and some entries could not be read; 2: usage.
    """
    if resume and fresh:
        raise click.UsageError("--resume and --fresh exclude each other")
    base, search = read_base(fhir), read_query(query)
    identity = Identity(**who)  # type: ignore[arg-type]
    trusted = str(ca_file or "")
    manners = Manners(Backoff(max_attempts), rate or 0.0, timeout, trusted)
    progress = Progress()
    with _connections() as pool, _files(out, Subject(str(base), search, form)) as files:
        credentials = choose_credentials(identity, base, pool, manners)
        server = PatientServer(base, credentials, pool, manners, waits=progress.say)
        check_scope(credentials, search)
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


@contextmanager
def _connections() -> Iterator[FhirPool]:
    pool = FhirPool(size=4)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def _files(out: Path, subject: Subject) -> Iterator[ExportFiles]:
    files = ExportFiles(out, subject)
    try:
        yield files
    except CannotGoOn as error:
        message = f"{out}: {error}; --fresh starts anew"
        raise click.UsageError(message) from error
    except InUse as error:
        message = f"{out}: another export is writing there now"
        raise click.ClickException(message) from error
    except OSError as error:
        message = f"{error.filename or out}: {error.strerror}"
        raise click.ClickException(message) from error
    finally:
        files.close()


def _position(
    server: PatientServer, files: ExportFiles, count: int, resume: bool, fresh: bool
) -> tuple[Position, set[str]]:
    if files.unfinished and resume:
        position, ids = files.go_on()
        return position, set(ids)
    if files.unfinished and not fresh:
        raise click.UsageError(
            f"{files.state} is of an export that was not finished: --resume goes on, "
            "--fresh starts anew"
        )
    today = datetime.now(UTC).astimezone().date()
    start = start_of(server, files.subject.query, count, today)
    return files.begin(start, header(files.subject.form)), set()


def _where(position: Position) -> str:
    total = f" of {position.total}" if position.total else ""
    return f"{position.rows}{total} patients, {position.pages} pages"


def _kept(files: ExportFiles) -> str:
    """What to do about the rows that are there; without a page nothing is kept."""
    try:
        position, _ = files.go_on()
    except CannotGoOn:
        return ""
    if not position.pages:
        files.discard()
        return ""
    return f"{_where(position)} are kept in {files.partial}; --resume goes on."


def _conclude(position: Position, out: Path) -> None:
    click.echo(f"{_where(position)}, written to {out}", err=True)
    problems = list(complaints(position))
    if problems:
        raise click.ClickException("\n".join(problems))
