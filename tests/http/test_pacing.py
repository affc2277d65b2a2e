"""When a busy server is asked again."""

from datetime import UTC, datetime

import pytest

from cds_service.http.pacing import Backoff, parse_retry_after, seconds_until_reset

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_wait_doubles_up_to_the_longest():
    backoff = Backoff(first_seconds=0.5, longest_seconds=3)

    waits = [backoff.pause(failed, None, lambda: 1.0) for failed in (1, 2, 3, 4, 900)]

    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_jitter_is_full():
    assert Backoff().pause(3, None, lambda: 0.0) == 0.0
    assert Backoff().pause(3, None, lambda: 0.25) == 0.5


def test_a_wait_that_is_asked_for_is_not_cut_short():
    assert Backoff().pause(1, 7.0, lambda: 0.0) == 7.0
    assert Backoff().pause(1, 7.0, lambda: 1.0) == 7.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        ("0", "30", 30.0),
        ("0", str(int(NOW.timestamp()) + 40), 40.0),
        ("0", str((int(NOW.timestamp()) + 50) * 1000), 50.0),
        ("0", str(int(NOW.timestamp()) - 40), 0.0),
        ("1", "30", 0.0),
        ("0", "later", 0.0),
        ("none", "30", 0.0),
    ],
)
def test_a_limit_that_is_used_up_is_waited_out(remaining, reset, seconds):
    for prefix in ("X-RateLimit", "RateLimit"):
        headers = {f"{prefix}-Remaining": remaining, f"{prefix}-Reset": reset}
        assert seconds_until_reset(headers, NOW) == seconds


def test_without_limits_nothing_is_waited_for():
    assert seconds_until_reset({}, NOW) == 0.0
