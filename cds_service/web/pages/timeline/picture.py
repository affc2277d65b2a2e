"""All that the timeline page shows, made of what was read. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ....rulebook.values import format_unit
from ....store.detection.timeline import Timeline
from ....wearables.days import MICROSECOND, NEXT
from ....wearables.samples import microseconds
from ..plots.axes import Timespan
from ..plots.drawing import FRAME, TOP, Curve, Drawing, Pillar, Plot, Shade, Track, draw
from ..plots.svg import Svg
from . import figures, words
from .asking import TimelineSubject
from .words import Grid

TRACKS = 12
"""Medicines that are drawn."""
NUMBERED = 6
"""Notices of one type whose numbers stand beside its name."""
HOURS_FOR = 2 * NEXT
"""Of so long a time a table tells hour by hour."""


@dataclass(frozen=True, slots=True)
class MedicinePeriod:
    """When one medicine was taken, as far as the chart says."""

    title: str
    start_us: int | None
    """None where the chart does not say."""
    end_us: int | None
    """None where it goes on."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of one metric and time."""

    svg: Svg
    says: str
    keys: Sequence[tuple[str, str]]
    """What the marks of the plot mean: a class, and words."""
    episodes: Grid | None
    grids: Sequence[Grid]
    notes: Sequence[str]
    """What is not shown, and why."""
    readout: Mapping[str, object]
    """For the script: what each column of the plot is."""
    is_empty: bool
    """No reading and no day is drawn."""


def build_picture(
    subject: TimelineSubject, timeline: Timeline, medicines: Sequence[MedicinePeriod]
) -> Picture:
    """Return what is shown.

    Args:
        medicines: None of them where they were not read; the page says so.
    """
    metric, now, alerts = subject.metric, subject.now, timeline.alerts.alerts
    is_of_days = metric.name not in timeline.series
    drawn = (_of_days if is_of_days else _of_readings)(subject, timeline)
    courses = list(_courses(medicines, subject.timespan))
    plot = Plot(
        "timeline",
        metric.title,
        metric.unit,
        f"{metric.title}: {'; '.join(_said(subject, timeline, drawn))}.",
        subject.timespan,
        drawn.curves,
        drawn.pillars,
        list(figures.thresholds_of(subject.detectors, timeline, subject.timespan)),
        figures.episodes_of(alerts, now),
        drawn.off_wrist,
        [Shade(*each) for each in timeline.withheld[metric.name]],
        [
            *_notices(subject, timeline),
            *_unjudged(subject, timeline),
            *courses[:TRACKS],
        ],
        metric.cumulative,
    )
    drawing = draw(plot)
    notes = list(_notes(subject, timeline, drawn.left_out))
    if len(courses) > TRACKS:
        notes.append(f"{len(courses) - TRACKS} more medicines are not drawn.")
    return Picture(
        drawing.svg,
        plot.says,
        list(_keys(plot)),
        _episodes(subject, timeline),
        drawn.grids,
        notes,
        _readout(plot, drawing, metric.name, timeline.heard.zone_name),
        not (plot.pillars or plot.curves[0].times),
    )


def _episodes(subject: TimelineSubject, timeline: Timeline) -> Grid | None:
    """The table of episodes, and after them of notices, numbered on."""
    titles = {each.name: each.title for each in subject.detectors}
    alerts, notices = timeline.alerts.alerts, timeline.notices.alerts
    if not (alerts or notices):
        return None
    return words.episodes_grid(
        *([*alerts, *notices], subject.catalogue, titles),
        *(subject.timespan, subject.now),
        "Episodes and notices" if notices else "Episodes",
    )


def _notices(subject: TimelineSubject, timeline: Timeline) -> Iterator[Track]:
    """Yield a lane for each type of what devices notify of and no metric tells."""
    lanes: dict[str, list[Shade]] = {}
    first = len(timeline.alerts.alerts) + 1
    shades = figures.episodes_of(timeline.notices.alerts, subject.now, first)
    for each, shade in zip(timeline.notices.alerts, shades):
        lanes.setdefault(each.type, []).append(shade)
    for type, stretches in lanes.items():
        numbers = ", ".join(each.label for each in stretches[:NUMBERED])
        more = " …" if len(stretches) > NUMBERED else ""
        title = words.type_title(type, subject.catalogue)
        yield Track(f"{title} (No. {numbers}{more})", "notice", stretches)


