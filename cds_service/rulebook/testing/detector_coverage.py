"""What the tests of a detector have seen of it: how it opens, how it ends, and why not.

What is counted is what came of the readings of a case, and not what it expects.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ...wearables.detection.episodes import Closing
from .detector_examples import DetectorExample
from .detector_runner import Detected, DetectorRunner
from .notation import ExampleError

_ENDS = {
    Closing.LASTS: "an episode lasts",
    Closing.RECOVERED: "an episode recovers",
    Closing.NO_DATA: "an episode ends without data",
}
SEEN = (
    "an episode opens",
    "nothing is detected",
    "something is not judged",
    *_ENDS.values(),
    "an episode is history",
)
OWN = "a patient has a limit of their own"


@dataclass(frozen=True, slots=True)
class DetectorCoverage:
    """One detector, and in how many of its cases what was seen."""

    detector: str
    file: str
    cases: int
    """How many were played; one that cannot be is not."""
    seen: Mapping[str, int]

    @property
    def never(self) -> tuple[str, ...]:
        """Return what no case has seen."""
        return tuple(what for what, times in self.seen.items() if not times)


def cover_detector(
    runner: DetectorRunner, name: str, examples: Iterable[DetectorExample]
) -> DetectorCoverage:
    """Return what the cases of a detector have seen of it.

    Raises:
        ExampleError: if there is no such detector, or it does not compile.
    """
    tree = runner.tree(name)
    runner.compile(tree, {})
    seen = dict.fromkeys((*SEEN, OWN) if tree.own else SEEN, 0)
    played = 0
    for example in examples:
        try:
            found = runner.detect(example)
        except ExampleError:
            continue
        played += 1
        for what in set(_told(example, found)) & seen.keys():
            seen[what] += 1
    return DetectorCoverage(name, tree.document.file, played, seen)


def _told(example: DetectorExample, found: Detected) -> Iterator[str]:
    opens, nothing, not_judged = SEEN[:3]
    if found.not_judged:
        yield not_judged
    yield opens if found.episodes else nothing
    for new in found.episodes:
        yield _ENDS[new.episode.closing]
        if new.historical:
            yield SEEN[-1]
    if example.own_limit is not None:
        yield OWN
