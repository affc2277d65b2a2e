"""``cds-service diff``: what a change of rules means, and whether versions say so."""

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ...rulebook.compile import kind_of
from ...rulebook.describe import (
    Book,
    Change,
    RuleDifference,
    VersionStep,
    compare_books,
    compare_detectors,
    compare_settings,
)
from ...rulebook.language import SIZE_LIMIT, Finding, render
from ...rulebook.load import SUFFIX, read_folder
from ..charts.patient_files import read_moment
from ..charts.replay import (
    Replay,
    change_json,
    change_lines,
    replay_corpus,
    show_progress,
)
from ..charts.stored_wearables import Bystander
from .check import rules_folder
from .compiled import (
    Compilation,
    CouldNotRun,
    compile_folder,
    compile_texts,
    default_folder,
)

_HERE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("old", required=False, type=_HERE)
@click.argument("new", required=False, type=_HERE)
@click.option("--git", "revision", help="Compare with this revision, such as HEAD~1.")
@click.option(
    "--corpus",
    type=_HERE,
    help="Also list the patients in these charts whose outcome changes.",
)
@click.option("--now", "moment", help="Time of the evaluation.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.pass_context
def diff(
    context: click.Context,
    old: Path | None,
    new: Path | None,
    revision: str | None,
    corpus: Path | None,
    moment: str | None,
    form: str,
) -> None:
    """Compare what rules and detectors mean: OLD and NEW are rules folders, or files.

    With --git, one path is compared with what it was at a revision; by default the
    folder named by CDS_RULES, or ./rules. Formatting, comments, the order of keys and
    names of facts are no change. Each change says whether the version must move by a
    patch, a minor or a major step. Exit code 0: every version says what changed; 1: one
    does not (CDS617); 2: usage, or rules have errors.
    """
    before, after, only = _sides(old, new, revision)
    books = [Book(each.rulebook, each.trees) for each in (before, after)]
    found = [each for each in compare_books(*books) if only in (None, each.rule)]
    detectors = [
        each
        for each in compare_detectors(before.detectors, after.detectors)
        if only in (None, each.rule)
    ]
    settings = [] if only else compare_settings(before.documents, after.documents)
    replay = None
    if corpus:
        services = list(after.rulebook.services.values())
        now = read_moment(moment)
        blind = Bystander(None)
        replay = replay_corpus(
            corpus, after, before, services, now, blind, show_progress
        )
    findings = [each for each in (d.finding() for d in (*found, *detectors)) if each]
    if form == "json":
        told = _json(found, settings, replay, after)
        if detectors:
            told["detectors"] = [_detector_json(each, after) for each in detectors]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for line in _text([*found, *detectors], settings, replay, after):
            click.echo(line)
    broken = bool(replay and replay.broken)
    context.exit(1 if findings or broken else 0)


def _sides(
    old: Path | None, new: Path | None, revision: str | None
) -> tuple[Compilation, Compilation, str | None]:
    """Both sides, and the rule that is meant where files were named."""
    if revision is None:
        if old is None or new is None:
            raise click.UsageError("name OLD and NEW, or a revision with --git")
        if old.is_dir() is not new.is_dir():
            raise click.UsageError("OLD and NEW are two folders, or two files")
        if new.is_dir():
            return compile_folder(old), compile_folder(new), None
        return _two_files(old, new)
    if new is not None:
        raise click.UsageError("with --git, name one path")
    path = old or default_folder()
    folder = path if path.is_dir() else rules_folder(path)
    after = compile_folder(folder)
    name = f"{revision}:{folder.as_posix()}"
    before = compile_texts(name, files_at(revision, folder))
    return before, after, None if path.is_dir() else _rule_in(after, folder, path)


def _two_files(old: Path, new: Path) -> tuple[Compilation, Compilation, str]:
    """A rule file against another; one that lies in no rules folder joins the other's.

    Both are then compiled with the same value sets and shared facts.
    """
    homes = [_home(each) for each in (old, new)]
    home = homes[1] or homes[0]
    if home is None:
        raise CouldNotRun(f"neither {old} nor {new} is in a rules folder")
    after = _with_file(homes[1] or home, new, is_in=homes[1] is not None)
    before = _with_file(homes[0] or home, old, is_in=homes[0] is not None)
    return before, after, _rule_of(after, new)


def _home(file: Path) -> Path | None:
    """The rules folder that a file lies in."""
    folder = rules_folder(file)
    return folder if (folder / "site.yaml").is_file() else None


def _with_file(folder: Path, file: Path, is_in: bool) -> Compilation:
    if is_in:
        return compile_folder(folder)
    files = dict(read_folder(folder))
    text = file.read_text("utf-8-sig")
    kind, name = _named(text)
    home = "detectors/" if kind == "detector" else ""
    same = [
        each
        for each in files
        if each.rpartition("/")[2] == f"{name}.yaml" and kind_of(each) == kind
    ]
    place = same[0] if same else f"{home}{name}.yaml"
    return compile_texts(file.as_posix(), {**files, place: text})


def _named(text: str) -> tuple[str, str]:
    """Whether a file is of a rule or a detector, and the name that it gives itself."""
    for line in text.splitlines():
        kind, _, name = line.partition(":")
        if kind in ("rule", "detector"):
            return kind, name.strip().strip("\"'")
    raise CouldNotRun("a file names its rule with `rule:`, or its detector")


def _rule_of(compiled: Compilation, file: Path) -> str:
    return _named(file.read_text("utf-8-sig"))[1]


def _rule_in(compiled: Compilation, folder: Path, path: Path) -> str:
    name = path.resolve().relative_to(folder.resolve()).as_posix()
    for rule in compiled.rulebook.rules.values():
        if rule.file == name:
            return rule.id
    if name in compiled.detectors:
        return compiled.detectors[name].name
    raise click.UsageError(f"{path} is not a file of a rule or detector")


def _text(
    found: list[RuleDifference],
    settings: list[Change],
    replay: Replay | None,
    after: Compilation,
) -> Iterator[str]:
    for each in found:
        yield from _rule(each, after)
        yield ""
    for change in settings:
        yield f"{after.place(change.file)}:{change.line}: {change.text}"
    if settings:
        yield ""
    if replay is not None:
        yield from change_lines(replay.changes)
        yield from (f"{name}: {why}" for name, why in replay.broken)
        yield f"{replay.patients} patients, {len(replay.changes)} outcomes changed"
    yield _summary(found, settings)


def _rule(difference: RuleDifference, after: Compilation) -> Iterator[str]:
    place = f"{after.place(difference.file)}:{difference.line}"
    if difference.state == "removed":
        yield f"{difference.rule} {difference.old_version}: removed"
        return
    if difference.state != "changed":
        former = f" from {difference.renamed_from}" if difference.renamed_from else ""
        yield f"{difference.rule} {difference.new_version}: {difference.state}{former}"
        yield f"  {place}"
        return
    versions = [difference.old_version, difference.new_version]
    shown = " → ".join(dict.fromkeys(versions))
    needed = difference.needed.name.lower()
    step = f"a {needed} step" if difference.needed else "no change in meaning"
    yield f"{difference.rule} {shown}: {step}"
    for change in difference.changes:
        yield f"  {after.place(change.file)}:{change.line}: {_told(change)}"
    finding = difference.finding()
    if finding:
        placed = replace(finding, file=after.place(finding.file))
        yield render(placed, after.files.get(finding.file, ""))


def _told(change: Change) -> str:
    step = change.step.name.lower()
    effects = {
        "narrower": "; fires for fewer",
        "wider": "; fires for more",
        "either way": "; may fire for more or fewer",
    }
    return f"{step}: {change.text}{effects.get(change.effect, '')}"


def _summary(found: list[RuleDifference], settings: list[Change]) -> str:
    states = [each.state for each in found]
    said = [
        f"{states.count(state)} {state}"
        for state in ("added", "removed", "renamed", "changed")
        if state in states
    ]
    said += [f"{len(settings)} settings changed"] if settings else []
    findings = sum(1 for each in found if each.finding())
    wrong = f"; {findings} without the required new version" if findings else ""
    return (", ".join(said) or "no rule changed its meaning") + wrong


def _json(
    found: list[RuleDifference],
    settings: list[Change],
    replay: Replay | None,
    after: Compilation,
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rules": [_rule_json(each, after) for each in found],
        "settings": [_change_json(each, after) for each in settings],
    }
    if replay is not None:
        told["patients"] = replay.patients
        told["outcomes"] = [change_json(each) for each in replay.changes]
        told["broken"] = [{"file": f, "reason": why} for f, why in replay.broken]
    return told


def _rule_json(difference: RuleDifference, after: Compilation) -> dict[str, Any]:
    finding: Finding | None = difference.finding()
    return {
        "rule": difference.rule,
        "state": difference.state,
        "renamed_from": difference.renamed_from or None,
        "file": after.place(difference.file),
        "old_version": difference.old_version or None,
        "new_version": difference.new_version or None,
        "needed": difference.needed.name.lower(),
        "changes": [_change_json(each, after) for each in difference.changes],
        "finding": finding.as_json() if finding else None,
    }


def _detector_json(difference: RuleDifference, after: Compilation) -> dict[str, Any]:
    told = _rule_json(difference, after)
    return {"detector": told.pop("rule"), **told}


def _change_json(change: Change, after: Compilation) -> dict[str, Any]:
    return {
        "file": after.place(change.file),
        "line": change.line,
        "text": change.text,
        "step": (
            change.step.name.lower() if change.step is not VersionStep.NONE else None
        ),
        "effect": change.effect or None,
    }


# Rules folders as they were at a revision, by the git command

PATIENCE = 60
"""Seconds that git may take."""


def files_at(revision: str, folder: Path) -> dict[str, str]:
    """Return the rule files of *folder* as they were at a git revision.

    Raises:
        CouldNotRun: if there is no git, no repository or no such revision.
    """
    commit = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options",
        f"{revision}^{{commit}}",
    )  # fmt: skip
    archive = _git(folder, "archive", "--format=tar", commit.decode().strip())
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            parts = member.name.split("/")
            hidden = any(each.startswith((".", "#", "~")) for each in parts)
            if not member.isfile() or hidden or not member.name.endswith(SUFFIX):
                continue
            if member.size > SIZE_LIMIT:
                raise CouldNotRun(f"{revision}:{member.name} is too large")
            content = tar.extractfile(member)
            assert content is not None
            files[member.name] = _decoded(content.read(), f"{revision}:{member.name}")
    if not files:
        raise CouldNotRun(f"{folder} contains no rules at {revision}")
    return files


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CouldNotRun(f"{name} is not UTF-8") from error


def _git(folder: Path, *words: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise CouldNotRun("the git command was not found; name two folders instead")
    try:
        done = subprocess.run(  # nosec B603 # git, no shell, words of ours
            [program, "-C", str(folder), *words],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CouldNotRun(f"git took longer than {PATIENCE} seconds") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = (
            said[-1] if said else f"{words[-1].partition('^')[0]} is not a revision"
        )
        raise CouldNotRun(f"git: {reason}")
    return done.stdout
