"""Units as rule files write them: held to UCUM where they stand."""

from ..units import canonical_unit
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
