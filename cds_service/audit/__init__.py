"""The audit trail: who asked what about whom, what each rule said, who was refused,
who was trusted.

Append-only, and chained: each row of a writer holds the hash of the row before it. It
holds patient data, unlike the log, and is read by other people.
"""

from .audit_event import build_audit_event
from .events import (
    InventoryChange,
    build_call_event,
    build_configuration_event,
    build_consent_event,
    build_delivery_event,
    build_detection_event,
    build_feedback_event,
    build_link_event,
    build_publication_event,
    build_readings_event,
    build_refusal_event,
    build_repeats_event,
    build_rules_refusal_event,
    build_sign_in_event,
    build_threshold_event,
    build_view_event,
    build_workbench_event,
    compare_inventories,
    describe_change,
)
from .trail import SEALS, Anchor, Break, anchors, entries, export, verify

__all__ = [
    "SEALS",
    "Anchor",
    "Break",
    "InventoryChange",
    "anchors",
    "build_audit_event",
    "build_call_event",
    "build_configuration_event",
    "build_consent_event",
    "build_delivery_event",
    "build_detection_event",
    "build_feedback_event",
    "build_link_event",
    "build_publication_event",
    "build_readings_event",
    "build_refusal_event",
    "build_repeats_event",
    "build_rules_refusal_event",
    "build_sign_in_event",
    "build_threshold_event",
    "build_view_event",
    "build_workbench_event",
    "compare_inventories",
    "describe_change",
    "entries",
    "export",
    "verify",
]
