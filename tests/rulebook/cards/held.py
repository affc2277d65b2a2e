"""Cards that may be held back, what was shown of them before, and what comes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.protocol.cards import Card, CardSource, Indicator
from cds_service.rulebook.cards.cards import BuiltCard
from cds_service.rulebook.cards.suppression import (
    Held,
    Why,
    hold_back,
)
from cds_service.rulebook.engine.alerting import (
    ANY_REASON,
    Alerting,
    CardLimits,
    Display,
)
from cds_service.rulebook.values.intervals import Duration

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
"""Half past nine in the evening of the 21st in New York."""
ZONE = ZoneInfo("America/New_York")
INFO, WARNING, CRITICAL = Indicator
DAYS_14 = Duration(14, "day")
NO_LIMITS = CardLimits()


def card(
    rule: str = "a", severity: Indicator = WARNING, index: int = 0, **alerting: Any
) -> BuiltCard:
    shown = Card("", f"{rule} says", severity, CardSource("Test"), detail="Why.")
    key = f'{{"rule":"{rule}"}}'
    title = f"Title of {rule}"
    return BuiltCard(
        shown, rule, "1.2.0", index, key, title=title, alerting=Alerting(**alerting)
    )


def unchecked() -> BuiltCard:
    shown = Card("", "Some checks could not be made", INFO, CardSource("Test"))
    return BuiltCard(shown, "", "", 0, "{}")


def display(
    rule: str = "a", ago: timedelta = timedelta(days=1), **more: Any
) -> Display:
    usual = {"version": "1.0.0", "indicator": WARNING, "at": NOW - ago}
    return Display(rule=rule, dedup_key=f'{{"rule":"{rule}"}}', **{**usual, **more})


def hold(
    *cards: BuiltCard, seen: tuple[Display, ...] = (), limits: CardLimits = NO_LIMITS
) -> Held:
    return hold_back(cards, seen, limits, NOW, ZONE)


def rules(held: Held) -> list[str]:
    return [each.rule for each in held.shown]


def whys(held: Held) -> list[tuple[str, Why]]:
    return [(each.card.rule, each.why) for each in held.suppressed]


# snooze_on_override


def overridden(reason: str = ANY_REASON, days: float = 1, **more: Any) -> Display:
    at = NOW - timedelta(days=days)
    return display(ago=timedelta(days=days), overridden=at, reason=reason, **more)


def as_fields(display: Display) -> dict[str, Any]:
    return {name: getattr(display, name) for name in Display.__slots__}


def key(rule: str) -> str:
    return f'{{"rule":"{rule}"}}'


# What was told is not told again


def as_recorded(held: Held, at: datetime) -> tuple[Display, ...]:
    """What the next call finds of this answer: its cards, and the lines on them."""
    cards = (
        Display(each.rule, each.version, each.dedup_key, each.card.indicator, at)
        for each in held.shown
        if each.rule
    )
    lines = (
        Display(
            each.card.rule,
            each.card.version,
            each.card.dedup_key,
            each.card.card.indicator,
            at,
            told_under=each.told_under,
        )
        for each in held.suppressed
        if each.told_under
    )
    return (*cards, *lines)


def said(held: Held) -> set[str]:
    """Rules of which the reader is told, on a card or as a line."""
    lines = {each.card.rule for each in held.suppressed if each.told_under}
    return {each.rule for each in held.shown} | lines
