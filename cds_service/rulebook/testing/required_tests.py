"""What rules and detectors owe: the tests without which they may not be in force.

An active rule has a case that fires, one that does not and one that cannot know; an
active detector one in which an episode opens, one in which none does and one that
cannot be judged. In shadow the first two are owed. A case marked ``todo`` proves
nothing. What counts is the status in the file itself: a site may lower it, and needs no
tests for that.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from ...protocol.cards import Indicator
from ..engine.evaluate import Outcome
from ..language.detectors import DetectorTree
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.tree import RuleTree
from .detector_examples import NONE, NOT_JUDGED, OPENS
from .examples import ExampleFile, WrittenExample
from .mutation import Mutation

WANTED = 0.8
"""The share of its mutants that the tests of a critical active rule must notice."""
_CODES = ("CDS702", "CDS703", "CDS704")
_OWED = {"active": 3, "shadow": 2}
"""How many of the cases are owed, by status."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What is owed by everything of one sort."""

    word: str
    """``rule`` or ``detector``: what it is called, and the key of its name."""
    cases: Mapping[str, tuple[str, str]]
    """By what is expected of a case that is owed: what it is, and how that is written;
    in the order of their codes."""


OF_RULES = Duty(
    "rule",
    {
        Outcome.FIRES: ("in which its card is shown", "expect: { card: … }"),
        Outcome.NO: ("in which it stays silent", "expect: no card"),
        Outcome.UNKNOWN: ("in which it cannot know", "expect: unknown"),
    },
)
OF_DETECTORS = Duty(
    "detector",
    {
        OPENS: ("in which an episode opens", "expect: { episodes: [{ opened: … }] }"),
        NONE: ("in which none opens", "expect: none"),
        NOT_JUDGED: ("that cannot be judged", "expect: { not_judged: […] }"),
    },
)


def check_required(
    trees: Iterable[RuleTree | DetectorTree],
    tests: Iterable[ExampleFile[WrittenExample]],
    others: Container[str] = (),
    wrong: Iterable[str] = (),
    duty: Duty = OF_RULES,
) -> tuple[Finding, ...]:
    """Return which tests these rules, or these detectors, still owe.

    Args:
        others: Names of some whose files have another fault, and owe that first.
        wrong: Names of some whose tests have a mistake, and the paths of their files
            without `.yaml`: what they prove is not known, and nothing is said of it.
    """
    findings = Findings()
    known = {each.name: each for each in trees}
    examples: dict[str, list[WrittenExample]] = {name: [] for name in known}
    for test in tests:
        if test.rule in known:
            examples[test.rule] += test.examples
        elif test.rule not in others:
            message = f"there is no {duty.word} {quote(test.rule)}"
            help = suggest(test.rule, known)
            findings.error(test.document, ("test",), "CDS706", message, help)
    told = frozenset(wrong)
    for name, tree in known.items():
        if not {name, tree.document.file.removesuffix(".yaml")} & told:
            _check_cases(tree, examples[name], duty, findings)
    return tuple(findings)


def _check_cases(
    tree: RuleTree | DetectorTree,
    examples: Iterable[WrittenExample],
    duty: Duty,
    findings: Findings,
) -> None:
    document, said = tree.document, f"this {tree.status} {duty.word} has no test"
    owed = _OWED.get(tree.status, 0)
    shown = {each.expect.kind for each in examples if not each.todo}
    if owed and not shown:
        name = document.file.rpartition("/")[2].removesuffix(".yaml")
        help = f"write {name}.test.yaml beside it, or make it a draft"
        findings.error(document, (duty.word,), "CDS701", f"{said}s", help)
        return
    for code, (kind, (case, written)) in zip(_CODES[:owed], duty.cases.items()):
        if kind not in shown:
            help = f"write one with `{written}`"
            findings.error(document, (duty.word,), code, f"{said} case {case}", help)


def check_mutation(mutation: Mutation) -> Finding | None:
    """Return what is owed where the tests of something active let mutants live.

    All of a detector are to be noticed, and most of a critical rule.
    """
    tree, wanted, word = mutation.rule, 1.0, "active detector"
    if isinstance(tree, RuleTree):
        wanted, word = WANTED, "critical rule"
        wanted = wanted if tree.severity is Indicator.CRITICAL else 0.0
    if tree.status != "active" or mutation.score >= wanted:
        return None
    message = (
        f"the tests of this {word} notice {mutation.killed} of {mutation.count} "
        f"mutants; {'all' if wanted == 1 else f'{wanted:.0%}'} are needed"
    )
    help = "write a case for each survivor that `cds-service test --mutate` names"
    findings, where = Findings(), (word.rpartition(" ")[2],)
    findings.error(tree.document, where, "CDS705", message, help)
    return next(iter(findings))
