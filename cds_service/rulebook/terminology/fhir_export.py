"""Value sets as FHIR R4 ValueSets, with their expansion.

Source: https://hl7.org/fhir/R4/valueset.html
"""

from collections.abc import Mapping
from typing import Any

from ...fhir.code_systems import SYSTEMS, written_code
from .valuesets import ValueSet


def as_fhir(
    valueset: ValueSet, displays: Mapping[str, str], timestamp: str
) -> dict[str, Any]:
    """A FHIR R4 ValueSet that composes and expands *valueset*.

    *displays* are names of RxNorm codes. Prefixes go into the composition as filters
    and, since nothing here knows the codes below them, not into the expansion, which
    says then that it is not closed.
    """
    contains = []
    for system in sorted(valueset.codes):
        for code in sorted(valueset.codes[system]):
            entry = {"system": system, "code": written_code(system, code)}
            if system == SYSTEMS["rxnorm"] and code in displays:
                entry["display"] = displays[code]
            contains.append(entry)
    resource: dict[str, Any] = {
        "resourceType": "ValueSet",
        "url": f"urn:cds-service:valueset:{valueset.name}",
        "version": valueset.version,
        "name": valueset.name.title().replace("-", ""),
        "title": valueset.title or valueset.name,
        "status": "active",
        "compose": _composed(valueset),
        "expansion": {"timestamp": timestamp, "total": len(contains)},
    }
    if contains:
        resource["expansion"]["contains"] = contains
    if valueset.prefixes:
        resource["expansion"]["extension"] = [{"url": _UNCLOSED, "valueBoolean": True}]
    return resource


_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"


def _composed(valueset: ValueSet) -> dict[str, Any]:
    include: list[dict[str, Any]] = [
        {
            "system": system,
            "concept": [{"code": written_code(system, code)} for code in sorted(codes)],
        }
        for system, codes in sorted(valueset.codes.items())
    ]
    include += _filters(valueset.prefixes)
    exclude: list[dict[str, Any]] = [
        {
            "system": system,
            "concept": [{"code": written_code(system, code)} for code in sorted(codes)],
        }
        for system, codes in sorted(valueset.excluded_codes.items())
        if codes
    ]
    exclude += _filters(valueset.excluded_prefixes)
    composed: dict[str, Any] = {"include": include}
    return {**composed, "exclude": exclude} if exclude else composed


def _filters(prefixes: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "system": system,
            "filter": [{"property": "code", "op": "regex", "value": f"{prefix}.*"}],
        }
        for system, each in sorted(prefixes.items())
        for prefix in (written_code(system, code) for code in each)
    ]
