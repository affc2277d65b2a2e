"""The gate of a rulebook: it opens when everything compiles and every test passes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...units import Substance, scales
from ..compile.compiler import compile_rulebook, kind_of
from ..engine.rulebook import Rulebook
from ..engine.rules import CheckResource, unchecked
from ..language.diagnostics import Finding, Findings, Level, quote
from ..language.document import Document, Path
from ..language.schemas import check_shape
from .example_runner import ExampleRunner
from .examples import TEST_SUFFIX, ExampleFile, read_examples
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
    findings.extend(duties(files, compiled.documents))
    if compiled.rulebook is not None:
        findings.extend(run_all(files))
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
    tests, found = read_examples(files)
    wrong = {each.file for each in found if each.level is Level.ERROR} | set(unread)
    names = [name for name in files if kind_of(name) == "rule"]
    rules = [
        documents[name]
        for name in names
        if name in documents and check_shape("rule", documents[name], Findings())
    ]
    stems = {name.rpartition("/")[2].removesuffix(".yaml") for name in names}
    units = Findings()
    for test in tests:
        _check_units(test, rules, documents, units)
    found = (*found, *units)
    told = {name.removesuffix(TEST_SUFFIX) for name in wrong}
    told |= {each.rule for each in tests if each.document.file in wrong}
    return (*found, *find_duties(rules, tests, stems, told))


_OF_ANYTHING = Substance(1.0, 1)
"""With which moles, grams and equivalents may be told in each other."""


def _check_units(
    test: ExampleFile,
    rules: Iterable[Document],
    documents: Mapping[str, Document],
    findings: Findings,
) -> None:
    """Report readings of a test in a unit that no fact of its rule can take.

    A case that expects the rule not to know may be about such a reading.
    """
    rule = next((each for each in rules if each.data["rule"] == test.rule), None)
    units = _units_read(rule.data["facts"], documents) if rule else set()
    data = test.document.data
    written: list[tuple[Path, Mapping[str, Any]]] = [
        (("patients", name), each) for name, each in data.get("patients", {}).items()
    ]
    for index, case in enumerate(data["cases"]):
        expect = case["expect"]
        if expect != "unknown" and "unknown_because" not in expect:
            written.append((("cases", index, "set"), case.get("set") or {}))
    for path, patient in written:
        for number, each in enumerate(patient.get("observations") or ()):
            unit = str(each.get("unit", ""))
            if units and not any(scales(unit, to, _OF_ANYTHING) for to in units):
                where = (*path, "observations", number, *(["unit"] if unit else []))
                message = f"no fact of {quote(test.rule)} reads {quote(unit)}"
                message = message if unit else "this reading has no unit"
                help = "facts read " + ", ".join(sorted(units))
                findings.warning(test.document, where, "CDS645", message, help)


def _units_read(
    facts: Mapping[str, Mapping[str, Any]], documents: Mapping[str, Document]
) -> set[str]:
    """The units of a rule's facts, shared ones included."""
    units: set[str] = set()
    for fact in facts.values():
        shared = documents.get(f"facts/{fact.get('use')}.yaml")
        named = shared.data if shared and isinstance(shared.data, dict) else {}
        for other in named.get("any_of", ()):
            units |= _units_read({other: {"use": other}}, documents)
        read = fact.get("observation") or named.get("observation") or {}
        units |= {read["unit"]} if "unit" in read else set()
    return units


def run_all(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Every case of every rule that is active or shadow, run; a finding a failure."""
    runner = ExampleRunner(files)
    tests, _ = read_examples(files)
    return tuple(_failures(tests, runner))


def _failures(tests: Iterable[ExampleFile], runner: ExampleRunner) -> Iterable[Finding]:
    for test in tests:
        if runner.status(test.rule) in IN_FORCE:
            for example in test.examples:
                problems = runner.problems(example)
                if problems:
                    message = f"{example.name}: {'; '.join(problems)}"
                    place = (example.file, example.line, example.column)
                    yield Finding(*place, "CDS708", Level.ERROR, message)