def _said(
    subject: TimelineSubject, timeline: Timeline, drawn: "_Drawn"
) -> Iterator[str]:
    """Yield what there is of readings, and then of episodes.

    That there is none is said only of what may be shown, and was judged.
    """
    metric, alerts = subject.metric, timeline.alerts
    denied = timeline.withheld[metric.name]
    if words.length_of(denied) >= words.length_of([subject.timespan.span]):
        yield "the patient permits none of this time to be shown"
    elif denied and drawn.is_empty:
        yield "no readings in the permitted part of this time"
    else:
        yield drawn.says
    if alerts.alerts:
        yield words.found_sentence(len(alerts.alerts), alerts.whole)
    elif not subject.detectors:
        yield "no active detector uses it"
    elif not denied:
        yield words.none_found_sentence(timeline.tallies, drawn.is_empty)
    notices, catalogue = timeline.notices, subject.catalogue
    if notices.alerts:
        titles = [words.type_title(each.type, catalogue) for each in notices.alerts]
        yield words.notices_sentence(titles, notices.whole)


@dataclass(slots=True)
class _Drawn:
    """What is drawn of readings, or of days."""

    says: str
    curves: list[Curve]
    pillars: list[Pillar]
    grids: list[Grid]
    off_wrist: list[Shade] = field(default_factory=list)
    left_out: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the metric itself is drawn."""
        return not self.pillars and not self.curves[0].times


def _of_readings(subject: TimelineSubject, timeline: Timeline) -> _Drawn:
    metric, timespan, now = subject.metric, subject.timespan, subject.now
    shown = figures.shown_readings(metric, timeline.series[metric.name])
    curves = [figures.curve_of(metric, shown)]
    for each in subject.beside:
        if each.name in timeline.series:
            others = figures.shown_readings(each, timeline.series[each.name])
            curves.append(figures.curve_of(each, others, beside=True))
    off: list[Shade] = []
    if not timeline.withheld[metric.name]:
        off = figures.off_wrist(metric, shown.times, timespan, now)
    off_us = words.length_of((each.start_us, each.end_us) for each in off)
    says = words.readings_sentence(metric, shown, timespan, microseconds(now), off_us)
    grids = [_days_grid(subject, timeline)]
    if timespan.end_us - timespan.start_us <= HOURS_FOR // MICROSECOND:
        grids.insert(0, words.hours_grid(shown, timespan))
    return _Drawn(says, curves, [], grids, off, shown.left_out)


def _of_days(subject: TimelineSubject, timeline: Timeline) -> _Drawn:
    metric, timespan = subject.metric, subject.timespan
    days = figures.best_days(metric, timeline.days)
    pillars = list(figures.pillars_of(metric, days, timespan))
    curves = [figures.means_of(metric, days, timespan, beside=False)]
    for each in subject.beside:
        others = figures.best_days(each, timeline.days)
        curves.append(figures.means_of(each, others, timespan, beside=True))
    says = words.days_sentence(metric, days, timespan)
    return _Drawn(says, curves, pillars, [_days_grid(subject, timeline)])


def _days_grid(subject: TimelineSubject, timeline: Timeline) -> Grid:
    days = figures.best_days(subject.metric, timeline.days)
    today = subject.now.astimezone(subject.timespan.zone).date()
    own = {e.name for e in subject.detectors if e.metric == subject.metric.name}
    tallies = [each for each in timeline.tallies if each.detector in own]
    return words.days_grid(subject.metric, days, tallies, subject.timespan, today)


def _unjudged(subject: TimelineSubject, timeline: Timeline) -> Iterator[Track]:
    """Yield the days that no detector could judge, and those judged in part."""
    judged: dict[object, list[int]] = {}
    for each in timeline.tallies:
        counts = judged.setdefault(each.day, [0, 0])
        counts[0] += each.judged
        counts[1] += sum(each.not_judged.values())
    timespan = subject.timespan
    days = [each for each in timespan.days() if judged.get(each, [0, 0])[1]]
    for title, kind, some in (
        ("Not judged by any detector", "unjudged", False),
        ("Judged in part", "partly", True),
    ):
        stretches = [
            Shade(timespan.midnight(day), timespan.midnight(day + NEXT))
            for day in days
            if bool(judged[day][0]) is some
        ]
        if stretches:
            yield Track(title, kind, stretches)


def _courses(
    medicines: Sequence[MedicinePeriod], timespan: Timespan
) -> Iterator[Track]:
    """Yield a track for each medicine that was taken in the time."""
    by_title: dict[str, list[Shade]] = {}
    for each in medicines:
        begin = timespan.start_us if each.start_us is None else each.start_us
        end = timespan.end_us if each.end_us is None else each.end_us
        if begin < timespan.end_us and end > timespan.start_us:
            by_title.setdefault(each.title, []).append(Shade(begin, end))
    for title, stretches in by_title.items():
        yield Track(title, "medicine", stretches)


def _notes(
    subject: TimelineSubject, timeline: Timeline, left_out: int
) -> Iterator[str]:
    metric, title = subject.metric, subject.metric.title
    denied = timeline.withheld[metric.name]
    if denied:
        whole = words.length_of([subject.timespan.span])
        is_all = words.length_of(denied) >= whole
        some = "" if is_all else "a part of "
        crossed = "" if is_all else ", which is crossed out"
        yield (
            f"The patient does not permit the use of {title.lower()} of {some}this"
            f" time{crossed}."
        )
    for each in subject.beside:
        if timeline.withheld[each.name]:
            yield (
                f"The patient does not permit the use of {each.title.lower()} of all"
                " of this time."
            )
    if metric.name in timeline.crowded:
        yield (
            "This time has too many readings for one page. The days are shown instead;"
            " choose a shorter time to see the readings."
        )
    if left_out:
        yield (
            f"{left_out:,} more readings are stored but not drawn, because no detector"
            " counts them: typed by hand, about a whole day, or about a time of unknown"
            " length."
        )
    if timeline.withheld_types:
        types = sorted(timeline.withheld_types)
        titles = ", ".join(words.type_title(e, subject.catalogue) for e in types)
        yield (
            f"The patient does not permit the use of notices ({titles}) of all of this"
            " time."
        )
    if not timeline.alerts.whole:
        yield "Not all episodes are shown; these are the newest."
    if not timeline.notices.whole:
        yield "Not all notices are shown; these are the newest."
    if not timeline.tallied:
        yield (
            "Detectors tell of more sources and days than are read for one page. What"
            " was not judged is shown of the newest days only; a shorter time shows"
            " the others."
        )


def _keys(plot: Plot) -> Iterator[tuple[str, str]]:
    if any(curve.times for curve in plot.curves[:1]):
        kind = "dots" if plot.curves[0].gap_us is None else "line"
        yield kind, "Mean of a day" if plot.pillars else plot.curves[0].title
    if plot.pillars:
        told = "Total of a day" if plot.from_zero else "Lowest to highest of a day"
        yield "pillars", told
    for curve in plot.curves[1:]:
        if curve.times:
            yield "ring", curve.title
    if plot.thresholds:
        yield "limit", "Limit of a detector"
    if plot.episodes:
        yield "episode", "Episode, by its number in the table"
    if any(each.kind == "notice" for each in plot.tracks):
        yield "notice", "Notice of a device, by its number in the table"
    if plot.off_wrist:
        yield "off-wrist", "Not worn, or no data"
    if plot.withheld:
        yield "withheld", "Not permitted by the patient"


def _readout(
    plot: Plot, drawing: Drawing, metric: str, zone_name: str
) -> Mapping[str, object]:
    """What a column is, for the script: its middle, lowest, highest and how many.

    The middle in seconds since the begin, the begin and the end in milliseconds.
    """
    timespan = plot.timespan
    columns: list[tuple[int, float, float, int]] = [
        (_second(e.start_us, e.end_us, timespan), e.low, e.high, 0)
        for e in plot.pillars
    ]
    if not columns:
        columns = [
            (_second(e.first_us, e.last_us, timespan), e.low, e.high, e.n)
            for e in drawing.columns[0]
        ]
    return {
        "metric": metric,
        "zone": zone_name,
        "frame": [TOP, FRAME],
        "axis": [drawing.axis.low, drawing.axis.high],
        "start": timespan.start_us // 1000,
        "end": timespan.end_us // 1000,
        "unit": format_unit(plot.unit),
        "days": bool(plot.pillars),
        "columns": columns,
    }


def _second(begin_us: int, end_us: int, timespan: Timespan) -> int:
    return ((begin_us + end_us) // 2 - timespan.start_us) // 1_000_000
