"""Which of the cards are shown now, and what is held back, with its reason.

In this order: what rests on data that somebody called wrong is judged without them; a
card that was overridden or accepted is snoozed; one that was shown lately is not
repeated; of a group of rules the first is shown and the others stand in its detail;
what is left is cut to the site's limits. A critical card is held back only where its
rule says so. The card about checks that could not be made is neither held back nor
counted: silence must not mean "could not check".

A line on another rule's card was shown as well. While the card is held back on which it
stood, it does not step forward; a rule of the group that was not told then does, since
to hold it back would hide what nobody has seen.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from ...protocol.cards import Indicator
from ..engine.alerting import OF_THE_CALL, AboutData, CardLimits, Display, Lookback
from ..engine.evaluate import Evaluation, Evaluations, Outcome
from ..engine.rulebook import ServiceRules
from . import sentences
from .cards import BuiltCard, draft_cards
from .disputes import disputes, evaluate_without, weigh
from .shape import with_also, with_note

HELD_BACK_EXTENSION = "org.cds-service.held-back"


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
    shown: datetime | None = None
    """When the card was last shown, where that is why."""
    told_under: str = ""
    """The rule on whose card it stands as a line."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of the cards of one response."""

    shown: tuple[BuiltCard, ...]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def back(self) -> Mapping[str, int]:
        """How many cards the reader does not see, by reason.

        A line on another card is seen.
        """
        whys = sorted(each.why.value for each in self.suppressed if not each.told_under)
        return Counter(whys)


def look_back(
    cards: Iterable[BuiltCard],
    limits: CardLimits,
    now: datetime,
    zone: tzinfo,
    about_data: AboutData = AboutData(),
) -> Lookback | None:
    """The earlier displays that matter for *cards*; None if none do."""
    keys, starts, heard, info = set(), [], [], False
    asked = [each for each in cards if may_be_held(each)]
    for card in asked:
        group = card.alerting.group
        mates = (each for each in asked if group and each.alerting.group == group)
        lengths = {
            length for each in (card, *mates) for length in each.alerting.looks_back
        }
        if lengths and card.comparable:
            keys.add(card.dedup_key)
            starts += [length.before(now, zone) for length in lengths]
        info = info or card.card.indicator is Indicator.INFO
        if card.alerting.snooze_on_accept:
            heard.append(card.alerting.snooze_on_accept.before(now, zone))
    if any(each.evidence for each in asked):
        heard += [length.before(now, zone) for length in about_data.looks_back]
    counts = info and limits.info_per_day is not None
    if not keys and not counts and not heard:
        return None
    return Lookback(
        frozenset(keys),
        min(starts, default=now),
        start_of_day(now, zone) if counts else None,
        min(heard, default=None),
    )


def may_be_held(card: BuiltCard) -> bool:
    """Return whether the card may be held back at all."""
    critical = card.card.indicator is Indicator.CRITICAL
    return bool(card.rule) and (not critical or card.alerting.allow_suppress)


def start_of_day(now: datetime, zone: tzinfo) -> datetime:
    """Return when the day began that it is in *zone*, in UTC."""
    local = now.astimezone(zone)
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)


def decide(
    evaluations: Evaluations,
    drafts: Sequence[BuiltCard],
    displays: Sequence[Display],
    service: ServiceRules,
    call: Mapping[str, str | None],
) -> Held:
    """Return what is shown of the cards that rules ask for, the rest with its reason.

    Args:
        drafts: The cards of *evaluations*, most urgent first.
        displays: At least what ``look_back`` names of this patient.
        call: ``user`` and ``encounter`` of the call.
    """
    now, zone = evaluations.case.now, service.site.time_zone
    known = weigh(_as_the_call_was(displays), service.about_data, call, now, zone)
    items, disputed = _without_disputed(evaluations, drafts, known)
    if items != evaluations.items:
        changed = replace(evaluations, items=items)
        drafts = draft_cards(changed, service.service, call)
    held = hold_back(drafts, known, service.site.limits, now, zone)
    return replace(held, suppressed=(*disputed, *held.suppressed))


