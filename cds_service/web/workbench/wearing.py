"""What wearables and their wearer tell a play, by the doors that real ones take."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from ...ehr.consents import SignedConsent, build_consent, usual_id
from ...ehr.dialects import DIALECTS, SimulatedWearer
from ...ehr.hours import HOURS, play_hour
from ...ehr.scenarios import SCENARIOS
from ...ehr.scenarios import play as play_alerts
from ...ingestion import ALERTS, CONSENTS, SAMPLES, SOURCES
from ...protocol.conformance import Reply, read_json
from ...wearables.adapters.registry import FORMATS
from ...wearables.consent import ConsentAction
from .charts import BroughtChart
from .stage import WATCH, PlayStage
from .wishes import WITHDRAWN, PlayWish

HOUR = 60
"""Minutes of readings that a watch tells."""
SEED = 1
NAMING = ("samples", "fhir")
"""Formats whose deliveries say which patient they are about."""
FORBIDDEN_SCENARIOS = ("bad_signature",)
"""What a play has no use for: nothing of it is stored."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery of what a wearable told, and its answer."""

    says: str
    status: int
    text: str


def scenarios() -> Iterator[tuple[str, str, str]]:
    """Yield what a watch can play: its group, its name in the form, what it says."""
    for group, kind, known in (
        ("Readings, minute by minute", "hour", HOURS),
        ("The watch's own notices", "alert", SCENARIOS),
    ):
        for name, scenario in known.items():
            if name not in FORBIDDEN_SCENARIOS:
                said = (scenario.__doc__ or name).partition("\n")[0].rstrip(".")
                yield group, f"{kind} {name}", said


def wear(
    stage: PlayStage, wish: PlayWish, chart: BroughtChart, patient: str
) -> Iterator[Delivered]:
    """Yield what came of each delivery, in the order in which they are told.

    What a fixture has of notices, then what the watch is to play; a wearer withdraws
    after that, so that there is something of which no use may be made any more.
    """
    if chart.alerts is not None:
        body = json.dumps(chart.alerts)
        reply = stage.deliver(ALERTS.path, body, "application/json", "fixture")
        yield _delivered("notices of the fixture", reply)
    kind, _, name = wish.watch.partition(" ")
    if kind == "alert" and name in SCENARIOS and name not in FORBIDDEN_SCENARIOS:
        for step in play_alerts(name, patient, WATCH, stage.now, SEED):
            body = json.dumps({"alerts": list(step.alerts)})
            yield _delivered(
                step.says,
                stage.deliver(ALERTS.path, body, "application/json", step.delivery),
            )
    elif kind == "hour" and name in HOURS and name not in FORBIDDEN_SCENARIOS:
        format = wish.format if wish.format in NAMING else SAMPLES.name
        known = SAMPLES if format == SAMPLES.name else SOURCES[format]
        wearer = SimulatedWearer(patient=patient)
        for number, each in enumerate(play_hour(name, stage.now, HOUR, SEED)):
            text = json.dumps(DIALECTS[format](each.readings, wearer))
            media_type = FORMATS[format].media_types[0]
            reply = stage.deliver(known.path, text, media_type, f"{name}-{number}")
            yield _delivered(each.says, reply)
    if wish.consent == WITHDRAWN:
        signed = SignedConsent(
            patient, usual_id(patient), tuple(ConsentAction), withdrawn=True
        )
        body = json.dumps(build_consent(signed, stage.now))
        reply = stage.deliver(CONSENTS.path, body, "application/json", "withdrawal")
        yield _delivered("the wearer withdraws", reply)


def _delivered(says: str, reply: Reply) -> Delivered:
    body = read_json(reply.content).value
    told = body if isinstance(body, dict) else {}
    counts = [
        f"{number:,} {name}"
        for name, number in told.items()
        if isinstance(number, int) and not isinstance(number, bool) and number
    ]
    return Delivered(says, reply.status, ", ".join(counts))
