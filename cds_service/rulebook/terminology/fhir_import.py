"""FHIR R4 ValueSets of others, read into codes and written as value-set files.

Taken are enumerated concepts and expansions. What only a terminology server can work
out (a filter, a whole code system, another value set by its URL) is refused: half of a
value set reads as the whole.

Source: https://hl7.org/fhir/R4/valueset.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fhir.chart import is_cut
from ...fhir.code_systems import (
    SYSTEMS,
    canonical_system,
    is_well_formed,
    normalise_code,
    short_name,
    written_code,
)
from ..language.diagnostics import Findings
from ..language.document import Document, Path

Concept = tuple[str, str, str]
"""System by URI, code as written, display."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a FHIR ValueSet says."""

    name: str
    title: str
    url: str
    version: str
    date: str
    included: tuple[Concept, ...]
    excluded: tuple[Concept, ...] = ()
    inactive: int = 0
    """How many of the codes are for old records only."""
    terminologies: Mapping[str, str] = field(default_factory=dict)
    """System to the version of it that was used, where the file says it."""


def read_valueset(document: Document, findings: Findings) -> Imported | None:
    """The value set in a JSON document; None, with findings, if it cannot be taken."""
    return _Reader(document, findings).read()


class _Reader:
    def __init__(self, document: Document, findings: Findings) -> None:
        self.document = document
        self.findings = findings
        self.broken = False
        self.included: dict[tuple[str, str], Concept] = {}
        self.excluded: dict[tuple[str, str], Concept] = {}
        self.inactive = 0
        self.terminologies: dict[str, str] = {}

    def read(self) -> Imported | None:
        data = self.document.data
        if not isinstance(data, dict) or data.get("resourceType") != "ValueSet":
            kind = data.get("resourceType") if isinstance(data, dict) else None
            said = f"a {kind}" if isinstance(kind, str) else "no FHIR resource"
            self._refuse((), f"this is {said} and not a FHIR ValueSet")
            return None
        self._marked(data)
        if is_cut(data):
            self._part((), "it is labelled as cut")
        if data.get("status") == "entered-in-error":
            self._refuse(("status",), "this ValueSet was entered in error")
        if data.get("implicitRules") is not None:
            self._refuse(("implicitRules",), "it is read by rules that are not known")
        expansion = data.get("expansion")
        if isinstance(expansion, dict) and "contains" in expansion:
            self._expansion(expansion)
        elif isinstance(data.get("compose"), dict):
            self._compose(data["compose"])
        else:
            help = "download it with its expansion"
            self._refuse((), "this ValueSet lists no codes", help)
        if not self.broken and not self.included:
            self._refuse((), "this ValueSet has no code that can be used")
        if self.broken:
            return None
        text = {
            name: value if isinstance(value := data.get(name), str) else ""
            for name in ("name", "title", "url", "version", "date")
        }
        return Imported(
            **text,
            included=tuple(self.included.values()),
            excluded=tuple(self.excluded.values()),
            inactive=self.inactive,
            terminologies=self.terminologies,
        )

    def _expansion(self, expansion: Mapping[str, Any]) -> None:
        path: Path = ("expansion",)
        for index, parameter in self._objects(expansion, path, "parameter"):
            self._asked(parameter, (*path, "parameter", index))
        waiting = [((*path, "contains"), expansion)]
        entries = 0
        while waiting:
            where, holder = waiting.pop()
            for index, each in self._objects(holder, where[:-1], "contains"):
                entries += 1
                self._contained((*where, index), each)
                if "contains" in each:
                    waiting.append(((*where, index, "contains"), each))
        self._one_page(expansion, path, entries)

    def _marked(self, data: Mapping[str, Any]) -> None:
        """Refuse what is marked anywhere as a part: half a set reads as the whole."""
        waiting: list[tuple[Path, Any]] = [((), data)]
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, list):
                waiting += [((*path, n), each) for n, each in enumerate(node)]
            elif isinstance(node, dict):
                for name in ("extension", "modifierExtension"):
                    for index, each in self._objects(node, path, name):
                        self._mark((*path, name, index), each, name)
                # What is contained is another resource.
                names = [each for each in node if path or each != "contained"]
                waiting += [((*path, each), node[each]) for each in names]

    def _mark(self, path: Path, extension: Mapping[str, Any], name: str) -> None:
        url = str(extension.get("url", "")).partition("|")[0].rstrip("/")
        mark = url.rpartition("/")[2].lower()
        said = extension.get("valueBoolean")
        plain = re.sub("[^a-z]", "", mark)
        if mark in _MARKS and not _says_no(said):
            self._part(path, _MARKS[mark])
        elif name == "modifierExtension":
            self._refuse(path, "an unknown modifier changes what it means")
        elif said in (True, "true") and any(each in plain for each in _CUT_SHORT):
            self._part(path, f"it is marked as incomplete (`{mark[:40]}`)")

    def _asked(self, parameter: Mapping[str, Any], path: Path) -> None:
        """Take in what an expansion was asked for, or refuse it."""
        name = str(parameter.get("name", ""))
        value = next((parameter[k] for k in parameter if k.startswith("value")), None)
        word = name.lower().replace("-", "").lstrip("_")
        if name == "version" and isinstance(value, str):
            system, _, version = value.partition("|")
            self.terminologies[canonical_system(system)] = version
        elif word in _CUT_SHORT and not _says_no(value):
            self._part(path, "the expansion says that it is incomplete")
        elif word == "filter" and value:
            self._part(path, f"only the codes that match `{str(value)[:40]}` are here")
        elif word == "excludesystem":
            self._part(path, "codes of a system were left out")
        elif word == "excludenotforui" and not _says_no(value):
            self._part(path, "codes were left out that are not for choosing")
        elif word == "offset" and _whole(value) != 0:
            self._part(path, "the expansion does not begin with the first code")

    def _one_page(self, expansion: Mapping[str, Any], path: Path, entries: int) -> None:
        total, offset = expansion.get("total"), expansion.get("offset", 0)
        stated = _whole(total)
        short = total is not None and (stated is None or stated > entries)
        if short or (offset is not None and _whole(offset) != 0):
            said = f"{entries} of {total} codes" if total is not None else "a later one"
            self._part((*path, "total"), f"this is one page of the expansion: {said}")
        elif "next" in expansion:
            self._part((*path, "next"), "there is another page of the expansion")
        elif stated is None:
            for index, each in self._objects(expansion, path, "parameter"):
                if str(each.get("name", "")).lstrip("_") == "count":
                    count = _number(each)
                    if count is not None and entries >= count:
                        codes = f"{count} code{' was' if count == 1 else 's were'}"
                        message = f"{codes} asked for, and there may be more"
                        self._part((*path, "parameter", index), message)

    def _part(self, path: Path, message: str) -> None:
        self._refuse(path, message, "download the whole of it")

    def _contained(self, path: Path, each: Mapping[str, Any]) -> None:
        if each.get("abstract") is True or ("code" not in each and "contains" in each):
            return
        self.inactive += each.get("inactive") is True
        self._take(path, each.get("system"), each, self.included)

    def _compose(self, compose: Mapping[str, Any]) -> None:
        for kind, into in (("include", self.included), ("exclude", self.excluded)):
            for index, each in self._objects(compose, ("compose",), kind):
                self._listed(("compose", kind, index), each, into)

    def _listed(
        self,
        path: Path,
        each: Mapping[str, Any],
        into: dict[tuple[str, str], Concept],
    ) -> None:
        help = "ask a terminology server for its expansion, and import that"
        if "valueSet" in each:
            message = "codes of another value set are meant, which is not in this file"
            self._refuse((*path, "valueSet"), message, help)
        elif "filter" in each:
            message = "codes are meant that a terminology server must work out"
            self._refuse((*path, "filter"), message, help)
        elif "concept" not in each:
            message = "all codes of a code system are meant, and none is listed"
            self._refuse(path, message, help)
        else:
            version = each.get("version")
            if isinstance(version, str) and isinstance(each.get("system"), str):
                self.terminologies[canonical_system(each["system"])] = version
            for index, concept in self._objects(each, path, "concept"):
                where = (*path, "concept", index)
                self._take(where, each.get("system"), concept, into)

    def _take(
        self,
        path: Path,
        system: Any,
        concept: Mapping[str, Any],
        into: dict[tuple[str, str], Concept],
    ) -> None:
        code, display = concept.get("code"), concept.get("display")
        if not isinstance(system, str) or not system:
            self._refuse(path, "the code system is not named")
        elif not isinstance(code, str) or not code.strip():
            self._refuse(path, "the code is missing, or is no text")
        else:
            uri = canonical_system(system)
            plain = normalise_code(uri, code)
            if not is_well_formed(uri, plain):
                message = f"`{code[:40]}` does not look like a code of {system[:80]}"
                self._refuse((*path, "code"), message)
            said = display if isinstance(display, str) else ""
            into.setdefault((uri, plain), (uri, code.strip(), said))

    def _objects(
        self, holder: Mapping[str, Any], path: Path, name: str
    ) -> Iterator[tuple[int, Mapping[str, Any]]]:
        written = holder.get(name, [])
        if not isinstance(written, list):
            self._refuse((*path, name), f"`{name}` is not a list")
            return
        for index, each in enumerate(written):
            if isinstance(each, dict):
                yield index, each
            else:
                self._refuse((*path, name, index), "this is not an object")

    def _refuse(self, path: Path, message: str, help: str = "") -> None:
        self.broken = True
        self.findings.error(self.document, path, "CDS216", message, help)


