"""``cds-service simulate``: send wearable alerts or readings to a server."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from ...ehr.dialects import DIALECTS, SimulatedWearer
from ...ehr.hours import HOURS
from ...ehr.scenarios import SCENARIOS, ScenarioStep, play
from ...ingestion import ALERTS
from ...protocol.conformance import Reply
from .deliveries import (
    FORGER,
    OutgoingDelivery,
    answer_of,
    deliver,
    read,
    secret_option,
    webhook_url,
)
from .readings import Sending, play_readings

NAMES = tuple(dict.fromkeys([*SCENARIOS, *HOURS]))


@click.command()
@click.argument(
    "scenarios", nargs=-1, metavar="[SCENARIO]...", type=click.Choice(NAMES)
)
@click.option("--to", "url", metavar="URL", help="The server, or its webhook.")
@click.option("--patient", metavar="ID", help="The patient's id in the EHR.")
@secret_option
@click.option(
    "--as",
    "sent_as",
    type=click.Choice(["alerts", "samples"]),
    default="alerts",
    show_default=True,
    help="Finished alerts, or the readings minute by minute.",
)
@click.option(
    "--format",
    type=click.Choice(list(DIALECTS)),
    default="samples",
    show_default=True,
    help="Of readings.",
)
@click.option(
    "--user", default="", help="For readings: the wearer's name at the source."
)
@click.option(
    "--token",
    envvar="CDS_WEARER_TOKEN",
    help=(
        "For readings: the wearer's token, instead of a secret.  [env:"
        " CDS_WEARER_TOKEN]"
    ),
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 1440),
    default=60,
    show_default=True,
    help="For readings: how long a scenario lasts.",
)
@click.option("--source", default="simulator", show_default=True, help="Begins ids.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    help=(
        "Minutes of the scenario per minute of real time; 0, the default: do not wait."
    ),
)
@click.option("--list", "listed", is_flag=True, help="List the scenarios and exit.")
@click.option(
    "--dry-run", is_flag=True, help="Print the deliveries instead of sending them."
)
@click.pass_context
def simulate(
    context: click.Context,
    scenarios: tuple[str, ...],
    url: str | None,
    patient: str | None,
    secret: str | None,
    sent_as: str,
    format: str,
    user: str,
    token: str | None,
    minutes: int,
    source: str,
    seed: int,
    speed: float,
    listed: bool,
    dry_run: bool,
) -> None:
    """Play SCENARIOS, all of them if none is named, and check each answer.

    Exit code 0 if every answer was the expected one, 1 if not.
    """
    readings = sent_as == "samples"
    known: Mapping[str, Any] = HOURS if readings else SCENARIOS
    if listed:
        for name, scenario in known.items():
            click.echo(f"{name:18} {scenario.__doc__}")
        return
    for name in scenarios:
        if name not in known:
            raise click.UsageError(f"{name} is not a scenario of {sent_as}.")
    _check_options(readings, patient, user, token, url, secret, dry_run)
    now = datetime.now().astimezone()
    sending = Sending(
        format,
        SimulatedWearer(user, patient or ""),
        minutes,
        seed,
        "" if dry_run else url or "",
        secret or "",
        token or "",
        speed,
    )
    failures = 0
    for name in scenarios or known:
        click.echo(f"{name}: {known[name].__doc__}")
        if readings:
            failures += play_readings(name, sending, now)
        else:
            steps = play(name, patient or "", source, now, seed)
            failures += _play_alerts(steps, url or "", secret or "", speed, dry_run)
    if failures:
        click.echo(f"{failures} answers were not as expected.", err=True)
        context.exit(1)


def _check_options(
    readings: bool,
    patient: str | None,
    user: str,
    token: str | None,
    url: str | None,
    secret: str | None,
    dry_run: bool,
) -> None:
    if readings and not (patient or user or token):
        raise click.UsageError("One of --patient, --user and --token is required.")
    if not readings and not patient:
        raise click.UsageError("--patient is required.")
    if not dry_run and not (url and (secret or readings and token)):
        ways = "--secret or --token" if readings else "--secret"
        raise click.UsageError(f"--to and {ways} are required, or --dry-run.")


def _play_alerts(
    steps: list[ScenarioStep], url: str, secret: str, speed: float, dry_run: bool
) -> int:
    if not steps:
        click.echo("  nothing to send")
    elif dry_run:
        show(steps)
    else:
        return send_all(steps, webhook_url(url, ALERTS.path), secret, speed)
    return 0


def show(steps: list[ScenarioStep]) -> None:
    """Print the bodies, and what is expected of a server."""
    for step in steps:
        click.echo(f"  {step.says}: {step.delivery}, expect {step.expected}")
        click.echo(f"    {body_of(step)}")


def send_all(steps: list[ScenarioStep], url: str, secret: str, speed: float) -> int:
    """Send the steps in turn and print each answer; how many were not as expected."""
    failures = 0
    before = b""
    for step in steps:
        if speed:
            time.sleep(step.pause.total_seconds() / speed)
        reply = send(step, url, secret)
        wrong = "; ".join(faults(step, reply, before))
        failures += bool(wrong)
        verdict = f"NOT AS EXPECTED: {wrong}" if wrong else "as expected"
        click.echo(f"  {describe(step)}")
        click.echo(f"    {reply.status} {read(reply)}: {verdict}")
        before = reply.content
    return failures


def send(step: ScenarioStep, url: str, secret: str) -> Reply:
    """Return the server's answer to one delivery."""
    signed_at = datetime.now(UTC) + step.clock
    delivery = OutgoingDelivery(step.delivery, body_of(step), signed_at)
    return deliver(delivery, url, FORGER if step.forged else secret)


def faults(step: ScenarioStep, reply: Reply, before: bytes) -> Iterator[str]:
    """Yield what is not as a right server would answer."""
    if reply.status != step.expected:
        yield f"expected {step.expected}"
    elif step.repeats and reply.content != before:
        yield "expected the same answer as before"
    elif step.expected == 202 and answer_of(reply).get("rejected") != 0:
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
