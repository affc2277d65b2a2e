"""``cds-service replay``: what rules say of stored patients, before and after."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ...rulebook.describe import TraceLine, trace
from ...rulebook.engine import (
    Case,
    Evaluation,
    Outcome,
    Rule,
    ServiceRules,
    evaluate_rule,
    open_case,
)
from ..rules.compiled import Compilation, compile_folder
from .patient_files import (
    NoPatient,
    Patient,
    find_patients,
    read_moment,
    read_patients,
)
from .stored_wearables import Bystander, Whereabouts, database_options

OFF = "not evaluated"
"""The outcome of a rule that is a draft, retired, or not in force on the day."""
_COLUMNS = ("fires", "no", "unknown", OFF)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What came of one rule for one patient."""

    outcome: str
    severity: str = ""
    """Of the card, where it fires."""
    could_not_check: bool = False

    def __str__(self) -> str:
        more = [self.severity] if self.severity else []
        more += ["could not check"] if self.could_not_check else []
        return f"{self.outcome} ({', '.join(more)})" if more else self.outcome


@dataclass(frozen=True, slots=True)
class Turned:
    """A criterion that says something else than before."""

    place: str
    """``file:line``."""
    text: str
    before: str
    """Its truth before; empty where there was no such criterion."""
    after: str
    """Empty where the criterion is gone."""


@dataclass(frozen=True, slots=True)
class PatientChange:
    """A patient whose outcome of a rule changed."""

    patient: str
    rule: str
    before: RuleResult
    after: RuleResult
    turned: tuple[Turned, ...]


@dataclass(slots=True)
class Replay:
    """What came of all rules for all patients."""

    patients: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    """File, and why it could not be replayed."""
    after: dict[str, Counter[RuleResult]] = field(default_factory=dict)
    before: dict[str, Counter[RuleResult]] = field(default_factory=dict)
    changes: list[PatientChange] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    """What is to be said of what was read of wearables, each once."""


@dataclass(frozen=True, slots=True)
class RuleAsked:
    """One rule asked of one patient."""

    rule: Rule
    case: Case
    told: RuleResult


def replay_corpus(
    corpus: Path,
    after: Compilation,
    before: Compilation | None,
    services: Sequence[ServiceRules],
    now: datetime,
    bystander: Bystander,
    tell: Callable[[int, int], None] = lambda done, all: None,
) -> Replay:
    """Return every rule of *services* over every patient, before and after.

    A file that cannot be read is named, and the others go on. *tell* hears how many
    files are done.
    """
    replay = Replay()
    ask = Questioner(now, bystander, replay.notes)
    files = find_patients(corpus)
    known = _services_of(before) if before else []
    for number, file in enumerate(files):
        tell(number, len(files))
        name = file.relative_to(corpus).as_posix() if file != corpus else file.name
        try:
            for patient in read_patients(file, name, now):
                now_asked = dict(ask(patient, services, after))
                asked = dict(ask(patient, known, before)) if before else {}
                _count(replay, patient, now_asked, asked, after, before)
        except NoPatient as error:
            replay.broken.append((name, error.message))
    tell(len(files), len(files))
    return replay


def _services_of(compiled: Compilation) -> list[ServiceRules]:
    return list(compiled.rulebook.services.values())


@dataclass(frozen=True, slots=True)
class Questioner:
    """Asks rules of patients at one time."""

    now: datetime
    bystander: Bystander
    notes: dict[str, None]

    def __call__(
        self, patient: Patient, services: Sequence[ServiceRules], compiled: Compilation
    ) -> Iterator[tuple[str, RuleAsked]]:
        """Yield every rule once, in the first service that has it."""
        seen: set[str] = set()
        for service in services:
            rules = [rule for rule in service.rules if rule.id not in seen]
            if not rules:
                continue
            seen.update(rule.id for rule in rules)
            case = self._case(patient, service, compiled)
            candidates = set(map(id, service.program.candidates(case.index)))
            for rule in rules:
                told = _told(rule, case, id(rule) in candidates)
                yield rule.id, RuleAsked(rule, case, told)

    def _case(
        self, patient: Patient, service: ServiceRules, compiled: Compilation
    ) -> Case:
        rulebook, chart = compiled.rulebook, patient.chart(service)
        alerts = patient.wearable_alerts(rulebook.catalogue.alert_types, self.now)
        sent = None if patient.alerts is None else alerts
        seen = self.bystander.see(service, rulebook, chart, sent, self.now)
        self.notes.update(dict.fromkeys(seen.notes))
        return open_case(service, seen.chart, seen.wearables, self.now)


