"""The statements of the hot path, compiled once for each database.

SQLite understands what SQLAlchemy calls an insert of PostgreSQL.
"""

from sqlalchemy import (
    BindParameter,
    Table,
    and_,
    bindparam,
    delete,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from .database import Prepared
from .tables import (
    AUDIT,
    CALLS,
    CARDS,
    CONSENT_GUARDS,
    CONSENTS,
    DELIVERIES,
    HOLDS,
    OPEN,
    PATIENT_KEYS,
    PROBES,
    SPENT_TOKENS,
    SUPPRESSIONS,
    WEARABLE_ALERTS,
)


def _names(table: Table) -> list[str]:
    """Every column but the key that the database gives."""
    return [column.name for column in table.columns if column is not table.c.get("id")]


_PATIENT = ("tenant", "fhir_base", "patient_id")
_WHOSE = [WEARABLE_ALERTS.c[name] == bindparam(name) for name in _PATIENT]


def _alerts_since() -> Prepared:
    """The newest of each: alerts that have ended, and alerts that have not.

    Two questions, each of which follows an index and stops.
    """
    alert = WEARABLE_ALERTS.c
    since: BindParameter[float] = bindparam("since")
    most: BindParameter[int] = bindparam("most")
    order = (alert.end_utc.desc(), alert.start_utc.desc())
    questions = [
        select(WEARABLE_ALERTS)
        .where(*_WHOSE, HOLDS, asked)
        .order_by(*order)
        .limit(most)
        .subquery()
        for asked in (
            alert.end_utc >= since,
            and_(alert.end_utc.is_(None), or_(OPEN, alert.start_utc >= since)),
        )
    ]
    return Prepared(union_all(*map(select, questions)))


def _lasting_alerts() -> Prepared:
    alert = WEARABLE_ALERTS.c
    order = (alert.start_utc, alert.source, alert.id)
    return Prepared(select(WEARABLE_ALERTS).where(*_WHOSE, OPEN).order_by(*order))


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


def _retract_alert() -> Prepared:
    """Take back an alert that is there; one that is not is not stored for that."""
    alert = WEARABLE_ALERTS.c
    same = [
        each == bindparam(f"of_{each.name}") for each in WEARABLE_ALERTS.primary_key
    ]
    revision: BindParameter[int] = bindparam("of_rev")
    return Prepared(
        update(WEARABLE_ALERTS)
        .where(*same, alert.rev < revision)
        .values(status="retracted", rev=revision)
    )


def _save_consent() -> Prepared:
    """Insert or replace; which version holds is decided before."""
    new = insert(CONSENTS)
    key = list(CONSENTS.primary_key.columns)
    changes = {
        each.name: new.excluded[each.name]
        for each in CONSENTS.columns
        if each not in key
    }
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes),
        [column.name for column in CONSENTS.columns],
    )


def _claim_delivery() -> Prepared:
    """Insert, or take over what nobody has answered for too long."""
    new, row = insert(DELIVERIES), DELIVERIES.c
    too_old: BindParameter[float] = bindparam("too_old")
    free = [row.status.is_(None), row.digest == new.excluded.digest]
    return Prepared(
        new.on_conflict_do_update(
            index_elements=[row.source, row.key],
            set_={
                name: new.excluded[name] for name in ("claim", "claimant", "begun_utc")
            },
            where=and_(*free, row.begun_utc <= too_old),
        ),
        ["source", "key", "digest", "begun_utc", "claim", "claimant"],
    )


def _save_probe() -> Prepared:
    new = insert(PROBES)
    changes = {name: new.excluded[name] for name in ("at_utc", "filler")}
    return Prepared(
        new.on_conflict_do_update(index_elements=[PROBES.c.node], set_=changes),
        _names(PROBES),
    )


def _hold_guard(*, alone: bool) -> Prepared:
    guard = CONSENT_GUARDS.c
    whose = [guard[name] == bindparam(name) for name in _PATIENT]
    held = select(guard.patient_id).where(*whose)
    return Prepared(held.with_for_update(read=not alone))


SPEND_TOKEN = Prepared(
    insert(SPENT_TOKENS).on_conflict_do_nothing(), _names(SPENT_TOKENS)
)
CLAIM_DELIVERY = _claim_delivery()
ADD_GUARD = Prepared(
    insert(CONSENT_GUARDS).on_conflict_do_nothing(), _names(CONSENT_GUARDS)
)
HOLD_GUARD = {alone: _hold_guard(alone=alone) for alone in (True, False)}
LASTING_ALERTS = _lasting_alerts()
ALERTS_SINCE = _alerts_since()
SAVE_ALERT = _save_alert()
RETRACT_ALERT = _retract_alert()
SAVE_CONSENT = _save_consent()
ADD_CALL = Prepared(insert(CALLS), _names(CALLS), key=CALLS.c.id)
ADD_CARD = Prepared(insert(CARDS).on_conflict_do_nothing(), _names(CARDS))
ADD_SUPPRESSION = Prepared(insert(SUPPRESSIONS), _names(SUPPRESSIONS))
ADD_PATIENT_KEY = Prepared(
    insert(PATIENT_KEYS).on_conflict_do_nothing(), _names(PATIENT_KEYS)
)
KEY_OF_PATIENT = Prepared(
    select(PATIENT_KEYS.c.key).where(
        *(PATIENT_KEYS.c[name] == bindparam(name) for name in _PATIENT)
    )
)
ADD_AUDIT = Prepared(insert(AUDIT), _names(AUDIT))
SAVE_PROBE = _save_probe()
PRUNE_PROBES = Prepared(delete(PROBES).where(PROBES.c.at_utc < bindparam("before")))
