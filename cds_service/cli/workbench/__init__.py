"""``cds-service workbench``: the way into the workbench from the server's machine."""

import getpass
import socket
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

import click

from ...audit import build_workbench_event
from ...config import Config, InvalidConfig, Workbench, load_config
from ...ehr.exchange import Unanswered, exchange
from ...store.records import StoreError
from ...store.workbench.sessions import WorkbenchLink
from ..database import open_store

LASTS = timedelta(minutes=5)
PATIENCE = 5.0
"""Seconds that a server on the same machine has to answer."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # nosec B104 # no place to listen
"""What a server that listens everywhere is called on its own machine."""
LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "localhost", "::1": "[::1]"}


@click.group()
def workbench() -> None:
    """The pages for those who write rules and run the server."""


@workbench.command()
@click.option(
    "--role",
    type=click.Choice(["viewer", "author", "operator"]),
    default="operator",
    show_default=True,
    help="The role; each role may do everything that the roles before it may.",
)
def login(role: str) -> None:
    """Print a link that lets one browser of this machine in, once.

    It is good for five minutes. Run it where the server runs, with the same settings:
    CDS_WORKBENCH must be on, which it is by default in development. Exit code 0:
    printed; 1: the workbench is off, or no server answers here.
    """
    try:
        config = load_config()
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error
    base = find_server(config)
    code, subject = token_urlsafe(32), find_user()
    now = datetime.now(UTC)
    link = WorkbenchLink(sha256(code.encode()).hexdigest(), subject, role, now + LASTS)
    told = {"role": role, "outcome": "offered"}
    store = open_store(config.database_url)
    try:
        store.workbench.offer(
            link, build_workbench_event(now, "sign-in", subject, told)
        )
    except StoreError as error:
        raise click.ClickException(f"the link cannot be stored: {error}") from error
    finally:
        store.close()
    click.echo(f"{base}/workbench/login?code={code}")
    click.echo(
        "works once, within five minutes, in a browser on this machine", err=True
    )


def find_server(config: Config) -> str:
    """Return where a browser of this machine finds the server.

    Raises:
        click.ClickException: if there is no workbench there.
    """
    if config.workbench is not Workbench.ON:
        message = "the workbench is off; set CDS_WORKBENCH=on and restart the server"
        raise click.ClickException(message)
    host = EVERYWHERE.get(config.host) or LOOPBACK.get(config.host)
    if host is None:
        raise click.ClickException(
            f"the server listens only on {config.host}, but a link works only on"
            " loopback; let it listen on 127.0.0.1, or sign in at the site's provider"
        )
    scheme = "http" if config.tls_cert is None else "https"
    base = f"{scheme}://{host}:{config.port}"
    try:
        status = _ask(base, host.strip("[]"), config)
    except (Unanswered, OSError) as error:
        raise click.ClickException(
            f"no server answers at {base}; start it with `cds-service serve`"
        ) from error
    if status != 200:
        raise click.ClickException(
            f"what answers at {base} has no workbench ({status}); restart the server"
            " with CDS_WORKBENCH=on"
        )
    return base


def _ask(base: str, host: str, config: Config) -> int:
    """The status of the page; of TLS that somebody listens has to do: what its
    certificate names is seldom this machine's own address.
    """
    if config.tls_cert is not None:
        socket.create_connection((host, config.port), PATIENCE).close()
        return 200
    return exchange("GET", f"{base}/workbench/login", patience=PATIENCE).status


def find_user() -> str:
    """Return who asks, as this machine calls them."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()
