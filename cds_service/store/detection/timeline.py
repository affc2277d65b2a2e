"""What is kept of one patient's wearables, for a page that shows it over time.

What the patient does not permit to use is not there, and it is told of which times that
is. What is read is bounded: of a metric with very many readings none is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    func,
    literal_column,
    select,
)

from ...wearables.consent import ConsentAction
from ...wearables.days import NEXT, Span
from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import DayTally
from ...wearables.records import PatientKey, RecentAlerts, WearableAlert
from ...wearables.samples import microseconds
from ...wearables.series import Series
from ...wearables.summaries import DaySummary
from .. import consents
from ..database import Prepared
from ..rows import recent_alerts
from ..samples.rows import moment
from ..samples.tables import PATIENT, SAMPLES, STREAMS
from ..statements import ALERTS_BETWEEN
from .evidence import StoredEvidence
from .permission import UsePermission
from .records import Detection
from .rows import day_tally
from .tables import TALLIES

READINGS_READ = 60_000
"""Of one metric; a month of minutes is less."""
ALERTS_SHOWN = 500
"""Of one metric and time."""
UNMEASURED = ("",)
"""Instead of metrics: what alerts name that have none."""
TALLIES_READ = 4000
"""Of one detector and time: days and sources, the newest days first."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What wearables have told of a patient at all."""

    zone: tzinfo
    """The wearer's, or the site's."""
    zone_name: str
    """An IANA name."""
    newest: Mapping[str, int] = field(default_factory=dict)
    """By metric: when the newest reading began, in microseconds since 1970."""
    withheld: frozenset[str] = frozenset()
    """Metrics whose newest reading the patient does not permit to use."""


@dataclass(frozen=True, slots=True)
class TimelineAsked:
    """What is asked of a patient."""

    span: Span
    metrics: Sequence[str]
    detectors: Sequence[Detector] = ()
    """Whose limits, episodes and days are asked."""
    is_of_days: bool = False
    """Only what days were, and no reading."""
    part: str = "day"
    """``day`` or ``night``."""


Choose = Callable[[Heard], TimelineAsked]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is kept of a patient, of some metrics and a time."""

    heard: Heard
    asked: TimelineAsked
    series: Mapping[str, Series]
    """By metric, all that starts in the time; nothing of one that is not read."""
    crowded: frozenset[str]
    """Metrics of which there are more readings than are ever read."""
    days: Sequence[DaySummary]
    alerts: RecentAlerts
    """Of vendors, and of the detectors that are asked; those that meet the time."""
    tallies: Sequence[DayTally]
    limits: Mapping[str, Sequence[tuple[int, float]]]
    """By detector: from when on each limit of the patient's own holds."""
    withheld: Mapping[str, Sequence[Span]]
    """By metric: the times that the patient does not permit to use."""
    notices: RecentAlerts = RecentAlerts()
    """Alerts of what no metric is measured of, such as an irregular rhythm."""
    withheld_types: frozenset[str] = frozenset()
    """Types of such alerts that the patient does not permit to use, at the begin of the
    time, at its end, or where one was found."""
    tallied: bool = True
    """Whether *tallies* are all there are; else they are those of the newest days."""


def read_timeline(
    connection: Connection,
    patient: PatientKey,
    detection: Detection,
    choose: Choose,
    now: datetime,
) -> Timeline:
    """Return what is kept of what is chosen, once it is known what there is."""
    known = detection.gate.read(consents.read(connection, [patient])[patient])
    permission = UsePermission(detection.gate, known, now)
    evidence = StoredEvidence(connection, patient, detection, permission)
    heard = _heard(connection, patient, evidence, permission)
    asked = choose(heard)
    begin, end = asked.span
    crowded = frozenset[str]()
    if not asked.is_of_days:
        crowded = frozenset(_crowded(connection, patient, asked))
    read = () if asked.is_of_days else (e for e in asked.metrics if e not in crowded)

    def may(alert: WearableAlert) -> bool:
        return detection.gate.permits(ConsentAction.USE, alert, known, now)

    def may_type(type: str, at_us: int) -> bool:
        at = moment(at_us)
        return detection.gate.permits_type(ConsentAction.USE, type, at, known, now)

    notices = _alerts(connection, patient, asked, UNMEASURED)
    tallies, tallied = _tallies(connection, patient, evidence, asked, permission)
    unmeasured = {
        *(
            e.name
            for e in detection.gate.catalogue.alert_types.values()
            if not e.metric
        ),
        *(each.type for each in notices.alerts),
    }
    return Timeline(
        heard,
        asked,
        {each: evidence.series(each, begin, end) for each in read},
        crowded,
        tuple(_days(evidence, asked, permission)),
        _permitted(_alerts(connection, patient, asked, asked.metrics), may),
        tallies,
        {each.name: evidence.limits(each.name) for each in asked.detectors},
        {
            each: tuple(
                (first, last + 1)
                for first, last in permission.denied(each, (begin, end - 1))
            )
            for each in asked.metrics
        },
        _permitted(notices, may),
        frozenset(
            {e for e in unmeasured if not (may_type(e, begin) and may_type(e, end - 1))}
            | {each.type for each in notices.alerts if not may(each)}
        ),
        tallied,
    )


