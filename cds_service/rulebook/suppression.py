"""Which of the cards are shown now, and what is held back, with its reason.

In this order: a card that was overridden is snoozed; one that was shown lately is not
repeated; of a group of rules the first is shown and the others stand in its detail;
what is left is cut to the site's limits. A critical card is held back only where its
rule says so. The card about checks that could not be made is neither held back nor
counted: silence must not mean "could not check".

A rule that is snoozed or not repeated has no part in its group. What was shown, and
what was overridden, was its own card; to hold back another rule of the group behind it
would hide what nobody has seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from ..protocol.cards import Indicator
from . import sentences
from .alerting import Display, Limits, Lookback
from .cards import BuiltCard


class Why(StrEnum):
    """Why a card is held back."""

    SNOOZED = "snoozed"
    REPEATED = "repeated"
    GROUPED = "grouped"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A card that is held back, and why."""

    card: BuiltCard
    why: Why
    until: datetime | None
    """None where it depends on what else is shown."""
    detail: str


@dataclass(frozen=True, slots=True)
class Held:
    """What became of the cards of one response."""

    shown: tuple[BuiltCard, ...]
    suppressed: tuple[Suppressed, ...] = ()


def look_back(
    cards: Iterable[BuiltCard], limits: Limits, now: datetime, zone: tzinfo
) -> Lookback | None:
    """The earlier displays that matter for *cards*; None if none do."""
    keys, starts, info = set(), [], False
    for card in filter(may_be_held, cards):
        lengths = card.alerting.looks_back if card.comparable else ()
        if lengths:
            keys.add(card.dedup_key)
            starts += [length.before(now, zone) for length in lengths]
        info = info or card.card.indicator is Indicator.INFO
    counts = info and limits.info_per_day is not None
    if not keys and not counts:
        return None
    return Lookback(
        frozenset(keys),
        min(starts, default=now),
        start_of_day(now, zone) if counts else None,
    )


def may_be_held(card: BuiltCard) -> bool:
    """Whether the card may be held back at all."""
    critical = card.card.indicator is Indicator.CRITICAL
    return bool(card.rule) and (not critical or card.alerting.allow_suppress)


def start_of_day(now: datetime, zone: tzinfo) -> datetime:
    """When the day began that it is in *zone*, in UTC."""
    local = now.astimezone(zone)
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)


def hold_back(
    cards: Sequence[BuiltCard],
    displays: Sequence[Display],
    limits: Limits,
    now: datetime,
    zone: tzinfo,
) -> Held:
    """The cards that are shown, the rest with its reason.

    Args:
        cards: Most urgent first.
        displays: At least what ``look_back`` names of this patient.
    """
    asked = _Holding(displays, limits, now, zone)
    shown, silenced = asked.silence(cards)
    shown, grouped = _group(shown)
    shown, cut = asked.cut(shown)
    return Held(tuple(shown), (*silenced, *grouped, *cut))


