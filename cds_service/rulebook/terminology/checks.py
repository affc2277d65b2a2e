"""What can be wrong with a value-set file beyond its shape."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...fhir.code_systems import (
    HIERARCHIES,
    SYSTEMS,
    canonical_system,
    has_good_check_digit,
    is_well_formed,
    misread_code,
    normalise_code,
)
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit


def overlay_of(document: Document) -> str:
    """Return the folder of an overlay that a file stands in; empty for none.

    It stands below ``valuesets/`` or ``lexicon/``.
    """
    folder = document.file.rpartition("/")[0].rpartition("/")[2]
    return "" if folder in ("valuesets", "lexicon") else folder


def check_valueset(
    document: Document, named: Collection[str], findings: Findings
) -> None:
    """Report wrong names, systems and codes in one file.

    *named* holds the names of all value sets.
    """
    _check_extension(document, named, findings)
    _check_measure(document, findings)
    for kind in ("include", "exclude"):
        for path, entry in entries(document, kind):
            if "system" in entry:
                check_entry(document, path, entry, findings)


def entries(document: Document, kind: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Path and content of each entry under ``include`` or ``exclude``."""
    for index, entry in enumerate(document.data.get(kind, ())):
        yield (kind, index), entry


def by_name(files: Iterable[Document], findings: Findings) -> dict[str, Document]:
    """The files that define a value set, by its name."""
    named: dict[str, Document] = {}
    for document in files:
        name = document.data.get("valueset")
        if name is None:
            continue
        if name in named:
            message = f"the value set {quote(name)} is already in {named[name].file}"
            help = "rename one of them, or join them"
            findings.error(document, ("valueset",), "CDS201", message, help)
            continue
        named[name] = document
        stem = document.file.rpartition("/")[2].removesuffix(".yaml")
        if stem != name:
            message = f"the file of the value set {quote(name)} is named {quote(stem)}"
            help = f"name it {name}.yaml"
            findings.error(document, ("valueset",), "CDS203", message, help)
    return named


def _check_extension(
    document: Document, named: Collection[str], findings: Findings
) -> None:
    base = document.data.get("extends")
    if base is None:
        return
    if base not in named:
        message = f"value set {quote(base)} does not exist"
        help = suggest(base, named) or "name the set that these codes are added to"
        findings.error(document, ("extends",), "CDS202", message, help)
    if not overlay_of(document):
        message = "a file that extends a value set stands in a folder of its overlay"
        help = "move it to valuesets/<overlay>/ and list the overlay in site.yaml"
        findings.error(document, ("extends",), "CDS210", message, help, key=True)


def _check_measure(document: Document, findings: Findings) -> None:
    """Hold what a set says of its results to UCUM, and its range to be one."""
    if "unit" in document.data:
        check_unit(document.data["unit"], document, ("unit",), findings)
    low, high = document.data.get("plausible", (0, 1))
    if not low < high:
        message = f"no value lies between {low} and {high}"
        help = "write the lowest plausible value first, then the highest"
        findings.error(document, ("plausible",), "CDS230", message, help)


def check_entry(
    document: Document, path: Path, entry: Mapping[str, Any], findings: Findings
) -> None:
    """Hold an entry of codes to its code system."""
    system = canonical_system(entry["system"])
    if system not in SYSTEMS.values() and ":" not in system:
        message = f"{quote(entry['system'])} is not a code system"
        help = suggest(entry["system"], SYSTEMS) or "give the URI of the system"
        findings.error(document, (*path, "system"), "CDS205", message, help)
        return
    if "under" in entry and system not in HIERARCHIES:
        message = (
            "`under` works where a code begins with its parent's, "
            f"and not in {quote(entry['system'])}"
        )
        help = "list the codes under `codes`"
        findings.error(document, (*path, "under"), "CDS206", message, help, key=True)
    if "ingredients" in entry and system != SYSTEMS["rxnorm"]:
        message = "ingredients are named by their RxNorm codes"
        help = "write `system: rxnorm`"
        findings.error(document, (*path, "system"), "CDS207", message, help)
    seen: set[str] = set()
    for where, code in _written_codes(path, entry):
        _check_code(document, where, system, code, seen, findings)
    for index, each in enumerate(entry.get("ingredients", ())):
        if _STRENGTH.search(each["name"]):
            tell_product(document, (*path, "ingredients", index), "", findings)
    called: set[str] = set()
    for where, name in _written_names(path, entry):
        _tell_twice(document, where, name, name.strip().lower(), called, findings)


def tell_product(document: Document, path: Path, code: str, findings: Findings) -> None:
    """Report a product among ingredients; *code* is empty where its name tells."""
    told = (*path, "code" if code else "name")
    message = f"{quote(document.value(told))} is a product, not an ingredient"
    help = "name the ingredient with its own code; all its products count then"
    findings.error(document, told, "CDS242", message, help)


_STRENGTH = re.compile(
    r"(?<![\w.])[0-9]+(\.[0-9]+)? ?(mg|mcg|ug|µg|g|ml|unt|units?|iu|meq|mmol|%)(?!\w)",
    re.IGNORECASE,
)
"""A strength, as products have one in their names."""


def _written_codes(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for kind in ("codes", "under", "panels"):
        for index, code in enumerate(entry.get(kind, ())):
            yield (*path, kind, index), code
    for index, ingredient in enumerate(entry.get("ingredients", ())):
        if "code" in ingredient:
            yield (*path, "ingredients", index, "code"), ingredient["code"]


def _written_names(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for index, ingredient in enumerate(entry.get("ingredients", ())):
        where = (*path, "ingredients", index)
        yield (*where, "name"), ingredient["name"]
        for place, name in enumerate(ingredient.get("also", ())):
            yield (*where, "also", place), name


def _check_code(
    document: Document,
    path: Path,
    system: str,
    code: str,
    seen: set[str],
    findings: Findings,
) -> None:
    plain = normalise_code(system, code)
    if not is_well_formed(system, plain):
        message = f"{quote(code)} does not look like a code of this system"
        near = misread_code(system, code)
        help = f"did you mean `{near}`, with digits? " if near else ""
        help += "look the code up again, and check that its `system` is right"
        findings.error(document, path, "CDS208", message, help)
    elif "under" not in path and not has_good_check_digit(system, plain):
        message = f"the check digit of {quote(code)} is wrong"
        help = "look the code up again; a digit may be mistyped"
        findings.warning(document, path, "CDS209", message, help)
    _tell_twice(document, path, code, plain, seen, findings)


def _tell_twice(
    document: Document,
    path: Path,
    written: str,
    plain: str,
    seen: set[str],
    findings: Findings,
) -> None:
    if plain in seen:
        message = f"{quote(written)} is listed twice"
        findings.warning(document, path, "CDS211", message)
    seen.add(plain)