def _says_no(value: Any) -> bool:
    """Return whether a boolean, or the word that some write for it, says no."""
    return value is False or value == "false"


def _whole(value: Any) -> int | None:
    """A whole number, however it is written; none where it is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) < _LONG:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(parameter: Mapping[str, Any]) -> int | None:
    """The whole number that a parameter says in any type; none where it is none."""
    return _whole(next((parameter[k] for k in parameter if k[:5] == "value"), None))


_LONG = 19


_MARKS = {
    "valueset-toocostly": "the expansion is only a part: the whole was too costly",
    "valueset-unclosed": "the expansion is only a part: the set may have more codes",
}
"""Extensions of FHIR by which an expansion says that it is not whole."""
_CUT_SHORT = frozenset(
    "limitedexpansion partial toocostly unclosed incomplete truncated".split()
)
"""Parameters by which terminology servers say the same."""


_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,2}")


def name_for(imported: Imported) -> str:
    """A name for the value set, out of its title; empty if that has no word."""
    words = re.findall(r"[a-z0-9]+", (imported.title or imported.name).lower())
    name = "-".join(words)[:60].rstrip("-")
    return name if _NAME.fullmatch(name) else ""


def write_valueset(imported: Imported, name: str) -> str:
    """The text of the file: identifiers without terms, and where they come from."""
    version = imported.version if _VERSION.fullmatch(imported.version) else "1.0.0"
    lines = [
        "format: 1",
        f"valueset: {name}",
        f"version: {version}",
        f"title: {_quoted(imported.title or imported.name or name)}",
        "include:",
        *_entries(imported.included),
    ]
    if imported.excluded:
        lines += ["exclude:", *_entries(imported.excluded)]
    lines += ["provenance:", "  source: FHIR ValueSet"]
    for key in ("url", "version", "date"):
        said = getattr(imported, key)
        if said:
            lines.append(f"  {key}: {_quoted(said)}")
    used = ", ".join(
        f"{short_name(system)} {version}"
        for system, version in sorted(imported.terminologies.items())
        if version
    )
    if used:
        lines.append(f"  release: {_quoted(used)}")
    return "\n".join(lines) + "\n"


def _entries(concepts: Iterable[Concept]) -> Iterator[str]:
    systems: dict[str, set[str]] = {}
    for system, code, _ in concepts:
        plain = normalise_code(system, code)
        systems.setdefault(system, set()).add(written_code(system, plain))
    for system in sorted(systems, key=short_name):
        name = short_name(system)
        yield f"  - system: {name if name in SYSTEMS else _quoted(name)}"
        yield "    codes:"
        yield from (f"      - {_quoted(code)}" for code in sorted(systems[system]))


def _quoted(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    return json.dumps(printable, ensure_ascii=False)
