"""Tests as they are written: the cases of the ``.test.yaml`` files.

Those of detectors have the same frame as those of rules, and their own module says what
is in it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from posixpath import join, normpath
from typing import Any, Generic, Protocol, TypeVar

from ..compile.compiler import kind_of
from ..engine.evaluate import Outcome
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.document import Document, Path
from ..language.schemas import check_shape
from ..language.slips import check_slips
from ..language.source import parse_yaml

TEST_SUFFIX = ".test.yaml"
Written = Mapping[str, Any]


class Expected(Protocol):
    """What a case says will come of it."""

    @property
    def kind(self) -> str:
        """Return which of the cases that a rule or detector owes this makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenExample:
    """One case of a test file, whatever is tested."""

    file: str
    line: int
    column: int
    rule: str
    """The name of the rule or detector."""
    name: str
    expect: Expected
    params: Written = field(default_factory=dict)
    todo: str = ""
    """Why it is known to fail; it must not start to pass unnoticed."""

    @property
    def id(self) -> str:
        """``rule: case name``."""
        return f"{self.rule}: {self.name}"


AnyExample = TypeVar("AnyExample", bound=WrittenExample, covariant=True)


@dataclass(frozen=True, slots=True)
class ExampleFile(Generic[AnyExample]):
    """A test file of the right shape."""

    document: Document
    rule: str
    """The name of the rule or detector that it tests."""
    examples: tuple[AnyExample, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case says will come of the rule."""

    outcome: Outcome
    card: str = ""
    """The card's indicator."""
    summary: str = ""
    """The whole summary; empty if the case does not say."""
    detail_contains: tuple[str, ...] = ()
    detail_lacks: tuple[str, ...] = ()
    system_actions: tuple[str, ...] | None = None
    """The description of each; None if the case does not say."""
    unknown_because: frozenset[str] = frozenset()
    """The facts that leave it unknown; empty if the case does not say."""

    @property
    def kind(self) -> Outcome:
        """What is to come of the rule."""
        return self.outcome

    @property
    def says_words(self) -> bool:
        """Whether anything is expected of the words on the card."""
        return bool(self.summary or self.detail_contains or self.detail_lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(WrittenExample):
    """One case of a test file of a rule."""

    now: datetime
    patient: Written
    expect: Expectation


def read_examples(
    files: Mapping[str, str],
) -> tuple[tuple[ExampleFile[Example], ...], tuple[Finding, ...]]:
    """The test files of rules among *files*, and what is wrong with others.

    A file with a mistake hides no other.
    """
    return read_test_files(files, "rule-test", _parse_examples)


def read_test_files(
    files: Mapping[str, str],
    kind: str,
    parse: Callable[[Document, Findings], tuple[AnyExample, ...]],
) -> tuple[tuple[ExampleFile[AnyExample], ...], tuple[Finding, ...]]:
    """Return the test files of a kind, and what is wrong with those of another shape.

    A case that cannot be played is left out, with a finding.
    """
    findings = Findings()
    read = []
    for name in sorted(files):
        if kind_of(name) != kind:
            continue
        document = parse_yaml(files[name], name, findings)
        if document is None:
            continue
        check_slips(document, findings)
        if check_shape(kind, document, findings):
            rule, examples = document.data["test"], parse(document, findings)
            read.append(ExampleFile(document, rule, examples))
    return tuple(read), tuple(findings)


def _parse_examples(document: Document, findings: Findings) -> tuple[Example, ...]:
    """The cases of a rule's test file whose shape has been checked.

    One that names no patient of the file, or another's name, is a finding.
    """
    data = document.data
    now = moment_of(document, ("now",), findings)
    patients: Written = data.get("patients") or {}
    read = []
    for path, case in named_cases(document, findings):
        base = shared(document, (*path, "patient"), patients, {}, findings)
        where = (*path, "now")
        at = moment_of(document, where, findings) if "now" in case else now
        if base is not None and at is not None:
            read.append(_example(document, path, at, base))
    return tuple(read)


def named_cases(
    document: Document, findings: Findings
) -> Iterator[tuple[Path, Written]]:
    """Yield where the cases of a file stand, and what they say.

    Two of one name are a finding.
    """
    lines: dict[str, int] = {}
    for index, case in enumerate(document.data["cases"]):
        path: Path = ("cases", index)
        line = document.position(path).line
        first = lines.setdefault(case["name"], line)
        if first != line:
            message = f"the case on line {first} also has this name"
            help = "say in each name what is special about the case"
            findings.error(document, (*path, "name"), "CDS709", message, help)
        yield path, case


def moment_of(document: Document, path: Path, findings: Findings) -> datetime | None:
    """Return the moment that a test names; None, with a finding, where it is none."""
    text = document.value(path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is not None:
        return moment
    message = f"{quote(text)} is not a valid time"
    help = "write it with its offset, such as `2026-11-22T12:00:00Z`"
    findings.error(document, path, "CDS707", message, help)
    return None


AnyShared = TypeVar("AnyShared")


def shared(
    document: Document,
    path: Path,
    told: Mapping[str, AnyShared],
    nobody: AnyShared,
    findings: Findings,
) -> AnyShared | None:
    """Return whom a case of the file names at *path*, such as a patient of the file.

    *nobody* where it names none; None, with a finding, where there is no such name.
    """
    name = document.value(path)
    if name is None:
        return nobody
    if name in told:
        return told[name]
    message = f"there is no {path[-1]} {quote(name)} in this file"
    findings.error(document, path, "CDS707", message, suggest(name, told))
    return None


def frame_of(document: Document, path: Path) -> dict[str, Any]:
    """Return what a case says that is the same whatever is tested."""
    case: Written = document.value(path)
    line, column = document.position(path)
    return {
        "file": document.file,
        "line": line,
        "column": column,
        "rule": document.data["test"],
        "name": case["name"],
        "params": case.get("params") or {},
        "todo": case.get("todo", ""),
    }


def _example(document: Document, path: Path, now: datetime, base: Written) -> Example:
    case: Written = document.value(path)
    return Example(
        **frame_of(document, path),
        now=now,
        patient={**base, **(case.get("set") or {})},
        expect=_expectation(case["expect"]),
    )


def _expectation(written: Any) -> Expectation:
    if written == "no card":
        return Expectation(Outcome.NO)
    if written == "unknown":
        return Expectation(Outcome.UNKNOWN)
    if "card" not in written:
        because = frozenset(written["unknown_because"])
        return Expectation(Outcome.UNKNOWN, unknown_because=because)
    return Expectation(
        Outcome.FIRES,
        card=written["card"],
        summary=written.get("summary", ""),
        detail_contains=tuple(written.get("detail_contains", ())),
        detail_lacks=tuple(written.get("detail_lacks", ())),
        system_actions=(
            tuple(written["system_actions"]) if "system_actions" in written else None
        ),
    )


def example_names(files: Mapping[str, str]) -> Iterator[str]:
    """The names of the test files of rules among *files*."""
    return (name for name in sorted(files) if kind_of(name) == "rule-test")


def fhir_file(file: str, named: str) -> str | None:
    """The path in the rules folder of a file of FHIR that the test *file* names.

    None where it leads out of the folder.
    """
    path = normpath(join(file.rpartition("/")[0], named))
    return None if path.startswith(("../", "/")) or path == ".." else path


def fhir_files(files: Mapping[str, str]) -> frozenset[str]:
    """The paths of all files of FHIR that the tests among *files* name."""
    documents = [
        parse_yaml(files[name], name, Findings())
        for name in example_names(files)
        if "fhir:" in files[name]
    ]
    return frozenset(
        path
        for document in documents
        if document is not None
        for named in _named(document.data)
        if (path := fhir_file(document.file, named)) is not None
    )


def _named(node: Any) -> Iterator[str]:
    """Yield what stands under ``fhir`` anywhere below a node."""
    if isinstance(node, list):
        for each in node:
            yield from _named(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "fhir" and isinstance(value, str):
                yield value
            else:
                yield from _named(value)
