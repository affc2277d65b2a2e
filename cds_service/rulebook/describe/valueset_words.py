"""The value sets of a rule, for a page about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...fhir.code_systems import SYSTEMS
from ..compile.compiler import kind_of
from ..compile.prefetch import askings_of
from ..engine.rulebook import Rulebook
from ..language.document import Document
from ..terminology.valuesets import ValueSet
from .meaning import RuleFile


@dataclass(frozen=True, slots=True)
class CodeGroup:
    """The codes of a value set in one system."""

    system: str
    exact: tuple[str, ...]
    under: tuple[str, ...]
    """What further codes begin with."""
    excluded: int = 0


@dataclass(frozen=True, slots=True)
class ValueSetWords:
    """A value set that a rule reads."""

    name: str
    title: str
    version: str
    facts: tuple[str, ...]
    groups: tuple[CodeGroup, ...]
    names: tuple[str, ...]
    """Ingredients that are also found by name."""
    sources: tuple[str, ...]
    results: tuple[str, ...] = ()
    """What the set says of results: which values are used, and in which unit."""


def tell_valuesets(
    source: RuleFile, rulebook: Rulebook, documents: Mapping[str, Document]
) -> Iterator[ValueSetWords]:
    """The value sets that a rule reads, in the order of its facts."""
    selectors = next(iter(rulebook.services.values())).program.selectors.all
    facts: dict[str, list[str]] = {}
    for asking in askings_of(source.rule, selectors):
        if asking.selector.valueset:
            facts.setdefault(asking.selector.valueset, []).append(asking.fact)
    for name, used in facts.items():
        valueset = rulebook.valuesets[name]
        yield ValueSetWords(
            name,
            valueset.title,
            valueset.version,
            tuple(dict.fromkeys(used)),
            tuple(_groups(valueset)),
            valueset.names,
            tuple(_sources(name, rulebook, documents)),
            valueset.measure.said(),
        )


def _groups(valueset: ValueSet) -> Iterator[CodeGroup]:
    for system in sorted({*valueset.systems, *valueset.excluded_codes}):
        yield CodeGroup(
            named_system(system),
            tuple(written(system, c) for c in sorted(valueset.codes.get(system, ()))),
            tuple(written(system, c) for c in valueset.prefixes.get(system, ())),
            len(valueset.excluded_codes.get(system, ())),
        )


def named_system(system: str) -> str:
    """Return what people call a code system."""
    return _SYSTEM_NAMES.get(system, system)


def written(system: str, code: str) -> str:
    """A normalised code as people write it."""
    dotted = system == SYSTEMS["icd10cm"] and len(code) > _CATEGORY
    return f"{code[:_CATEGORY]}.{code[_CATEGORY:]}" if dotted else code


def _sources(
    name: str, rulebook: Rulebook, documents: Mapping[str, Document]
) -> Iterator[str]:
    for path in sorted(documents):
        data = documents[path].data
        if kind_of(path) != "valueset":
            continue
        extends = data.get("extends") == name
        if extends and path.split("/")[1] not in rulebook.site.overlays:
            continue
        if extends or data.get("valueset") == name:
            said = data.get("provenance", {}).get("source", "")
            yield f"{path}: {said}" if said else path


_CATEGORY = 3
"""Characters of an ICD-10-CM code before its dot."""
_SYSTEM_NAMES = {
    SYSTEMS["rxnorm"]: "RxNorm",
    SYSTEMS["icd10cm"]: "ICD-10-CM",
    SYSTEMS["atc"]: "ATC",
    SYSTEMS["loinc"]: "LOINC",
    SYSTEMS["snomed"]: "SNOMED CT",
    SYSTEMS["ndc"]: "NDC",
}
