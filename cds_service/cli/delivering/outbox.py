"""Verbs of ``cds-service deliver`` about what waits."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ...fhir.foreign_text import clean
from ...store.outbox.backlog import Chosen
from ...store.outbox.records import DEAD, DROPPED, WAITING, WITHHELD, Backlog, OutboxRow
from ...store.records import AuditEvent
from ..terminal import ProgressLine
from ..wearables.links import LinkDesk, TimeOption, json_option, with_desk

MOST = 10_000


def _chosen_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--all", "all_of", is_flag=True, help="All that were given up."),
        click.option("--destination", default="", help="Only this one."),
        click.argument("ids", nargs=-1, type=int, metavar="[ID]..."),
    ):
        command = option(command)
    return command


@click.command("list")
@with_desk
@click.option("--destination", default="", help="Only this one.")
@click.option(
    "--state",
    default="",
    type=click.Choice(["", WAITING, WITHHELD, DEAD, DROPPED]),
    help="Only those that are waiting, withheld, given up or dropped.",
)
@click.option("--most", default=50, show_default=True, type=click.IntRange(0, MOST))
@json_option
def list_rows(
    desk: LinkDesk, destination: str, state: str, most: int, as_json: bool
) -> None:
    """List what waits for each destination, and why it does.

    First a line a destination: how much waits, how much the patient does not permit,
    how much was given up, and how the destination is. Then what there is, oldest first.
    Exit code 0: listed; 1: the database cannot be read.
    """
    for each in desk.store.outbox_desk.backlogs(datetime.now(UTC)):
        if destination in ("", each.destination):
            click.echo(json.dumps(_told(each)) if as_json else _line(each))
    chosen = Chosen(destination=destination, state=state)
    for row in desk.store.outbox_desk.rows(chosen, most):
        click.echo(json.dumps(_row(row)) if as_json else _row_line(row))


@click.command()
@with_desk
@click.argument("id", type=int)
def show(desk: LinkDesk, id: int) -> None:
    """Say all that is known of one thing that waits, as JSON.

    Its `problem` is in the words of the other side. Exit code 0: shown; 1: there is no
    such thing, or the database cannot be read.
    """
    found = desk.store.outbox_desk.rows(Chosen(ids=(id,)), 1)
    if not found:
        raise click.ClickException(f"there is no delivery {id}; see `deliver list`")
    click.echo(json.dumps(_row(found[0]), indent=2))


@click.command()
@with_desk
@_chosen_options
def retry(desk: LinkDesk, ids: Sequence[int], destination: str, all_of: bool) -> None:
    """Try again what was given up, as if for the first time.

    Name things by their ids, or --all with or without --destination. Exit code 0: done;
    1: the database refuses.
    """
    chosen = _chosen(ids, destination, all_of, DEAD)
    done = desk.store.outbox_desk.retry(chosen, _event(desk, "retry", chosen))
    click.echo(f"{done:,} will be sent again")


@click.command()
@with_desk
@_chosen_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(
    desk: LinkDesk, ids: Sequence[int], destination: str, all_of: bool, yes: bool
) -> None:
    """Leave something unsent, until it changes again.

    Name things by their ids, or --all that were given up. What may have arrived all the
    same stays in the list of --state dropped, and is looked for there once it changes.
    Exit code 0: done; 1: the database refuses.
    """
    chosen = _chosen(ids, destination, all_of, "" if ids else DEAD)
    if not yes:
        click.confirm("It will not be sent to the destination. Go on?", abort=True)
    done = desk.store.outbox_desk.drop(chosen, _event(desk, "drop", chosen))
    click.echo(f"{done:,} dropped")


@click.command()
@with_desk
@click.option("--destination", required=True, help="Its name in the clients file.")
@click.option("--since", type=TimeOption(), required=True, help="Start of the period.")
@click.option("--until", type=TimeOption(), help="End of the period; by default now.")
def backfill(
    desk: LinkDesk, destination: str, since: datetime, until: datetime | None
) -> None:
    """Queue for a destination what it takes and was never sent.

    Of episodes that began in that time, and of days in it, whether or not it takes what
    is long over. Exit code 0: it waits in the outbox; 1: the database refuses.
    """
    now, line, total = datetime.now(UTC), ProgressLine(), 0
    known = {each.destination for each in desk.store.outbox_desk.backlogs(now)}
    if destination not in known:
        raise click.ClickException(
            "no server or deliverer has been started with the destination"
            f" {destination} yet"
        )
    span = (since, until or now)
    event = AuditEvent(
        now,
        "outbox",
        client=desk.by,
        detail={"backfill": destination, "time": [each.isoformat() for each in span]},
    )
    desk.store.record_audit(event)
    for added in desk.store.outbox_desk.backfill(destination, *span, now):
        total += added
        line.say(f"{total:,} things")
    line.clear()
    click.echo(f"{total:,} to be delivered")


def _chosen(ids: Sequence[int], destination: str, all_of: bool, state: str) -> Chosen:
    if bool(ids) == all_of:
        raise click.UsageError("give the ids, or --all")
    return Chosen(tuple(ids), destination, state)


def _event(desk: LinkDesk, verb: str, chosen: Chosen) -> AuditEvent:
    detail = {"verb": verb, "destination": chosen.destination, "state": chosen.state}
    return AuditEvent(datetime.now(UTC), "outbox", client=desk.by, detail=detail)


def _told(backlog: Backlog) -> dict[str, Any]:
    health = backlog.health
    return {
        "destination": backlog.destination,
        "configured": backlog.configured,
        "waiting": backlog.waiting,
        "due": backlog.due,
        "withheld": backlog.withheld,
        "dead": backlog.dead,
        "oldestSeconds": round(backlog.oldest_seconds, 1),
        "sent": backlog.sent,
        "failed": backlog.failed,
        "failures": health.failures,
        "openUntil": health.open_until and health.open_until.isoformat(),
        "lastSuccess": health.last_success and health.last_success.isoformat(),
        "lastProblem": health.last_problem,
    }


def _line(backlog: Backlog) -> str:
    told = (
        f"{backlog.destination}: {backlog.waiting:,} waiting ({backlog.due:,} due),"
        f" {backlog.withheld:,} withheld, {backlog.dead:,} given up"
    )
    if not backlog.configured:
        told += "; no longer in the clients file"
    until = backlog.health.open_until
    if until and backlog.health.is_left_alone(datetime.now(UTC)):
        told += f"; paused until {until:%H:%M:%S} UTC"
    if backlog.health.last_problem:
        told += f": {clean(backlog.health.last_problem)}"
    return told


def _row(row: OutboxRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "destination": row.destination,
        **row.patient._asdict(),
        "kind": row.kind,
        "thing": row.key,
        "telling": row.rev,
        "state": row.state,
        "noted": row.noted.isoformat(),
        "due": row.due.isoformat(),
        "attempts": row.attempts,
        "firstAttempt": row.first and row.first.isoformat(),
        "uncertain": row.uncertain,
        "problem": row.problem,
    }


def _row_line(row: OutboxRow) -> str:
    told = f"{row.id}  {row.destination}  {row.state}  {row.kind} {clean(row.key)}"
    told += f"  since {row.noted:%Y-%m-%d %H:%M} UTC"
    if row.attempts:
        told += f", tried {row.attempts} times"
    return f"{told}: {clean(row.problem)}" if row.problem else told
