"""A FHIR ValueSet as a value-set file of a rules folder."""

import json
import re
from collections.abc import Iterable, Iterator

from ...fhir.code_systems import SYSTEMS, normalise_code, short_name, written_code
from .fhir_import import Concept, Imported

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
