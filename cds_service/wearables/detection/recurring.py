"""Recurrence: episodes that open so soon after another that they are one matter. Pure.

Source: wearables.md section 3.2 step 9: one notification, and what opens within the
cooldown is the same again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from ..records import WearableAlert
from .detectors import Detector


def places_in_rows(opened: Sequence[datetime], within: timedelta) -> Sequence[int]:
    """Return which of its row each is, from 1 on; moments are given as they rise.

    One is of the row of the one before it where it opens at most so long after it.
    """
    places: list[int] = []
    for number, each in enumerate(opened):
        again = number > 0 and each - opened[number - 1] <= within
        places.append(places[-1] + 1 if again else 1)
    return places


def find_places(
    alerts: Iterable[WearableAlert], detectors: Mapping[str, Detector]
) -> Mapping[str, int]:
    """Return of each episode of these detectors, by its id, which of its row it is."""
    found: dict[str, list[WearableAlert]] = {}
    for each in alerts:
        if each.detector in detectors:
            found.setdefault(each.detector, []).append(each)
    places: dict[str, int] = {}
    for name, episodes in found.items():
        episodes.sort(key=attrgetter("opened", "id"))
        opened = [each.opened for each in episodes]
        told = places_in_rows(opened, detectors[name].cooldown)
        places |= zip([each.id for each in episodes], told, strict=True)
    return places
