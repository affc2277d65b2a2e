"""``alert-types.yaml``: the wearable alerts that a site knows."""

from collections.abc import Mapping
from typing import Any

from ...fhir.code_systems import canonical_system, normalise_code
from ...wearables.records import AlertType
from ..language.diagnostics import Findings
from ..language.document import Document
from ..language.slips import check_unit
from ..terminology.checks import check_entry


def alert_types_of(document: Document | None) -> dict[str, AlertType]:
    """The wearable alerts that a file of alert types, of the right shape, names."""
    return {
        name: AlertType(
            name,
            each["title"],
            each.get("metric", ""),
            each.get("unit", ""),
            _codes(each),
            each.get("molar_mass", 0.0),
        )
        for name, each in _written(document).items()
    }


def check_alert_types(document: Document | None, findings: Findings) -> None:
    """Hold the units and codes of a file of the right shape to their systems."""
    for name, body in _written(document).items():
        if document is None:
            continue
        where = ("alert_types", name)
        if "unit" in body:
            check_unit(body["unit"], document, (*where, "unit"), findings)
        for index, entry in enumerate(body.get("codes", ())):
            check_entry(document, (*where, "codes", index), entry, findings)


def _written(document: Document | None) -> Mapping[str, Mapping[str, Any]]:
    written: Mapping[str, Any] = document.data["alert_types"] if document else {}
    return written


def _codes(body: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    pairs = []
    for entry in body.get("codes", ()):
        system = canonical_system(entry["system"])
        pairs += [(system, normalise_code(system, each)) for each in entry["codes"]]
    return frozenset(pairs)
