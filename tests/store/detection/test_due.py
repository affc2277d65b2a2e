"""What is to be judged still, noted with what makes it so."""

from collections.abc import Callable
from typing import Any

from cds_service.store.store import Store
from cds_service.wearables.samples import Sample

from ..samples.conftest import EIGHT, Deliver
from ..samples.test_links import EVENT, JANE, JOHN, link, owner

MakeSample = Callable[..., Sample]
Rows = Callable[[str], list[dict[str, Any]]]
EIGHT_US = round(EIGHT.timestamp() * 1_000_000)
MINUTE = 60_000_000
EPISODE = (
    "INSERT INTO wearable_alerts (tenant, fhir_base, patient_id, source, id, rev, type,"
    " metric, unit, stat, start, start_utc, opened, status, origin, device, local,"
    " detector, last_utc) VALUES ('north', '-', 'jane', '{source}', '{id}', 0, 'high',"
    " 'heart-rate', '/min', 'max', '2026-11-22T13:00:00+00:00', {at}, '', 'open',"
    " 'detector', '', true, 'high', {at})"
)


def due(rows: Rows) -> list[tuple[Any, ...]]:
    found = rows("SELECT * FROM detection_due")
    return [
        (each["patient_id"], each["metric"], each["from_us"], each["to_us"])
        for each in found
    ]


def test_with_a_link_goes_what_was_found_by_it_and_the_rest_is_judged_anew(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), make_sample(30), owner=owner(made))
    deliver(make_sample(10, metric="steps"), owner=owner(made))
    for source in ("cloud", "watch"):
        told = {"source": source, "id": source, "at": EIGHT.timestamp() + 60}
        rows(EPISODE.format(**told))

    store.links.retract(made.id, EVENT)

    alerts = rows("SELECT id, status, rev FROM wearable_alerts ORDER BY id")
    assert [tuple(each.values()) for each in alerts] == [
        ("cloud", "retracted", 1),
        ("watch", "open", 0),
    ]
    assert sorted(due(rows)) == [
        ("jane", "heart-rate", EIGHT_US, EIGHT_US + 30 * MINUTE),
        ("jane", "steps", EIGHT_US + 10 * MINUTE, EIGHT_US + 10 * MINUTE),
    ]


def test_of_a_link_that_ended_what_came_after_that_is_judged_anew(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), make_sample(30), owner=owner(made))
    ended = EIGHT.replace(minute=20)
    early = {"source": "cloud", "id": "early", "at": EIGHT.timestamp() + 60}
    rows(EPISODE.format(**early))
    rows(EPISODE.format(**early | {"id": "late", "at": EIGHT.timestamp() + 1800}))

    store.links.end(made.id, ended, EVENT)

    alerts = rows("SELECT id, status FROM wearable_alerts ORDER BY id")
    assert [tuple(each.values()) for each in alerts] == [
        ("early", "open"),
        ("late", "retracted"),
    ]
    first = EIGHT_US + 30 * MINUTE
    assert due(rows) == [("jane", "heart-rate", first, first)]


def test_all_of_a_patient_who_turned_out_to_be_another_is_judged_anew(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Rows
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0), make_sample(30), owner=owner(made))
    deliver(make_sample(50), owner=owner(made)._replace(patient=JOHN))

    store.links.merge(JANE, JOHN, EVENT)

    assert due(rows) == [("john", "heart-rate", EIGHT_US, EIGHT_US + 50 * MINUTE)]
