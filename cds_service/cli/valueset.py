"""``cds-service valueset``: the codes that rules mean by a name."""

import click

from .valueset_compare import compare
from .valueset_coverage import coverage
from .valueset_import import import_codes
from .valueset_licences import licences
from .valueset_lock import lock, outdated
from .valueset_show import expand, list_sets, show


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
