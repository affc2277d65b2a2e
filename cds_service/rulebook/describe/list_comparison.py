"""A value set beside a list of somebody else's: what is missing, what is extra.

A list holds codes; a set may hold whole branches (``under``) and ingredients as well.
A branch covers every listed code below it. Medicines are judged as a chart's are: by
code, else by the name in the list. What cannot be judged is counted apart, and stands
in no figure.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...fhir.chart import Chart
from ...fhir.code_systems import (
    SYSTEMS,
    canonical_system,
    is_well_formed,
    normalise_code,
    written_code,
)
from ..engine.rows.coded import coded_medication
from ..engine.rows.matching import CodeIndex
from ..language.document import Document
from ..terminology.checks import entries
from ..terminology.fhir_import import Concept, Imported
from ..terminology.valuesets import ValueSet

RXNORM = SYSTEMS["rxnorm"]


@dataclass(frozen=True, slots=True)
class InSystem:
    """What the list and the set have in one code system."""

    system: str
    """By URI."""
    found: tuple[Concept, ...] = ()
    """Listed, and in the set by code."""
    by_name: tuple[Concept, ...] = ()
    """Listed, and in the set by the name in the list only."""
    missing: tuple[Concept, ...] = ()
    """Listed, and not in the set."""
    not_judged: tuple[Concept, ...] = ()
    """Products of RxNorm without a name, and RxNorm was not imported."""
    confirmed: int = 0
    """Entries of the set (codes, branches, ingredients) that the list has."""
    extra: tuple[str, ...] | None = None
    """Entries that it does not have, as people write them; None where the list cannot
    tell."""

    @property
    def recall(self) -> float | None:
        """The share of what is listed that the set has."""
        found = len(self.found) + len(self.by_name)
        return _share(found, found + len(self.missing))

    @property
    def precision(self) -> float | None:
        """The share of the set's entries that the list has."""
        if self.extra is None:
            return None
        return _share(self.confirmed, self.confirmed + len(self.extra))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value set beside a list."""

    systems: tuple[InSystem, ...]
    not_covered: Mapping[str, int]
    """Systems of the list in which the set has nothing, with their codes."""
    not_listed: Mapping[str, int]
    """Systems of the set in which the list has nothing, with the set's entries."""
    malformed: tuple[Concept, ...] = ()
    """What is no code of its system."""

    @property
    def recall(self) -> float | None:
        """The share of all that could be judged."""
        found = sum(len(each.found) + len(each.by_name) for each in self.systems)
        missing = sum(len(each.missing) for each in self.systems)
        return _share(found, found + missing)


class NoList(ValueError):
    """A text is no list of codes; says why."""


def concepts_of(imported: Imported) -> tuple[Concept, ...]:
    """The codes of a FHIR ValueSet, without those that it excludes."""
    gone = {(s, normalise_code(s, code)) for s, code, _ in imported.excluded}
    return tuple(
        each
        for each in imported.included
        if (each[0], normalise_code(each[0], each[1])) not in gone
    )


