"""What a rulebook is made of once it is compiled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ...protocol.cards import CardSource, Coding, Indicator, Link
from ..language.tree import Evidence
from ..values.intervals import Duration
from ..values.text import Template
from .alerting import Alerting, CardLimits
from .facts import Criterion, Fact
from .rows.problems import OpenEndings, usual_reading

CheckResource = Callable[[Mapping[str, Any]], Sequence[str]]
"""What is wrong with a FHIR resource that a rule creates, a line a problem."""


def unchecked(resource: Mapping[str, Any]) -> Sequence[str]:
    """No problems: for where nobody holds resources to FHIR's models."""
    return ()


@dataclass(frozen=True, slots=True)
class ActionTemplate:
    """One change of the record, which a person is offered or which needs none."""

    type: str
    """``create``, ``update`` or ``delete``."""
    description: str
    resource: Mapping[str, Any] | None = None
    """For create: the resource; its texts may hold placeholders."""
    fact: str = ""
    """For update and delete: the fact whose newest row is changed."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """For update: the members that are set."""
    reasons: tuple[str, ...] = ()
    """For create: the facts whose newest entries are the reason for it."""


@dataclass(frozen=True, slots=True)
class SuggestionTemplate:
    """A suggestion as the rule file has it."""

    label: str
    recommended: bool
    actions: tuple[ActionTemplate, ...]
    action_selection: str = ""
    """How many of the actions may be taken: ``any`` or ``at-most-one``; empty for all
    of them."""


@dataclass(frozen=True, slots=True)
class CardTemplate:
    """A card as the rule file has it."""

    index: int
    severity: Indicator
    when: Criterion | None
    summary: Template
    detail: Template | None
    source: CardSource
    override_reasons: tuple[Coding, ...] = ()
    links: tuple[Link, ...] = ()
    suggestions: tuple[SuggestionTemplate, ...] = ()
    selection: str = "at-most-one"
    """How many suggestions may be taken: ``at-most-one`` or ``any``."""
    together: str = ""
    """What all of them are called as one, for clients that let one be taken."""
    limits: Template = ()
    """What limits the card: devices, what nobody knows; under a heading of its own."""
    system_actions: tuple[ActionTemplate, ...] = ()
    """What is done without a person, all together."""


@dataclass(frozen=True, slots=True)
class Param:
    """A number or duration that a site may tune."""

    name: str
    value: float | Duration
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled."""

    id: str
    version: str
    title: str
    file: str
    status: str
    """``draft``, ``shadow``, ``active`` or ``retired``, after ``site.yaml``."""
    approved: bool
    served: bool
    """Its cards are shown: active, and approved or served unapproved by the site."""
    hooks: tuple[str, ...]
    facts: Mapping[str, Fact]
    params: Mapping[str, Param]
    when: Criterion
    """With the implied criterion that the patient is alive."""
    if_unknown: str
    """``silent``, ``note`` or ``fire``."""
    cards: tuple[CardTemplate, ...]
    effective: date | None = None
    expires: date | None = None
    review_by: date | None = None
    alerting: Alerting = Alerting()
    evidence: tuple[Evidence, ...] = ()
    owner: str = ""
    """Who answers for it, in the words of its file."""

    @property
    def key(self) -> str:
        """``rule@version``, as records name it."""
        return f"{self.id}@{self.version}"

    @property
    def is_evaluated(self) -> bool:
        """Whether it is asked at all, on some day: drafts and retired rules are not."""
        return self.status in ("active", "shadow")

    def in_force(self, day: date) -> bool:
        """Return whether the rule is evaluated on *day* (the site's calendar)."""
        if not self.is_evaluated:
            return False
        if self.effective and day < self.effective:
            return False
        return not (self.expires and day >= self.expires)


@dataclass(frozen=True, slots=True)
class Site:
    """What ``site.yaml`` decides for all rules."""

    time_zone: tzinfo = ZoneInfo("UTC")
    serve_unapproved: bool = False
    ignore_unresolved: bool = False
    overlays: tuple[str, ...] = ()
    override_reasons: Mapping[str, Coding] = field(default_factory=dict)
    data_reasons: Mapping[str, Duration | None] = field(default_factory=dict)
    """By ``system|code``: reasons that say that the data are wrong, and how long that
    counts where a rule does not say."""
    limits: CardLimits = CardLimits()
    reading: OpenEndings = field(default_factory=usual_reading)
    orders: Mapping[str, Coding | None] = field(default_factory=dict)
    """The site's code of each order that rules name; None where it has none."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """What links to pages of this server are called, where a rule does not say."""
