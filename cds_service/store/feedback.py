"""Feedback: what became of cards, joined to the rule and version that gave them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from ..protocol.feedback import FeedbackEntry
from .chain import canonical_json, instant
from .records import Caller
from .rows import digest
from .tables import CARDS, FEEDBACK


def save(
    connection: Connection,
    service: str,
    entries: Sequence[FeedbackEntry],
    client: Caller,
    now: datetime,
) -> None:
    """Keep each entry once, however often it is sent."""
    for entry in entries:
        row = {
            **_said(service, entry, client),
            **_about(connection, service, entry, client),
            "received_at": instant(now),
        }
        connection.execute(insert(FEEDBACK).values(row).on_conflict_do_nothing())


def _said(service: str, entry: FeedbackEntry, client: Caller) -> dict[str, Any]:
    said = {
        "tenant": client.tenant,
        "client": client.id,
        "service": service,
        "card": entry.card,
        "outcome": entry.outcome.value,
        "outcome_at": instant(entry.at),
        "accepted_suggestions": canonical_json(entry.accepted),
        "reason_system": entry.reason.system if entry.reason else None,
        "reason_code": entry.reason.code if entry.reason else None,
        "reason_display": entry.reason.display if entry.reason else None,
        "user_comment": entry.comment or None,
    }
    return {**said, "digest": digest(said)}


def _about(
    connection: Connection, service: str, entry: FeedbackEntry, client: Caller
) -> dict[str, Any]:
    """The rule behind the card, if it was shown to this client by this service."""
    card = CARDS.c
    shown = select(card.rule, card.version).where(
        card.uuid == entry.card.lower(),
        card.tenant == client.tenant,
        card.client == client.id,
        card.service == service,
    )
    found = connection.execute(shown).first()
    return {
        "known_card": found is not None,
        "rule": found.rule if found else None,
        "version": found.version if found else None,
    }
