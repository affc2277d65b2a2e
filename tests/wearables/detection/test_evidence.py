"""What is given as data answers what detectors ask, as a database would."""

from datetime import UTC, date, datetime

from cds_service.wearables.detection.episodes import Closing, Episode, StoredEpisode
from cds_service.wearables.detection.evidence import GivenEvidence
from cds_service.wearables.series import Point, Series
from cds_service.wearables.summaries import DaySummary

EIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)
EIGHT_US = 1_795_334_400_000_000
HOUR = 3_600_000_000
EPISODE = Episode(
    detector="fast",
    version="1.0.0",
    alert_type="high-heart-rate",
    start=EIGHT,
    opened=EIGHT.replace(minute=10),
    last=EIGHT.replace(hour=9),
    end=EIGHT.replace(minute=50),
    closing=Closing.RECOVERED,
    peak=131,
    median=118,
    threshold=100,
    n=50,
    coverage=1.0,
    source="watch",
    device="Watch",
)


def test_readings_are_those_that_start_in_a_time() -> None:
    points = [Point(hour * HOUR, hour * HOUR, 70, 0) for hour in (1, 2, 3)]
    evidence = GivenEvidence({"heart-rate": Series("heart-rate", (), points)})

    found = evidence.series("heart-rate", HOUR, 3 * HOUR)

    assert [each.start_us // HOUR for each in found.points] == [1, 2]
    assert not evidence.series("steps", 0, HOUR).points


def test_what_reaches_beyond_an_instant_began_before_it() -> None:
    lasts = [Point(1 * HOUR, end * HOUR, 70, 0) for end in (1, 2, 3)]
    evidence = GivenEvidence({"steps": Series("steps", (), lasts)})

    found = evidence.reaching("steps", 0, 2 * HOUR)

    assert [each.end_us // HOUR for each in found.points] == [3]
    assert not evidence.reaching("steps", 2 * HOUR, 2 * HOUR).points
    assert not evidence.reaching("steps", 0, HOUR).points


def test_an_episode_is_there_from_its_start_to_what_showed_that_it_was_over() -> None:
    stored = [StoredEpisode("e-1", 0, EPISODE, False)]
    evidence = GivenEvidence(stored={"fast": stored})

    assert evidence.episodes("fast", EIGHT_US - HOUR, EIGHT_US) == stored
    assert evidence.episodes("fast", EIGHT_US + HOUR, EIGHT_US + 2 * HOUR) == stored
    assert evidence.episodes("fast", EIGHT_US - HOUR, EIGHT_US - 1) == []
    assert evidence.episodes("fast", EIGHT_US + HOUR + 1, EIGHT_US + 2 * HOUR) == []
    assert evidence.episodes("slow", EIGHT_US, EIGHT_US) == []


def test_summaries_are_those_of_the_days_that_are_asked_for() -> None:
    first, second, third = (
        DaySummary("heart-rate", date(2026, 11, day), "UTC", 1440) for day in (1, 2, 3)
    )
    night = DaySummary("heart-rate", date(2026, 11, 2), "UTC", 480, part="night")
    evidence = GivenEvidence(days=[second, night, first, third])

    asked = date(2026, 11, 1), date(2026, 11, 2)

    assert evidence.summaries("heart-rate", "day", *asked) == [first, second]
    assert evidence.summaries("heart-rate", "night", *asked) == [night]
    assert evidence.summaries("steps", "day", *asked) == []


def test_who_has_no_limit_of_their_own_has_none() -> None:
    evidence = GivenEvidence(own_limits={"fast": [(0, 120.0)]})

    assert evidence.limits("fast") == [(0, 120.0)]
    assert evidence.limits("slow") == ()
