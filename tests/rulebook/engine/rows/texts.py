"""The words of the shipped lexicon, and orders whose text alone says what they are."""

from pathlib import Path
from typing import Any

from cds_service.rulebook.load import read_folder

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
RULES = Path(__file__).parents[4] / "rules"
SHIPPED = {
    name: text
    for name, text in read_folder(RULES).items()
    if name.startswith("lexicon/")
}

BETA_BLOCKER = "bb: {medication: {in: beta-blockers}}"


def add_lexicon(rules: Any) -> None:
    """Have a rulebook read texts with the shipped lexicon."""
    rules.files.update(SHIPPED)
    rules.files["site.yaml"] += "overlays: [snomed]\n"


def order(text: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": text},
        **more,
    }
