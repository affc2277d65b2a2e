"""Items as JSON, as they are printed and held; a sample as the own format reads it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..samples import Device, Item, Notice, Removal, Sample
from .samples import FLAGS


def item_as_json(item: Item) -> dict[str, Any]:
    """Return an item as it is written; a sample so that this format reads it."""
    match item:
        case Sample():
            return {"kind": "sample", **_sample_as_json(item)}
        case Removal():
            return {"kind": "removal", **_removal_as_json(item)}
        case Notice():
            return {"kind": "notice", **_notice_as_json(item)}
    written = {"reason": item.reason, "text": item.problem.text, "id": item.id}
    return {"kind": "left-out", "path": item.problem.expression, **_told(written)}


def _sample_as_json(sample: Sample) -> dict[str, Any]:
    measured = {"metric": sample.metric, "value": sample.value, "unit": sample.unit}
    start, end = _written(sample.start, sample.local), ""
    if sample.end != sample.start:
        end = _written(sample.end, sample.local)
    rest = {
        "start": start,
        "end": end,
        **sample.wearer._asdict(),
        "device": _device_as_json(sample.device),
        "id": sample.source_id,
        "rev": sample.revision,
        "stat": str(sample.stat),
        "context": str(sample.context),
        "flags": [name for name, each in FLAGS.items() if each in sample.flags],
        "path": sample.path,
    }
    return measured | _told(rest)


def _removal_as_json(removal: Removal) -> dict[str, Any]:
    times = {
        name: at.isoformat()
        for name, at in (("start", removal.start), ("end", removal.end))
        if at
    }
    rest = {
        "metric": removal.metric,
        "id": removal.source_id,
        **times,
        **removal.wearer._asdict(),
        "rev": removal.revision,
        "path": removal.path,
    }
    return {"deleted": True, **_told(rest)}


def _notice_as_json(notice: Notice) -> dict[str, Any]:
    end = _written(notice.end, notice.local) if notice.end else ""
    status = "closed" if notice.end else "open"
    numbers = {
        name: told
        for name in ("value", "threshold", "n")
        if (told := getattr(notice, name)) is not None
    }
    rest = {
        "end": end,
        **numbers,
        "stat": notice.stat,
        **notice.wearer._asdict(),
        "device": _device_as_json(notice.device),
        "rev": notice.revision,
        "path": notice.path,
    }
    return {
        "type": notice.type,
        "id": notice.id,
        "status": "retracted" if notice.retracted else status,
        "start": _written(notice.start, notice.local),
        **{name: each for name, each in rest.items() if each or name in numbers},
    }


def _device_as_json(device: Device) -> dict[str, str]:
    return _told({"id": device.id, "name": device.name, "app": device.app})


def _told(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if each}


def _written(at: datetime, local: bool) -> str:
    """Return the time with its offset, or in UTC with a Z that says no more."""
    if local:
        return at.isoformat()
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
