"""What late readings make of episodes that are stored, and which one is which."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.detection.detectors import OwnLimit
from cds_service.wearables.detection.episodes import Closing, StoredEpisode
from cds_service.wearables.detection.evidence import GivenEvidence
from cds_service.wearables.detection.reassessing import reassess
from cds_service.wearables.detection.reconciling import reconcile
from cds_service.wearables.samples import Context, Device
from cds_service.wearables.series import Point, Series, Voice

from .wearer import (
    CATALOGUE,
    DETECTOR,
    EIGHT,
    EIGHT_US,
    FAST,
    HR,
    LATER,
    SECOND,
    STEPS,
    Wearer,
    detector,
    every,
    minutes,
    reading,
    seconds,
    walked,
)

UNKNOWN = Context.UNKNOWN


def ids(wearer: Wearer) -> list[str]:
    """Of the episodes, by their start."""
    stored = sorted(
        wearer.episodes.get("fast", []), key=lambda each: each.episode.start
    )
    return [each.id for each in stored]


def test_readings_that_come_later_extend_an_episode_under_its_id() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 20))
    assert ids(wearer) == ["e-1"]

    wearer.deliver(minutes(*[130] * 10, start=20))

    (stored,) = wearer.episodes["fast"]
    assert (stored.id, stored.rev) == ("e-1", 1)
    assert (seconds(stored.episode.last), stored.episode.peak) == (29 * 60, 130)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is given, and how far it was read."""

    given: GivenEvidence
    asked: list[int] = field(default_factory=list)

    def series(self, metric: str, from_us: int, to_us: int) -> Series:
        self.asked.append(to_us)
        return self.given.series(metric, from_us, to_us)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.given, name)


def test_an_episode_before_each_midnight_does_not_have_the_days_after_be_judged() -> (
    None
):
    wearer, day = Wearer(), 24 * 60
    evening = [115] * 46 + [70] * 11
    for number in range(10):
        wearer.deliver(minutes(*evening, start=15 * 60 + number * day))
    assert len(wearer.found()) == 10
    watched = Watched(wearer.evidence())

    noon = EIGHT_US + 4 * 3600 * SECOND
    found = reassess([DETECTOR], CATALOGUE, watched, {HR: (noon, noon)}, LATER)

    midnight = EIGHT_US + 16 * 3600 * SECOND
    assert found.changes == {}
    assert max(watched.asked) <= midnight + 3600 * SECOND


def test_late_readings_of_before_have_it_open_earlier_under_its_id() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 20, start=20))

    wearer.deliver(minutes(*[115] * 20))

    assert (ids(wearer), wearer.opened()) == (["e-1"], [600])


def test_late_readings_that_join_two_episodes_leave_the_older_one() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 15, start=100))
    wearer.deliver(minutes(*[115] * 15))
    assert ids(wearer) == ["e-2", "e-1"]

    wearer.deliver(minutes(*[115] * 85, start=15))

    assert (ids(wearer), wearer.opened()) == (["e-1"], [600])
    assert wearer.retracted == [("e-2", "e-1")]


def test_late_readings_that_split_an_episode_leave_its_id_to_the_first_part() -> None:
    wearer = Wearer()
    sparse = [*minutes(*[115] * 15), *minutes(*[115] * 15, start=40)]
    wearer.deliver(sparse)
    assert ids(wearer) == ["e-1"]

    wearer.deliver(minutes(*[80] * 25, start=15))

    assert ids(wearer) == ["e-1", "e-2"]
    assert wearer.opened() == [600, 49 * 60]
    assert wearer.retracted == []


def test_a_revision_below_clear_retracts_an_episode() -> None:
    wearer = Wearer()
    points = minutes(*[115] * 30)
    wearer.deliver(points)

    wearer.deliver(minutes(*[80] * 30), without=points)

    assert wearer.found() == []
    assert wearer.retracted == [("e-1", "")]


def test_readings_that_are_taken_back_retract_what_they_made() -> None:
    wearer = Wearer()
    points = minutes(*[115] * 30)
    wearer.deliver(points)

    wearer.deliver([], without=points)

    assert (wearer.found(), wearer.retracted) == ([], [("e-1", "")])
    assert wearer.tallies == {}


