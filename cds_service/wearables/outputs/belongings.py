"""What belongs to an Observation: the Device that measured, and its Provenance. Pure.

Source: FHIR R4 "Device", "Provenance".
"""

from collections.abc import Iterable
from datetime import datetime

from ..records import WearableAlert
from ..summaries import DaySummary
from .naming import DEVICE, PROVENANCE, SOURCE
from .observations import Json, OutputFrame, written_utc


def device_named(thing: WearableAlert | DaySummary) -> str:
    """Return the name of what measured most of it; empty where nobody tells."""
    if isinstance(thing, WearableAlert):
        return thing.device
    return thing.devices[0] if thing.devices else ""


def device_resource(name: str, frame: OutputFrame) -> Json:
    """Return the Device of a name, which is the patient's own."""
    id = frame.naming.id(frame.patient, DEVICE, name)
    return {
        "resourceType": "Device",
        "id": id,
        "identifier": [frame.naming.identifier(DEVICE, id)],
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "patient": frame.subject,
    }


def provenance_resource(
    thing: WearableAlert | DaySummary,
    names: tuple[str, ...],
    targets: Iterable[str],
    frame: OutputFrame,
    recorded: datetime,
) -> Json:
    """Return where the Observations of one thing come from.

    Args:
        names: What tells the thing from all others of the patient.
        targets: References to its Observations, as the other side calls them.
    """
    words = frame.outputs.provenance
    vendor = isinstance(thing, WearableAlert) and thing.origin == "vendor"
    parts = [
        ("author", frame.subject),
        ("assembler", dict(frame.device)),
        ("transmitter", {"identifier": frame.naming.itself}),
    ]
    told: Json = {
        "resourceType": "Provenance",
        "id": frame.naming.id(frame.patient, PROVENANCE, *names),
        "target": [{"reference": each} for each in targets],
        "recorded": written_utc(recorded),
        "agent": [
            {**({"type": words[part].as_json()} if part in words else {}), "who": who}
            for part, who in parts
            if who
        ],
    }
    activity = words.get("received" if vendor else "derived")
    if activity:
        told["activity"] = activity.as_json()
    if sources := _sources(thing):
        system = frame.naming.system(SOURCE)
        told["entity"] = [
            {
                "role": "source",
                "what": {"identifier": {"system": system, "value": each}},
            }
            for each in sources
        ]
    return told


def _sources(thing: WearableAlert | DaySummary) -> tuple[str, ...]:
    if isinstance(thing, WearableAlert):
        return (thing.source,) if thing.source else ()
    return thing.sources
