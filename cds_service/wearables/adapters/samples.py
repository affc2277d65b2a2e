"""The project's own format of readings: a delivery of samples.

::

    {"samples": [{"patient": "123", "metric": "heart-rate",
                  "value": 112, "unit": "/min", "start": "2026-11-22T08:05:00-05:00",
                  "end": "2026-11-22T08:06:00-05:00",
                  "device": {"id": "w-1", "name": "Watch", "app": "Sync"},
                  "id": "hr-88121", "rev": 1, "stat": "mean", "context": "rest",
                  "flags": ["manual"]}]}

``metric``, ``value``, ``unit`` and ``start`` are required. Who wore it is ``patient``,
or ``user`` as the source calls them, or whoever the sender may speak of. ``time_zone``
and ``utc_offset`` say what the wearer's clock showed, as with alerts. What was told is
changed by telling it again; where it has a ``rev``, a higher one holds. ``"deleted":
true`` takes it back, by its ``id`` or by ``metric``, ``start`` and ``end``.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..clock import find_zone
from ..metrics import Catalogue, Metric, Unmeasured, measure
from ..samples import (
    BOUNDS,
    NO_DEVICE,
    Context,
    Device,
    Flag,
    Item,
    LeftOut,
    Removal,
    Sample,
    SourceWearer,
    Stat,
)
from .members import Members, Sender
from .reading import (
    LARGEST_REVISION,
    LONGEST_ID,
    LONGEST_NAME,
    usual_flags,
    usual_stat,
)

MOST_ITEMS = 1000
FLAGS = {str(each.name).lower().replace("_", "-"): each for each in Flag}
REASONS: Mapping[str, str] = {
    "patient": "wearer",
    "user": "wearer",
    "metric": "metric",
    "unit": "unit",
    "start": "time",
    "end": "time",
    "time_zone": "time",
    "utc_offset": "time",
}
"""Why an item is left out, by what is wrong in it; ``malformed`` for the rest."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what a delivery says, an item each.

    Raises:
        Unprocessable: if it is none, or holds more than a thousand.
    """
    usual = find_zone(sender.time_zone)
    for index, item in enumerate(_items(body)):
        path = f"$.samples[{index}]"
        if isinstance(item, dict):
            yield _item(Members(item, path), usual, catalogue, path)
        else:
            yield LeftOut("malformed", Problem("Must be an object.", path))


def _items(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        raise Unprocessable(Problem("Must be an object.", "$"))
    items = body.get("samples")
    if not isinstance(items, list) or not items:
        raise Unprocessable(Problem("Must be a list of samples.", "$.samples"))
    if len(items) > MOST_ITEMS:
        text = f"A delivery holds at most {MOST_ITEMS} samples."
        raise Unprocessable(Problem(text, "$.samples"))
    return items


def _item(
    members: Members, usual: tzinfo | None, catalogue: Catalogue, path: str
) -> Item:
    if members.flag("deleted"):
        return _removal(members, usual, catalogue, path)
    members.require("metric", "value", "unit", "start")
    metric = _metric(members, catalogue)
    number, unit = members.number("value"), members.text("unit", 64)
    start, end, local = _times(members, usual)
    id, wearer, device = _id(members), _wearer(members), _device(members)
    stat = members.choice("stat", tuple(Stat))
    context = members.choice("context", tuple(Context))
    flags, revision = _flags(members), members.whole("rev", LARGEST_REVISION)
    if members.problems or not metric or number is None or not start or not end:
        return _left_out(members, id)
    try:
        value = measure(metric, number, unit)
    except Unmeasured as error:
        member = "unit" if error.reason == "unit" else "value"
        return LeftOut(error.reason, Problem(str(error), f"{path}.{member}"), id)
    return Sample(
        metric.name,
        value,
        metric.unit,
        start,
        end,
        local,
        wearer,
        device,
        id,
        revision or 0,
        Stat(stat) if stat else usual_stat(metric, start, end),
        Context(context),
        flags | usual_flags(metric, start, end),
        path,
    )


def _removal(
    members: Members, usual: tzinfo | None, catalogue: Catalogue, path: str
) -> Item:
    if not members.has("id"):
        members.require("metric", "start", "end")
    metric = _metric(members, catalogue)
    start, end, _ = _times(members, usual)
    id, wearer = _id(members), _wearer(members)
    revision = members.whole("rev", LARGEST_REVISION)
    if members.problems:
        return _left_out(members, id)
    name = metric.name if metric else ""
    return Removal(wearer, name, id, start, end, revision or 0, path)


def _left_out(members: Members, id: str) -> LeftOut:
    first, *others = members.problems
    member = first.expression.rpartition(".")[2]
    rest = "; ".join(f"{each.expression}: {each.text}" for each in others)
    problem = Problem(first.text, first.expression, rest)
    return LeftOut(REASONS.get(member, "malformed"), problem, id)


def _metric(members: Members, catalogue: Catalogue) -> Metric | None:
    return catalogue.metrics.get(members.choice("metric", tuple(catalogue.metrics)))


def _id(members: Members) -> str:
    return members.identifier("id", LONGEST_ID)


def _wearer(members: Members) -> SourceWearer:
    user = members.identifier("user", LONGEST_ID)
    return SourceWearer(members.patient("patient"), user)


def _times(
    members: Members, usual: tzinfo | None
) -> tuple[datetime | None, datetime | None, bool]:
    """Start, end, and whether both are on the wearer's clock."""
    start, end = members.stamp("start"), members.stamp("end")
    if start is None:
        return None, end.at if end else None, False
    begun, local = members.on_clock("start", start, usual)
    if end is None:
        return begun, begun, local
    if end.at < start.at:
        members.refuse("end", "Must not be before the start.")
    return begun, end.at if end.local else end.at.astimezone(begun.tzinfo), local


def _device(members: Members) -> Device:
    """What measured: an object, or its name alone."""
    inside = members.inside("device")
    if inside is None:
        name = members.text("device", LONGEST_NAME)
        return Device(name=name) if name else NO_DEVICE
    return Device(
        inside.identifier("id", LONGEST_ID),
        inside.text("name", LONGEST_NAME),
        inside.text("app", LONGEST_NAME),
    )


def _flags(members: Members) -> Flag:
    found = Flag(0)
    for name in members.choices("flags", tuple(FLAGS)):
        found |= FLAGS[name]
    if found & BOUNDS == BOUNDS:
        members.refuse("flags", "Must not be both below and above a number.")
    return found
