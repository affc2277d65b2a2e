"""Reading: what was found wrong, and what was forgiven, while JSON is read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from .errors import Problem

MOST_ITEMS = 10
"""Wrong items that are named in one array; a longer list helps nobody."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The problems and deviations of one message, collected as it is read."""

    strict: bool = False
    """Whether a deviation is a problem."""
    problems: list[Problem] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)

    def wrong(self, path: str, text: str) -> None:
        """Notes a problem at *path*, such as ``$.context.patientId``."""
        self.problems.append(Problem(f"{path}: {text}", path))

    def wrong_items(self, path: str, indexes: Iterable[int], text: str) -> None:
        """Notes the first few wrong items of the array at *path*."""
        for index in islice(indexes, MOST_ITEMS):
            self.wrong(f"{path}[{index}]", text)

    def deviates(self, path: str, text: str) -> None:
        """Notes something at *path* that is forgiven, or under strict is not."""
        if self.strict:
            self.wrong(path, text)
        else:
            self.deviations.append(f"{path}: {text}")
