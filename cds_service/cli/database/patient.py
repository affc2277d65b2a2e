"""``cds-service patient``: what is kept of one patient, written out or removed."""

import getpass
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...exports.files import write_atomically
from ...store.records import StoreError
from ...store.upkeep.patients import Asked
from ...wearables.records import PatientKey
from . import database_option, open_store, shown


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


operator_option = click.option(
    "--by",
    default=_user,
    show_default="login",
    help="Who runs this, for the audit trail.",
)


def _patient_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options that name a patient and who asks; the command gets them as ``asked``."""

    @wraps(command)
    def with_asked(
        patient: str, tenant: str, fhir_base: str, by: str, **arguments: Any
    ) -> None:
        key = PatientKey(tenant, fhir_base.rstrip("/"), patient)
        command(asked=Asked(key, f"operator:{by}", datetime.now(UTC)), **arguments)

    wrapped: Callable[..., None] = with_asked
    for option in (
        operator_option,
        click.option(
            "--fhir-base",
            default="-",
            show_default=True,
            help="FHIR server that the id belongs to; - if the tenant has only one.",
        ),
        click.option("--tenant", default="default", show_default=True, help="Of whom."),
        click.option("--patient", metavar="ID", required=True, help="Whose data."),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.group()
def patient() -> None:
    """Export what is kept of one patient, or erase it as far as it may be."""


@patient.command()
@database_option
@_patient_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write; only its owner can read it.",
)
def export(database: str, asked: Asked, out: Path) -> None:
    """Write every row about a patient, one a line as JSON, and audit that.

    Alerts, Consents, readings of wearables and links, calls, cards, what was held back,
    feedback, and rows of the audit trail; of rows about several patients only what is
    about this one. Exit code 0: written; 1: not.
    """
    store, rows = open_store(database), 0

    def lines() -> Iterator[str]:
        nonlocal rows
        for row in store.patients.export(asked):
            rows += 1
            yield json.dumps(row, ensure_ascii=False) + "\n"

    try:
        write_atomically(out, lines(), mode=0o600)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    click.echo(f"{rows} rows written to {out}")


@patient.command()
@database_option
@_patient_options
@click.option(
    "--with-calls",
    is_flag=True,
    help="Calls, cards, feedback, all bodies of the trail and the patient's key too.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(database: str, asked: Asked, with_calls: bool, yes: bool) -> None:
    """Remove what is kept of a patient by consent: alerts, readings, word of them.

    In the audit trail the bodies of rows go, and their headers stay, so that it
    verifies. Calls and cards stay as long as they are kept, unless --with-calls says
    otherwise. Copies of the database are not reached. What the patient permits at
    vendors ends there, as far as this environment is that of the server. Exit code 0:
    done; 1: not, and done again it goes on.
    """
    if not yes:
        click.confirm("This cannot be undone. Go on?", abort=True)
    # Imported where it is asked for: most of these verbs ask no vendor.
    from ..clouds import end_grants

    store = open_store(database)
    try:
        end_grants(store, asked)
        done = store.patients.erase(asked, calls=with_calls)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    for name, rows in done.removed.items():
        what = "bodies erased" if name == "audit" else "rows removed"
        click.echo(f"{name}: {rows} {what}")
    for name, rows in done.left.items():
        click.echo(f"{name}: {rows} rows stay")
    if done.removed.get("consents"):
        click.echo(
            "with CDS_WEARABLES_CONSENT=assumed data of this patient are stored again"
            " if they come: no Consent says otherwise any more",
            err=True,
        )
