"""What became of cards, over a time: by rule and version, and one by one.

A card that nobody spoke of is neither accepted nor overridden: clients never report
that a card was ignored.

Source: CDS Hooks 3.0.0 "Feedback".
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select

from .database import Database
from .records import AuditEntry
from .rows import audit_entry, instant
from .tables import AUDIT, CALLS, CARDS, FEEDBACK, SUPPRESSIONS

ROWS_A_CALL = 20
"""Rows of the audit trail that are looked at for each call that is wanted."""
PAGE = 1000
"""Rows that are read at a time."""
CLOCKS_SET = timedelta(days=2)
"""By how much the clock of a machine may be set, or that of two differ."""


@dataclass(frozen=True, slots=True)
class Period:
    """From one instant up to, but not with, another; aware."""

    since: datetime
    until: datetime

    @property
    def bounds(self) -> tuple[str, str]:
        """Both as the store writes instants."""
        return instant(self.since), instant(self.until)


@dataclass(slots=True)
class RuleReport:
    """What became of one version of a rule."""

    rule: str
    """Empty for the card about checks that could not be made."""
    version: str
    fired: int = 0
    """Calls in which it was true, shown or not."""
    unknown: int = 0
    """Calls in which it could not be decided."""
    shown: int = 0
    """Distinct cards."""
    held_back: Counter[str] = field(default_factory=Counter)
    """Cards that were not shown, by reason."""
    accepted: int = 0
    """Cards of which a suggestion was taken, by the last word on each."""
    overridden: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Override reasons: system and code."""

    @property
    def silent(self) -> int:
        """Cards of which nobody said anything."""
        return self.shown - self.accepted - self.overridden

    def share(self, number: int) -> float | None:
        """Return a number of cards as a share of those shown; None if none was."""
        return number / self.shown if self.shown else None


@dataclass(frozen=True, slots=True)
class Sampled:
    """What became of cards in the newest calls, however many there were before."""

    calls: Counter[tuple[str, str]]
    """By service and hook."""
    since: datetime | None
    """When the oldest of them was; None where there was none."""
    rules: tuple[RuleReport, ...]


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One word of feedback, with what is known about its card."""

    date: str
    """When the clinician acted; ISO 8601 in UTC."""
    tenant: str
    client: str
    service: str
    card: str
    action: str
    """``accepted`` or ``overridden``."""
    suggestions: tuple[str, ...]
    """Uuids of the suggestions that were taken."""
    reason_system: str
    reason_code: str
    reason_display: str
    comment: str
    """In the clinician's words; may hold patient data."""
    rule: str
    """Empty where the card is not known here."""
    version: str
    indicator: str
    shown_at: str
    user: str
    encounter: str


