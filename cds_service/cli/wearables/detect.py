"""``cds-service detect``: judge readings, and say what detectors could judge."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...exports.entries import counted
from ...store.detection.records import JudgedBefore
from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import DayTally
from .adapt import check_zone
from .explaining import Explained, explain_file, explain_patient
from .judging import Bench, judge_due, with_bench
from .links import TimeOption, json_option


class _Detect(click.Group):
    """What follows the file of ``--replay`` are formats, and no verbs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments; formats go to ``formats``."""
        if not any(each.partition("=")[0] == "--replay" for each in args):
            return super().parse_args(ctx, args)
        ctx.allow_interspersed_args = True
        click.Command.parse_args(self, ctx, args)
        ctx.params["formats"], ctx.args = tuple(ctx.args), []
        return ctx.args


def _as_is_said(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that does one thing, where none of its verbs is called.

    A file is explained without a database, so none is opened for it.
    """

    @wraps(command)
    def alone(
        file: Path | None,
        time_zone: str,
        since: datetime | None,
        until: datetime | None,
        detector: str,
        as_json: bool,
        formats: tuple[str, ...] = (),
        **arguments: Any,
    ) -> None:
        if click.get_current_context().invoked_subcommand is not None:
            return
        asked = Explained(since, until, detector, as_json)
        _check(file, time_zone, asked, **arguments)
        if file is not None:
            explain_file(file, formats, arguments["rules"], time_zone, asked)
        else:
            command(asked=asked, **arguments)

    return alone


def _check(
    file: Path | None,
    time_zone: str,
    asked: Explained,
    due: bool,
    whole: bool,
    patient: str,
    **rest: Any,
) -> None:
    """Check what is asked. Raises UsageError where it cannot be meant."""
    if due + whole + (file is not None) > 1:
        raise click.UsageError("Use only one of --replay, --due and --all.")
    if file is not None and patient:
        raise click.UsageError("Give either a file or a patient to explain, not both.")
    if not (due or whole or patient or file):
        raise click.UsageError(
            "Give what to explain, with --patient ID or --replay FILE, or what to"
            " judge, with --due or --all."
        )
    if due and (asked.since or asked.until):
        raise click.UsageError("--from and --to cannot be used with --due.")
    if (due or whole) and asked.detector:
        raise click.UsageError("--detector can be used only to explain, not to judge.")
    if time_zone and file is None:
        raise click.UsageError("--time-zone can be used only with --replay.")


@click.group(
    cls=_Detect,
    invoke_without_command=True,
    options_metavar="[OPTIONS]",
    subcommand_metavar="[report]",
)
@click.option(
    "--replay",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE [FORMAT]...",
    help="Explain the readings of a file.",
)
@click.option(
    "--patient", metavar="ID", default="", help="Explain the readings of one patient."
)
@click.option(
    "--from",
    "since",
    type=TimeOption(),
    help="From then on; of a patient who is explained a day before --to by default.",
)
@click.option("--to", "until", type=TimeOption(), help="Until then.")
@click.option("--detector", metavar="NAME", default="", help="Only this detector.")
@click.option("--due", is_flag=True, help="Judge readings that are due.")
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="Judge all readings again, after detectors have changed.",
)
@click.option(
    "--time-zone",
    default="",
    callback=check_zone,
    metavar="ZONE",
    help="With --replay: where all wearers of the source are, as in the clients file.",
)
@json_option
@_as_is_said
@with_bench
def detect(
    bench: Bench,
    asked: Explained,
    due: bool,
    whole: bool,
    patient: str,
) -> None:
    """Say why detectors found an episode or none, or judge readings by them.

    \b
    cds-service detect --patient ID [--from TIME] [--to TIME] [--json]
    cds-service detect --replay FILE [FORMAT]... [--from TIME] [--to TIME] [--json]
    cds-service detect --due | --all [--patient ID]

    Of each reading it is said in a detector's own terms why an episode opened with it,
    or did not: for how much of the time before it others speak, how much of that is in
    breach, whether the wearer rests, and what is lacking. Of a patient nothing is shown
    that the patient does not permit to use. A FILE is one wearer's; its format is
    recognised, or one of the FORMATs that are named, which standard input (-) needs.
    Nothing of it is stored.

    A delivery is judged as it comes. What is not is due: what a patient did not permit
    to use, a delivery of many days, what a retracted link had brought. A
    server judges what is due by itself, and --due does it now, beside the server.
    Episodes keep their ids.

    Exit code 0: done; 1: the database could not do it, and what was before is done, or
    FILE is of no format; 2: what is asked cannot be meant.
    """
    if due or whole:
        _judge(bench, whole, patient, asked)
    else:
        explain_patient(bench, patient, asked)