def _heard(
    connection: Connection,
    patient: PatientKey,
    evidence: StoredEvidence,
    permission: UsePermission,
) -> Heard:
    newest: dict[str, int] = {}
    for each in _NEWEST.ask(connection, patient._asdict()):
        at = each.newest_us
        if each.withdrawn_us is not None:
            at = min(at, each.withdrawn_us - 1)
        if at > 0:
            newest[each.metric] = max(at, newest.get(each.metric, 0))
    withheld = (name for name, at in newest.items() if not permission.holds(name, at))
    return Heard(evidence.zone, evidence.zone_name, newest, frozenset(withheld))


def _crowded(
    connection: Connection, patient: PatientKey, asked: TimelineAsked
) -> Iterator[str]:
    begin, end = asked.span
    told = {**patient._asdict(), "since": begin, "until": end - 1}
    for metric in asked.metrics:
        bound = {"metric": metric, "most": READINGS_READ + 1}
        (row,) = _COUNTED.ask(connection, {**told, **bound})
        if row.number > READINGS_READ:
            yield metric


def _days(
    evidence: StoredEvidence, asked: TimelineAsked, permission: UsePermission
) -> Iterator[DaySummary]:
    """Yield the days of whose readings all may be used."""
    first, last = _civil(evidence, asked)
    for metric in asked.metrics:
        for each in evidence.summaries(metric, asked.part, first, last):
            begin, end = _begin_and_end(evidence, each.day)
            begin = microseconds(each.first) if each.first else begin
            end = microseconds(each.last) if each.last else end
            if not list(permission.denied(metric, (begin, end))):
                yield each


def _tallies(
    connection: Connection,
    patient: PatientKey,
    evidence: StoredEvidence,
    asked: TimelineAsked,
    permission: UsePermission,
) -> tuple[tuple[DayTally, ...], bool]:
    """What detectors made of days that may be used; and whether it is all."""
    first, last = map(str, _civil(evidence, asked))
    told = {**patient._asdict(), "first": first, "last": last}
    told["most"] = TALLIES_READ + 1
    tallies, whole = list[DayTally](), True
    for detector in asked.detectors:
        found = _TALLIES.ask(connection, {**told, "of": detector.name})
        whole = whole and len(found) <= TALLIES_READ
        for tally in map(day_tally, found[:TALLIES_READ]):
            both = _begin_and_end(evidence, tally.day)
            if not list(permission.denied(detector.metric, both)):
                tallies.append(tally)
    return tuple(tallies), whole


def _alerts(
    connection: Connection,
    patient: PatientKey,
    asked: TimelineAsked,
    metrics: Sequence[str],
) -> RecentAlerts:
    begin, end = (each / 1_000_000 for each in asked.span)
    told = {**patient._asdict(), "since": begin, "until": end}
    told |= {"metrics": " ".join(("", *metrics, "")), "most": ALERTS_SHOWN + 1}
    recent = recent_alerts(ALERTS_BETWEEN.ask(connection, told), ALERTS_SHOWN, patient)
    names = {each.name for each in asked.detectors}
    seen = (e for e in recent.alerts if not e.detector or e.detector in names)
    return RecentAlerts(tuple(seen), recent.whole)


def _permitted(
    recent: RecentAlerts, may: Callable[[WearableAlert], bool]
) -> RecentAlerts:
    return RecentAlerts(tuple(filter(may, recent.alerts)), recent.whole)


def _civil(evidence: StoredEvidence, asked: TimelineAsked) -> tuple[date, date]:
    begin, end = asked.span
    first, last = (
        moment(each).astimezone(evidence.zone).date() for each in (begin, end - 1)
    )
    return first, last


def _begin_and_end(evidence: StoredEvidence, day: date) -> Span:
    """When a day begins, and its last microsecond."""
    return evidence.begin_of(day), evidence.begin_of(day + NEXT) - 1


def _newest() -> Prepared:
    stream = STREAMS.c
    whose = [stream[name] == bindparam(name) for name in PATIENT]
    return Prepared(
        select(stream.metric, stream.newest_us, stream.withdrawn_us).where(*whose)
    )


def _counted() -> Prepared:
    """How many readings a time has, up to so many."""
    stream, sample = STREAMS.c, SAMPLES.c
    whose = [stream[name] == bindparam(name) for name in (*PATIENT, "metric")]
    since: BindParameter[int] = bindparam("since")
    until: BindParameter[int] = bindparam("until")
    most: BindParameter[int] = bindparam("most")
    some = (
        select(literal_column("1"))
        .select_from(STREAMS.join(SAMPLES, sample.stream == stream.id))
        .where(*whose, sample.start_us >= since, sample.start_us <= until)
        .limit(most)
        .subquery()
    )
    return Prepared(select(func.count().label("number")).select_from(some))


def _day_tallies() -> Prepared:
    row = TALLIES.c
    whose = [row[name] == bindparam(name) for name in PATIENT]
    first: BindParameter[str] = bindparam("first")
    last: BindParameter[str] = bindparam("last")
    most: BindParameter[int] = bindparam("most")
    asked = select(TALLIES).where(*whose, row.detector == bindparam("of"))
    asked = asked.where(row.day >= first, row.day <= last)
    return Prepared(asked.order_by(row.day.desc(), row.source).limit(most))


_NEWEST = _newest()
_COUNTED = _counted()
_TALLIES = _day_tallies()
