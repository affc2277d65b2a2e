"""Recurrence: episodes that open so soon after another that they are one matter. Pure.

Source: wearables.md section 3.2 step 9: one notification, and what opens within the
cooldown is the same again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

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


def tell_recurrences(
    alerts: Iterable[WearableAlert], detectors: Mapping[str, Detector]
) -> tuple[WearableAlert, ...]:
    """Return the alerts in their order, and of each episode which of its row it is."""
    found = tuple(alerts)
    places: dict[str, int] = {}
    for name, detector in detectors.items():
        own = sorted(
            (each for each in found if each.detector == name),
            key=lambda each: (each.opened, each.id),
        )
        told = places_in_rows([each.opened for each in own], detector.cooldown)
        places |= {each.id: place for each, place in zip(own, told, strict=True)}
    if not places:
        return found
    return tuple(
        (
            replace(each, recurrence=places[each.id])
            if each.detector in detectors
            else each
        )
        for each in found
    )
