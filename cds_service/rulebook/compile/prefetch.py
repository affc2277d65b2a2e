"""Prefetch templates, derived from what the rules of a service read.

Nothing narrows a query but the patient and, for observations, the code: a status or
date filter would hide rows that decide whether something is absent, and clients differ
in which filters they honour. Rules filter again in any case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ...fhir.chart import Policy, SourceQuery
from ..engine.facts import WORN
from ..engine.rows.selectors import Selector
from ..engine.rules import Rule
from ..terminology.valuesets import ValueSet

DEFAULT_POLICIES: Mapping[str, Policy] = {
    "patient": Policy.REQUIRED,
    "conditions": Policy.REQUIRED,
    "medication_requests": Policy.REQUIRED,
    "medication_statements": Policy.OPTIONAL,
    "observations": Policy.OPTIONAL,
    "consents": Policy.SKIP,
}
"""What a source that is missing means, where ``services.yaml`` does not say."""

CODES_PER_QUERY = 40
"""A longer list of codes is split, so that no URL grows past what servers take."""

_MEDICINE_LISTS = ("medication_requests", "medication_statements")

_SEARCHES = {
    "condition": (("conditions", "Condition"),),
    "medication": (
        ("medication_requests", "MedicationRequest"),
        ("medication_statements", "MedicationStatement"),
    ),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A fact of a rule that reads the chart."""

    selector: Selector
    rule: str = ""
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Derived:
    """A query, and what it is asked for."""

    query: SourceQuery
    askings: tuple[Asking, ...]
    """Every fact that its answer decides; of the patient, none is listed."""


def derive_queries(
    selectors: Iterable[Selector],
    valuesets: Mapping[str, ValueSet],
    policies: Mapping[str, Policy],
    include_medications: bool = False,
) -> tuple[SourceQuery, ...]:
    """Return what a service asks for, given everything that its rules select.

    The patient is always read; draft orders and wearable alerts need no query, but
    Consents may be asked for where alerts are read; a source that *policies* skip is
    left out.

    Source: CDS Hooks 3.0.0 "Prefetch Template" and "Prefetch query restrictions".
    """
    askings = [Asking(each) for each in selectors]
    return tuple(
        each.query
        for each in derive(askings, valuesets, policies, include_medications)
        if each.query.policy is not Policy.SKIP or each.query.source == "patient"
    )


def askings_of(rule: Rule, selectors: Sequence[Selector]) -> tuple[Asking, ...]:
    """Return what a rule reads: each of its own facts, with its selector."""
    return tuple(
        Asking(selectors[slot], rule.id, part.name if part.name in own else whole.name)
        for own in [rule.facts]
        for whole in own.values()
        for part in whole.simple()
        for slot in part.slots
    )


def derive(
    askings: Iterable[Asking],
    valuesets: Mapping[str, ValueSet],
    policies: Mapping[str, Policy],
    include_medications: bool = False,
) -> tuple[Derived, ...]:
    """Every query that *askings* lead to, skipped ones too, each with its reasons.

    With *include_medications* those for medicines ask for the Medications that orders
    and statements refer to.
    """
    policies = {**DEFAULT_POLICIES, **policies}
    askings = tuple(dict.fromkeys(askings))
    charted = [each for each in askings if each.selector.origin == "chart"]
    patient = SourceQuery(
        "patient", "patient", "Patient/{{context.patientId}}", policies["patient"]
    )
    derived = [Derived(patient, ())]
    for kind, searches in _SEARCHES.items():
        asking = tuple(each for each in charted if each.selector.kind == kind)
        if asking:
            derived += [
                Derived(
                    _listing(source, type_, policies[source], include_medications),
                    asking,
                )
                for source, type_ in searches
            ]
    observing = [each for each in charted if each.selector.kind == "observation"]
    derived += _observations(observing, valuesets, policies)
    worn = tuple(each for each in askings if each.selector.kind in WORN)
    if worn:
        asked = SourceQuery(
            "consents", "consents", _search("Consent"), policies["consents"]
        )
        derived.append(Derived(asked, worn))
    return tuple(derived)


def requirements(
    own: str, queries: Iterable[SourceQuery], include_medications: bool = False
) -> str:
    """Return what an EHR must do beside filling the templates, after a service's *own*.

    Nothing is added where no query lists medicines.
    """
    if not any(each.source in _MEDICINE_LISTS for each in queries):
        return own
    included = _INCLUDED if include_medications else ""
    return " ".join(filter(None, [own.strip(), included, _MEDICINES]))


_INCLUDED = (
    "The templates for medicines ask for the Medications that are referred to "
    "(_include); not every FHIR server fills that."
)
_MEDICINES = (
    "A medicine is told by a code or text in the order or statement "
    "(medicationCodeableConcept), or by a reference (medicationReference) that has a "
    "display or whose Medication is contained or comes along in the same Bundle; or "
    "the FHIR server may be read (fhirServer, with a token whose scope has "
    "Medication). What rests on a medicine that is told in none of these ways cannot "
    "be checked, and a card says so."
)


def _listing(source: str, type_: str, policy: Policy, included: bool) -> SourceQuery:
    """A query that nothing narrows but the patient."""
    template = _search(type_)
    if included and source in _MEDICINE_LISTS:
        template += f"&_include={type_}:medication"
    return SourceQuery(source.replace("_", "-"), source, template, policy)


def _search(resource_type: str) -> str:
    return resource_type + "?patient={{context.patientId}}"


def _observations(
    askings: Sequence[Asking],
    valuesets: Mapping[str, ValueSet],
    policies: Mapping[str, Policy],
) -> list[Derived]:
    if not askings:
        return []
    named = {
        name: tokens_of(valuesets[name])
        for name in {each.selector.valueset for each in askings}
    }
    tokens = tokens_of(*(valuesets[name] for name in named))
    chunks = [
        tokens[start : start + CODES_PER_QUERY]
        for start in range(0, len(tokens), CODES_PER_QUERY)
    ]
    if any(valuesets[name].prefixes for name in named):
        chunks = [[]]  # a search can name codes, but not what they begin with
    return [
        Derived(
            SourceQuery(
                f"observations-{number}" if number > 1 else "observations",
                "observations",
                f"{_search('Observation')}{_codes(chunk)}&_sort=-date",
                policies["observations"],
            ),
            tuple(
                each
                for each in askings
                if not chunk or not set(chunk).isdisjoint(named[each.selector.valueset])
            ),
        )
        for number, chunk in enumerate(chunks, start=1)
    ]


def _codes(tokens: Sequence[str]) -> str:
    return f"&code={','.join(tokens)}" if tokens else ""


def tokens_of(*valuesets: ValueSet) -> list[str]:
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
