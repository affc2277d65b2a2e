"""The gate of a rulebook: it opens when everything compiles and every test passes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from ..compile.compiler import Compiled, compile_rulebook, kind_of
from ..engine.rules import CheckResource, unchecked
from ..language.detectors import DetectorTree
from ..language.diagnostics import Finding, Findings, Level
from ..language.tree import FactTree, RuleTree
from ..terminology.measured import Quantities
from .detector_examples import DetectorExample, read_detector_examples
from .detector_runner import DetectorRunner
from .example_runner import ExampleRunner
from .examples import (
    TEST_SUFFIX,
    AnyExample,
    Example,
    ExampleFile,
    WrittenExample,
    read_examples,
)
from .readings import check_readings
from .required_tests import OF_DETECTORS, check_required

Read = tuple[tuple[ExampleFile[AnyExample], ...], tuple[Finding, ...]]
"""The tests of a folder, and what is wrong with those that cannot be read."""
AskedExample = TypeVar("AskedExample", bound=WrittenExample, contravariant=True)
IN_FORCE = ("active", "shadow")
"""The statuses of rules and detectors that are asked."""


def gate(
    files: Mapping[str, str], check_resource: CheckResource = unchecked
) -> Compiled:
    """Return what *files* compile to, and everything that was found.

    The rulebook is None where any finding is an error: the files do not compile, a test
    file is wrong, a rule owes tests, or a case of a rule in force fails.
    """
    compiled = compile_rulebook(files, check_resource)
    findings = Findings()
    findings.extend(compiled.findings)
    read = read_examples(files)
    rules, facts = compiled.trees, compiled.facts
    findings.extend(_judge(read, files, rules, facts, compiled.quantities, ()))
    of_detectors = read_detector_examples(files)
    detectors = compiled.detectors.values()
    findings.extend(check_detector_tests(files, detectors, of_detectors))
    if compiled.rulebook is not None:
        known = compiled.documents
        findings.extend(_failures(read[0], ExampleRunner(files, known)))
        findings.extend(_failures(of_detectors[0], DetectorRunner(files, known)))
    rulebook = None if findings.has_errors else compiled.rulebook
    return replace(compiled, rulebook=rulebook, findings=tuple(findings))


def check_tests(
    files: Mapping[str, str],
    rules: Mapping[str, RuleTree],
    facts: Mapping[str, FactTree],
    quantities: Quantities = Quantities(),
    unread: Iterable[str] = (),
    read: "Read[Example] | None" = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with the tests among *files*, and which the rules owe.

    Args:
        rules: The rules of the folder, as compiling gives them.
        facts: Its shared facts, likewise.
        quantities: What codes measure, likewise.
        unread: Files of the folder that could not be read.
        read: The tests among the files, where somebody has read them already.
    """
    return _judge(read or read_examples(files), files, rules, facts, quantities, unread)


def _judge(
    read: Read[Example],
    files: Mapping[str, str],
    rules: Mapping[str, RuleTree],
    facts: Mapping[str, FactTree],
    quantities: Quantities,
    unread: Iterable[str],
) -> tuple[Finding, ...]:
    tests, found = read
    wrong = {each.file for each in found if each.level is Level.ERROR} | set(unread)
    names = [name for name in files if kind_of(name) == "rule"]
    known = [rules[name] for name in names if name in rules]
    stems = {name.rpartition("/")[2].removesuffix(".yaml") for name in names}
    told_units = Findings()
    for test in tests:
        check_readings(test, known, facts, quantities, told_units)
    found = (*found, *told_units)
    told = {name.removesuffix(TEST_SUFFIX) for name in wrong}
    told |= {each.rule for each in tests if each.document.file in wrong}
    return (*found, *check_required(known, tests, stems, told))


def check_detector_tests(
    files: Mapping[str, str],
    detectors: Iterable[DetectorTree],
    read: "Read[DetectorExample] | None" = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with the tests of detectors among *files*, and what is owed.

    Args:
        detectors: Of the folder, as far as their files have the right shape.
        read: The tests, where somebody has read them already.
    """
    tests, found = read or read_detector_examples(files)
    named = [name for name in files if kind_of(name) == "detector"]
    wrong = {each.file for each in found if each.level is Level.ERROR}
    told = {name.removesuffix(TEST_SUFFIX) for name in wrong}
    others = {name.rpartition("/")[2].removesuffix(".yaml") for name in named}
    return (*found, *check_required(detectors, tests, others, told, OF_DETECTORS))


class Runner(Protocol[AskedExample]):
    """Who plays the cases of a sort."""

    def status(self, name: str) -> str:
        """Return the status of a rule or detector in its own file."""

    def problems(self, example: AskedExample) -> tuple[str, ...]:
        """Return where it differs from what the example expects."""


def _failures(
    tests: Iterable[ExampleFile[AskedExample]], runner: Runner[AskedExample]
) -> Iterator[Finding]:
    """Yield each case of a rule or detector in force that fails."""
    for test in tests:
        for example in test.examples if runner.status(test.rule) in IN_FORCE else ():
            problems = runner.problems(example)
            if problems:
                message = f"{example.name}: {'; '.join(problems)}"
                place = (example.file, example.line, example.column)
                yield Finding(*place, "CDS708", Level.ERROR, message)
