"""What value sets make of the medicines and problems of many charts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ...fhir.chart import Chart, Resource
from ...fhir.code_systems import SYSTEMS, short_name
from ..engine.rows.coded import (
    Coded,
    coded_as,
    coded_medication,
    codings,
    texts_of,
)
from ..engine.rows.matching import CodeIndex
from ..terminology.lexicon import Lexicon
from ..terminology.valuesets import ValueSet


class Recognition(StrEnum):
    """What value sets make of one entry of a record."""

    BY_CODE = "by_code"
    BY_NAME = "by_name"
    LEFT_OUT = "left_out"
    """Recognised, and excluded by every set that has it: eye drops."""
    IN_NO_SET = "in_no_set"
    """A problem whose code says that it is in none."""
    UNRECOGNISED = "unrecognised"
    """It may be in any: a rule that asks for absence cannot say."""


@dataclass(frozen=True, slots=True, order=True)
class RecordEntry:
    """A medicine or problem as records write it, without anything of the patient."""

    name: str
    code: str
    """``rxnorm|6918``; empty where there is none."""
    sets: tuple[str, ...] = ()
    """The value sets that it belongs to."""


@dataclass(slots=True)
class Survey:
    """Counts over all charts so far."""

    medicines: Mapping[Recognition, Counter[RecordEntry]] = field(
        default_factory=lambda: {verdict: Counter() for verdict in Recognition}
    )
    problems: Mapping[Recognition, Counter[RecordEntry]] = field(
        default_factory=lambda: {verdict: Counter() for verdict in Recognition}
    )


class Surveyor:
    """Asks the value sets of a rulebook about charts."""

    def __init__(
        self, valuesets: Mapping[str, ValueSet], lexicon: Lexicon = Lexicon()
    ) -> None:
        drugs = {n: each for n, each in valuesets.items() if _is_of(each, _OF_DRUGS)}
        others = {
            name: each
            for name, each in valuesets.items()
            if name not in drugs and not each.systems <= _OF_RESULTS
        }
        self._drugs, self._drug_index = _index(drugs, lexicon)
        self._problems, self._problem_index = _index(others, lexicon)
        self._covered = frozenset[str]().union(*(s.systems for s in others.values()))

    def take(self, chart: Chart, survey: Survey) -> None:
        """Count the entries of a chart."""
        for source in ("medication_requests", "medication_statements"):
            for resource in _resources(chart, source):
                entry, verdict = self._medicine(resource, chart)
                survey.medicines[verdict][entry] += 1
        for resource in _resources(chart, "conditions"):
            entry, verdict = self._problem(resource)
            survey.problems[verdict][entry] += 1

    def _medicine(
        self, resource: Resource, chart: Chart
    ) -> tuple[RecordEntry, Recognition]:
        coded = coded_medication(resource, chart)
        hits, known, _ = self._drug_index.find(coded)
        sets = tuple(sorted({self._drugs[slot] for slot in hits}))
        entry = _entry(coded, sets)
        if any(not hit.by_name for hit in hits.values()):
            return entry, Recognition.BY_CODE
        if hits:
            return entry, Recognition.BY_NAME
        return entry, Recognition.LEFT_OUT if known else Recognition.UNRECOGNISED

    def _problem(self, resource: Resource) -> tuple[RecordEntry, Recognition]:
        concept = resource.get("code")
        coded = Coded(codings(concept), resource, texts_of(concept))
        hits = self._problem_index.find(coded_as(concept, resource)).hits
        entry = _entry(coded, tuple(sorted({self._problems[slot] for slot in hits})))
        if hits:
            return entry, Recognition.BY_CODE
        placed = any(system in self._covered for system, _, _ in coded.codings)
        return entry, Recognition.IN_NO_SET if placed else Recognition.UNRECOGNISED


_OF_DRUGS = frozenset({SYSTEMS["rxnorm"], SYSTEMS["atc"], SYSTEMS["ndc"]})
_OF_RESULTS = frozenset({SYSTEMS["loinc"]})


def _is_of(valueset: ValueSet, systems: frozenset[str]) -> bool:
    return bool(valueset.names or valueset.systems & systems)


def _index(
    sets: Mapping[str, ValueSet], lexicon: Lexicon
) -> tuple[list[str], CodeIndex]:
    names = sorted(sets)
    return names, CodeIndex(dict(enumerate(names)), sets, lexicon)


def _resources(chart: Chart, source: str) -> Iterator[Resource]:
    if source in chart.sources:
        yield from chart.sources[source].resources


def _entry(coded: Coded, sets: tuple[str, ...]) -> RecordEntry:
    system, code, display = next(iter(coded.codings), ("", "", ""))
    name = display or next(iter(coded.names), "")
    shown = "".join(each if each.isprintable() else " " for each in name)[:_LONGEST]
    return RecordEntry(shown, f"{short_name(system)}|{code}" if code else "", sets)


_LONGEST = 120
"""Characters of a name."""
