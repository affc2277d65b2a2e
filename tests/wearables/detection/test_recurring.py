"""What opens soon after another episode is the same matter again."""

from datetime import UTC, datetime, timedelta

from cds_service.wearables.detection.detectors import Decline, Detector
from cds_service.wearables.detection.recurring import find_places, places_in_rows
from cds_service.wearables.records import PatientKey, WearableAlert

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def after(*hours: float) -> list[datetime]:
    return [NOON + timedelta(hours=each) for each in hours]


def found(number: int, hours: float, detector: str = "fast") -> WearableAlert:
    """An episode that opened so many hours after noon."""
    opened = NOON + timedelta(hours=hours)
    return WearableAlert(
        f"e{number}",
        PatientKey("default", "-", "p1"),
        "high-heart-rate",
        opened,
        opened,
        detector=detector,
    )


def detector(name: str) -> Detector:
    pattern = Decline(0.5, "total", 7, 28, 7, timedelta(hours=10))
    return Detector(
        *(name, "1.0.0", "", "steps", "falling-steps", "1", pattern, "active"),
        lateness=DAY,
        cooldown=DAY,
    )


def test_three_high_half_hours_of_a_morning_are_one_matter() -> None:
    assert places_in_rows(after(0, 1, 2), DAY) == [1, 2, 3]


def test_a_row_goes_on_as_long_as_each_opens_within_a_day_of_the_one_before() -> None:
    assert places_in_rows(after(0, 24, 48), DAY) == [1, 2, 3]
    assert places_in_rows(after(0, 24.1, 48.1), DAY) == [1, 1, 2]


def test_nothing_recurs_where_nothing_was() -> None:
    assert places_in_rows([], DAY) == []
    assert places_in_rows(after(0), DAY) == [1]


def test_each_episode_says_its_place_among_those_of_its_detector() -> None:
    late, first, other = found(2, 3), found(1, 0), found(3, 1, "slow")
    vendors = found(4, 2, "")
    detectors = {name: detector(name) for name in ("fast", "slow")}

    places = find_places([late, first, other, vendors], detectors)

    assert places == {"e1": 1, "e2": 2, "e3": 1}
