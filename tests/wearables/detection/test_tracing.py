"""Reading by reading, it is told why an episode opened or not."""

from dataclasses import replace

from cds_service.wearables.detection.detectors import DaysBeyond, Direction
from cds_service.wearables.detection.episodes import NotJudged
from cds_service.wearables.detection.rest import Resting
from cds_service.wearables.detection.tracing import (
    Event,
    Lacking,
    TracedReading,
    trace,
)
from cds_service.wearables.samples import Context, Flag
from cds_service.wearables.series import Point

from .wearer import (
    CATALOGUE,
    DETECTOR,
    EIGHT,
    EIGHT_US,
    LATER,
    SECOND,
    Wearer,
    every,
    minutes,
    reading,
)


def traced(points: list[Point], until: float = 86_400) -> list[TracedReading]:
    wearer = Wearer()
    wearer.deliver(points)
    span = EIGHT_US, EIGHT_US + round(until * SECOND)
    return list(trace(DETECTOR, CATALOGUE, wearer.evidence(), span, LATER))


def test_the_reading_with_which_it_opens_tells_what_there_was() -> None:
    found = traced(minutes(*[115] * 12))

    assert found[10] == TracedReading(
        at=EIGHT.replace(minute=10),
        value=115,
        source="watch",
        device="",
        limit=100,
        in_breach=True,
        resting=Resting.AT_REST,
        covered=1.0,
        breached=1.0,
        n=11,
        late_seconds=0.0,
        event=Event.OPENS,
    )
    assert [each.event for each in found[9:]] == [
        Event.NONE,
        Event.OPENS,
        Event.NO_DATA,
    ]


def test_a_reading_with_which_none_opens_tells_what_is_lacking() -> None:
    found = traced([*minutes(115, 115, 80), *minutes(80, start=30)])

    assert found[0].lacks == (
        Lacking.READINGS,
        Lacking.COVERAGE,
        Lacking.START,
        Lacking.SHARE,
    )
    assert found[1].lacks == (Lacking.READINGS, Lacking.COVERAGE, Lacking.START)
    assert (found[1].covered, found[1].late_seconds) == (0.1, 540.0)
    assert (found[2].breached, found[3].n) == (1.0, 1)


def test_a_reading_of_a_spike_lacks_a_share_in_breach() -> None:
    found = traced(minutes(*[80] * 14, 130, 130, *[80] * 14))

    assert found[15].lacks == (Lacking.SHARE,)
    assert found[15].breached == 0.1


def test_a_recovery_is_told_where_it_is_complete() -> None:
    found = traced(minutes(*[115] * 12, *[90] * 15))

    assert [number for number, each in enumerate(found) if each.event] == [
        *range(10, 23)
    ]
    assert found[22].event is Event.RECOVERED
    assert found[21].event is Event.GOES_ON


def test_a_reading_of_which_rest_is_unknown_tells_that() -> None:
    found = traced(every(60, [115] * 12, context=Context.UNKNOWN))

    assert {each.not_judged for each in found} == {NotJudged.REST_UNKNOWN}
    assert (found[0].resting, found[0].covered) == (Resting.UNKNOWN, None)


def test_what_was_typed_stands_among_the_others() -> None:
    found = traced(
        [reading(0, 80), reading(60, 115, flags=Flag.MANUAL), reading(120, 80)]
    )

    assert [each.not_judged for each in found] == [None, NotJudged.BY_HAND, None]
    assert found[1].limit is None


def test_only_readings_of_the_time_are_told() -> None:
    found = traced(minutes(*[115] * 30), until=600)

    assert (len(found), found[-1].event) == (11, Event.OPENS)


def test_a_detector_of_days_has_nothing_to_tell_of_readings() -> None:
    daily = DaysBeyond(Direction.ABOVE, 100, "mean", 2, 3)
    other = replace(DETECTOR, pattern=daily)
    evidence = Wearer().evidence()

    assert list(trace(other, CATALOGUE, evidence, (0, EIGHT_US), LATER)) == []
