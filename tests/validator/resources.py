"""Every kind of resource that leaves, a line each: what the HL7 validator is given."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cds_service.wearables.outputs.belongings import (
    device_resource,
    provenance_resource,
)
from cds_service.wearables.outputs.observations import (
    day_observations,
    episode_observation,
    reading_observation,
    taken_back,
)
from cds_service.wearables.samples import Flag, KeptSample, Sample, Stat

from ..wearables.outputs.things import (
    FRAME,
    LATER,
    SHIPPED,
    a_day,
    an_episode,
)

AT = datetime.fromisoformat("2026-11-22T08:05:00-05:00")


def resources() -> Iterator[dict[str, Any]]:
    """Yield one of each alert type, day value and metric, and what belongs to them."""
    for name, known in SHIPPED.alert_types.items():
        alert = an_episode(type=name, metric=known.metric, unit=known.unit)
        for status in ("final", "amended"):
            yield episode_observation(alert, (name, status), status, FRAME)
        yield taken_back(episode_observation(alert, (name,), "final", FRAME))
        told = replace(alert, end=None, origin="vendor", local=False, detector="")
        yield episode_observation(told, (name, "open"), "final", FRAME)
    yield from _days()
    for name, metric in SHIPPED.metrics.items():
        for flags in (Flag(0), Flag.BELOW, Flag.MANUAL):
            sample = Sample(
                name, metric.lowest, metric.unit, AT, AT, local=True, flags=flags
            )
            kept = KeptSample(sample, "phones", 1, LATER)
            yield reading_observation(kept, sample.key, FRAME)
        end = AT + timedelta(minutes=5)
        sample = Sample(name, metric.lowest, metric.unit, AT, end, stat=Stat.MEAN)
        kept = KeptSample(sample, "phones", 1, LATER)
        yield reading_observation(kept, sample.key, FRAME)
    yield device_resource("Watch", FRAME)
    targets = ["Observation/9d9d4b3f-0f5c-5d52-9e39-2d3a3f2f7c11"]
    now = datetime(2026, 11, 22, 13, 15, tzinfo=UTC)
    for thing in (an_episode(), an_episode(origin="vendor"), a_day()):
        yield provenance_resource(thing, ("e",), targets, FRAME, now)


def _days() -> Iterator[dict[str, Any]]:
    for name, metric in SHIPPED.metrics.items():
        for zone, day in (
            ("America/New_York", "2026-11-01"),
            ("America/New_York", "2026-03-08"),
            ("Mars/Olympus", "2026-11-21"),
        ):
            told = a_day(
                name,
                day,
                zone=zone,
                part="night" if metric.sleep else "day",
                first=datetime.fromisoformat(f"{day}T02:10:00+00:00"),
                last=datetime.fromisoformat(f"{day}T09:00:00+00:00"),
                total=400.0,
                mean=97.3,
                max=131.0,
                covered=1200.0,
                worn=1100.0,
                bands={each.name: 200.0 for each in metric.bands},
            )
            yield from day_observations(
                told, (name, zone), "final", FRAME, LATER
            ).values()


if __name__ == "__main__":
    for each in resources():
        print(json.dumps(each))