def _told(rule: Rule, case: Case, is_candidate: bool) -> RuleResult:
    if not rule.in_force(case.today):
        return RuleResult(OFF)
    if not is_candidate:
        return RuleResult(Outcome.NO.value)
    found: Evaluation = evaluate_rule(rule, case)
    severity = found.card.severity.name.lower() if found.card else ""
    return RuleResult(found.outcome.value, severity, found.could_not_check)


def _count(
    replay: Replay,
    patient: Patient,
    after: dict[str, RuleAsked],
    before: dict[str, RuleAsked],
    new: Compilation,
    old: Compilation | None,
) -> None:
    replay.patients += 1
    for name, asked in after.items():
        replay.after.setdefault(name, Counter())[asked.told] += 1
    for name, asked in before.items():
        replay.before.setdefault(name, Counter())[asked.told] += 1
    if old is None:
        return
    for name in sorted({*after, *before}):
        then, now = before.get(name), after.get(name)
        was, told = _of(then), _of(now)
        if was != told:
            turned = tuple(_turned(then, now, new, old))
            replay.changes.append(PatientChange(patient.name, name, was, told, turned))


def _of(asked: RuleAsked | None) -> RuleResult:
    return asked.told if asked else RuleResult(OFF)


def _turned(
    before: RuleAsked | None,
    after: RuleAsked | None,
    new: Compilation,
    old: Compilation,
) -> Iterator[Turned]:
    """The criteria that differ: those with a counterpart, then the new and the gone."""
    if before is None or after is None:
        return
    was, now = _leaves(before), _leaves(after)
    old_by_text = {line.text: line for line in was}
    new_texts = {line.text for line in now}
    gone = [line for line in was if line.text not in new_texts]
    for line in now:
        place = f"{new.place(after.rule.file)}:{line.line}"
        then = old_by_text.get(line.text) or _counterpart(line, gone)
        if then is None:
            yield Turned(place, line.text, "", line.truth)
        elif then.truth != line.truth:
            text = line.text
            if then.text != text:
                text = f"{text} (was: {then.text})"
            yield Turned(place, text, then.truth, line.truth)
    for line in gone:
        place = f"{old.place(before.rule.file)}:{line.line}"
        yield Turned(place, line.text, line.truth, "")


def _leaves(asked: RuleAsked) -> list[TraceLine]:
    lines = trace(asked.rule, asked.case)
    return [line for line in lines if line.text not in ("any", "none", "all")]


def _counterpart(line: TraceLine, gone: list[TraceLine]) -> TraceLine | None:
    """Return what a changed criterion was before: the same fact asked otherwise."""
    fact = line.text.split()[0]
    found = next((each for each in gone if each.text.split()[0] == fact), None)
    if found is not None:
        gone.remove(found)
    return found


def change_json(change: PatientChange) -> dict[str, Any]:
    """Return a change for tools."""
    return {
        "patient": change.patient,
        "rule": change.rule,
        "before": str(change.before),
        "after": str(change.after),
        "turned": [
            {
                "place": each.place,
                "text": each.text,
                "before": each.before,
                "after": each.after,
            }
            for each in change.turned
        ],
    }


# The verb, and how it writes what was found


