"""What a rule and a site say about showing a card again, and what was shown before.

``once_per`` makes the key under which two cards are the same. A rule is always part of
it: one rule never silences another by itself; that is what ``group`` is for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..protocol.cards import Indicator
from .intervals import Duration

ONCE_PER = ("patient", "rule")
"""What makes two cards the same, where a rule does not say."""
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
    group: str = ""
    priority: int = 0
    allow_suppress: bool = False
    """Whether a critical card, too, may be held back."""

    def snoozed_for(self, reason: str) -> Duration | None:
        """How long an override for *reason* keeps the card away; None: not at all."""
        return self.snooze.get(reason, self.snooze.get(ANY_REASON))

    @property
    def looks_back(self) -> tuple[Duration, ...]:
        """How far earlier displays and overrides matter."""
        repeat = (self.repeat_after,) if self.repeat_after else ()
        return (*repeat, *self.snooze.values())


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a clinician is shown, as the site has it; None: no limit."""

    cards_per_response: int | None = None
    info_per_day: int | None = None
    """A patient and day of the site's time zone."""


@dataclass(frozen=True, slots=True)
class Display:
    """A card that was shown for this patient before, and whether it was overridden."""

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


@dataclass(frozen=True, slots=True)
class Lookback:
    """Which earlier displays a decision rests on."""

    keys: frozenset[str]
    since: datetime
    """For the keys."""
    info_since: datetime | None = None
    """For info cards of whatever key; None where they need not be counted."""
