"""The params of a rule, held to their own bounds and units."""

from collections.abc import Mapping
from typing import Any

from ..language.diagnostics import Findings
from ..language.document import Document
from ..language.slips import check_unit
from ..values.intervals import Duration
from .limits import number_or_duration, size


def check_param(
    document: Document,
    name: str,
    default: float | Duration,
    findings: Findings,
) -> None:
    """Report what of a param does not fit together: bounds, default and unit.

    Bounds that shut out the rule's own default would let no site return to it.
    """
    path = ("params", name)
    body: Mapping[str, Any] = document.value(path)
    if "unit" in body:
        check_unit(body["unit"], document, (*path, "unit"), findings)
    bounds = {
        word: number_or_duration(body[word]) for word in ("min", "max") if word in body
    }
    for word, bound in bounds.items():
        if isinstance(bound, Duration) is not isinstance(default, Duration):
            message = f"`{word}` and `default` are not of one kind"
            help = "write both as numbers, or both as durations"
            findings.error(document, (*path, word), "CDS310", message, help)
            return
    low, high = (bounds.get(word) for word in ("min", "max"))
    if low is not None and high is not None and size(low) > size(high):
        message = f"`min` is more than `max`: {body['min']} to {body['max']}"
        findings.error(document, (*path, "min"), "CDS310", message, "swap them")
        return
    outside = (low is not None and size(default) < size(low)) or (
        high is not None and size(default) > size(high)
    )
    if outside:
        between = f"{body.get('min', '…')} to {body.get('max', '…')}"
        message = f"{body['default']} is outside the rule's own bounds: {between}"
        help = "move the default or the bound"
        findings.error(document, (*path, "default"), "CDS310", message, help)
