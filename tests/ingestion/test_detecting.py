"""What is due is judged by one of all processes, by and by."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.ingestion.detecting import LOOK, PAUSE, DueDetection, catch_up
from cds_service.store.detection.records import Detection, DetectionOutcome
from cds_service.store.samples.records import StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

from ..store.detection.conftest import catalogue, detection, detector
from ..store.detection.hours import (
    EIGHT,
    JANE,
    MINUTE,
    NOW,
    due,
    episodes,
    hour,
    say,
    take,
)

__all__ = ["catalogue", "detection", "detector"]

DAY = timedelta(days=1)


class Clock:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted() -> list[DetectionOutcome]:
    """What was counted of it."""
    return []


@pytest.fixture
def worker(
    store: Store, detection: Detection, clock: Clock, counted: list[DetectionOutcome]
) -> Callable[[], DueDetection]:
    """Makes one of several that look at the same database."""
    short = replace(detection, days=2)
    return lambda: DueDetection(
        store, lambda tenant: short, clock, print, counted.append
    )


def rest(worker: DueDetection, most: int = 20) -> int:
    """Have a worker look until it waits for more; how often it did something."""
    looks = 0
    while worker.look() == PAUSE:
        looks += 1
        assert looks < most
    return looks


def test_what_is_due_is_judged_a_part_at_a_time_and_then_there_is_nothing_to_do(
    store: Store,
    detection: Detection,
    worker: Callable[[], DueDetection],
    counted: list[DetectionOutcome],
) -> None:
    told = [each for n in range(6) for each in hour(since=EIGHT - n * DAY)]
    take(store, told, replace(detection, days=2))
    assert episodes(store) == []

    assert rest(worker()) > 2

    assert len(episodes(store)) == 6 and due(store) == []
    opened = [each for part in counted for each in part.episodes]
    assert {each.happened for each in opened} == {("opened", "closed")}
    assert len(opened) == 6


def test_of_several_workers_one_judges_and_the_others_wait(
    store: Store, worker: Callable[[], DueDetection]
) -> None:
    take(store, hour(), None)
    store.detections.note_all(JANE.patient, NOW)
    one, other = worker(), worker()
    one.look()

    assert (other.look(), episodes(store)) == (LOOK, [])
    rest(one)

    assert len(episodes(store)) == 1
    assert other.look() == LOOK


def test_a_patient_with_whom_something_goes_wrong_keeps_no_other_waiting(
    store: Store, detection: Detection, clock: Clock
) -> None:
    """Whoever waits longest comes first, and would have the rest wait for ever."""
    said = []

    def detection_of(tenant: str) -> Detection:
        if tenant == "east":
            raise RuntimeError("a bug, and a name")
        return detection

    def log(event: str, **facts: Any) -> None:
        said.append((event, facts["problem"]))

    east = JANE._replace(patient=JANE.patient._replace(tenant="east"))
    for owner, at in ((east, NOW - DAY), (JANE, NOW)):
        take(store, hour(), None, owner)
        store.detections.note_all(owner.patient, at)
    worker = DueDetection(store, detection_of, clock, log)

    for _ in range(3):
        worker.look()

    assert len(episodes(store)) == 1 and due(store) == []
    assert said == [("nothing judged", "RuntimeError")]
    assert len(due(store, east)) > 0


def test_what_was_not_permitted_is_tried_again_after_a_while(
    store: Store,
    detection: Detection,
    worker: Callable[[], DueDetection],
    clock: Clock,
) -> None:
    say(store, "collect")
    take(store, hour(), detection)
    looking = worker()
    rest(looking)
    say(store, "collect", "use")
    rest(looking)
    assert episodes(store) == []

    clock.now += timedelta(minutes=2)
    rest(looking)

    assert len(episodes(store)) == 1 and due(store) == []


def test_what_lasts_is_over_soon_after_nothing_came_for_too_long(
    store: Store,
    detection: Detection,
    worker: Callable[[], DueDetection],
    clock: Clock,
) -> None:
    clock.now = EIGHT + 70 * MINUTE
    take(store, hour(), detection, now=clock.now)
    looking = worker()
    rest(looking)
    assert [each[3] for each in episodes(store)] == [""]

    clock.now = EIGHT + 125 * MINUTE
    rest(looking)

    assert [each[3] for each in episodes(store)] == ["no-data"]


def test_those_that_stay_open_keep_no_other_from_being_seen_to(
    store: Store, detection: Detection, clock: Clock
) -> None:
    clock.now = EIGHT + 70 * MINUTE
    joan = StreamOwner(PatientKey("north", "-", "joan"), "watch")
    for owner in (JANE, joan):
        take(store, hour(), detection, owner, clock.now)
    say(store, "use", kind="deny")
    looking = DueDetection(
        store, lambda tenant: detection, clock, print, silent_at_once=1
    )
    rest(looking)

    for minutes in (125, 130, 135):
        clock.now = EIGHT + minutes * MINUTE
        rest(looking)

    assert [each[3] for each in episodes(store, joan)] == ["no-data"]
    assert [each[3] for each in episodes(store)] == [""]


def test_what_is_caught_up_after_a_delivery_is_no_more_than_it_is_given(
    store: Store, detection: Detection
) -> None:
    short = replace(detection, days=2)
    told = [each for n in range(6) for each in hour(since=EIGHT - n * DAY)]
    take(store, told, short)

    done = catch_up([JANE.patient], store, lambda tenant: short, NOW)

    assert 0 < len(done.episodes) < 6 and done.due
    nobody = catch_up([JANE.patient], store, lambda tenant: None, NOW)
    assert nobody == DetectionOutcome()
