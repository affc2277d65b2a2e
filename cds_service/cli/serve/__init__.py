"""``cds-service serve``: says at once that it starts, and checks settings before rules.

What serves takes seconds to import, so it is imported when that much is known.
"""

from datetime import UTC, datetime

import click

from ... import __version__


@click.command()
def serve() -> None:
    """Serve over HTTP under gunicorn, as the CDS_ variables of the environment say.

    Settings and rules are checked first, and the rules tested. Nothing is served where
    a setting is wrong. Where the rules are, the last good ones are served, if there are
    any. Rules that change on disk are tested and served by themselves.
    """
    click.echo(f"cds-service {__version__} is starting", err=True)
    from ...config import InvalidConfig, load_config
    from .tls import check_tls

    try:
        config = load_config()
        warnings = [*config.warnings(), *check_tls(config, datetime.now(UTC))]
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"settings are good; checking the rules in {config.rules}", err=True)
    from .running import run

    run(config)
