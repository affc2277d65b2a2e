"""The project's own format of links: whose wrist it is, as a source tells it.

::

    {"links": [{"patient": "123", "user": "u-7", "device": "w-1",
                "from": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z",
                "mrn": "12345", "authority": "HOSP", "time_zone": "America/New_York",
                "grouping_minutes": 5},
               {"id": 3, "until": "2026-11-22T12:00:00Z"},
               {"id": 4, "retracted": true}]}

A link needs a patient and a user, a device, or both. With an ``id`` it is one that is
known, and ends, or never was right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..links import WearerLink
from ..records import PatientKey
from .members import EARLIEST_YEAR, Members, Rejected, Sender

MOST_ITEMS = 1000
LONGEST_NAME = 128
LONGEST_GROUPING = 1440
"""Minutes."""


@dataclass(frozen=True, slots=True)
class ToldEnd:
    """That a link ends."""

    id: int
    at: datetime | None
    """None where it never was right."""


def parse_links(
    body: Any, sender: Sender
) -> tuple[dict[int, WearerLink | ToldEnd], tuple[Rejected, ...]]:
    """Return what is told of links by its place, and the items that are none.

    Raises:
        Unprocessable: if *body* is no delivery at all.
    """
    told: dict[int, WearerLink | ToldEnd] = {}
    rejected: list[Rejected] = []
    for index, item in enumerate(_items(body)):
        if not isinstance(item, dict):
            problem = Problem("Must be an object.", f"$.links[{index}]")
            rejected.append(Rejected(index, "", (problem,)))
            continue
        members = Members(item, f"$.links[{index}]")
        read = _end(members) if members.has("id") else _link(members, sender)
        if members.problems:
            problems = tuple(dict.fromkeys(members.problems))
            rejected.append(Rejected(index, "", problems))
        else:
            told[index] = read
    return told, tuple(rejected)


def _items(body: Any) -> Iterator[Any]:
    items = body.get("links") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise Unprocessable(Problem("Must be a list of links.", "$.links"))
    if len(items) > MOST_ITEMS:
        text = f"A delivery holds at most {MOST_ITEMS} links."
        raise Unprocessable(Problem(text, "$.links"))
    yield from items


def _end(members: Members) -> ToldEnd:
    id, until = members.whole("id") or 0, members.stamp("until")
    retracted = members.flag("retracted")
    if (until is None) is not retracted:
        members.refuse("until", "Either this, or retracted must be true.")
    return ToldEnd(id, until.at if until else None)


def _link(members: Members, sender: Sender) -> WearerLink:
    members.require("patient")
    user = members.identifier("user", LONGEST_NAME)
    device = members.identifier("device", LONGEST_NAME)
    if not user and not device:
        members.refuse("user", "A user or a device must be named.")
    since, until = members.stamp("from"), members.stamp("until")
    if since and until and until.at <= since.at:
        members.refuse("until", "Must be after the beginning.")
    mrn, authority = members.text("mrn", LONGEST_NAME), members.text("authority", 200)
    if mrn and not authority:
        members.refuse("authority", "Required with a number: whose is it?")
    zone, grouping = members.zone("time_zone"), members.whole("grouping_minutes")
    if grouping is not None and not 1 <= grouping <= LONGEST_GROUPING:
        members.refuse("grouping_minutes", f"Must be from 1 to {LONGEST_GROUPING}.")
    return WearerLink(
        sender.id,
        PatientKey(sender.tenant, sender.fhir_base, members.patient("patient")),
        since.at.astimezone(UTC) if since else BEGINNING,
        user=user,
        device=device,
        until=until.at.astimezone(UTC) if until else None,
        mrn=mrn,
        authority=authority,
        time_zone=zone.key if zone else "",
        grouping=timedelta(minutes=grouping) if grouping else None,
    )


BEGINNING = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC)
"""No reading is older."""
