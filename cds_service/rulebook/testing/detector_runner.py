"""Tests of detectors, run: readings in, what is detected of them held to the case.

A case is judged by its detector alone, as its file has it, whatever a site tunes. What
it says is what the server would say: the same functions judge what is delivered.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any

from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import Closing, Episode
from ...wearables.detection.evidence import GivenEvidence, NewEpisode, Reassessment
from ...wearables.detection.reassessing import reassess
from ...wearables.metrics import Catalogue
from ...wearables.samples import (
    Context,
    Device,
    Flag,
    Stat,
    microseconds,
)
from ...wearables.series import Point, Series, Voice
from ..compile.catalogue_builder import ALERT_TYPES, METRICS, build_catalogue
from ..compile.compiler import SITE, kind_of
from ..compile.detector_builder import build_detector
from ..compile.site_builder import build_site
from ..engine.rules import Site
from ..language.detectors import DetectorTree, read_detector
from ..language.diagnostics import Finding, Findings, Level
from ..language.document import Document
from ..language.schemas import check_shape
from ..language.source import parse_yaml
from .detector_examples import DetectorExample, offset
from .example_runner import Difference, held_to_mark
from .examples import Written
from .notation import ExampleError, length_of, parse_series
from .one_rule import refusal

_AS = {
    "by-hand": (Flag.MANUAL, None),
    "day-total": (Flag.DAY_TOTAL, None),
    "grouped": (Flag.GROUPED, None),
    "min": (Flag(0), Stat.MIN),
    "max": (Flag(0), Stat.MAX),
    "mean": (Flag(0), Stat.MEAN),
}
_BOUNDS = {"<": Flag.BELOW, "<=": Flag.BELOW, ">": Flag.ABOVE, ">=": Flag.ABOVE}
_LASTS = "lasts"


@dataclass(frozen=True, slots=True)
class Detected:
    """What came of the readings of a case."""

    episodes: Sequence[NewEpisode]
    """By when they opened."""
    not_judged: Mapping[str, int]
    """How many readings, or days, by why they could not be judged."""


class DetectorRunner:
    """Runs tests against the detectors of one rules folder.

    *known* are documents of it that were right before.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        known: Mapping[str, Document] = MappingProxyType({}),
    ) -> None:
        self._files = files
        self._known = known
        self._catalogue: Catalogue | None = None
        self._site: Site | None = None
        self._trees: dict[str, DetectorTree] = {}
        self._detectors: dict[tuple[str, str], Detector] = {}
        self._evidence: dict[int, tuple[DetectorExample, GivenEvidence]] = {}
        """By the identity of the example, which stands beside it to live as long."""

    def problems(self, example: DetectorExample) -> tuple[str, ...]:
        """Return where the detector differs from what the example expects."""
        return tuple(each.message for each in self.differences(example))

    def differences(
        self, example: DetectorExample, tree: DetectorTree | None = None
    ) -> tuple[Difference, ...]:
        """Return where a detector differs from what the example expects; or nothing.

        A ``todo`` example passes by failing, and fails once it would pass.

        Args:
            tree: Another version of the detector.
        """
        try:
            found = tuple(_differences(example, self.detect(example, tree)))
        except ExampleError as error:
            return (Difference("error", str(error)),)
        return held_to_mark(example, found)

    def detect(
        self, example: DetectorExample, tree: DetectorTree | None = None
    ) -> Detected:
        """Return what a detector makes of the readings of an example.

        Raises:
            ExampleError: if the example cannot be played.
        """
        detector = self._detector(tree or self.tree(example.rule), example.params)
        evidence = self._given(example)
        if example.own_limit is not None:
            limits = {
                detector.name: [(microseconds(example.begins), example.own_limit)]
            }
            evidence = replace(evidence, own_limits=limits)
        dirty = {
            name: (
                series.points[0].start_us,
                max(each.end_us for each in series.points),
            )
            for name, series in evidence.all_series.items()
            if series.points
        }
        now = _now(example, dirty.get(detector.metric))
        found = reassess([detector], self.catalogue, evidence, dirty, now)
        return _detected(detector, found)

    def tree(self, name: str) -> DetectorTree:
        """Return the tree of a detector.

        Raises:
            ExampleError: if there is none, or it cannot be read.
        """
        if name not in self._trees:
            own = [
                file
                for file in self._files
                if kind_of(file) == "detector"
                and file.rpartition("/")[2] == f"{name}.yaml"
            ]
            if not own:
                raise ExampleError(f"there is no detector `{name}`")
            self._trees[name] = read_detector(self._read(own[0]))
        return self._trees[name]

    def status(self, name: str) -> str:
        """Return the status of a detector in its own file; empty if it has none."""
        try:
            return self.tree(name).status
        except ExampleError:
            return ""

    @property
    def catalogue(self) -> Catalogue:
        """What wearables may tell.

        Raises:
            ExampleError: if its files cannot be read.
        """
        if self._catalogue is None:
            told = (self._read(name, needed=False) for name in (METRICS, ALERT_TYPES))
            self._catalogue = build_catalogue(*told)
        return self._catalogue

    @property
    def _zone(self) -> tzinfo:
        if self._site is None:
            document = self._read(SITE, needed=False)
            self._site = build_site(document, (), Findings())
        return self._site.time_zone

    def compile(self, tree: DetectorTree, params: Written) -> Detector:
        """Return a detector under other params, as one that is active.

        Raises:
            ExampleError: if it does not compile, with every error.
        """
        findings = Findings()
        settings = {"status": "active", **({"params": dict(params)} if params else {})}
        data = {"format": 1, "time_zone": "UTC", "detectors": {tree.name: settings}}
        site = Document(SITE, json.dumps(data), data)
        open_site = Site(serve_unapproved=True)
        detector = build_detector(tree, self.catalogue, open_site, site, findings)
        errors = [each for each in findings if each.level is Level.ERROR]
        if detector is None or errors:
            raise ExampleError(refusal(errors, "detector"))
        return detector

    def _detector(self, tree: DetectorTree, params: Written) -> Detector:
        if tree is not self._trees.get(tree.name):
            return self.compile(tree, params)
        key = (tree.name, json.dumps(params, sort_keys=True))
        if key not in self._detectors:
            self._detectors[key] = self.compile(tree, params)
        return self._detectors[key]

    def _read(self, name: str, needed: bool = True) -> Any:
        """The document of a file; None where it is missing and not needed."""
        if name not in self._files and not needed:
            return None
        known, text = self._known.get(name), self._files[name]
        if known is not None and known.text == text:
            return known
        findings = Findings()
        document = parse_yaml(text, name, findings)
        if document is None or not check_shape(kind_of(name), document, findings):
            errors: list[Finding] = [*findings]
            raise ExampleError(refusal(errors, "detector"))
        return document

    def _given(self, example: DetectorExample) -> GivenEvidence:
        """Return the readings of an example as evidence; the same for the same one."""
        if id(example) not in self._evidence:
            told = _Readings(example, self.catalogue)
            zone = self._zone
            evidence = GivenEvidence(told.series(), zone=zone, zone_name=str(zone))
            self._evidence[id(example)] = example, evidence
        return self._evidence[id(example)][1]


