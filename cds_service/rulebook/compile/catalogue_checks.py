"""What can be wrong with ``metrics.yaml`` and ``alert-types.yaml`` beyond their shape.

A reading is of one metric, in one unit: no code and no name of a format may lead to
two, and every unit that is written for a metric must lead to the metric's own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...units import Substance, canonical_unit, scales
from ...units.formats import OWN_UNITS
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit
from ..terminology.checks import check_entry
from ..terminology.measured import Quantities
from .summary_checks import check_summaries

Body = Mapping[str, Any]


def check_catalogue(
    metrics: Document | None,
    alert_types: Document | None,
    quantities: Quantities,
    findings: Findings,
    *,
    lacks_metrics: bool = False,
) -> None:
    """Report what is wrong with two files of the right shape, as far as there are any.

    Args:
        quantities: What codes measure: a metric's unit is held to it.
        lacks_metrics: Whether the folder has no file of metrics at all. One that is
            broken would say what is not known here.
    """
    if metrics is not None:
        _check_metrics(_Checked(metrics, "metrics", findings), quantities)
        check_summaries(metrics, findings)
    if alert_types is not None:
        types = _Checked(alert_types, "alert_types", findings)
        unknown = _check_alert_types(types, metrics)
        if metrics is not None:
            _tell_unknown(types, unknown, metrics.data["metrics"])
        elif unknown and lacks_metrics:
            message = "there is no metrics.yaml, so that no reading is known"
            help = (
                "alerts are taken in all the same; for readings, add the shipped file"
            )
            findings.note(alert_types, unknown[0], "CDS254", message, help)


@dataclass(slots=True)
class _Checked:
    """One of the files, and where in it something was named first."""

    document: Document
    key: str
    findings: Findings
    named: dict[tuple[str, str], str] = field(default_factory=dict)
    """By format and name, or system and code: the entry that has it."""

    def entries(self) -> Iterator[tuple[Path, Body]]:
        """Yield each entry with its place, once what all have in common is checked."""
        for name, body in self.document.data[self.key].items():
            where = (self.key, name)
            if "unit" in body:
                check_unit(body["unit"], self.document, (*where, "unit"), self.findings)
            for list in ("codes", "consent"):
                for index, entry in enumerate(body.get(list, ())):
                    place = (*where, list, index)
                    check_entry(self.document, place, entry, self.findings)
            for path, format, native in _names(where, body):
                self.check_format(path, format)
                self.claim(path, (format, native), f"{quote(native)} of {format}")
            yield where, body

    def check_format(self, path: Path, format: str) -> None:
        """Report a format that nothing reads."""
        if format not in OWN_UNITS:
            message = f"there is no format {quote(format)}"
            help = suggest(format, OWN_UNITS)
            place = path[:4]
            self.findings.error(self.document, place, "CDS251", message, help, key=True)

    def claim(self, path: Path, what: tuple[str, str], shown: str) -> None:
        """Report what leads to another entry already."""
        owner = self.named.setdefault(what, str(path[1]))
        if owner != path[1]:
            message = f"{shown} is {quote(owner)} already"
            help = "keep it where it belongs: it can stand for one alone"
            self.findings.error(self.document, path, "CDS250", message, help)

    def check_conversion(self, path: Path, unit: str, to: str, of: Substance) -> None:
        """Report a unit in which nothing can be told that a metric measures."""
        if not scales(unit, to, of):
            message = f"{quote(unit)} cannot be told in {quote(to)}, the metric's unit"
            help = "write a unit of that kind"
            self.findings.error(self.document, path, "CDS253", message, help)


def _check_metrics(checked: _Checked, quantities: Quantities) -> None:
    document, findings = checked.document, checked.findings
    for where, body in checked.entries():
        low, high = body["plausible"]
        if not low < high:
            message = f"no value lies between {low} and {high}"
            help = "write the lowest plausible value first, then the highest"
            findings.error(document, (*where, "plausible"), "CDS230", message, help)
        unit, of = body["unit"], Substance(molar_mass=body.get("molar_mass", 0.0))
        is_unit = canonical_unit(unit) == unit
        for path, coded in _codes(where, body):
            checked.claim(path, coded, quote(coded[1]))
            misfit = quantities.misfit(coded, unit, of) if is_unit else None
            if misfit is not None:
                findings.error(document, path, "CDS232", misfit.message, misfit.help)
        for path, told in _units(where, body):
            if check_unit(told, document, path, findings) and is_unit:
                checked.check_conversion(path, told, unit, of)


def _check_alert_types(checked: _Checked, metrics: Document | None) -> list[Path]:
    """Check the units of alert types; return where metrics stand that nobody knows."""
    known: Mapping[str, Body] = metrics.data["metrics"] if metrics else {}
    unknown: list[Path] = []
    for where, body in checked.entries():
        if "metric" not in body:
            continue
        metric = known.get(body["metric"])
        if metric is None:
            unknown.append((*where, "metric"))
        elif "unit" in body:
            mass = body.get("molar_mass", metric.get("molar_mass", 0.0))
            path, of = (*where, "unit"), Substance(molar_mass=mass)
            checked.check_conversion(path, body["unit"], metric["unit"], of)
    return unknown


def _tell_unknown(
    checked: _Checked, unknown: Iterable[Path], known: Mapping[str, Body]
) -> None:
    for path in unknown:
        name = checked.document.value(path)
        message = f"there is no metric {quote(name)} in metrics.yaml"
        help = suggest(name, known) or "name one of those, or add it there"
        checked.findings.error(checked.document, path, "CDS252", message, help)


def _names(where: Path, body: Body) -> Iterator[tuple[Path, str, str]]:
    for format, names in body.get("names", {}).items():
        for index, each in enumerate(names):
            path = (*where, "names", format, index)
            yield path, format, each if isinstance(each, str) else each["name"]


def _units(where: Path, body: Body) -> Iterator[tuple[Path, str]]:
    for format, names in body.get("names", {}).items():
        for index, each in enumerate(names):
            if not isinstance(each, str):
                yield (*where, "names", format, index, "unit"), each["unit"]


def _codes(where: Path, body: Body) -> Iterator[tuple[Path, tuple[str, str]]]:
    for index, entry in enumerate(body.get("codes", ())):
        system = canonical_system(entry["system"])
        for place, code in enumerate(entry["codes"]):
            path = (*where, "codes", index, "codes", place)
            yield path, (system, normalise_code(system, code))
