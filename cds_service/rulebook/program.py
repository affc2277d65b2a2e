"""The rules of one service, filed under the fact that each cannot do without.

A rule whose filing fact has no row cannot fire, so it is not even asked. Rules without
such a fact are always asked; so are all rules filed under a source that was not read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .facts import Fact
from .rules import Criterion, Rule
from .sheet import Selectors, Sheet


class Program:
    """Rules with their trigger index."""

    def __init__(self, selectors: Selectors, rules: Sequence[Rule]) -> None:
        self.selectors = selectors
        self.rules = tuple(rules)
        self._always: list[int] = []
        self._by_slot: dict[int, list[int]] = {}
        self._by_origin: dict[str, list[int]] = {}
        needs = [list(_needs(rule)) for rule in self.rules]
        uses = Counter(slot for facts in needs for fact in facts for slot in fact.slots)
        for number, facts in enumerate(needs):
            if not facts:
                self._always.append(number)
                continue
            rarest = min(facts, key=lambda fact: max(uses[slot] for slot in fact.slots))
            for slot in rarest.slots:
                self._by_slot.setdefault(slot, []).append(number)
            for origin in rarest.origins:
                self._by_origin.setdefault(origin, []).append(number)

    def candidates(self, sheet: Sheet) -> Iterator[Rule]:
        """The rules that may fire or be unknown on this sheet, in rule order."""
        numbers = set(self._always)
        for rows in (sheet.rows, sheet.unclear):
            for slot in rows:
                numbers.update(self._by_slot.get(slot, ()))
        for origin, unread in sheet.unread.items():
            if unread:
                numbers.update(self._by_origin.get(origin, ()))
        return (self.rules[number] for number in sorted(numbers))


def _needs(rule: Rule) -> Iterable[Fact]:
    """The facts without a row of which the rule neither fires nor joins a note.

    A value test without rows is unknown rather than false, which only a rule that is
    silent about the unknown may overlook.
    """
    operators = {"present", "compare"} if rule.if_unknown == "silent" else {"present"}
    for leaf in _conjuncts(rule.when):
        if leaf.operator in operators:
            yield rule.facts[leaf.fact]


def _conjuncts(node: Criterion) -> Iterator[Criterion]:
    if node.operator == "all":
        for child in node.children:
            yield from _conjuncts(child)
    else:
        yield node
