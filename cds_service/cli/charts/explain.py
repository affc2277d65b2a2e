"""``cds-service explain``: why a rule said what it said, and what a code means."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from ...fhir.chart import Source, SourceState
from ...rulebook.compile import derive_queries, digest_of
from ...rulebook.describe import explain as explained
from ...rulebook.describe import explain_json, source_json
from ...rulebook.engine import Case, Program, Rule, Rulebook, ServiceRules, open_case
from ...rulebook.language import closest, read_page, suggest, titles
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.testing import Example, ExampleError, ExampleRunner, read_examples
from ..rules.compiled import compile_folder, default_folder
from .explain_alerting import History, alerting_json, history_options, tell_alerting
from .patient_files import (
    choose_patient,
    read_alerts,
    read_chart,
    read_json,
    read_moment,
)
from .stored_wearables import Bystander, Whereabouts, unread_of


@dataclass(frozen=True, slots=True)
class AskedRule:
    """A rule, the patient whom it is asked about, and who asks."""

    rule: Rule
    service: ServiceRules
    served: bool
    """Whether a service of the site asks it."""
    case: Case
    digest: str
    example: str = ""
    """The test case that the patient is out of."""
    beside: tuple[str, ...] = ()
    """What is to be said of what was read of wearables."""

    @property
    def notes(self) -> Iterator[str]:
        """What keeps the rule from being heard, whatever it says."""
        rule, day = self.rule, self.case.today
        if not self.served and not self.example:
            yield "no service uses this rule"
        if rule.status != "active":
            yield f"its status is {rule.status}, so no card is shown"
        elif not rule.served:
            yield "it is not approved, so no card is shown"
        if rule.is_evaluated and not rule.in_force(day):
            yield f"it is not in force on {day}"
        if any(link.page for card in rule.cards for link in card.links):
            yield (
                "its links to pages of this server are left out for clients that open"
                " none"
            )
        if rule not in self.service.program.candidates(self.case.index):
            yield "it is not evaluated in this call: data that it needs are missing"
        yield from self.beside


@click.command()
@click.argument("subject", metavar="[RULE|CODE]", required=False)
@click.option("--codes", is_flag=True, help="List every finding code and its title.")
@click.option(
    "--patient",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A FHIR Bundle with the patient's resources.",
)
@click.option("--id", "patient", help="The patient, if the Bundle has several.")
@click.option(
    "--alerts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Wearable alerts, as they are sent to the webhook.",
)
@click.option("--case", "name", help="A case of the rule's test file, by its name.")
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option(
    "--now", "moment", help="Time of the evaluation, as 2026-11-22T12:00:00Z."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON for a program.")
@history_options
def explain(
    subject: str | None,
    codes: bool,
    bundle: Path | None,
    patient: str | None,
    alerts: Path | None,
    name: str | None,
    rules: Path | None,
    moment: str | None,
    as_json: bool,
    history: History | None,
    whereabouts: Whereabouts | None,
) -> None:
    """Explain what RULE says about a patient, or what a finding CODE means.

    For a rule it shows every criterion, its truth, what it saw and the resources that
    it rests on, but no names from the record. The patient is in a Bundle (--patient) or
    in a test case (--case). With --database the rule sees the wearable data that a call
    would see, and the output says what alerting would hold back now. A code, such as
    CDS031, has a page with a good and a bad example. Exit code 0: explained; 1: it
    could not be; 2: usage, or the rules cannot be used.
    """
    if codes:
        list_codes()
    elif subject is None:
        raise click.UsageError("name a rule, or a finding code such as CDS031")
    elif _CODE.fullmatch(subject):
        print_page(subject.upper())
    elif (bundle is None) is (name is None):
        raise click.UsageError("name a patient: --patient bundle.json, or --case NAME")
    else:
        scene = (
            scene_of_bundle(
                *(subject, bundle, patient, alerts, rules, read_moment(moment)),
                whereabouts,
            )
            if bundle
            else scene_of_example(subject, name or "", rules)
        )
        show_json(scene, history) if as_json else show_text(scene, history)


_CODE = re.compile("CDS[0-9]+", re.IGNORECASE)


def list_codes() -> None:
    """Print every finding code and its title."""
    for code, title in titles().items():
        click.echo(f"{code}  {title}")


def print_page(code: str) -> None:
    """Print the page of a finding code.

    Raises:
        click.ClickException: if there is no such code.
    """
    if code not in titles():
        near = closest(code, titles())
        hint = f"did you mean {near}? " if near else ""
        raise click.ClickException(
            f"there is no code {code}; {hint}`cds-service explain --codes` lists all"
        )
    click.echo(read_page(code), nl=False)


def scene_of_bundle(
    name: str,
    file: Path,
    patient: str | None,
    alerts: Path | None,
    folder: Path | None,
    now: datetime,
    whereabouts: Whereabouts | None,
) -> AskedRule:
    """Return a rule and the patient of a Bundle, whether a service asks it or not."""
    rulebook = compile_folder(folder).rulebook
    rule = rulebook.rules.get(name)
    if rule is None:
        help = suggest(name, rulebook.rules)
        raise click.ClickException(f"there is no rule {name}; {help}".rstrip("; "))
    asking = (s for s in rulebook.services.values() if rule in s.rules)
    service = next(asking, None)
    # What no call would evaluate is not read for it either.
    heard = service if rule.is_evaluated else None
    asked = heard or ask_alone(rule, rulebook)
    bundle = read_json(file, now)
    chosen = choose_patient(bundle, patient)
    chart = read_chart(asked.queries, bundle, chosen, asked.service.hook)
    sent = read_alerts(alerts, chosen, rulebook.catalogue.alert_types, now)
    with Bystander(whereabouts) as bystander:
        told = sent if alerts else None
        seen = bystander.see(asked, rulebook, chart, told, now)
    notes = seen.notes if whereabouts else tuple(unread_of(rule))
    case = open_case(asked, seen.chart, seen.wearables, now)
    served = service is not None
    return AskedRule(rule, asked, served, case, rulebook.digest, beside=notes)


def ask_alone(rule: Rule, rulebook: Rulebook) -> ServiceRules:
    """Return a service that asks one rule that no service of the site asks."""
    some = next(iter(rulebook.services.values()))
    selectors = some.program.selectors
    slots = {slot for fact in rule.facts.values() for slot in fact.slots}
    queries = derive_queries(
        [selectors.all[slot] for slot in sorted(slots)], rulebook.valuesets, {}
    )
    service = some.service
    program = Program(selectors, [rule])
    return ServiceRules(service, queries, {}, (rule,), program, some.site)


def scene_of_example(name: str, case: str, folder: Path | None) -> AskedRule:
    """Return a rule and the patient of one of its test cases."""
    chosen = folder or default_folder()
    try:
        files = read_folder(chosen)
    except InvalidRulebook as error:
        raise click.ClickException(str(error)) from error
    read, _ = read_examples(files)
    examples = [each for file in read if file.rule == name for each in file.examples]
    example = find_example(examples, name, case)
    runner = ExampleRunner(files)
    try:
        service = runner.service(example)
        played = runner.scene(example).case(service)
    except ExampleError as error:
        raise click.ClickException(f"{example.file}: {error}") from error
    digest = digest_of(files)
    return AskedRule(service.rules[0], service, False, played, digest, example.name)


def find_example(examples: list[Example], rule: str, name: str) -> Example:
    """Return the case of that name, or the only one whose name has it.

    Raises:
        click.ClickException: if there is none, or more than one.
    """
    named = [each for each in examples if each.name == name]
    near = named or [each for each in examples if name in each.name]
    if len(near) == 1:
        return near[0]
    if not examples:
        raise click.ClickException(f"there is no test case of {rule}")
    listed = "\n".join(f"  {each.name}" for each in near or examples)
    which = "several cases" if near else "no case"
    raise click.ClickException(f"{which} of {rule} match `{name}`:\n{listed}")


def show_text(scene: AskedRule, history: History | None) -> None:
    """Print the tree, then what was not read and what keeps the rule unheard."""
    for line in explained(scene.rule, scene.case):
        click.echo(line)
    incomplete = [
        source for source in scene.case.chart.sources.values() if not is_whole(source)
    ]
    for source in incomplete:
        click.echo(f"  {source.name}: {describe(source)}")
    for note in scene.notes:
        click.echo(f"  note: {note}")
    if history:
        tell_alerting(scene.rule, scene.service, scene.case, history)


def is_whole(source: Source) -> bool:
    """Check whether a source was read, and all of it could be used."""
    loaded = source.state is SourceState.LOADED
    return loaded and not source.unusable and not source.foreign


def describe(source: Source) -> str:
    """Return how a source was read: its state, why, and what could not be used."""
    why = f" ({source.why})" if source.why else ""
    said = [f"{source.state.name.lower()}{why}"]
    reasons = dict.fromkeys(each.reason for each in source.unusable)
    if source.unusable:
        said.append(f"{len(source.unusable)} unusable ({', '.join(reasons)})")
    if source.foreign:
        said.append(f"{source.foreign} about others")
    return ", ".join(said)


def show_json(scene: AskedRule, history: History | None) -> None:
    """Print everything that is known about how the rule came to what it said."""
    chart = scene.case.chart
    written = {
        **explain_json(scene.rule, scene.case),
        "rulebook": scene.digest,
        "service": scene.service.service.id if scene.served else None,
        "hook": scene.service.service.hook,
        "now": scene.case.now.isoformat(),
        "patient": f"Patient/{chart.patient_id}",
        "example": scene.example or None,
        "sources": [source_json(each) for each in chart.sources.values()],
        "notes": list(scene.notes),
    }
    if history:
        held = alerting_json(scene.rule, scene.service, scene.case, history)
        written["alerting"] = held
    click.echo(json.dumps(written, indent=2, ensure_ascii=False))
