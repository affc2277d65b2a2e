"""``cds-service consent``: what patients permit of their wearable data."""

import click

from .. import Verbs


@click.group(
    cls=Verbs,
    package=__name__,
    verbs={"read": "read", "send": "send", "show": "show"},
)
def consent() -> None:
    """See what patients permit of their wearable data, and let the server know it."""
