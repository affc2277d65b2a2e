"""Earlier displays of a patient's cards, with what was heard of them since."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, or_, select

from ..protocol.cards import Indicator
from ..protocol.feedback import Outcome
from ..rulebook.alerting import ANY_REASON, Display, Lookback
from ..wearables.records import PatientKey
from .chain import instant
from .database import Prepared
from .tables import CALLS, CARDS, FEEDBACK

MOST = 1000
"""Rows that are looked at, the newest; beyond, a card is rather shown once more."""
NEVER = "9999"
"""Later than every instant."""


class OwnCall(NamedTuple):
    """What tells a call from every other but its retry."""

    client: str
    hook: str
    instance: str


def read(
    connection: Connection,
    patient: PatientKey,
    lookback: Lookback,
    call: OwnCall | None,
) -> tuple[Display, ...]:
    """What *lookback* asks for, newest first."""
    keys = sorted(lookback.keys) or [""]
    places = 1 << (len(keys) - 1).bit_length()
    keys += keys[-1:] * (places - len(keys))
    since = lookback.info_since
    asked = {
        **patient._asdict(),
        **{f"key_{index}": key for index, key in enumerate(keys)},
        "since": instant(lookback.since),
        "info_since": instant(since) if since else NEVER,
        "own_client": call.client if call else "",
        "own_hook": call.hook if call else "",
        "own_instance": call.instance if call else "",
    }
    found = _statement(places).ask(connection, asked).all()
    return tuple(_displays(found))


@lru_cache(maxsize=16)
def _statement(places: int) -> Prepared:
    """The query for so many keys; it is asked with a power of two only."""
    card, call, feedback = CARDS.c, CALLS.c, FEEDBACK.c
    own = and_(
        call.client == bindparam("own_client"),
        call.hook == bindparam("own_hook"),
        call.hook_instance == bindparam("own_instance"),
    )
    about = and_(
        feedback.card == card.uuid,
        feedback.tenant == card.tenant,
        feedback.client == card.client,
        feedback.service == card.service,
    )
    keys = or_(*(card.dedup_key == bindparam(f"key_{n}") for n in range(places)))
    same = and_(keys, card.shown_at >= bindparam("since"))
    info = and_(
        card.indicator == Indicator.INFO.name.lower(),
        card.rule != "",
        card.shown_at >= bindparam("info_since"),
    )
    whose = (
        card[name] == bindparam(name) for name in ("tenant", "fhir_base", "patient_id")
    )
    columns = (
        card.uuid,
        card.rule,
        card.version,
        card.dedup_key,
        card.indicator,
        card.shown_at,
        own.label("own"),
        feedback.outcome,
        feedback.outcome_at,
        feedback.received_at,
        feedback.reason_system,
        feedback.reason_code,
    )
    tables = CARDS.join(CALLS, call.id == card.call_id).outerjoin(FEEDBACK, about)
    order = (card.shown_at.desc(), card.uuid)
    return Prepared(
        select(*columns)
        .select_from(tables)
        .where(*whose, or_(same, info))
        .order_by(*order)
        .limit(MOST)
    )


def _displays(found: Iterable[Row[Any]]) -> Iterator[Display]:
    for _, same in groupby(found, key=attrgetter("uuid")):
        heard = list(same)
        last = max(heard, key=lambda row: (row.outcome_at or "", row.received_at or ""))
        yield _display(last)


def _display(row: Row[Any]) -> Display:
    """The display, with the last that was heard of it.

    A client whose clock is ahead does not keep a card away for longer.
    """
    overridden, reason = None, ANY_REASON
    if row.outcome == Outcome.OVERRIDDEN.value:
        overridden = datetime.fromisoformat(min(row.outcome_at, row.received_at))
        if row.reason_code:
            reason = f"{row.reason_system}|{row.reason_code}"
    return Display(
        rule=row.rule,
        version=row.version,
        dedup_key=row.dedup_key,
        indicator=Indicator[row.indicator.upper()],
        at=datetime.fromisoformat(row.shown_at),
        own=bool(row.own),
        overridden=overridden,
        reason=reason,
    )
