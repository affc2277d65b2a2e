"""The params of a file: what it says of them, and what a site makes of them."""

from collections.abc import Mapping
from typing import Any, Protocol

from ..engine.rules import Param
from ..language.criterion_tree import Amount
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit
from ..language.tree import ParamNode
from ..values.intervals import Duration, parse_duration, size


class Tuned(Protocol):
    """A file with params: a rule or a detector."""

    @property
    def document(self) -> Document: ...

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> Mapping[str, ParamNode]: ...


class ParamBuilder:
    """Builds the params of one rule or detector."""

    def __init__(
        self,
        tuned: Tuned,
        site_document: Document | None,
        findings: Findings,
        kind: str = "rule",
    ) -> None:
        self.tuned = tuned
        self.site_document = site_document
        self.findings = findings
        self.kind = kind
        self.path: Path = (f"{kind}s", tuned.name, "params")
        """Where ``site.yaml`` tunes them."""
        local = site_document.value(self.path) if site_document else None
        self.local: Mapping[str, Any] = local or {}

    def build(self) -> dict[str, Param]:
        """Every param that could be built, with the value that holds at the site."""
        params = {}
        for name, node in self.tuned.params.items():
            value = self._value(node)
            if value is not None:
                params[name] = Param(name, value, node.unit)
        for name in self.local:
            if name not in params:
                message = f"the {self.kind} has no param {quote(name)}"
                self._site_error(name, message, suggest(name, params) or "remove it")
        return params

    def _value(self, node: ParamNode) -> float | Duration | None:
        default = node.default.quantity
        if default is None:
            written = quote(node.default.written)
            message = f"{written} is neither a number nor a duration"
            help = "write a number, or e.g. `7 days`"
            self._error(node.default.path, "CDS222", message, help)
            return None
        self._check(node, default)
        if node.name not in self.local:
            return default
        written = self.local[node.name]
        value = number_or_duration(written)
        if value is None or isinstance(value, Duration) is not isinstance(
            default, Duration
        ):
            has = node.default.written
            message = f"{quote(written)} does not fit; the {self.kind} has {has}"
            self._site_error(node.name, message, "write a value of the same kind")
            return default
        if _is_outside(value, node):
            allowed = f"what the {self.kind} allows: {_bounds(node)}"
            message = f"{written} is outside {allowed}"
            help = (
                f"choose a value within the bounds, or have the {self.kind} itself"
                " changed"
            )
            self._site_error(node.name, message, help)
        return value

    def _check(self, node: ParamNode, default: float | Duration) -> None:
        """Report what of a param does not fit together: bounds, default and unit.

        Bounds that shut out the rule's own default would let no site return to it.
        """
        if node.unit:
            check_unit(
                node.unit, self.tuned.document, (*node.path, "unit"), self.findings
            )
        for word, bound in (("min", node.least), ("max", node.most)):
            of_time = bound and isinstance(bound.quantity, Duration)
            if bound and of_time is not isinstance(default, Duration):
                message = f"`{word}` and `default` have different types"
                help = "write both as numbers, or both as durations"
                self._error(bound.path, "CDS310", message, help)
                return
        low, high = _quantity(node.least), _quantity(node.most)
        if low is not None and high is not None and size(low) > size(high):
            message = f"`min` is more than `max`: {_bounds(node)}"
            self._error((*node.path, "min"), "CDS310", message, "swap them")
        elif _is_outside(default, node):
            written, bounds = node.default.written, _bounds(node)
            message = f"{written} is outside the {self.kind}'s own bounds: {bounds}"
            help = "correct the default or the bound"
            self._error(node.default.path, "CDS310", message, help)

    def _error(self, path: Path, code: str, message: str, help: str) -> None:
        self.findings.error(self.tuned.document, path, code, message, help)

    def _site_error(self, name: str, message: str, help: str) -> None:
        assert self.site_document is not None
        where = (*self.path, name)
        self.findings.error(self.site_document, where, "CDS018", message, help)


def _quantity(amount: Amount | None) -> float | Duration | None:
    return amount.quantity if amount else None


def _is_outside(value: float | Duration, node: ParamNode) -> bool:
    low, high = _quantity(node.least), _quantity(node.most)
    return (low is not None and size(value) < size(low)) or (
        high is not None and size(value) > size(high)
    )


def _bounds(node: ParamNode) -> str:
    """The bounds as they are written."""
    said = (each.written if each else "…" for each in (node.least, node.most))
    return " to ".join(map(str, said))


def number_or_duration(value: Any) -> float | Duration | None:
    """Return what the value in ``site.yaml`` is; None if it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    return float(value) if isinstance(value, int | float) else parse_duration(value)
