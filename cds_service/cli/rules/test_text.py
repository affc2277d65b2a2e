"""What became of test cases: in words on a terminal, as JSON, and as JUnit XML.

The XML has no standard; elements and attributes are those that Jenkins, GitLab and
GitHub's reporters read.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # nosec B405 # XML is written, never read
from xml.etree.ElementTree import Element, SubElement  # nosec B405 # as above

import click

from ...exports.files import write_atomically
from ...rulebook.language import Finding, render
from ...rulebook.testing import Difference, Mutation
from .rule_tests import FolderTests, Result, RunResult

_LINES = 6
"""How much of a card's detail is shown where nothing in it is like what was wanted."""


def echo(text: str = "") -> None:
    """Print, with colours on a terminal alone and never with NO_COLOR."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def say_result(result: Result) -> None:
    """One line for a case; for one that failed, also the difference and the trace."""
    mark, colour = ("FAIL", "red") if result.differences else ("ok", "green")
    if result.example.todo and not result.differences:
        mark, colour = "todo", "yellow"
    echo(f"  {click.style(f'{mark:4}', fg=colour)} {result.example.name}")
    if not result.differences:
        return
    place = f"{result.file}:{result.example.line}:{result.example.column}"
    for each in result.differences:
        echo(f"       {place}: error[CDS708]: {_headline(each)}")
        for line in difference_lines(each):
            colour = "red" if line.startswith("-") else "green"
            echo(f"         {click.style(line, fg=colour)}")
    for line in result.trace:
        echo(f"       {line}")


def _headline(difference: Difference) -> str:
    if difference.what in ("summary", "detail"):
        return f"the {difference.what} differs"
    return difference.message


def difference_lines(difference: Difference) -> Iterator[str]:
    """Yield what was wanted after ``-`` and what came after ``+``, if it is text."""
    if difference.what not in ("summary", "detail"):
        return
    if difference.expected:
        yield f"- {' '.join(difference.expected.split())}"
        for line in _nearest(difference.expected, difference.got):
            yield f"+ {line}"
    else:
        yield f"+ {difference.got} (should not be there)"


def _nearest(wanted: str, text: str) -> list[str]:
    """The lines of *text* that were most likely meant."""
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    near = difflib.get_close_matches(wanted, lines, n=1, cutoff=0.4)
    if near or len(lines) <= _LINES:
        return near or lines
    return [*lines[:_LINES], "…"]


def say_finding(finding: Finding, texts: Mapping[str, str]) -> None:
    """A finding with the line that it is about."""
    shown = render(finding, texts.get(finding.file, ""))
    marked = click.style(finding.level.value, fg="red", bold=True)
    echo(shown.replace(f" {finding.level}[", f" {marked}[", 1))


def say_mutation(tests: FolderTests, mutation: Mutation) -> None:
    """The mutants of a rule that live, and how many there were."""
    echo(tests.place(mutation.rule.document.file))
    for line in survivors(tests, mutation):
        echo(f"  {click.style('survived', fg='yellow')} {line}")
    echo(f"  {_killed(mutation.killed, mutation.count)}")


def survivors(tests: FolderTests, mutation: Mutation) -> Iterator[str]:
    """``rules/x.yaml:41:33: 45 -> 47.25`` for each mutant that lives."""
    file = tests.place(mutation.rule.document.file)
    for mutant in mutation.survivors:
        yield f"{file}:{mutant.position.line}:{mutant.position.column}: {mutant.change}"


def _killed(killed: int, count: int) -> str:
    score = killed / count if count else 1.0
    return f"{killed}/{count} mutants killed ({score:.0%})"


def closing_line(outcome: RunResult) -> str:
    """``61 passed, 2 failed, 1 known gap in 0.4 s``."""
    said = f"{outcome.passed} passed, {outcome.failed} failed"
    if outcome.todo:
        said += f", {_counted(outcome.todo, 'known gap')}"
    if outcome.errors:
        said += f", {_counted(outcome.errors, 'error')}"
    if outcome.mutations:
        killed = sum(each.killed for _, each in outcome.mutations)
        count = sum(each.count for _, each in outcome.mutations)
        said += f", {_killed(killed, count)}"
    return f"{said} in {outcome.seconds:.1f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(outcome: RunResult) -> dict[str, Any]:
    """Return the outcome of a run as plain data."""
    return {
        "passed": outcome.passed,
        "failed": outcome.failed,
        "todo": outcome.todo,
        "seconds": round(outcome.seconds, 3),
        "cases": [_case_as_json(each) for each in outcome.results],
        "findings": [each.as_json() for each in outcome.findings],
        "mutation": [_mutation_as_json(*each) for each in outcome.mutations],
    }


def _case_as_json(result: Result) -> dict[str, Any]:
    example = result.example
    return {
        "file": result.file,
        "line": example.line,
        "column": example.column,
        "rule": example.rule,
        "name": example.name,
        "passed": not result.differences,
        "todo": example.todo,
        "seconds": round(result.seconds, 6),
        "differences": [
            {
                "what": each.what,
                "message": each.message,
                "expected": each.expected,
                "got": each.got,
            }
            for each in result.differences
        ],
        "trace": list(result.trace),
    }


def _mutation_as_json(tests: FolderTests, mutation: Mutation) -> dict[str, Any]:
    return {
        "rule": mutation.rule.name,
        "file": tests.place(mutation.rule.document.file),
        "mutants": mutation.count,
        "killed": mutation.killed,
        "score": round(mutation.score, 4),
        "survivors": [
            {"line": e.position.line, "column": e.position.column, "change": e.change}
            for e in mutation.survivors
        ],
    }


def all_findings(outcome: RunResult) -> Iterable[Finding]:
    """Yield what is wrong with files, and each case that failed."""
    yield from outcome.findings
    yield from (each.finding for each in outcome.results if each.differences)


# JUnit


def write_junit(outcome: RunResult, path: Path) -> None:
    """Write the outcome of a run to *path*, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    tree = ElementTree.tostring(as_junit(outcome), encoding="unicode")
    write_atomically(path, f'<?xml version="1.0" encoding="utf-8"?>\n{tree}\n')


