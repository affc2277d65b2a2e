"""``cds-service call``: one fixture case against a server."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from secrets import token_urlsafe

import click

from .cards import build_console, print_answer
from .ehr import (
    Ehr,
    Unanswered,
    build_bare,
    build_prefetched,
    find_templates,
    read_key,
)
from .fixture_server import load_records, serve_records
from .fixtures import load_case


@click.command()
@click.argument("service")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--base", default="http://127.0.0.1:8080", show_default=True)
@click.option("--no-prefetch", is_flag=True, help="Let the server fetch the chart.")
@click.option("--fhir-port", default=0, help="Where the chart is served then.")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM, P-384) to sign with; without it no token is sent.",
)
@click.option("--kid", default="", help="The key's id in the clients file.")
@click.option("--iss", default="", help="Who signs, as the clients file has it.")
def call(
    service: str,
    folder: Path,
    base: str,
    no_prefetch: bool,
    fhir_port: int,
    key: Path | None,
    kid: str,
    iss: str,
) -> None:
    """Call SERVICE with the fixture case in FOLDER and print its cards.

    Each run opens the chart anew, so what was shown a moment ago may be held back.

    The server must know the FHIR address that --no-prefetch uses; give it a port with
    --fhir-port and list http://127.0.0.1:PORT/fhir in the clients file. Wearable
    alerts of the case are not sent: `cds-service simulate` does that.
    """
    console = build_console()
    try:
        case = load_case(folder, datetime.now().astimezone())
        ehr = Ehr(base.rstrip("/"), iss, read_key(key) if key else "", kid)
        templates = find_templates(ehr.discover(), service)
        with ExitStack() as running:
            if no_prefetch:
                token = token_urlsafe()
                records = load_records([case.chart])
                fhir = serve_records(records, token=token, port=fhir_port)
                address = running.enter_context(fhir).base
                body = build_bare(case, address, token)
            else:
                body = build_prefetched(case, templates)
            answer = ehr.call(service, body)
    except (Unanswered, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    console.print(f"{case.name}: status {answer.status}, {answer.milliseconds:.0f} ms")
    print_answer(console, answer)
    if answer.status != 200:
        raise SystemExit(1)
