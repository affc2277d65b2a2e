"""The files of a new detector: readings beyond a limit for some time, and its tests.

All of its numbers but the limit are a first draft, and the file says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from ...wearables.metrics import Catalogue, Metric
from ..compile.compiler import DETECTORS
from ..language.diagnostics import suggest
from ..values.intervals import Duration, parse_duration, seconds
from .format import format_text
from .scaffold import Slip
from .scaffold_text import scalar

_SPEAKS_FOR = "3 minutes"
"""Where the metric does not say how long one reading speaks."""
_AROUND = 0.2
"""How far from its limit a site may go at first, as a share of it."""


@dataclass(frozen=True, slots=True)
class DetectorAnswers:
    """What the author wants."""

    name: str
    metric: Metric
    raises: str
    comparison: str
    limit: float
    hold: Duration
    at_rest: bool = False

    @property
    def gap(self) -> float:
        """How long one reading speaks, in seconds."""
        said = self.metric.speaks_for
        usual = parse_duration(_SPEAKS_FOR)
        assert usual is not None
        return said.total_seconds() if said else seconds(usual)

    @property
    def is_high(self) -> bool:
        """Whether what is too much is looked for."""
        return self.comparison in ("above", "at_least")

    def beyond(self, share: float) -> float:
        """Return a value that lies by a share of the limit beyond it."""
        far = abs(self.limit) * share or share
        value = self.limit + far if self.is_high else self.limit - far
        return round(min(max(value, self.metric.lowest), self.metric.highest), 2)

    @property
    def just_not(self) -> float:
        """A value that is not in breach, as near as it may be."""
        if self.comparison in ("above", "below"):
            return self.limit
        return self.beyond(-0.05)


def choose_metric(catalogue: Catalogue, name: str) -> Metric:
    """Return the metric of that name whose readings have a limit.

    Raises:
        Slip: if there is none, or a reading of it has no limit.
    """
    metric = catalogue.metrics.get(name)
    if metric is None:
        help = suggest(name, catalogue.metrics)
        raise Slip(f"there is no metric {name}; {help}".rstrip("; "))
    if metric.cumulative:
        raise Slip(f"{name} is summed: write a detector of its days by hand")
    return metric


def choose_raised(catalogue: Catalogue, metric: Metric, name: str, high: bool) -> str:
    """Return the type of alert that a detector of a metric raises.

    Raises:
        Slip: if none of that name, or several without one, are of the metric.
    """
    fitting = {
        each.name: each.title
        for each in catalogue.alert_types.values()
        if (each.metric, each.unit) == (metric.name, metric.unit)
    }
    if name:
        if name not in fitting:
            help = suggest(name, fitting) or "add it to alert-types.yaml"
            raise Slip(f"no alert type {name} is of {metric.name}; {help}")
        return name
    likely = [each for each in fitting if each.startswith(("low", "high"))]
    likely = [each for each in likely if each.startswith("high") is high] or likely
    if len(likely) != 1:
        known = ", ".join(fitting) or "none of them is of this metric"
        raise Slip(f"name the alert type with --raises: {known}")
    return likely[0]


def read_length(text: str) -> Duration:
    """Return the length of time that a text names.

    Raises:
        Slip: if it names none.
    """
    found = parse_duration(text)
    if found is None:
        raise Slip(f"{text} is not a duration; write e.g. `10 minutes`")
    return found


def detector_text(answers: DetectorAnswers) -> str:
    """Return the detector, as a draft, without the line that names its schema.

    Raises:
        Slip: if the time is too short for readings of the metric.
    """
    metric, hold = answers.metric, seconds(answers.hold)
    if hold <= answers.gap:
        raise Slip(
            f"one reading of {metric.name} speaks for {length(answers.gap)}: say a "
            "longer time with --for"
        )
    low, high = sorted((answers.beyond(_AROUND), answers.beyond(-_AROUND)))
    side = "above" if answers.is_high else "below"
    title = f"{metric.title} {side} {answers.limit:g} {metric.unit}"
    describe = f"{metric.title} from which on it is too {_too(answers)}."
    lines = [
        "format: 1",
        f"detector: {answers.name}",
        "version: 0.1.0",
        f"title: {scalar(title)}",
        "status: draft",
        f"metric: {metric.name}",
        f"raises: {answers.raises}",
        "",
        "params:",
        "  limit:",
        f"    default: {answers.limit:g}",
        f"    unit: {scalar(metric.unit)}",
        f"    min: {low:g}",
        f"    max: {high:g}",
        f"    describe: {scalar(describe)}",
        "    own: true",
        "",
        "detect:",
        "  sustained:",
        f"    {answers.comparison}: $limit",
        f"    clear_by: {abs(answers.limit) * 0.05:g}",
        f"    for: {answers.hold}",
        f"    speaks_for: {length(answers.gap)}",
        "    coverage: 0.7",
        "    share: 0.9",
        f"    readings: {int(hold / answers.gap) + 1}",
        f"    recovery: {answers.hold}",
        f"    silence: {length(max(4 * answers.gap, hold, 3600))}",
        *(_REST if answers.at_rest else ()),
        "",
        "lateness: 48 hours",
        "recurrence_within: 24 hours",
        "",
        "governance:",
        "  unconfirmed:",
        "    - All numbers are a first draft.",
    ]
    return _in_order(lines, f"{answers.name}.yaml", "detector")


def detector_cases(answers: DetectorAnswers, begins: str) -> str:
    """Return its tests: one that opens, one that does not, one not judged.

    Args:
        begins: The moment from which they count, with its offset.
    """
    hold, metric = seconds(answers.hold), answers.metric.name
    pace = _pace(hold, answers.gap)
    far, many = f"{answers.beyond(0.1):g}", int(2 * hold / pace) + 1
    near = f"{answers.just_not:g}"
    steady = f"{{ metric: {metric}, values: {far}x{many}, every: {length(pace)} }}"
    sparse = (
        f"{{ metric: {metric}, values: {far}x8, every: {length(2 * answers.gap)} }}"
    )
    quiet = steady.replace(f"{far}x", f"{near}x")
    wearer = ["    wearer: rests"] if answers.at_rest else []
    lines = [
        f"test: {answers.name}",
        f"begins: {begins}",
        *(_rests(2 * hold + 16 * answers.gap) if answers.at_rest else ()),
        "cases:",
        f"  - name: {far} opens an episode after {answers.hold}",
        *wearer,
        f"    readings: [{steady}]",
        "    expect:",
        "      episodes:",
        f"        - {{ start: 0 minutes, opened: {answers.hold}, closing: lasts }}",
        f"  - name: {near} is not too {_too(answers)}",
        *wearer,
        f"    readings: [{quiet}]",
        "    expect: none",
        f"  - name: a reading every {length(2 * answers.gap)} is too little",
        *wearer,
        f"    readings: [{sparse}]",
        "    expect: { not_judged: [too-sparse] }",
    ]
    return _in_order(lines, f"{answers.name}.test.yaml", "detector-test")


_REST = (
    "    at_rest: { metric: steps, per_minute: 10, lookback: 5 minutes, covered: 0.8, "
    "longest: 15 minutes }",
)


def _rests(span: float) -> Iterator[str]:
    count = int(span / 300) + 4
    yield "wearers:"
    yield "  rests:"
    yield (
        f"    - {{ metric: steps, values: 0x{count}, every: 5 minutes, "
        "lasts: 5 minutes, at: 15 minutes before }"
    )


def _pace(hold: float, gap: float) -> float:
    """Return how far apart readings may lie that fill a time, in whole parts of it."""
    parts = ceil(hold / gap)
    while hold % parts and hold / parts > 1:
        parts += 1
    return hold / parts


def _too(answers: DetectorAnswers) -> str:
    return "high" if answers.is_high else "low"


def length(size: float) -> str:
    """Return a length of time as an author writes it; *size* is in seconds."""
    for unit, each in (("hour", 3600), ("minute", 60)):
        if size % each == 0:
            return str(Duration(size / each, unit))
    return str(Duration(size, "second"))


def _in_order(lines: list[str], file: str, kind: str) -> str:
    text, findings = format_text("\n".join(lines) + "\n", DETECTORS + file, kind)
    if findings:
        raise Slip(findings[0].message)
    return text
