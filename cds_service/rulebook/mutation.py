"""Mutants of a rule: small mistakes, one each, that its tests should notice."""

from dataclasses import dataclass

from .document import Document, Position


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one small mistake."""

    position: Position
    change: str
    """``45 -> 47.25``, ``window removed``."""
    document: Document


@dataclass(frozen=True, slots=True)
class Mutation:
    """What the tests of one rule noticed."""

    rule: str
    file: str
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
