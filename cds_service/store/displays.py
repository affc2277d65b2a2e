"""Earlier displays of a patient's cards, and what was heard of them since."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Label,
    Row,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert

from ..protocol.cards import Coding, Indicator
from ..protocol.feedback import FeedbackEntry, FeedbackOutcome
from ..rulebook.engine import ANY_REASON, Display, Lookback
from ..wearables.records import PatientKey
from .database import Prepared
from .records import Caller
from .rows import canonical_json, digest, instant, key_digest
from .tables import CALLS, CARDS, FEEDBACK, SUPPRESSIONS

NEWEST = 20
"""Displays of one key that are looked at, beside those of which something was heard."""
MOST = 1000
"""Cards that each question looks at, the newest, and rows that are given back; beyond,
a card is rather shown once more."""
SHOWN = ("uuid", "rule", "version", "dedup_key", "indicator", "shown_at", "evidence")
ASKED_OF_CARDS = ("call_id", "tenant", "client", "service", "fhir_base", "patient_id")
SAID = ("outcome", "outcome_at", "received_at", "reason_system", "reason_code")


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
    """Return what *lookback* asks for, newest first."""
    if not lookback.keys and not lookback.info_since and not lookback.heard_since:
        return ()
    statement, asked = as_asked(patient, lookback, call)
    return tuple(_displays(statement.ask(connection, asked)))


def as_asked(
    patient: PatientKey, lookback: Lookback, call: OwnCall | None
) -> tuple[Prepared, Mapping[str, Any]]:
    """Return the statement for a *lookback* that asks for something, and its values."""
    since = {"info_since": lookback.info_since, "heard_since": lookback.heard_since}
    asks = {name: instant(each) for name, each in since.items() if each is not None}
    keys = sorted(lookback.keys)
    places = 1 << (len(keys) - 1).bit_length() if keys else 0
    keys += keys[-1:] * (places - len(keys))
    asked = {
        **patient._asdict(),
        **{f"key_{index}": key for index, key in enumerate(keys)},
        **{f"digest_{n}": key_digest(patient, key) for n, key in enumerate(keys)},
        "since": instant(lookback.since),
        "own_client": call.client if call else "",
        "own_hook": call.hook if call else "",
        "own_instance": call.instance if call else "",
        **asks,
    }
    return _statement(places, *(name in asks for name in since)), asked


@lru_cache(maxsize=32)
def _statement(places: int, info: bool, heard: bool = False) -> Prepared:
    """The query for so many keys, a power of two or none, and for what else matters.

    Several questions in one, so that each has its index and its bound; what two of them
    find is found twice. A card that is shown each time until it is overridden has many
    displays, of which the newest and those with feedback matter. Lines are found by the
    cards on which they stood.
    """
    card = CARDS.c
    recent = card.shown_at >= bindparam("since")
    questions: list[Select[Any]] = []
    keys: list[BindParameter[str]] = [bindparam(f"key_{n}") for n in range(places)]
    for number, key in enumerate(keys):
        alike = (card.key_digest == bindparam(f"digest_{number}"), recent)
        newest, earlier = _newest(NEWEST, *alike), _newest(MOST, *alike)
        questions += [
            _shown(newest, *_whose(newest), newest.c.dedup_key == key),
            _heard(earlier, *_whose(earlier), earlier.c.dedup_key == key),
        ]
    if places:
        shown = _newest(MOST, *_whose(CARDS), recent)
        of_keys = or_(SUPPRESSIONS.c.dedup_key.in_(keys), shown.c.dedup_key.in_(keys))
        questions.append(_told(shown, of_keys))
    if info:
        today = _newest(MOST, *_whose(CARDS), card.shown_at >= bindparam("info_since"))
        mild = today.c.indicator == Indicator.INFO.name.lower()
        questions.append(_shown(today, mild, today.c.rule != ""))
    if heard:
        shown = _newest(MOST, *_whose(CARDS), card.shown_at >= bindparam("heard_since"))
        questions.append(_heard(shown))
        said = FEEDBACK.c
        taken = select(said.digest).where(
            _heard_of(shown), said.outcome == FeedbackOutcome.ACCEPTED.value
        )
        questions.append(_told(shown, exists(taken.correlate(shown))))
    both = union_all(*questions)
    columns = both.selected_columns
    order = (columns.shown_at.desc(), columns.uuid)
    return Prepared(both.order_by(*order).limit(MOST))


def _newest(most: int, *wanted: ColumnElement[bool]) -> Subquery:
    """The newest of the cards that are wanted, as far as an index has them.

    What else is asked of them is asked afterwards: to look for the newest that meet it
    might be to look at all that there ever were.
    """
    card = CARDS.c
    columns = (*SHOWN, *ASKED_OF_CARDS)
    found = select(*(card[name] for name in columns)).where(*wanted)
    return found.order_by(card.shown_at.desc()).limit(most).subquery()


def _whose(cards: Table | Subquery) -> Iterator[ColumnElement[bool]]:
    """What makes them the patient's."""
    return (cards.c[name] == bindparam(name) for name in PatientKey._fields)


