"""Rule tests, run: each case on the path of a real call, from FHIR to the card.

A case is judged by its rule alone, with the site's time zone, overlays and override
reasons but without what the site has tuned, so that a rule's own tests say the same at
every site.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ...fhir.chart import Chart, Resource
from ...wearables.worn import Wearables
from ..cards.cards import BuiltCard, draft_cards, severity_of
from ..cards.system_actions import build_system_actions
from ..engine.case import Case
from ..engine.evaluate import Evaluation, Evaluations, Outcome, ask_all, open_case
from ..engine.rulebook import ServiceRules
from ..language.document import Document
from .example_patients import PatientWriter
from .examples import Example, Expectation, WrittenExample, fhir_file
from .notation import ExampleError
from .one_rule import OneRule, SharedParts, build_shared_parts, open_rule


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a rule does not do what an example expects."""

    what: str
    """``outcome``, ``because``, ``severity``, ``system_actions``, ``summary``,
    ``detail``, ``todo``, or ``error`` where the example cannot be played."""
    message: str
    """A sentence that says all of it."""
    expected: str = ""
    got: str = ""


def held_to_mark(
    example: WrittenExample, found: tuple[Difference, ...]
) -> tuple[Difference, ...]:
    """Return what is wrong with an example that may be marked ``todo``.

    One that is passes by failing, and fails once it would pass.
    """
    if not example.todo:
        return found
    if found:
        return ()
    said = f"passes although it is marked `todo: {example.todo}`; remove the mark"
    return (Difference("todo", said),)


@dataclass(slots=True)
class WrittenPatient:
    """The patient of an example, written once; any version of the rule may judge it."""

    example: Example
    chart: Chart
    wearables: Wearables
    _case: Case | None = field(default=None)
    _read_by: object = field(default=None)

    def case(self, service: ServiceRules) -> Case:
        """The patient as *service* reads it; read once for services that read alike."""
        selectors = service.program.selectors
        if self._case is None or self._read_by is not selectors:
            now = self.example.now
            self._case = open_case(service, self.chart, self.wearables, now)
            self._read_by = selectors
        return self._case

    def differences(
        self, service: ServiceRules, *, words: bool = True
    ) -> Iterator[Difference]:
        """Yield where the rule that *service* serves differs from the expectation.

        Without *words*, a card is written only where its words are expected.
        """
        expect = self.example.expect
        evaluations = ask_all(service, self.case(service))
        evaluation = next(iter(evaluations.items), None)
        outcome = evaluation.outcome if evaluation else Outcome.NO
        if outcome is not expect.outcome:
            yield _unexpected(expect, outcome, evaluation)
        elif evaluation and outcome is Outcome.UNKNOWN:
            yield from _unknown_differences(expect, evaluation)
        elif evaluation and outcome is Outcome.FIRES:
            yield from _severity_difference(expect, evaluation)
            yield from _action_difference(expect, evaluation)
            if expect.says_words or words:
                drafts = draft_cards(evaluations, service.service)
                yield from _word_differences(expect, drafts[0])


