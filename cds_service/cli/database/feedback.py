"""``cds-service feedback``: what clinicians made of the cards."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ...exports.files import as_csv, write_atomically
from ...store.records import StoreError
from ...store.reports import FeedbackRecord, Period, RuleReport
from . import database_option, open_store, shown

since_option = click.option(
    "--since",
    help="First day or time, in UTC: 2026-11-01. By default 30 days before the end.",
)
until_option = click.option(
    "--until", help="The first day or time after the report. By default now."
)


@click.group()
def feedback() -> None:
    """Report how clinicians responded to each rule's cards, or export all feedback."""


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
    help="Output format.",
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
    help="Output format.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; without it, standard output.",
)
@click.option(
    "--with-comments",
    is_flag=True,
    help="Include clinicians' comments, which may name patients.",
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
    """Return the period that the options name."""
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


# What is written: tables, CSV and JSON

UNCHECKED = "(checks that could not be made)"
"""The name of the card that no single rule gave."""
COLUMNS = ("rule", "fired", "shown", "held", "accepted", "overridden", "no word")
EXPORT_COLUMNS = (
    "intervention",
    "service",
    "card",
    "indicator",
    "shown_at",
    "action",
    "suggestions",
    "reason_system",
    "reason_code",
    "reason",
    "user",
    "date",
    "tenant",
    "client",
    "encounter",
)


def report_json(each: RuleReport) -> Mapping[str, Any]:
    """Return the report of one rule as plain data."""
    return {
        "rule": each.rule,
        "version": each.version,
        "fired": each.fired,
        "unknown": each.unknown,
        "shown": each.shown,
        "accepted": each.accepted,
        "overridden": each.overridden,
        "silent": each.silent,
        "accept_rate": each.share(each.accepted),
        "override_rate": each.share(each.overridden),
        "held_back": dict(sorted(each.held_back.items())),
        "override_reasons": [
            {"system": system, "code": code, "count": count}
            for (system, code), count in _most_common(each)
        ],
    }


def _most_common(each: RuleReport) -> list[tuple[tuple[str, str], int]]:
    return sorted(each.reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def flat_report(each: RuleReport) -> Mapping[str, Any]:
    whole = report_json(each)
    return {
        **{name: value for name, value in whole.items() if not isinstance(value, list)},
        "held_back": sum(each.held_back.values()),
    }


def report_lines(reports: Sequence[RuleReport], period: Period) -> Iterable[str]:
    """Yield the report as a table, and below it why cards were overridden."""
    yield f"from {_day(period.since)} until {_day(period.until)}"
    if not reports:
        yield "no calls in this period"
        return
    table = [COLUMNS, *(_cells(each) for each in reports)]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    for row in table:
        first, *rest = row
        numbers = (cell.rjust(width) for cell, width in zip(rest, widths[1:]))
        yield "  ".join([first.ljust(widths[0]), *numbers]).rstrip()
    for each in reports:
        if each.reasons:
            said = ", ".join(f"{code} {n}" for (_, code), n in _most_common(each))
            yield f"{_name(each)} was overridden because: {said}"


def _name(each: RuleReport) -> str:
    return f"{each.rule}@{each.version}" if each.rule else UNCHECKED


def _cells(each: RuleReport) -> tuple[str, ...]:
    return (
        _name(each),
        str(each.fired) if each.rule else "",
        str(each.shown),
        str(sum(each.held_back.values())),
        _with_share(each, each.accepted),
        _with_share(each, each.overridden),
        _with_share(each, each.silent),
    )


def _with_share(each: RuleReport, number: int) -> str:
    share = each.share(number)
    return str(number) if share is None else f"{number} ({share:.0%})"


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def export_json(record: FeedbackRecord, with_comment: bool) -> Mapping[str, Any]:
    """Return one word of feedback with the fields that a hospital has to export."""
    said: dict[str, Any] = {
        "reason_system": record.reason_system,
        "reason_code": record.reason_code,
        "reason": record.reason_display,
    }
    if with_comment:
        said["comment"] = record.comment
    return {
        "intervention": {
            "rule": record.rule,
            "version": record.version,
            "service": record.service,
            "card": record.card,
            "indicator": record.indicator,
            "shown_at": record.shown_at,
        },
        "action": record.action,
        "suggestions": list(record.suggestions),
        "feedback": said,
        "user": record.user,
        "date": record.date,
        "location": {
            "tenant": record.tenant,
            "client": record.client,
            "encounter": record.encounter,
        },
    }


def export_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    intervention = record["intervention"]
    rule, version = intervention["rule"], intervention["version"]
    return {
        "intervention": f"{rule}@{version}" if rule else "",
        "service": intervention["service"],
        "card": intervention["card"],
        "indicator": intervention["indicator"],
        "shown_at": intervention["shown_at"],
        "action": record["action"],
        "suggestions": " ".join(record["suggestions"]),
        **record["feedback"],
        "user": record["user"],
        "date": record["date"],
        **record["location"],
    }


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
