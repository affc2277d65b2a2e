"""Every format of readings that may be delivered, a line each.

Acknowledged is the status that makes its sender go on: some send anything else again
for days. Where answers tell items, they say what became of each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..samples import Adapter
from . import (
    fhir,
    garmin,
    health_auto_export,
    nightscout,
    open_mhealth,
    samples,
)
from .clouds import dexcom, google_fit, google_health, oura, withings
from .hl7v2 import messages as hl7v2_messages
from .hl7v2 import observations as hl7v2


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """One format, and how its deliveries are answered."""

    name: str
    """As in ``/wearables/v1/sources/<name>`` and in the clients file."""
    title: str
    adapt: Adapter
    media_types: tuple[str, ...] = ("application/json",)
    acknowledged: int = 202
    answers_items: bool = True
    """Whether its body says what became of each item; else it is empty."""
    posted_at: tuple[str, ...] = ()
    """Where else below its URL its senders post: they add that themselves."""
    probed_at: str = ""
    """What below its URL its senders ask for first, to see whether they are let in."""
    parse: Callable[[bytes], Any] | None = None
    """How its raw body is read; None for JSON."""
    suffix: str = ".json"
    """Of files that hold it."""


FORMATS: Mapping[str, SourceFormat] = {
    each.name: each
    for each in (
        SourceFormat("samples", "Samples as this server has them", samples.adapt),
        SourceFormat("open-mhealth", "Open mHealth, IEEE 1752.1", open_mhealth.adapt),
        SourceFormat(
            "fhir",
            "FHIR Observations",
            fhir.adapt,
            ("application/fhir+json", "application/json"),
        ),
        SourceFormat(
            "health-auto-export",
            "Health Auto Export",
            health_auto_export.adapt,
            acknowledged=200,
            answers_items=False,
        ),
        SourceFormat(
            "garmin",
            "Garmin Health, pushed",
            garmin.adapt,
            acknowledged=200,
            answers_items=False,
        ),
        SourceFormat(
            "nightscout",
            "Nightscout, entries",
            nightscout.adapt,
            acknowledged=200,
            answers_items=False,
            posted_at=("/api/v1/entries", "/api/v1/entries.json"),
            probed_at="/api/v1/experiments/test",
        ),
        SourceFormat("google-fit", "Google Fit, answers of its API", google_fit.adapt),
        SourceFormat(
            "google-health", "Google Health, answers of its API", google_health.adapt
        ),
        SourceFormat("withings", "Withings, answers of its API", withings.adapt),
        SourceFormat("oura", "Oura, answers of its API", oura.adapt),
        SourceFormat("dexcom", "Dexcom, answers of its API", dexcom.adapt),
        SourceFormat(
            "hl7v2",
            "HL7 v2, ORU^R01",
            hl7v2.adapt,
            ("application/hl7-v2", "x-application/hl7-v2+er7", "text/plain"),
            parse=hl7v2_messages.decode,
            suffix=".hl7",
        ),
    )
}