class Reports:
    """Reads what became of cards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rules(self, period: Period) -> tuple[RuleReport, ...]:
        """Return what became of each rule and version in a period, in their order.

        Feedback is counted with its card, by the time at which that was shown.
        """
        reports: dict[tuple[str, str], RuleReport] = {}
        _tally(reports, _evaluations(self._database, period))
        self._add_cards(reports, period)
        return tuple(reports[key] for key in sorted(reports))

    def _add_cards(
        self, reports: dict[tuple[str, str], RuleReport], period: Period
    ) -> None:
        """Count cards that were shown or held back in a period, and what was said."""

        def report(rule: str, version: str) -> RuleReport:
            return reports.setdefault((rule, version), RuleReport(rule, version))

        with self._database.reading() as connection:
            for row in connection.execute(_shown(period)):
                report(row.rule, row.version).shown += row.number
            for row in connection.execute(_held_back(period)):
                report(row.rule, row.version).held_back[row.why] += row.number
            said = connection.execute(_feedback(period, "shown_at")).all()
        for row in _last_words(said):
            _count(report(row.card_rule, row.card_version), row)

    def newest(self, now: datetime, most: int) -> Sampled:
        """Return what became of each rule and version in the newest calls.

        Args:
            most: Calls that are read, so that it takes no longer where there are more.
        """
        row = AUDIT.c
        newest = select(func.coalesce(func.max(row.id), 0)).scalar_subquery()
        asked = (
            select(row.at, row.detail)
            .where(row.id > newest - most * ROWS_A_CALL)
            .where(row.kind == "call", row.detail != "")
            .order_by(row.id.desc())
            .limit(most)
        )
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        reports: dict[tuple[str, str], RuleReport] = {}
        calls = Counter[tuple[str, str]]()
        for each in found:
            told = json.loads(each.detail)
            calls[told.get("service", ""), told.get("hook", "")] += 1
            for said in told.get("evaluations", ()):
                _tally(reports, _said(said))
        if not found:
            return Sampled(calls, None, ())
        since = min(datetime.fromisoformat(each.at) for each in found)
        self._add_cards(reports, Period(since, now + CLOCKS_SET))
        return Sampled(calls, since, tuple(reports[key] for key in sorted(reports)))

    def feedback(self, period: Period) -> Iterator[FeedbackRecord]:
        """Yield every word of feedback on what was done in a period, by time."""
        with self._database.reading() as connection:
            for row in connection.execute(_feedback(period, "outcome_at")):
                yield _record(row)


def _tally(
    reports: dict[tuple[str, str], RuleReport], said: Iterable[tuple[str, str, str]]
) -> None:
    for rule, version, outcome in said:
        report = reports.setdefault((rule, version), RuleReport(rule, version))
        if outcome == "fires":
            report.fired += 1
        elif outcome == "unknown":
            report.unknown += 1


def _evaluations(database: Database, period: Period) -> Iterator[tuple[str, str, str]]:
    """Rule, version and outcome of every evaluation in the audit trail.

    What was erased there is not counted.
    """
    since, until = period.bounds
    row = AUDIT.c
    with database.snapshot() as connection:
        last, end = _arrivals(connection, period)
        while True:
            page = (
                select(row.id, row.detail)
                .where(row.id > last, row.id <= end)
                .where(row.at >= since, row.at < until)
                .where(row.kind == "call", row.detail != "")
                .order_by(row.id)
                .limit(PAGE)
            )
            found = connection.execute(page).all()
            for each in found:
                for said in json.loads(each.detail).get("evaluations", ()):
                    yield from _said(said)
            if len(found) < PAGE:
                return
            last = found[-1].id


def _said(written: list[Any]) -> Iterator[tuple[str, str, str]]:
    """Rule, version and outcome of what a row has of some evaluations.

    Outcome, reasons, and the rules that say so; in rows of before of one rule, which
    came first.
    """
    outcome, _, rules = written if isinstance(written[-1], list) else _of_one(*written)
    for name in rules:
        rule, _, version = name.rpartition("@")
        yield rule, version, outcome


def _of_one(name: str, outcome: str, *reasons: str) -> list[Any]:
    return [outcome, reasons, [name]]


def read_trail(connection: Connection, period: Period | None) -> Iterator[AuditEntry]:
    """Yield rows of the audit trail by their keys, a page at a time."""
    row = AUDIT.c
    last, end = _arrivals(connection, period) if period else (0, None)
    while True:
        page = select(AUDIT).where(row.id > last)
        if end is not None:
            page = page.where(row.id <= end)
        page = page.order_by(row.id).limit(PAGE)
        found = connection.execute(page).mappings().all()
        yield from map(audit_entry, found)
        if len(found) < PAGE:
            return
        last = found[-1]["id"]


def _arrivals(connection: Connection, period: Period) -> tuple[int, int]:
    """Return keys of the audit trail between which all rows of a period stand.

    The first is not among them. Rows arrive in the order of their time, but for clocks
    that are set.
    """
    row = AUDIT.c
    ends = connection.execute(select(func.min(row.id), func.max(row.id))).one()
    first, last = (each or 0 for each in ends)
    moments = instant(period.since - CLOCKS_SET), instant(period.until + CLOCKS_SET)
    low, high = (_arrival(connection, each, first, last) for each in moments)
    return low - 1, high


def _arrival(connection: Connection, moment: str, first: int, last: int) -> int:
    """The key of the first row from *moment* on, found by halving; else the last."""
    row = AUDIT.c
    while first < last:
        middle = (first + last) // 2
        asked = select(row.id, row.at).where(row.id > middle).order_by(row.id).limit(1)
        found = connection.execute(asked).one()
        if found.at < moment:
            first = found.id
        else:
            last = middle
    return last


def _shown(period: Period) -> Select[Any]:
    since, until = period.bounds
    card = CARDS.c
    return (
        select(card.rule, card.version, func.count().label("number"))
        .where(card.shown_at >= since, card.shown_at < until)
        .group_by(card.rule, card.version)
    )


def _held_back(period: Period) -> Select[Any]:
    since, until = period.bounds
    held = SUPPRESSIONS.c
    return (
        select(held.rule, held.version, held.why, func.count().label("number"))
        .join(CALLS, CALLS.c.id == held.call_id)
        .where(CALLS.c.at >= since, CALLS.c.at < until)
        .group_by(held.rule, held.version, held.why)
    )


def _feedback(period: Period, by: str) -> Select[Any]:
    """Feedback with its card and call, oldest first.

    By ``shown_at`` only cards that are known; by ``outcome_at`` all feedback.
    """
    since, until = period.bounds
    said, card, call = FEEDBACK.c, CARDS.c, CALLS.c
    at = card.shown_at if by == "shown_at" else said.outcome_at
    known = and_(
        card.uuid == func.lower(said.card),
        card.tenant == said.tenant,
        card.client == said.client,
        card.service == said.service,
    )
    return (
        select(
            FEEDBACK,
            card.rule.label("card_rule"),
            card.version.label("card_version"),
            card.indicator,
            card.shown_at,
            call.user,
            call.encounter,
        )
        .select_from(FEEDBACK.outerjoin(CARDS, known))
        .outerjoin(CALLS, call.id == card.call_id)
        .where(at >= since, at < until)
        .order_by(said.outcome_at, said.received_at, said.digest)
    )


def _last_words(rows: Sequence[Row[Any]]) -> Iterator[Row[Any]]:
    """The newest feedback on each card; a card may be spoken of again."""
    yield from {row.card.lower(): row for row in rows}.values()


def _count(report: RuleReport, row: Row[Any]) -> None:
    if row.outcome == "accepted":
        report.accepted += 1
        return
    report.overridden += 1
    if row.reason_code:
        report.reasons[row.reason_system or "", row.reason_code] += 1


def _record(row: Row[Any]) -> FeedbackRecord:
    return FeedbackRecord(
        date=row.outcome_at,
        tenant=row.tenant,
        client=row.client,
        service=row.service,
        card=row.card,
        action=row.outcome,
        suggestions=tuple(json.loads(row.accepted_suggestions)),
        reason_system=row.reason_system or "",
        reason_code=row.reason_code or "",
        reason_display=row.reason_display or "",
        comment=row.user_comment or "",
        rule=row.rule or "",
        version=row.version or "",
        indicator=row.indicator or "",
        shown_at=row.shown_at or "",
        user=row.user or "",
        encounter=row.encounter or "",
    )
