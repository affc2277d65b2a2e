"""Tests of detectors as they are written: the cases of ``detectors/*.test.yaml``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..language.diagnostics import Finding, Findings
from ..language.document import Document, Path
from .examples import (
    ExampleFile,
    Written,
    WrittenExample,
    frame_of,
    moment_of,
    named_cases,
    read_test_files,
    shared,
)
from .notation import length_of

OPENS, NONE, NOT_JUDGED = "opens", "none", "not-judged"
"""What a case may expect."""


@dataclass(frozen=True, slots=True)
class ExpectedEpisodes:
    """What a case says will come of its readings."""

    episodes: Sequence[Written] = ()
    """What is said of each, in the order in which they open."""
    not_judged: frozenset[str] = frozenset()
    """Reasons why nothing could be said, all of which must be there."""

    @property
    def kind(self) -> str:
        """``opens``, ``none`` or ``not-judged``."""
        if self.episodes:
            return OPENS
        return NOT_JUDGED if self.not_judged else NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorExample(WrittenExample):
    """One case of a test file of a detector."""

    begins: datetime
    readings: Sequence[Written]
    corrected: Sequence[Written]
    expect: ExpectedEpisodes
    known: timedelta | None = None
    """When the server looks, after the beginning; None for with the last reading."""
    own_limit: float | None = None


def read_detector_examples(
    files: Mapping[str, str],
) -> tuple[tuple[ExampleFile[DetectorExample], ...], tuple[Finding, ...]]:
    """Return the tests of detectors among *files*, and what is wrong with others."""
    return read_test_files(files, "detector-test", _examples)


def offset(text: str) -> timedelta:
    """Return how long after the beginning a time is; less than none before it."""
    if text.endswith(" before"):
        return -length_of(text.removesuffix(" before"))
    return length_of(text)


def _examples(document: Document, findings: Findings) -> tuple[DetectorExample, ...]:
    wearers: Mapping[str, Sequence[Written]] = document.data.get("wearers", {})
    begins = moment_of(document, ("begins",), findings)
    read = []
    for path, _ in named_cases(document, findings):
        told = shared(document, (*path, "wearer"), wearers, (), findings)
        if told is not None and begins is not None:
            read.append(_example(document, path, begins, told))
    return tuple(read)


def _example(
    document: Document, path: Path, begins: datetime, told: Sequence[Written]
) -> DetectorExample:
    case: Written = document.value(path)
    return DetectorExample(
        **frame_of(document, path),
        begins=begins,
        readings=(*told, *case.get("readings", ())),
        corrected=case.get("corrected", ()),
        expect=_expected(case["expect"]),
        known=offset(case["known"]) if "known" in case else None,
        own_limit=case.get("own_limit"),
    )


def _expected(written: Any) -> ExpectedEpisodes:
    if written == "none":
        return ExpectedEpisodes()
    return ExpectedEpisodes(
        written.get("episodes", ()), frozenset(written.get("not_judged", ()))
    )
