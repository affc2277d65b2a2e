"""What a rule and a site say about showing a card again, and what was shown before.

``once_per`` makes the key under which two cards are the same. A rule is always part of
it: one rule never silences another by itself; that is what ``group`` is for. Nobody
silences a card for a colleague, unless a rule leaves the ``user`` out on purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from ...protocol.cards import Indicator
from ..language.tree import ONCE_PER
from ..values.intervals import Duration

OF_THE_CALL = ("user", "encounter")
"""What ``once_per`` may name of the call."""
ANY_REASON = ""
"""Stands for every reason of an override that is not named, and for none given."""


@dataclass(frozen=True, slots=True)
class Alerting:
    """When a rule's card is shown again, and beside which others."""

    once_per: tuple[str, ...] = ONCE_PER
    repeat_after: Duration | None = None
    """From the last display; None: shown whenever the rule fires."""
    snooze: Mapping[str, Duration] = field(default_factory=dict)
    """From an override, by ``system|code`` of its reason or ``ANY_REASON``."""
    snooze_on_accept: Duration | None = None
    """From when anybody accepted the card, for everybody; None: not at all."""
    group: str = ""
    priority: int = 0
    allow_suppress: bool = False
    """Whether a critical card, too, may be held back."""

    def snoozed_for(self, reason: str) -> Duration | None:
        """Return how long an override for *reason* keeps the card away, if at all."""
        return self.snooze.get(reason, self.snooze.get(ANY_REASON))

    @property
    def is_for_all(self) -> bool:
        """Whether what one user saw or said counts for the others as well."""
        return "user" not in self.once_per

    @property
    def looks_back(self) -> tuple[Duration, ...]:
        """How far earlier displays and overrides matter."""
        repeat = (self.repeat_after,) if self.repeat_after else ()
        return (*repeat, *self.snooze.values())


@dataclass(frozen=True)
class AboutData:
    """Which overrides say that the data are wrong, and how long that counts."""

    reasons: Mapping[str, Duration | None] = field(default_factory=dict)
    """By ``system|code``: how long, where the rule that was overridden does not say."""
    rules: Mapping[str, Alerting] = field(default_factory=dict)
    """By id: every rule of the rulebook, as any service may have shown its card."""

    def lasts(self, rule: str, reason: str) -> Duration | None:
        """Return how long an override of *rule* for *reason* counts, if it does."""
        if reason not in self.reasons:
            return None
        alerting = self.rules.get(rule)
        own = alerting.snoozed_for(reason) if alerting else None
        return self.reasons[reason] if own is None else own

    @cached_property
    def looks_back(self) -> tuple[Duration, ...]:
        """How far such overrides matter; each call asks, of all rules."""
        lasting = (
            self.lasts(rule, reason)
            for reason in self.reasons
            for rule in ("", *self.rules)
        )
        return tuple(dict.fromkeys(each for each in lasting if each))


@dataclass(frozen=True, slots=True)
class CardLimits:
    """How much a clinician is shown, as the site has it; None: no limit."""

    cards_per_response: int | None = None
    info_per_day: int | None = None
    """A patient and day of the site's time zone."""


@dataclass(frozen=True, slots=True)
class Display:
    """A card that was shown for this patient before, and what was heard of it.

    A line on the card of another rule was shown as well.
    """

    rule: str
    version: str
    dedup_key: str
    indicator: Indicator
    at: datetime
    own: bool = False
    """In an earlier answer to this very call: the call is a retry."""
    overridden: datetime | None = None
    """When, if that is the last that was heard of it."""
    reason: str = ANY_REASON
    """Of the override: ``system|code``."""
    accepted: datetime | None = None
    """When, if that is the last that was heard of it."""
    told_under: str = ""
    """The rule on whose card it stood as a line; empty for a card of its own."""
    evidence: tuple[str, ...] = ()
    """References of what it rested on, as far as that is known."""
    user: str | None = None
    """Who was shown it."""
    encounter: str | None = None
    disputed_until: datetime | None = None
    """Until when its data count as wrong; None: they do not."""
    mine: bool = True
    """Whether whoever asks now was shown it."""


@dataclass(frozen=True, slots=True)
class Lookback:
    """Which earlier displays a decision rests on."""

    keys: frozenset[str]
    since: datetime
    """For the keys."""
    info_since: datetime | None = None
    """For info cards of whatever key; None where they need not be counted."""
    heard_since: datetime | None = None
    """For cards of whatever key of which something was heard; None for none."""
