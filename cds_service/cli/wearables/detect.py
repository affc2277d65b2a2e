"""``cds-service detect``: judge readings, and say what detectors could judge."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click

from ...exports.entries import counted
from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import DayTally
from .explaining import replay, trace_patient
from .judging import Bench, judge_due, with_bench
from .links import TimeOption, json_option


def _unless_more_is_said(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that does nothing where one of its own is called."""

    @wraps(command)
    def alone(**arguments: Any) -> None:
        if click.get_current_context().invoked_subcommand is None:
            command(**arguments)

    return alone


@click.group(invoke_without_command=True)
@_unless_more_is_said
@with_bench
@click.option("--due", is_flag=True, help="Judge what is to be judged still.")
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="Judge all readings anew: detectors have changed.",
)
@click.option("--patient", metavar="ID", default="", help="Of one patient only.")
@click.option("--from", "since", type=TimeOption(), help="With --all: from then on.")
@click.option("--to", "until", type=TimeOption(), help="With --all: until then.")
@json_option
def detect(
    bench: Bench,
    due: bool,
    whole: bool,
    patient: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Judge readings by the detectors of the rules, beside a server that goes on.

    A delivery is judged as it comes. What is not is due: what a patient did not permit
    to use, a delivery of many days, what a link that was taken back had brought. A
    server judges what is due by itself; this does it now. Episodes keep their ids.

    Exit code 0: done; 1: the database could not do it, and what was before is done.
    """
    if due == whole:
        raise click.UsageError("Say what to judge: --due or --all.")
    if (since or until) and not whole:
        raise click.UsageError("--from and --to need --all.")
    chosen = [bench.patient(patient)] if patient else None
    detections = bench.store.detections
    if whole:
        for each in chosen or detections.patients(bench.tenancy.tenant):
            detections.note_all(each, bench.now, since, until)
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
    if as_json:
        click.echo(json.dumps(told))
        return
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("opened", "retracted"))
    rest = f"; of {waiting:,} some waits for their consent" if waiting else ""
    click.echo(f"{done.patients:,} patients judged: episodes {counts}{rest}")


detect.add_command(trace_patient)
detect.add_command(replay)


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
    """
    first = (bench.now - timedelta(days=days)).date()
    whose = bench.patient(patient) if patient else None
    tallies = bench.store.detections.tallies(bench.tenancy.tenant, first, whose)
    for each in build_report(bench.tenancy.detectors, tallies):
        click.echo(json.dumps(_row_as_json(each)) if as_json else _row_as_text(each))


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
        return f"{row.detector}: nothing came that it could judge"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in row.not_judged.most_common())
    rest = f"; not judged: {reasons}" if reasons else ""
    days = counted(row.days, "day", "days")
    opened = counted(row.opened, "episode", "episodes")
    return (
        f"{row.detector}, {row.source}: {row.judged:,} judged on {days},"
        f" {opened} opened{rest}"
    )


def _now() -> datetime:
    return datetime.now(UTC)
