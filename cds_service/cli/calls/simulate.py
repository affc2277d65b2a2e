"""``cds-service simulate``: send wearable alerts to a server, signed."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import requests

from ...ehr.scenarios import SCENARIOS, ScenarioStep, play
from ...ingestion import ALERTS
from .deliveries import (
    OutgoingDelivery,
    answer_of,
    deliver,
    read,
    secret_option,
    webhook_url,
)

FORGER = base64.b64encode(b"this secret is known to nobody").decode()


@click.command()
@click.argument(
    "scenarios", nargs=-1, metavar="[SCENARIO]...", type=click.Choice(list(SCENARIOS))
)
@click.option("--to", "url", metavar="URL", help="The server, or its webhook.")
@click.option("--patient", metavar="ID", help="The id that the EHR knows them by.")
@secret_option
@click.option("--source", default="simulator", show_default=True, help="Begins ids.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Minutes of a scenario that pass in a minute; 0, the default: no waiting.",
)
@click.option("--list", "listed", is_flag=True, help="Name the scenarios and stop.")
@click.option("--dry-run", is_flag=True, help="Print the deliveries, send nothing.")
@click.pass_context
def simulate(
    context: click.Context,
    scenarios: tuple[str, ...],
    url: str | None,
    patient: str | None,
    secret: str | None,
    source: str,
    seed: int,
    speed: float,
    listed: bool,
    dry_run: bool,
) -> None:
    """Play SCENARIOS, all of them if none is named, and check each answer.

    Exit code 0 if every answer was the expected one, 1 if not.
    """
    if listed:
        for name, scenario in SCENARIOS.items():
            click.echo(f"{name:18} {scenario.__doc__}")
        return
    if not patient:
        raise click.UsageError("--patient is required.")
    if not dry_run and not (url and secret):
        raise click.UsageError("--to and --secret are required, or --dry-run.")
    now = datetime.now().astimezone()
    failures = 0
    for name in scenarios or SCENARIOS:
        click.echo(f"{name}: {SCENARIOS[name].__doc__}")
        steps = play(name, patient, source, now, seed)
        if not steps:
            click.echo("  nothing to send")
        elif dry_run:
            show(steps)
        else:
            webhook = webhook_url(url or "", ALERTS.path)
            failures += send_all(steps, webhook, secret or "", speed)
    if failures:
        click.echo(f"{failures} answers were not as expected.", err=True)
        context.exit(1)


def show(steps: list[ScenarioStep]) -> None:
    """Print the bodies, and what is expected of a server."""
    for step in steps:
        click.echo(f"  {step.says}: {step.delivery}, expect {step.expected}")
        click.echo(f"    {body_of(step)}")


def send_all(steps: list[ScenarioStep], url: str, secret: str, speed: float) -> int:
    """Send the steps in turn and print each answer; how many were not as expected."""
    failures = 0
    before = ""
    with requests.Session() as session:
        for step in steps:
            if speed:
                time.sleep(step.pause.total_seconds() / speed)
            response = send(session, step, url, secret)
            wrong = "; ".join(faults(step, response, before))
            failures += bool(wrong)
            verdict = f"NOT AS EXPECTED: {wrong}" if wrong else "as expected"
            click.echo(f"  {describe(step)}")
            click.echo(f"    {response.status_code} {read(response)}: {verdict}")
            before = response.text
    return failures


def send(
    session: requests.Session, step: ScenarioStep, url: str, secret: str
) -> requests.Response:
    """Return the server's answer to one delivery."""
    signed_at = datetime.now(UTC) + step.clock
    delivery = OutgoingDelivery(step.delivery, body_of(step), signed_at)
    return deliver(session, delivery, url, FORGER if step.forged else secret)


def faults(
    step: ScenarioStep, response: requests.Response, before: str
) -> Iterator[str]:
    """Yield what is not as a right server would answer."""
    if response.status_code != step.expected:
        yield f"expected {step.expected}"
    elif step.repeats and response.text != before:
        yield "expected the same answer as before"
    elif step.expected == 202 and answer_of(response).get("rejected") != 0:
        yield "expected every alert to be accepted"


def describe(step: ScenarioStep) -> str:
    """Return a delivery in a line."""
    return f"{step.says}: {', '.join(map(_alert_line, step.alerts))}"


def _alert_line(alert: dict[str, Any]) -> str:
    value = f" {alert['value']} {alert['unit']}" if "value" in alert else ""
    span = f"{alert['start']} to {alert['end'] or 'now'}"
    return f"{alert['type']}{value}, {span}, {alert['status']}, rev {alert['rev']}"


def body_of(step: ScenarioStep) -> str:
    """Return the body of a delivery; the same text for the same step."""
    return json.dumps({"alerts": step.alerts})
