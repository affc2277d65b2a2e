"""Everything in a rules folder, compiled: services, rules, and how these are found.

A rule is indexed by the fact that it cannot do without. If that has no row, the rule
cannot fire and is not even asked; nor is a rule that lacks another fact which must be
present. Rules without such a fact are always asked; so are all rules whose fact comes
from a source that was not read.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...fhir.chart import Policy, SourceQuery
from ...protocol.services import Service
from ...wearables.detection.detectors import Detector
from ...wearables.metrics import Catalogue
from ..terminology.lexicon import Lexicon
from ..terminology.valuesets import ValueSet
from .alerting import AboutData
from .facts import WORN, Criterion, Fact
from .rows.chart_index import ChartIndex
from .rows.selectors import Selectors
from .rules import Rule, Site

Wanted = tuple[tuple[int, ...], tuple[str, ...]]
"""The slots of a fact, and what it is read from."""


class Program:
    """Rules with their trigger index."""

    def __init__(self, selectors: Selectors, rules: Sequence[Rule]) -> None:
        self.selectors = selectors
        self.rules = tuple(rules)
        worn = (
            (selectors.all[fact.slots[0]], fact.window)
            for rule in self.rules
            for whole in rule.facts.values()
            for fact in whole.simple()
            if fact.kind in WORN
        )
        self.worn = tuple(dict.fromkeys(worn))
        """What the rules take of wearables, and how far back; None is for ever."""
        self._always: list[int] = []
        self._by_slot: dict[int, list[int]] = {}
        self._by_origin: dict[str, list[int]] = {}
        self._wanted: list[tuple[Wanted, ...]] = []
        """Of each rule: the facts that must have a row; empty if it is always asked."""
        needs = [list(_needs(rule)) for rule in self.rules]
        self._surely = [_single_slots(facts) for facts in needs]
        """Of each rule: slots of which each must have a row, where all was read."""
        uses = Counter(slot for facts in needs for fact in facts for slot in fact.slots)
        for number, (rule, facts) in enumerate(zip(self.rules, needs, strict=True)):
            if not facts:
                self._always.append(number)
                self._wanted.append(())
                continue
            rarest = min(facts, key=lambda fact: max(uses[slot] for slot in fact.slots))
            # The one that the rule is found by is most likely there: asked last.
            wanted = [*(fact for fact in facts if fact != rarest), rarest]
            self._wanted.append(tuple((each.slots, each.origins) for each in wanted))
            for slot in rarest.slots:
                self._by_slot.setdefault(slot, []).append(number)
            for origin in rarest.origins:
                self._by_origin.setdefault(origin, []).append(number)

    def candidates(self, index: ChartIndex) -> list[Rule]:
        """The rules that may fire or be unknown of this chart, in rule order.

        Whether what matched also counts is read for those rules alone that have a match
        for all that they need.
        """
        unread = {origin for origin, names in index.unread.items() if names}
        sure = {*index.worn, *index.slots_in_doubt()}
        there = sure.union(index.matches)
        numbers = set(self._always)
        for slot in there:
            numbers.update(self._by_slot.get(slot, ()))
        for origin in unread:
            numbers.update(self._by_origin.get(origin, ()))
        if not unread:
            # Most charts are read whole: then one look tells of most rules.
            numbers = {each for each in numbers if self._surely[each] <= there}
        wanted = self._wanted
        matched = [
            each for each in numbers if _may_have_all(wanted[each], there, unread)
        ]
        asked = {
            slot for each in matched for slots, _ in wanted[each] for slot in slots
        }
        counting = sure.union(filter(index.has, asked & there))
        return [
            self.rules[each]
            for each in sorted(matched)
            if _may_have_all(wanted[each], counting, unread)
        ]


def _single_slots(facts: Iterable[Fact]) -> frozenset[int]:
    return frozenset(fact.slots[0] for fact in facts if len(fact.slots) == 1)


def _may_have_all(wanted: Iterable[Wanted], there: set[int], unread: set[str]) -> bool:
    # Asked of some hundred rules a call: a loop, since a generator costs twice as much.
    for slots, origins in wanted:
        if there.isdisjoint(slots) and unread.isdisjoint(origins):
            return False
    return True


def _needs(rule: Rule) -> Iterable[Fact]:
    """The facts without a row of which the rule neither fires nor joins a note.

    A value test without rows is unknown rather than false, which only a rule that is
    silent about the unknown may overlook.
    """
    silent = rule.if_unknown == "silent"
    return _asked(rule, {"present", "compare"} if silent else {"present"})


def _asked(rule: Rule, operators: Container[str]) -> Iterator[Fact]:
    """The facts that every way to fire asks so."""
    for leaf in _conjuncts(rule.when):
        if leaf.operator in operators:
            yield rule.facts[leaf.fact]


def _conjuncts(node: Criterion) -> Iterator[Criterion]:
    if node.operator == "all":
        for child in node.children:
            yield from _conjuncts(child)
    else:
        yield node


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """A service on one hook with the rules that it evaluates."""

    service: Service
    queries: tuple[SourceQuery, ...]
    policies: Mapping[str, Policy]
    rules: tuple[Rule, ...]
    program: Program
    site: Site
    digest: str = ""
    """Of the rulebook that this is a part of: a record names the one that judged."""
    includes_medications: bool = False
    """Whether the queries ask for the Medications that medicines refer to."""
    about_data: AboutData = AboutData()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything in the rules folder, compiled."""

    digest: str
    """SHA-256 of the files that decide what is served."""
    site: Site
    services: Mapping[tuple[str, str], ServiceRules]
    """By service id and hook."""
    rules: Mapping[str, Rule]
    catalogue: Catalogue
    """What wearables tell, as the site knows it."""
    valuesets: Mapping[str, ValueSet]
    lexicon: Lexicon = Lexicon()
    detectors: Mapping[str, Detector] = field(default_factory=dict)
    """Those that are active or in shadow, by name."""

    @property
    def has_rxnorm(self) -> bool:
        """Whether a release of RxNorm tells what products hold."""
        return any(each.known.codes for each in self.valuesets.values())
