"""What vendors were asked to notify of: who looks after it, and when it is due again.

What is subscribed stands at the vendor. Here stands no more than what is needed so that
it is not asked for at every turn, that one process does it at a time, and that whoever
looks is told.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.days import moment
from ...wearables.samples import microseconds
from ..database import Database
from .records import GrantWearer, SubscriptionNote
from .tables import SUBSCRIPTIONS, WEARER

SUBSCRIBED, FAILING = STATES = ("subscribed", "failing")
_NOTHING = {"base": "", "asked": "", "problem": "", "due_us": 0, "failures": 0}


class Subscriptions:
    """What is known of subscriptions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        wearer: GrantWearer,
        asked: str,
        now: datetime,
        until: datetime,
        *,
        whenever: bool = False,
    ) -> SubscriptionNote | None:
        """Return what is known, for who looks after it alone until then.

        None where nothing is due: the same is asked as before, and was looked at, or
        is by somebody else.

        Args:
            asked: A digest of what is wanted now.
            whenever: Whether it is taken up though nothing is due.
        """
        key = _key(wearer)
        added = insert(SUBSCRIPTIONS).values(key | _NOTHING)
        once = added.on_conflict_do_nothing(index_elements=WEARER)
        row, now_us = SUBSCRIPTIONS.c, microseconds(now)

        def is_due(found: Row[Any]) -> bool:
            return whenever or found.asked != asked or found.due_us <= now_us

        def work(connection: Connection) -> Row[Any] | None:
            connection.execute(once)
            found = connection.execute(select(SUBSCRIPTIONS).where(_is(wearer))).one()
            if not is_due(found):
                return None
            same = and_(row.asked == found.asked, row.due_us == found.due_us)
            told = {"due_us": microseconds(until), "asked": asked}
            mine = update(SUBSCRIPTIONS).where(_is(wearer), same).values(told)
            return found if connection.execute(mine).rowcount == 1 else None

        # Most of the time nothing is, and then nobody is kept from writing.
        with self._database.reading() as connection:
            known = connection.execute(select(SUBSCRIPTIONS).where(_is(wearer))).first()
        if known is not None and not is_due(known):
            return None
        taken = self._database.write(work)
        return None if taken is None else _note(taken)

    def keep(self, note: SubscriptionNote) -> None:
        """Have it known what came of looking after it."""
        told = {
            "base": note.base,
            "asked": note.asked,
            "problem": note.problem,
            "failures": note.failures,
            "due_us": 0 if note.due is None else microseconds(note.due),
            "until_us": None if note.until is None else microseconds(note.until),
        }
        change = update(SUBSCRIPTIONS).where(_is(note.wearer)).values(told)
        self._database.write(lambda each: each.execute(change) and None)

    def drop(self, wearer: GrantWearer) -> None:
        """Have nothing be known any more: nothing is subscribed."""
        self._database.write(lambda each: forget(each, wearer))

    def find(self, wearer: GrantWearer) -> SubscriptionNote | None:
        """Return what is known; None where nothing was ever subscribed."""
        with self._database.reading() as connection:
            row = connection.execute(select(SUBSCRIPTIONS).where(_is(wearer))).first()
        return None if row is None else _note(row)

    def count(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many there are of each source that are ``subscribed`` as wanted,
        and how many are ``failing``.
        """
        row, counted = SUBSCRIPTIONS.c, dict[str, Counter[str]]()
        by = row.source, row.problem
        asked = select(*by, func.count()).group_by(*by)
        with self._database.reading() as connection:
            for source, problem, number in connection.execute(asked):
                state = FAILING if problem else SUBSCRIBED
                counted.setdefault(source, Counter())[state] += number
        return counted


def forget(connection: Connection, wearer: GrantWearer) -> None:
    """Have nothing be known of a wearer's subscriptions."""
    connection.execute(delete(SUBSCRIPTIONS).where(_is(wearer)))


def make_due(connection: Connection, wearer: GrantWearer) -> None:
    """Have a wearer's subscriptions be looked at, whatever was found before."""
    due = update(SUBSCRIPTIONS).where(_is(wearer)).values(due_us=0, failures=0)
    connection.execute(due)


def _key(wearer: GrantWearer) -> dict[str, str]:
    return {name: getattr(wearer, name) for name in WEARER}


def _is(wearer: GrantWearer) -> ColumnElement[bool]:
    row = SUBSCRIPTIONS.c
    return and_(*(row[name] == value for name, value in _key(wearer).items()))


def _note(row: Row[Any]) -> SubscriptionNote:
    return SubscriptionNote(
        GrantWearer(row.tenant, row.source, row.user),
        row.base,
        row.asked,
        None if row.until_us is None else moment(row.until_us),
        moment(row.due_us) if row.due_us else None,
        row.failures,
        row.problem,
    )
