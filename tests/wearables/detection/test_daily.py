"""How far back patterns of days look, and that nothing further back has a say."""

from datetime import timedelta

import pytest

from cds_service.wearables.detection.daily import Daily, lookback
from cds_service.wearables.detection.detectors import (
    Direction,
    Gain,
    Rest,
    SustainedBreach,
)

from .dated import DECLINE, LIMIT, SHIFT, at, find, written


@pytest.mark.parametrize(
    ("pattern", "days"),
    [
        (LIMIT, 2),
        (SHIFT, 1 + 2 + 6),
        (DECLINE, 3 + 5 - 1),
        (Gain(((1, 1.4), (7, 2.3), (3, 2)), 5), 7),
        (
            SustainedBreach(
                Direction.ABOVE,
                100,
                95,
                *[timedelta(minutes=10), timedelta(minutes=3)],
                0.7,
                0.9,
                4,
                timedelta(),
                timedelta(minutes=10),
                timedelta(hours=1),
                Rest("steps", 10, timedelta(minutes=5), timedelta(minutes=15), 0.8),
            ),
            0,
        ),
    ],
)
def test_how_many_days_before_have_a_say(
    pattern: Daily | Gain | SustainedBreach, days: int
) -> None:
    assert lookback(pattern) == days


@pytest.mark.parametrize("pattern", [LIMIT, SHIFT])
def test_what_lies_further_back_than_that_has_no_say(pattern: Daily) -> None:
    rows = written("150 20 150 60 60 60 60 60 60 60 61 90 110 110 104")
    back = lookback(pattern)
    near = [each for each in rows if each.day >= at(14 - back)]

    assert find(pattern, rows, first=14) == find(pattern, near, first=14)
