"""The command line: one module a verb, imported when it is asked for.

Exit codes: 0 done; 1 it could not be done, and one sentence says why; 2 the command was
not understood.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from .. import __version__

VERBS: Mapping[str, str] = {
    "audit": "database.audit",
    "call": "calls.call",
    "check": "rules.check",
    "consent": "consents",
    "coverage": "rules.coverage",
    "database": "database.moving",
    "demo": "serve.demo",
    "diff": "rules.diff",
    "doc": "rules.doc",
    "explain": "charts.explain",
    "feedback": "database.feedback",
    "fmt": "rules.fmt",
    "new": "rules.new",
    "patients": "exports.patients",
    "prefetch": "charts.prefetch",
    "publish": "rules.publish",
    "replay": "charts.replay",
    "schema": "rules.schema",
    "serve": "serve",
    "simulate": "calls.simulate",
    "test": "rules.test",
    "token": "calls.token",  # nosec B105 # the name of a module
    "valueset": "valuesets",
}
"""Each with the module here that holds the command of this name."""


class Verbs(click.Group):
    """Finds a command in its module, which is imported no sooner."""

    def __init__(
        self, *args: Any, package: str, verbs: Mapping[str, str], **kwargs: Any
    ) -> None:
        """Of each verb the module of *package* is given that holds its command; behind
        a colon the command's name there, where it is another.
        """
        super().__init__(*args, **kwargs)
        self._package, self._verbs = package, verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every verb, in the order of the alphabet."""
        return sorted(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a verb."""
        if cmd_name not in self._verbs:
            return None
        module, _, name = self._verbs[cmd_name].partition(":")
        held = import_module(f"{self._package}.{module}")
        command = getattr(held, name or cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Verbs,
    package=__name__,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cds-service")
def main() -> None:
    """CDS Hooks decision support: rules in YAML over a chart and wearable alerts."""
