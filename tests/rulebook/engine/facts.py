"""Facts and resources that several tests of criteria are about."""

from datetime import datetime
from typing import Any

from cds_service.fhir.chart import SourceState

NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
LOADED, PARTIAL, MISSING = SourceState
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
DIABETES = "dm: {condition: {in: diabetes}}"


def condition(code: str = "E11.9", system: str = ICD, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"c-{code}",
        "code": {"coding": [{"system": system, "code": code}]},
        **more,
    }


SNOMED_ONLY = condition("44054006", "http://snomed.info/sct")
UNCODED = {**condition(), "code": {"coding": []}}
MISSHAPEN = {**condition(), "code": ["E11.9"]}
