"""The syntax tree of a rule file: what its author wrote, with every short form in full.

``between`` is two bounds; ``card`` is the one of ``cards``; what ``card_defaults`` says
is said by each card; one length of ``snooze_on_override`` is that of every reason; what
is left out has its default. Whoever compiles, describes, compares or changes a rule
reads this tree and never the data of the file, so that what a form means is decided
once, in ``tree_reader``.

Nodes are equal if they say the same, wherever that stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

from ...protocol.cards import CardSource, Indicator, Link
from .criterion_tree import Amount, Node, When
from .document import Document, Path

ONCE_PER = ("patient", "rule", "user")
"""What makes two cards the same, where a rule does not say. Where a call names no user,
its encounter stands in."""
EVERY_REASON = "other"
"""In ``snooze_on_override``: every reason that is not named, and none given."""


@dataclass(frozen=True, slots=True)
class PeriodNode(Node):
    """How far back a fact looks, or how long a medicine has been taken."""

    key: str
    """``within``, ``onset_within``, ``recorded_within``, ``started_within`` or
    ``taken_for``."""
    length: Amount


@dataclass(frozen=True, slots=True)
class ConditionFact(Node):
    """Problems of a value set."""

    kind: ClassVar[str] = "condition"
    usual_status: ClassVar[str] = "active"
    valueset: str
    status: str
    period: PeriodNode | None
    categories: tuple[str, ...]
    """Any of these; empty for all."""
    confirmed: bool
    """Only confirmed ones."""


@dataclass(frozen=True, slots=True)
class MedicationFact(Node):
    """Medicines of a value set."""

    kind: ClassVar[str] = "medication"
    usual_status: ClassVar[str] = "current"
    valueset: str
    status: str
    period: PeriodNode | None
    origin: str
    """``chart`` or ``draft_orders``."""


@dataclass(frozen=True, slots=True)
class ObservationFact(Node):
    """Results of a value set."""

    kind: ClassVar[str] = "observation"
    usual_status: ClassVar[str] = "final"
    valueset: str
    status: str
    period: PeriodNode | None
    unit: str
    """UCUM; empty where no number is asked for."""


@dataclass(frozen=True, slots=True)
class AlertFact(Node):
    """Wearable alerts of some types."""

    kind: ClassVar[str] = "wearable_alert"
    usual_status: ClassVar[str] = ""
    types: tuple[str, ...]
    status: str
    """``open`` or ``closed``; empty for both."""
    period: PeriodNode | None


@dataclass(frozen=True, slots=True)
class WearableFact(Node):
    """What days were by a patient's wearables: one value of each."""

    kind: ClassVar[str] = "wearable"
    usual_part: ClassVar[str] = "day"
    metric: str
    statistic: str
    """``mean``, ``total``, ``band:in-range`` … ; empty for the metric's usual one."""
    part: str
    """``day`` or ``night``."""
    unit: str
    """UCUM; empty where no number is asked for."""
    period: PeriodNode


@dataclass(frozen=True, slots=True)
class SilentFact(Node):
    """A metric that was agreed, and that no source has told of for so long."""

    kind: ClassVar[str] = "stream"
    metric: str
    silent_for: Amount


@dataclass(frozen=True, slots=True)
class UnjudgedFact(Node):
    """Days on which a detector met what it could not judge."""

    kind: ClassVar[str] = "stream"
    detector: str
    reasons: tuple[str, ...]
    """Any of these; empty for all."""
    period: PeriodNode


@dataclass(frozen=True, slots=True)
class ScoreItem(Node):
    """Points, and what earns them."""

    points: float
    label: str
    when: When


@dataclass(frozen=True, slots=True)
class ScoreFact(Node):
    """Points for each item that holds."""

    kind: ClassVar[str] = "score"
    title: str
    items: tuple[ScoreItem, ...]


@dataclass(frozen=True, slots=True)
class SharedFact(Node):
    """A fact of a file of ``facts/``."""

    kind: ClassVar[str] = "use"
    name: str


@dataclass(frozen=True, slots=True)
class JoinedFact(Node):
    """All that other facts find."""

    kind: ClassVar[str] = "any_of"
    names: tuple[str, ...]
    """In a rule, of its own facts; in a file of ``facts/``, of such files."""


CodedFact = ConditionFact | MedicationFact | ObservationFact
"""What is found by the codes of a value set."""
WornFact = AlertFact | WearableFact | SilentFact | UnjudgedFact
"""What is told by wearables."""
FactNode = CodedFact | WornFact | ScoreFact | SharedFact | JoinedFact
"""What stands under the name of a fact."""