def _judge(bench: Bench, whole: bool, patient: str, asked: Explained) -> None:
    chosen = [bench.patient(patient)] if patient else None
    detections = bench.store.detections
    if whole:
        for each in chosen or detections.patients(bench.tenancy.tenant):
            detections.note_all(each, bench.now, asked.since, asked.until)
    patients = chosen or [
        each
        for each in detections.patients_due(withheld=True)
        if each.tenant == bench.tenancy.tenant
    ]
    done = judge_due(bench.store, patients, bench.detection, bench.by, _now)
    waiting = len(
        {each.patient for each in detections.due() if each.patient in patients}
    )
    told = {**done.told(), "waiting": waiting}
    if asked.as_json:
        click.echo(json.dumps(told))
        return
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("opened", "retracted"))
    rest = f"; of {waiting:,} some waits for their consent" if waiting else ""
    click.echo(f"{done.patients:,} patients judged: episodes {counts}{rest}")


@dataclass(slots=True)
class ReportLine:
    """What one detector made of what one source told."""

    detector: str
    source: str
    days: int = 0
    judged: int = 0
    opened: int = 0
    not_judged: Counter[str] = field(default_factory=Counter)

    def add(self, tally: DayTally) -> None:
        """Count a day."""
        self.days += 1
        self.judged += tally.judged
        self.opened += tally.opened
        for reason, number in tally.not_judged.items():
            self.not_judged[str(reason)] += number


@detect.command()
@with_bench
@click.option(
    "--days",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Of so many days.",
)
@click.option("--patient", metavar="ID", default="", help="Of one patient only.")
@json_option
def report(bench: Bench, days: int, patient: str, as_json: bool) -> None:
    """Say what each detector judged of each source, and why it did not the rest.

    A detector that judges nothing finds nothing, which looks like health: those that
    had nothing to judge are listed as well.

    Detectors that have changed since they judged days, of whomever, are named last,
    with the command that judges these days anew. No server does so by itself: what was
    found was shown, and perhaps told to the hospital.
    """
    detections, tenancy = bench.store.detections, bench.tenancy
    first = (bench.now - timedelta(days=days)).date()
    whose = bench.patient(patient) if patient else None
    tallies = detections.tallies(tenancy.tenant, first, whose)
    for each in build_report(tenancy.detectors, tallies):
        click.echo(json.dumps(_row_as_json(each)) if as_json else _row_as_text(each))
    for changed in detections.judged_before(tenancy.tenant, tenancy.detectors):
        told = _changed_as_json(changed)
        click.echo(json.dumps(told) if as_json else _changed_as_text(changed))


def build_report(
    detectors: Iterable[Detector], tallies: Iterable[DayTally]
) -> Iterator[ReportLine]:
    """Yield a row for each detector and source, and one for each without a source."""
    rows: dict[tuple[str, str], ReportLine] = {}
    for each in tallies:
        key = (each.detector, each.source)
        rows.setdefault(key, ReportLine(*key)).add(each)
    told = {detector for detector, _ in rows}
    for detector in detectors:
        if detector.name not in told:
            rows[detector.name, ""] = ReportLine(detector.name, "")
    for _, row in sorted(rows.items()):
        yield row


def _row_as_json(row: ReportLine) -> Mapping[str, Any]:
    return {
        "detector": row.detector,
        "source": row.source,
        "days": row.days,
        "judged": row.judged,
        "opened": row.opened,
        "not_judged": dict(sorted(row.not_judged.items())),
    }


def _row_as_text(row: ReportLine) -> str:
    if not row.source:
        return f"{row.detector}: there was nothing that it could judge"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in row.not_judged.most_common())
    rest = f"; not judged: {reasons}" if reasons else ""
    days = counted(row.days, "day", "days")
    opened = counted(row.opened, "episode", "episodes")
    return (
        f"{row.detector}, {row.source}: {row.judged:,} judged on {days},"
        f" {opened} opened{rest}"
    )


def _changed_as_json(changed: JudgedBefore) -> Mapping[str, Any]:
    return {
        "detector": changed.detector,
        "judged_before": changed.days,
        "from": changed.first.isoformat(),
        "command": _anew(changed),
    }


def _changed_as_text(changed: JudgedBefore) -> str:
    days = counted(changed.days, "day was", "days were")
    return (
        f"{changed.detector} has changed: {days} judged by its earlier version, from"
        f" {changed.first} on; to judge them again: {_anew(changed)}"
    )


def _anew(changed: JudgedBefore) -> str:
    return f"cds-service detect --all --from {changed.first}"


def _now() -> datetime:
    return datetime.now(UTC)
