"""Detection in the transaction of a delivery: whatever comes, the episodes follow."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.store.detection.records import Detection, SilentLook
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    Intake,
    StoredAnswer,
    TakenIn,
)
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.store.upkeep.pruning import Keep
from cds_service.wearables.detection.detectors import (
    DaysBeyond,
    Detector,
    Direction,
)
from cds_service.wearables.detection.episodes import Closing
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.samples import Removal

from ...waiting import PATIENCE
from ..samples.test_links import EVENT, link, owner
from .hours import (
    DELIVERY,
    EIGHT,
    JANE,
    MINUTE,
    NOW,
    beats,
    due,
    episodes,
    hour,
    judge_due,
    steps,
    take,
)

WHOLE = (0, 10, 59, "no-data", 115, "closed")
"""What an hour of 115 a minute is, once nothing came for an hour."""


def test_an_episode_opens_with_the_delivery_that_tells_it(
    store: Store, detection: Detection
) -> None:
    taken = take(store, hour(), detection)
    again = take(store, hour(), detection)

    assert episodes(store) == [WHOLE]
    (change,) = taken.detected.episodes
    assert (change.status, change.happened) == ("closed", ("opened", "closed"))
    assert taken.told()["episodes"][0][0] == "jane"
    assert again.detected.episodes == ()
    assert taken.count() == {"accepted": 130} and again.count() == {"duplicate": 130}


def skew(store: Store, detection: Detection | None, number: int = 3) -> TakenIn:
    """Have so many readings of the future refused."""
    skewed = {(JANE, "heart-rate"): number}
    intake = Intake(skewed=skewed, detection=detection)
    return store.take_in(intake, DELIVERY, NOW)


def not_judged(store: Store) -> dict[str, dict[str, int]]:
    """Why, by the day and the source."""
    found = store.detections.tallies("north", EIGHT.date(), JANE.patient)
    return {
        f"{each.day} {each.source} {each.judged}": {
            str(why): n for why, n in each.not_judged.items()
        }
        for each in found
    }


def test_readings_of_a_clock_that_is_ahead_are_told_as_not_judged(
    store: Store, detection: Detection
) -> None:
    first, again = skew(store, detection), skew(store, detection, 2)

    assert not_judged(store) == {"2026-11-22 watch 0": {"clock-skewed": 5}}
    told = {("high-heart-rate-at-rest", "clock-skewed"): 3}
    assert first.detected.not_judged == told
    assert sum(again.detected.not_judged.values()) == 2


def test_what_a_skewed_clock_told_stays_counted_while_the_day_is_judged_again(
    store: Store, detection: Detection
) -> None:
    skew(store, detection)

    taken = take(store, hour(), detection)
    take(store, beats(70, since=EIGHT + 70 * MINUTE), detection)

    assert not_judged(store) == {"2026-11-22 watch 61": {"clock-skewed": 3}}
    assert taken.detected.not_judged == {}


def test_a_skewed_clock_is_told_where_nothing_is_left_of_the_day(
    store: Store, detection: Detection
) -> None:
    take(store, beats(70), detection)
    skew(store, detection)

    take(
        store,
        [Removal(metric="heart-rate", start=EIGHT, end=EIGHT + MINUTE)],
        detection,
    )

    assert not_judged(store) == {"2026-11-22 watch 0": {"clock-skewed": 3}}


def test_nobody_counts_a_skewed_clock_where_nobody_judges(store: Store) -> None:
    skew(store, None)

    assert not_judged(store) == {}


def test_days_that_were_judged_by_a_detector_as_it_is_no_longer_are_named(
    store: Store, detection: Detection, detector: Detector
) -> None:
    take(store, hour(), detection)
    take(store, hour(since=EIGHT - 24 * 60 * MINUTE), detection)
    pattern = replace(detector.pattern, limit=110.0)  # type: ignore[type-var]
    tuned = replace(detector, pattern=pattern)
    later = replace(tuned, effective=EIGHT.date())

    def before(*detectors: Detector) -> list[tuple[str, int, str]]:
        found = store.detections.judged_before("north", detectors)
        return [(each.detector, each.days, str(each.first)) for each in found]

    assert before(detector, replace(detector, title="Told otherwise")) == []
    assert before(tuned) == [(detector.name, 2, "2026-11-21")]
    assert before(later) == [(detector.name, 1, "2026-11-22")]
    take(store, [], detection)
    store.detections.note_all(JANE.patient, NOW)
    by = replace(detection, detectors=(tuned,))
    judge_due(store, by)

    assert before(tuned) == []


def test_steps_over_midnight_count_for_the_day_that_comes_though_told_before(
    store: Store, detection: Detection
) -> None:
    midnight = EIGHT.replace(hour=0)
    evening = midnight - 90 * MINUTE
    (before,) = steps(300, since=evening)
    take(store, [replace(before, end=midnight + 60 * MINUTE)], detection)

    take(store, steps(40, since=midnight + 120 * MINUTE), detection)

    first, last = evening.date(), midnight.date()
    found = store.detections.summaries(JANE.patient, first, last, "steps")
    assert [(each.day, each.total) for each in found] == [(first, 180), (last, 160)]


def test_an_episode_keeps_its_id_while_later_deliveries_extend_it(
    store: Store, detection: Detection
) -> None:
    told = hour()
    for start in range(0, 60, 20):
        now = EIGHT + (start + 20) * MINUTE
        take(store, told[60:] + told[start : start + 20], detection, now=now)
    (first,) = store.detections.episodes(JANE.patient)

    assert episodes(store) == [(0, 10, None, "", 115, "open")]
    assert first.stored.rev == 2
    calm = EIGHT + 60 * MINUTE
    take(store, beats(*[80] * 20, since=calm) + steps(*[0] * 20, since=calm), detection)
    (last,) = store.detections.episodes(JANE.patient)
    assert (last.stored.id, last.stored.rev) == (first.stored.id, 3)
    assert (last.status, str(last.stored.episode.closing)) == ("closed", "recovered")


def test_steps_that_come_late_prove_the_rest_of_before(
    store: Store, detection: Detection
) -> None:
    take(store, beats(*[115] * 60), detection)
    assert episodes(store) == []
    (tally,) = store.detections.tallies("north", EIGHT.date(), JANE.patient)
    assert {str(each): n for each, n in tally.not_judged.items()} == {
        "rest-unknown": 60
    }

    take(store, steps(*[0] * 70, since=EIGHT - 10 * MINUTE), detection)

    assert episodes(store) == [WHOLE]
    (tally,) = store.detections.tallies("north", EIGHT.date(), JANE.patient)
    assert (tally.judged, tally.opened, dict(tally.not_judged)) == (60, 1, {})


def test_a_revision_takes_an_episode_back_and_another_brings_it_again(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    taken = take(store, beats(*[80] * 60, revision=1), detection)

    assert episodes(store) == []
    assert episodes(store, retracted=True) == [(*WHOLE[:5], "retracted")]
    (change,) = taken.detected.episodes
    assert (change.was, change.happened) == ("closed", ("retracted",))
    assert store.wearable_alerts(JANE.patient, EIGHT).alerts == ()
    take(store, beats(*[115] * 60, revision=2), detection)
    assert episodes(store) == [WHOLE]


def test_a_reading_that_moved_is_missed_where_it_stood(
    store: Store, detection: Detection
) -> None:
    told = [replace(each, source_id=f"b{n}") for n, each in enumerate(hour()[:60])]
    take(store, [*told, *hour()[60:]], detection)

    elsewhere = timedelta(days=3)
    moved = [
        replace(
            each, start=each.start + elsewhere, end=each.end + elsewhere, revision=1
        )
        for each in told
    ]
    take(store, moved, detection, now=NOW + elsewhere)

    assert episodes(store) == []


def test_what_a_source_takes_back_takes_the_episode_with_it(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    gone = Removal(metric="heart-rate", start=EIGHT, end=EIGHT + 60 * MINUTE)

    take(store, [gone], detection)

    assert episodes(store) == []
    assert store.detections.tallies("north", EIGHT.date(), JANE.patient) == ()


def test_an_episode_is_an_alert_that_a_detector_has_found(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection, now=EIGHT + 70 * MINUTE)

    (alert,) = store.wearable_alerts(JANE.patient, EIGHT).alerts
    assert (alert.type, alert.origin, alert.detector) == (
        *("high-heart-rate", "detector", "high-heart-rate-at-rest"),
    )
    assert (alert.value, alert.stat, alert.median, alert.threshold) == (
        *(115, "max", 115, 100),
    )
    assert (alert.start, alert.opened, alert.last, alert.end) == (
        *(EIGHT, EIGHT + 10 * MINUTE, EIGHT + 59 * MINUTE, None),
    )
    assert (alert.device, alert.source, alert.n) == ("Watch", "watch", 60)
    assert (alert.status, alert.historical, alert.metric) == (
        *("open", False, "heart-rate"),
    )


def test_what_opened_long_before_it_was_known_is_history_and_stays_so(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection, now=NOW + timedelta(days=3))
    (alert,) = store.wearable_alerts(JANE.patient, EIGHT).alerts
    assert alert.historical

    take(store, beats(130, since=EIGHT + 70 * MINUTE), detection)

    (alert,) = store.wearable_alerts(JANE.patient, EIGHT).alerts
    assert alert.historical


def test_deliveries_in_any_order_leave_what_one_would(
    store: Store, detection: Detection
) -> None:
    chance = random.Random(20261122)
    values = [115 if n % 50 < 30 else 80 for n in range(240)]
    told = [*beats(*values), *steps(*[0] * 250, since=EIGHT - 10 * MINUTE)]
    now = NOW + timedelta(hours=8)
    others = JANE._replace(patient=JANE.patient._replace(patient_id="john"))
    take(store, told, detection, others, now=now)

    chance.shuffle(told)
    for start in range(0, len(told), 70):
        take(store, told[start : start + 90], detection, now=now)

    assert episodes(store) == episodes(store, others) != []


def test_what_is_judged_is_counted_once_however_often_it_is_judged(
    store: Store, detection: Detection
) -> None:
    told = hour()
    first = take(store, told[:30] + told[60:], detection).detected
    second = take(store, told[30:60], detection).detected

    name = "high-heart-rate-at-rest"
    assert (first.judged, second.judged) == ({name: 30}, {name: 30})
    assert 0 < second.seconds < 10


# What one transaction does not take


def test_a_delivery_of_too_many_days_is_judged_after_it_a_part_at_a_time(
    store: Store, detection: Detection, rows: Any
) -> None:
    days = [hour(since=EIGHT - timedelta(days=n)) for n in range(12)]
    told = [each for day in days for each in day]
    short = replace(detection, days=5)

    taken = take(store, told, short)

    assert (episodes(store), taken.detected.due) == ([], 2)
    assert {each[3] for each in due(store)} == {"length"}
    done = judge_due(store, short)
    assert len(done) == 3 and sum(len(each.episodes) for each in done) == 12
    assert len(episodes(store)) == 12 and due(store) == []
    assert verify(store) == []
    assert len(rows("SELECT id FROM audit WHERE kind = 'detection'")) == 3


def totals(store: Store) -> list[tuple[str, float | None]]:
    """How many steps the patient went, by the day."""
    first, last = EIGHT.date() - timedelta(days=9), EIGHT.date()
    found = store.detections.summaries(JANE.patient, first, last, "steps")
    return [(str(each.day), each.total) for each in found]


def test_a_link_that_was_wrong_takes_no_day_along_on_which_nothing_came_by_it(
    store: Store, detection: Detection
) -> None:
    mistaken = store.links.add(link(), EVENT)
    for back in range(3):
        take(store, steps(40, since=EIGHT - timedelta(days=back)), detection)
    others = steps(70, since=EIGHT - timedelta(days=1))
    take(store, others, detection, owner(mistaken))
    around = [("2026-11-20", 40), ("2026-11-22", 40)]
    assert totals(store) == [around[0], ("2026-11-21", 70), around[1]]

    store.links.retract(mistaken.id, EVENT)

    assert totals(store) == around
    judge_due(store, detection)
    assert totals(store) == [around[0], ("2026-11-21", 40), around[1]]
    assert due(store) == []


def test_a_link_that_was_wrong_leaves_what_another_of_its_source_told_later(
    store: Store, detection: Detection
) -> None:
    mistaken = store.links.add(link(), EVENT)
    right = store.links.add(link(user="u-8"), EVENT)
    yesterday = EIGHT - timedelta(days=1)
    take(store, hour(since=yesterday), detection, owner(mistaken))
    take(store, hour(), detection, owner(right))
    assert len(episodes(store)) == 2

    store.links.retract(mistaken.id, EVENT)

    assert episodes(store) == [WHOLE]
    judge_due(store, detection)
    assert episodes(store) == [WHOLE]


def test_a_day_is_judged_whole_again_of_which_a_link_told_an_hour(
    store: Store, detection: Detection
) -> None:
    new_york = {"time_zone": "America/New_York"}
    right = store.links.add(link(user="u-8", **new_york), EVENT)
    mistaken = store.links.add(link(**new_york), EVENT)
    evening = EIGHT.replace(day=21, hour=23)
    for hours in (0, 4, 8):
        since = evening + timedelta(hours=hours)
        take(store, steps(40, since=since), detection, owner(right))
    between = steps(70, since=evening + timedelta(hours=2))
    take(store, between, detection, owner(mistaken))
    assert totals(store) == [("2026-11-21", 150), ("2026-11-22", 40)]

    store.links.retract(mistaken.id, EVENT)
    judge_due(store, detection)

    assert totals(store) == [("2026-11-21", 80), ("2026-11-22", 40)]


def test_what_is_due_is_judged_with_the_next_delivery_of_the_patient(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), None)
    store.detections.note_all(JANE.patient, NOW)
    assert episodes(store) == []

    take(store, beats(80, since=EIGHT + 90 * MINUTE), detection)

    assert episodes(store) == [WHOLE]
    assert due(store) == []


def test_readings_of_an_episode_that_are_pruned_leave_it_as_it_was(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    list(store.pruning.steps(Keep(samples=timedelta(days=400)), NOW))
    later = NOW + timedelta(days=500)
    list(store.pruning.steps(Keep(samples=timedelta(days=400)), later))

    late = beats(80, since=EIGHT + 30 * MINUTE)
    take(store, late, detection, now=later)

    assert store.samples.count(JANE.patient)[0].samples == 1
    assert episodes(store) == [WHOLE]


def test_what_lasts_though_nothing_comes_any_more_is_over_when_somebody_looks(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection, now=EIGHT + 70 * MINUTE)
    detectors, look = detection.detectors, store.detections.note_silent
    assert look(detectors, "north", EIGHT + 100 * MINUTE).noted == 0

    assert store.detections.tenants_watched() == ("north",)
    assert look(detectors, "north", NOW).noted == 1
    judge_due(store, detection)

    assert episodes(store) == [WHOLE]
    assert look(detectors, "north", NOW).noted == 0


def test_a_pattern_of_days_of_which_nothing_comes_any_more_is_over(
    store: Store, detection: Detection, detector: Detector
) -> None:
    pattern = DaysBeyond(Direction.ABOVE, 100, "mean", days=1, of=2)
    detection = replace(detection, detectors=[replace(detector, pattern=pattern)])
    day = timedelta(days=1)
    take(store, hour(), detection, now=EIGHT + day)
    (lasting,) = store.detections.episodes(JANE.patient)
    look = store.detections.note_silent

    assert look(detection.detectors, "north", EIGHT + 3 * day).noted == 0
    assert look(detection.detectors, "north", EIGHT + 4 * day).noted == 1
    event = AuditEvent(EIGHT + 4 * day, "detection")
    store.detections.detect_due(JANE.patient, detection, event)

    (over,) = store.detections.episodes(JANE.patient)
    assert (lasting.status, over.status) == ("open", "closed")
    assert over.stored.episode.closing is Closing.NO_DATA
    assert look(detection.detectors, "north", EIGHT + 9 * day).noted == 0


def test_of_many_that_nothing_tells_of_each_look_sees_to_the_next(
    store: Store, detection: Detection
) -> None:
    whose = [JANE, *(owner_of(each) for each in ("joan", "june", "judy"))]
    for number, whom in enumerate(whose):
        since = EIGHT - number * MINUTE
        take(store, hour(since=since), detection, whom, EIGHT + 60 * MINUTE)
    look, seen = store.detections.note_silent, []

    looked = SilentLook()
    for _ in range(3):
        args = (detection.detectors, "north", NOW, looked.last)
        looked = look(*args, most=2)
        patients = {each.patient.patient_id for each in store.detections.due()}
        seen.append((looked.noted, sorted(patients), looked.last is None))

    assert seen == [
        (2, ["judy", "june"], False),
        (2, ["jane", "joan", "judy", "june"], False),
        (0, ["jane", "joan", "judy", "june"], True),
    ]


def owner_of(patient: str) -> StreamOwner:
    return StreamOwner(PatientKey("north", "-", patient), "watch")


# Whose readings they are


def test_with_a_link_that_was_wrong_goes_the_episode_and_comes_with_another(
    store: Store, detection: Detection
) -> None:
    wrong = store.links.add(link(JANE.patient), EVENT)
    take(store, hour(), detection, owner(wrong))
    assert episodes(store) == [WHOLE]

    store.links.retract(wrong.id, EVENT)
    assert episodes(store) == []
    judge_due(store, detection)
    assert episodes(store) == [] and due(store) == []


def test_what_two_sources_of_a_patient_tell_at_once_is_judged_together(
    store: Store, detection: Detection
) -> None:
    """One brings the heart rate and is not committed yet, the other proves the rest."""
    told, judged = hour(), Event()
    phone = JANE._replace(source="phone")
    for source in (JANE, phone):
        take(store, hour(since=EIGHT - timedelta(days=9))[:1], detection, source)
    attempt = Attempt("watch", "slow")
    store.begin_delivery(attempt, "digest", NOW)
    batch = SampleBatch(JANE, told[:60])
    intake = Intake(samples=(batch,), detection=detection)

    def answer(taken: TakenIn) -> StoredAnswer:
        judged.set()
        wait([other], 0.5)
        return StoredAnswer(202, "{}")

    def second() -> None:
        judged.wait(PATIENCE)
        take(store, told[60:], detection, phone)

    with ThreadPoolExecutor(2) as threads:
        other = threads.submit(second)
        store.finish_delivery(attempt, answer, intake, DELIVERY, NOW)
        other.result(PATIENCE)

    assert episodes(store) == [WHOLE]


# Limits of the patient's own


def test_a_limit_that_the_clinic_sets_holds_for_what_is_measured_from_then_on(
    store: Store, detection: Detection
) -> None:
    name = "high-heart-rate-at-rest"
    event = AuditEvent(EIGHT + 120 * MINUTE, "threshold")
    take(store, hour(), detection)
    assert store.detections.set_limit(JANE.patient, name, 120, "me", event) == 0
    take(store, hour(since=EIGHT + 180 * MINUTE), detection)
    assert len(episodes(store)) == 1

    ended = store.detections.set_limit(
        *(JANE.patient, name, None, "me"),
        replace(event, at=EIGHT + 300 * MINUTE),
    )
    take(store, hour(since=EIGHT + 360 * MINUTE), detection)

    assert ended == 1
    assert [each[0] for each in episodes(store)] == [0, 360]
    (limit,) = store.detections.limits(JANE.patient)
    assert (limit.value, limit.set_by, limit.since) == (120, "me", event.at)
    assert limit.until == EIGHT + 300 * MINUTE


def test_a_limit_that_is_set_on_the_device_holds_from_its_alert_on(
    store: Store, detection: Detection, make_alert: Callable[..., WearableAlert]
) -> None:
    def notify(threshold: float, rev: int) -> None:
        alert = make_alert(
            patient=JANE.patient,
            type="high-heart-rate",
            start=EIGHT - 60 * MINUTE,
            threshold=threshold,
            rev=rev,
            source="watch",
        )
        intake = Intake((alert,), detection=detection)
        store.take_in(intake, DELIVERY, NOW)

    take(store, hour(), detection)
    notify(130, 1)
    assert episodes(store) == []
    notify(105, 2)
    (kept,) = store.detections.episodes(JANE.patient)
    assert kept.stored.episode.threshold == 105


@pytest.mark.parametrize("detectors", [True, False])
def test_where_nobody_detects_nothing_is_found(
    store: Store, detection: Detection, detectors: bool
) -> None:
    none = replace(detection, detectors=()) if detectors else None

    taken = take(store, hour(), none)

    assert episodes(store) == [] and taken.told() == {"outcomes": {"accepted": 130}}
