"""The tests of the trend of readings, out of the ``when`` of a rule file."""

from collections.abc import Callable, Mapping
from typing import Any

from ..engine import trend
from ..engine.facts import Fact, Predicate
from ..language.diagnostics import Findings, quote
from ..language.document import Document, Path
from ..values.intervals import Duration
from .limits import LimitReader, words

Built = tuple[str, Path, Predicate]
"""How a test reads, where it stands, and its predicate."""


class TrendBuilder:
    """Builds ``sustained``, ``on_days``, ``rise``, ``fall`` and ``repeated``."""

    def __init__(
        self, document: Document, limits: LimitReader, findings: Findings
    ) -> None:
        self.document = document
        self.limits = limits
        self.findings = findings
        self.sustained: dict[str, Duration] = {}
        """The period of each fact's ``sustained`` test."""
        self.changes: dict[str, Duration] = {}
        """The longest period of each fact's ``rise`` and ``fall`` tests."""

    def build(
        self, fact: Fact, name: str, body: Mapping[str, Any], path: Path
    ) -> Built | None:
        """The test *name* of a fact; None where it has an error."""
        if name in _BUILDERS:
            return _BUILDERS[name](self, fact, body, path)
        return self._change(fact, name, body, path)

    def _sustained(
        self, fact: Fact, body: Mapping[str, Any], path: Path
    ) -> Built | None:
        limit = self.limits.single(fact, body, path)
        period = self.limits.duration(body["for"], (*path, "for"))
        if limit is None or period is None:
            return None
        self.sustained[fact.name] = period
        share, readings = body.get("share", 1.0), body.get("readings", 3)
        predicate = trend.sustained(fact, limit, period, share, readings)
        return f"sustained {words(limit, '', fact)} for {period}", path, predicate

    def _on_days(self, fact: Fact, body: Mapping[str, Any], path: Path) -> Built | None:
        limit = self.limits.single(fact, body, path)
        if limit is None:
            return None
        predicate = trend.on_days(fact, limit, body["days"])
        return f"{words(limit, '', fact)} on {body['days']} days", path, predicate

    def _repeated(
        self, fact: Fact, body: Mapping[str, Any], path: Path
    ) -> Built | None:
        limit = self.limits.single(fact, body, path)
        times = self.limits.number(body["times"], (*path, "times"))
        apart = self.limits.duration(body["apart"], (*path, "apart"))
        if limit is None or times is None or apart is None:
            return None
        predicate = trend.repeated(fact, limit, times, apart)
        said = f"{words(limit, '', fact)} {times:g} times, {apart} apart"
        return f"repeated {said}", path, predicate

    def _change(
        self, fact: Fact, name: str, body: Mapping[str, Any], path: Path
    ) -> Built | None:
        limit = self.limits.single(fact, body, path)
        over = self.limits.duration(body["over"], (*path, "over"))
        if limit is None or over is None:
            return None
        windows = [part.window.length for part in fact.simple() if part.window]
        shortest = min(windows, key=lambda each: each.length, default=over)
        if over.length > shortest.length:
            self.findings.error(
                self.document,
                (*path, "over"),
                "CDS308",
                f"`over` is {over}, but {quote(fact.name)} reads only {shortest}",
                "make the fact's `within` longer, or `over` shorter",
            )
            return None
        longest = self.changes.get(fact.name)
        if longest is None or over.length > longest.length:
            self.changes[fact.name] = over
        predicate = trend.changed(fact, name, limit, over)
        return f"{name} {words(limit, '', fact)} over {over}", path, predicate


_BUILDERS: Mapping[
    str, Callable[[TrendBuilder, Fact, Mapping[str, Any], Path], Built | None]
] = {
    "sustained": TrendBuilder._sustained,
    "on_days": TrendBuilder._on_days,
    "repeated": TrendBuilder._repeated,
}
