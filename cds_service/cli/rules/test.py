"""``cds-service test``: the cases beside the rules, on the path of a real call."""

import json
import time
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

import click

from ...garbage import seldom_collected
from ...rulebook.language import Finding
from ...rulebook.load import read_files
from ...rulebook.testing import (
    TEST_SUFFIX,
    fhir_files,
    read_detector_examples,
    read_examples,
)
from ...rulebook.watch import Fingerprint, take_fingerprint
from ..terminal import ProgressLine
from .check import rules_folder
from .reporting import as_workflow_command
from .rule_tests import (
    FolderTests,
    RunResult,
    default_paths,
    mutated,
    mutated_detector,
    open_folders,
    owed,
    owed_mutants,
    play,
)
from .test_text import (
    all_findings,
    as_json,
    closing_line,
    echo,
    say_finding,
    say_mutation,
    say_result,
    write_junit,
)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--run", "wanted", default="", help="Only cases whose name contains this."
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the outcome to this file, as JUnit XML.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Keep running, and repeat what a changed file can affect; Ctrl-C stops it.",
)
@click.option(
    "--mutate",
    is_flag=True,
    help="Also make small mistakes in each rule and detector, and name those that no "
    "case notices.",
)
@click.option(
    "--require-tests",
    "required",
    is_flag=True,
    help="Fail if a rule or detector lacks the cases that its status requires.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Output format; github: workflow commands.",
)
@click.pass_context
def test(
    context: click.Context,
    paths: tuple[Path, ...],
    wanted: str,
    junit: Path | None,
    watch: bool,
    mutate: bool,
    required: bool,
    form: str,
) -> None:
    """Run the test cases of rules and detectors.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. The file of a rule or detector stands for its tests. Exit
    code 0: all passed; 1: some failed, or a test file is wrong; 2: could not run.
    """
    asked = default_paths(paths)
    run = Run(wanted, mutate, required, form, junit)
    if watch:
        watch_folders(asked, run.once)
        context.exit(0)
    with seldom_collected():
        outcome = run.once(asked)
    if not outcome.results and not outcome.findings:
        raise click.UsageError(
            "there are no test cases; tests are <rule>.test.yaml files"
        )
    context.exit(1 if outcome.failed or outcome.errors else 0)


class Run:
    """What was asked of a run."""

    def __init__(
        self, wanted: str, mutate: bool, required: bool, form: str, junit: Path | None
    ) -> None:
        self.wanted = wanted
        self.mutate = mutate
        self.required = required
        self.form = form
        self.junit = junit
        self.progress = ProgressLine()

    def once(
        self, asked: tuple[Path, ...], only: Container[str] | None = None
    ) -> RunResult:
        """Run everything that was asked for, and write what became of it.

        *only* are the test files that are run, as a caller would name them.
        """
        begun = time.perf_counter()
        self.progress = ProgressLine()
        outcome = RunResult()
        folders = open_folders(asked)
        for tests in folders:
            self._play(tests, outcome, only)
        if self.mutate:
            for tests in folders:
                self._mutate(tests, outcome, only)
        outcome.seconds = time.perf_counter() - begun
        self.progress.clear()
        self._write(outcome)
        return outcome

    def _play(
        self, tests: FolderTests, outcome: RunResult, only: Container[str] | None
    ) -> None:
        texts = {tests.place(name): text for name, text in tests.files.items()}
        for finding in self._findings(tests, only):
            outcome.findings.append(finding)
            if self.form == "text":
                say_finding(finding, texts)
        for file in tests.all_tests():
            name = tests.place(file.document.file)
            if only is not None and name not in only:
                continue
            chosen = [each for each in file.examples if self.wanted in each.name]
            if chosen and self.form == "text":
                self.progress.clear()
                echo(name)
            for example in chosen:
                self.progress.say(f"{len(outcome.results)} cases, now {example.rule}")
                result = play(tests, file, example)
                outcome.results.append(result)
                if self.form == "text":
                    self.progress.clear()
                    say_result(result)

    def _findings(
        self, tests: FolderTests, only: Container[str] | None
    ) -> Iterator[Finding]:
        for finding in tests.findings:
            if only is None or finding.file in only:
                yield finding
        if self.required:
            yield from owed(tests)

    def _mutate(
        self, tests: FolderTests, outcome: RunResult, only: Container[str] | None
    ) -> None:
        of_rules = [(mutated, name) for name in tests.rules(only)]
        of_detectors = [(mutated_detector, n) for n in tests.tested_detectors(only)]
        asked = [*of_rules, *of_detectors]
        for number, (make, name) in enumerate(asked, start=1):
            self.progress.say(f"mutants of file {number} of {len(asked)}: {name}")
            mutation = make(tests, name)
            if mutation is None:
                continue
            outcome.mutations.append((tests, mutation))
            finding = owed_mutants(tests, mutation)
            if finding:
                outcome.findings.append(finding)
            if self.form == "text":
                self.progress.clear()
                say_mutation(tests, mutation)
                if finding:
                    say_finding(finding, {})

    def _write(self, outcome: RunResult) -> None:
        if self.form == "json":
            click.echo(json.dumps(as_json(outcome), indent=2, ensure_ascii=False))
        else:
            if self.form == "github":
                for each in all_findings(outcome):
                    click.echo(as_workflow_command(each))
            echo(closing_line(outcome))
        if self.junit:
            try:
                write_junit(outcome, self.junit)
            except OSError as error:
                said = f"{self.junit} cannot be written: {error.strerror}"
                raise click.UsageError(said) from error


