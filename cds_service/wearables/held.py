"""Items of wearers whom nobody knows yet, as they are held: as JSON, and back. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from enum import Enum
from hashlib import blake2b
from typing import Any

from .samples import (
    Context,
    Device,
    Flag,
    Notice,
    Removal,
    Sample,
    SourceWearer,
    Stat,
    microseconds,
)

Holdable = Sample | Notice | Removal
KINDS: Mapping[str, type[Sample] | type[Notice] | type[Removal]] = {
    "sample": Sample,
    "notice": Notice,
    "removal": Removal,
}


def held_json(item: Holdable) -> dict[str, Any]:
    """Return an item as JSON; what is as it is by default is left out."""
    told: dict[str, Any] = {"kind": type(item).__name__.lower()}
    for each in fields(item):
        value = getattr(item, each.name)
        if value != each.default:
            told[each.name] = _as_json(value)
    return told


def read_held(told: Mapping[str, Any]) -> Holdable:
    """Return the item that was held."""
    kind = KINDS[told["kind"]]
    readers = _READERS | ({"stat": Stat} if kind is Sample else {})
    read = {
        name: readers[name](value) if name in readers else value
        for name, value in told.items()
        if name != "kind"
    }
    return kind(**read)


def held_key(item: Holdable) -> bytes:
    """Return 16 bytes that tell an item from all others of its wearer.

    Another revision of the same has the same.
    """
    match item:
        case Sample():
            start = "" if item.source_id else str(microseconds(item.start))
            told = ("sample", f"{item.metric}/{item.unit}", item.key.hex(), start)
        case Notice():
            told = ("notice", item.type, item.id, "")
        case Removal():
            ends = (str(each and microseconds(each)) for each in (item.start, item.end))
            told = ("removal", item.metric, item.source_id, "/".join(ends))
    return blake2b("\0".join(told).encode(), digest_size=16).digest()


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Device | SourceWearer):
        told = asdict(value) if isinstance(value, Device) else value._asdict()
        return {name: text for name, text in told.items() if text}
    return value.value if isinstance(value, Enum) else value


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_READERS: dict[str, Any] = {
    "start": _moment,
    "end": _moment,
    "wearer": lambda told: SourceWearer(**told),
    "device": lambda told: Device(**told),
    "context": Context,
    "flags": Flag,
}
