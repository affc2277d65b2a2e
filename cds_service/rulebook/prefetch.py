"""Prefetch templates, derived from what the rules of a service read.

Nothing narrows a query but the patient and, for observations, the code: a status or
date filter would hide rows that decide whether something is absent, and clients differ
in which filters they honour. Rules filter again in any case.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from ..fhir.chart import Policy, SourceQuery
from .matching import Selector
from .valuesets import ValueSet

DEFAULT_POLICIES: Mapping[str, Policy] = {
    "patient": Policy.REQUIRED,
    "conditions": Policy.REQUIRED,
    "medication_requests": Policy.REQUIRED,
    "medication_statements": Policy.OPTIONAL,
    "observations": Policy.OPTIONAL,
}
"""What a source that is missing means, where ``services.yaml`` does not say."""

CODES_PER_QUERY = 40
"""A longer list of codes is split, so that no URL grows past what servers take."""

_SEARCHES = {
    "condition": (("conditions", "Condition"),),
    "medication": (
        ("medication_requests", "MedicationRequest"),
        ("medication_statements", "MedicationStatement"),
    ),
}


def derive_queries(
    selectors: Iterable[Selector],
    valuesets: Mapping[str, ValueSet],
    policies: Mapping[str, Policy],
) -> tuple[SourceQuery, ...]:
    """What a service asks for, given everything that its rules select.

    The patient is always read; draft orders and wearable alerts need no query; a
    source that *policies* skip is left out.

    Source: CDS Hooks 3.0.0 "Prefetch Template" and "Prefetch query restrictions".
    """
    policies = {**DEFAULT_POLICIES, **policies}
    charted = [each for each in selectors if each.origin == "chart"]
    queries = [
        SourceQuery(
            "patient", "patient", "Patient/{{context.patientId}}", policies["patient"]
        )
    ]
    for kind, searches in _SEARCHES.items():
        if any(each.kind == kind for each in charted):
            queries += [
                SourceQuery(
                    source.replace("_", "-"), source, _search(type_), policies[source]
                )
                for source, type_ in searches
            ]
    names = {each.valueset for each in charted if each.kind == "observation"}
    queries += _observations([valuesets[name] for name in names], policies)
    return tuple(
        each
        for each in queries
        if each.policy is not Policy.SKIP or each.source == "patient"
    )


def _search(resource_type: str) -> str:
    return resource_type + "?patient={{context.patientId}}"


def _observations(
    valuesets: Sequence[ValueSet], policies: Mapping[str, Policy]
) -> list[SourceQuery]:
    if not valuesets:
        return []
    tokens = _tokens(valuesets)
    chunks = [
        f"&code={','.join(tokens[start : start + CODES_PER_QUERY])}"
        for start in range(0, len(tokens), CODES_PER_QUERY)
    ]
    if any(each.prefixes for each in valuesets):
        chunks = [""]  # a search can name codes, but not what they begin with
    return [
        SourceQuery(
            f"observations-{number}" if number > 1 else "observations",
            "observations",
            f"{_search('Observation')}{chunk}&_sort=-date",
            policies["observations"],
        )
        for number, chunk in enumerate(chunks, start=1)
    ]


def _tokens(valuesets: Iterable[ValueSet]) -> list[str]:
    """Every code and panel as ``system|code``, in an order that does not change."""
    pairs = {
        pair
        for each in valuesets
        for pair in (
            *each.panels,
            *((system, code) for system, codes in each.codes.items() for code in codes),
        )
    }
    return [
        f"{quote(system, safe=':/')}|{quote(code, safe='')}"
        for system, code in sorted(pairs)
    ]