class _Readings:
    """The readings of one example, those that were corrected as they are then."""

    def __init__(self, example: DetectorExample, catalogue: Catalogue) -> None:
        self.example = example
        self.catalogue = catalogue
        self.voices: dict[str, list[Voice]] = {}
        self.points: dict[str, dict[tuple[int, int], Point]] = {}
        """By metric; by start and voice."""

    def series(self) -> dict[str, Series]:
        for written in (*self.example.readings, *self.example.corrected):
            self._take(written)
        return {
            metric: Series(metric, tuple(self.voices[metric]), sorted(points.values()))
            for metric, points in self.points.items()
        }

    def _take(self, written: Written) -> None:
        name = written["metric"]
        metric = self.catalogue.metrics.get(name)
        if metric is None:
            raise ExampleError(f"there is no metric `{name}`")
        voice = self._voice(name, written)
        every = length_of(written.get("every", "1 minute"))
        lasts = length_of(written["lasts"]) if "lasts" in written else timedelta()
        begins = self.example.begins + offset(written.get("at", "0 minutes"))
        context = Context(written.get("context", ""))
        flags, stat = _AS.get(written.get("as", ""), (Flag(0), None))
        usual = Stat.TOTAL if metric.cumulative else Stat.INSTANT
        told = self.points.setdefault(name, {})
        values = parse_series(str(written["values"]))
        for day in range(written.get("days", 1)):
            for number, each in enumerate(values):
                start = begins + timedelta(days=day) + number * every
                start_us, end_us = microseconds(start), microseconds(start + lasts)
                told.pop((start_us, voice), None)
                if each is not None:
                    bound = _BOUNDS.get(each.comparator, Flag(0))
                    told[start_us, voice] = Point(
                        start_us,
                        end_us,
                        each.value,
                        voice,
                        stat or usual,
                        context,
                        flags | bound,
                    )

    def _voice(self, metric: str, written: Written) -> int:
        name = written.get("device", "")
        voice = Voice(written.get("source", "test"), device=Device(name, name))
        voices = self.voices.setdefault(metric, [])
        if voice not in voices:
            voices.append(voice)
        return voices.index(voice)


