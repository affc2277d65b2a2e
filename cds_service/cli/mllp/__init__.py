"""``cds-service mllp``: take messages of HL7 v2 from an integration engine or a device.

A process of its own, beside those that serve: it follows the rules that they publish
and writes to the same database, and judges readings as they do.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import click

from ... import __version__
from ...config import Config, InvalidConfig, ProofKind, WebhookSource, load_config
from ...garbage import uncollected
from ..serve.tls import build_context, check_tls
from .server import MllpBounds

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--source", "name", required=True, help="Source in the clients file.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option("--port", type=click.IntRange(0, 65535), default=2575, show_default=True)
@click.option(
    "--tls-cert", type=FILE, metavar="FILE", help="The server's certificate, in PEM."
)
@click.option("--tls-key", type=FILE, metavar="FILE", help="Its private key.")
@click.option(
    "--tls-client-ca",
    type=FILE,
    metavar="FILE",
    help="Authorities that must have signed the peers' certificates.",
)
@click.option(
    "--message-limit",
    type=click.IntRange(1024, 64 * 1024 * 1024),
    default=1024 * 1024,
    show_default=True,
    help="Largest message, in bytes.",
)
@click.option(
    "--connections", type=click.IntRange(1, 10_000), default=64, show_default=True
)
@click.option(
    "--idle",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time until a silent connection is closed.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    help="Address of /health/live, /health/ready and /metrics.",
)
def mllp(
    name: str,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    message_limit: int,
    connections: int,
    idle: float,
    health_port: int | None,
) -> None:
    """Take ORU^R01 of HL7 v2 over MLLP, as the CDS_ variables of the environment say.

    Who may connect is told in the clients file by the source's proof, mllp: addresses,
    certificates or both. A message is acknowledged once it is stored; AE says that it
    may be sent again, AR that it never will be taken. SIGTERM has what is under way
    answered; SIGHUP takes up the clients file and the files of TLS as they are now.
    Exit code 1: it cannot listen.
    """
    click.echo(f"cds-service {__version__} mllp is starting", err=True)
    files = {
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "tls_client_ca": tls_client_ca,
    }
    with uncollected():
        from .running import MllpSite, run

    def read() -> MllpSite:
        config = load_config().model_copy(update=files)
        source = find_source(config, name)
        return MllpSite(config, source, open_tls(config, source))

    if tls_cert is None and host not in LOOPBACK:
        text = "messages arrive unencrypted; --tls-cert and --tls-key encrypt them"
        click.echo(f"warning: {text}", err=True)
    bounds = MllpBounds(message_limit, connections, idle=idle)
    try:
        asyncio.run(run(read, bounds, (host, port, health_port)))
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        told = error.strerror or error
        raise click.ClickException(f"{host}, port {port}: {told}") from error


def find_source(config: Config, name: str) -> WebhookSource:
    """Return the source of the clients file that delivers over MLLP.

    Raises:
        InvalidConfig: if there is none of that name.
    """
    for source in config.clients.webhooks:
        if source.id == name and source.proof.kind is ProofKind.MLLP:
            return source
    raise InvalidConfig([f"--source: no webhook {name!r} has the proof mllp"])


def open_tls(config: Config, source: WebhookSource) -> ssl.SSLContext | None:
    """Return what is offered to peers; None where nothing is encrypted.

    Raises:
        InvalidConfig: if a file cannot be used, or what the source needs is missing.
    """
    files = (config.tls_cert, config.tls_key)
    if source.proof.certificates and config.tls_client_ca is None:
        text = "must be given: the source proves itself by a certificate"
        raise InvalidConfig([f"--tls-client-ca: {text}"])
    if (files[0] is None) != (files[1] is None) or (
        config.tls_client_ca and not files[0]
    ):
        raise InvalidConfig(["--tls-cert and --tls-key must be given together"])
    if files[0] is None:
        return None
    for warning in check_tls(config, datetime.now(UTC)):
        click.echo(f"warning: {warning}", err=True)
    return build_context(config)
