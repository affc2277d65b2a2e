"""``cds-service explain``: why a rule said what it said of one patient."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..fhir.chart import Chart, SourceState
from ..fhir.gather import gather
from ..protocol.errors import CdsError
from ..protocol.requests import parse_request
from ..rulebook.evaluate import open_case
from ..rulebook.explain import explain as explained
from ..rulebook.findings import closest
from ..rulebook.load import InvalidRulebook, load_rulebook
from ..rulebook.pages import read_page, titles
from ..rulebook.rules import Rulebook, ServiceRules
from ..wearables.adapters.alerts import parse_alerts
from ..wearables.records import WearableAlert
from .fixture_records import load_records
from .fixtures import fill_prefetch, resolve_times


class Sender:
    """Whoever sent alerts that are read from a file."""

    id, tenant, fhir_base = "file", "default", "-"


@click.command()
@click.argument("subject", metavar="[RULE|CODE]", required=False)
@click.option("--codes", is_flag=True, help="List every finding code and its title.")
@click.option(
    "--patient",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A FHIR Bundle with the patient's resources.",
)
@click.option(
    "--alerts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Wearable alerts, as they are sent to the webhook.",
)
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option("--now", "moment", help="When it is asked, as 2026-11-22T12:00:00Z.")
def explain(
    subject: str | None,
    codes: bool,
    bundle: Path | None,
    alerts: Path | None,
    rules: Path | None,
    moment: str | None,
) -> None:
    """Say why RULE said what it said of a patient, or what a finding CODE means.

    Of a rule every criterion is printed, its truth and what it saw; names out of the
    record are not. A code, such as CDS031, has a page with a good and a bad example.
    Exit code 0: explained; 1: it could not be; 2: usage.
    """
    if codes:
        list_codes()
        return
    if subject is None:
        raise click.UsageError("name a rule, or a finding code such as CDS031")
    if _CODE.fullmatch(subject):
        print_page(subject.upper())
        return
    rule = subject
    if bundle is None:
        raise click.UsageError("say of whom: --patient bundle.json")
    now = read_moment(moment)
    rulebook = load(rules or Path(os.environ.get("CDS_RULES") or "rules"))
    service = find_rule(rule, rulebook)
    chart = read_chart(service, resolve_times(read_json(bundle), now))
    sent = read_alerts(alerts, chart, rulebook, now)
    for source in chart.sources.values():
        if source.state is not SourceState.LOADED or source.unusable or source.foreign:
            click.echo(
                f"{source.name}: {source.state.name.lower()}"
                f", {len(source.unusable)} unusable, {source.foreign} of other patients"
            )
    for line in explained(rulebook.rules[rule], open_case(service, chart, sent, now)):
        click.echo(line)


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


def read_moment(text: str | None) -> datetime:
    """The moment that was named, or this one."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError("--now is written 2026-11-22T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def load(folder: Path) -> Rulebook:
    """The rulebook of a folder."""
    try:
        return load_rulebook(folder)
    except InvalidRulebook as error:
        hint = f"see `cds-service check {folder}`"
        raise click.ClickException(f"the rules cannot be used; {hint}") from error


def find_rule(rule: str, rulebook: Rulebook) -> ServiceRules:
    """A service that evaluates the rule."""
    for service in rulebook.services.values():
        if any(each.id == rule for each in service.rules):
            return service
    known = ", ".join(sorted(rulebook.rules))
    raise click.ClickException(f"no service evaluates {rule}; rules are: {known}")


def read_json(file: Path) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file} is no JSON: {error}") from error


def read_chart(service: ServiceRules, bundle: Any) -> Chart:
    """The chart of the Bundle's first Patient, as if all of it had been prefetched."""
    patients = sorted(load_records([bundle]).of("Patient"))
    if not patients:
        raise click.ClickException("the Bundle has no Patient")
    context = {"userId": "Practitioner/explain", "patientId": patients[0]}
    templates = service.service.prefetch or {}
    body = {
        "hook": service.service.hook,
        "hookInstance": "00000000-0000-4000-8000-000000000000",
        "context": context,
        "prefetch": fill_prefetch(templates, bundle, context),
    }
    try:
        return gather(service.queries, parse_request(body), None, 1.0)
    except CdsError as error:
        raise click.ClickException(str(error)) from error


def read_alerts(
    file: Path | None, chart: Chart, rulebook: Rulebook, now: datetime
) -> tuple[WearableAlert, ...]:
    """The patient's alerts in a file; none without one."""
    if file is None:
        return ()
    body = resolve_times(read_json(file), now)
    accepted, rejected = parse_alerts(body, Sender(), rulebook.alert_types, now)
    for each in rejected:
        click.echo(f"alert {each.index} cannot be used", err=True)
    return tuple(
        each for each in accepted if each.patient.patient_id == chart.patient_id
    )


_CODE = re.compile("CDS[0-9]+", re.IGNORECASE)