def test_the_same_readings_again_change_nothing() -> None:
    wearer = Wearer()
    points = minutes(*[115] * 30)
    wearer.deliver(points)

    found = wearer.look({HR: (points[0].start_us, points[-1].end_us)})

    assert found.changes == {}


def test_steps_that_come_later_prove_rest_of_readings_before_them() -> None:
    wearer = Wearer()
    wearer.deliver(every(60, [115] * 31, context=UNKNOWN))
    assert wearer.opened() == []

    wearer.deliver(walked(-300, 1800, 0), STEPS)

    assert wearer.opened() == [600]


def test_steps_that_come_later_retract_what_was_no_rest() -> None:
    wearer = Wearer()
    wearer.deliver(walked(-300, 1800, 0), STEPS)
    wearer.deliver(every(60, [115] * 31, context=UNKNOWN))
    assert wearer.opened() == [600]

    again = [each._replace(voice=0, value=90) for each in walked(-300, 1800, 90)]
    wearer.deliver(again, STEPS)

    assert wearer.found() == []


def test_what_opened_more_than_two_days_before_it_was_known_is_history() -> None:
    def history(after: timedelta) -> bool:
        wearer = Wearer()
        wearer.deliver(minutes(*[115] * 20), now=EIGHT + timedelta(minutes=10) + after)
        (stored,) = wearer.episodes["fast"]
        return stored.historical

    assert not history(timedelta(hours=48))
    assert history(timedelta(hours=48, seconds=1))


def test_what_was_news_once_does_not_become_history() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 20), now=EIGHT + timedelta(hours=1))

    wearer.deliver(minutes(130, start=20), now=EIGHT + timedelta(days=30))

    (stored,) = wearer.episodes["fast"]
    assert not stored.historical


def test_what_lasts_is_over_when_somebody_looks_and_nothing_came() -> None:
    wearer = Wearer()
    points = minutes(*[115] * 20)
    wearer.deliver(points, now=EIGHT + timedelta(minutes=30))
    (lasting,) = wearer.found()

    last = points[-1].start_us
    wearer.look({HR: (last, last)}, EIGHT + timedelta(hours=2))

    (over,) = wearer.found()
    assert (lasting.closing, over.closing) == (Closing.LASTS, Closing.NO_DATA)


def test_an_episode_over_midnight_is_one() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 60, start=15 * 60 + 30))

    wearer.deliver(minutes(*[115] * 60, start=16 * 60 + 30))

    (episode,) = wearer.found()
    assert episode.n == 120
    assert {day for _, day, _ in wearer.tallies} == {"2026-11-22", "2026-11-23"}


def test_an_episode_of_days_is_found_from_its_beginning() -> None:
    wearer = Wearer()
    for hour in range(0, 72, 6):
        wearer.deliver(every(120, [115] * 180, start=hour * 3600))

    (episode,) = wearer.found()
    assert (seconds(episode.opened), episode.n) == (600, 12 * 180)


def test_a_late_day_in_the_middle_reaches_as_far_as_it_matters() -> None:
    """Two days high, but for what is not told yet; then it is told: it was not."""
    wearer = Wearer()
    wearer.deliver(every(120, [115] * 1440))
    assert len(wearer.found()) == 1

    calm = every(60, [80] * 30, start=20 * 3600 + 30)
    wearer.deliver(calm)

    assert len(wearer.found()) == 1
    high = [
        each
        for each in wearer.kept[HR]
        if each.value == 115
        and 0 <= each.start_us - calm[0].start_us <= 30 * 60 * SECOND
    ]
    wearer.deliver([], without=high)
    assert ids(wearer) == ["e-1", "e-2"]


def test_only_days_that_can_have_changed_are_looked_at() -> None:
    wearer = Wearer()
    wearer.deliver(every(300, [80] * 2000))

    found = wearer.deliver([reading(3 * 86_400 + 4 * 3600, 80)])

    assert found.tallied == {"fast": (date(2026, 11, 25), date(2026, 11, 25))}


