"""What became of test cases as JUnit XML, which build servers show.

Source: the format has no standard; elements and attributes are those that Jenkins,
GitLab and GitHub's reporters read.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree  # nosec B405 # XML is written, never read
from xml.etree.ElementTree import Element, SubElement  # nosec B405 # as above

from ...exports.files import write_atomically
from ...rulebook.language import Finding
from .rule_tests import Result, RunResult


def write_junit(outcome: RunResult, path: Path) -> None:
    """Write the outcome of a run to *path*, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    tree = ElementTree.tostring(as_junit(outcome), encoding="unicode")
    write_atomically(path, f'<?xml version="1.0" encoding="utf-8"?>\n{tree}\n')


def as_junit(outcome: RunResult) -> Element:
    """The outcome as a tree: a suite a file, and one for what is wrong with files."""
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
