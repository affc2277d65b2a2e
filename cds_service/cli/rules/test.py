"""``cds-service test``: the cases beside the rules, on the path of a real call."""

import json
import time
from collections.abc import Container, Iterator
from pathlib import Path

import click

from ...rulebook.language import Finding
from ..progress import Progress
from .junit import write_junit
from .reporting import as_workflow_command
from .rule_tests import (
    FolderTests,
    RunResult,
    default_paths,
    mutated,
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
)
from .test_watch import watch_folders


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--run", "wanted", default="", help="Only cases whose name has this.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the outcome to this file, as JUnit XML.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Go on, and run again what a changed file can affect; ends with Ctrl-C.",
)
@click.option(
    "--mutate",
    is_flag=True,
    help="Also make small mistakes in each rule, and name those that no case notices.",
)
@click.option(
    "--require-tests",
    "required",
    is_flag=True,
    help="Fail where a rule lacks the cases that its status asks for.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How the outcome is written; github: workflow commands.",
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
    """Run the test cases of rules.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. A rule file stands for its tests. Exit code 0: all passed; 1:
    some failed, or a test file is wrong; 2: could not run.
    """
    asked = default_paths(paths)
    run = Run(wanted, mutate, required, form, junit)
    if watch:
        watch_folders(asked, run.once)
        context.exit(0)
    outcome = run.once(asked)
    if not outcome.results and not outcome.findings:
        raise click.UsageError(
            "no test case is there; tests are <rule>.test.yaml files"
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
        self.progress = Progress()

    def once(
        self, asked: tuple[Path, ...], only: Container[str] | None = None
    ) -> RunResult:
        """Run everything that was asked for, and write what became of it.

        *only* are the test files that are run, as a caller would name them.
        """
        begun = time.perf_counter()
        self.progress = Progress()
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
        for file in tests.tests:
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
        rules = tests.rules(only)
        for number, rule in enumerate(rules, start=1):
            self.progress.say(f"mutants of rule {number} of {len(rules)}: {rule}")
            mutation = mutated(tests, rule)
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