def test_a_reading_just_after_midnight_has_a_say_in_the_day_before() -> None:
    found = Wearer().deliver([reading(16 * 3600 + 60, 115)])

    assert found.tallied == {"fast": (date(2026, 11, 22), date(2026, 11, 23))}


BRIEF = replace(
    FAST,
    hold=timedelta(seconds=60),
    gap=timedelta(seconds=30),
    readings=2,
    coverage=0.9,
)
PHONES = [Voice("phone", device=Device(name=name)) for name in ("A", "B")]
MIDNIGHT = 16 * 3600


def by(voice: int, points: list[Point]) -> list[Point]:
    return [each._replace(voice=voice) for each in points]


def test_whose_turn_a_quarter_of_an_hour_is_has_a_say_beyond_midnight() -> None:
    """B tells of more of the last quarter: A's last minute counts no longer."""
    wearer = Wearer([detector(BRIEF)], PHONES)
    wearer.deliver(by(0, every(30, [115] * 5, start=MIDNIGHT - 60)))
    wearer.deliver(by(1, [reading(MIDNIGHT - 60, 80)]))
    assert wearer.opened() == [MIDNIGHT]

    wearer.deliver(by(1, every(60, [80, 80], start=MIDNIGHT - 840)))

    assert wearer.opened() == [MIDNIGHT + 60]


def test_whose_turn_a_quarter_of_an_hour_is_has_a_say_before_midnight() -> None:
    """Rest unknown, and by B alone would it have been an episode at rest."""
    wearer = Wearer([detector(BRIEF)], PHONES)
    unknown = every(30, [115] * 4, start=MIDNIGHT - 60, context=UNKNOWN)
    wearer.deliver([*unknown[:2], *by(1, unknown[2:]), reading(MIDNIGHT + 30, 80)])
    assert wearer.not_judged() == {"low-coverage": 2}

    wearer.deliver(by(1, every(60, [80, 80], start=MIDNIGHT + 780)))

    assert wearer.not_judged() == {"rest-unknown": 4}


def test_steps_before_midnight_have_a_say_in_rest_after_it() -> None:
    wearer = Wearer([detector(BRIEF)])
    wearer.deliver(walked(MIDNIGHT - 600, MIDNIGHT + 300, 0), STEPS)
    wearer.deliver(every(30, [115] * 5, start=MIDNIGHT, context=UNKNOWN))
    assert wearer.opened() == [MIDNIGHT + 60]

    wearer.deliver(walked(MIDNIGHT - 300, MIDNIGHT - 240, 90), STEPS)

    assert wearer.opened() == [MIDNIGHT + 120]


def test_what_was_before_midnight_is_known_when_only_the_next_day_is_looked_at() -> (
    None
):
    wearer = Wearer([detector(BRIEF)])
    steps = walked(MIDNIGHT - 960, MIDNIGHT - 60, 1350, length=900)
    wearer.deliver([*steps, *walked(MIDNIGHT - 60, MIDNIGHT + 300, 0)], STEPS)
    wearer.deliver(every(30, [115] * 7, start=MIDNIGHT, context=UNKNOWN))
    assert (wearer.found(), wearer.not_judged()) == ([], {})

    found = wearer.deliver([reading(MIDNIGHT + 1800, 80)])

    assert found.tallied == {"fast": (date(2026, 11, 23), date(2026, 11, 23))}
    assert (wearer.found(), wearer.not_judged()) == ([], {})


def test_an_episode_that_began_before_midnight_stays_what_it_is() -> None:
    wearer = Wearer()
    wearer.deliver(every(60, [115] * 36, start=MIDNIGHT - 300))
    assert wearer.opened() == [MIDNIGHT + 300]

    found = wearer.deliver([reading(MIDNIGHT + 43_200, 80)])

    assert found.tallied == {"fast": (date(2026, 11, 23), date(2026, 11, 23))}
    assert found.changes == {}


