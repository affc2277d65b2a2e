"""The statements of the hot path, compiled once for each database.

SQLite understands what SQLAlchemy calls an insert of PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    Exists,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from .database import Prepared, open_cursor
from .records import TokenKey, TokenSpent
from .tables import (
    AUDIT,
    CALLS,
    CARD_REFERENCES,
    CARDS,
    CONSENT_GUARDS,
    CONSENTS,
    DELIVERIES,
    HOLDS,
    MARKS,
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
    return _newest(
        (alert.end_utc >= since,),
        (alert.end_utc.is_(None), or_(OPEN, alert.start_utc >= since)),
    )


TIMES_ASKED = 3
"""From when on alerts are asked: so many times, each of some types."""


_BLANK, _NOTHING = (literal_column(each, Text) for each in ("' '", "''"))


def _alerts_asked() -> Prepared:
    """The newest of each that are of a type, and of a time, that rules ask for.

    Types come as one text with blanks around each.
    """
    alert = WEARABLE_ALERTS.c
    since: BindParameter[float] = bindparam("since")

    times = (
        and_(
            alert.end_utc >= bindparam(f"since{slot}"),
            _is_among(f"types{slot}", alert.type),
        )
        for slot in range(TIMES_ASKED)
    )
    lasts = alert.end_utc.is_(None), or_(OPEN, alert.start_utc >= since)
    named = _is_among("types", alert.type)
    return _newest((alert.end_utc >= since, or_(*times)), (*lasts, named))


def _is_among(names: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a column is one of names that come as one text with blanks around."""
    told: BindParameter[str] = bindparam(names, type_=Text)
    name = _BLANK.concat(column).concat(_BLANK)
    # Both databases know this one, and it knows no wildcards.
    return func.replace(told, name, _NOTHING) != told


def _alerts_between() -> Prepared:
    """The newest of each that meet a time and are of a metric that is asked.

    Metrics come as types do.
    """
    alert = WEARABLE_ALERTS.c
    since: BindParameter[float] = bindparam("since")
    until: BindParameter[float] = bindparam("until")
    meets = alert.start_utc <= until, _is_among("metrics", alert.metric)
    lasts = alert.end_utc.is_(None), or_(OPEN, alert.start_utc >= since)
    return _newest((alert.end_utc >= since, *meets), (*lasts, *meets))


def _newest(*asked: Sequence[ColumnElement[bool]]) -> Prepared:
    """The newest of each; no column is read that a call has no use for."""
    alert = WEARABLE_ALERTS.c
    unused = (*_PATIENT, "version", "closing", "replaced_by", "stored_us")
    columns = [each for each in alert if each.name not in unused]
    most: BindParameter[int] = bindparam("most")
    questions = [
        select(*columns)
        .where(*_WHOSE, HOLDS, *each)
        .order_by(alert.end_utc.desc(), alert.start_utc.desc())
        .limit(most)
        .subquery()
        for each in asked
    ]
    return Prepared(union_all(*map(select, questions)))


def _lasting_alerts() -> Prepared:
    """Those of vendors: what a detector has found ends with its readings."""
    alert = WEARABLE_ALERTS.c
    order = (alert.start_utc, alert.source, alert.id)
    told = [OPEN, alert.detector == literal_column("''")]
    return Prepared(select(WEARABLE_ALERTS).where(*_WHOSE, *told).order_by(*order))


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


def _consents_of() -> Prepared:
    consent = CONSENTS.c
    whose = [consent[name] == bindparam(name) for name in _PATIENT]
    kept = select(consent.id, consent.updated, consent.source, consent.resource)
    return Prepared(kept.where(*whose).order_by(consent.id))


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


def _forgotten(expires: BindParameter[float]) -> Exists:
    """Whether a token that can be used until then may have been here."""
    return exists().where(MARKS.c.name == "tokens", MARKS.c.at_utc > expires)


def _token_is_spent() -> Prepared:
    token = SPENT_TOKENS.c
    expires: BindParameter[float] = bindparam("expires_utc", type_=Double)
    there = exists().where(
        token.issuer == bindparam("issuer"), token.jti == bindparam("jti")
    )
    return Prepared(select(or_(there, _forgotten(expires))))


def _spend_token() -> Prepared:
    """Insert, unless it is there, or may have been and was forgotten."""
    expires: BindParameter[float] = bindparam("expires_utc", type_=Double)
    token = [bindparam(name, type_=Text) for name in ("issuer", "jti")]
    row = select(*token, expires).where(~_forgotten(expires))
    return Prepared(
        insert(SPENT_TOKENS)
        .from_select(_names(SPENT_TOKENS), row)
        .on_conflict_do_nothing()
    )


