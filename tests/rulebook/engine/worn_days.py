"""Days as wearables told them, and facts that read them."""

from datetime import date, timedelta
from typing import Any

from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.worn import Wearables

TODAY = date(2026, 11, 22)
"""Of the rules' site, New York, at 07:00."""
RATE = "it: {wearable: {metric: heart-rate, unit: /min, within: 7 days}}"
NIGHT = "it: {wearable: {metric: heart-rate, part: night, unit: /min, within: 3 days}}"
WEIGHT = 'it: {wearable: {metric: body-weight, unit: "%s", within: 7 days}}'
STEPS = 'it: {wearable: {metric: steps, unit: "{steps}", within: 7 days}}'
IN_RANGE = """\
it:
  wearable: {metric: sensor-glucose, summary: "band:in-range", within: 14 days}
"""


def day(ago: int, mean: float | None = None, **more: Any) -> DaySummary:
    """A whole day of heart rate in New York, so many days ago."""
    told: dict[str, Any] = {
        "metric": "heart-rate",
        "day": TODAY - timedelta(days=ago),
        "zone": "America/New_York",
        "minutes": 1440.0,
        "n": 100,
        "mean": mean,
        "covered": 1440.0,
    }
    return DaySummary(**(told | more))


def weighed(ago: int, kg: float, **more: Any) -> DaySummary:
    return day(ago, kg, metric="body-weight", covered=None, n=1, **more)


def worn(*days: DaySummary) -> Wearables:
    return Wearables(days=days)
