"""Where the codes of a value set come from, and which rules read it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...fhir.code_systems import canonical_system, short_name
from ..engine.rulebook import Rulebook
from ..engine.rules import Rule
from ..language.document import Document
from ..terminology.checks import entries, overlay_of


def rules_by_valueset(rulebook: Rulebook) -> Mapping[str, tuple[Rule, ...]]:
    """The rules that read each value set, for every set of the rulebook.

    Rules that no service offers are left out: nothing evaluates them.
    """
    found: dict[str, dict[str, Rule]] = {name: {} for name in rulebook.valuesets}
    for service in rulebook.services.values():
        selectors = service.program.selectors.all
        for rule in service.rules:
            for fact in rule.facts.values():
                for slot in fact.slots:
                    if selectors[slot].valueset:
                        found[selectors[slot].valueset][rule.id] = rule
    return {name: tuple(each.values()) for name, each in found.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a value set's files."""

    file: str
    line: int
    kind: str
    """``include`` or ``exclude``."""
    overlay: str
    """The overlay that the file belongs to; empty for none."""
    words: str
    """What the entry lists, as an author reads it."""
    refers_to: str = ""
    """Another value set, if that is what it lists."""


def parts_of(
    name: str, documents: Iterable[Document], overlays: Collection[str]
) -> Iterator[Part]:
    """The entries that make a value set, in the order of its files.

    Files of an overlay come only if it is among *overlays*.
    """
    for document in documents:
        data, overlay = document.data, overlay_of(document)
        extends = data.get("extends") == name
        if data.get("valueset") != name and not (extends and overlay in overlays):
            continue
        for kind in ("include", "exclude"):
            for path, entry in entries(document, kind):
                yield Part(
                    file=document.file,
                    line=document.position(path).line,
                    kind=kind,
                    overlay=overlay if extends else "",
                    words="; ".join(_words(entry)),
                    refers_to=entry.get("valueset", ""),
                )


def _words(entry: Mapping[str, object]) -> Iterator[str]:
    system = entry.get("system")
    if isinstance(system, str):
        yield short_name(canonical_system(system))
    for key in ("codes", "under", "panels", "dose_forms", "words"):
        listed = entry.get(key)
        if isinstance(listed, list):
            yield f"{key.replace('_', ' ')} {', '.join(listed)}"
    ingredients = entry.get("ingredients")
    if isinstance(ingredients, list):
        yield f"ingredients {', '.join(map(_ingredient, ingredients))}"
    if "fhir" in entry:
        yield f"FHIR file {entry['fhir']}"
    if "valueset" in entry:
        yield f"all of {entry['valueset']}"


def _ingredient(written: Mapping[str, Any]) -> str:
    also = ", ".join(written.get("also", ()))
    code = written.get("code", "").strip()
    parts = (written["name"], code, also and f"({also})")
    return " ".join(part for part in parts if part)


def ingredients_in(documents: Iterable[Document]) -> frozenset[str]:
    """Return the RxNorm codes of all ingredients that value-set files name by one."""
    return frozenset(
        ingredient["code"].strip()
        for document in documents
        for kind in ("include", "exclude")
        for _, entry in entries(document, kind)
        for ingredient in entry.get("ingredients", ())
        if "code" in ingredient
    )
