"""One patient at one time, as the facts of rules see it.

A ``Case`` is made once per call. Rows are indexed once; what a fact makes of them, by
window and unit, is worked out when first asked for and shared by all who ask the same.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import TypeVar

from ...fhir.chart import Chart, Resource
from ...fhir.moments import EVER, Moment
from ...wearables.detection.episodes import DayTally
from ...wearables.summaries import DaySummary
from ...wearables.worn import Wearables
from ..values.truth import ReasonKind, Verdict
from .days import Days, last_days, today_of
from .facts import Fact, Found, Predicate, Window
from .person import birth_moment
from .rows.chart_index import ChartIndex
from .rows.indexing import ALERTS, SOURCES_OF, index_chart
from .rows.observations import observation_moment
from .rows.problems import Ending, OpenEndings, Times, usual_reading
from .rows.readings import (
    Row,
    alert_reference,
    day_reference,
    reference_of,
    text_of,
)
from .rows.selectors import DayValue, Selectors

LATE = timedelta(minutes=5)
"""How far ahead of us a clock may be. Source: decision on windows, now + 5 minutes."""


def _others(
    resources: Sequence[Resource], references: Collection[str]
) -> tuple[Resource, ...]:
    return tuple(each for each in resources if reference_of(each) not in references)


_Worn = TypeVar("_Worn")


def _kept(
    worn: tuple[_Worn, ...] | None,
    name: Callable[[_Worn], str],
    references: Collection[str],
) -> tuple[_Worn, ...] | None:
    return worn and tuple(each for each in worn if name(each) not in references)


def _ended(ending: Ending) -> datetime:
    """About when something ended; a beginning is better than nothing."""
    moment = ending.at or ending.ordered
    return moment.high if moment else EVER.low


class Case:
    """One patient at one time."""

    def __init__(
        self,
        selectors: Selectors,
        chart: Chart,
        wearables: Wearables,
        now: datetime,
        zone: tzinfo,
        ignore_unresolved: bool,
        reading: OpenEndings | None,
    ) -> None:
        self.chart = chart
        self.wearables = wearables
        self.now = now
        self.zone = zone
        self._selectors = selectors
        self._ignore_unresolved = ignore_unresolved
        self._reading = reading or usual_reading()
        self.born = birth_moment(chart.patient or {}, now, zone)
        """When the patient was born; None where no birth that can be true is known."""
        times = Times(now, zone, self.born, self._reading)
        self.index: ChartIndex = index_chart(selectors, chart, wearables, times)
        self._found: dict[int, Found] = {}
        self._certain: dict[int, bool | None] = {}
        self._starts: dict[Window, datetime] = {}
        self._newest_first: bool | None = None
        self.today: date = now.astimezone(zone).date()
        """The day of the site's calendar."""
        self.may_disclose = True
        """Whether a resource for the EHR may quote the patient's wearables."""
        self._recent: Case | None = None
        """Itself where it has no history."""
        self.draws = True
        """Whether text may draw days as a row of bars."""
        self.of_patient: dict[str, Verdict] = {}
        """What was answered about the patient, by what was asked."""
        self.verdicts: dict[Predicate, Verdict] = {}
        """What criteria said, by what they ask."""
        self.told: dict[int, Row] = {}
        """By fact, which its rule keeps alive: the alert that text is about."""

    def found(self, fact: Fact) -> Found:
        """The rows of a fact."""
        found = self._found.get(fact.reader)
        if found is None:
            found = self._found[fact.reader] = self._read(fact)
        if found.fact is not fact:
            # Another rule asks the same under its own name.
            return found.asked_as(fact)
        return found

    def called(self, fact: Fact, row: Row) -> tuple[str, ...]:
        """Return the ingredients of a medicine, or what the record calls it."""
        found: dict[str, None] = {}
        for slot in fact.slots:
            # A set of one ingredient would name it for a medicine of another set.
            matches = self.index.matches.get(slot, ())
            if all(match.resource is not row.resource for match in matches):
                continue
            selector = self._selectors.all[slot]
            index = self._selectors.indexes[selector.kind, selector.origin]
            found.update(dict.fromkeys(index.goes_by(slot, row.code, row.name)))
        return tuple(found) or ((row.name,) if row.name else ())

    def entries_read(self, fact: Fact) -> int:
        """Return how many entries there are where the fact is read from."""
        names = {
            name for each in fact.origins for name in SOURCES_OF.get(each, (each,))
        }
        sources = [
            self.chart.sources[name] for name in names if name in self.chart.sources
        ]
        return sum(len(each.resources) for each in sources)

    def has_others(self, fact: Fact) -> bool:
        """Return whether entries of the fact's kind are there and do not count."""
        return any(self.index.matches.get(slot) for slot in fact.slots)

    def within_sentence(self, name: str) -> str:
        """Return what a record calls something as it stands within a sentence."""
        return self._selectors.lexicon.within_sentence(name)

    def status_of(self, fact: Fact) -> str:
        """Return the status that entries of the fact must have."""
        return self._selectors.all[fact.slots[0]].status

    def outside(self, fact: Fact) -> list[Row]:
        """Return what counts but for its time, oldest first."""
        inside = {id(row) for row in self.found(fact).rows}
        known = (self.index.rows_of(slot, fact.unit) for slot in fact.slots)
        kept = (row for each in known for row in each.rows if id(row) not in inside)
        return sorted(kept, key=lambda row: row.moment.high)

    def past(self, fact: Fact) -> list[tuple[Row, Ending]]:
        """Return the entries of the fact that are said to be over, the last one last.

        Those of which nobody says when come first.
        """
        over = [each for slot in fact.slots for each in self.index.past(slot)]
        return sorted(over, key=lambda each: _ended(each[1]))

    def heeding_unresolved(self) -> "Case":
        """The case as of a site that passes over nothing; itself where this one is."""
        if not self._ignore_unresolved:
            return self
        heeding = copy(self)
        heeding._ignore_unresolved = False
        heeding._found, heeding._certain, heeding.verdicts = {}, {}, {}
        return heeding

    def without(self, references: Collection[str]) -> "Case":
        """The case as if the record did not hold these observations and alerts.

        Args:
            references: As ``Row.evidence`` has them.
        """
        sources = {
            name: replace(source, resources=_others(source.resources, references))
            for name, source in self.chart.sources.items()
        }
        worn = self.wearables
        wearables = replace(
            worn,
            alerts=_kept(worn.alerts, alert_reference, references),
            days=_kept(worn.days, day_reference, references),
        )
        reduced = Case(
            self._selectors,
            replace(self.chart, sources=sources),
            wearables,
            self.now,
            self.zone,
            self._ignore_unresolved,
            self._reading,
        )
        reduced.may_disclose, reduced.draws = self.may_disclose, self.draws
        return reduced

    def without_history(self) -> "Case | None":
        """Return the case without alerts that were long over when they were found.

        None where it has none.
        """
        if self._recent is None:
            past = [
                alert_reference(each)
                for each in self.wearables.alerts or ()
                if each.historical
            ]
            self._recent = self.without(past) if past else self
        return None if self._recent is self else self._recent

    def surely(self, fact: Fact) -> bool | None:
        """Return whether the fact has a row, where that shows before any row is read.

        None where only its rows can tell. Most facts of most rules are settled here.
        """
        if fact.reader not in self._certain:
            self._certain[fact.reader] = self._at_a_glance(fact)
        return self._certain[fact.reader]

    def _at_a_glance(self, fact: Fact) -> bool | None:
        if fact.parts:
            return None
        if not any(map(self.index.has, fact.slots)):
            doubtful = self._unread(fact) or any(self._doubtful(fact))
            return None if doubtful else False
        if fact.window is None and fact.kind != "observation":
            return any(map(self.index.counts, fact.slots)) or None
        return None

    def _read(self, fact: Fact) -> Found:
        if fact.parts:
            return self._union(fact)
        found = Found(fact, [], [], [], [], self._unread(fact))
        for slot in fact.slots:
            known = self.index.rows_of(slot, fact.unit)
            for row in known.rows:
                self._place(fact, row, found)
            for row in known.unclear:
                if self._may_lie_in(fact.window, row):
                    found.unusable.append(row)
            for row in known.open:
                if self._may_lie_in(fact.window, row):
                    found.uncertain.append(row)
        self._add_doubtful(found)
        found.rows.sort(key=lambda row: row.moment.high)
        return found

    def _add_doubtful(self, found: Found) -> None:
        """Add what may belong to the fact and may lie in its window.

        Not the other parts of a panel of which one is known to belong.
        """
        kept = {
            ReasonKind.UNRESOLVED: found.unresolved,
            ReasonKind.NOT_READ: found.unobtained,
            ReasonKind.UNUSABLE: found.unusable,
        }
        doubtful = list(self._doubtful(found.fact))
        known = {id(row.resource) for row in found.rows} if doubtful else set()
        for row in doubtful:
            apart = id(row.resource) not in known
            if row.doubt and apart and self._may_lie_in(found.fact.window, row):
                kept[row.doubt].append(row)

    def _union(self, fact: Fact) -> Found:
        """The rows of an ``any_of``: each once, complete only if all parts are."""
        parts = [self.found(part) for part in fact.parts]
        rows = {id(row.holder or row): row for part in parts for row in part.rows}
        unread = dict.fromkeys(name for part in parts for name in part.unread)
        return Found(
            fact,
            sorted(rows.values(), key=lambda row: row.moment.high),
            [row for part in parts for row in part.possible],
            [row for part in parts for row in part.unusable],
            [row for part in parts for row in part.unresolved],
            tuple(unread),
            [row for part in parts for row in part.unobtained],
            [row for part in parts for row in part.uncertain],
        )

    def _doubtful(self, fact: Fact) -> Iterator[Row]:
        """Yield what may belong to the fact, but for what the site passes over."""
        unplaced, meant = self.index.unplaced, self.index.meant
        if not (unplaced or meant):
            return
        group_of = self._selectors.group_of
        groups = {group_of[slot] for slot in fact.slots if slot in group_of}
        rows = [each for slot in fact.slots for each in meant.get(slot, ())]
        rows += [each for group in groups for each in unplaced.get(group, ())]
        for row in rows:
            if not (self._ignore_unresolved and row.doubt is ReasonKind.UNRESOLVED):
                yield row

    def _unread(self, fact: Fact) -> tuple[str, ...]:
        if not fact.origins:  # a score is read from nowhere
            return ()
        unread = self.index.unread[fact.origins[0]]
        return () if unread == (ALERTS,) and self._reach(fact.window) else unread

    def _reach(self, window: Window | None) -> bool:
        """Whether the alerts that were read go back beyond the start of a window.

        Where not all were read, those that ended last were.
        """
        alerts = self.wearables.alerts
        if not alerts or window is None:
            return False
        ended = min(each.end or self.now for each in alerts)
        return ended < window.length.before(self.now, self.zone)

    def _place(self, fact: Fact, row: Row, found: Found) -> None:
        lacks = fact.kind == "observation" and fact.unit and row.value is None
        if row.doubt or lacks:
            if self._may_lie_in(fact.window, row):
                found.unusable.append(row)
            return
        window = fact.window
        if window is None or self._looks_at(fact, row):
            found.rows.append(row)
            return
        if isinstance(row.worn, DaySummary | DayTally):
            return
        moment, unsaid = row.time(window.rule)
        if moment is None and window.rule == "taken_for" and unsaid:
            found.rows.append(row)  # nobody knows since when
            return
        inside = self._lies_in(window, row)
        if inside:
            found.rows.append(row)
        elif inside is None and unsaid:
            row.why = unsaid
            found.uncertain.append(row)
        elif inside is None and moment:
            found.possible.append(row)
        elif inside is None:
            row.why = "no time that can be read"
            found.unusable.append(row)

    def _may_lie_in(self, window: Window | None, row: Row) -> bool:
        return window is None or self._lies_in(window, row) is not False

    def days_of(self, fact: Fact) -> Days | None:
        """The civil days that a fact looks at; None for one that looks at no days."""
        if fact.window is None or fact.kind not in ("wearable", "stream"):
            return None
        return last_days(fact.window.length, self.today, self._to_today(fact))

    def _looks_at(self, fact: Fact, row: Row) -> bool:
        """Check whether a row is of one of the civil days that a fact looks at."""
        worn, length = row.worn, fact.window and fact.window.length
        if worn is None or not length or not isinstance(worn, DaySummary | DayTally):
            return False
        today = today_of(worn, self.now, self.zone)
        days = last_days(length, today, self._to_today(fact))
        return days.first <= worn.day <= days.last

    def day_value(self, fact: Fact) -> DayValue | None:
        """What is taken of each day; None of a fact that takes nothing of days."""
        asked = self._selectors.all[fact.slots[0]].worn
        return asked if isinstance(asked, DayValue) else None

    def _to_today(self, fact: Fact) -> bool:
        asked = self._selectors.all[fact.slots[0]].worn
        return not isinstance(asked, DayValue) or asked.to_today

    def _lies_in(self, window: Window, row: Row) -> bool | None:
        """Check if a row lies in a window; None where its time is too vague to say."""
        moment, _ = row.time(window.rule)
        if moment is None:
            return None
        start = self._starts.get(window)
        if start is None:
            start = window.length.before(self.now, self.zone)
            self._starts[window] = start
        low, high = moment
        if window.rule == "taken_for":
            if high <= start:
                return True
            return False if low > start else None
        end = self.now + LATE
        if high == EVER.high and low != EVER.low:  # still going on: counts as now
            return low <= end
        if low <= self.now < high:  # what is recorded has happened: today, this year
            high = self.now
        if low >= start and high <= end:
            return True
        return False if high < start or low > end else None

    def unusable(self) -> list[tuple[str, str]]:
        """Type and reason of each resource that a rule looked at and could not use."""
        seen = {
            (id(row.resource), row.why): row
            for found in self._found.values()
            for row in (*found.unusable, *found.unobtained)
            if row.resource is not None
        }
        return [
            (text_of(row.resource.get("resourceType")), row.why)
            for row in seen.values()
            if row.resource is not None
        ]

    def newest_first(self) -> bool:
        """Return whether the observations came newest first, as far as they came."""
        if self._newest_first is None:
            source = self.chart.sources.get("observations")
            moments: list[Moment | None] = [
                observation_moment(resource, self.zone)
                for resource in (source.resources if source else ())
            ]
            exact = [each for each in moments if each]
            # One row tells of no order, and what was set aside may be the newest.
            known = len(moments) != 1 and not (source and source.unusable)
            self._newest_first = (
                known
                and len(exact) == len(moments)
                and all(
                    earlier.high >= later.high
                    for earlier, later in zip(exact, exact[1:], strict=False)
                )
            )
        return self._newest_first