class ExampleRunner:
    """Runs examples against the files of one rules folder.

    *known* are documents of it that were right before.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        known: Mapping[str, Document] = MappingProxyType({}),
    ) -> None:
        self._files = files
        self._known = known
        self._shared: SharedParts | None = None
        self._rules: dict[str, OneRule | ExampleError] = {}
        self._services: dict[tuple[str, str], ServiceRules] = {}
        self._scenes: dict[int, WrittenPatient] = {}
        """By the identity of the example, which its scene keeps alive."""

    def problems(self, example: Example) -> tuple[str, ...]:
        """Return where the rule differs from what the example expects.

        None if it passes.
        """
        return tuple(each.message for each in self.differences(example))

    def differences(self, example: Example) -> tuple[Difference, ...]:
        """Return where the rule differs from what the example expects; or nothing.

        A ``todo`` example passes by failing, and fails once it would pass.
        """
        try:
            scene = self.scene(example)
            found = tuple(scene.differences(self.service(example)))
        except ExampleError as error:
            return (Difference("error", str(error)),)
        return held_to_mark(example, found)

    def evaluations(self, example: Example) -> tuple[Evaluations, ServiceRules]:
        """Return what the example's rule says of its patient, and who asked.

        Raises:
            ExampleError: if the example cannot be played.
        """
        service = self.service(example)
        return ask_all(service, self.scene(example).case(service)), service

    def service(self, example: Example) -> ServiceRules:
        """A service with the example's rule alone, under the example's params.

        Raises:
            ExampleError: if the rule does not compile or is not in force.
        """
        key = (example.rule, json.dumps(example.params, sort_keys=True))
        if key not in self._services:
            rule = self.rule(example.rule)
            self._services[key] = rule.compile(example.params)
        service = self._services[key]
        day = example.now.astimezone(service.site.time_zone).date()
        if not service.rules[0].in_force(day):
            raise ExampleError(f"the rule is not in force on {day}, the day of `now`")
        return service

    def rule(self, name: str) -> OneRule:
        """The rule of that name, to be compiled alone.

        Raises:
            ExampleError: if there is none.
        """
        if name not in self._rules:
            try:
                self._rules[name] = open_rule(self.shared, name)
            except ExampleError as error:
                self._rules[name] = error
        found = self._rules[name]
        if isinstance(found, ExampleError):
            raise found
        return found

    def status(self, name: str) -> str:
        """The status of a rule in its own file; empty if it cannot be read."""
        try:
            return self.rule(name).tree.status
        except ExampleError:
            return ""

    @property
    def shared(self) -> SharedParts:
        """What all rules of the folder rest on."""
        if self._shared is None:
            self._shared = build_shared_parts(self._files, self._known)
        return self._shared

    def scene(self, example: Example) -> WrittenPatient:
        """The patient of an example; the same for the same example.

        Raises:
            ExampleError: if the example says something that cannot be.
        """
        scene = self._scenes.get(id(example))
        if scene is None:
            zone, catalogue = self.shared.site.time_zone, self.shared.catalogue
            bundle = self._bundle(example)
            writer = PatientWriter(example.patient, example.now, zone, bundle)
            worn = writer.wearables(catalogue)
            scene = WrittenPatient(example, writer.chart(), worn)
            self._scenes[id(example)] = scene
        return scene

    def _bundle(self, example: Example) -> tuple[Resource, ...]:
        """The resources of the FHIR file that the patient names."""
        named = example.patient.get("fhir")
        if named is None:
            return ()
        path = fhir_file(example.file, named)
        if path is None:
            raise ExampleError(f"{named} is outside the rules folder")
        if path not in self._files:
            raise ExampleError(f"there is no file {path}")
        try:
            content = json.loads(self._files[path])
        except (ValueError, RecursionError) as error:
            raise ExampleError(f"{path} is no JSON: {error}") from None
        if not isinstance(content, dict):
            raise ExampleError(f"{path} contains neither a Bundle nor a resource")
        entries = content.get("entry", [{"resource": content}])
        return tuple(
            each["resource"]
            for each in (entries if isinstance(entries, list) else ())
            if isinstance(each, dict) and isinstance(each.get("resource"), dict)
        )


def _unexpected(
    expect: Expectation, outcome: Outcome, evaluation: Evaluation | None
) -> Difference:
    got = _OUTCOMES[outcome]
    if evaluation and outcome is Outcome.UNKNOWN:
        got += " because of " + ", ".join(
            f"{each.fact} ({each.kind})" for each in evaluation.reasons
        )
    expected = _OUTCOMES[expect.outcome]
    return Difference("outcome", f"expected {expected}, got {got}", expected, got)


_OUTCOMES = {Outcome.FIRES: "a card", Outcome.NO: "no card", Outcome.UNKNOWN: "unknown"}


def _unknown_differences(
    expect: Expectation, evaluation: Evaluation
) -> Iterator[Difference]:
    because = {each.fact for each in evaluation.reasons}
    missing = expect.unknown_because - because
    if missing:
        wanted, got = _listed(missing), _listed(because)
        said = f"expected to be unknown because of {wanted}, got {got}"
        yield Difference("because", said, wanted, got)


def _severity_difference(
    expect: Expectation, evaluation: Evaluation
) -> Iterator[Difference]:
    assert evaluation.card
    severity = severity_of(evaluation, evaluation.card).name.lower()
    if severity != expect.card:
        said = f"expected a card of severity {expect.card}, got {severity}"
        yield Difference("severity", said, expect.card, severity)


def _action_difference(
    expect: Expectation, evaluation: Evaluation
) -> Iterator[Difference]:
    if expect.system_actions is None:
        return
    assert evaluation.card
    actions = build_system_actions(evaluation.card, evaluation)
    got = tuple(each.description for each in actions)
    if got != expect.system_actions:
        wanted = "; ".join(expect.system_actions) or "none"
        sent = "; ".join(got) or "none"
        said = f"expected the system actions {wanted!r}, got {sent!r}"
        yield Difference("system_actions", said, wanted, sent)


def _word_differences(expect: Expectation, built: BuiltCard) -> Iterator[Difference]:
    card = built.card
    summary = _flat(expect.summary)
    if summary and summary != card.summary:
        said = f"expected the summary {summary!r}, got {card.summary!r}"
        yield Difference("summary", said, summary, card.summary)
    detail = _flat(card.detail)
    for text in expect.detail_contains:
        if _flat(text) not in detail:
            said = f"expected {text!r} in the detail, got {card.detail!r}"
            yield Difference("detail", said, text, card.detail)
    for text in expect.detail_lacks:
        if _flat(text) in detail:
            said = f"did not expect {text!r} in the detail, got {card.detail!r}"
            yield Difference("detail", said, "", text)


def _flat(text: str) -> str:
    """The text on one line: where a template breaks its lines means nothing."""
    return " ".join(text.split())


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
