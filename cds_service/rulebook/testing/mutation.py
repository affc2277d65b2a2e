"""Mutation testing: which small mistakes in a rule its tests would not notice."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from ..engine.rulebook import ServiceRules
from ..language.document import Document
from .example_runner import ExampleRunner, Scene
from .examples import Example
from .mutants import Mutant, build_mutants
from .notation import ExampleError
from .one_rule import OneRule


@dataclass(frozen=True, slots=True)
class Mutation:
    """What the tests of one rule noticed."""

    document: Document
    killed: int
    survivors: tuple[Mutant, ...]

    @property
    def count(self) -> int:
        """How many mutants there were; those that do not compile are none."""
        return self.killed + len(self.survivors)

    @property
    def score(self) -> float:
        """The share that was noticed, from 0 to 1; 1 where there was none."""
        return self.killed / self.count if self.count else 1.0


def mutate(runner: ExampleRunner, rule: str, examples: Iterable[Example]) -> Mutation:
    """What the *examples* of a rule notice of its mutants.

    Those that fail or are marked ``todo`` take no part.

    Raises:
        ExampleError: if there is no such rule, or it does not compile.
    """
    one = runner.rule(rule)
    one.compile({})
    passing = [
        each for each in examples if not each.todo and not runner.differences(each)
    ]
    scenes = [runner.scene(each) for each in passing]
    killed, survivors = 0, []
    for mutant in build_mutants(one.document):
        noticed = _is_noticed(one, mutant, scenes)
        killed += noticed is True
        if noticed is False:
            survivors.append(mutant)
    return Mutation(one.document, killed, tuple(survivors))


def _is_noticed(one: OneRule, mutant: Mutant, scenes: list[Scene]) -> bool | None:
    """Whether a scene tells the mutant from the rule; None if it does not compile.

    The scene that does comes first from then on: mutants are often noticed by the same.
    """
    services: dict[str, ServiceRules] = {}
    try:
        services["{}"] = one.compile({}, mutant.document)
    except ExampleError:
        return None
    for index, scene in enumerate(scenes):
        params = scene.example.params
        key = json.dumps(params, sort_keys=True)
        if key not in services:
            services[key] = one.compile(params, mutant.document)
        if any(scene.differences(services[key], words=False)):
            scenes.insert(0, scenes.pop(index))
            return True
    return False
