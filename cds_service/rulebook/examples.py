"""Rule tests: the cases of a ``.test.yaml`` file, run through the real rulebook.

A case is judged by its rule alone, with the site's time zone, overlays and override
reasons but without what the site has tuned, so that a rule's own tests say the same at
every site.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from posixpath import normpath
from typing import Any

from ..fhir.chart import Resource
from .cards import BuiltCard, build_cards
from .compiler import compile_rulebook
from .document import Document, Path
from .evaluate import Evaluation, Evaluations, Outcome, evaluate
from .example_patients import PatientWriter
from .findings import Finding, Level
from .notation import ExampleError
from .one_rule import files_of_one_rule
from .rules import Rulebook, ServiceRules

TEST_SUFFIX = ".test.yaml"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case says will come of the rule."""

    outcome: Outcome
    card: str = ""
    """The card's indicator."""
    summary: str = ""
    """The whole summary; empty if the case does not say."""
    detail_contains: tuple[str, ...] = ()
    detail_lacks: tuple[str, ...] = ()
    unknown_because: frozenset[str] = frozenset()
    """The facts that leave it unknown; empty if the case does not say."""


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a test file."""

    file: str
    line: int
    rule: str
    name: str
    now: datetime
    patient: Mapping[str, Any]
    expect: Expectation
    params: Mapping[str, Any] = field(default_factory=dict)
    todo: str = ""
    """Why it is known to fail; it must not start to pass unnoticed."""

    @property
    def id(self) -> str:
        """``rule: case name``."""
        return f"{self.rule}: {self.name}"


def parse_examples(document: Document) -> tuple[Example, ...]:
    """The cases of a test file whose shape has been checked.

    Raises:
        ExampleError: where a case names no patient of the file, or ``now`` is no time.
    """
    data = document.data
    now = _now(data["now"])
    patients: Mapping[str, Any] = data.get("patients") or {}
    return tuple(
        _example(document, ("cases", index), each, data["test"], now, patients)
        for index, each in enumerate(data["cases"])
    )


def _now(text: str) -> datetime:
    now = datetime.fromisoformat(text)
    if now.tzinfo is None:
        raise ExampleError(f"`now` needs an offset: {text}Z")
    return now


def _example(
    document: Document,
    path: Path,
    case: Mapping[str, Any],
    rule: str,
    now: datetime,
    patients: Mapping[str, Any],
) -> Example:
    name = case.get("patient")
    if name is not None and name not in patients:
        raise ExampleError(f"there is no patient `{name}` in {document.file}")
    base: Mapping[str, Any] = patients[name] if name is not None else {}
    return Example(
        file=document.file,
        line=document.position(path).line,
        rule=rule,
        name=case["name"],
        now=_now(case["now"]) if "now" in case else now,
        patient={**base, **(case.get("set") or {})},
        expect=_expectation(case["expect"]),
        params=case.get("params") or {},
        todo=case.get("todo", ""),
    )


def _expectation(written: Any) -> Expectation:
    if written == "no card":
        return Expectation(Outcome.NO)
    if written == "unknown":
        return Expectation(Outcome.UNKNOWN)
    if "card" not in written:
        because = frozenset(written["unknown_because"])
        return Expectation(Outcome.UNKNOWN, unknown_because=because)
    return Expectation(
        Outcome.FIRES,
        card=written["card"],
        summary=written.get("summary", ""),
        detail_contains=tuple(written.get("detail_contains", ())),
        detail_lacks=tuple(written.get("detail_lacks", ())),
    )


def example_files(files: Mapping[str, str]) -> Iterator[str]:
    """The names of the test files among *files*."""
    return (name for name in sorted(files) if name.endswith(TEST_SUFFIX))


class ExampleRunner:
    """Runs examples against the files of one rules folder; compiles each rule once."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._rulebooks: dict[tuple[str, str], Rulebook] = {}

    def problems(self, example: Example) -> tuple[str, ...]:
        """Where the rule differs from what the example expects; none if it passes.

        A ``todo`` example passes by failing, and fails once it would pass.
        """
        try:
            found = tuple(self._differences(example))
        except ExampleError as error:
            return (str(error),)
        if not example.todo:
            return found
        if found:
            return ()
        return (
            f"passes although it is marked `todo: {example.todo}`; remove the mark",
        )

    def _differences(self, example: Example) -> Iterator[str]:
        evaluations, service = self.evaluations(example)
        evaluation = next(iter(evaluations.items), None)
        outcome = evaluation.outcome if evaluation else Outcome.NO
        if outcome is not example.expect.outcome:
            yield _unexpected(example.expect, outcome, evaluation)
            return
        if evaluation and outcome is Outcome.UNKNOWN:
            yield from _unknown_differences(example.expect, evaluation)
        if outcome is Outcome.FIRES:
            built = build_cards(evaluations, service.service, example.id)
            yield from _card_differences(example.expect, built[0])

    def evaluations(self, example: Example) -> tuple[Evaluations, ServiceRules]:
        """What the example's rule says of its patient, and the service that asked."""
        rulebook = self._rulebook(example)
        service = next(iter(rulebook.services.values()))
        zone = rulebook.site.time_zone
        day = example.now.astimezone(zone).date()
        if not rulebook.rules[example.rule].in_force(day):
            raise ExampleError(f"the rule is not in force on {day}, the day of `now`")
        writer = PatientWriter(
            example.patient, example.now, zone, self._bundle(example)
        )
        alerts = writer.alerts(rulebook.alert_types)
        return evaluate(service, writer.chart(), alerts, example.now), service

    def _bundle(self, example: Example) -> tuple[Resource, ...]:
        """The resources of the FHIR file that the patient names."""
        named = example.patient.get("fhir")
        if named is None:
            return ()
        path = normpath(f"{example.file.rpartition('/')[0]}/{named}").lstrip("/")
        if path not in self._files:
            raise ExampleError(f"there is no file {path}")
        try:
            content = json.loads(self._files[path])
        except ValueError as error:
            raise ExampleError(f"{path} is no JSON: {error}") from None
        entries = content.get("entry", [{"resource": content}])
        return tuple(each["resource"] for each in entries if "resource" in each)

    def _rulebook(self, example: Example) -> Rulebook:
        key = (example.rule, json.dumps(example.params, sort_keys=True))
        if key not in self._rulebooks:
            files = files_of_one_rule(self._files, example.rule, example.params)
            compiled = compile_rulebook(files)
            if compiled.rulebook is None:
                raise ExampleError(_refusal(compiled.findings))
            self._rulebooks[key] = compiled.rulebook
        return self._rulebooks[key]


