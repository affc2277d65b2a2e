"""What a patient does not permit to use is not judged, and is once they do."""

from datetime import UTC
from typing import Any

from cds_service.store.detection.records import Detection
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue

from .hours import (
    EIGHT,
    JANE,
    MINUTE,
    NOW,
    beats,
    due,
    episodes,
    hour,
    judge_due,
    say,
    take,
)

WHOLE = (0, 10, 59, "no-data", 115, "closed")


def test_what_may_not_be_used_is_kept_and_not_judged(
    store: Store, detection: Detection
) -> None:
    say(store, "collect")

    taken = take(store, hour(), detection)

    assert taken.count() == {"accepted": 130}
    assert (episodes(store), taken.detected.episodes) == ([], ())
    assert store.detections.tallies("north", EIGHT.date(), JANE.patient) == ()
    assert sorted(due(store)) == [
        ("heart-rate", -10, 60, "consent"),
        ("steps", -10, 60, "consent"),
    ]
    assert store.detections.count_due() == {"consent": 2}
    assert store.detections.due_since() == {"consent": NOW}


def test_what_was_not_permitted_is_judged_once_it_is(
    store: Store, detection: Detection, rows: Any
) -> None:
    say(store, "collect")
    take(store, hour(), detection)
    assert [each.episodes for each in judge_due(store, detection)] == [()]
    say(store, "collect", "use")

    judge_due(store, detection)

    assert (episodes(store), due(store)) == ([WHOLE], [])
    assert len(rows("SELECT id FROM audit WHERE kind = 'detection'")) == 1


def test_withdrawn_and_returned_leaves_all_as_it_was_and_nothing_twice(
    store: Store, detection: Detection
) -> None:
    say(store, "collect", "use")
    take(store, hour(), detection)
    (before,) = store.detections.episodes(JANE.patient)
    say(store, "collect")
    take(store, beats(*[115] * 60, since=EIGHT + 60 * MINUTE), detection)
    take(store, hour(since=EIGHT + 180 * MINUTE), detection)
    assert store.detections.episodes(JANE.patient) == (before,)

    say(store, "collect", "use")
    judge_due(store, detection)

    first, second = store.detections.episodes(JANE.patient)
    assert (first.stored.id, first.stored.historical) == (before.stored.id, False)
    assert second.stored.episode.start == EIGHT + 180 * MINUTE
    assert due(store) == []


def test_an_episode_ends_with_its_readings_and_not_with_their_consent(
    store: Store, detection: Detection
) -> None:
    """A vendor's alert would end with the consent: nobody sends on that it did."""
    say(store, "collect", "use")
    take(store, hour(), detection, now=EIGHT + 70 * MINUTE)
    (before,) = store.detections.episodes(JANE.patient)

    assert store.consents.lasting_alerts(JANE.patient) == ()
    say(store)

    assert store.detections.episodes(JANE.patient) == (before,)


def test_rest_that_may_not_be_known_is_unknown_until_it_may(
    store: Store, detection: Detection, catalogue: Catalogue
) -> None:
    """The patient permits to use heart rates and not steps."""
    code = {"system": "http://loinc.org", "code": "8867-4"}
    say(store, "collect", "use", code=[{"coding": [code]}])
    strict = Detection(detection.detectors, ConsentGate(catalogue, UTC))

    take(store, hour(), strict)

    assert episodes(store) == []
    (tally,) = store.detections.tallies("north", EIGHT.date(), JANE.patient)
    assert {str(each) for each in tally.not_judged} == {"rest-unknown"}
    assert [each[0] for each in due(store)] == ["steps"]
    say(store, "collect", "use")
    judge_due(store, strict)
    assert episodes(store) == [WHOLE]


def test_of_a_time_that_is_permitted_in_part_that_part_is_judged(
    store: Store, detection: Detection
) -> None:
    """Two hours, of which the second may be used."""
    begin, end = "2026-11-22T09:00:00Z", "2026-11-22T12:00:00Z"
    say(store, "collect", "use", dataPeriod={"start": begin, "end": end})
    told = [*hour(), *hour(since=EIGHT + 60 * MINUTE)]

    take(store, told, detection, now=EIGHT + 240 * MINUTE)

    # Of what came before nobody may know whether it was at rest.
    second = (64, 74, 119, "no-data", 115, "closed")
    assert episodes(store) == [second]
    (kept,) = store.detections.episodes(JANE.patient)
    assert {each[2] for each in due(store)} == {59}
    say(store, "collect", "use")
    judge_due(store, detection)
    (whole,) = store.detections.episodes(JANE.patient)
    assert (whole.stored.id, whole.stored.rev) == (kept.stored.id, 1)
    assert episodes(store) == [(0, 10, None, "", 115, "open")]
    assert due(store) == []


def test_episodes_of_a_time_that_may_not_be_used_stay_as_they_are(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    say(store, "collect")
    take(store, beats(*[80] * 60, revision=1), detection)
    assert episodes(store) == [WHOLE]

    say(store, "collect", "use")
    judge_due(store, detection)

    assert episodes(store) == []
