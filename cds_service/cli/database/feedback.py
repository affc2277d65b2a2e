"""``cds-service feedback``: what clinicians made of the cards."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from ...exports.files import as_csv, write_atomically
from ...store.records import StoreError
from ...store.reports import Period
from .database import database_option, open_store, shown
from .feedback_text import (
    EXPORT_COLUMNS,
    as_json,
    export_json,
    export_row,
    flat_report,
    report_json,
    report_lines,
)

since_option = click.option(
    "--since",
    help="First day, or moment, in UTC: 2026-11-01. By default 30 days before the end.",
)
until_option = click.option(
    "--until", help="Day, or moment, that is no longer in it. By default now."
)


@click.group()
def feedback() -> None:
    """Say what clinicians made of the cards, by rule, or export each word."""


@feedback.command()
@database_option
@since_option
@until_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="How the report is written.",
)
def report(database: str, since: str | None, until: str | None, form: str) -> None:
    """Count cards shown, accepted, overridden and held back, by rule and version.

    A card of which nobody spoke is not a card that was refused: EHRs never report that
    one was ignored. Exit code 0: reported; 1: the database could not be read; 2: usage.
    """
    period = read_period(since, until)
    store = open_store(database)
    try:
        reports = store.reports.rules(period)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    if form == "json":
        click.echo(as_json([report_json(each) for each in reports]))
    elif form == "csv":
        click.echo(as_csv([flat_report(each) for each in reports]), nl=False)
    else:
        for line in report_lines(reports, period):
            click.echo(line)


@feedback.command()
@database_option
@since_option
@until_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; without it, standard output.",
)
@click.option(
    "--with-comments",
    is_flag=True,
    help="With what clinicians wrote, which may name patients.",
)
def export(
    database: str,
    since: str | None,
    until: str | None,
    form: str,
    out: Path | None,
    with_comments: bool,
) -> None:
    """Write every word of feedback, for analysis elsewhere.

    With the fields that 45 CFR 170.315(b)(11)(ii)(C) asks for: intervention, action,
    feedback, user, date, location. CDS Hooks sends no place; the location is the EHR
    that asked, and the encounter where it named one. Exit code 0: written; 1: it could
    not be; 2: usage.
    """
    period = read_period(since, until)
    store = open_store(database)
    try:
        records = [
            export_json(each, with_comments) for each in store.reports.feedback(period)
        ]
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    if form == "json":
        text = as_json(records) + "\n"
    else:
        text = as_csv([export_row(each) for each in records], header=EXPORT_COLUMNS)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_atomically(out, text)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error
    click.echo(f"{len(records)} written to {out}", err=True)


def read_period(since: str | None, until: str | None) -> Period:
    """The period that the options name."""
    end = _moment(until, "--until") if until else datetime.now(UTC)
    start = _moment(since, "--since") if since else end - timedelta(days=30)
    if start >= end:
        raise click.UsageError("--since must be before --until")
    return Period(start, end)


def _moment(text: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option} is written 2026-11-01 or 2026-11-01T08:00:00Z"
        raise click.UsageError(message) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
