"""The project's own webhook format: a delivery of alerts.

::

    {"alerts": [{"id": "a-1", "patient": "123", "type": "high-heart-rate",
                 "start": "2026-11-22T08:00:00-05:00",
                 "end": "2026-11-22T08:12:00-05:00",
                 "value": 131, "unit": "bpm", "stat": "max", "threshold": 120,
                 "coverage": 0.92, "n": 12, "device": "Watch",
                 "status": "closed", "rev": 0}]}

A start whose offset is ``Z`` or ``-00:00`` does not tell what the wearer's clock said;
``time_zone`` (``America/New_York``) or ``utc_offset`` (``-05:00``) beside it does.

``id``, ``patient``, ``type`` and ``start`` are required; null is as good as absent, and
members that are not known here are let pass. Items are judged one by one: what is
wrong with one does not touch the others. An alert is changed by sending it again with
a higher ``rev``.

A value or a threshold that no living person has refuses its item, and an alert that is
there stays as it was. What is taken back is so in any case, without such a number: the
alert that is wrong would stay before clinicians, and nobody reads its value any more.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ...units import Substance, scales
from ..clock import Stamp, find_zone
from ..metrics import Unmeasured, check_plausible
from ..records import AlertType, PatientKey, WearableAlert
from .members import Members, Rejected, Sender

MOST_ITEMS = 1000
AHEAD = timedelta(minutes=5)
"""How far a device's clock may be ahead of ours."""
STATS = ("max", "min", "mean", "median", "instant")
STATUSES = ("open", "closed", "retracted")
ORIGINS = ("vendor",)
OPERATORS = (">", ">=", "<", "<=")


def parse_alerts(
    body: Any, sender: Sender, alert_types: Mapping[str, AlertType], now: datetime
) -> tuple[tuple[WearableAlert, ...], tuple[Rejected, ...]]:
    """Return the alerts of a delivery, and the items that are none.

    Raises:
        Unprocessable: if *body* is no delivery at all.
    """
    accepted: list[WearableAlert] = []
    rejected: list[Rejected] = []
    seen: dict[tuple[PatientKey, str, int], int] = {}
    for index, item in enumerate(_items(body)):
        if not isinstance(item, dict):
            problem = Problem("Must be an object.", f"$.alerts[{index}]")
            rejected.append(Rejected(index, "", (problem,)))
            continue
        members = Members(item, f"$.alerts[{index}]")
        alert = _alert(members, sender, alert_types, now)
        if not members.problems:
            first = seen.setdefault((alert.patient, alert.id, alert.rev), index)
            if first != index:
                members.refuse("rev", f"Item {first} is the same revision.")
        if members.problems:
            problems = tuple(dict.fromkeys(members.problems))
            rejected.append(Rejected(index, alert.id, problems))
        else:
            accepted.append(alert)
    return tuple(accepted), tuple(rejected)


