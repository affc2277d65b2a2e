"""The answer to a delivery, item by item."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..wearables.adapters.items import Rejected
from .delivery import Reply

Accepted = Mapping[int, Mapping[str, Any]]
"""What is said of each good item, by its place in the delivery."""


def reply_of(accepted: Accepted, rejected: Sequence[Rejected]) -> Reply:
    """What is answered where something is stored; items in the delivery's order."""
    results = [{"index": index, **told} for index, told in accepted.items()]
    results += map(rejection, rejected)
    results.sort(key=lambda each: int(each["index"]))
    counts = {"accepted": len(accepted), "rejected": len(rejected)}
    return Reply(202, {**counts, "results": results})


def problems_of(rejected: Sequence[Rejected]) -> Iterator[Any]:
    """Everything that is wrong with any item."""
    for item in rejected:
        yield from item.problems


def rejection(item: Rejected) -> dict[str, Any]:
    """One item that cannot be stored, and why."""
    problems = [
        {"expression": each.expression, "text": each.text} for each in item.problems
    ]
    named = {"id": item.id} if item.id else {}
    return {
        "index": item.index,
        **named,
        "status": "rejected",
        "problems": problems,
    }
