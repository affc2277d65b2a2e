"""What a detector owes: the tests without which it may not be active or shadow.

An active detector has a case in which an episode opens, one in which none does, and one
that cannot be judged; one in shadow the first two. A case marked ``todo`` proves
nothing. What counts is the status in the detector's own file.
"""

from collections.abc import Iterable, Iterator, Mapping

from ..compile.compiler import kind_of
from ..language.detectors import DetectorTree
from ..language.diagnostics import Finding, Findings, Level, quote, suggest
from .detector_examples import (
    DetectorExample,
    DetectorExamples,
    read_detector_examples,
)
from .detector_runner import DetectorRunner
from .examples import TEST_SUFFIX
from .mutation import Mutation

Read = tuple[tuple[DetectorExamples, ...], tuple[Finding, ...]]
"""The tests of a folder's detectors, and what is wrong with others that it has."""
IN_FORCE = ("active", "shadow")
_OWED = {"active": ("opens", "none", "not-judged"), "shadow": ("opens", "none")}
_SAID = {
    "opens": ("CDS702", "in which an episode opens", "{ episodes: [{ opened: … }] }"),
    "none": ("CDS703", "in which none opens", "none"),
    "not-judged": ("CDS704", "that cannot be judged", "{ not_judged: […] }"),
}


def check_detector_tests(
    files: Mapping[str, str],
    detectors: Iterable[DetectorTree],
    read: "Read | None" = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with the tests of detectors among *files*, and what is owed.

    Args:
        detectors: Of the folder, as far as their files have the right shape.
        read: The tests, where somebody has read them already.
    """
    tests, found = read or read_detector_examples(files)
    findings = Findings()
    findings.extend(found)
    wrong = {each.file for each in found if each.level is Level.ERROR}
    known = {each.name: each for each in detectors}
    named = [name for name in files if kind_of(name) == "detector"]
    others = {name.rpartition("/")[2].removesuffix(".yaml") for name in named}
    examples: dict[str, list[DetectorExample]] = {name: [] for name in known}
    for test in tests:
        if test.rule in known:
            examples[test.rule] += test.examples
        elif test.rule not in others:
            message = f"there is no detector {quote(test.rule)}"
            help = suggest(test.rule, known)
            findings.error(test.document, ("test",), "CDS706", message, help)
    for name, tree in known.items():
        if tree.document.file.removesuffix(".yaml") + TEST_SUFFIX not in wrong:
            _check_owed(tree, examples[name], findings)
    return tuple(findings)


def _check_owed(
    tree: DetectorTree, examples: Iterable[DetectorExample], findings: Findings
) -> None:
    owed, document = _OWED.get(tree.status, ()), tree.document
    shown = {each.expect.kind for each in examples if not each.todo}
    if owed and not shown:
        name = document.file.rpartition("/")[2].removesuffix(".yaml")
        message = f"this {tree.status} detector has no tests"
        help = f"write {name}.test.yaml beside it, or make it a draft"
        findings.error(document, ("detector",), "CDS701", message, help)
        return
    for kind in owed:
        if kind not in shown:
            code, when, expect = _SAID[kind]
            message = f"this {tree.status} detector has no test case {when}"
            help = f"write one with `expect: {expect}`"
            findings.error(document, ("detector",), code, message, help)


def detector_failures(
    tests: Iterable[DetectorExamples], runner: DetectorRunner
) -> Iterator[Finding]:
    """Yield each case of a detector in force that fails."""
    for test in tests:
        for example in test.examples if runner.status(test.rule) in IN_FORCE else ():
            problems = runner.problems(example)
            if problems:
                message = f"{example.name}: {'; '.join(problems)}"
                place = (example.file, example.line, example.column)
                yield Finding(*place, "CDS708", Level.ERROR, message)


def check_detector_mutation(mutation: Mutation) -> Finding | None:
    """Return what an active detector owes whose tests let a mutant live."""
    tree, findings = mutation.rule, Findings()
    if not isinstance(tree, DetectorTree) or tree.status != "active":
        return None
    if not mutation.survivors:
        return None
    message = (
        f"the tests of this active detector notice {mutation.killed} of "
        f"{mutation.count} mutants; all are needed"
    )
    help = "write a case for each survivor that `cds-service test --mutate` names"
    findings.error(tree.document, ("detector",), "CDS705", message, help)
    return next(iter(findings))
