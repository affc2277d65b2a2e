"""``cds-service test``: the cases beside the rules, on the path of a real call."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ..rulebook.compiler import kind_of
from ..rulebook.example_runner import ExampleRunner
from ..rulebook.examples import Example, example_names, parse_examples
from ..rulebook.explain import explain
from ..rulebook.findings import Findings, render
from ..rulebook.load import read_folder
from ..rulebook.notation import ExampleError
from ..rulebook.schemas import check_shape
from ..rulebook.source import Document, parse_yaml
from .check import rules_folder


@dataclass(slots=True)
class Tally:
    """What became of the cases so far."""

    passed: int = 0
    failed: int = 0
    todo: int = 0


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--run", "wanted", default="", help="Only cases whose name has this.")
@click.pass_context
def test(context: click.Context, paths: tuple[Path, ...], wanted: str) -> None:
    """Run the test cases of rules.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. A rule file stands for its tests. Exit code 0: all passed; 1:
    some failed; 2: could not run.
    """
    asked = paths or (Path(os.environ.get("CDS_RULES") or "rules"),)
    for path in asked:
        if not path.exists():
            raise click.UsageError(
                f"there is no {path}; name a rules folder, or set CDS_RULES"
            )
    tally = Tally()
    for path in asked:
        folder = rules_folder(path)
        files, findings = read_folder_or_stop(folder)
        runner = ExampleRunner(files)
        for document in documents(files, folder, path, findings):
            run_document(document, runner, wanted, folder, tally)
    if not tally.passed + tally.failed:
        raise click.UsageError(
            "no test case is there; tests are <rule>.test.yaml files"
        )
    todo = f", {tally.todo} known gaps" if tally.todo else ""
    click.echo(f"{tally.passed} passed, {tally.failed} failed{todo}")
    context.exit(1 if tally.failed else 0)


def read_folder_or_stop(folder: Path) -> tuple[dict[str, str], Findings]:
    """The files of a rules folder.

    Raises:
        click.ClickException: where the folder itself cannot be read.
    """
    findings = Findings()
    try:
        return dict(read_folder(folder)), findings
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be read: {error}") from error


def documents(
    files: dict[str, str], folder: Path, asked: Path, findings: Findings
) -> Iterator[Document]:
    """The test files that *asked* stands for, parsed.

    Raises:
        click.ClickException: naming what is wrong with one.
    """
    for name in example_names(files):
        if not stands_for(folder / name, asked):
            continue
        document = parse_yaml(files[name], name, findings)
        if document is not None and check_shape(kind_of(name), document, findings):
            yield document
    for finding in findings:
        raise click.ClickException(render(finding, files.get(finding.file, "")))


def stands_for(file: Path, asked: Path) -> bool:
    """Whether a test file is meant by a path: it, its rule, or a folder around it."""
    rule = file.with_name(file.name.removesuffix(".test.yaml") + ".yaml")
    meant = asked.resolve()
    return meant == rule.resolve() or file.resolve().is_relative_to(meant)


def run_document(
    document: Document, runner: ExampleRunner, wanted: str, folder: Path, tally: Tally
) -> None:
    """Run the cases of one file and print what became of each."""
    examples = parse_examples(document, Findings())
    chosen = [example for example in examples if wanted in example.name]
    if chosen:
        click.echo(str(folder / document.file))
    for example in chosen:
        found = runner.problems(example)
        tally.failed += bool(found)
        tally.passed += not found
        tally.todo += bool(example.todo) and not found
        say(example, found, runner)


def say(example: Example, found: tuple[str, ...], runner: ExampleRunner) -> None:
    """One line for a case; for one that failed, also why and the rule's trace."""
    mark, colour = ("FAIL", "red") if found else ("ok", "green")
    if example.todo and not found:
        mark, colour = "todo", "yellow"
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    shown = mark if plain else click.style(mark, fg=colour)
    click.echo(f"  {shown:4} {example.name}")
    if found:
        for line in (*found, *traced(example, runner)):
            click.echo(f"       {line}")


def traced(example: Example, runner: ExampleRunner) -> Iterable[str]:
    """How the rule came to what it said; nothing where the case cannot be played."""
    try:
        evaluations, service = runner.evaluations(example)
    except ExampleError:
        return ()
    return explain(service.rules[0], evaluations.case)
