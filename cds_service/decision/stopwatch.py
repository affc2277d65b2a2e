"""What the answer to one call spent where."""

from time import perf_counter


class Stopwatch:
    """Times one phase after another, and what is fetched beside them; from its making.

    All times are seconds.
    """

    def __init__(self) -> None:
        self._began = perf_counter()
        self._phase = ""
        self._since = self._began
        self.phases: dict[str, float] = {}
        """In the order in which they ended."""
        self.fetched: dict[str, float] = {}
        """By prefetch key."""

    def enter(self, phase: str) -> None:
        """End the phase before and begin another; an empty name begins none."""
        now = perf_counter()
        if self._phase:
            before = self.phases.get(self._phase, 0.0)
            self.phases[self._phase] = before + now - self._since
        self._phase, self._since = phase, now

    def note_fetch(self, key: str, seconds: float) -> None:
        """Note how long a fetch took; of several for one key, the longest counts."""
        self.fetched[key] = max(seconds, self.fetched.get(key, 0.0))

    @property
    def traceparent(self) -> str:
        """The trace that a fetch belongs to, for its server; empty where none is.

        Source: W3C Trace Context.
        """
        return ""

    @property
    def elapsed(self) -> float:
        """Since it was made."""
        return perf_counter() - self._began
