"""How long is waited after a failure, and when it is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.delivery.backoff import Tried, again_at, rest

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("times", "longest"), [(1, 2), (2, 4), (3, 8), (6, 64), (7, 128)]
)
def test_the_wait_is_anything_up_to_twice_as_long_each_time(
    times: int, longest: int
) -> None:
    tried = Tried(times, NOW)

    assert again_at(tried, NOW, 0.0) == NOW
    assert again_at(tried, NOW, 1.0) == NOW + longest * SECOND


def test_nobody_waits_longer_than_five_minutes_of_their_own_accord() -> None:
    assert rest(30) == timedelta(minutes=5)


def test_after_eight_tries_it_is_given_up() -> None:
    assert again_at(Tried(8, NOW), NOW, 0.5) is None


def test_after_a_day_it_is_given_up_however_often_it_was_tried() -> None:
    first = NOW - timedelta(hours=24)

    assert again_at(Tried(1, first), NOW, 0.5) is None
    assert again_at(Tried(1, first + SECOND), NOW, 0.5) is not None


def test_it_waits_as_long_as_the_other_side_asks() -> None:
    asked = Tried(1, NOW, timedelta(minutes=7))

    assert again_at(asked, NOW, 0.0) == NOW + timedelta(minutes=7)
    assert rest(1, timedelta(minutes=7)) == timedelta(minutes=7)


@pytest.mark.parametrize("asked", [timedelta(days=400), timedelta(hours=1)])
def test_nobody_is_believed_who_asks_for_more_than_an_hour(asked: timedelta) -> None:
    assert rest(1, asked) == timedelta(hours=1)


def test_a_wait_in_the_past_is_none() -> None:
    assert rest(1, -SECOND) == timedelta(0)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0), (4, 0), (5, 5), (6, 10), (9, 80), (11, 300)]
)
def test_a_destination_is_left_alone_after_five_failures_in_a_row(
    failures: int, seconds: int
) -> None:
    assert rest(failures) == seconds * SECOND