def read_list(text: str, systems: Iterable[str]) -> tuple[Concept, ...]:
    """The codes of a list: one a line, or a table with a column called ``code``.

    A line is a code, or ``system|code``; a comma, semicolon or tab parts the name that
    may follow. Lines that begin with ``#`` are left out. A code without a system is of
    the one among *systems* in which all such codes are well formed.

    Raises:
        NoList: where there is no code, or its system cannot be told.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    delimiter = max("\t;,", key=lambda each: sum(each in line for line in lines))
    rows = [
        [cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)
    ]
    table = _of_table(rows)
    written = list(_of_lines(rows)) if table is None else table
    if not written:
        raise NoList("it lists no code")
    return _with_systems(written, sorted(set(systems)))


def _of_table(rows: Sequence[Sequence[str]]) -> list[Concept] | None:
    """The rows below a header; what stands above it is left out. None without one."""
    for number, row in enumerate(rows):
        names = [re.sub(r"[^a-z]", "", cell.lower()) for cell in row]
        columns = [_column(names, wanted) for wanted in _COLUMNS]
        if columns[1] is None:
            continue
        found = []
        for cells in rows[number + 1 :]:
            system, code, display = (_cell(cells, column) for column in columns)
            if code:
                found.append((_system_named(system), code, display))
        return found
    return None


def _of_lines(rows: Sequence[Sequence[str]]) -> Iterator[Concept]:
    for row in rows:
        if row and row[0]:
            system, bar, code = row[0].rpartition("|")
            named = _system_named(system) if bar else ""
            yield named, code.strip(), _cell(row, 1)


def _column(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(each) for each in wanted if each in names), None)


def _cell(cells: Sequence[str], column: int | None) -> str:
    return cells[column] if column is not None and column < len(cells) else ""


def _system_named(text: str) -> str:
    """The URI of a system, as tables name it: ``ICD10CM``, ``SNOMEDCT``, an OID."""
    word = re.sub(r"[^a-z0-9]", "", text.lower())
    named = "snomed" if word.startswith("snomed") else word
    return SYSTEMS.get(named) or canonical_system(text.strip())


def _with_systems(
    written: Sequence[Concept], systems: Sequence[str]
) -> tuple[Concept, ...]:
    bare = [code for system, code, _ in written if not system]
    fitting = [
        system
        for system in systems
        if all(is_well_formed(system, normalise_code(system, code)) for code in bare)
    ]
    if bare and len(fitting) != 1:
        raise NoList("it does not say of which system its codes are")
    unique: dict[tuple[str, str], Concept] = {}
    for system, code, display in written:
        system = system or fitting[0]
        key = (system, normalise_code(system, code))
        unique.setdefault(key, (system, code, display))
    return tuple(unique.values())


def compare_with(
    valueset: ValueSet, concepts: Sequence[Concept], documents: Iterable[Document]
) -> Comparison:
    """Return what *valueset* has of a list, and the list of it.

    *documents* are the files of value sets, which name the ingredients.
    """
    sorter = _Sorter(valueset, documents)
    listed: dict[str, list[Concept]] = {}
    malformed = []
    for concept in concepts:
        system, code, _ = concept
        if is_well_formed(system, normalise_code(system, code)):
            listed.setdefault(system, []).append(concept)
        else:
            malformed.append(concept)
    judged = [
        sorter.system(system, found)
        for system, found in sorted(listed.items())
        if sorter.can(system, found)
    ]
    covered = {each.system for each in judged}
    return Comparison(
        tuple(judged),
        {s: len(found) for s, found in listed.items() if s not in covered},
        {s: sorter.size(s) for s in sorted(valueset.systems) if s not in listed},
        tuple(malformed),
    )


class _Sorter:
    def __init__(self, valueset: ValueSet, documents: Iterable[Document]) -> None:
        self.valueset = valueset
        self.index = CodeIndex({0: valueset.name}, {valueset.name: valueset})
        self.named = dict(_ingredient_names(documents))

    def can(self, system: str, concepts: Iterable[Concept]) -> bool:
        """Return whether the set can say anything of codes of a system."""
        by_name = self.valueset.names and any(display for _, _, display in concepts)
        return system in self.valueset.systems or bool(by_name)

    def size(self, system: str) -> int:
        return len(self._entries(system))

    def system(self, system: str, concepts: Sequence[Concept]) -> InSystem:
        """Return what the set makes of the codes of one system."""
        sorted_in: dict[str, list[Concept]] = {
            each: [] for each in ("found", "by_name", "missing", "not_judged")
        }
        ingredients = set()
        for concept in concepts:
            verdict, name = self._verdict(concept)
            sorted_in[verdict].append(concept)
            ingredients |= self._ingredients(concept, name)
        listed = {normalise_code(system, code) for _, code, _ in concepts}
        telling = system != RXNORM or not any(
            self._is_product(each) and not each[2]
            for each in (*sorted_in["found"], *sorted_in["not_judged"])
        )
        extra = None
        have = self._entries(system)
        kept = {e for e in have if e in ingredients or _is_listed(e, listed)}
        if telling and have:
            shown = sorted(have - kept)
            extra = tuple(self._shown(system, entry) for entry in shown)
        return InSystem(
            system,
            **{kind: tuple(found) for kind, found in sorted_in.items()},
            confirmed=len(kept),
            extra=extra,
        )

    def _verdict(self, concept: Concept) -> tuple[str, str]:
        """Return what becomes of a code, and the name by which it was found."""
        system, code, display = concept
        plain = normalise_code(system, code)
        if not self.valueset.names:
            found = self.valueset.holds(system, plain)
            return ("found" if found else "missing"), ""
        resource = {
            "resourceType": "MedicationRequest",
            "medicationCodeableConcept": {
                "coding": [{"system": system, "code": code, "display": display}],
                "text": display,
            },
        }
        coded = coded_medication(resource, Chart("", None, {}, {}))
        hit = self.index.find(coded)[0].get(0)
        if hit is not None:
            return ("by_name", hit.text) if hit.by_name else ("found", "")
        sure = system != RXNORM or plain in self.valueset.known.codes
        sure = sure and system in self.valueset.systems
        return ("missing" if sure or display else "not_judged"), ""

    def _ingredients(self, concept: Concept, name: str) -> set[str]:
        """The ingredients of the set that a listed medicine stands for."""
        words = " ".join(_WORD.findall(concept[2].lower()))
        said = {
            code for each, code in self.named.items() if f" {each} " in f" {words} "
        }
        return (said | ({self.named[name]} if name in self.named else set())) & (
            self.valueset.ingredients
        )

    def _is_product(self, concept: Concept) -> bool:
        return concept[1].strip() not in self.valueset.ingredients

    def _entries(self, system: str) -> set[str]:
        """Codes of the set in a system; a branch ends with an asterisk."""
        if system == RXNORM and self.valueset.ingredients:
            return set(self.valueset.ingredients)
        branches = {f"{each}*" for each in self.valueset.prefixes.get(system, ())}
        return branches | set(self.valueset.codes.get(system, ()))

    def _shown(self, system: str, entry: str) -> str:
        code = written_code(system, entry.removesuffix("*"))
        names = [name for name, each in self.named.items() if each == entry]
        name = f" {names[0]}" if system == RXNORM and names else ""
        return f"{code}{' and below' if entry.endswith('*') else name}"


def _is_listed(entry: str, listed: set[str]) -> bool:
    if entry.endswith("*"):
        return any(code.startswith(entry[:-1]) for code in listed)
    return entry in listed


def _ingredient_names(documents: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """Each name of an ingredient in small letters, with its RxNorm code."""
    for document in documents:
        for _, entry in entries(document, "include"):
            for each in entry.get("ingredients", ()):
                for name in (each["name"], *each.get("also", ())):
                    if "code" in each:
                        yield " ".join(_WORD.findall(name.lower())), each["code"]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


_WORD = re.compile(r"[^\W_]+")
_COLUMNS = (
    ("codesystemoid", "codesystemuri", "codesystem", "system", "vocabulary")
    + ("vocabularyid", "codesystemname"),
    ("code", "conceptcode"),
    ("description", "display", "conceptname", "name", "term", "preferredterm"),
)
"""What the columns of a table are called: system, code, name."""
