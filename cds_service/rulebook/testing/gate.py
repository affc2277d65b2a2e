"""The gate of a rulebook: it opens when everything compiles and every test passes."""

from collections.abc import Iterable, Mapping

from ..compile.compiler import compile_rulebook, kind_of
from ..engine.rulebook import Rulebook
from ..engine.rules import CheckResource, unchecked
from ..language.diagnostics import Finding, Findings, Level
from ..language.document import Document
from ..language.schemas import check_shape
from ..terminology.measured import UNITS, Quantities, quantities_of
from .example_runner import ExampleRunner
from .examples import TEST_SUFFIX, ExampleFile, read_examples
from .readings import check_readings
from .required_tests import find_duties

IN_FORCE = ("active", "shadow")
"""The statuses of rules that are evaluated."""


def gate(
    files: Mapping[str, str], check_resource: CheckResource = unchecked
) -> tuple[Rulebook | None, tuple[Finding, ...]]:
    """The rulebook that *files* make, and everything that was found.

    The rulebook is None where any finding is an error: the files do not compile, a test
    file is wrong, a rule owes tests, or a case of a rule in force fails.
    """
    compiled = compile_rulebook(files, check_resource)
    findings = Findings()
    findings.extend(compiled.findings)
    read = read_examples(files)
    findings.extend(_judge(read, files, compiled.documents, ()))
    if compiled.rulebook is not None:
        runner = ExampleRunner(files, known=compiled.documents)
        findings.extend(_failures(read[0], runner))
    rulebook = None if findings.has_errors else compiled.rulebook
    return rulebook, tuple(findings)


def duties(
    files: Mapping[str, str],
    documents: Mapping[str, Document],
    unread: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """What is wrong with the test files among *files*, and what the rules owe.

    Args:
        documents: The parsed files of the folder, as compiling gives them.
        unread: Files of the folder that could not be read.
    """
    return _judge(read_examples(files), files, documents, unread)


def _judge(
    read: tuple[Iterable[ExampleFile], Iterable[Finding]],
    files: Mapping[str, str],
    documents: Mapping[str, Document],
    unread: Iterable[str],
) -> tuple[Finding, ...]:
    tests, found = read
    wrong = {each.file for each in found if each.level is Level.ERROR} | set(unread)
    names = [name for name in files if kind_of(name) == "rule"]
    rules = [
        documents[name]
        for name in names
        if name in documents and check_shape("rule", documents[name], Findings())
    ]
    stems = {name.rpartition("/")[2].removesuffix(".yaml") for name in names}
    told_units, quantities = Findings(), _quantities(documents)
    for test in tests:
        check_readings(test, rules, documents, quantities, told_units)
    found = (*found, *told_units)
    told = {name.removesuffix(TEST_SUFFIX) for name in wrong}
    told |= {each.rule for each in tests if each.document.file in wrong}
    return (*found, *find_duties(rules, tests, stems, told))


def _quantities(documents: Mapping[str, Document]) -> Quantities:
    document = documents.get(UNITS)
    if document is None or not check_shape("units", document, Findings()):
        return Quantities()
    return quantities_of(document)


def _failures(tests: Iterable[ExampleFile], runner: ExampleRunner) -> Iterable[Finding]:
    for test in tests:
        if runner.status(test.rule) in IN_FORCE:
            for example in test.examples:
                problems = runner.problems(example)
                if problems:
                    message = f"{example.name}: {'; '.join(problems)}"
                    place = (example.file, example.line, example.column)
                    yield Finding(*place, "CDS708", Level.ERROR, message)
