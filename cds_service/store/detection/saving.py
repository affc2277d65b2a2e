"""What detectors found, made what is kept: episodes, summaries of days, tallies."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Table, and_, delete, insert, or_, select, update
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
from ..database import Prepared
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
    _save_summaries(connection, patient, found, now)
    judged, not_judged = _save_tallies(connection, patient, found)
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
        return EpisodeChange(self._patient, *told, was)


def _save_summaries(
    connection: Connection, patient: PatientKey, found: Reassessment, now: datetime
) -> None:
    """Those that say something else get another version; what is not told is gone."""
    stored = {
        _key(each): each
        for each in _stored(connection, SUMMARIES, patient, "metric", found.summarised)
        for each in [day_summary(each)]
    }
    told = {_key(each): each for each in found.summaries}
    changed = []
    for key, summary in told.items():
        old = stored.get(key)
        version = old.version if old else 0
        if old is None or replace(summary, version=version) != old:
            kept = replace(summary, version=version + 1)
            changed.append(summary_row(patient, kept, microseconds(now)))
    if changed:
        _SAVE_SUMMARY.run(connection, *changed)
    row = SUMMARIES.c
    for metric, day, part, source in stored.keys() - told.keys():
        same = [row.metric == metric, row.day == day.isoformat()]
        same += [row.part == part, row.source == source]
        connection.execute(delete(SUMMARIES).where(*_of(SUMMARIES, patient), *same))


def _save_tallies(
    connection: Connection, patient: PatientKey, found: Reassessment
) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """How many more were judged than before, and how many more were not, and why."""
    stored = _stored(connection, TALLIES, patient, "detector", found.tallied)
    before = Counter(_counted(map(day_tally, stored)))
    after = Counter(_counted(found.tallies))
    which = _days(TALLIES, "detector", found.tallied)
    if which is not None:
        connection.execute(delete(TALLIES).where(*_of(TALLIES, patient), which))
    if found.tallies:
        rows = [dict(tally_row(patient, each)) for each in found.tallies]
        connection.execute(insert(TALLIES), rows)
    judged, not_judged = dict[str, int](), dict[tuple[str, str], int]()
    for (detector, reason), number in (after - before).items():
        if reason is None:
            judged[detector] = number
        else:
            not_judged[detector, str(reason)] = number
    return judged, not_judged


def _counted(tallies: Iterable[DayTally]) -> dict[tuple[str, NotJudged | None], int]:
    counted = Counter[tuple[str, NotJudged | None]]()
    for each in tallies:
        counted[each.detector, None] += each.judged
        for reason, number in each.not_judged.items():
            counted[each.detector, reason] += number
    return counted


def _stored(
    connection: Connection,
    table: Table,
    patient: PatientKey,
    name: str,
    days: Mapping[str, Days],
) -> Sequence[Any]:
    which = _days(table, name, days)
    if which is None:
        return ()
    asked = select(table).where(*_of(table, patient), which)
    return connection.execute(asked).all()


def _days(table: Table, name: str, days: Mapping[str, Days]) -> Any:
    """Which rows are of these days, by what is called so; None for no days."""
    row = table.c
    some = [
        and_(
            row[name] == of,
            row.day >= first.isoformat(),
            row.day <= last.isoformat(),
        )
        for of, (first, last) in days.items()
    ]
    return or_(*some) if some else None


def _of(table: Table, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]


def _key(summary: DaySummary) -> tuple[Any, ...]:
    return summary.metric, summary.day, summary.part, summary.source


def _save_summary() -> Prepared:
    new = upsert(SUMMARIES)
    key = list(SUMMARIES.primary_key.columns)
    changes = {
        each.name: new.excluded[each.name]
        for each in SUMMARIES.columns
        if each not in key
    }
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes),
        [each.name for each in SUMMARIES.columns],
    )


_SAVE_SUMMARY = _save_summary()
