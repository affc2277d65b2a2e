"""Days that are higher or lower than the wearer's own before."""

from dataclasses import replace

import pytest

from cds_service.wearables.detection.detectors import Direction
from cds_service.wearables.detection.episodes import Closing

from .dated import SHIFT, STEADY, find, reasons, spells, written


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (f"{STEADY} 70 70", ["9-10-10 lasts"]),
        (f"{STEADY} 70 69.9", []),
        (f"{STEADY} 69.9 70", []),
        (f"{STEADY} 70 60 70", []),
        (f"{STEADY} 70 _ 70", []),
        (f"{STEADY} 70 70 60", ["9-10-10 recovered"]),
        (f"{STEADY} 70 70 _ 60", ["9-10-10 recovered"]),
        (f"{STEADY} 70 70 _ 70", ["9-10-12 lasts"]),
        (f"{STEADY} 70 70 _ _ _ 70", ["9-10-14 lasts"]),
        (f"{STEADY} 70 70 _ _ _ _ 70", ["9-10-10 no-data"]),
        (f"{STEADY} 70 70 70 70 70 70 70 70 70 70", ["9-10-18 lasts"]),
    ],
)
def test_days_are_higher_than_one_s_own_baseline(
    values: str, expected: list[str]
) -> None:
    assert spells(find(SHIFT, written(values))) == expected


def test_the_baseline_does_not_move_while_it_lasts() -> None:
    rising = f"{STEADY} 70 71 72 73 74 75 76 77 78 79 80"

    (episode,) = find(SHIFT, written(rising)).episodes

    assert (episode.threshold, episode.peak, episode.n) == (70, 80, 11)
    assert episode.closing is Closing.LASTS


@pytest.mark.parametrize(
    ("left_out", "opens", "said"), [(2, True, "+"), (1, False, "+"), (3, False, "few")]
)
def test_the_last_days_are_no_part_of_the_baseline(
    left_out: int, opens: bool, said: str
) -> None:
    pattern = replace(SHIFT, days=1, baseline=2, least=2, left_out=left_out)

    found = find(pattern, written("60 60 69 69 70"), first=5)

    assert (bool(found.episodes), reasons(found)) == (opens, said)


@pytest.mark.parametrize(
    ("before", "then", "opens"),
    [
        # Median 60, of deviations 6: 3 · 1.4826 · 6 = 26.6868.
        ("54 66 54 60 66 60 60 60", "86.7", True),
        ("54 66 54 60 66 60 60 60", "86.6", False),
    ],
)
def test_who_varies_more_has_to_be_higher_by_more(
    before: str, then: str, opens: bool
) -> None:
    pattern = replace(SHIFT, days=1)

    found = find(pattern, written(f"{before} {then}"), first=9)

    assert bool(found.episodes) is opens


@pytest.mark.parametrize(
    ("values", "opens", "said"),
    [
        ("60 60 60 60 _ _ _ _ 70", True, "+"),
        ("60 60 60 _ _ _ _ _ 70", False, "few"),
        ("60 60 60 60*0.5 _ _ _ _ 70", False, "few"),
    ],
)
def test_a_baseline_takes_so_many_days(values: str, opens: bool, said: str) -> None:
    found = find(replace(SHIFT, days=1), written(values), first=9)

    assert (bool(found.episodes), reasons(found)) == (opens, said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (f"{STEADY} 60 60", "few few few few few few + + + +"),
        (f"{STEADY} 70 70", "few few few few few few + + + +"),
        (f"{STEADY} _ 70", "few few few few few few + + few"),
        (f"{STEADY} _ 60", "few few few few few few + + +"),
    ],
)
def test_a_shift_is_not_judged_on_the_first_days_and_after_a_gap(
    values: str, said: str
) -> None:
    assert reasons(find(SHIFT, written(values))) == said


def test_a_day_whose_eve_has_no_baseline_yet_is_not_judged() -> None:
    # The baseline of the sixth day is of none of 4 days, that of the seventh is.
    found = find(SHIFT, written("60 60 60 60 60 80 80"), first=7)

    assert (spells(found), reasons(found)) == ([], "few")


def test_days_may_be_lower_than_the_baseline() -> None:
    pattern = replace(SHIFT, direction=Direction.AT_MOST)

    (episode,) = find(pattern, written(f"{STEADY} 50 49")).episodes

    assert (episode.peak, episode.threshold) == (49, 50)
    assert spells(find(pattern, written(f"{STEADY} 50 50.1"))) == []


def test_a_difference_in_how_numbers_are_reckoned_makes_none() -> None:
    steady = " ".join(["60.1"] * 8)

    assert 70.1 < 60.1 + 10.000000000000002
    assert spells(find(SHIFT, written(f"{steady} 70.1 70.1"))) == ["9-10-10 lasts"]
