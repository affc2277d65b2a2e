"""``cds-service valueset``: the codes that rules mean by a name."""

import click

from .compare import compare
from .coverage import coverage
from .import_codes import import_codes
from .licences import licences
from .lock import lock, outdated
from .show import expand, list_sets, show


@click.group()
def valueset() -> None:
    """Look at value sets, bring in terminology, and see what it changes."""


for _verb in (
    list_sets,
    show,
    expand,
    import_codes,
    lock,
    outdated,
    coverage,
    compare,
    licences,
):
    valueset.add_command(_verb)
