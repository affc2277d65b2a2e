"""From a folder on disk to a rulebook. The only part of this room that reads files."""

import errno
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from pathlib import Path

from .compile.compiler import OF_TESTS, compile_rulebook, kind_of
from .compile.life_cycle import check_dates
from .engine.rulebook import Rulebook
from .engine.rules import CheckResource, unchecked
from .language.detectors import DetectorTree
from .language.diagnostics import Finding, Findings, Level
from .language.document import Document
from .language.source import SIZE_LIMIT
from .language.tree import FactTree, RuleTree
from .terminology.files import SIZE_LIMITS, terminology_kind
from .terminology.measured import Quantities
from .testing.examples import fhir_files

SUFFIX = ".yaml"
UNREADABLE = (OSError, RuntimeError)
"""What looking at a file may raise; a link that leads to itself is a RuntimeError in
some versions of Python, and an OSError in others."""


class InvalidRulebook(Exception):
    """The rules cannot be served; says everything that is wrong, a line a finding."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__(
            "\n".join(
                f"{each.file}:{each.line}:{each.column}: "
                f"{each.level}[{each.code}]: {each.message}"
                for each in findings
                if each.level is Level.ERROR
            )
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a folder."""

    files: Mapping[str, str]
    """Path in the folder, with ``/``, to text."""
    findings: tuple[Finding, ...]
    rulebook: Rulebook | None
    """None where any finding is an error."""
    documents: Mapping[str, Document]
    """Every file but tests that could be parsed, by its path in the folder."""
    trees: Mapping[str, RuleTree]
    """Every rule file whose shape is right, by its path in the folder."""
    facts: Mapping[str, FactTree]
    """The shared facts whose files have the right shape, by name."""
    detectors: Mapping[str, DetectorTree]
    """Every detector's file whose shape is right, by its path in the folder."""
    quantities: Quantities
    """What codes measure."""


def read_folder(folder: Path | str) -> Mapping[str, str]:
    """Every rule file below *folder*: path in the folder, with ``/``, to text.

    Raises:
        InvalidRulebook: if the folder or a file cannot be read.
    """
    findings = Findings()
    files = _read(Path(folder), findings)
    if findings.has_errors:
        raise InvalidRulebook(tuple(findings))
    return files


def read_files(folder: Path | str) -> tuple[Mapping[str, str], tuple[Finding, ...]]:
    """The rule files below *folder* that can be read, and what is wrong with others."""
    findings = Findings()
    files = _read(Path(folder), findings)
    return files, tuple(findings)


def check_folder(
    folder: Path | str,
    check_resource: CheckResource = unchecked,
    today: Callable[[tzinfo], date] | None = None,
) -> Checked:
    """Everything there is to say about the files below *folder*, but for its tests.

    Args:
        today: The day in a zone; without it nothing is said about dates that are over.
    """
    findings = Findings()
    files = _read(Path(folder), findings)
    compiled = compile_rulebook(files, check_resource)
    unread = any(
        each.level is Level.ERROR and kind_of(each.file) not in OF_TESTS
        for each in findings
    )
    findings.extend(compiled.findings)
    if today and compiled.rulebook:
        day = today(compiled.rulebook.site.time_zone)
        rules = compiled.rulebook.rules.values()
        detectors = compiled.rulebook.detectors.values()
        findings.extend(check_dates(rules, compiled.documents, day))
        findings.extend(check_dates(detectors, compiled.documents, day, "detector"))
    rulebook = None if unread else compiled.rulebook
    return Checked(
        files,
        tuple(findings),
        rulebook,
        compiled.documents,
        compiled.trees,
        compiled.facts,
        compiled.detectors,
        compiled.quantities,
    )


def _read(folder: Path, findings: Findings) -> dict[str, str]:
    files: dict[str, str] = {}
    try:
        if not folder.is_dir():
            _report(findings, str(folder), "CDS001", "there is no such folder")
            return files
        root = folder.resolve()
    except UNREADABLE as error:
        _report(findings, str(folder), "CDS001", _why(error))
        return files
    others: list[str] = []
    for name, path in _walk(folder, findings):
        if is_passing(path.name):
            others.append(name)
        elif path.suffix == SUFFIX or terminology_kind(name):
            text = _read_file(name, path, root, findings)
            if text is not None:
                files[name] = text
        else:
            others.append(name)
    read = files.keys() | _read_patients(folder, root, files, findings)
    for name in others:
        if name not in read:
            _tell_unread(name, read, findings)
    return files