class _Holding:
    """One decision; a retry of a call is decided as the call was.

    What an earlier answer to the same call showed is shown again, and what happened
    since then does not count.
    """

    def __init__(
        self, displays: Iterable[Display], limits: Limits, now: datetime, zone: tzinfo
    ) -> None:
        displays = tuple(displays)
        own = [each for each in displays if each.own]
        first = min((each.at for each in own), default=None)
        self.own = {each.dedup_key for each in own}
        self.earlier = [
            _as_of(first, each)
            for each in displays
            if not each.own and (first is None or each.at < first)
        ]
        self.limits = limits
        self.now = now
        self.zone = zone

    def silence(
        self, cards: Iterable[BuiltCard]
    ) -> tuple[list[BuiltCard], list[Suppressed]]:
        shown, silenced = [], []
        for card in cards:
            reason = None
            if may_be_held(card) and card.comparable and card.dedup_key not in self.own:
                earlier = [each for each in self.earlier if _is_same(each, card)]
                reason = self._snoozed(card, earlier) or self._repeated(card, earlier)
            silenced.append(reason) if reason else shown.append(card)
        return shown, silenced

    def _snoozed(self, card: BuiltCard, earlier: list[Display]) -> Suppressed | None:
        """An override speaks of the card that was shown, not of a more severe one."""
        reasons = []
        for each in earlier:
            length = card.alerting.snoozed_for(each.reason)
            if each.overridden and length and card.card.indicator <= each.indicator:
                until = length.after(each.overridden, self.zone)
                why = each.reason or "no reason given"
                said = f"overridden {stamp(each.overridden)} ({why})"
                detail = f"{said}, snooze_on_override {length}"
                reasons.append(Suppressed(card, Why.SNOOZED, until, detail))
        return self._longest(reasons)

    def _repeated(self, card: BuiltCard, earlier: list[Display]) -> Suppressed | None:
        length = card.alerting.repeat_after
        last = max(earlier, key=lambda each: (each.at, -each.indicator), default=None)
        if not length or not last or card.card.indicator > last.indicator:
            return None
        until = length.after(last.at, self.zone)
        detail = f"shown {stamp(last.at)}, repeat_after {length}"
        return self._longest([Suppressed(card, Why.REPEATED, until, detail)])

    def _longest(self, reasons: list[Suppressed]) -> Suppressed | None:
        """The one that holds longest, if it still does."""
        lasting = [each for each in reasons if each.until and self.now < each.until]
        return max(lasting, key=lambda each: each.until or self.now, default=None)

    def cut(
        self, cards: Sequence[BuiltCard]
    ) -> tuple[list[BuiltCard], list[Suppressed]]:
        """What must be shown has its room first."""
        sure = sum(bool(each.rule) and not may_be_held(each) for each in cards)
        room, info_room = self._room() - sure, self._info_room()
        shown, cut = [], []
        for card in cards:
            info = bool(card.rule) and card.card.indicator is Indicator.INFO
            own = card.dedup_key in self.own
            if info and info_room <= 0 and not own:
                cut.append(self._over_the_day(card))
            elif room <= 0 and may_be_held(card):
                detail = f"cards_per_response {self.limits.cards_per_response}"
                cut.append(Suppressed(card, Why.BUDGET, None, detail))
            else:
                shown.append(card)
                room -= may_be_held(card)
                info_room -= info
        return shown, cut

    def _room(self) -> float:
        limit = self.limits.cards_per_response
        return float("inf") if limit is None else limit

    def _info_room(self) -> float:
        limit = self.limits.info_per_day
        if limit is None:
            return float("inf")
        today = start_of_day(self.now, self.zone)
        counted = (
            each.rule and each.indicator is Indicator.INFO and each.at >= today
            for each in self.earlier
        )
        return limit - sum(map(bool, counted))

    def _over_the_day(self, card: BuiltCard) -> Suppressed:
        noon = self.now.astimezone(self.zone).replace(hour=12) + timedelta(days=1)
        detail = f"info_per_day {self.limits.info_per_day}"
        return Suppressed(card, Why.BUDGET, start_of_day(noon, self.zone), detail)


def _group(
    cards: Iterable[BuiltCard],
) -> tuple[list[BuiltCard], list[Suppressed]]:
    """Of each group the first card; the others a line each in its detail."""
    leaders: dict[str, BuiltCard] = {}
    lines: dict[str, list[BuiltCard]] = {}
    shown, grouped = [], []
    for card in cards:
        name = card.alerting.group
        leader = leaders.setdefault(name, card) if name else card
        if leader is card or not may_be_held(card):
            shown.append(card)
            continue
        lines.setdefault(leader.rule, []).append(card)
        detail = f"group {name}, told by {leader.rule}"
        grouped.append(Suppressed(card, Why.GROUPED, None, detail))
    told = {each.rule for each in leaders.values()}
    return [
        _with_lines(each, lines.pop(each.rule, [])) if each.rule in told else each
        for each in shown
    ], grouped


def _with_lines(card: BuiltCard, others: Sequence[BuiltCard]) -> BuiltCard:
    if not others:
        return card
    also = sentences.also_true((each.title, each.card.summary) for each in others)
    detail = f"{card.card.detail}\n\n{also}".lstrip()
    return replace(card, card=replace(card.card, detail=detail))


def _as_of(first: datetime | None, display: Display) -> Display:
    """The display without an override that came after the first answer."""
    if first and display.overridden and display.overridden >= first:
        return replace(display, overridden=None)
    return display


def _is_same(display: Display, card: BuiltCard) -> bool:
    """Whether the display showed what the card says.

    A new major version of a rule means something else, so that what was shown or
    overridden before does not count.
    """
    major = card.version.partition(".")[0]
    same = display.version.partition(".")[0] == major
    return same and display.dedup_key == card.dedup_key


def stamp(at: datetime) -> str:
    """The instant in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
