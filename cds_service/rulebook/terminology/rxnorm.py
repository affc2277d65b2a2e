"""RxNorm as NLM distributes it, read line by line: what holds an ingredient, and how.

Read are RXNCONSO.RRF (names) and RXNREL.RRF (relations) of RxNorm Current Prescribable
Content, and of them only what RxNorm itself says: the labels in the same files relate
products to inactive ingredients, too.

Source: https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html §12 and its
appendixes 1 (relations) and 5 (term types). A relation is what the second concept of a
row is to the first.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Table(NamedTuple):
    """One of NLM's files."""

    file: str
    columns: int


CONCEPTS = Table("RXNCONSO.RRF", 18)
RELATIONS = Table("RXNREL.RRF", 16)
SOURCES = Table("RXNSAB.RRF", 25)

SUBSTANCES = frozenset({"IN", "PIN", "MIN"})
"""Term types of what products are made of: they have no dose form."""
BRAND = "BN"
PACKS = frozenset({"GPCK", "BPCK"})
PRODUCTS = PACKS | {
    *("SCD", "SCDC", "SCDF", "SCDFP", "SCDG", "SCDGP"),
    *("SBD", "SBDC", "SBDF", "SBDFP", "SBDG"),
}
MEDICINES = SUBSTANCES | PRODUCTS | {BRAND}
_FORMS = frozenset({"DF", "DFG"})

_LEADS_ON = frozenset(
    {
        "ingredient_of",
        "ingredients_of",
        "precise_ingredient_of",
        "part_of",
        "has_form",
        "has_tradename",
        "constitutes",
        "inverse_isa",
        "contained_in",
        "has_quantified_form",
    }
)
"""Relations from a concept to one that holds all that it holds.

``reformulated_to`` is not among them: what a brand became may hold something else.
"""
_IS_FORM_OF = frozenset({"dose_form_of", "doseformgroup_of"})


class BadRelease(Exception):
    """A file is not as NLM documents it; says the file, the line and what to do."""


@dataclass(slots=True)
class Release:
    """What a release says of medicines."""

    types: dict[str, str] = field(default_factory=dict)
    """Term type of each medicine's code."""
    names: dict[str, str] = field(default_factory=dict)
    forms: dict[str, list[str]] = field(default_factory=dict)
    """Names of the dose forms, or of their groups, that a product comes in."""
    leads_to: dict[str, list[str]] = field(default_factory=dict)
    """Code to the codes of what holds all that it holds."""

    def products(self, ingredient: str) -> Mapping[str, tuple[str, ...]]:
        """Every code that holds *ingredient*, with its dose forms; itself included.

        A brand or component without a form of its own has those of its products; a
        pack has those of the contents that hold the ingredient. A substance has none.
        """
        reached = self._reached(ingredient)
        return {
            code: tuple(sorted(set(self._forms(code, reached)))) for code in reached
        }

    def holding_others(self, ingredients: Collection[str]) -> set[str]:
        """The codes that hold an ingredient that is none of *ingredients*."""
        found = set[str]()
        for code, kind in self.types.items():
            if kind == "IN" and code not in ingredients:
                found.update(self._reached(code))
        return found

    def _reached(self, ingredient: str) -> dict[str, list[str]]:
        """Codes that hold the ingredient, each with those that led to it."""
        reached: dict[str, list[str]] = {ingredient: []}
        waiting = [ingredient]
        while waiting:
            code = waiting.pop()
            if self.types.get(code) == BRAND and code != ingredient:
                continue  # Its products are found by what they hold.
            for other in self.leads_to.get(code, ()):
                if other not in reached:
                    reached[other] = []
                    waiting.append(other)
                reached[other].append(code)
        return reached

    def _forms(self, code: str, reached: Mapping[str, list[str]]) -> Iterator[str]:
        kind = self.types.get(code, "")
        if kind in SUBSTANCES:
            return
        if kind in PACKS:
            for content in reached[code]:
                if content != code:
                    yield from self._contents_forms(content, reached)
        elif code in self.forms:
            yield from self.forms[code]
        else:
            for other in self.leads_to.get(code, ()):
                if other in reached and self.types[other] not in PACKS:
                    yield from self.forms.get(other, ())

    def _contents_forms(
        self, content: str, reached: Mapping[str, list[str]]
    ) -> Iterator[str]:
        """The forms of a content of a pack, which may be the pack it is a brand of."""
        if self.types[content] not in PACKS:
            yield from self.forms.get(content, ())
            return
        for inner in reached[content]:
            if self.types[inner] not in PACKS:
                yield from self.forms.get(inner, ())


