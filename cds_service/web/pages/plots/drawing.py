"""A plot as SVG: what was measured, the limits, episodes and gaps, on two axes. Pure.

Its height is in pixels and its width is the page's. What is said by colour is said by
a shape, a number or a word as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from ....rulebook.values import format_number, format_unit
from .axes import Tick, Timespan, ValueAxis, time_ticks, value_axis
from .reducing import (
    COLUMNS,
    Columns,
    dots_path,
    line_path,
    place,
    reduce_readings,
    unbroken,
)
from .svg import Svg, element, number

TOP, FRAME, TRACK, NAMES = 20, 240, 26, 36
"""Pixels: above the frame, of it, of one track below it, and of the times' names."""
APART = 14
"""Pixels from one line of text to the next."""
CLOSE = 12
"""Of the plot's columns: dots that stand closer, on the whole, are smaller."""
BESIDE = 0.05
"""Share of the width that the number of an episode takes on a phone."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Readings of one metric."""

    title: str
    times: list[int] = field(default_factory=list)
    """Microseconds since 1970."""
    values: list[float] = field(default_factory=list)
    gap_us: int | None = None
    """What lies further apart is not joined; None where nothing is joined."""
    is_ring: bool = False
    """Drawn as rings, beside dots and lines of others."""


@dataclass(frozen=True, slots=True)
class Pillar:
    """What a stretch of time was: from its lowest to its highest, or a sum from 0."""

    start_us: int
    end_us: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit and when it held."""

    start_us: int
    end_us: int
    value: float
    sign: str
    """Which side of it is in breach: ``>``, ``≥``, ``<`` or ``≤``."""
    title: str


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch of time that stands out."""

    start_us: int
    end_us: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """A row below the frame, of stretches of one kind."""

    title: str
    kind: str
    """A class of the page's style sheet."""
    stretches: Sequence[Shade]