def _raise_mark() -> Prepared:
    """Insert, or raise what is lower."""
    new = insert(MARKS)
    return Prepared(
        new.on_conflict_do_update(
            index_elements=[MARKS.c.name],
            set_={"at_utc": new.excluded.at_utc},
            where=new.excluded.at_utc > MARKS.c.at_utc,
        ),
        _names(MARKS),
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


def is_new(connection: Connection, token: TokenKey) -> bool:
    """Check whether the token is new; with the transaction it is spent."""
    return SPEND_TOKEN.run(connection, token._asdict()).rowcount == 1


def spend(connection: Connection, token: TokenKey | None) -> None:
    """Spend a token, if it is one that is to be spent.

    Raises:
        TokenSpent: if it was used before.
    """
    if token and not is_new(connection, token):
        raise TokenSpent("the token was used before")


class CallRows(NamedTuple):
    """What is stored of one call, but for its audit row and the key of the call."""

    call: Mapping[str, Any]
    cards: Sequence[Mapping[str, Any]]
    suppressions: Sequence[Mapping[str, Any]]
    token: TokenKey | None = None
    """What is spent with it."""
    references: Sequence[Mapping[str, Any]] = ()


def add_call(connection: Connection, rows: CallRows) -> None:
    """Store a call, its cards and what was held back, a statement each.

    Raises:
        TokenSpent: if its token was used before.
    """
    spend(connection, rows.token)
    key = {"call_id": ADD_CALL.add(connection, rows.call)}
    if rows.cards:
        ADD_CARD.run(connection, *({**each, **key} for each in rows.cards))
    if rows.suppressions:
        held = ({**each, **key} for each in rows.suppressions)
        ADD_SUPPRESSION.run(connection, *held)
    if rows.references:
        ADD_REFERENCE.run(connection, *({**each, **key} for each in rows.references))


def write_call(
    connection: Connection, rows: CallRows, audit_row: Mapping[str, Any]
) -> None:
    """Store a call, all that belongs to it and its audit row in one statement.

    To PostgreSQL only, where each statement is a way there and back. Its text is the
    same for any number of cards, so that it is prepared once; another one stores
    references as well, where there are any.

    Raises:
        TokenSpent: if its token was used before.
    """
    values = [rows.call[name] for name in _CALL_NAMES]
    values += ([row[name] for row in rows.cards] for name in _CARD_NAMES)
    values += ([row[name] for row in rows.suppressions] for name in _HELD_NAMES)
    referring = bool(rows.references)
    if referring:
        values += ([row[name] for row in rows.references] for name in _REFERENCE_NAMES)
    values += (audit_row[name] for name in _AUDIT_NAMES)
    cursor = open_cursor(connection)
    if rows.token is None:
        cursor.execute(f"WITH {_write_call(1, referring)}", values)
        return
    spending, token = SPEND_TOKEN.as_sent(connection.dialect, rows.token._asdict())
    spent = f"WITH spent AS ({spending} RETURNING 1)"
    told = "RETURNING (SELECT count(*) FROM spent)"
    writing = _write_call(1 + len(token), referring)
    cursor.execute(f"{spent}, {writing} {told}", [*token, *values])
    if cursor.fetchone() != (1,):
        raise TokenSpent("the token was used before")


@cache
def _write_call(first: int, referring: bool) -> str:
    """The statement; one branch tells the others the key of the call.

    Args:
        first: The number of its first value.
        referring: Whether cards bear references.
    """
    numbers = count(first)

    def listed(names: Sequence[str]) -> str:
        return ", ".join(f'"{each}"' for each in names)

    def several(table: Table, names: Sequence[str]) -> str:
        types = (_ARRAYS[table.c[name].type.python_type] for name in names)
        arrays = ", ".join(f"${next(numbers)}::{each}[]" for each in types)
        named = f"{table.name} (call_id, {listed(names)})"
        added = f"unnest({arrays}) AS added ({listed(names)})"
        chosen = f"SELECT call.id, added.* FROM call, {added}"  # nosec B608 # our names
        return f"INSERT INTO {named} {chosen}"

    def one(table: Table, names: Sequence[str]) -> str:
        places = ", ".join(f"${next(numbers)}" for _ in names)
        named = f"{table.name} ({listed(names)})"
        return f"INSERT INTO {named} VALUES ({places})"  # nosec B608 # our names

    branches = [
        f"call AS ({one(CALLS, _CALL_NAMES)} RETURNING id)",
        f"shown AS ({several(CARDS, _CARD_NAMES)} ON CONFLICT DO NOTHING)",
        f"held AS ({several(SUPPRESSIONS, _HELD_NAMES)})",
    ]
    if referring:
        branches.append(f"referred AS ({several(CARD_REFERENCES, _REFERENCE_NAMES)})")
    return f"{', '.join(branches)} {one(AUDIT, _AUDIT_NAMES)}"


TOKEN_IS_SPENT = _token_is_spent()
SPEND_TOKEN = _spend_token()
RAISE_MARK = _raise_mark()
CLAIM_DELIVERY = _claim_delivery()
ADD_GUARD = Prepared(
    insert(CONSENT_GUARDS).on_conflict_do_nothing(), _names(CONSENT_GUARDS)
)
HOLD_GUARD = {alone: _hold_guard(alone=alone) for alone in (True, False)}
LASTING_ALERTS = _lasting_alerts()
ALERTS_SINCE = _alerts_since()
ALERTS_ASKED = _alerts_asked()
ALERTS_BETWEEN = _alerts_between()
SAVE_ALERT = _save_alert()
RETRACT_ALERT = _retract_alert()
SAVE_CONSENT = _save_consent()
CONSENTS_OF = _consents_of()
ADD_CALL = Prepared(insert(CALLS), _names(CALLS), key=CALLS.c.id)
ADD_CARD = Prepared(insert(CARDS).on_conflict_do_nothing(), _names(CARDS))
ADD_SUPPRESSION = Prepared(insert(SUPPRESSIONS), _names(SUPPRESSIONS))
ADD_REFERENCE = Prepared(insert(CARD_REFERENCES), _names(CARD_REFERENCES))
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
_ARRAYS = {str: "text", int: "bigint", float: "double precision"}
_CALL_NAMES = _names(CALLS)
_CARD_NAMES = [name for name in _names(CARDS) if name != "call_id"]
_HELD_NAMES = [name for name in _names(SUPPRESSIONS) if name != "call_id"]
_REFERENCE_NAMES = [each for each in _names(CARD_REFERENCES) if each != "call_id"]
_AUDIT_NAMES = _names(AUDIT)