def _without_disputed(
    evaluations: Evaluations, drafts: Iterable[BuiltCard], displays: Sequence[Display]
) -> tuple[tuple[Evaluation, ...], list[Suppressed]]:
    """The evaluations, judged anew where a card rests on data called wrong."""
    anew: dict[str, Evaluation | None] = {}
    suppressed = []
    judged = {each.rule.id: each for each in evaluations.items}
    for card in filter(may_be_held, drafts):
        said = disputes(displays, card.alerting)
        said = [each for each in said if not each.own and not each.told_under]
        wrong = {reference for each in said for reference in each.evidence}
        if wrong.isdisjoint(card.evidence):
            continue
        again = anew[card.rule] = evaluate_without(judged[card.rule], wrong)
        if again is None or again.outcome is not Outcome.FIRES:
            suppressed.append(_called_wrong(card, said))
    items = (anew.get(each.rule.id, each) for each in evaluations.items)
    return tuple(each for each in items if each is not None), suppressed


def _called_wrong(card: BuiltCard, said: Iterable[Display]) -> Suppressed:
    about = [each for each in said if not set(each.evidence).isdisjoint(card.evidence)]
    last = max(about, key=lambda each: each.disputed_until or each.at)
    told = f"its data called wrong {stamp(last.overridden or last.at)} ({last.reason})"
    by = f" by {last.user}" if last.user else ""
    detail = f"{told} on a card of {last.rule}{by}"
    return Suppressed(card, Why.SNOOZED, last.disputed_until, detail)