def read_release(concepts: Iterable[bytes], relations: Iterable[bytes]) -> Release:
    """Return what the lines of both files say.

    Raises:
        BadRelease: if a line is not of its table, or nothing of RxNorm's is there.
    """
    release = Release()
    form_names: dict[str, str] = {}
    for row in _rows(CONCEPTS, concepts, b"|RXNORM|"):
        code, source, kind, name = row[0], row[11], row[12], row[14]
        if source != "RXNORM":
            continue
        if kind in MEDICINES:
            release.types[code] = kind
            release.names[code] = name
        elif kind in _FORMS:
            form_names[code] = name
    if "IN" not in release.types.values():
        raise BadRelease(
            f"{CONCEPTS.file} contains no RxNorm ingredient; "
            "is it RxNorm Current Prescribable Content?"
        )
    related = _read_relations(release, form_names, relations)
    if not related:
        raise BadRelease(f"{RELATIONS.file} relates none of the medicines")
    return release


def _read_relations(
    release: Release, form_names: Mapping[str, str], relations: Iterable[bytes]
) -> int:
    same = {code: code for code in release.types}
    """One text object a code, since codes come again in millions of rows."""
    related = 0
    for row in _rows(RELATIONS, relations, b"|RXNORM|"):
        first, second, relation = row[0], row[4], row[7]
        if row[10] != "RXNORM" or first not in same:
            continue
        if relation in _LEADS_ON and second in same:
            release.leads_to.setdefault(same[second], []).append(same[first])
            related += 1
        elif relation in _IS_FORM_OF and second in form_names:
            release.forms.setdefault(same[first], []).append(form_names[second])
    return related


def _rows(table: Table, lines: Iterable[bytes], mark: bytes) -> Iterator[list[str]]:
    """The rows that hold *mark*; every line must have the table's columns."""
    for number, line in enumerate(lines, start=1):
        if line.count(b"|") != table.columns or not line.rstrip(b"\r\n").endswith(b"|"):
            found = line.count(b"|")
            raise BadRelease(
                f"{table.file}:{number}: {found} columns where {table.columns} belong; "
                "the file is incomplete or of another kind: unpack the release again"
            )
        if mark in line:
            try:
                yield line.decode("utf-8").split("|")
            except UnicodeDecodeError as error:
                message = f"{table.file}:{number}: this line is not UTF-8"
                raise BadRelease(message) from error


def release_of(names: Sequence[str], sources: Iterable[bytes] = ()) -> str:
    """The date of a release as ``2026-11-02``; empty where nothing says it.

    *names* are those of the folder and of the files in it; NLM writes the date into the
    folder's and the readme's. *sources* are the lines of RXNSAB.RRF, if it is there.
    """
    for name in sorted(names):
        found = _NAMED.search(name)
        if found:
            month, day, year = found.groups()
            return f"{year}-{month}-{day}"
    for row in _rows(SOURCES, sources, b"|RXNORM|"):
        found = _VERSION.search(row[6])
        if row[3] == "RXNORM" and found:
            year, month, day = found.groups()
            return f"20{year}-{month}-{day}"
    return ""


_NAMED = re.compile(r"(?i)prescribe_(0[1-9]|1[0-2])([0-3][0-9])(20[0-9]{2})")
_VERSION = re.compile(r"_([0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])F$")
"""Such as ``17AB_171106F``."""
