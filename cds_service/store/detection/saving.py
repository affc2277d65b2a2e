"""What detectors found, made what is kept: episodes, summaries of days, tallies."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import DayTally, NotJudged, StoredEpisode
from ...wearables.detection.evidence import (
    Changes,
    Days,
    Reassessment,
    RetractedEpisode,
    RevisedEpisode,
)
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ...wearables.summaries import DaySummary
from ...wearables.telling import EPISODE, episode_key
from ..database import Prepared
from ..outbox.noting import change_of_day, note
from ..outbox.records import ThingChange
from ..samples.tables import PATIENT
from ..statements import SAVE_ALERT
from ..tables import WEARABLE_ALERTS
from .records import DetectionOutcome, EpisodeChange
from .rows import day_summary, day_tally, episode_row, summary_row, tally_row
from .tables import SUMMARIES, TALLIES


def save(
    connection: Connection,
    patient: PatientKey,
    found: Reassessment,
    detectors: Mapping[str, Detector],
    now: datetime,
) -> DetectionOutcome:
    """Return what has changed with it; nobody else writes of the patient meanwhile."""
    episodes: list[EpisodeChange] = []
    for name, changes in found.changes.items():
        keeper = _Keeper(connection, patient, detectors[name], microseconds(now))
        episodes += keeper.keep(changes)
    told = [*map(_change, filter(_is_told, episodes))]
    told += _save_summaries(connection, patient, found, now)
    note(connection, patient, told, microseconds(now))
    judged, not_judged = _save_tallies(connection, patient, found, detectors)
    return DetectionOutcome(tuple(episodes), judged, not_judged)


class _Keeper:
    """Keeps the episodes of one detector."""

    def __init__(
        self,
        connection: Connection,
        patient: PatientKey,
        detector: Detector,
        now_us: int,
    ) -> None:
        self._connection, self._patient = connection, patient
        self._detector, self._now_us = detector, now_us

    def keep(self, changes: Changes) -> Iterator[EpisodeChange]:
        """Yield each change, made."""
        for gone in changes.retracted:
            yield self._retract(gone)
        for revised in changes.revised:
            yield self._revise(revised)
        for new in changes.new:
            stored = StoredEpisode(str(uuid4()), 0, new.episode, new.historical)
            row = self._row(stored, self._now_us)
            SAVE_ALERT.run(self._connection, row)
            yield self._told(row)

    def _revise(self, revised: RevisedEpisode) -> EpisodeChange:
        old = self._stored(revised.id)
        stored = StoredEpisode(
            revised.id, old.rev + 1, revised.episode, bool(old.historical)
        )
        row = self._row(stored, old.stored_us)
        same = self._is(revised.id)
        self._connection.execute(update(WEARABLE_ALERTS).where(same).values(row))
        return self._told(row, old.status)

    def _retract(self, retracted: RetractedEpisode) -> EpisodeChange:
        old, same = self._stored(retracted.id), self._is(retracted.id)
        changes = {
            "status": "retracted",
            "rev": old.rev + 1,
            "replaced_by": retracted.in_favour_of,
        }
        self._connection.execute(update(WEARABLE_ALERTS).where(same).values(changes))
        return self._told({**old._mapping, **changes}, old.status)

    def _stored(self, id: str) -> Any:
        asked = select(WEARABLE_ALERTS).where(self._is(id))
        return self._connection.execute(asked).one()

    def _is(self, id: str) -> Any:
        alert = WEARABLE_ALERTS.c
        of_detector = and_(alert.id == id, alert.detector == self._detector.name)
        return and_(*_of(WEARABLE_ALERTS, self._patient), of_detector)

    def _row(self, stored: StoredEpisode, stored_us: int) -> dict[str, Any]:
        return dict(episode_row(self._patient, stored, self._detector, stored_us))

    def _told(self, row: Mapping[str, Any], was: str = "") -> EpisodeChange:
        told = (row["id"], row["rev"], self._detector.name, row["type"], row["status"])
        more = (row["source"], bool(row["historical"]))
        return EpisodeChange(self._patient, *told, was, *more)


def _is_told(episode: EpisodeChange) -> bool:
    """Whether others are told of it: when it opens, and once it is over."""
    return not episode.status == episode.was == "open"


def _change(episode: EpisodeChange) -> ThingChange:
    return ThingChange(
        EPISODE,
        episode_key(episode.source, episode.id),
        episode.alert_type,
        historical=episode.historical,
        takes_back=episode.status == "retracted",
    )


def _save_summaries(
    connection: Connection, patient: PatientKey, found: Reassessment, now: datetime
) -> list[ThingChange]:
    """Those that say something else get another version; what is not told is gone.

    Returns:
        What is otherwise, for those who are told.
    """
    rows = _stored(connection, _SUMMARIES, patient, found.summarised)
    stored = {_key(each): each for each in map(day_summary, rows)}
    told = {_key(each): each for each in found.summaries}
    changed, days = list[dict[str, Any]](), list[ThingChange]()
    for key, summary in told.items():
        old = stored.get(key)
        version = old.version if old else 0
        if old is None or replace(summary, version=version) != old:
            kept = replace(summary, version=version + 1)
            changed.append(summary_row(patient, kept, microseconds(now)))
            days += change_of_day(kept, now)
    if changed:
        _SAVE_SUMMARY.run(connection, *changed)
    row = SUMMARIES.c
    for metric, day, part, source in stored.keys() - told.keys():
        same = [row.metric == metric, row.day == day.isoformat()]
        same += [row.part == part, row.source == source]
        connection.execute(delete(SUMMARIES).where(*_of(SUMMARIES, patient), *same))
        gone = stored[metric, day, part, source]
        days += change_of_day(gone, now, gone=True)
    return days


def _save_tallies(
    connection: Connection,
    patient: PatientKey,
    found: Reassessment,
    detectors: Mapping[str, Detector],
) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """How many more were judged than before, and how many more were not, and why."""
    rows = _stored(connection, _TALLIES, patient, found.tallied)
    stored = {_place(each): each for each in map(day_tally, rows)}
    by = {
        _place(each): row.judged_by
        for each, row in zip(stored.values(), rows, strict=True)
    }
    told = _with_skewed(found.tallies, stored)
    before = Counter(_counted(stored.values()))
    after = Counter(_counted(told.values()))
    changed = [
        tally_row(patient, each, detectors[each.detector])
        for place, each in told.items()
        if stored.get(place) != each or by[place] != detectors[each.detector].content
    ]
    if changed:
        _SAVE_TALLY.run(connection, *changed)
    row = TALLIES.c
    for detector, day, source in stored.keys() - told.keys():
        same = [row.detector == detector, row.day == day.isoformat()]
        same.append(row.source == source)
        connection.execute(delete(TALLIES).where(*_of(TALLIES, patient), *same))
    judged, not_judged = dict[str, int](), dict[tuple[str, str], int]()
    for (detector, reason), number in (after - before).items():
        if reason is None:
            judged[detector] = number
        else:
            not_judged[detector, str(reason)] = number
    return judged, not_judged


def add_tallies(
    connection: Connection,
    patient: PatientKey,
    tallies: Iterable[tuple[Detector, DayTally]],
) -> DetectionOutcome:
    """Return what could not be judged as well, beside what is kept of their days."""
    not_judged = Counter[tuple[str, str]]()
    for detector, each in tallies:
        rows = _stored(
            connection, _TALLIES, patient, {each.detector: (each.day, each.day)}
        )
        stored = {_place(day_tally(row)): row for row in rows}
        row = stored.get(_place(each))
        known = replace(each, not_judged={}) if row is None else day_tally(row)
        reasons = Counter(known.not_judged) + Counter(each.not_judged)
        whole = tally_row(patient, replace(known, not_judged=reasons), detector)
        by = {} if row is None else {"judged_by": row.judged_by}
        _SAVE_TALLY.run(connection, {**whole, **by})
        for reason, number in each.not_judged.items():
            not_judged[each.detector, str(reason)] += number
    return DetectionOutcome(not_judged=not_judged)


def _with_skewed(
    tallies: Iterable[DayTally], stored: Mapping[tuple[Any, ...], DayTally]
) -> dict[tuple[Any, ...], DayTally]:
    """Tallies by place, with what was refused as it came: nothing kept tells it."""
    told = {_place(each): each for each in tallies}
    skewed = NotJudged.CLOCK_SKEWED
    for place, known in stored.items():
        if number := known.not_judged.get(skewed):
            each = told.get(place) or replace(known, judged=0, not_judged={}, opened=0)
            told[place] = replace(each, not_judged={**each.not_judged, skewed: number})
    return told


def _counted(tallies: Iterable[DayTally]) -> dict[tuple[str, NotJudged | None], int]:
    counted = Counter[tuple[str, NotJudged | None]]()
    for each in tallies:
        counted[each.detector, None] += each.judged
        for reason, number in each.not_judged.items():
            counted[each.detector, reason] += number
    return counted


def _stored(
    connection: Connection,
    asked: Prepared,
    patient: PatientKey,
    days: Mapping[str, Days],
) -> Sequence[Any]:
    """Return the rows of days, which are given by what they are of."""
    whose = patient._asdict()
    return [
        row
        for name, (first, last) in days.items()
        for row in asked.ask(
            connection,
            {**whose, "of": name, "first": first.isoformat(), "last": last.isoformat()},
        )
    ]


def _of(table: Table, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]


def _key(summary: DaySummary) -> tuple[Any, ...]:
    return summary.metric, summary.day, summary.part, summary.source


def _place(tally: DayTally) -> tuple[Any, ...]:
    return tally.detector, tally.day, tally.source


def _of_days(table: Table, name: str) -> Prepared:
    """The rows of days, by what is called so."""
    row = table.c
    whose = [row[each] == bindparam(each) for each in PATIENT]
    first: BindParameter[str] = bindparam("first")
    last: BindParameter[str] = bindparam("last")
    within = [row[name] == bindparam("of"), row.day >= first, row.day <= last]
    return Prepared(select(table).where(*whose, *within))


def _save(table: Table) -> Prepared:
    """Insert, or replace what has its key."""
    new = upsert(table)
    key = list(table.primary_key.columns)
    changes = {
        each.name: new.excluded[each.name] for each in table.columns if each not in key
    }
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes),
        [each.name for each in table.columns],
    )


_SUMMARIES, _SAVE_SUMMARY = _of_days(SUMMARIES, "metric"), _save(SUMMARIES)
_TALLIES, _SAVE_TALLY = _of_days(TALLIES, "detector"), _save(TALLIES)