def hold_back(
    cards: Sequence[BuiltCard],
    displays: Sequence[Display],
    limits: CardLimits,
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
    lost = {each.card.rule: each for each in cut}
    told = (_unless_lost(each, lost.get(each.told_under)) for each in grouped)
    return Held(tuple(shown), (*silenced, *told, *cut))


def _unless_lost(line: Suppressed, lead: Suppressed | None) -> Suppressed:
    """A line on a card for which there was no room was not shown either."""
    return replace(lead, card=line.card) if lead else line


def say_held_back(cards: Sequence[BuiltCard], held: Held) -> tuple[BuiltCard, ...]:
    """The cards that are shown; the first says how many others there would be."""
    count = sum(held.back.values())
    if not cards or not count:
        return tuple(cards)
    first, *others = cards
    detail = with_note(first.card.detail, sentences.held_back(count))
    return (replace(first, card=replace(first.card, detail=detail)), *others)


def held_back_extension(held: Held) -> Mapping[str, Any]:
    """Return how many cards were held back and why, as an extension of the response."""
    reasons = dict(held.back)
    if not reasons:
        return {}
    told = {"count": sum(reasons.values()), "reasons": reasons}
    return {HELD_BACK_EXTENSION: told}


class _Holding:
    """One decision; a retry of a call is decided as the call was.

    What an earlier answer to the same call showed is shown again, and what happened
    since then does not count.
    """

    def __init__(
        self,
        displays: Iterable[Display],
        limits: CardLimits,
        now: datetime,
        zone: tzinfo,
    ) -> None:
        known = _as_the_call_was(displays)
        self.own = {each.dedup_key for each in known if each.own}
        self.earlier = [each for each in known if not each.own]
        self.limits = limits
        self.now = now
        self.zone = zone

    def silence(
        self, cards: Iterable[BuiltCard]
    ) -> tuple[list[BuiltCard], list[Suppressed]]:
        shown = list(cards)
        silenced: list[Suppressed] = []
        for silent in (self._silent, self._told):
            for card in tuple(shown):
                reason = None
                if may_be_held(card) and card.dedup_key not in self.own:
                    reason = silent(card, silenced)
                if reason:
                    silenced.append(reason)
                    shown.remove(card)
        return shown, silenced

    def _silent(self, card: BuiltCard, _: Iterable[Suppressed]) -> Suppressed | None:
        """Why the card is held back for what became of itself."""
        earlier = self._earlier(card)
        heard = self._snoozed(card, earlier) or self._accepted(card)
        return heard or self._repeated(card, earlier)

    def _earlier(self, card: BuiltCard) -> list[Display]:
        """Its displays; not where the data count as wrong that it rested on then."""
        if not card.comparable:
            return []
        void = disputes(self.earlier, card.alerting)
        return [
            each for each in self.earlier if _is_same(each, card) and each not in void
        ]

    def _told(
        self, card: BuiltCard, silenced: Iterable[Suppressed]
    ) -> Suppressed | None:
        """A line on a card is held back with the card, if it was no less severe.

        Where a card that others were shown is the reason, so are the lines on it.
        """
        void = disputes(self.earlier, card.alerting)
        lines = [e for e in self.earlier if e.told_under and e not in void]
        for lead in silenced:
            group = card.alerting.group
            if not (group and lead.shown and lead.card.alerting.group == group):
                continue
            for each in lines:
                own = card.comparable and _is_same(each, card) and each.at >= lead.shown
                on_it = each.at == lead.shown and _is_shared(each, card)
                under = each.told_under == lead.card.rule and (own or on_it)
                if under and card.card.indicator <= each.indicator:
                    detail = f"told under {each.told_under}, {lead.detail}"
                    return replace(lead, card=card, shown=None, detail=detail)
        return None

    def _accepted(self, card: BuiltCard) -> Suppressed | None:
        """Return what somebody took up rests for everybody."""
        length = card.alerting.snooze_on_accept
        reasons = []
        for each in self.earlier if length else ():
            known = card.card.indicator <= each.indicator
            if length and each.accepted and known and _is_shared(each, card):
                until = length.after(each.accepted, self.zone)
                said = f"accepted {stamp(each.accepted)}, snooze_on_accept {length}"
                reasons.append(Suppressed(card, Why.SNOOZED, until, said, each.at))
        return self._longest(reasons)

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
                reasons.append(Suppressed(card, Why.SNOOZED, until, detail, each.at))
        return self._longest(reasons)

    def _repeated(self, card: BuiltCard, earlier: list[Display]) -> Suppressed | None:
        length = card.alerting.repeat_after
        last = max(earlier, key=lambda each: (each.at, -each.indicator), default=None)
        if not length or not last or card.card.indicator > last.indicator:
            return None
        until = length.after(last.at, self.zone)
        detail = f"shown {stamp(last.at)}, repeat_after {length}"
        return self._longest([Suppressed(card, Why.REPEATED, until, detail, last.at)])

    def _longest(self, reasons: list[Suppressed]) -> Suppressed | None:
        """The one that holds longest, if it still does."""
        lasting = [each for each in reasons if each.until and self.now < each.until]
        return max(lasting, key=lambda each: each.until or self.now, default=None)

    def cut(
        self, cards: Sequence[BuiltCard]
    ) -> tuple[list[BuiltCard], list[Suppressed]]:
        """Return what must be shown has its room first."""
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
            if not each.told_under
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
        line = Suppressed(card, Why.GROUPED, None, detail, None, leader.rule)
        grouped.append(line)
    told = [_with_lines(each, lines.pop(each.rule, [])) for each in shown]
    return told, grouped


def _with_lines(card: BuiltCard, others: Sequence[BuiltCard]) -> BuiltCard:
    if not others:
        return card
    also = sentences.also_true(each.card.summary for each in others)
    detail = with_also(card.card.detail, also)
    return replace(card, card=replace(card.card, detail=detail))


def _as_the_call_was(displays: Iterable[Display]) -> list[Display]:
    """The displays as a retry's first answer had them, and that answer's own."""
    displays = tuple(displays)
    first = min((each.at for each in displays if each.own), default=None)
    return [
        each if each.own else _as_of(first, each)
        for each in displays
        if each.own or first is None or each.at < first
    ]


def _as_of(first: datetime | None, display: Display) -> Display:
    """The display without what was heard of it after the first answer."""
    if first and display.overridden and display.overridden >= first:
        display = replace(display, overridden=None)
    if first and display.accepted and display.accepted >= first:
        display = replace(display, accepted=None)
    return display


def _is_same(display: Display, card: BuiltCard) -> bool:
    """Return whether the display showed what the card says.

    A new major version of a rule means something else, so that what was shown or
    overridden before does not count.
    """
    return _is_of_major(display, card) and display.dedup_key == card.dedup_key


def _is_of_major(display: Display, card: BuiltCard) -> bool:
    major = card.version.partition(".")[0]
    return display.version.partition(".")[0] == major


def _is_shared(display: Display, card: BuiltCard) -> bool:
    """Check if the display showed what the card says, to whomever and wherever."""
    key = _for_all(card.dedup_key)
    same = key is not None and key == _for_all(display.dedup_key)
    return same and _is_of_major(display, card)


def _for_all(dedup_key: str) -> Any:
    """Return what makes two cards the same but for the call; None if unknown."""
    try:
        key = json.loads(dedup_key)
    except ValueError:
        return None
    if not isinstance(key, dict):
        return None
    rest = {name: each for name, each in key.items() if name not in OF_THE_CALL}
    return None if None in rest.values() else rest


def stamp(at: datetime) -> str:
    """The instant in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
