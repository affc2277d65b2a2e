"""The command line: one module a verb, imported when it is asked for.

Exit codes: 0 done; 1 it could not be done, and one sentence says why; 2 the command was
not understood.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from .. import __version__
from ..garbage import uncollected


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
        with uncollected():
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
    "adapt": Verb("wearables.adapt", "Show how wearable data in a format are read."),
    "audit": Verb(
        "database.audit", "Export the audit trail, or verify that it was not changed."
    ),
    "call": Verb("calls.call", "Call a service about a patient and check its answer."),
    "check": Verb(
        "rules.check", "Check rule files: grammar, names, codes, units, text, tests."
    ),
    "connect": Verb("clouds.connect", "Get wearers' permission at vendors' clouds."),
    "consent": Verb("consents", "Show what patients permit for their wearable data."),
    "coverage": Verb(
        "rules.coverage", "List the conditions of rules that no test exercises."
    ),
    "database": Verb(
        "database", "Migrate, copy, back up, restore or prune a database."
    ),
    "deliver": Verb("delivering", "Send episodes and days to the hospital's systems."),
    "demo": Verb("serve.demo", "Start everything on this machine and run the demo."),
    "detect": Verb(
        "wearables.detect",
        "Explain what a detector found or did not; judge readings.",
    ),
    "diff": Verb("rules.diff", "Compare what two versions of rules mean."),
    "doc": Verb("rules.doc", "Write a page about each rule."),
    "episodes": Verb("wearables.episodes", "List what detectors found for a patient."),
    "export": Verb(
        "exports.disclosed", "Export readings and days, as FHIR or as tables."
    ),
    "explain": Verb(
        "charts.explain", "Explain a rule's answer, or a finding of check."
    ),
    "feedback": Verb(
        "database.feedback", "Report how clinicians responded to the cards."
    ),
    "fmt": Verb("rules.fmt", "Format rule files."),
    "import": Verb(
        "wearables.imports", "Import the export of a phone.", name="imports"
    ),
    "key": Verb("clouds.keys", "Make and rotate the keys that encrypt tokens."),
    "link": Verb(
        "wearables.links", "Link users and devices to patients; make wearers' tokens."
    ),
    "mllp": Verb("mllp", "Receive HL7 v2 messages from engines and devices."),
    "new": Verb("rules.new", "Write a new rule and its tests."),
    "new-detector": Verb(
        "rules.new_detector",
        "Write a new detector and its tests.",
        name="new_detector",
    ),
    "patient": Verb("database.patient", "Export or erase what is kept of one patient."),
    "patients": Verb("exports.patients", "Export the patients of a FHIR server."),
    "play": Verb("clouds.play", "Simulate a vendor's cloud on this machine."),
    "postman": Verb(
        "calls.postman", "Write a server's interface as a Postman collection."
    ),
    "prefetch": Verb("charts.prefetch", "Print what each service asks an EHR for."),
    "publish": Verb(
        "rules.publish", "Check and test the rules, and put them into service."
    ),
    "pull": Verb("clouds.pull", "Fetch wearers' readings from vendors' clouds."),
    "quarantine": Verb(
        "wearables.quarantine", "Show, release or drop readings of unknown wearers."
    ),
    "replay": Verb(
        "charts.replay", "Evaluate every rule for every patient in a folder."
    ),
    "samples": Verb(
        "wearables.samples", "Count or show a patient's readings and days."
    ),
    "schema": Verb("rules.schema", "Write the JSON Schema of each kind of rule file."),
    "serve": Verb("serve", "Run the server."),
    "simulate": Verb(
        "calls.simulate", "Deliver simulated wearable alerts and readings."
    ),
    "test": Verb("rules.test", "Run the test cases of rules."),
    "threshold": Verb(
        "wearables.thresholds", "Set a patient's own limits for detectors."
    ),
    "token": Verb("calls.token", "Make keys and tokens for testing."),
    "valueset": Verb("valuesets", "Inspect value sets and import terminology."),
    "workbench": Verb("workbench", "Print a link that signs in to the workbench."),
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
