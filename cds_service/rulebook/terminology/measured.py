"""What results are measured in, by their codes, as ``units.yaml`` says it.

A code of LOINC says what kind of quantity a result is: 8867-4 is a rate, and no
concentration. So a unit that somebody writes for it, in a value set, a fact or a test,
can be held to it before any patient has such a result. A code that the file does not
know is taken for what its author says it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...units import NOTHING_SAID, Substance, canonical_unit, scales
from ..language.diagnostics import Findings, quote
from ..language.document import Document, Path
from ..language.slips import check_unit
from .checks import check_entry, entries
from .parts import Codes, ValueSet

UNITS = "units.yaml"
"""Where the file stands in the rules folder; a folder may do without."""
Coded = tuple[str, str]
"""URI of a system and normalised code."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a code measures."""

    title: str
    unit: str
    """A UCUM unit that its results may be in; so may all that it can be told in."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A code that is not measured in the unit that somebody wrote for it."""

    coded: Coded
    quantity: Quantity
    unit: str
    """What was written."""

    @property
    def message(self) -> str:
        """Return what is wrong, as an author reads it."""
        quantity = self.quantity
        return (
            f"{quote(self.coded[1])} ({quantity.title}) is measured in "
            f"{quote(quantity.unit)}, which cannot be converted to {quote(self.unit)}"
        )

    @property
    def help(self) -> str:
        """Return what to do about it."""
        unit = self.quantity.unit
        return f"write a unit such as `{unit}`, or check that the code is right"


@dataclass(frozen=True, slots=True)
class Quantities:
    """The codes of ``units.yaml``."""

    by_code: Mapping[Coded, Quantity] = field(default_factory=dict)

    def misfit(
        self, coded: Coded, unit: str, of: Substance = NOTHING_SAID
    ) -> Misfit | None:
        """Return why a code has no results in *unit*; None where it may have."""
        known = self.by_code.get(coded)
        # What `unit` of a set lets a text leave out is no part of what a code means.
        if known is None or scales(known.unit, unit, of._replace(unit="")):
            return None
        return Misfit(coded, known, unit)

    def misread(self, coded: Coded, text: str, of: Substance) -> Misfit | None:
        """Return why no result of a code comes in *text*, as records write units."""
        known = self.by_code.get(coded)
        if known is None or scales(text, known.unit, of):
            return None
        return Misfit(coded, known, text)

    def misfits(
        self, codes: Codes, unit: str, of: Substance = NOTHING_SAID
    ) -> tuple[Misfit, ...]:
        """Return what is wrong with a unit for the codes of a set, in their order."""
        pairs = sorted((system, each) for system in codes for each in codes[system])
        found = (self.misfit(pair, unit, of) for pair in pairs)
        return tuple(each for each in found if each is not None)


def quantities_of(document: Document | None) -> Quantities:
    """Return what a file of the right shape says of codes; nothing without one.

    What stands under a unit that is none, which ``check_units`` tells, says nothing.
    """
    by_code: dict[Coded, Quantity] = {}
    for _, coded, quantity in _written(document):
        if _is_unit(quantity.unit):
            by_code.setdefault(coded, quantity)
    return Quantities(by_code)


def check_units(document: Document | None, findings: Findings) -> None:
    """Hold the units and codes of a file of the right shape to their systems."""
    if document is None:
        return
    for index, entry in enumerate(document.data["units"]):
        where = ("units", index)
        check_unit(entry["unit"], document, (*where, "unit"), findings)
        check_entry(document, where, entry, findings)
    first: dict[Coded, Path] = {}
    for path, coded, _ in _written(document):
        known = first.setdefault(coded, path)
        if known[:2] != path[:2]:
            other = document.value((*known[:2], "title"))
            message = f"{quote(coded[1])} is also listed under {quote(other)}"
            help = "a code measures one thing: keep it where it belongs"
            findings.warning(document, path, "CDS211", message, help)


def check_codes(
    document: Document,
    extensions: Iterable[Document],
    valueset: ValueSet,
    quantities: Quantities,
    findings: Findings,
) -> None:
    """Report the codes of a set that have no results in the set's ``unit``.

    A code that came from elsewhere, as out of a FHIR ValueSet, is told at the unit.
    """
    unit, of = valueset.measure.unit, valueset.measure.substance
    if not _is_unit(unit):
        return
    found = quantities.misfits(valueset.codes, unit, of)
    misfits = {each.coded: each for each in found}
    for each in (document, *extensions):
        for path, coded in _codes(each):
            misfit = misfits.pop(coded, None)
            if misfit is not None:
                findings.error(each, path, "CDS232", misfit.message, misfit.help)
    if misfits and "unit" in document.data:
        misfit = next(iter(misfits.values()))
        findings.error(document, ("unit",), "CDS232", misfit.message, misfit.help)


def _is_unit(text: str) -> bool:
    return bool(text) and canonical_unit(text) == text


def _codes(document: Document) -> Iterator[tuple[Path, Coded]]:
    """Place and code of each code that a value-set file lists."""
    for path, entry in entries(document, "include"):
        yield from _listed(path, entry)


def _written(document: Document | None) -> Iterator[tuple[Path, Coded, Quantity]]:
    listed = document.data["units"] if document else ()
    for index, entry in enumerate(listed):
        quantity = Quantity(entry["title"], entry["unit"])
        for path, coded in _listed(("units", index), entry):
            yield path, coded, quantity


def _listed(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, Coded]]:
    system = canonical_system(entry.get("system", ""))
    for index, code in enumerate(entry.get("codes", ())):
        yield (*path, "codes", index), (system, normalise_code(system, code))
