"""What one chart holds for the selectors of a rulebook, row by row."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment
from ...terminology.folding import fold
from ...terminology.lexicon import Lexicon
from ...terminology.parts import UNSAID
from ...terminology.valuesets import ValueSet
from ...values.truth import ReasonKind
from .matching import Coded, CodeIndex, Hit, Selector
from .problems import (
    Ending,
    Times,
    condition_moment,
    entered_moment,
    without_onset,
)
from .quantities import quantity
from .readings import (
    Row,
    medication_moment,
    observation_moment,
    reference_of,
    texts_of,
    without_start,
    without_time,
)
from .standing import (
    Standing,
    condition_standing,
    medication_standing,
    observation_standing,
    problem_ending,
)
from .treatments import (
    Course,
    Entry,
    Product,
    follow,
    medicine_ending,
    read_entry,
    same_medicine,
)


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
        self._groups: dict[tuple[str, str], list[Group]] = defaultdict(list)
        self._group()

    def groups_of(self, kind: str, origin: str) -> Sequence["Group"]:
        """The groups that resources of a kind may be unresolved for."""
        return self._groups.get((kind, origin), ())

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
                self._groups[selector.kind, selector.origin].append(group)
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


class Match(NamedTuple):
    """A resource that belongs to a selector by its codes or names."""

    hit: Hit
    resource: Resource
    holder: Mapping[str, Any]
    """Where its value stands: itself or one of its components."""
    coded: Coded
    no_value: str = ""
    """Why an observation has no value that could be used; empty where it may."""


class Filed(NamedTuple):
    """The rows of one selector."""

    rows: list[Row]
    """What matched and counts."""
    unclear: list[Row]
    """What matched, but its status cannot be read."""
    open: list[Row]
    """What matched, but the record leaves open whether it counts."""


class Sheet:
    """What one chart holds for the selectors of a rulebook.

    Most of what matches is never asked for, since the rule lacks something else; so
    its status, time and value are read when the first fact asks.
    """

    def __init__(self, selectors: Selectors, times: Times) -> None:
        self.matches: dict[int, list[Match]] = defaultdict(list)
        """By slot: what matched, whether it counts or not."""
        self.alerts: dict[int, list[Row]] = defaultdict(list)
        """By slot: wearable alerts."""
        self.strays: dict[int, list[Row]] = defaultdict(list)
        """By group: what may belong, since its code tells nothing or is not known."""
        self.meant: dict[int, list[Row]] = defaultdict(list)
        """By slot: what may belong because its words, or a broader code, say so."""
        self.unread: dict[str, tuple[str, ...]] = {}
        """By kind (or ``draft_orders``): the sources that are not fully loaded."""
        self._selectors = selectors
        self._times = times
        self._filed: dict[tuple[int, str], Filed] = {}
        self._has: dict[int, bool] = {}
        self._judged: dict[int, list[tuple[Match, Course]]] = {}
        self._entries: dict[int, Entry] = {}
        self._standings: dict[tuple[Any, ...], Standing] = {}
        """By resource, which the chart keeps alive, and what a selector asks of it."""

    def has(self, slot: int) -> bool:
        """Whether anything matched that counts, or of which that cannot be read."""
        known = self._has.get(slot)
        if known is None:
            known = slot in self.alerts or bool(self.judged(slot))
            self._has[slot] = known
        return known

    def counts(self, slot: int) -> bool:
        """Whether anything matched that certainly counts."""
        return slot in self.alerts or any(
            course.standing is Standing.COUNTS for _, course in self.judged(slot)
        )

    def slots_in_doubt(self) -> Iterator[int]:
        """Give the slots that may have a row, as far as ``present`` heeds it."""
        yield from self.meant
        for group, strays in self.strays.items():
            if any(each.is_heeded for each in strays):
                yield from self._selectors.groups[group].slots

    def has_names(self, slots: Sequence[int]) -> bool:
        """Whether a name alone put anything under one of the slots."""
        return any(
            match.hit.by_name for slot in slots for match in self.matches.get(slot, ())
        )

    def filed(self, slot: int, unit: str = "") -> Filed:
        """The rows of a slot, with the values of observations in *unit*."""
        if slot in self.alerts:
            return Filed(self.alerts[slot], [], [])
        filed = self._filed.get((slot, unit))
        if filed is None:
            filed = self._filed[slot, unit] = Filed([], [], [])
            for match, course in self.judged(slot):
                row = self._row(slot, match, unit)
                row.since = course.since
                row.untimed = course.untimed or row.untimed
                if course.standing is Standing.COUNTS:
                    filed.rows.append(row)
                elif course.standing.leaves_open:
                    row.why = course.standing.leaves_open
                    filed.open.append(row)
                else:
                    row.why = _unclear(match.resource)
                    filed.unclear.append(row)
        return filed

    def past(self, slot: int) -> Iterator[tuple[Row, Ending]]:
        """Give what matched and is said to be over, with its end."""
        for match in self.matches.get(slot, ()):
            ending = self._ending(self._selectors.all[slot], match)
            if ending:
                yield self._row(slot, match, ""), ending

    def _ending(self, selector: Selector, match: Match) -> Ending | None:
        if selector.kind == "condition":
            return problem_ending(match.resource, self._times)
        index = self._selectors.indexes[selector.kind, selector.origin]
        return medicine_ending(self._entry(match, index))

    def judged(self, slot: int) -> Sequence[tuple[Match, Course]]:
        """What matched and may count, with what all of it makes of each."""
        judged = self._judged.get(slot)
        if judged is None:
            matches = self.matches.get(slot, ())
            if not matches:
                return ()
            selector = self._selectors.all[slot]
            said = [self.standing(selector, match.resource) for match in matches]
            courses = [Course(standing) for standing in said]
            if selector.status in ("current", "stopped") and any(
                standing is not Standing.DOES_NOT for standing in said
            ):
                courses = self._follow(selector, matches, said)
            judged = self._judged[slot] = [
                (match, course)
                for match, course in zip(matches, courses, strict=True)
                if course.standing is not Standing.DOES_NOT
            ]
        return judged

    def _follow(
        self,
        selector: Selector,
        matches: Sequence[Match],
        said: Sequence[Standing],
    ) -> list[Course]:
        """What the orders and statements of each medicine make of one another."""
        index = self._selectors.indexes[selector.kind, selector.origin]
        entries = [self._entry(match, index) for match in matches]
        if selector.status == "current":
            return follow(entries, said, self._times)
        current = replace(selector, status="current")
        standings = [self.standing(current, match.resource) for match in matches]
        courses = follow(entries, standings, self._times)
        taken = [
            entry
            for entry, course in zip(entries, courses, strict=True)
            if course.standing is Standing.COUNTS
        ]
        # What is taken by another order has not been stopped.
        return [
            Course(Standing.DOES_NOT if same_medicine(entry, taken) else standing)
            for entry, standing in zip(entries, said, strict=True)
        ]

    def _entry(self, match: Match, index: CodeIndex) -> Entry:
        """What an order or statement says; several sets may hold one medicine."""
        entry = self._entries.get(id(match.resource))
        if entry is None:
            product = _product(match.coded, index)
            entry = read_entry(match.resource, product, self._times)
            self._entries[id(match.resource)] = entry
        return entry

    def standing(self, selector: Selector, resource: Resource) -> Standing:
        """Whether a resource counts for a selector that it belongs to."""
        key = (
            id(resource),
            selector.status,
            selector.confirmed,
            selector.categories,
        )
        known = self._standings.get(key)
        if known is None:
            known = self._standings[key] = self._judge(selector, resource)
        return known

    def _judge(self, selector: Selector, resource: Resource) -> Standing:
        if selector.kind == "condition":
            found = condition_standing(
                resource,
                selector.status,
                selector.confirmed,
                self._times,
                selector.categories,
            )
        elif selector.kind == "observation":
            found = observation_standing(resource, selector.status)
        else:
            found = medication_standing(
                resource, selector.status, self._times.now, self._times.zone
            )
        modified = found is Standing.COUNTS and resource.get("modifierExtension")
        return Standing.UNCLEAR if modified else found

    def _row(self, slot: int, match: Match, unit: str) -> Row:
        hit, resource, holder, coded, no_value = match
        called = coded.names or texts_of(holder.get("code"))
        kind = self._selectors.all[slot].kind
        row = self.row(kind, resource, hit.name or next(iter(called), ""))
        row.code, row.by_name, row.holder = hit.code, hit.by_name, holder
        if no_value:
            row.doubt, row.why = ReasonKind.UNUSABLE, no_value
        elif unit:
            measure = self._selectors.measures[slot]
            row.value, row.why = quantity(holder, unit, measure)
        return row

    def row(self, kind: str, resource: Resource, name: str) -> Row:
        """A resource as a row, before it is known what it is a row of."""
        moment = _MOMENTS[kind](resource, self._times)
        entered, unsaid = (
            entered_moment(resource, self._times) if kind == "condition" else (None, "")
        )
        return Row(
            reference=reference_of(resource),
            name=name,
            moment=moment or EVER,
            dated=moment is not None,
            untimed=_UNTIMED[kind](resource),
            entered=entered,
            not_entered=unsaid,
            resource=resource,
        )


def _product(coded: Coded, index: CodeIndex) -> Product:
    return Product(
        frozenset((system, code) for system, code, _ in coded.codings),
        frozenset(map(fold, coded.names)),
        index.ingredients(coded.names),
    )


def _unclear(resource: Resource) -> str:
    """Why it cannot be told whether a resource counts.

    Source: FHIR R4 "Modifier Extensions": what changes the meaning is not passed over.
    """
    if resource.get("modifierExtension"):
        return "modified by an extension"
    return "status or intent cannot be read"


_MOMENTS: Mapping[str, Callable[[Resource, Times], Moment | None]] = {
    "condition": condition_moment,
    "medication": lambda resource, times: medication_moment(resource, times.zone),
    "observation": lambda resource, times: observation_moment(resource, times.zone),
}
_UNTIMED: Mapping[str, Callable[[Resource], str]] = {
    "condition": without_onset,
    "medication": without_start,
    "observation": without_time,
}
