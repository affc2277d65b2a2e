"""A call and its answer as a fixture case, so that it can be played again.

Times become tokens such as ``@now-6h`` or ``@today-40d``, which keeps the case true on
another day. No token and no address of a FHIR server is written.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..protocol.conformance import Reply, read_json
from .prefetch import Prefetched
from .records import load_records

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})"
)
_NO_TIMES = frozenset(
    "id value code display text reference versionId system div url summary".split()
)
"""Members whose text is no time even where it looks like one."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Unsaved(Exception):
    """The case could not be written; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Played:
    """A call that was made, and what came of it."""

    request: Mapping[str, Any]
    chart: Prefetched
    """All that was read for it, sent or not."""
    reply: Reply
    now: datetime
    server: str
    """Base of the FHIR server."""
    secrets: tuple[str, ...] = field(default=(), repr=False)


def refuse_taken(folder: Path) -> None:
    """Raises Unsaved if there is something where the case is to be."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Unsaved(f"{folder} is no folder; name one that is not there yet.")
    if folder.is_dir() and any(folder.iterdir()):
        raise Unsaved(f"{folder} holds something already; name an empty folder.")


def save_case(folder: Path, played: Played) -> list[Path]:
    """Writes the case; the files that were written, which only their owner can read.

    Raises:
        Unsaved: if the folder is taken, cannot be written, or a secret would be.
    """
    refuse_taken(folder)
    texts = {name: f"{as_text(each)}\n" for name, each in build_case(played).items()}
    for secret in played.secrets:
        if secret and any(secret in text for text in texts.values()):
            raise Unsaved("Nothing was saved: the token stands in what was read.")
    written = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(folder / name, flags, 0o600), "w", encoding="utf-8") as f:
                f.write(text)
            written.append(folder / name)
    except OSError as error:
        raise Unsaved(f"{folder} cannot be written: {error.strerror}") from error
    return written


def build_case(played: Played) -> dict[str, Any]:
    """The files of a case by name, as data.

    The prefetch is part of the request only where the chart was not read whole.
    """
    request = {
        name: played.request[name]
        for name in ("hook", "hookInstance", "context", "prefetch")
        if name in played.request
    }
    chart = _chart(played.chart.values.values(), played.server)
    if played.chart.is_complete:
        request.pop("prefetch", None)
    files = {"request.json": request, "chart.json": chart}
    timed = {
        name: _tokens(_relative(each, played.server), played.now)
        for name, each in files.items()
    }
    return {**timed, "response.json": _expected(played.reply)}


def _chart(values: Iterable[Any], server: str) -> dict[str, Any]:
    """Everything that was read, each resource once, linked by ``Type/id``."""
    entries: dict[str, dict[str, Any]] = {}
    for value in values:
        for resource in _resources(value):
            name = f"{resource['resourceType']}/{resource.get('id')}"
            fallback = {"fullUrl": f"{server}/{name}", "resource": resource}
            entries.setdefault(name, fallback)
    bundle = {"resourceType": "Bundle", "entry": list(entries.values())}
    by_type = load_records([bundle]).by_type
    held = [each for kind in by_type.values() for each in kind.values()]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": dict(each)} for each in held],
    }


def _resources(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        return []
    if value.get("resourceType") != "Bundle":
        found: list[Any] = [value]
    else:
        entries = value.get("entry")
        listed = entries if isinstance(entries, list) else []
        found = [each.get("resource") for each in listed if isinstance(each, Mapping)]
    return [
        dict(each)
        for each in found
        if isinstance(each, Mapping)
        and isinstance(each.get("resourceType"), str)
        and each["resourceType"] != "OperationOutcome"
    ]


def _expected(reply: Reply) -> dict[str, Any]:
    body = read_json(reply.content).value
    value = body if isinstance(body, dict) else {}
    if reply.status == 200:
        cards = value.get("cards")
        listed = cards if isinstance(cards, list) else []
        shown = [_card(each) for each in listed if isinstance(each, Mapping)]
        return {"status": 200, "cards": shown}
    issues = value.get("issue")
    listed = issues if isinstance(issues, list) else []
    texts = [
        each["details"].get("text")
        for each in listed
        if isinstance(each, Mapping) and isinstance(each.get("details"), Mapping)
    ]
    told = [each for each in texts if isinstance(each, str)]
    return {"status": reply.status, "outcome_contains": told}


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: card.get(name) for name in ("summary", "indicator")}
    suggestions = card.get("suggestions")
    if isinstance(suggestions, list) and suggestions:
        labels = [each.get("label") for each in suggestions if isinstance(each, dict)]
        return {**shown, "suggestions": labels}
    return shown


def _relative(value: Any, server: str) -> Any:
    """The value without the FHIR server's address."""
    if isinstance(value, dict):
        return {
            name: _relative(each, server)
            for name, each in value.items()
            if name != "fullUrl"
        }
    if isinstance(value, list):
        return [_relative(each, server) for each in value]
    return value.removeprefix(f"{server}/") if isinstance(value, str) else value


def _tokens(value: Any, now: datetime, name: str = "") -> Any:
    """The value with its times counted from *now*."""
    if isinstance(value, dict):
        return {key: _tokens(each, now, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_tokens(each, now, name) for each in value]
    if not isinstance(value, str):
        return value
    if name not in _NO_TIMES and _DATE.fullmatch(value):
        return _day(value, now)
    if name not in _NO_TIMES and _MOMENT.fullmatch(value):
        return _moment(value, now)
    # A text that begins with @ would be taken for a time.
    return f" {value}" if value.startswith("@") else value


def _day(text: str, now: datetime) -> str:
    try:
        days = (date.fromisoformat(text) - now.date()).days
    except ValueError:
        return text
    return f"@today{days:+}d" if days else "@today"


def _moment(text: str, now: datetime) -> str:
    try:
        apart = datetime.fromisoformat(text) - now
    except ValueError:
        return text
    seconds = round(apart.total_seconds())
    if seconds == 0:
        return "@now"
    size, unit = next(each for each in _UNITS if seconds % each[0] == 0)
    return f"@now{seconds // size:+}{unit}"


def as_text(value: Any) -> str:
    """Plain data as JSON text that can be written anywhere."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Half of a surrogate pair is legal in JSON, and no character.
    return text.encode("utf-8", "replace").decode()
