"""What one chart holds for the selectors of a rulebook, row by row."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment
from ...terminology.folding import fold
from ...values.truth import ReasonKind
from .coded import Coded, texts_of
from .matching import CodeIndex, Hit
from .observations import observation_moment, quantity, without_time
from .problems import (
    Ending,
    Times,
    condition_moment,
    entered_moment,
    without_onset,
)
from .readings import Row, reference_of
from .selectors import Selector, Selectors
from .standing import (
    Standing,
    condition_standing,
    medication_standing,
    observation_standing,
    problem_ending,
)
from .supplies import medication_moment
from .treatments import (
    Course,
    MedicineEntry,
    Product,
    follow,
    follow_alone,
    medicine_ending,
    read_entry,
    same_medicine,
    standing_now,
    without_start,
)

_Time = tuple[Moment | None, str, Moment | None, str]
"""Moment, what is not said of it, entry, and what is not said of that; see ``Row``."""


class Match(NamedTuple):
    """A resource that belongs to a selector by its codes or names."""

    hit: Hit
    resource: Resource
    holder: Mapping[str, Any]
    """Where its value stands: itself or one of its components."""
    called: str
    """What the code, or the text, that matched is called; may be empty."""
    medicine: Coded | None = None
    """What a medicine is coded as; what is one entry of several is held against all."""
    no_value: str = ""
    """Why an observation has no value that could be used; empty where it may."""


class SlotRows(NamedTuple):
    """The rows of one selector."""

    rows: list[Row]
    """What matched and counts."""
    unclear: list[Row]
    """What matched, but its status cannot be read."""
    open: list[Row]
    """What matched, but the record leaves open whether it counts."""


class ChartIndex:
    """What one chart holds for the selectors of a rulebook.

    Most of what matches is never asked for, since the rule lacks something else; so
    its status, time and value are read when the first fact asks.
    """

    def __init__(self, selectors: Selectors, times: Times) -> None:
        self.matches: dict[int, list[Match]] = defaultdict(list)
        """By slot: what matched, whether it counts or not."""
        self.worn: dict[int, list[Row]] = defaultdict(list)
        """By slot: what wearables told."""
        self.named: set[int] = set()
        """The slots under which something came by its name alone."""
        self.unplaced: dict[int, list[Row]] = defaultdict(list)
        """By group: what may belong, since its code tells nothing or is not known."""
        self.meant: dict[int, list[Row]] = defaultdict(list)
        """By slot: what may belong because its words, or a broader code, say so."""
        self.unread: dict[str, tuple[str, ...]] = {}
        """By kind (or ``draft_orders``): the sources that are not fully loaded."""
        self.selectors = selectors
        self.times = times
        self._rows: dict[tuple[int, str], SlotRows] = {}
        self._counting: dict[int, list[tuple[Match, Course]]] = {}
        self._entries: dict[int, MedicineEntry] = {}
        self._read_times: dict[int, _Time] = {}
        self._standings: dict[tuple[Any, ...], Standing] = {}
        """By resource, which the chart keeps alive, and what a selector asks of it."""

    def has(self, slot: int) -> bool:
        """Check if anything matched that counts, or of which that cannot be read."""
        return slot in self.worn or bool(self.counting(slot))

    def counts(self, slot: int) -> bool:
        """Return whether anything matched that certainly counts."""
        return slot in self.worn or any(
            course.standing is Standing.COUNTS for _, course in self.counting(slot)
        )

    def slots_in_doubt(self) -> Iterator[int]:
        """Give the slots that may have a row, as far as ``present`` heeds it."""
        yield from self.meant
        for group, rows in self.unplaced.items():
            if any(each.is_heeded for each in rows):
                yield from self.selectors.groups[group].slots

    def rows_of(self, slot: int, unit: str = "") -> SlotRows:
        """The rows of a slot, with the values of observations in *unit*."""
        if slot in self.worn:
            return SlotRows(self.worn[slot], [], [])
        found = self._rows.get((slot, unit))
        if found is None:
            found = self._rows[slot, unit] = SlotRows([], [], [])
            for match, course in self.counting(slot):
                row = self._row(slot, match, unit)
                row.since = course.since
                row.untimed = course.untimed or row.untimed
                if course.standing is Standing.COUNTS:
                    found.rows.append(row)
                elif course.standing.leaves_open:
                    row.why = course.standing.leaves_open
                    found.open.append(row)
                else:
                    row.why = _unclear(match.resource)
                    found.unclear.append(row)
        return found

    def past(self, slot: int) -> Iterator[tuple[Row, Ending]]:
        """Give what matched and is said to be over, with its end."""
        for match in self.matches.get(slot, ()):
            ending = self._ending(self.selectors.all[slot], match)
            if ending:
                yield self._row(slot, match, ""), ending

    def _ending(self, selector: Selector, match: Match) -> Ending | None:
        if selector.kind == "condition":
            return problem_ending(match.resource, self.times)
        codes = self.selectors.indexes[selector.kind, selector.origin]
        return medicine_ending(self._entry(match, codes))

    def counting(self, slot: int) -> Sequence[tuple[Match, Course]]:
        """Return what matched and may count, with what all of it makes of each."""
        counting = self._counting.get(slot)
        if counting is None:
            matches = self.matches.get(slot, ())
            courses = self._courses(self.selectors.all[slot], matches)
            counting = self._counting[slot] = [
                (match, course)
                for match, course in zip(matches, courses, strict=True)
                if course.standing is not Standing.DOES_NOT
            ]
        return counting

    def _courses(self, selector: Selector, matches: Sequence[Match]) -> list[Course]:
        said = [self.standing(selector, match.resource) for match in matches]
        if selector.status == "current" and len(said) == 1:
            resource = matches[0].resource
            began, *_ = self._time(selector.kind, resource)
            return [follow_alone(resource, began, said[0], self.times)]
        asks_all = selector.status in ("current", "stopped")
        if asks_all and any(standing is not Standing.DOES_NOT for standing in said):
            return self._follow(selector, matches, said)
        return [_ALONE[standing] for standing in said]

    def _follow(
        self,
        selector: Selector,
        matches: Sequence[Match],
        said: Sequence[Standing],
    ) -> list[Course]:
        """Return what orders and statements of each medicine make of one another."""
        codes = self.selectors.indexes[selector.kind, selector.origin]
        entries = [self._entry(match, codes) for match in matches]
        if selector.status == "current":
            return follow(entries, said, self.times)
        current = replace(selector, status="current")
        standings = [self.standing(current, match.resource) for match in matches]
        courses = follow(entries, standings, self.times)
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

    def _entry(self, match: Match, codes: CodeIndex) -> MedicineEntry:
        """Return what an order or statement says, by each set with the medicine."""
        entry = self._entries.get(id(match.resource))
        if entry is None:
            product = _product(match.medicine, codes) if match.medicine else Product()
            began, *_ = self._time("medication", match.resource)
            entry = read_entry(match.resource, product, began, self.times)
            self._entries[id(match.resource)] = entry
        return entry

    def standing(self, selector: Selector, resource: Resource) -> Standing:
        """Return whether a resource counts for a selector that it belongs to."""
        if selector.kind == "observation":
            return self._read_standing(selector, resource)
        key = (
            id(resource),
            selector.status,
            selector.confirmed,
            selector.categories,
        )
        known = self._standings.get(key)
        if known is None:
            known = self._standings[key] = self._read_standing(selector, resource)
        return known

    def _read_standing(self, selector: Selector, resource: Resource) -> Standing:
        if selector.kind == "condition":
            found = condition_standing(
                resource,
                selector.status,
                selector.confirmed,
                self.times,
                selector.categories,
            )
        elif selector.kind == "observation":
            found = observation_standing(resource, selector.status)
        else:
            found = self._standing_of_medicine(selector, resource)
        modified = found is Standing.COUNTS and resource.get("modifierExtension")
        return Standing.UNCLEAR if modified else found

    def _standing_of_medicine(self, selector: Selector, resource: Resource) -> Standing:
        times = self.times
        found = medication_standing(resource, selector.status, times.now, times.zone)
        if selector.status != "current":
            return found
        began, *_ = self._time("medication", resource)
        return standing_now(found, resource, began, times)

    def _row(self, slot: int, match: Match, unit: str) -> Row:
        hit, resource, holder, name, medicine, no_value = match
        if not name:
            names = medicine.names if medicine else texts_of(holder.get("code"))
            name = next(iter(names), "")
        row = self.row(self.selectors.all[slot].kind, resource, name)
        row.code, row.by_name, row.holder = hit.code, hit.by_name, holder
        if no_value:
            row.doubt, row.why = ReasonKind.UNUSABLE, no_value
        elif unit:
            measure = self.selectors.measures[slot]
            row.value, row.why = quantity(holder, unit, measure)
        return row

    def row(self, kind: str, resource: Resource, name: str) -> Row:
        """A resource as a row, before it is known what it is a row of."""
        moment, untimed, entered, not_entered = self._time(kind, resource)
        return Row(
            reference=reference_of(resource),
            name=name,
            moment=moment or EVER,
            dated=moment is not None,
            untimed=untimed,
            entered=entered,
            not_entered=not_entered,
            resource=resource,
        )

    def _time(self, kind: str, resource: Resource) -> _Time:
        """Return when a resource says that it is of; read once, whoever asks."""
        known = self._read_times.get(id(resource))
        if known is None:
            known = self._read_times[id(resource)] = _TIMES[kind](resource, self.times)
        return known


_ALONE: Mapping[Standing, Course] = {each: Course(each) for each in Standing}
"""What comes of a resource that is not held against others."""


def _product(medicine: Coded, codes: CodeIndex) -> Product:
    return Product(
        frozenset((system, code) for system, code, _ in medicine.codings),
        frozenset(map(fold, medicine.names)),
        codes.ingredients(medicine.names),
    )


def _unclear(resource: Resource) -> str:
    """Why it cannot be told whether a resource counts.

    Source: FHIR R4 "Modifier Extensions": what changes the meaning is not passed over.
    """
    if resource.get("modifierExtension"):
        return "modified by an extension"
    return "status or intent cannot be read"


def _condition_time(resource: Resource, times: Times) -> _Time:
    entered, not_entered = entered_moment(resource, times)
    onset = condition_moment(resource, times)
    return onset, without_onset(resource), entered, not_entered


def _medication_time(resource: Resource, times: Times) -> _Time:
    began = medication_moment(resource, times.zone)
    return began, without_start(resource), None, ""


def _observation_time(resource: Resource, times: Times) -> _Time:
    moment = observation_moment(resource, times.zone)
    return moment, "" if moment else without_time(resource), None, ""


_TIMES: Mapping[str, Callable[[Resource, Times], _Time]] = {
    "condition": _condition_time,
    "medication": _medication_time,
    "observation": _observation_time,
}