def _refusal(findings: Iterable[Finding]) -> str:
    errors = [each for each in findings if each.level is Level.ERROR]
    return "the rule does not compile: " + "; ".join(
        f"{each.file}:{each.line}:{each.column}: {each.message}" for each in errors
    )


def _unexpected(
    expect: Expectation, outcome: Outcome, evaluation: Evaluation | None
) -> str:
    got = _OUTCOMES[outcome]
    if evaluation and outcome is Outcome.UNKNOWN:
        got += " because of " + ", ".join(
            f"{each.fact} ({each.kind})" for each in evaluation.reasons
        )
    return f"expected {_OUTCOMES[expect.outcome]}, got {got}"


_OUTCOMES = {Outcome.FIRES: "a card", Outcome.NO: "no card", Outcome.UNKNOWN: "unknown"}


def _unknown_differences(expect: Expectation, evaluation: Evaluation) -> Iterator[str]:
    because = {each.fact for each in evaluation.reasons}
    missing = expect.unknown_because - because
    if missing:
        yield (
            f"expected to be unknown because of {_listed(missing)}, "
            f"got {_listed(because)}"
        )


def _card_differences(expect: Expectation, built: BuiltCard) -> Iterator[str]:
    card = built.card
    indicator = card.indicator.name.lower()
    if indicator != expect.card:
        yield f"expected a card of severity {expect.card}, got {indicator}"
    if expect.summary and _flat(expect.summary) != card.summary:
        yield f"expected the summary {expect.summary!r}, got {card.summary!r}"
    detail = _flat(card.detail)
    for text in expect.detail_contains:
        if _flat(text) not in detail:
            yield f"expected {text!r} in the detail, got {card.detail!r}"
    for text in expect.detail_lacks:
        if _flat(text) in detail:
            yield f"did not expect {text!r} in the detail, got {card.detail!r}"


def _flat(text: str) -> str:
    """The text on one line: where a template breaks its lines means nothing."""
    return " ".join(text.split())


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
