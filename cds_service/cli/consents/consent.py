"""``cds-service consent``: what patients permit of their wearable data."""

import click

from .read import read
from .send import send
from .show import show


@click.group()
def consent() -> None:
    """See what patients permit of their wearable data, and let the server know it."""


for _verb in (show, send, read):
    consent.add_command(_verb)
