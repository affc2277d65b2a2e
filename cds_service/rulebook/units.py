"""Units as rule files write them: held to UCUM where they stand."""

from ..wearables.records import canonical_unit
from .document import Document, Path
from .findings import Findings, quote


def check_unit(unit: str, document: Document, path: Path, findings: Findings) -> bool:
    """Whether *unit* is written in UCUM; if not, with a finding.

    Source: UCUM, case-sensitive form.
    """
    known = canonical_unit(unit)
    if known == unit:
        return True
    help = f"write `{known}`" if known else "write a unit of UCUM, such as `mmol/L`"
    findings.error(document, path, "CDS228", f"{quote(unit)} is not a UCUM unit", help)
    return False


def check_alert_units(document: Document | None, findings: Findings) -> None:
    """Hold the units of a file of alert types, of the right shape, to UCUM."""
    for name, body in (document.data["alert_types"] if document else {}).items():
        if document is not None and "unit" in body:
            where = ("alert_types", name, "unit")
            check_unit(body["unit"], document, where, findings)
