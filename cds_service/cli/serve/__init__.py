"""``cds-service serve``: says at once that it starts, and checks settings before rules.

What serves takes seconds to import, so it is imported when that much is known.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from ... import __version__
from ...garbage import uncollected


@click.command()
def serve() -> None:
    """Serve over HTTP under gunicorn, as the CDS_ variables of the environment say.

    Settings and rules are checked first, and the rules tested. With a wrong setting
    nothing is served; with wrong rules the last good ones are served, if there are any.
    Rules that change on disk are tested and put into service automatically.

    SIGHUP reloads the clients file and all other files that the settings name; SIGUSR2
    starts the program as it is then installed beside the old one. Exit code 1: it
    cannot serve; 3: the database belongs to a newer version.
    """
    click.echo(f"cds-service {__version__} is starting", err=True)
    with uncollected():
        from ...config import InvalidConfig, load_config
        from .tls import check_tls

    try:
        config = load_config()
        warnings = [*config.warnings(), *check_tls(config, datetime.now(UTC))]
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"settings are valid; checking the rules in {config.rules}", err=True)
    with folder_for_metrics():
        with uncollected():
            from .running import run

        run(config)


NAME = "cds-metrics-"
YOUNG = 60
"""Seconds for which a folder that nobody holds may be one that is just being made."""


@contextmanager
def folder_for_metrics() -> Iterator[None]:
    """Give the workers an empty folder to keep their numbers in, in memory if there is.

    What counts looks for it when it is imported. A file of it that could not grow, on a
    disk that is full, would end the worker that writes to it.
    """
    here = os.getpid()
    own = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    places = (own, "/dev/shm", tempfile.gettempdir())  # nosec B108 # a folder of ours
    place = Path(next(each for each in places if os.access(each, os.W_OK)))
    remove_deserted(place)
    folder = tempfile.mkdtemp(prefix=NAME, dir=place)
    hold(Path(folder))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        if os.getpid() == here:  # a worker leaves by this way as well
            shutil.rmtree(folder, ignore_errors=True)


def remove_deserted(place: Path) -> None:
    """Remove the folders of servers that were killed; those that live hold theirs."""
    for folder in place.glob(f"{NAME}*"):
        with suppress(OSError):
            ours = folder.stat().st_uid == os.getuid()
            old = folder.stat().st_mtime < time.time() - YOUNG
            if ours and old:
                os.close(hold(folder))
                shutil.rmtree(folder, ignore_errors=True)


def hold(folder: Path) -> int:
    """Return a lock of the folder, which goes with the last process that has it.

    Raises:
        OSError: if another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
