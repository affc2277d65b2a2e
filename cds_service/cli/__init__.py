"""The command line: one module a verb, imported when it is asked for.

Exit codes: 0 done; 1 it could not be done, and one sentence says why; 2 the command was
not understood.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from .. import __version__


class Verb(NamedTuple):
    """Where a command stands, and what it does."""

    module: str
    """In the package of its group; the command is called as the verb is, or *name*."""
    says: str
    """In a line of the help above it, for which the module is not imported."""
    name: str = ""


class Verbs(click.Group):
    """Commands that are imported no sooner than they are asked for."""

    def __init__(
        self, *args: Any, package: str, verbs: Mapping[str, Verb], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._package, self._verbs = package, verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every verb, in the order of the alphabet."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a verb; None where there is none."""
        verb = self._verbs.get(cmd_name)
        if verb is None:
            return None
        module = import_module(f"{self._package}.{verb.module}")
        command = getattr(module, verb.name or cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the verbs with what each does."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.says) for name, each in self._verbs.items()]
            )


VERBS: Mapping[str, Verb] = {
    "adapt": Verb(
        "wearables.adapt", "Print what is read of wearable data in a format."
    ),
    "audit": Verb(
        "database.audit", "Write the audit trail out, or see whether it was changed."
    ),
    "call": Verb("calls.call", "Call a service about a patient; judge its answer."),
    "check": Verb(
        "rules.check", "Check rule files: grammar, names, codes, units, text, tests."
    ),
    "consent": Verb("consents", "See what patients permit of their wearable data."),
    "coverage": Verb(
        "rules.coverage", "Name the clauses of rules that tests leave unseen."
    ),
    "database": Verb(
        "database", "Make the schema of a database; copy, back up, restore, prune it."
    ),
    "demo": Verb("serve.demo", "Start everything here and play the main job once."),
    "detect": Verb(
        "wearables.detect", "Judge readings by detectors; say what they could judge."
    ),
    "diff": Verb("rules.diff", "Compare what two versions of rules mean."),
    "doc": Verb("rules.doc", "Write a page about each rule."),
    "episodes": Verb("wearables.episodes", "List what detectors found of a patient."),
    "explain": Verb(
        "charts.explain", "Say why a rule said what it said, or what a finding means."
    ),
    "feedback": Verb(
        "database.feedback", "Say what clinicians made of the cards, by rule."
    ),
    "fmt": Verb("rules.fmt", "Put rule files in order."),
    "import": Verb(
        "wearables.imports", "Take in the whole export of a phone.", name="imports"
    ),
    "link": Verb("wearables.links", "Say whose wrist it is; make wearers' tokens."),
    "new": Verb("rules.new", "Write a new rule and its tests."),
    "new-detector": Verb(
        "rules.new_detector",
        "Write a new detector and its tests.",
        name="new_detector",
    ),
    "patient": Verb(
        "database.patient", "Write out or remove what is kept of one patient."
    ),
    "patients": Verb("exports.patients", "Read who is in a FHIR server."),
    "prefetch": Verb("charts.prefetch", "Print what each service asks an EHR for."),
    "publish": Verb(
        "rules.publish", "Check and test the rules, then have every server serve them."
    ),
    "quarantine": Verb(
        "wearables.quarantine", "Release readings of wearers whom nobody knew."
    ),
    "replay": Verb("charts.replay", "Ask every rule of every patient in a folder."),
    "samples": Verb("wearables.samples", "Count or print a patient's readings."),
    "schema": Verb("rules.schema", "Write the JSON Schema of each kind of rule file."),
    "serve": Verb("serve", "Serve over HTTP."),
    "simulate": Verb(
        "calls.simulate", "Deliver wearable alerts as scenarios have them."
    ),
    "test": Verb("rules.test", "Run the test cases of rules."),
    "threshold": Verb(
        "wearables.thresholds", "Set limits of a patient's own for detectors."
    ),
    "token": Verb("calls.token", "Make keys and tokens to test with."),
    "valueset": Verb("valuesets", "Look at value sets, and bring in terminology."),
}


@click.group(
    cls=Verbs,
    package=__name__,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cds-service")
def main() -> None:
    """CDS Hooks decision support: rules in YAML over a chart and wearable alerts."""
