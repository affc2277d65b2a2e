"""Fixture cases: small written patients that the demo, ``call`` and tests share.

A case is a folder with ``request.json``, ``chart.json``, ``alerts.json`` and
``response.json``, each optional but the first. Times are written relative to the moment
of play, as ``@now-6h`` or ``@today-40d``, so that a case stays true.
"""

import json
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ..protocol.prefetch_tokens import Filling, Unfillable, fill_template
from .prefetch import Fetch, Unread, fill_templates
from .records import Records, answer, load_records

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTHS = {"mo": 1, "y": 12}
TIME = re.compile(r"@(now|today)(?:([+-])(\d+)(s|mo|m|h|d|w|y))?")


@dataclass(frozen=True, slots=True)
class Case:
    """One fixture case, its times made real."""

    name: str
    request: dict[str, Any]
    chart: dict[str, Any]
    """A Bundle; empty where the case has none."""
    alerts: Any
    """The body of a delivery to the webhook; None where the case has none."""
    expected: Any
    """What ``response.json`` says; None where the case has none."""


def load_case(folder: Path, now: datetime) -> Case:
    """The case in *folder*, its relative times counted from *now*.

    Raises:
        FileNotFoundError: if there is no ``request.json``.
        ValueError: if a file is not JSON or a time token is not understood.
    """
    request = _load(folder / "request.json", now)
    if request is None:
        raise FileNotFoundError(f"{folder / 'request.json'} is not there")
    return Case(
        name=folder.name,
        request=request,
        chart=_load(folder / "chart.json", now) or _EMPTY_CHART,
        alerts=_load(folder / "alerts.json", now),
        expected=_load(folder / "response.json", now),
    )


def resolve_times(value: Any, now: datetime) -> Any:
    """The value with every time token replaced by the time it means."""
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


def fetch_from(records: Records) -> Fetch:
    """Reads and searches answered out of *records*, each on one page."""

    def fetch(query: str) -> tuple[int, Any]:
        try:
            return answer(records, query, page_size=None)
        except (KeyError, ValueError) as error:
            raise Unread("the query was not understood") from error

    return fetch


def expand(template: str, context: Mapping[str, Any]) -> str | None:
    """The query that a template means; None if a token in it has no value."""
    try:
        return fill_template(template, Filling(context))
    except Unfillable:
        return None


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
