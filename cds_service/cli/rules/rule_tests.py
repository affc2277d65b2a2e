"""The tests of rules folders, found and run, for the verbs that work with them."""

import os
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import click

from ...rulebook.compile import kind_of
from ...rulebook.describe import explain
from ...rulebook.language import Finding, Level
from ...rulebook.load import check_folder, read_files
from ...rulebook.testing import (
    DetectorExample,
    DetectorRunner,
    Difference,
    Example,
    ExampleError,
    ExampleFile,
    ExampleRunner,
    Mutation,
    WrittenExample,
    check_detector_tests,
    check_mutation,
    check_tests,
    mutate,
    mutate_detector,
    read_detector_examples,
    read_examples,
)
from .check import rules_folder

ASKED = ("rule-test", "detector-test", "fhir")
"""The kinds of file of which a run of tests says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case."""

    file: str
    """As the caller would name it."""
    example: WrittenExample
    differences: tuple[Difference, ...]
    seconds: float
    trace: tuple[str, ...] = ()
    """How the rule came to what it said, where the case failed."""

    @property
    def finding(self) -> Finding:
        """The failure of the case."""
        said = "; ".join(each.message for each in self.differences)
        message = f"{self.example.name}: {said}"
        place = (self.file, self.example.line, self.example.column)
        return Finding(*place, "CDS708", Level.ERROR, message)


@dataclass(frozen=True, slots=True)
class FolderTests:
    """The tests of one rules folder, as far as they were asked for."""

    folder: Path
    files: Mapping[str, str]
    tests: tuple[ExampleFile[Example], ...]
    findings: tuple[Finding, ...]
    """What is wrong with the test files; their files as the caller would name them."""
    runner: ExampleRunner
    asked: tuple[Path, ...]
    of_detectors: tuple[ExampleFile[DetectorExample], ...]
    detectors: DetectorRunner

    def place(self, file: str) -> str:
        """Return a file of the folder, as the caller would name it."""
        return str(self.folder / file)

    def rules(self, only: Container[str] | None = None) -> tuple[str, ...]:
        """Return the rules that are tested, or those that the files *only* test."""
        return self._tested(self.tests, only)

    def tested_detectors(self, only: Container[str] | None = None) -> tuple[str, ...]:
        """Return the detectors that are tested, or those that the files *only* test."""
        return self._tested(self.of_detectors, only)

    def _tested(
        self,
        tests: Iterable[ExampleFile[WrittenExample]],
        only: Container[str] | None,
    ) -> tuple[str, ...]:
        told = (e for e in tests if only is None or self.place(e.document.file) in only)
        return tuple(dict.fromkeys(each.rule for each in told))

    def all_tests(
        self,
    ) -> tuple[ExampleFile[Example] | ExampleFile[DetectorExample], ...]:
        """Return the test files, those of rules first."""
        return (*self.tests, *self.of_detectors)


AnyExample = TypeVar("AnyExample", bound=WrittenExample)


def cases_of(
    tests: Iterable[ExampleFile[AnyExample]], name: str
) -> Iterator[AnyExample]:
    """Yield the cases of a rule or detector."""
    for test in tests:
        if test.rule == name:
            yield from test.examples