def test_what_comes_after_midnight_is_known_when_only_the_day_before_is_looked_at() -> (
    None
):
    wearer = Wearer()
    wearer.deliver(every(60, [115] * 16, start=MIDNIGHT - 300, context=UNKNOWN))
    assert wearer.not_judged() == {"rest-unknown": 16}

    found = wearer.deliver([reading(MIDNIGHT - 7200, 80)])

    assert found.tallied == {"fast": (date(2026, 11, 22), date(2026, 11, 22))}
    assert wearer.not_judged() == {"rest-unknown": 16}


def test_what_goes_on_after_midnight_is_the_episode_of_the_evening() -> None:
    wearer = Wearer()
    wearer.deliver(every(60, [115] * 20, start=MIDNIGHT - 1800))

    wearer.deliver(every(60, [115] * 15, start=MIDNIGHT + 1800))

    (episode,) = wearer.found()
    assert (seconds(episode.last), ids(wearer)) == (MIDNIGHT + 2640, ["e-1"])


@pytest.mark.parametrize(
    ("day", "minutes_long"),
    [(date(2026, 3, 8), 1380), (date(2026, 11, 1), 1500), (date(2026, 11, 2), 1440)],
)
def test_a_day_is_as_long_as_it_is_where_the_wearer_lives(
    day: date, minutes_long: int
) -> None:
    zone = ZoneInfo("America/New_York")
    wearer = Wearer(zone=zone)
    begin = round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
    points = [
        Point(at * SECOND, at * SECOND, 80, 0)
        for at in range(begin - 7200, begin + 30 * 3600, 60)
    ]

    wearer.deliver(points, now=datetime.fromtimestamp(begin, UTC))

    tally = wearer.tallies["fast", day.isoformat(), "watch"]
    assert tally.judged == minutes_long


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1)])
def test_no_hour_that_a_clock_skips_or_repeats_makes_or_hides_an_episode(
    day: date,
) -> None:
    zone = ZoneInfo("America/New_York")
    wearer = Wearer(zone=zone)
    begin = round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
    points = [
        Point(at * SECOND, at * SECOND, 115, 0, context=Context.REST)
        for at in range(begin + 3600, begin + 3 * 3600, 60)
    ]

    for number in range(0, len(points), 10):
        wearer.deliver(points[number : number + 10])

    (episode,) = wearer.found()
    assert episode.opened.timestamp() == begin + 3600 + 600
    assert episode.n == 120


def test_two_detectors_of_one_metric_are_judged_each_for_itself() -> None:
    faster = replace(detector(name="faster"), own_limit=OwnLimit(120, 120))
    wearer = Wearer([DETECTOR, faster], limits=[(0, 120.0)])

    found = wearer.deliver(minutes(*[115] * 31))

    assert set(found.tallied) == {"fast", "faster"}


def test_what_two_stored_episodes_share_goes_to_the_one_stored_first() -> None:
    wearer = Wearer()
    wearer.deliver([*minutes(*[115] * 15), *minutes(*[115] * 15, start=100)])
    first, second = wearer.found()
    stored = [StoredEpisode("b", 0, second, False), StoredEpisode("a", 0, first, False)]
    whole = replace(first, last=second.last, end=second.end)

    changes = reconcile(DETECTOR, stored, [whole], EIGHT)

    assert [(each.id, each.episode) for each in changes.revised] == [("b", whole)]
    assert [tuple(each) for each in changes.retracted] == [("a", "b")]


def test_one_that_ends_where_another_begins_is_another() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 20))
    (episode,) = wearer.found()
    assert episode.end is not None
    after = replace(
        episode,
        start=episode.end,
        opened=episode.end + timedelta(minutes=10),
        last=episode.end + timedelta(minutes=20),
        end=episode.end + timedelta(minutes=20),
    )

    changes = reconcile(
        DETECTOR, [StoredEpisode("a", 0, episode, False)], [episode, after], EIGHT
    )

    assert [each.episode for each in changes.new] == [after]
    assert (changes.revised, changes.retracted) == ((), ())


def test_eight_is_eight() -> None:
    assert EIGHT.timestamp() * SECOND == EIGHT_US
