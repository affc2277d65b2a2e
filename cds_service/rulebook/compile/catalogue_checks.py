"""What can be wrong with what a site says of wearables, beyond the shape of its files.

A reading is of one metric, in one unit: no code and no name of a format may lead to
two, and every unit that is written for a metric must lead to the metric's own. What
``outputs.yaml`` names has to be there: else it would be left out, silently, of what an
EHR is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...units import Substance, canonical_unit, scales
from ...units.formats import OWN_UNITS
from ...wearables.metrics import Metric
from ...wearables.outputs.contents import BANDS
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit
from ..terminology.checks import check_entry
from ..terminology.measured import Quantities
from .catalogue_builder import codes_in_order
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
            message = "there is no metrics.yaml, so no reading is recognised"
            help = "alerts are still accepted; to accept readings, add the shipped file"
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
            if "plausible" in body:
                self.check_range((*where, "plausible"), *body["plausible"])
            for list in ("codes", "consent"):
                for index, entry in enumerate(body.get(list, ())):
                    place = (*where, list, index)
                    check_entry(self.document, place, entry, self.findings)
            for path, format, native in _names(where, body):
                self.check_format(path, format)
                self.claim(path, (format, native), f"{quote(native)} of {format}")
            yield where, body

    def check_range(self, path: Path, low: float, high: float) -> None:
        """Report a range in which there is no value."""
        if not low < high:
            message = f"no value lies between {low} and {high}"
            help = "write the lowest plausible value first, then the highest"
            self.findings.error(self.document, path, "CDS230", message, help)

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
            help = "keep it where it belongs: it can stand for only one"
            self.findings.error(self.document, path, "CDS250", message, help)

    def check_conversion(self, path: Path, unit: str, to: str, of: Substance) -> None:
        """Report a unit in which nothing can be told that a metric measures."""
        if not scales(unit, to, of):
            message = (
                f"{quote(unit)} cannot be converted to {quote(to)}, the metric's unit"
            )
            help = "write a unit of that kind"
            self.findings.error(self.document, path, "CDS253", message, help)


def _check_metrics(checked: _Checked, quantities: Quantities) -> None:
    document, findings = checked.document, checked.findings
    for where, body in checked.entries():
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
        help = suggest(name, known) or "use one that is listed there, or add it"
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


# How it leaves again


def check_outputs(
    document: Document, metrics: Mapping[str, Metric], findings: Findings
) -> None:
    """Report what is wrong with a file of the right shape.

    Args:
        metrics: Those of ``metrics.yaml``, where it could be read.
    """
    for path, entry in _all_codes(document.data, ()):
        check_entry(document, path, entry, findings)
    for path, names in _all_categories(document.data):
        known = document.data.get("categories", {})
        for place, name in enumerate(names):
            if name not in known:
                message = f"there is no category {quote(name)} in this file"
                help = suggest(name, known) or "write it under `categories`"
                findings.error(document, (*path, place), "CDS277", message, help)
    for name, body in document.data["metrics"].items():
        where = ("metrics", name)
        metric = metrics.get(name)
        if metric is None:
            message = f"there is no metric {quote(name)} in metrics.yaml"
            help = suggest(name, metrics) or "use one that is listed there, or add it"
            findings.error(document, where, "CDS275", message, help, key=True)
            continue
        _check_chosen((*where, "codes"), body, metric, document, findings)
        for value, day in body.get("days", {}).items():
            at = (*where, "days", value)
            _check_day(at, value, day, metric, document, findings)


def _check_chosen(
    path: Path, body: Body, metric: Metric, document: Document, findings: Findings
) -> None:
    own = [code for _, code in metric.codes]
    for index, entry in enumerate(body.get("codes", ())):
        for place, pair in enumerate(codes_in_order([entry])):
            if pair not in metric.codes:
                message = f"{quote(pair[1])} is not a code of this metric"
                help = (
                    suggest(pair[1], own) or "add it in metrics.yaml, or remove it here"
                )
                at = (*path, index, "codes", place)
                findings.error(document, at, "CDS278", message, help)


def _check_day(
    path: Path,
    value: str,
    body: Body,
    metric: Metric,
    document: Document,
    findings: Findings,
) -> None:
    has = _values(metric)
    if value not in has:
        message = f"days of this metric have no {quote(value)}"
        help = suggest(value, has)
        findings.error(document, path, "CDS276", message, help, key=True)
        return
    lacking = [
        each for each in _needed(value, metric) if not _coded(each, body, metric)
    ]
    if lacking:
        message = f"{quote(lacking[0])} has no code"
        help = "write it under `summary_codes` of the metric"
        if lacking[0] == value:
            help += ", or `codes` here"
        findings.error(document, path, "CDS276", message, help, key=True)
    if "unit" in body:
        check_unit(body["unit"], document, (*path, "unit"), findings)


def _values(metric: Metric) -> tuple[str, ...]:
    """What a day of a metric may be told by."""
    values = tuple(each for each in metric.statistics if ":" not in each)
    values = tuple(each for each in values if each != "worn")
    if metric.speaks_for is None:
        return values
    return (*values, "coverage", BANDS) if metric.bands else (*values, "coverage")


def _needed(value: str, metric: Metric) -> tuple[str, ...]:
    """The values of a day of which a code is needed."""
    if value == BANDS:
        return (BANDS, *(f"band:{each.name}" for each in metric.bands))
    return (value,)


def _coded(value: str, body: Body, metric: Metric) -> bool:
    if value in metric.summary_codes:
        return True
    return "codes" in body and not value.startswith("band:")


def _all_codes(value: Any, path: Path) -> Iterator[tuple[Path, Body]]:
    """Every entry of a system with its codes, and where it stands."""
    if isinstance(value, Mapping):
        if "system" in value and "codes" in value:
            yield path, value
            return
        for key, each in value.items():
            yield from _all_codes(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _all_codes(each, (*path, place))


def _all_categories(data: Body) -> Iterator[tuple[Path, Iterable[str]]]:
    yield ("episodes", "categories"), data.get("episodes", {}).get("categories", ())
    for name, body in data["metrics"].items():
        yield ("metrics", name, "categories"), body.get("categories", ())
        for value, day in body.get("days", {}).items():
            path = ("metrics", name, "days", value, "categories")
            yield path, day.get("categories", ())