@dataclass(frozen=True, slots=True)
class Plot:
    """All that is drawn."""

    name: str
    """Of ours; tells its parts from those of others on a page."""
    title: str
    unit: str
    """UCUM."""
    says: str
    """One sentence that tells what is to be seen."""
    timespan: Timespan
    curves: Sequence[Curve] = ()
    pillars: Sequence[Pillar] = ()
    thresholds: Sequence[Threshold] = ()
    episodes: Sequence[Shade] = ()
    off_wrist: Sequence[Shade] = ()
    withheld: Sequence[Shade] = ()
    tracks: Sequence[Track] = ()
    from_zero: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot as it is drawn."""

    svg: Svg
    """One element, which a page holds as it is."""
    axis: ValueAxis
    columns: Sequence[Columns]
    """Of each curve, what is left of it."""


def draw(plot: Plot) -> Drawing:
    """Return the plot drawn."""
    reduced = [
        reduce_readings(each.times, each.values, plot.timespan.span)
        for each in plot.curves
    ]
    axis = _axis(plot, reduced)
    height = TOP + FRAME + len(plot.tracks) * TRACK + NAMES
    svg = element(
        "svg",
        {
            "class": "plot",
            "width": "100%",
            "height": height,
            "role": "img",
            "aria-labelledby": f"{plot.name}-title {plot.name}-says",
        },
        element("title", {"id": f"{plot.name}-title"}, plot.title),
        element("desc", {"id": f"{plot.name}-says"}, plot.says),
        _patterns(plot.name),
        *_hatched(plot, plot.off_wrist, "off-wrist"),
        *_hatched(plot, plot.withheld, "withheld"),
        *_values(axis, plot.unit),
        *_times(plot, height),
        *_episodes(plot),
        _data(plot, reduced, axis),
        *_thresholds(plot, axis),
        *_tracks(plot),
    )
    return Drawing(svg, axis, reduced)


def _axis(plot: Plot, reduced: Iterable[Columns]) -> ValueAxis:
    """The axis that shows all values, and all limits beside them."""
    values = [each.low for columns in reduced for each in columns]
    values += [each.high for columns in reduced for each in columns]
    values += [each for pillar in plot.pillars for each in (pillar.low, pillar.high)]
    values += [each.value for each in plot.thresholds]
    return value_axis(values, from_zero=plot.from_zero)


def _patterns(name: str) -> Svg:
    """Hatching for time off the wrist, and another one for what is withheld."""
    size = {"width": 8, "height": 8, "patternUnits": "userSpaceOnUse"}
    slanted = element("path", {"d": "M0 8L8 0M-2 2L2 -2M6 10L10 6"})
    crossed = element("path", {"d": "M0 8L8 0M0 0L8 8"})
    return element(
        "defs",
        {},
        element("pattern", {"id": f"{name}-off-wrist", **size}, slanted),
        element("pattern", {"id": f"{name}-withheld", **size}, crossed),
    )


def _across(timespan: Timespan, start_us: float, end_us: float) -> tuple[str, str]:
    """Where a stretch begins and how wide it is; never too narrow to be seen."""
    begin, end = timespan.share(start_us) * 100, timespan.share(end_us) * 100
    width = max(end - begin, 0.2)
    return f"{number(min(begin, 100 - width))}%", f"{number(width)}%"


def _block(
    timespan: Timespan, shade: Shade, top: float, height: float, **more: str
) -> Svg:
    x, width = _across(timespan, shade.start_us, shade.end_us)
    return element("rect", {"x": x, "y": top, "width": width, "height": height, **more})


def _hatched(plot: Plot, shades: Iterable[Shade], kind: str) -> Iterator[Svg]:
    fill = f"url(#{plot.name}-{kind})"
    for each in shades:
        told = {"class": kind, "fill": fill}
        yield _block(plot.timespan, each, TOP, FRAME, **told)


def _values(axis: ValueAxis, unit: str) -> Iterator[Svg]:
    for value in axis.ticks:
        y = TOP + (1 - axis.share(value)) * FRAME
        yield element("line", {"class": "grid", "x2": "100%", "y1": y, "y2": y})
        label = {"class": "value", "x": -8, "y": y + 4}
        yield element("text", label, format_number(value))
    if axis.ticks:
        shown = format_unit(unit)
        yield element("text", {"class": "value unit", "x": -8, "y": 10}, shown)


def _times(plot: Plot, height: float) -> Iterator[Svg]:
    bottom = height - NAMES
    ticks = time_ticks(plot.timespan)
    for turn, tick in enumerate(ticks):
        # On a narrow page every second one is left out.
        yield from _time(tick, plot.timespan, bottom, "odd" if turn % 2 else "even")


def _time(tick: Tick, timespan: Timespan, bottom: float, turn: str) -> Iterator[Svg]:
    x = f"{number(timespan.share(tick.at_us) * 100)}%"
    line = {"class": "grid", "x1": x, "x2": x, "y1": TOP, "y2": bottom}
    yield element("line", line)
    yield element(
        "text", {"class": f"time {turn}", "x": x, "y": bottom + 15}, tick.label
    )
    if tick.above:
        told = {"class": "time above", "x": x, "y": bottom + 15 + APART}
        yield element("text", told, tick.above)


def _episodes(plot: Plot) -> Iterator[Svg]:
    for each in plot.episodes:
        yield _block(plot.timespan, each, TOP, FRAME, **{"class": "episode"})
    for begin, label in _numbers(plot):
        told = {"class": "episode", "x": f"{number(begin * 100)}%", "y": TOP - 6}
        yield element("text", told, label)


def _numbers(plot: Plot) -> Iterator[tuple[float, str]]:
    """Yield where the numbers of episodes stand; of those that are close as one."""
    groups: list[list[Shade]] = []
    free = 0.0
    labelled = (each for each in plot.episodes if each.label)
    for each in sorted(labelled, key=attrgetter("start_us")):
        begin = plot.timespan.share(each.start_us)
        if not groups or begin >= free:
            groups.append([])
            free = begin + BESIDE
        groups[-1].append(each)
    for first, *more in groups:
        label = f"{first.label}–{more[-1].label}" if more else first.label
        yield plot.timespan.share(first.start_us), label


def _data(plot: Plot, reduced: Sequence[Columns], axis: ValueAxis) -> Svg:
    """The readings: the one part whose width stretches with the page."""
    inside = list(_pillars(plot, axis))
    for curve, columns in zip(plot.curves, reduced):
        if not columns:
            continue
        if curve.gap_us is None:
            path = dots_path(columns, plot.timespan, axis, FRAME)
            size = "dots many" if _are_close(columns, plot.timespan) else "dots"
            kind = f"{size} ring" if curve.is_ring else size
            inside.append(element("path", {"class": kind, "d": path}))
            if curve.is_ring:
                hole = {"class": f"{size} hole", "d": path}
                inside.append(element("path", hole))
        else:
            runs = unbroken(columns, curve.gap_us)
            path = line_path(runs, plot.timespan, axis, FRAME)
            inside.append(element("path", {"class": "line", "d": path}))
    return element(
        "svg",
        {
            "class": "data",
            "y": TOP,
            "width": "100%",
            "height": FRAME,
            "viewBox": f"0 0 {COLUMNS} {FRAME}",
            "preserveAspectRatio": "none",
        },
        *inside,
        "",
    )


def _are_close(columns: Columns, timespan: Timespan) -> bool:
    begin, end = (timespan.share(each.first_us) for each in (columns[0], columns[-1]))
    return len(columns) > 1 and (end - begin) * COLUMNS / (len(columns) - 1) < CLOSE


def _pillars(plot: Plot, axis: ValueAxis) -> Iterator[Svg]:
    parts = []
    for each in plot.pillars:
        # A fifth of the width stays free, so that one day is told from the next.
        beside = (each.end_us - each.start_us) // 10
        start, end = each.start_us + beside, each.end_us - beside
        if end <= plot.timespan.start_us or start >= plot.timespan.end_us:
            continue
        x1, y1 = place(start, each.high, plot.timespan, axis, FRAME).split()
        x2, y2 = place(end, each.low, plot.timespan, axis, FRAME).split()
        parts.append(f"M{x1} {y1}H{x2}V{y2}H{x1}z")
    if parts:
        yield element("path", {"class": "pillars", "d": "".join(parts)})


def _thresholds(plot: Plot, axis: ValueAxis) -> Iterator[Svg]:
    named: dict[float, dict[str, list[str]]] = {}
    for each in plot.thresholds:
        y = TOP + (1 - axis.share(each.value)) * FRAME
        x, width = _across(plot.timespan, each.start_us, each.end_us)
        line = {"class": "limit", "x": x, "y": y - 0.5, "width": width, "height": 1}
        yield element("rect", line)
        titles = named.setdefault(each.value, {}).setdefault(each.sign, [])
        titles += [] if each.title in titles else [each.title]
    above = float("inf")
    for value in sorted(named):
        y = min(TOP + (1 - axis.share(value)) * FRAME - 4, above - APART)
        above = y
        told = {"class": "limit", "x": "100%", "dx": -4, "y": y}
        yield element("text", told, *_named(value, named[value]))


def _named(value: float, by_sign: Mapping[str, Sequence[str]]) -> Iterator[Svg | str]:
    """Yield the sides of a limit, each with names where the page has room for them."""
    for turn, (sign, titles) in enumerate(sorted(by_sign.items())):
        yield f"{'; ' if turn else ''}{sign} {format_number(value)}"
        yield element("tspan", {"class": "name"}, f" {', '.join(titles)}")


def _tracks(plot: Plot) -> Iterator[Svg]:
    for number_, track in enumerate(plot.tracks):
        top = TOP + FRAME + number_ * TRACK
        yield element("text", {"class": "track", "x": 4, "y": top + 13}, track.title)
        for each in track.stretches:
            kind = {"class": f"track {track.kind}"}
            yield _block(plot.timespan, each, top + 17, 6, **kind)