def as_junit(outcome: RunResult) -> Element:
    """Return the outcome as a tree: a suite a file, and one for what is wrong."""
    root = Element("testsuites", name="cds-service test")
    by_file: dict[str, list[Result]] = {}
    for each in outcome.results:
        by_file.setdefault(each.file, []).append(each)
    for file, results in by_file.items():
        _add_suite(root, file, results)
    if outcome.findings:
        _add_findings(root, outcome.findings)
    failed, wrong = outcome.failed, len(outcome.findings)
    _count(root, len(outcome.results) + wrong, failed, wrong, outcome.todo)
    root.set("time", f"{outcome.seconds:.3f}")
    return root


def _add_suite(root: Element, file: str, results: list[Result]) -> None:
    suite = SubElement(root, "testsuite", name=_clean(file), file=_clean(file))
    for each in results:
        _add_case(suite, each)
    failed = sum(bool(each.differences) for each in results)
    todo = sum(bool(e.example.todo) and not e.differences for e in results)
    _count(suite, len(results), failed, 0, todo)
    suite.set("time", f"{sum(each.seconds for each in results):.3f}")


def _add_case(suite: Element, result: Result) -> None:
    example = result.example
    case = SubElement(
        suite,
        "testcase",
        classname=_clean(example.rule),
        name=_clean(example.name),
        file=_clean(result.file),
        line=str(example.line),
        time=f"{result.seconds:.3f}",
    )
    if result.differences:
        messages = [each.message for each in result.differences]
        failure = SubElement(case, "failure", message=_clean("; ".join(messages)))
        failure.text = _clean("\n".join([*messages, *result.trace]))
    elif example.todo:
        SubElement(case, "skipped", message=_clean(f"todo: {example.todo}"))


def _add_findings(root: Element, findings: Iterable[Finding]) -> None:
    suite = SubElement(root, "testsuite", name="rule files")
    count = 0
    for each in findings:
        count += 1
        case = SubElement(
            suite,
            "testcase",
            classname=each.code,
            name=_clean(f"{each.file}:{each.line}:{each.column}"),
            file=_clean(each.file),
            line=str(each.line),
            time="0.000",
        )
        error = SubElement(case, "error", message=_clean(each.message))
        error.text = _clean(each.help)
    _count(suite, count, 0, count, 0)


def _count(
    element: Element, tests: int, failures: int, errors: int, skipped: int
) -> None:
    for name, number in (
        ("tests", tests),
        ("failures", failures),
        ("errors", errors),
        ("skipped", skipped),
    ):
        element.set(name, str(number))


def _clean(text: str) -> str:
    """The text without the characters that XML 1.0 has no way to write."""
    return _UNWRITABLE.sub("\ufffd", text)


_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
