"""What a call reads of one patient's wearables: what its rules ask for, and no more."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cds_service.store.detection.reading import AT_ONCE, ROWS_READ
from cds_service.store.records import StoreError
from cds_service.store.store import Store
from cds_service.wearables.detection.episodes import NotJudged
from cds_service.wearables.samples import Sample
from cds_service.wearables.worn import WearablesAsked

from ..samples.conftest import EIGHT, Deliver
from ..samples.test_links import EVENT, JANE, JOHN, link, owner

MakeSample = Callable[..., Sample]
Rows = Callable[[str], list[dict[str, Any]]]
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
DAY = (
    "INSERT INTO day_summaries (tenant, fhir_base, patient_id, metric, day, part,"
    " source, zone, minutes, n, mean, bands, sources, devices, version, computed_us)"
    " VALUES ('north', '-', '{patient}', '{metric}', '{day}', 'day', '{source}', 'UTC',"
    " 1440, 3, {mean}, '{bands}', '[\"watch\"]', '[]', 1, 0)"
)
TALLY = (
    "INSERT INTO detector_days (tenant, fhir_base, patient_id, detector, day, source,"
    " judged, not_judged, opened)"
    " VALUES ('north', '-', 'jane', '{detector}', '{day}', 'watch', 1,"
    " '{{\"rest-unknown\": 4}}', 0)"
)


def tell_day(rows: Rows, **more: Any) -> None:
    told = {"patient": "jane", "metric": "heart-rate", "source": "", "mean": 80}
    told |= {"day": "2026-11-20", "bands": json.dumps({"low": 3})}
    rows(DAY.format(**(told | more)))


def test_days_of_the_metrics_that_are_asked_from_the_first_day_on(
    store: Store, rows: Rows
) -> None:
    for each in ({"day": "2026-11-14"}, {"day": "2026-11-15", "mean": 71}, {}):
        tell_day(rows, **each)
    tell_day(rows, metric="steps", day="2026-11-21")
    tell_day(rows, patient="john", day="2026-11-21")
    asked = WearablesAsked(days={("heart-rate", "day"): date(2026, 11, 15)})

    worn = store.wearables(JANE, asked, NOW)

    assert [(each.day, each.mean, each.bands) for each in worn.days or ()] == [
        (date(2026, 11, 15), 71, {"low": 3}),
        (date(2026, 11, 20), 80, {"low": 3}),
    ]
    assert (worn.alerts, worn.streams, worn.tallies) == ((), (), ())


def test_any_number_of_metrics_is_asked(store: Store, rows: Rows) -> None:
    names = [f"metric-{number}" for number in range(AT_ONCE + 1)]
    for name in names:
        tell_day(rows, metric=name)
    asked = WearablesAsked(days={(name, "day"): date.min for name in names})

    worn = store.wearables(JANE, asked, NOW)

    assert sorted(each.metric for each in worn.days or ()) == sorted(names)


def test_more_days_than_are_ever_read_are_not_taken_for_all(
    store: Store, rows: Rows
) -> None:
    first = date(2010, 1, 1)
    values = (
        DAY.partition(" VALUES ")[2].format(
            patient="jane",
            metric="heart-rate",
            day=first + timedelta(days=number),
            source="",
            mean=80,
            bands="{}",
        )
        for number in range(ROWS_READ + 1)
    )
    rows(f"{DAY.partition(' VALUES ')[0]} VALUES {', '.join(values)}")
    asked = WearablesAsked(days={("heart-rate", "day"): date.min})

    with pytest.raises(StoreError):
        store.wearables(JANE, asked, NOW)


def test_what_a_detector_could_not_judge_is_read_from_the_first_day_on(
    store: Store, rows: Rows
) -> None:
    for day in ("2026-11-18", "2026-11-19"):
        rows(TALLY.format(detector="fast", day=day))
    rows(TALLY.format(detector="slow", day="2026-11-20"))
    asked = WearablesAsked(detectors={"fast": date(2026, 11, 19)})

    worn = store.wearables(JANE, asked, NOW)

    (tally,) = worn.tallies or ()
    assert (tally.detector, tally.day) == ("fast", date(2026, 11, 19))
    assert tally.not_judged == {NotJudged.REST_UNKNOWN: 4}


ALERT = (
    "INSERT INTO wearable_alerts (tenant, fhir_base, patient_id, source, id, rev, type,"
    ' metric, unit, stat, start, "end", start_utc, end_utc, opened, status, origin,'
    " device, local) VALUES ('north', '-', 'jane', 'watch', '{type}-{days}', 0,"
    " '{type}', '', '', '', '2026-11-01T00:00:00+00:00', {end}, {start}, {end_utc},"
    " '2026-11-01T00:00:00Z', '{status}', 'vendor', '', false)"
)


def tell_alert(rows: Rows, type: str, days: int, lasts: bool = False) -> None:
    """One that ended so many days ago, or lasts since then."""
    at = (NOW - timedelta(days=days)).timestamp()
    told = {"start": at - 60, "end_utc": at, "end": "'2026-11-01T00:00:00+00:00'"}
    lasting = {"end": "NULL", "end_utc": "NULL"} if lasts else {}
    status = "open" if lasts else "closed"
    rows(ALERT.format(type=type, days=days, status=status, **(told | lasting)))


def ago(**asked: int) -> WearablesAsked:
    return WearablesAsked(
        {type: NOW - timedelta(days=days) for type, days in asked.items()}
    )


def told(store: Store, asked: WearablesAsked) -> set[str]:
    return {each.id for each in store.wearables(JANE, asked, NOW).alerts or ()}


def test_alerts_are_read_of_each_type_as_far_back_as_it_is_asked(
    store: Store, rows: Rows
) -> None:
    for type in ("fast", "slow", "odd"):
        for days in (1, 8, 31):
            tell_alert(rows, type, days)

    found = told(store, ago(fast=30, slow=7))

    assert found == {"fast-1", "fast-8", "slow-1"}


def test_what_lasts_is_read_however_long_if_its_type_is_asked(
    store: Store, rows: Rows
) -> None:
    tell_alert(rows, "fast", 400, lasts=True)
    tell_alert(rows, "slow", 400, lasts=True)

    assert told(store, ago(fast=1)) == {"fast-400"}


def test_no_alert_that_is_asked_is_missing_however_many_times_there_are(
    store: Store, rows: Rows
) -> None:
    types = {f"type{days}": days for days in (1, 2, 3, 5, 8, 13)}
    for type, days in types.items():
        tell_alert(rows, type, days)

    assert told(store, ago(**types)) == {f"{type}-{n}" for type, n in types.items()}


def test_a_type_is_not_taken_for_another_whose_name_it_is_part_of(
    store: Store, rows: Rows
) -> None:
    for type in ("fast", "fast-heart", "very-fast"):
        tell_alert(rows, type, 1)

    assert told(store, ago(**{"fast-heart": 7})) == {"fast-heart-1"}


HEARD = WearablesAsked(streams=frozenset({"heart-rate"}))


def test_a_stream_tells_when_it_was_heard_and_since_when_it_is_agreed(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), make_sample(30), owner=owner(made))
    deliver(make_sample(40, metric="steps"), owner=owner(made))

    worn = store.wearables(JANE, HEARD, NOW)

    (stream,) = worn.streams or ()
    assert (stream.metric, stream.source) == ("heart-rate", made.source)
    assert stream.newest == EIGHT + timedelta(minutes=30)
    assert stream.since == made.since


def test_a_source_that_names_its_patients_has_agreed_for_ever(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    deliver(make_sample(0))

    assert len(store.wearables(JANE, HEARD, NOW).streams or ()) == 1


def test_what_is_no_longer_agreed_is_not_silent(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), owner=owner(made))
    store.links.end(made.id, EIGHT + timedelta(hours=1), EVENT)

    assert store.wearables(JANE, HEARD, NOW).streams == ()


def test_what_turned_out_to_be_another_patients_is_not_silent(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), owner=owner(made))
    store.links.retract(made.id, EVENT)

    assert store.wearables(JANE, HEARD, NOW).streams == ()
    assert store.wearables(JOHN, HEARD, NOW).streams == ()


def unheard(store: Store, asked: WearablesAsked = HEARD) -> list[tuple[str, str, Any]]:
    """Of which metric and source nothing ever came, and since when it is agreed."""
    found = store.wearables(JANE, asked, NOW).streams or ()
    return [(e.metric, e.source, e.since) for e in found if e.newest is None]


def test_a_link_of_which_nothing_ever_came_is_agreed_for_all_that_is_asked(
    store: Store,
) -> None:
    made = store.links.add(link(), EVENT)

    both = unheard(store, WearablesAsked(streams=frozenset({"heart-rate", "steps"})))

    assert both == [("heart-rate", "cloud", EVENT.at), ("steps", "cloud", EVENT.at)]
    assert made.since < EVENT.at
    assert store.wearables(JOHN, HEARD, NOW).streams == ()


def test_a_link_of_which_anything_came_is_agreed_for_that_alone(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0, metric="steps"), owner=owner(made))

    assert store.wearables(JANE, HEARD, NOW).streams == ()


def test_a_link_is_not_agreed_before_it_begins_nor_once_it_is_over_or_was_wrong(
    store: Store,
) -> None:
    later = store.links.add(replace(link(), since=NOW + timedelta(hours=1)), EVENT)
    assert unheard(store) == []
    store.links.retract(later.id, EVENT)
    made = store.links.add(link(), EVENT)
    store.links.end(made.id, NOW - timedelta(minutes=1), EVENT)

    assert unheard(store) == []


def test_a_link_that_follows_another_counts_from_its_own_begin(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    before = store.links.add(link(), EVENT)
    deliver(make_sample(0), owner=owner(before))
    store.links.end(before.id, EIGHT + timedelta(minutes=1), EVENT)
    store.links.add(replace(link(), since=EIGHT + timedelta(minutes=2)), EVENT)

    ((_, source, since),) = unheard(store)

    assert (source, since) == ("cloud", EVENT.at)
