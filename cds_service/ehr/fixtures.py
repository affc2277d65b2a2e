"""Fixture cases: small written patients that the demo, ``call`` and tests share.

A case is a folder with ``request.json``, ``chart.json``, ``alerts.json`` and
``response.json``, each optional but the first. Times are written relative to the moment
of play, as ``@now-6h`` or ``@today-40d``, so that a case stays true.
"""

import json
import os
import re
from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ..fhir.entries import is_resource, total_of
from ..protocol.conformance import Reply, read_json
from ..protocol.prefetch_tokens import Filling
from .fixture_server import Records, answer, load_records
from .prefetch import Fetch, Prefetched, Unread, fill_templates

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTHS = {"mo": 1, "y": 12}
TIME = re.compile(r"@(now|today)(?:([+-])(\d+)(s|mo|m|h|d|w|y))?")


@dataclass(frozen=True, slots=True)
class FixtureCase:
    """One fixture case, its times made real."""

    name: str
    request: dict[str, Any]
    chart: dict[str, Any]
    """A Bundle; empty where the case has none."""
    alerts: Any
    """The body of a delivery to the webhook; None where the case has none."""
    expected: Any
    """What ``response.json`` says; None where the case has none."""


def load_case(folder: Path, now: datetime) -> FixtureCase:
    """Return the case in *folder*, its relative times counted from *now*.

    Raises:
        FileNotFoundError: if there is no ``request.json``.
        ValueError: if a file is not JSON or a time token is not understood.
    """
    request = _load(folder / "request.json", now)
    if request is None:
        raise FileNotFoundError(f"{folder / 'request.json'} is not there")
    return FixtureCase(
        name=folder.name,
        request=request,
        chart=_load(folder / "chart.json", now) or _EMPTY_CHART,
        alerts=_load(folder / "alerts.json", now),
        expected=_load(folder / "response.json", now),
    )


def resolve_times(value: Any, now: datetime) -> Any:
    """Return the value with every time token replaced by the time it means."""
    if isinstance(value, str):
        return _resolve(value, now) if value.startswith("@") else value
    if isinstance(value, dict):
        return {name: resolve_times(each, now) for name, each in value.items()}
    if isinstance(value, list):
        return [resolve_times(each, now) for each in value]
    return value


def fill_prefetch(
    templates: Mapping[str, str],
    chart: Mapping[str, Any],
    context: Mapping[str, Any],
    today: date | None = None,
) -> dict[str, Any]:
    """Prefetch as an EHR holding *chart* would send it: every template answered.

    A read that finds nothing is null; a template whose tokens have no value is left
    out. Source: CDS Hooks 3.0.0 "Prefetch Template".
    """
    fetch = fetch_from(load_records([chart]))
    filling = Filling(context, today=today)
    return fill_templates(templates, filling, fetch, errors_as_outcome=True).values


def fetch_from(records: Records, chart: Any = None) -> Fetch:
    """Reads and searches answered out of *records*, each on one page.

    They lack what the *chart* lacks that the records come from, if it is not whole.
    """

    def fetch(query: str) -> tuple[int, Any]:
        try:
            status, body = answer(records, query, page_size=None)
        except (KeyError, ValueError) as error:
            raise Unread("the query was not understood") from error
        return status, doubted(body, chart)

    return fetch


def doubted(given: Any, bundle: Any) -> Any:
    """Return an answer out of a Bundle with whatever that says of what it lacks.

    A part of a record that is not whole is not whole either.
    """
    if not is_resource(given, "Bundle") or not isinstance(bundle, dict):
        return given
    held = bundle.get("entry")
    entries = held if isinstance(held, list) else []
    lacking = [each for each in entries if _tells_of_lack(each)]
    said = {name: bundle[name] for name in _SAID if name in bundle}
    found = [*given.get("entry", ()), *lacking]
    total = total_of(bundle)
    if total is not None and total > len(entries):
        said["total"] = len(found) + total - len(entries)
    return {**given, **said, "entry": found} if said or lacking else given


_SAID = ("meta", "link", "issues")


def _tells_of_lack(entry: Any) -> bool:
    """Check if an entry is no resource of a chart, but a word about some, or unread."""
    if not isinstance(entry, dict):
        return True
    resource = entry.get("resource")
    if resource is None and "request" in entry:
        return False  # what was deleted
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return not isinstance(kind, str) or kind in ("OperationOutcome", "Bundle")


def _load(file: Path, now: datetime) -> Any:
    if not file.exists():
        return None
    try:
        return resolve_times(json.loads(file.read_text("utf-8")), now)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _resolve(token: str, now: datetime) -> str:
    found = TIME.fullmatch(token)
    if not found:
        raise ValueError(f"time not understood: {token}; write @now-6h or @today-40d")
    anchor, sign, count, unit = found.groups()
    moment = _shift(now, int(f"{sign}{count}"), unit) if unit else now
    if anchor == "today":
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _shift(moment: datetime, count: int, unit: str) -> datetime:
    if unit in UNITS:
        return moment + timedelta(**{UNITS[unit]: count})
    months = moment.year * 12 + moment.month - 1 + count * MONTHS[unit]
    year, month = months // 12, months % 12 + 1
    day = min(moment.day, monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


_EMPTY_CHART: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}


# A call and its answer saved as a case, so that it can be played again: times become
# tokens, and no token of access and no address of a FHIR server is written

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})"
)
_NO_TIMES = frozenset(
    "id value code display text reference versionId system div url summary".split()
)
"""Members whose text is no time even where it looks like one."""
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


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
    """Raise Unsaved if there is something where the case is to be."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Unsaved(f"{folder} is no folder; name one that is not there yet.")
    if folder.is_dir() and any(folder.iterdir()):
        raise Unsaved(f"{folder} holds something already; name an empty folder.")


def save_case(folder: Path, played: Played) -> list[Path]:
    """Write the case and return its files, which only their owner can read.

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
    """Return the files of a case by name, as data.

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
    size, unit = next(each for each in _SPANS if seconds % each[0] == 0)
    return f"@now{seconds // size:+}{unit}"


def as_text(value: Any) -> str:
    """Return plain data as JSON text that can be written anywhere."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Half of a surrogate pair is legal in JSON, and no character.
    return text.encode("utf-8", "replace").decode()