# With --watch: tests run again when a file changes

_EVERY = 0.3
"""Seconds between two looks."""

RunTests = Callable[[tuple[Path, ...], Container[str] | None], object]


def watch_folders(asked: tuple[Path, ...], run: RunTests) -> None:
    """Run the tests, and again what each change can affect, until Ctrl-C.

    A file that is only half written gives its error; then the next change is awaited.
    """
    folders = tuple(dict.fromkeys(rules_folder(path) for path in asked))
    try:
        seen = _look(folders)
        run(asked, None)
        while True:
            click.echo("waiting for a change; Ctrl-C stops", err=True)
            changed, seen = _wait(folders, seen)
            run(asked, affected(folders, changed))
    except KeyboardInterrupt:
        click.echo(err=True)


def _look(folders: tuple[Path, ...]) -> Fingerprint:
    found: dict[str, tuple[int, ...]] = {}
    for folder in folders:
        found.update(take_fingerprint(folder))
    return found


def _wait(
    folders: tuple[Path, ...], before: Fingerprint
) -> tuple[frozenset[str], Fingerprint]:
    """The files that changed, and how all stand, once they have come to rest."""
    seen = before
    while True:
        time.sleep(_EVERY)
        now = _look(folders)
        if now != before and now == seen:
            return changes(before, now), now
        seen = now


def changes(before: Fingerprint, now: Fingerprint) -> frozenset[str]:
    """Return the files that are new, gone or different."""
    return frozenset(
        name for name in {*before, *now} if before.get(name) != now.get(name)
    )


def affected(
    folders: tuple[Path, ...], changed: frozenset[str]
) -> frozenset[str] | None:
    """Return the test files whose outcome a change may change; None for all.

    Tests affect themselves, a rule its tests, a patient the tests that name it. What
    rules share may affect all.
    """
    found: set[str] = set()
    for folder in folders:
        files, _ = read_files(folder)
        for name in changed:
            if Path(name).is_relative_to(folder):
                own = _tests_of(Path(name).relative_to(folder).as_posix(), files)
                if own is None:
                    return None
                found.update(str(folder / each) for each in own)
    return frozenset(found)


def _tests_of(name: str, files: Mapping[str, str]) -> set[str] | None:
    """The test files in a folder that one of its files may affect; None for all."""
    if name.endswith(TEST_SUFFIX):
        return {name}
    if name.endswith(".json"):
        tests = {test: text for test, text in files.items() if "fhir:" in text}
        return {test for test in tests if name in fhir_files({test: tests[test]})}
    stem = name.rpartition("/")[2].removesuffix(".yaml")
    of_rules, of_detectors = read_examples(files)[0], read_detector_examples(files)[0]
    own = {each.document.file for each in of_rules if each.rule == stem}
    own |= {each.document.file for each in of_detectors if each.rule == stem}
    return own or None
