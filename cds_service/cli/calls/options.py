"""The command line of ``cds-service call``."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from ...ehr.exchange import PATIENCE
from ...ehr.tokens import ALGORITHMS
from ..terminal import build_console

FHIR_TOKEN = "FHIR_BEARER_TOKEN"  # nosec B105 # the name of a variable
"""The environment variable that can hold the token for the FHIR server."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """What stands on the command line."""

    service: str | None
    folder: Path | None
    base: str
    hook: str
    patient: str
    fhir: str
    user: str
    encounter: str
    context: str
    bearer_file: Path | None
    scope: str
    subject: str
    no_prefetch: bool
    partial: tuple[str, ...]
    all_pages: bool
    errors_as_outcome: bool
    fhir_port: int
    key: Path | None
    kid: str
    iss: str
    clients: Path | None
    jku: str
    alg: str
    tenant: str
    origin: str
    system_actions: bool
    spec: str
    save: Path | None
    as_json: bool
    timeout: float
    strict: bool
    console: Console = field(default_factory=build_console)


def take_options(command: Command) -> Command:
    """Return the command with the arguments and options that ``Options`` holds."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

_OPTIONS: tuple[Callable[[Command], Command], ...] = (
    click.argument("service", required=False),
    click.argument("folder", required=False, type=_FOLDER),
    click.option(
        "--base",
        metavar="URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        help="Base of the CDS server; discovery is at URL/cds-services.",
    ),
    click.option(
        "--hook", default="", help="The hook; also calls a service that is not listed."
    ),
    click.option(
        "--patient", metavar="ID", default="", help="The patient whose chart is opened."
    ),
    click.option("--fhir", metavar="URL", default="", help="The EHR's FHIR server."),
    click.option(
        "--user", default="", help="The user, as Type/id; by default Practitioner/1."
    ),
    click.option("--encounter", metavar="ID", default="", help="The encounter."),
    click.option(
        "--context",
        metavar="JSON|@FILE",
        default="",
        help="More fields of the hook's context, such as draftOrders.",
    ),
    click.option(
        "--bearer-file",
        type=_FILE,
        help=f"File with the token for the FHIR server; else ${FHIR_TOKEN}.",
    ),
    click.option(
        "--scope", default="", help="Scope of that token; by default what is read."
    ),
    click.option(
        "--subject",
        default="cds-service",
        show_default=True,
        help="The service's client id, in whose name the token is.",
    ),
    click.option("--no-prefetch", is_flag=True, help="Let the service read the chart."),
    click.option(
        "--partial",
        metavar="KEY",
        multiple=True,
        help="Prefetch only this key; may be repeated.",
    ),
    click.option(
        "--all-pages", is_flag=True, help="Send all pages of a search as one."
    ),
    click.option(
        "--errors-as-outcome",
        is_flag=True,
        help="Send an OperationOutcome for what could not be read.",
    ),
    click.option(
        "--fhir-port", default=0, help="Port that serves the chart of a fixture."
    ),
    click.option(
        "--key", type=_FILE, help="Private key (PEM) to sign with; else no JWT."
    ),
    click.option(
        "--kid", default="", help="The key's id; by default what `token key` wrote."
    ),
    click.option(
        "--iss", default="", help="Issuer; by default the client whose key it is."
    ),
    click.option(
        "--clients",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="CDS_CLIENTS_FILE",
        show_envvar=True,
        help="The server's clients file, which names the issuer.",
    ),
    click.option("--jku", metavar="URL", default="", help="Where the public keys are."),
    click.option(
        "--alg",
        type=click.Choice(ALGORITHMS),
        default=None,
        help="By default ES384 or RS384, depending on the key.",
    ),
    click.option("--tenant", default="", help="Tenant in the JWT."),
    click.option(
        "--origin", metavar="URL", default="", help="Call as a web page of this origin."
    ),
    click.option(
        "--system-actions",
        is_flag=True,
        help="Say that this EHR accepts system actions.",
    ),
    click.option(
        "--spec",
        metavar="VERSION",
        default="",
        help=(
            "Check against this version of CDS Hooks, such as 1.0; by default the one"
            " that discovery shows."
        ),
    ),
    click.option(
        "--save",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Keep the call as a fixture case.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0.1, max=3600),
        default=PATIENCE,
        show_default=True,
        help="Seconds to wait for any answer.",
    ),
    click.option("--strict", is_flag=True, help="Count violations of SHOULD as well."),
)


def read_context(text: str) -> dict[str, Any]:
    """Return the fields that ``--context`` names, as JSON or in a file after ``@``.

    Raises:
        click.UsageError: if it is not JSON object, or the file cannot be read.
    """
    if not text:
        return {}
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8")
        value = json.loads(text)
    except OSError as error:
        raise click.UsageError(f"--context: {text[1:]}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--context is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--context must be a JSON object of context fields")
    return value
