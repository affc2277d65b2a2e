"""The command line: one module a verb, imported when it is asked for.

Exit codes: 0 done; 1 it could not be done, and one sentence says why; 2 the command was
not understood.
"""

from importlib import import_module

import click

from .. import __version__

VERBS = (
    "audit",
    "call",
    "check",
    "consent",
    "coverage",
    "demo",
    "diff",
    "doc",
    "explain",
    "feedback",
    "fmt",
    "new",
    "patients",
    "prefetch",
    "publish",
    "replay",
    "schema",
    "serve",
    "simulate",
    "test",
    "token",
    "valueset",
)
"""Each is a module here and the name of the command in it."""


class Verbs(click.Group):
    """Finds a command by the name of its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the alphabet."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cds-service")
def main() -> None:
    """CDS Hooks decision support: rules in YAML over a chart and wearable alerts."""
