"""Every format of readings that may be delivered, a line each.

Acknowledged is the status that makes its sender go on: some send anything else again
for days. Where answers tell items, they say what became of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..samples import Adapter
from . import (
    fhir,
    garmin,
    google_fit,
    health_auto_export,
    nightscout,
    open_mhealth,
    samples,
)


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
    )
}
