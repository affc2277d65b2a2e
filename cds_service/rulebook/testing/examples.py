"""Rule tests as they are written: the cases of the ``.test.yaml`` files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from posixpath import join, normpath
from typing import Any

from ..compile.compiler import kind_of
from ..engine.evaluate import Outcome
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.document import Document, Path
from ..language.schemas import check_shape
from ..language.slips import check_slips
from ..language.source import parse_yaml

TEST_SUFFIX = ".test.yaml"


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
    def says_words(self) -> bool:
        """Whether anything is expected of the words on the card."""
        return bool(self.summary or self.detail_contains or self.detail_lacks)


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a test file."""

    file: str
    line: int
    column: int
    rule: str
    name: str
    now: datetime
    patient: Mapping[str, Any]
    expect: Expectation
    params: Mapping[str, Any] = field(default_factory=dict)
    todo: str = ""
    """Why it is known to fail; it must not start to pass unnoticed."""

    @property
    def id(self) -> str:
        """``rule: case name``."""
        return f"{self.rule}: {self.name}"


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """A test file of the right shape."""

    document: Document
    rule: str
    """The name of the rule that it tests."""
    examples: tuple[Example, ...]


def read_examples(
    files: Mapping[str, str],
) -> tuple[tuple[ExampleFile, ...], tuple[Finding, ...]]:
    """The test files among *files*, and what is wrong with those that cannot be read.

    A file with a mistake hides no other.
    """
    findings = Findings()
    read = [
        read_example_file(name, files[name], findings) for name in example_names(files)
    ]
    return tuple(each for each in read if each is not None), tuple(findings)


def read_example_file(name: str, text: str, findings: Findings) -> ExampleFile | None:
    """One test file; None, with findings, where its shape is wrong.

    A case that cannot be played is left out, with a finding.
    """
    document = parse_yaml(text, name, findings)
    if document is None:
        return None
    check_slips(document, findings)
    if not check_shape("rule-test", document, findings):
        return None
    rule = document.data["test"]
    return ExampleFile(document, rule, parse_examples(document, findings))


def parse_examples(document: Document, findings: Findings) -> tuple[Example, ...]:
    """The cases of a test file whose shape has been checked.

    One that names no patient of the file, or another's name, is a finding.
    """
    data = document.data
    now = _now(document, ("now",), findings)
    patients: Mapping[str, Any] = data.get("patients") or {}
    lines: dict[str, int] = {}
    read = []
    for index, case in enumerate(data["cases"]):
        path: Path = ("cases", index)
        line = document.position(path).line
        first = lines.setdefault(case["name"], line)
        if first != line:
            message = f"the case on line {first} has this name as well"
            help = "each case says in its name what sets it apart"
            findings.error(document, (*path, "name"), "CDS709", message, help)
        base = _patient(document, path, patients, findings)
        at = _now(document, (*path, "now"), findings) if "now" in case else now
        if base is not None and at is not None:
            read.append(_example(document, path, at, base))
    return tuple(read)


def _now(document: Document, path: Path, findings: Findings) -> datetime | None:
    text = document.value(path)
    try:
        now = datetime.fromisoformat(text)
    except ValueError:
        now = None
    if now is not None and now.tzinfo is not None:
        return now
    message = f"{quote(text)} is no moment"
    help = "write it with its offset, such as `2026-11-22T12:00:00Z`"
    findings.error(document, path, "CDS707", message, help)
    return None


def _patient(
    document: Document, path: Path, patients: Mapping[str, Any], findings: Findings
) -> Mapping[str, Any] | None:
    """The patient that a case starts from; None if there is none of that name."""
    name = document.value((*path, "patient"))
    if name is None:
        return {}
    if name in patients:
        found: Mapping[str, Any] = patients[name]
        return found
    message = f"there is no patient {quote(name)} in this file"
    help = suggest(name, patients)
    findings.error(document, (*path, "patient"), "CDS707", message, help)
    return None


def _example(
    document: Document, path: Path, now: datetime, base: Mapping[str, Any]
) -> Example:
    case: Mapping[str, Any] = document.value(path)
    line, column = document.position(path)
    return Example(
        file=document.file,
        line=line,
        column=column,
        rule=document.data["test"],
        name=case["name"],
        now=now,
        patient={**base, **(case.get("set") or {})},
        expect=_expectation(case["expect"]),
        params=case.get("params") or {},
        todo=case.get("todo", ""),
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
