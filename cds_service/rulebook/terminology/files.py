"""Files of the rules folder that hold terminology and are no YAML."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from ..language.diagnostics import Finding, Findings, Level, quote, suggest
from ..language.document import Document, Path
from ..language.json_source import parse_json
from .expansions import EXPANSION, Expansion, read_expansion
from .fhir_import import Imported, read_valueset

LOCK = "valuesets.lock"
"""The digests of the value sets, where a site keeps them."""
NOTICE = "valuesets/NOTICE.md"

SIZE_LIMITS: Mapping[str, int] = {
    "expansion": 64 * 1024 * 1024,
    "lock": 64 * 1024 * 1024,
    "fhir-valueset": 16 * 1024 * 1024,
}
"""Bytes of one file, by its kind."""


def terminology_kind(path: str) -> str:
    """``expansion``, ``lock`` or ``fhir-valueset``; empty for every other file."""
    if path == EXPANSION:
        return "expansion"
    if path == LOCK:
        return "lock"
    if path.startswith("valuesets/") and path.endswith(".json"):
        return "fhir-valueset"
    return ""


def tell_import(files: Mapping[str, str], ingredients: int) -> Iterator[Finding]:
    """Give one note where no release of RxNorm stands beside sets of *ingredients*."""
    if EXPANSION in files or not ingredients:
        return
    message = (
        f"RxNorm was not imported: the products of {ingredients} ingredients match by "
        "name only, and a brand that no set lists stays unknown"
    )
    help = "run `cds-service valueset import rxnorm FOLDER`"
    yield Finding("site.yaml", 1, 1, "CDS241", Level.NOTE, message, help)


class TerminologyFiles:
    """The expansion and the FHIR ValueSets of a rules folder, read when asked for."""

    def __init__(self, files: Mapping[str, str], findings: Findings) -> None:
        self._files = files
        self._findings = findings
        self._imported: dict[str, Imported | None] = {}

    @cached_property
    def expansion(self) -> Expansion:
        """The products of RxNorm ingredients; an empty one where there is no file."""
        text = self._files.get(EXPANSION)
        return Expansion() if text is None else read_expansion(text, self._findings)

    def imported(self, document: Document, path: Path) -> Imported | None:
        """The FHIR ValueSet that the node at *path* names, beside its own file."""
        name: str = document.value(path)
        file = _joined(document.file.rpartition("/")[0], name)
        if file is None or terminology_kind(file) != "fhir-valueset":
            message = f"{quote(name)} is not a JSON file in the folder of value sets"
            help = "name it relative to this file, such as `imported/hypertension.json`"
            self._findings.error(document, path, "CDS215", message, help)
            return None
        if file not in self._files:
            known = [
                each.rpartition("/")[2]
                for each in self._files
                if terminology_kind(each) == "fhir-valueset"
            ]
            message = f"there is no file {quote(name)} here"
            help = suggest(file.rpartition("/")[2], known)
            self._findings.error(document, path, "CDS215", message, help)
            return None
        if file not in self._imported:
            text = self._files[file]
            read = parse_json(text, file, self._findings, "CDS217")
            self._imported[file] = (
                None if read is None else read_valueset(read, self._findings)
            )
        return self._imported[file]


def _joined(folder: str, name: str) -> str | None:
    """The path of *name* below the rules folder; None if it leads out of it."""
    if name.startswith("/") or "\\" in name or ":" in name:
        return None
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
