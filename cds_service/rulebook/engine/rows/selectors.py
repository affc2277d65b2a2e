"""What facts take from charts: the selectors of a rulebook, numbered and grouped.

Selectors for which the same resources stay in doubt are one group, so that a resource
is held against a few groups and not against every selector.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ....fhir.code_systems import can_be_read
from ....units import Scale
from ....wearables.detection.episodes import NotJudged
from ...terminology.lexicon import Lexicon
from ...terminology.parts import UNSAID
from ...terminology.valuesets import ValueSet
from ...values.intervals import Duration
from .coded import Coding
from .matching import CodeIndex


@dataclass(frozen=True, slots=True)
class DayValue:
    """One value of each day of a metric, as wearables told it."""

    metric: str
    statistic: str
    """As a summary calls it."""
    part: str
    """``day`` or ``night``."""
    unit: str
    """UCUM, of the rows; empty where no number is asked for."""
    scale: Scale
    """From the summary's value to that unit."""
    to_today: bool
    """Today tells as much as a day that is over."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Streams of a metric of which none has told anything for so long."""

    metric: str
    length: Duration


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Days on which a detector met what it could not judge."""

    detector: str
    reasons: frozenset[NotJudged]
    """Any of these; empty for all."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What a fact takes from the chart; rules that ask for the same share it."""

    kind: str
    valueset: str = ""
    types: tuple[str, ...] = ()
    """For wearable alerts."""
    status: str = ""
    confirmed: bool = False
    categories: tuple[str, ...] = ()
    """For conditions; empty for all."""
    origin: str = "chart"
    """``chart`` or ``draft_orders``."""
    worn: DayValue | Silence | Unjudged | None = None
    """What it takes of wearables beside their alerts."""


class Selectors:
    """All selectors of a rulebook, numbered, with the index of their codes."""

    def __init__(
        self,
        selectors: Sequence[Selector],
        valuesets: Mapping[str, ValueSet],
        lexicon: Lexicon = Lexicon(),
    ) -> None:
        self.all = tuple(selectors)
        self.lexicon = lexicon
        self._valuesets = valuesets
        self.measures = tuple(
            valuesets[each.valueset].measure if each.valueset else UNSAID
            for each in self.all
        )
        """By slot: what the results of a selector measure."""
        self.indexes: dict[tuple[str, str], CodeIndex] = {}
        """By kind and origin."""
        self.of_type: dict[str, list[int]] = defaultdict(list)
        """Slots of wearable alerts, by alert type."""
        self.worn = tuple(
            (slot, each.worn) for slot, each in enumerate(self.all) if each.worn
        )
        """Slots of what else wearables tell."""
        coded: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for slot, selector in enumerate(self.all):
            for name in selector.types:
                self.of_type[name].append(slot)
            if selector.valueset:
                coded[selector.kind, selector.origin][slot] = selector.valueset
        self.has_import = any(each.known.codes for each in valuesets.values())
        """Whether a release of RxNorm was imported."""
        for (kind, origin), slots in coded.items():
            wanted = set(slots.values())
            # Every drug set helps to recognise a medicine, used by a rule or not.
            sets = {
                name: each
                for name, each in valuesets.items()
                if name in wanted or (kind == "medication" and each.names)
            }
            self.indexes[kind, origin] = CodeIndex(slots, sets, lexicon)
        self.group_of: dict[int, int] = {}
        """Slots that leave the same resources unresolved share a group."""
        self.groups: list[Group] = []
        self._group()
        self.groups_of = {
            source: Groups(
                [
                    each
                    for each in self.groups
                    if (each.selector.kind, each.selector.origin) == source
                ]
            )
            for source in self.indexes
        }
        """By kind and origin: the groups that resources may be unresolved for."""

    def _group(self) -> None:
        numbers: dict[tuple[Any, ...], int] = {}
        for slot, selector in enumerate(self.all):
            index = self.indexes.get((selector.kind, selector.origin))
            if index is None:
                continue
            settled = index.settled(slot)
            words: tuple[str, ...] = ()
            listed = frozenset[str]()
            if selector.kind == "condition":
                valueset = self._valuesets[selector.valueset]
                words, listed = valueset.words, settled - frozenset(valueset.prefixes)
            key = (
                selector.kind,
                selector.origin,
                selector.status,
                selector.confirmed,
                selector.categories,
                settled,
                words,
                listed,
            )
            if key not in numbers:
                group = Group(len(numbers), selector, settled, set(), words, listed)
                numbers[key] = group.number
                self.groups.append(group)
            self.group_of[slot] = numbers[key]
            self.groups[numbers[key]].slots.add(slot)


class Group(NamedTuple):
    """Selectors for which the same resources stay unresolved."""

    number: int
    selector: Selector
    """One of them."""
    settled: frozenset[str]
    """The systems whose codes settle membership."""
    slots: set[int]
    """All of them, by number."""
    words: tuple[str, ...] = ()
    """Words by which a code that is only not listed may be meant all the same."""
    listed: frozenset[str] = frozenset()
    """The settled systems whose codes are listed one by one, without a hierarchy."""


class Groups:
    """The groups of one kind and origin, by the systems that leave them in doubt."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.all = tuple(groups)
        settling = frozenset[str]().union(*(each.settled for each in groups))
        self._left = {
            system: [each for each in groups if system not in each.settled]
            for system in settling
        }
        self._worded = {
            system: [each for each in groups if each.words or each in left]
            for system, left in self._left.items()
        }

    def left_by(self, codings: Iterable[Coding], *, worded: bool) -> Sequence[Group]:
        """Return the groups for which the systems of *codings* settle nothing.

        What is no code of its system settles nothing.

        Args:
            worded: Whether groups with words stay in doubt whatever the systems are.
        """
        table = self._worded if worded else self._left
        left: Sequence[Group] = self.all
        for system, code, _ in codings:
            narrower = table.get(system)
            if narrower is not None and can_be_read(system, code):
                both = left is not self.all
                left = [e for e in left if e in narrower] if both else narrower
        return left
