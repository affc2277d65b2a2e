"""The statements of the hot path, compiled once."""

from sqlalchemy import BindParameter, Table, and_, bindparam, or_, select
from sqlalchemy.dialects.sqlite import insert

from .database import Prepared
from .tables import (
    AUDIT,
    CALLS,
    CARDS,
    SPENT_TOKENS,
    SUPPRESSIONS,
    WEARABLE_ALERTS,
)


def _names(table: Table) -> list[str]:
    """Every column but the key that the database gives."""
    return [column.name for column in table.columns if column is not table.c.get("id")]


def _alerts_since() -> Prepared:
    alert = WEARABLE_ALERTS.c
    since: BindParameter[float] = bindparam("since")
    lasting = and_(
        alert.end_utc.is_(None), or_(alert.status == "open", alert.start_utc >= since)
    )
    whose = [
        alert[name] == bindparam(name) for name in ("tenant", "fhir_base", "patient_id")
    ]
    kept = [alert.status != "retracted", or_(alert.end_utc >= since, lasting)]
    order = (alert.start_utc, alert.source, alert.id)
    return Prepared(select(WEARABLE_ALERTS).where(*whose, *kept).order_by(*order))


def _save_alert() -> Prepared:
    """Insert, or replace a lower revision; when it was first heard of stays."""
    new = insert(WEARABLE_ALERTS)
    key = list(WEARABLE_ALERTS.primary_key.columns)
    changes = {
        column.name: new.excluded[column.name]
        for column in WEARABLE_ALERTS.columns
        if column not in key and column.name != "opened"
    }
    newer = new.excluded.rev > WEARABLE_ALERTS.c.rev
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes, where=newer),
        [column.name for column in WEARABLE_ALERTS.columns],
    )


SPEND_TOKEN = Prepared(
    insert(SPENT_TOKENS).on_conflict_do_nothing(), _names(SPENT_TOKENS)
)
ALERTS_SINCE = _alerts_since()
SAVE_ALERT = _save_alert()
ADD_CALL = Prepared(insert(CALLS), _names(CALLS))
ADD_CARD = Prepared(insert(CARDS).on_conflict_do_nothing(), _names(CARDS))
ADD_SUPPRESSION = Prepared(insert(SUPPRESSIONS), _names(SUPPRESSIONS))
ADD_AUDIT = Prepared(insert(AUDIT), _names(AUDIT))
