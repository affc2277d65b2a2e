"""What a rule owes: the tests without which it may not be shadow or active.

An active rule has a case that fires, one that does not and one that cannot know; a
shadow rule the first two. A case marked ``todo`` proves nothing. What counts is the
status in the rule's own file: a site may lower it, and needs no tests for that.
"""

from collections.abc import Container, Iterable, Mapping

from ...protocol.cards import Indicator
from ..engine.evaluate import Outcome
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.tree import RuleTree
from .examples import Example, ExampleFile
from .mutation import Mutation

WANTED = 0.8
"""The share of its mutants that the tests of a critical active rule must notice."""

_OWED: Mapping[str, tuple[Outcome, ...]] = {
    "active": (Outcome.FIRES, Outcome.NO, Outcome.UNKNOWN),
    "shadow": (Outcome.FIRES, Outcome.NO),
}
_SAID = {
    Outcome.FIRES: ("CDS702", "in which its card is shown", "expect: { card: … }"),
    Outcome.NO: ("CDS703", "in which it stays silent", "expect: no card"),
    Outcome.UNKNOWN: ("CDS704", "in which it cannot know", "expect: unknown"),
}


def check_required(
    rules: Iterable[RuleTree],
    tests: Iterable[ExampleFile],
    others: Container[str] = (),
    wrong: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """Return which tests these rules still owe.

    Args:
        others: Names of rules whose files have another fault, and owe that first.
        wrong: Names of rules whose tests have a mistake, and the paths of their files
            without `.yaml`: what they prove is not known, and nothing is said of it.
    """
    findings = Findings()
    known = {each.name: each for each in rules}
    examples: dict[str, list[Example]] = {name: [] for name in known}
    for test in tests:
        if test.rule in known:
            examples[test.rule] += test.examples
        elif test.rule not in others:
            message = f"there is no rule {quote(test.rule)}"
            help = suggest(test.rule, known)
            findings.error(test.document, ("test",), "CDS706", message, help)
    told = frozenset(wrong)
    for name, rule in known.items():
        if not {name, rule.document.file.removesuffix(".yaml")} & told:
            _check_outcomes(rule, examples[name], findings)
    return tuple(findings)


def _check_outcomes(
    rule: RuleTree, examples: Iterable[Example], findings: Findings
) -> None:
    status, document = rule.status, rule.document
    owed = _OWED.get(status, ())
    shown = {each.expect.outcome for each in examples if not each.todo}
    if owed and not shown:
        name = document.file.rpartition("/")[2].removesuffix(".yaml")
        message = f"this {status} rule has no tests"
        help = f"write {name}.test.yaml beside it, or make it a draft"
        findings.error(document, ("rule",), "CDS701", message, help)
        return
    for outcome in owed:
        if outcome not in shown:
            code, when, expect = _SAID[outcome]
            message = f"this {status} rule has no test case {when}"
            help = f"write one with `{expect}`"
            findings.error(document, ("rule",), code, message, help)


def check_mutation(mutation: Mutation) -> Finding | None:
    """Return what a critical active rule owes whose tests let too many mutants live."""
    rule = mutation.rule
    if not isinstance(rule, RuleTree):
        return None
    if rule.status != "active" or rule.severity is not Indicator.CRITICAL:
        return None
    if mutation.score >= WANTED:
        return None
    findings = Findings()
    message = (
        f"the tests of this critical rule notice {mutation.killed} of "
        f"{mutation.count} mutants; {WANTED:.0%} are needed"
    )
    help = "write a case for each survivor that `cds-service test --mutate` names"
    findings.error(rule.document, ("rule",), "CDS705", message, help)
    return next(iter(findings))