def _shown(cards: Subquery, *wanted: ColumnElement[bool]) -> Select[Any]:
    """Cards with their calls and what was heard of them."""
    call = CALLS.c
    said = (FEEDBACK.c[name] for name in SAID)
    nothing = _nothing("told_under")
    return (
        select(*(cards.c[name] for name in SHOWN), *_of_call(), nothing, *said)
        .select_from(
            cards.join(CALLS, call.id == cards.c.call_id).outerjoin(
                FEEDBACK, _heard_of(cards)
            )
        )
        .where(*wanted)
    )


def _heard(cards: Subquery, *wanted: ColumnElement[bool]) -> Select[Any]:
    """Those of the cards of which something was heard."""
    return _shown(cards, *wanted, FEEDBACK.c.outcome.is_not(None))


def _heard_of(cards: Subquery) -> ColumnElement[bool]:
    """What ties a card to what was heard of it from those who were shown it."""
    feedback = FEEDBACK.c
    return and_(
        feedback.card == cards.c.uuid,
        feedback.tenant == cards.c.tenant,
        feedback.client == cards.c.client,
        feedback.service == cards.c.service,
    )


def _told(cards: Subquery, wanted: ColumnElement[bool]) -> Select[Any]:
    """The lines on the cards that are wanted, and their calls."""
    line, call = SUPPRESSIONS.c, CALLS.c
    known = {
        "uuid": "told " + cast(line.id, Text),
        "shown_at": call.at,
        "evidence": _nothing("evidence"),
    }
    shown = (
        (known[name] if name in known else line[name]).label(name) for name in SHOWN
    )
    under = and_(line.call_id == cards.c.call_id, line.told_under == cards.c.rule)
    return (
        select(*shown, *_of_call(), line.told_under, *map(_nothing, SAID))
        .select_from(
            cards.join(SUPPRESSIONS, under).join(CALLS, call.id == line.call_id)
        )
        .where(wanted, line.indicator.is_not(None))
    )


def _of_call() -> tuple[Label[Any], ...]:
    """Whether the call is the one that asks, and whose it was."""
    call = CALLS.c
    own = and_(
        call.client == bindparam("own_client"),
        call.hook == bindparam("own_hook"),
        call.hook_instance == bindparam("own_instance"),
    )
    return own.label("own"), call.user.label("seen_by"), call.encounter.label("seen_in")


def _nothing(name: str) -> Label[Any]:
    return cast(null(), Text).label(name)


def _displays(found: Iterable[Row[Any]]) -> Iterator[Display]:
    for _, same in groupby(found, key=attrgetter("uuid")):
        heard = list(same)
        last = max(heard, key=lambda row: (row.outcome_at or "", row.received_at or ""))
        yield _display(last)


def _display(row: Row[Any]) -> Display:
    """The display, with the last that was heard of it.

    A client whose clock is ahead does not keep a card away for longer.
    """
    overridden, accepted, reason = None, None, ANY_REASON
    if row.outcome == FeedbackOutcome.OVERRIDDEN.value:
        overridden = datetime.fromisoformat(min(row.outcome_at, row.received_at))
        if row.reason_code:
            reason = f"{row.reason_system}|{row.reason_code}"
    elif row.outcome == FeedbackOutcome.ACCEPTED.value:
        accepted = datetime.fromisoformat(min(row.outcome_at, row.received_at))
    return Display(
        rule=row.rule,
        version=row.version,
        dedup_key=row.dedup_key,
        indicator=Indicator[row.indicator.upper()],
        at=datetime.fromisoformat(row.shown_at),
        own=bool(row.own),
        overridden=overridden,
        reason=reason,
        accepted=accepted,
        told_under=row.told_under or "",
        evidence=tuple(json.loads(row.evidence)) if row.evidence else (),
        user=row.seen_by,
        encounter=row.seen_in,
    )


# Feedback, joined to the rule and version that gave the card


def heard_of(
    connection: Connection, service: str, card: str, client: Caller
) -> FeedbackEntry | None:
    """Return the last that a client has said of a card; None where it said nothing."""
    said = FEEDBACK.c
    asked = select(FEEDBACK).where(
        said.card == card,
        said.tenant == client.tenant,
        said.client == client.id,
        said.service == service,
    )
    newest = asked.order_by(said.outcome_at.desc(), said.received_at.desc())
    row = connection.execute(newest.limit(1)).first()
    if row is None:
        return None
    reason = None
    if row.reason_code:
        told = (row.reason_system, row.reason_code, row.reason_display or "")
        reason = Coding(*told)
    return FeedbackEntry(
        row.card,
        FeedbackOutcome(row.outcome),
        datetime.fromisoformat(row.outcome_at),
        tuple(json.loads(row.accepted_suggestions)),
        reason,
        row.user_comment or "",
    )


def save_feedback(
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