@click.command()
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder to compare with: patients whose outcome changes are listed.",
)
@click.option("--service", "wanted", help="Only the rules of the service with this id.")
@click.option(
    "--now", "moment", help="Time of the evaluation, as 2026-11-22T12:00:00Z."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@database_options
@click.pass_context
def replay(
    context: click.Context,
    corpus: Path,
    rules: Path | None,
    before: Path | None,
    wanted: str | None,
    moment: str | None,
    as_json: bool,
    whereabouts: Whereabouts | None,
) -> None:
    """Evaluate every rule for every patient in CORPUS, and print the outcomes.

    CORPUS is a FHIR Bundle, or a folder of them; wearable alerts stand beside a Bundle
    as <name>.alerts.json. Cases of fixtures/ are read as well. With --database rules
    see the wearable data that a call would see; without, days and streams are not read.
    No content of a record is printed. Exit code 0: all were replayed; 1: a file could
    not be; 2: usage, or the rules have errors.
    """
    now = read_moment(moment)
    after = compile_folder(rules)
    then = compile_folder(before) if before else None
    services = chosen_services(after, wanted)
    known = {rule.id for service in services for rule in service.rules}
    with Bystander(whereabouts) as bystander:
        found = replay_corpus(
            corpus, after, then, services, now, bystander, show_progress
        )
    if wanted:
        found.changes = [each for each in found.changes if each.rule in known]
        found.before = {k: v for k, v in found.before.items() if k in known}
    if not found.patients and not found.broken:
        raise click.UsageError(f"{corpus} contains no Bundle")
    if as_json:
        click.echo(json.dumps(_json(found), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_text(found, compared=then is not None)))
    context.exit(1 if found.broken else 0)


def chosen_services(compiled: Compilation, wanted: str | None) -> list[ServiceRules]:
    """Return the services that are meant.

    Raises:
        click.UsageError: if there is none of that name.
    """
    services = compiled.rulebook.services
    chosen = [each for key, each in services.items() if wanted in (None, key[0])]
    if not chosen:
        known = ", ".join(sorted({each for each, _ in services}))
        raise click.UsageError(f"there is no service {wanted}; services are: {known}")
    return chosen


def show_progress(done: int, all: int) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty():
        end = "\n" if done == all else ""
        click.echo(f"\r{done} of {all} files", nl=False, err=True)
        click.echo(end, nl=False, err=True)


def change_lines(changes: list[PatientChange]) -> Iterator[str]:
    """Yield each patient whose outcome changes, by rule, with what turned."""
    for rule in sorted({each.rule for each in changes}):
        own = [each for each in changes if each.rule == rule]
        yield f"{rule}: {len(own)} changed"
        for change in own:
            yield f"  {change.patient}: {change.before} → {change.after}"
            for each in change.turned:
                truth = f"{each.before or 'not asked'} → {each.after or 'not asked'}"
                yield f"    {each.place}  {each.text}: {truth}"


def _text(found: Replay, compared: bool) -> Iterator[str]:
    rules = sorted({*found.after, *found.before})
    width = max((len(each) for each in rules), default=0)
    heads = [*_COLUMNS, "could not check"]
    yield f"{'':{width}}  " + "  ".join(f"{each:>15}" for each in heads) + "  cards"
    for rule in rules:
        after, before = found.after.get(rule), found.before.get(rule)
        cells = [
            _cell(_number(before, head) if compared else None, _number(after, head))
            for head in heads
        ]
        cards = ", ".join(_cards(after or Counter()))
        line = f"{rule:{width}}  " + "  ".join(f"{each:>15}" for each in cells)
        yield f"{line}  {cards}".rstrip()
    yield ""
    if compared:
        yield from change_lines(found.changes)
        yield f"{len(found.changes)} outcomes changed"
    for name, why in found.broken:
        yield f"{name}: {why}"
    for note in found.notes:
        yield f"note: {note}"
    broken = f", {len(found.broken)} could not be replayed" if found.broken else ""
    yield f"{found.patients} patients, {len(rules)} rules{broken}"


def _cell(before: int | None, after: int) -> str:
    return str(after) if before is None or before == after else f"{before} → {after}"


def _number(counts: Counter[RuleResult] | None, head: str) -> int:
    told = (counts or Counter()).items()
    if head == "could not check":
        return sum(number for each, number in told if each.could_not_check)
    return sum(number for each, number in told if each.outcome == head)


def _cards(counts: Counter[RuleResult]) -> Iterator[str]:
    for severity in ("critical", "warning", "info"):
        shown = sum(n for each, n in counts.items() if each.severity == severity)
        if shown:
            yield f"{shown} {severity}"


def _json(found: Replay) -> dict[str, Any]:
    rules = sorted({*found.after, *found.before})
    return {
        "patients": found.patients,
        "broken": [{"file": file, "reason": why} for file, why in found.broken],
        "rules": {
            rule: {
                "after": _rates(found.after.get(rule, Counter())),
                **(
                    {"before": _rates(found.before.get(rule, Counter()))}
                    if found.before
                    else {}
                ),
            }
            for rule in rules
        },
        "changes": [change_json(each) for each in found.changes],
        "notes": list(found.notes),
    }


def _rates(counts: Counter[RuleResult]) -> dict[str, Any]:
    heads = {head: _number(counts, head) for head in (*_COLUMNS, "could not check")}
    severities = {
        severity: sum(n for each, n in counts.items() if each.severity == severity)
        for severity in ("info", "warning", "critical")
    }
    named = {head.replace(" ", "_"): number for head, number in heads.items()}
    return {**named, "cards": severities}
