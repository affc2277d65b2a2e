"""``cds-service play``: a vendor's cloud on this machine, for trials."""

import signal
import threading

import click

from ...connect.played import PlayedGoogle, serve_played


@click.group()
def play() -> None:
    """Play a vendor's cloud on this machine: its consent page, its tokens, its data."""


@play.command(name="google-fit")
@click.option("--port", default=9100, show_default=True, help="Port of 127.0.0.1.")
@click.option(
    "--allow", is_flag=True, help="Grant permission at once, without showing the page."
)
def play_google_fit(port: int, allow: bool) -> None:
    """Play Google Fit until SIGTERM or SIGINT: some thousand steps on each day.

    In the clients file it is a cloud with `vendor: google-fit`, `client_id: played`, a
    secret `played-secret` and `simulated: http://127.0.0.1:9100`.
    """
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    try:
        with serve_played(PlayedGoogle(allows_at_once=allow), port) as base:
            click.echo(f"Google Fit is simulated at {base}")
            stop.wait()
    except OSError as error:
        raise click.ClickException(f"port {port}: {error.strerror}") from error