@dataclass(slots=True)
class RunResult:
    """What became of a whole run."""

    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    mutations: list[tuple[FolderTests, Mutation]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many cases failed."""
        return sum(bool(each.differences) for each in self.results)

    @property
    def todo(self) -> int:
        """How many known gaps there are."""
        return sum(bool(e.example.todo) and not e.differences for e in self.results)

    @property
    def passed(self) -> int:
        """How many cases did not fail, known gaps among them."""
        return len(self.results) - self.failed

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(each.level is Level.ERROR for each in self.findings)


def default_paths(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the *paths* that were given, or the folder where none is.

    Raises:
        click.UsageError: if one is not there.
    """
    asked = tuple(paths) or (Path(os.environ.get("CDS_RULES") or "rules"),)
    for path in asked:
        if not path.exists():
            raise click.UsageError(
                f"there is no {path}; name a rules folder, or set CDS_RULES"
            )
    return asked


def open_folders(paths: Iterable[Path]) -> tuple[FolderTests, ...]:
    """Return the tests that *paths* stand for: folders of rules, or files in one."""
    wanted: dict[Path, list[Path]] = {}
    for path in paths:
        wanted.setdefault(rules_folder(path), []).append(path)
    return tuple(_open(folder, tuple(asked)) for folder, asked in wanted.items())


def _open(folder: Path, asked: tuple[Path, ...]) -> FolderTests:
    files, unread = read_files(folder)
    tests, wrong = read_examples(files)
    of_detectors, wrong_too = read_detector_examples(files)
    findings = tuple(
        replace(each, file=str(folder / each.file))
        for each in sorted({*unread, *wrong, *wrong_too})
        if _matters(each, folder, asked)
    )
    return FolderTests(
        folder=folder,
        files=files,
        tests=tuple(each for each in tests if _is_meant(each, folder, asked)),
        findings=findings,
        runner=ExampleRunner(files),
        asked=asked,
        of_detectors=tuple(e for e in of_detectors if _is_meant(e, folder, asked)),
        detectors=DetectorRunner(files),
    )


def _matters(finding: Finding, folder: Path, asked: tuple[Path, ...]) -> bool:
    if finding.level is not Level.ERROR or kind_of(finding.file) not in ASKED:
        return False
    return stands_for(folder / finding.file, asked)


def _is_meant(
    test: ExampleFile[WrittenExample], folder: Path, asked: tuple[Path, ...]
) -> bool:
    """Return whether a test file is meant, by its own name or by that of its rule."""
    file = folder / test.document.file
    return stands_for(file, asked) or stands_for(
        file.with_name(f"{test.rule}.test.yaml"), asked
    )


def stands_for(file: Path, asked: Iterable[Path]) -> bool:
    """Check whether a path means a file: it, its rule, or a folder around it."""
    rule = file.with_name(file.name.removesuffix(".test.yaml") + ".yaml")
    here, there = _absolute(file), _absolute(rule)
    return any(
        there == _absolute(path) or here.is_relative_to(_absolute(path))
        for path in asked
    )


def _absolute(path: Path) -> Path:
    return path.parent.resolve() / path.name if path.name else path.resolve()


def play(
    tests: FolderTests,
    file: ExampleFile[WrittenExample],
    example: Example | DetectorExample,
) -> Result:
    """Run one case."""
    begun = time.perf_counter()
    trace: tuple[str, ...] = ()
    if isinstance(example, DetectorExample):
        found = tests.detectors.differences(example)
    else:
        found = tests.runner.differences(example)
        trace = tuple(_traced(tests.runner, example)) if found else ()
    seconds = time.perf_counter() - begun
    return Result(tests.place(file.document.file), example, found, seconds, trace)


def _traced(runner: ExampleRunner, example: Example) -> Iterable[str]:
    """Return how the rule came to what it said; nothing where none can be played."""
    try:
        evaluations, service = runner.evaluations(example)
    except ExampleError:
        return ()
    return explain(service.rules[0], evaluations.case)


def owed(tests: FolderTests) -> Iterator[Finding]:
    """Yield the tests that the rules which were asked about owe."""
    checked = check_folder(tests.folder)
    files = checked.files
    found = check_tests(files, checked.trees, checked.facts, checked.quantities)
    of_detectors = check_detector_tests(files, checked.detectors.values())
    for each in (*found, *of_detectors):
        file = tests.folder / each.file
        if each.code in _REQUIRED and stands_for(file, tests.asked):
            yield replace(each, file=str(file))


_REQUIRED = ("CDS701", "CDS702", "CDS703", "CDS704", "CDS706")


def mutated(tests: FolderTests, rule: str) -> Mutation | None:
    """Return what a rule's tests notice; None if it does not compile, as cases told."""
    try:
        return mutate(tests.runner, rule, cases_of(tests.tests, rule))
    except ExampleError:
        return None


def mutated_detector(tests: FolderTests, detector: str) -> Mutation | None:
    """Return what a detector's tests notice; None if it does not compile."""
    examples = cases_of(tests.of_detectors, detector)
    try:
        return mutate_detector(tests.detectors, detector, examples)
    except ExampleError:
        return None


def owed_mutants(tests: FolderTests, mutation: Mutation) -> Finding | None:
    """Return what the rule or detector owes whose mutants live."""
    found = check_mutation(mutation)
    return found and replace(found, file=tests.place(found.file))
