"""Reasons for overriding a card that every rule may offer.

The codes are HL7's; the words shown beside them are ours.

Source: CDS Hooks 3.0.0 "Reasons for rejecting a card" (clinical value set).
"""

from collections.abc import Mapping

from .cards import Coding

SYSTEM = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"

OVERRIDE_REASONS: Mapping[str, Coding] = {
    code: Coding(SYSTEM, code, display)
    for code, display in (
        ("action-completed", "Already done"),
        ("cds-not-applicable", "Does not apply to this patient"),
        ("cds-suboptimal-context", "Wrong time or place for this advice"),
        ("does-not-align-preferences", "Does not fit the patient's preferences"),
        ("not-convenient-feasible", "Not convenient or feasible"),
        ("patient-contraindication", "Contraindicated in this patient"),
        ("patient-refuses", "Patient declines"),
        ("recipient-concerns-outcomes", "Concerned about the outcome"),
        ("recipient-disagrees-evidence", "Disagree with the evidence"),
        ("recipient-does-not-understand", "Advice is not clear"),
        ("service-not-available", "Service is not available"),
        ("too-costly-uncovered", "Too costly or not covered"),
    )
}
"""By code."""
