"""Deliveries of links: whose wrist it is, as a source that knows tells it."""

from datetime import datetime
from typing import Any

from ..audit import build_link_event
from ..protocol.errors import Unprocessable
from ..store.records import AuditEvent, Intake, TakenIn
from ..store.samples.records import LinkEnd
from ..wearables.adapters.links import ToldEnd, parse_links
from .judging import (
    Acknowledgement,
    Format,
    Ingestion,
    Judged,
    always,
    problems_of,
    rejection,
)
from .whose import Deliverer


def judge_links(
    body: Any, deliverer: Deliverer, ingestion: Ingestion, now: datetime
) -> Judged:
    """Return what changes with the links: 202, or 422 if none of them is one.

    A source speaks of its own links alone.
    """
    source = deliverer.source
    own = {each.id for each in ingestion.store.links.all(source.tenant, source.id)}

    def build_event(key: str, status: int, told: dict[str, Any]) -> AuditEvent:
        detail = {"key": key, "status": status, **told}
        return build_link_event(now, source.tenant, source.id, None, detail)

    try:
        told, rejected = parse_links(body, source)
        if not told:
            raise Unprocessable(*problems_of(rejected))
    except Unprocessable as error:
        refusal = Acknowledgement(error.status, error.as_json())
        return Judged(always(refusal), lambda key: build_event(key, refusal.status, {}))
    places = list(told)
    changes = tuple(
        (
            LinkEnd(each.id if each.id in own else 0, each.at)
            if isinstance(each, ToldEnd)
            else each
        )
        for each in told.values()
    )

    def answer(taken: TakenIn) -> Acknowledgement:
        results = [rejection(each) for each in rejected]
        for place, became in zip(places, taken.links, strict=True):
            said: dict[str, Any] = {"status": "accepted", "id": became.id}
            if became.refusal:
                said = {"status": "rejected", "text": became.refusal}
            results.append({"index": place, **said})
        results.sort(key=lambda each: int(each["index"]))
        accepted = sum(each["status"] == "accepted" for each in results)
        counts = {"accepted": accepted, "rejected": len(results) - accepted}
        status = 202 if accepted else Unprocessable.status
        return Acknowledgement(status, {**counts, "results": results})

    patients = sorted(
        {
            each.patient.patient_id
            for each in told.values()
            if not isinstance(each, ToldEnd)
        }
    )
    ended = [each.id for each in told.values() if isinstance(each, ToldEnd)]
    detail = {"linked": patients, "ended": ended}
    return Judged(
        answer, lambda key: build_event(key, 202, detail), Intake(link_changes=changes)
    )


LINKS = Format("links", "/wearables/v1/links", judge_links)