def _now(example: DetectorExample, told: tuple[int, int] | None) -> datetime:
    if example.known is not None:
        return (example.begins + example.known).astimezone(UTC)
    if told is None:
        raise ExampleError(
            "there are no readings of the detector's metric; write `known`"
        )
    return datetime.fromtimestamp(told[1] / 1_000_000, UTC)


def _detected(detector: Detector, found: Reassessment) -> Detected:
    changes = found.changes.get(detector.name)
    new = sorted(changes.new, key=_opened) if changes else []
    reasons: dict[str, int] = {}
    for tally in found.tallies:
        for why, count in tally.not_judged.items():
            reasons[why.value] = reasons.get(why.value, 0) + count
    return Detected(new, {why: count for why, count in reasons.items() if count})


def _opened(new: NewEpisode) -> datetime:
    return new.episode.opened


def _differences(example: DetectorExample, found: Detected) -> Iterator[Difference]:
    expect = example.expect
    if len(found.episodes) != len(expect.episodes):
        wanted = _counted(len(expect.episodes))
        got = "; ".join(_told(each.episode, example) for each in found.episodes)
        said = f"expected {wanted}, got {_counted(len(found.episodes))}"
        said += f" ({got})" if got else _why(found)
        yield Difference("episodes", said, wanted, got)
    else:
        for number, (written, new) in enumerate(
            zip(expect.episodes, found.episodes, strict=True), start=1
        ):
            for key, value in written.items():
                got = _member(key, new, example.begins)
                if not _is_same(key, value, got):
                    said = f"expected {key} {value} of episode {number}, got {got}"
                    yield Difference(key, said, str(value), str(got))
    missing = expect.not_judged - set(found.not_judged)
    if missing:
        wanted = ", ".join(sorted(missing))
        got = ", ".join(sorted(found.not_judged)) or "nothing"
        said = f"expected not to be judged because of {wanted}, got {got}"
        yield Difference("not_judged", said, wanted, got)


def _why(found: Detected) -> str:
    reasons = ", ".join(sorted(found.not_judged))
    return f"; not judged: {reasons}" if reasons else ""


def _counted(number: int) -> str:
    return "1 episode" if number == 1 else f"{number or 'no'} episodes"


def _told(episode: Episode, example: DetectorExample) -> str:
    return f"opened {time_since(episode.opened, example.begins)}"


def _member(key: str, new: NewEpisode, begins: datetime) -> Any:
    """What an episode has under the key of an expectation, as a test writes it."""
    episode = new.episode
    if key == "historical":
        return new.historical
    if key == "closing":
        return _LASTS if episode.closing is Closing.LASTS else episode.closing.value
    value = getattr(episode, key)
    if isinstance(value, datetime):
        return time_since(value, begins)
    return _LASTS if key == "end" and value is None else value


def _is_same(key: str, wanted: Any, got: Any) -> bool:
    if key in _TIMES:
        return got != _LASTS and offset(got) == offset(wanted)
    if isinstance(got, float):
        got, wanted = round(got, _PLACES), round(wanted, _PLACES)
    return [got] == [wanted]


_TIMES = ("start", "opened", "last", "end")
_PLACES = 2


def time_since(moment: datetime, begins: datetime) -> str:
    """Return a moment as a test writes it: ``12 minutes``, ``90 seconds before``."""
    seconds = (moment - begins).total_seconds()
    size = abs(seconds)
    fits = ((size / length, unit) for length, unit in _UNITS if not size % length)
    count, unit = next(fits, (size, "second"))
    said = f"{count:g} {unit}{'' if count == 1 else 's'}"
    return f"{said} before" if seconds < 0 else said


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
"""Those that are tried, by their seconds."""
