"""Tests of detectors as they are written: the cases of ``detectors/*.test.yaml``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..compile.compiler import kind_of
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.document import Document, Path
from ..language.schemas import check_shape
from ..language.slips import check_slips
from ..language.source import parse_yaml
from .notation import length_of

Written = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExpectedEpisodes:
    """What a case says will come of its readings."""

    episodes: Sequence[Written] = ()
    """What is said of each, in the order in which they open."""
    not_judged: frozenset[str] = frozenset()
    """Reasons why nothing could be said, all of which must be there."""

    @property
    def kind(self) -> str:
        """``opens``, ``not-judged`` or ``none``."""
        if self.episodes:
            return "opens"
        return "not-judged" if self.not_judged else "none"


@dataclass(frozen=True, slots=True)
class DetectorExample:
    """One case of a test file."""

    file: str
    line: int
    column: int
    rule: str
    """The name of the detector."""
    name: str
    begins: datetime
    readings: Sequence[Written]
    corrected: Sequence[Written]
    expect: ExpectedEpisodes
    known: timedelta | None = None
    """When the server looks, after the beginning; None for with the last reading."""
    own_limit: float | None = None
    params: Written = field(default_factory=dict)
    todo: str = ""
    """Why it is known to fail; it must not start to pass unnoticed."""

    @property
    def id(self) -> str:
        """``detector: case name``."""
        return f"{self.rule}: {self.name}"


@dataclass(frozen=True, slots=True)
class DetectorExamples:
    """A test file of the right shape."""

    document: Document
    rule: str
    """The name of the detector that it tests."""
    examples: tuple[DetectorExample, ...]


def read_detector_examples(
    files: Mapping[str, str],
) -> tuple[tuple[DetectorExamples, ...], tuple[Finding, ...]]:
    """Return the tests of detectors among *files*, and what is wrong with others."""
    findings = Findings()
    read = []
    for name in sorted(files):
        if kind_of(name) == "detector-test":
            document = parse_yaml(files[name], name, findings)
            if document is None:
                continue
            check_slips(document, findings)
            if check_shape("detector-test", document, findings):
                examples = tuple(_examples(document, findings))
                read.append(DetectorExamples(document, document.data["test"], examples))
    return tuple(read), tuple(findings)


def offset(text: str) -> timedelta:
    """Return how long after the beginning a time is; less than none before it."""
    if text.endswith(" before"):
        return -length_of(text.removesuffix(" before"))
    return length_of(text)


def _examples(document: Document, findings: Findings) -> Iterator[DetectorExample]:
    data = document.data
    wearers = data.get("wearers", {})
    begins = _begins(document, findings)
    lines: dict[str, int] = {}
    for index, case in enumerate(data["cases"]):
        path: Path = ("cases", index)
        line = document.position(path).line
        first = lines.setdefault(case["name"], line)
        if first != line:
            message = f"the case on line {first} has this name as well"
            help = "each case says in its name what sets it apart"
            findings.error(document, (*path, "name"), "CDS709", message, help)
        wearer = case.get("wearer", "")
        if wearer and wearer not in wearers:
            message = f"there is no wearer {quote(wearer)} in this file"
            help, where = suggest(wearer, wearers), (*path, "wearer")
            findings.error(document, where, "CDS707", message, help)
        elif begins is not None:
            yield _example(document, path, begins, wearers.get(wearer, ()))


def _begins(document: Document, findings: Findings) -> datetime | None:
    text = document.data["begins"]
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"{quote(text)} is no moment"
        help = "write it with its offset, such as `2026-11-20T08:00:00-05:00`"
        findings.error(document, ("begins",), "CDS707", message, help)
        return None


def _example(
    document: Document, path: Path, begins: datetime, shared: Sequence[Written]
) -> DetectorExample:
    case: Written = document.value(path)
    line, column = document.position(path)
    return DetectorExample(
        file=document.file,
        line=line,
        column=column,
        rule=document.data["test"],
        name=case["name"],
        begins=begins,
        readings=(*shared, *case.get("readings", ())),
        corrected=case.get("corrected", ()),
        expect=_expected(case["expect"]),
        known=offset(case["known"]) if "known" in case else None,
        own_limit=case.get("own_limit"),
        params=case.get("params") or {},
        todo=case.get("todo", ""),
    )


def _expected(written: Any) -> ExpectedEpisodes:
    if written == "none":
        return ExpectedEpisodes()
    return ExpectedEpisodes(
        written.get("episodes", ()), frozenset(written.get("not_judged", ()))
    )
