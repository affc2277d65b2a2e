"""What a page shows of a patient over time: what may be used, and no more than fits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from cds_service.store.detection.records import Detection
from cds_service.store.detection.tables import TALLIES
from cds_service.store.detection.timeline import (
    ALERTS_SHOWN,
    READINGS_READ,
    TALLIES_READ,
    Heard,
    Timeline,
    TimelineAsked,
)
from cds_service.store.records import Intake
from cds_service.store.samples.records import StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.detection.detectors import Detector
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.samples import microseconds

from ..samples.test_links import EVENT, link
from .hours import DELIVERY, EIGHT, JANE, MINUTE, NOW, beats, hour, say, take

JOHN = StreamOwner(PatientKey("north", "-", "john"), "watch")
HOUR = 60 * MINUTE


def us(at: datetime) -> int:
    return microseconds(at)


def asked(detection: Detection, **changes: Any) -> TimelineAsked:
    span = us(EIGHT - HOUR), us(EIGHT + 2 * HOUR)
    usual = TimelineAsked(span, ("heart-rate",), tuple(detection.detectors))
    return replace(usual, **changes)


def read(
    store: Store, detection: Detection, owner: StreamOwner = JANE, **changes: Any
) -> Timeline:
    def choose(heard: Heard) -> TimelineAsked:
        return asked(detection, **changes)

    return store.detections.timeline(owner.patient, detection, choose, NOW)


def values(timeline: Timeline) -> list[float]:
    return [each.value for each in timeline.series["heart-rate"].points]


def vendors(**changes: Any) -> WearableAlert:
    usual: dict[str, Any] = {
        "id": "a1",
        "patient": JANE.patient,
        "type": "high-heart-rate",
        "start": EIGHT,
        "opened": EIGHT,
        "end": EIGHT + 10 * MINUTE,
        "status": "closed",
        "metric": "heart-rate",
        "source": "phone",
    }
    return WearableAlert(**{**usual, **changes})


def tell(store: Store, *alerts: WearableAlert) -> None:
    store.take_in(Intake(alerts=alerts), DELIVERY, NOW)


def test_readings_episodes_and_what_the_day_was_of_one_patient(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    take(store, beats(61.0), detection, JOHN)

    timeline = read(store, detection)

    assert values(timeline) == [115.0] * 60
    (episode,) = timeline.alerts.alerts
    assert (episode.detector, episode.start) == ("high-heart-rate-at-rest", EIGHT)
    (day,) = timeline.days
    assert (day.day, day.min, day.max, day.n) == (EIGHT.date(), 115, 115, 60)
    assert timeline.withheld == {"heart-rate": ()}
    assert timeline.alerts.whole and not timeline.crowded


def test_what_there_is_at_all_is_known_before_it_is_chosen(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)

    heard = read(store, detection).heard

    assert heard.newest == {
        "heart-rate": us(EIGHT + 59 * MINUTE),
        "steps": us(EIGHT + 59 * MINUTE),
    }
    assert (heard.zone_name, heard.withheld) == ("UTC", frozenset())


def test_days_are_those_of_the_zone_of_the_wearers_link(
    store: Store, detection: Detection
) -> None:
    of_link = store.links.add(link(time_zone="America/New_York"), EVENT)
    owner = StreamOwner(of_link.patient, "cloud", of_link.id)
    take(store, beats(61.0), detection, owner)

    heard = read(store, detection).heard

    assert heard.zone_name == "America/New_York"


def test_only_what_starts_in_the_time_is_read(
    store: Store, detection: Detection
) -> None:
    take(store, beats(60.0, 61.0, 62.0, 63.0), detection)
    span = us(EIGHT + MINUTE), us(EIGHT + 3 * MINUTE)

    assert values(read(store, detection, span=span)) == [61.0, 62.0]


def test_of_days_no_reading_is_read(store: Store, detection: Detection) -> None:
    take(store, hour(), detection)

    timeline = read(store, detection, is_of_days=True)

    assert timeline.series == {}
    assert len(timeline.days) == 1


def test_what_the_patient_does_not_permit_to_use_is_not_there_and_that_is_told(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    tell(store, vendors())
    say(store, "collect")

    timeline = read(store, detection)

    assert values(timeline) == []
    assert (timeline.days, timeline.alerts.alerts, timeline.tallies) == ((), (), ())
    assert timeline.withheld == {"heart-rate": (timeline.asked.span,)}
    assert timeline.heard.withheld == {"heart-rate", "steps"}


def test_of_a_day_of_which_a_part_is_withheld_only_the_rest_is_told(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)
    tell(store, vendors())
    half = EIGHT + 30 * MINUTE
    data = {"start": half.isoformat(), "end": "2027-01-01"}
    say(store, "collect", "use", dataPeriod=data)

    timeline = read(store, detection)

    assert len(values(timeline)) == 30
    assert timeline.withheld == {"heart-rate": ((timeline.asked.span[0], us(half)),)}
    assert timeline.days == timeline.alerts.alerts == timeline.tallies == ()


def test_alerts_of_vendors_that_meet_the_time_are_there(
    store: Store, detection: Detection
) -> None:
    day = timedelta(days=1)
    tell(
        store,
        vendors(),
        vendors(id="before", start=EIGHT - 2 * day, end=EIGHT - day),
        vendors(id="after", start=EIGHT + day, end=EIGHT + day),
        vendors(id="lasts", start=EIGHT - 2 * day, end=None, status="open"),
        vendors(id="other", metric="steps"),
        vendors(id="back", status="retracted"),
        vendors(id="johns", patient=JOHN.patient),
    )

    timeline = read(store, detection)

    assert {each.id for each in timeline.alerts.alerts} == {"a1", "lasts"}


def test_notices_of_no_metric_are_there_whatever_metric_is_asked(
    store: Store, detection: Detection
) -> None:
    day = timedelta(days=1)
    rhythm = vendors(id="rhythm", type="irregular-rhythm", metric="")
    tell(
        store,
        vendors(),
        rhythm,
        replace(rhythm, id="after", start=EIGHT + day, end=EIGHT + day),
        replace(rhythm, id="johns", patient=JOHN.patient),
    )

    timeline = read(store, detection, metrics=("steps",))

    assert [each.id for each in timeline.notices.alerts] == ["rhythm"]
    assert timeline.notices.whole and timeline.alerts.alerts == ()
    assert timeline.withheld_types == frozenset()


def test_of_notices_none_is_there_that_the_patient_does_not_permit_to_use(
    store: Store, detection: Detection
) -> None:
    tell(store, vendors(id="rhythm", type="irregular-rhythm", metric=""))
    say(store, "collect")

    timeline = read(store, detection)

    assert timeline.notices.alerts == ()
    assert "irregular-rhythm" in timeline.withheld_types
    assert "high-heart-rate" not in timeline.withheld_types


def test_a_notice_whose_time_is_permitted_in_part_is_told_to_be_withheld(
    store: Store, detection: Detection
) -> None:
    data = {"start": EIGHT.isoformat(), "end": "2027-01-01"}
    say(store, "collect", "use", dataPeriod=data)
    rhythm = vendors(id="rhythm", type="irregular-rhythm", metric="")
    early = EIGHT - 30 * MINUTE
    tell(store, rhythm, replace(rhythm, id="early", start=early, end=early))

    timeline = read(store, detection)

    assert [each.id for each in timeline.notices.alerts] == ["rhythm"]
    assert "irregular-rhythm" in timeline.withheld_types


def test_episodes_of_a_detector_that_is_not_asked_are_not_there(
    store: Store, detection: Detection
) -> None:
    take(store, hour(), detection)

    timeline = read(store, detection, detectors=())

    assert timeline.alerts.alerts == ()


def test_more_alerts_than_are_shown_are_not_taken_for_all(
    store: Store, detection: Detection
) -> None:
    tell(store, *(vendors(id=f"a{each}") for each in range(ALERTS_SHOWN + 1)))

    timeline = read(store, detection)

    assert len(timeline.alerts.alerts) == ALERTS_SHOWN
    assert not timeline.alerts.whole


def test_of_more_readings_than_are_ever_read_none_is(
    store: Store, detection: Detection, rows: Any, database_url: str
) -> None:
    take(store, beats(60.0), detection)
    (stream,) = rows("SELECT id FROM sample_streams")
    sqlite = database_url.startswith("sqlite")
    key, no = ("X'00'", "0") if sqlite else ("'\\x00'", "false")
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {READINGS_READ})"
    )
    rows(
        "INSERT INTO samples (stream, start_us, key, length_us, value, revision,"
        f" received_us, device, stat, context, flags, named) {numbers} SELECT"
        f" {stream['id']}, {us(EIGHT)} + i, {key}, 0, 60, 0, 0, 1, 0, 0, 0, {no}"
        " FROM n"
    )

    timeline = read(store, detection)

    assert timeline.crowded == {"heart-rate"}
    assert timeline.series == {}
    assert len(timeline.days) == 1


def test_what_could_not_be_judged_is_told_by_day(
    store: Store, detection: Detection
) -> None:
    take(store, beats(*[115] * 60), detection)

    (tally,) = read(store, detection).tallies

    assert tally.day == EIGHT.date()
    assert sum(tally.not_judged.values()) > 0


def test_of_very_many_days_and_sources_the_newest_are_told_and_that_there_are_more(
    store: Store, detection: Detection, url: str
) -> None:
    last = EIGHT.date()
    days = [(last - timedelta(days=n)).isoformat() for n in range(2)]
    for number, day in ((TALLIES_READ, days[0]), (1, days[1])):
        note_days(url, detection.detectors[0], day, number)
    span = (us(EIGHT - 48 * HOUR), us(EIGHT + HOUR))

    timeline = read(store, detection, span=span)
    newest = read(store, detection)

    assert {each.day for each in timeline.tallies} == {last}
    assert len(timeline.tallies) == TALLIES_READ and not timeline.tallied
    assert len(newest.tallies) == TALLIES_READ and newest.tallied


def note_days(url: str, detector: Detector, day: str, sources: int) -> None:
    """Have a detector have judged nothing of so many sources on a day."""
    told = {"detector": detector.name, "day": day, "judged": 0, "opened": 0}
    told |= {**JANE.patient._asdict(), "not_judged": "{}", "judged_by": ""}
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = [{**told, "source": f"{number:05}"} for number in range(sources)]
        connection.execute(insert(TALLIES), rows)
    engine.dispose()


def test_limits_of_the_patients_own_are_told_with_their_times(
    store: Store, detection: Detection, detector: Detector
) -> None:
    store.detections.set_limit(
        JANE.patient, detector.name, 120.0, "operator:me", replace(DELIVERY, at=EIGHT)
    )

    timeline = read(store, detection)

    assert timeline.limits == {detector.name: [(us(EIGHT), 120.0)]}


@pytest.mark.parametrize(
    "owner", [JOHN, StreamOwner(JANE.patient._replace(tenant="south"), "w")]
)
def test_nobody_elses_readings_are_ever_read(
    store: Store, detection: Detection, owner: StreamOwner
) -> None:
    take(store, hour(), detection)
    tell(store, vendors())

    timeline = read(store, detection, owner)

    assert values(timeline) == []
    assert timeline.days == timeline.alerts.alerts == timeline.tallies == ()
    assert timeline.heard.newest == {}


def test_readings_that_turned_out_to_be_anothers_are_gone(
    store: Store, detection: Detection
) -> None:
    of_link = store.links.add(link(), EVENT)
    owner = StreamOwner(of_link.patient, "cloud", of_link.id)
    take(store, beats(60.0, 61.0, 62.0), detection, owner)
    store.links.end(of_link.id, EIGHT + MINUTE, replace(EVENT, at=NOW.astimezone(UTC)))

    timeline = read(store, detection)

    assert values(timeline) == [60.0]
    assert timeline.heard.newest == {"heart-rate": us(EIGHT + MINUTE) - 1}