@dataclass(frozen=True, slots=True)
class ParamNode(Node):
    """A number or length of time that a site may tune."""

    name: str
    default: Amount
    least: Amount | None
    most: Amount | None
    unit: str
    describe: str


@dataclass(frozen=True, slots=True)
class ActionNode(Node):
    """A change of the record."""

    type: str
    """``create``, ``update`` or ``remove``."""
    description: str
    fact: str
    """Whose newest record is updated or removed; empty for create."""
    content: Mapping[str, Any]
    """The resource that is created, or the members that are set, as in FHIR."""
    reasons: tuple[str, ...]
    """The facts that are the reason for what is created."""

    @property
    def place(self) -> Path:
        """Where the content stands."""
        return (*self.path, "set" if self.type == "update" else self.type)


@dataclass(frozen=True, slots=True)
class SuggestionNode(Node):
    """Actions that a person is offered."""

    label: str
    recommended: bool
    actions: tuple[ActionNode, ...]
    action_selection: str
    """``any`` or ``at-most-one`` of the actions; empty for all of them."""


@dataclass(frozen=True, slots=True)
class CardNode(Node):
    """A card, with what ``card_defaults`` say where it does not."""

    severity: Indicator
    """Its own, or the rule's."""
    when: When | None
    """None where it is shown whenever no card before it is."""
    summary: str
    detail: str
    limits: str
    source: CardSource | None
    override_reasons: tuple[str, ...]
    links: tuple[Link, ...]
    suggestions: tuple[SuggestionNode, ...]
    selection: str
    together: str
    system_actions: tuple[ActionNode, ...]
    places: Mapping[str, Path] = field(compare=False)
    """Where each member that is written stands: on the card or among the defaults."""

    def says(self, member: str) -> bool:
        """Return whether the file itself has a member of the card."""
        return member in self.places

    def place(self, member: str) -> Path:
        """Return where a member stands, or would stand for all cards."""
        return self.places.get(member, ("card_defaults", member))


@dataclass(frozen=True, slots=True)
class Snooze(Node):
    """For how long an override keeps a card away."""

    reason: str
    """A code, or ``EVERY_REASON``."""
    length: Amount


@dataclass(frozen=True, slots=True)
class AlertingNode(Node):
    """When a card is shown again, and beside which others."""

    once_per: tuple[str, ...] = ONCE_PER
    repeat_after: Amount | None = None
    snooze_on_override: tuple[Snooze, ...] = ()
    snooze_on_accept: Amount | None = None
    group: str = ""
    priority: int = 0
    allow_suppress: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """That somebody approved a rule."""

    by: str
    on: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A document that a rule rests on."""

    citation: str
    url: str = ""
    year: int | None = None


@dataclass(frozen=True, slots=True)
class GovernanceNode(Node):
    """Who answers for a rule, from when until when, and on what grounds."""

    owner: str = ""
    developer: str = ""
    funding: str = ""
    approved: Approval | None = None
    effective: date | None = None
    review_by: date | None = None
    expires: date | None = None
    evidence: tuple[Evidence, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    """Numbers of the rule that no document was found for, and why they stand there."""
    retired_because: str = ""


@dataclass(frozen=True, slots=True)
class RuleTree(Node):
    """A whole rule file."""

    document: Document = field(compare=False, repr=False)
    name: str
    version: str
    title: str
    status: str
    """As the file says; a site may decide otherwise."""
    hooks: tuple[str, ...]
    params: Mapping[str, ParamNode]
    facts: Mapping[str, FactNode]
    when: When
    deceased: str
    """``any`` for the living and the dead; empty for the living."""
    if_unknown: str
    cards: tuple[CardNode, ...]
    """The first whose ``when`` holds is shown."""
    alerting: AlertingNode
    governance: GovernanceNode
    replaced_by: str
    actions: tuple[ActionNode, ...] = field(repr=False)
    """Every action of the file; also of defaults that each card replaces."""

    @property
    def severity(self) -> Indicator:
        """The highest of its cards."""
        return max(card.severity for card in self.cards)

    def says(self, *path: str | int) -> bool:
        """Return whether the file itself has something at *path*."""
        return self.document.value(path) is not None

    def line(self, path: Path) -> int:
        """Return the line of a key; of its nearest parent where it is not there."""
        return self.document.position(path, key=True).line


@dataclass(frozen=True, slots=True)
class FactTree(Node):
    """A whole file of ``facts/``."""

    document: Document = field(compare=False, repr=False)
    name: str
    title: str
    fact: FactNode
