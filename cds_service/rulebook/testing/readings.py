"""The readings of a test, held to the units in which anybody could read them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...units import Substance, scales
from ..language.diagnostics import Findings, quote
from ..language.document import Path
from ..language.tree import (
    FactNode,
    FactTree,
    JoinedFact,
    ObservationFact,
    RuleTree,
    SharedFact,
)
from ..terminology.measured import Quantities
from .examples import Example, ExampleFile

_OF_ANYTHING = Substance(1.0, 1)
"""With which moles, grams and equivalents may be told in each other."""


def check_readings(
    test: ExampleFile[Example],
    rules: Iterable[RuleTree],
    facts: Mapping[str, FactTree],
    quantities: Quantities,
    findings: Findings,
) -> None:
    """Report readings of a test in a unit that their code or no fact of its rule takes.

    A case that expects the rule not to know may be about such a reading.
    """
    rule = next((each for each in rules if each.name == test.rule), None)
    units = set(_units_read(rule.facts.values(), facts, ())) if rule else set()
    for path, reading in _readings(test.document.data):
        unit = str(reading.get("unit", ""))
        where = (*path, "unit") if unit else path
        system, _, code = str(reading.get("code", "")).partition("|")
        system = canonical_system(system)
        coded = (system, normalise_code(system, code))
        misfit = quantities.misread(coded, unit, _OF_ANYTHING) if unit else None
        if misfit is not None:
            findings.warning(
                test.document, where, "CDS232", misfit.message, misfit.help
            )
        elif units and not any(scales(unit, to, _OF_ANYTHING) for to in units):
            message = f"no fact of {quote(test.rule)} reads {quote(unit)}"
            message = message if unit else "this reading has no unit"
            help = "facts read " + ", ".join(sorted(units))
            findings.warning(test.document, where, "CDS645", message, help)


def _readings(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Place and content of each reading that a case needs to be what it says."""
    written: list[tuple[Path, Mapping[str, Any]]] = [
        (("patients", name), each) for name, each in data.get("patients", {}).items()
    ]
    for index, case in enumerate(data["cases"]):
        expect = case["expect"]
        if expect != "unknown" and "unknown_because" not in expect:
            written.append((("cases", index, "set"), case.get("set") or {}))
    for path, patient in written:
        for number, each in enumerate(patient.get("observations") or ()):
            yield (*path, "observations", number), each


def _units_read(
    nodes: Iterable[FactNode], facts: Mapping[str, FactTree], above: tuple[str, ...]
) -> Iterator[str]:
    """The units of some facts, shared ones included, but for those *above* them."""
    for node in nodes:
        names: tuple[str, ...] = ()
        if isinstance(node, ObservationFact) and node.unit:
            yield node.unit
        elif isinstance(node, SharedFact):
            names = (node.name,)
        elif isinstance(node, JoinedFact) and above:
            names = node.names
        for name in names:
            if name in facts and name not in above:
                yield from _units_read([facts[name].fact], facts, (*above, name))
