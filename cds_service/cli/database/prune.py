"""``cds-service database prune``: what is older than it has to be kept."""

import os
from datetime import UTC, datetime, timedelta

import click

from ...store.records import StoreError
from ...store.upkeep.pruning import Keep
from . import database_option, open_store, shown


def _days(name: str) -> int | None:
    written = os.environ.get(name, "").strip()
    return int(written) if written.isdecimal() and int(written) else None


@click.command()
@database_option
@click.option(
    "--older-than",
    type=click.IntRange(1),
    default=lambda: _days("CDS_KEEP_DAYS"),
    show_default="CDS_KEEP_DAYS",
    help="Days that calls, cards, feedback and ended alerts are kept.",
)
@click.option(
    "--audit-older-than",
    type=click.IntRange(1),
    default=lambda: _days("CDS_AUDIT_KEEP_DAYS"),
    show_default="CDS_AUDIT_KEEP_DAYS",
    help="Days that rows of the audit trail are kept, not less than the others.",
)
@click.option(
    "--samples-older-than",
    type=click.IntRange(1),
    default=lambda: _days("CDS_SAMPLES_KEPT_DAYS"),
    show_default="CDS_SAMPLES_KEPT_DAYS",
    help="Days that readings of wearables are kept, counted from the measurement.",
)
@click.option(
    "--quarantine-older-than",
    type=click.IntRange(1),
    default=lambda: _days("CDS_QUARANTINE_KEPT_DAYS"),
    show_default="CDS_QUARANTINE_KEPT_DAYS",
    help="Days that readings of unknown wearers are kept.",
)
@click.option(
    "--summaries-older-than",
    type=click.IntRange(1),
    default=lambda: _days("CDS_SUMMARIES_KEPT_DAYS"),
    show_default="CDS_SUMMARIES_KEPT_DAYS",
    help="Days that daily summaries and detectors' results are kept.",
)
@click.option("--dry-run", is_flag=True, help="Only count the rows that are older.")
@click.pass_context
def prune(
    context: click.Context,
    database: str,
    older_than: int | None,
    audit_older_than: int | None,
    samples_older_than: int | None,
    quarantine_older_than: int | None,
    summaries_older_than: int | None,
    dry_run: bool,
) -> None:
    """Remove what is older than it has to be kept, beside a server that goes on.

    A little at a time; what broke off goes on with the next run. Of the audit trail
    rows are removed by the seal, and verify as before. Without a number of days nothing
    is removed but what links of cards refer to, once that is over. Exit code 0: done;
    1: not, or a chain of the trail does not hold; 2: usage.
    """
    if audit_older_than and (older_than or audit_older_than + 1) > audit_older_than:
        raise click.UsageError(
            "rows of the audit trail are kept at least as long as what they tell of:"
            " --audit-older-than needs --older-than, and not more days than it has"
        )
    keep = Keep(
        _span(older_than),
        _span(audit_older_than),
        _span(samples_older_than),
        _span(quarantine_older_than),
        _span(summaries_older_than),
    )
    store, now = open_store(database), datetime.now(UTC)
    broken = False
    try:
        if dry_run:
            for table, rows in store.pruning.count(keep, now).items():
                click.echo(f"{table}: {rows} rows are older")
            return
        gone: dict[str, int] = {}
        for step in store.pruning.steps(keep, now):
            if step.what == "broken":
                broken = True
                click.echo(f"not sealed: the trail breaks at {step.detail}", err=True)
                continue
            before = gone.get(step.what, 0)
            gone[step.what] = before + step.rows
            if before // 100_000 != gone[step.what] // 100_000:
                click.echo(f"{step.what}: {gone[step.what]} rows so far", err=True)
        for what, rows in gone.items():
            done = "sealed" if what == "seals" else "removed"
            name = "audit" if what == "seals" else what
            click.echo(f"{name}: {rows} rows {done}")
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    context.exit(1 if broken else 0)


def _span(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
