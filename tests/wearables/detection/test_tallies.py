"""What is said of readings that could not be judged."""

import pytest

from cds_service.wearables.detection.episodes import NotJudged

from .wearer import Wearer, every


@pytest.mark.parametrize("apart", [1200, 3600, 21_600])
def test_readings_of_which_each_stands_alone_are_said_to_lie_too_far_apart(
    apart: int,
) -> None:
    wearer = Wearer()
    wearer.deliver(every(apart, [130, 120, 115]))

    (tally,) = wearer.tallies.values()

    assert tally.not_judged == {NotJudged.TOO_SPARSE: 3}
    assert (tally.judged, tally.opened) == (0, 0)


def test_readings_that_stand_alone_and_are_not_in_breach_are_judged() -> None:
    wearer = Wearer()
    wearer.deliver(every(3600, [70, 80, 75]))

    (tally,) = wearer.tallies.values()

    assert (tally.judged, tally.not_judged) == (3, {})
