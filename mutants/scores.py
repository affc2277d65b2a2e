"""Scores: what the tests of a module were found worth, and of which code each score is.

A score is of the statements of its module, and of the version of what mutates them.
When one of these changes, it is a score of older code until the module is run again.
Comments and docstrings do not count, for they are not mutated. Tests do not count
either: those that come can only notice more, and after some have gone all is run again
by hand.
"""

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Room, module, then ``mutants``, ``noticed`` and the digest ``code``."""
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def digest(source: str, tools: str = "") -> str | None:
    """Return what tells code from older code; None where there is no function.

    *tools* is the text that names the version of what mutates it.
    """
    tree = ast.parse(source)
    found = [each for each in ast.walk(tree) if isinstance(each, DOCUMENTED)]
    for each in found:
        if ast.get_docstring(each, clean=False) is not None:
            each.body = each.body[1:] or [ast.Pass()]
    if not any(isinstance(each, ast.FunctionDef) for each in found):
        return None
    text = f"{tools}\n{ast.unparse(tree)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Account:
    """Modules, by what their scores are of."""

    current: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()

    @property
    def to_run(self) -> tuple[str, ...]:
        """The modules of which nothing is known as they are."""
        return self.older + self.unscored

    def __str__(self) -> str:
        count = len(self.current)
        said = "1 module has" if count == 1 else f"{count} modules have"
        return "\n".join(
            [
                f"{said} a score of the code as it is",
                *(f"score of older code: {each}" for each in self.older),
                *(f"no score: {each}" for each in self.unscored),
            ]
        )


def account(scores: Scores, code: Mapping[str, Mapping[str, str]]) -> Account:
    """Return how *scores* stand beside the digests of the *code* of each room."""
    current, older, unscored = [], [], []
    for room, modules in code.items():
        for module, now in modules.items():
            known = scores.get(room, {}).get(module)
            if known is None:
                unscored.append(module)
            else:
                (current if known.get("code") == now else older).append(module)
    return Account(tuple(current), tuple(older), tuple(unscored))