def _tell_unread(name: str, read: Collection[str], findings: Findings) -> None:
    """Warn of a file that looks like one of a rulebook by its name, and is not read.

    A copy beside what is read, as editors leave it, is passed over.
    """
    found = _NEARLY.fullmatch(name)
    if not found:
        return
    meant = found["stem"] + SUFFIX
    if meant in read and _COPY.search(name):
        return
    message = "this file is not read"
    help = f"rename it to {meant.rpartition('/')[2]}"
    if found["kind"].lower() == "json":
        help = "rules are written in YAML; a test names its FHIR files with `fhir:`"
    if meant in read:
        help = f"{meant.rpartition('/')[2]} is; move this one out of the folder"
    findings.add(Finding(name, 1, 1, "CDS034", Level.WARNING, message, help))


_NEARLY = re.compile(
    r"(?P<stem>.*?)\.(?P<kind>ya?ml|json|bak|old|orig)(?P<rest>[.~\s#-][^/]*)?",
    re.IGNORECASE,
)
_COPY = re.compile(r"(~|#|\.(bak|old|orig|save|tmp))$", re.IGNORECASE)


def _read_patients(
    folder: Path, root: Path, files: dict[str, str], findings: Findings
) -> Collection[str]:
    """Read the files of FHIR that tests name, as far as they are there; return all."""
    named = fhir_files(files)
    for name in sorted(named - files.keys()):
        path = folder / name
        if os.path.lexists(path) and not os.path.isdir(path):
            text = _read_file(name, path, root, findings)
            if text is not None:
                files[name] = text
    return named


def _walk(folder: Path, findings: Findings) -> Iterator[tuple[str, Path]]:
    """Name in the folder and path of each file that is not hidden."""

    def fail(error: OSError) -> None:
        name = _name(Path(error.filename), folder)
        _report(findings, name, "CDS001", _why(error))

    for here, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(each for each in folders if not is_passing(each))
        for each in list(folders):
            path = Path(here, each)
            if path.is_symlink():
                message = (
                    "this is a link to a folder, and links to folders are not allowed"
                )
                _report(findings, _name(path, folder), "CDS001", message)
                folders.remove(each)
            elif path.suffix == SUFFIX:
                message = "this is a folder with the name of a file"
                _report(findings, _name(path, folder), "CDS001", message)
        for each in sorted(files):
            if not each.startswith((".", "#", "~")):
                path = Path(here, each)
                yield _name(path, folder), path


def is_passing(name: str) -> bool:
    """Return whether a name is hidden, or an editor's while it works."""
    return name.startswith((".", "#", "~")) or name.endswith(("~", "#"))


def _name(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    # A name that is not UTF-8 can neither be printed nor hashed as it is.
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _read_file(name: str, path: Path, root: Path, findings: Findings) -> str | None:
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(root):
            _report(findings, name, "CDS001", "this link points outside the folder")
            return None
        if not target.is_file():
            _report(findings, name, "CDS001", "this is not an ordinary file")
            return None
        with target.open("rb") as file:
            limit = SIZE_LIMITS.get(terminology_kind(name), SIZE_LIMIT)
            content = file.read(limit + 1)
    except UNREADABLE as error:
        _report(findings, name, "CDS001", _why(error))
        return None
    if len(content) > limit:
        message = f"the file is larger than {limit // 1024} KiB"
        help = "each file holds one rule or value set"
        _report(findings, name, "CDS003", message, help)
        return None
    return _decode(name, content, findings)


def _why(error: Exception) -> str:
    looped = isinstance(error, RuntimeError) or (
        isinstance(error, OSError) and error.errno == errno.ELOOP
    )
    if looped:
        return "this link points to itself"
    said = error.strerror if isinstance(error, OSError) else None
    return f"cannot be read: {said or type(error).__name__}"


def _decode(name: str, content: bytes, findings: Findings) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        message = f"the byte {content[error.start]:#04x} here is not UTF-8"
        help = "save the file as UTF-8"
        findings.add(Finding(name, line, column, "CDS002", Level.ERROR, message, help))
        return None


def _report(
    findings: Findings, name: str, code: str, message: str, help: str = ""
) -> None:
    findings.add(Finding(name, 1, 1, code, Level.ERROR, message, help))