def _items(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        raise Unprocessable(Problem("Must be an object.", "$"))
    items = body.get("alerts")
    if not isinstance(items, list) or not items:
        raise Unprocessable(Problem("Must be a list of alerts.", "$.alerts"))
    if len(items) > MOST_ITEMS:
        text = f"A delivery holds at most {MOST_ITEMS} alerts."
        raise Unprocessable(Problem(text, "$.alerts"))
    return items


def _alert(
    members: Members,
    sender: Sender,
    alert_types: Mapping[str, AlertType],
    now: datetime,
) -> WearableAlert:
    """The alert that an item says; of no use if *members* then has problems."""
    members.require("id", "patient", "type", "start")
    alert_type = alert_types.get(members.choice("type", tuple(alert_types)), _UNKNOWN)
    start, end = _span(members, now)
    usual = find_zone(sender.time_zone)
    begun, local = members.on_clock("start", start, usual) if start else (now, False)
    status = _status(members, end)
    value, threshold = _measured(members, alert_type, status == "retracted")
    return WearableAlert(
        id=members.identifier("id", 128),
        patient=PatientKey(sender.tenant, sender.fhir_base, members.patient("patient")),
        type=alert_type.name,
        start=begun,
        opened=now,
        end=end.at if end else None,
        local=local,
        metric=alert_type.metric,
        value=value,
        unit=alert_type.unit,
        stat=members.choice("stat", STATS),
        threshold=threshold,
        status=status,
        rev=members.whole("rev") or 0,
        origin=members.choice("origin", ORIGINS, "vendor"),
        device=members.text("device", 200),
        source=sender.id,
        coverage=_coverage(members),
        n=members.whole("n"),
    )


def _span(members: Members, now: datetime) -> tuple[Stamp | None, Stamp | None]:
    start, end = members.stamp("start"), members.stamp("end")
    for name, stamp in (("start", start), ("end", end)):
        if stamp and stamp.at > now + AHEAD:
            members.refuse(name, "Lies in the future; is the device's clock right?")
    if start and end and end.at < start.at:
        members.refuse("end", "Must not be before the start.")
    return start, end


def _status(members: Members, end: Stamp | None) -> str:
    status = members.choice("status", STATUSES, "closed" if end else "open")
    if status == "closed" and not members.has("end"):
        members.refuse("end", "Required of an alert that is closed.")
    return status


def _coverage(members: Members) -> float | None:
    coverage = members.number("coverage")
    if coverage is not None and not 0 <= coverage <= 1:
        members.refuse("coverage", "Must be a share from 0 to 1.")
    return coverage


def _measured(
    members: Members, alert_type: AlertType, retracted: bool
) -> tuple[float | None, float | None]:
    """The value and the threshold, in the unit of the type."""
    if not alert_type.unit:
        for name in ("value", "threshold"):
            if alert_type is not _UNKNOWN and members.has(name):
                members.refuse(name, "An alert of this type has none.")
        return None, None
    limit = members.inside("threshold")
    value = _quantity(members, "value", members, alert_type)
    holder, name, unit_from = members, "threshold", members
    if limit is not None:
        limit.require("value")
        limit.choice("op", OPERATORS)
        holder, name = limit, "value"
        unit_from = limit if limit.has("unit") else members
    threshold = _quantity(holder, name, unit_from, alert_type)
    return (
        _plausible(members, "value", value, alert_type, retracted),
        _plausible(holder, name, threshold, alert_type, retracted),
    )


def _plausible(
    members: Members,
    name: str,
    number: float | None,
    alert_type: AlertType,
    retracted: bool,
) -> float | None:
    """The number if a living person can have it; of what is taken back it may lack."""
    if number is None:
        return None
    try:
        check_plausible(alert_type, number)
    except Unmeasured as error:
        if not retracted:
            members.refuse(name, str(error))
        return None
    return number


def _quantity(
    members: Members, name: str, unit_from: Members, alert_type: AlertType
) -> float | None:
    """A number with the unit that stands beside it, in the unit of the type."""
    to = alert_type.unit
    number = members.number(name)
    if number is None:
        return None
    if not unit_from.has("unit"):
        unit_from.refuse("unit", f"Required with a number, such as {to}.")
        return None
    unit = unit_from.text("unit", 64)
    if not unit:
        return None
    found = scales(unit, to, Substance(molar_mass=alert_type.molar_mass))
    if not found:
        unit_from.refuse("unit", f"Must be UCUM and convertible to {to}.")
        return None
    if len(found) > 1 and number > 1:
        unit_from.refuse(
            "unit", f"Says a share of one, which is not above 1; use {to}."
        )
        return None
    factor, offset = found[0]
    converted = number * factor + offset
    if not math.isfinite(converted):
        members.refuse(name, "Must be a finite number.")
        return None
    return float(f"{converted:.12g}")


_UNKNOWN = AlertType("", "")
