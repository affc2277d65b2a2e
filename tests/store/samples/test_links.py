"""Links: whose wrist it is, ended and taken back with all that rests on them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    Intake,
    Outdated,
    StoredAnswer,
)
from cds_service.store.samples.links import (
    LinkEnded,
    LinkOverlaps,
    UnknownLink,
    Withdrawal,
)
from cds_service.store.samples.records import ImportProgress, SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.links import WearerLink, resolve
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.samples import Device, Removal, Sample

from .conftest import EIGHT, NOW, Deliver

JANE, JOHN = PatientKey("north", "-", "jane"), PatientKey("north", "-", "john")
EVENT = AuditEvent(NOW, "link", "north", "operator:me")
DAY = timedelta(days=1)
MakeSample = Callable[..., Sample]
MakeAlert = Callable[..., WearableAlert]


def link(patient: PatientKey = JANE, **changes: Any) -> WearerLink:
    usual: dict[str, Any] = {"user": "u-7"}
    return WearerLink("cloud", patient, EIGHT - DAY, **{**usual, **changes})


def owner(of: WearerLink) -> StreamOwner:
    return StreamOwner(of.patient, "cloud", of.id)


def kept(store: Store, patient: PatientKey = JANE) -> list[float]:
    found = store.samples.of(patient, "heart-rate", EIGHT - DAY, EIGHT + DAY)
    return [each.sample.value for each in found]


def alerts(store: Store, patient: PatientKey = JANE) -> dict[str, str]:
    found = store.wearable_alerts(patient, EIGHT - DAY).alerts
    return {each.id: each.status for each in found}


def take(store: Store, *alerts: WearableAlert) -> None:
    store.take_in(Intake(alerts), AuditEvent(NOW, "delivery"), NOW)


def test_a_link_comes_back_as_it_was_made(store: Store) -> None:
    made = store.links.add(
        link(
            device="w-1",
            until=NOW,
            mrn="12345",
            authority="HOSP",
            time_zone="America/New_York",
            grouping=timedelta(minutes=5),
        ),
        EVENT,
    )

    assert store.links.get(made.id) == made
    assert store.links.all("north") == store.links.of_patient(JANE) == (made,)
    assert store.links.all("north", "other") == store.links.all("south") == ()
    assert (made.mrn, made.grouping) == ("12345", timedelta(minutes=5))


def test_those_that_name_a_wearer_are_found_by_user_or_device(store: Store) -> None:
    user = store.links.add(link(), EVENT)
    device = store.links.add(link(user="", device="w-1"), EVENT)
    store.links.add(link(user="u-8"), EVENT)
    store.links.add(replace(link(), source="other"), EVENT)

    found = store.links.naming("north", "cloud", {"u-7", ""}, {"w-1", ""})

    assert set(found) == {user, device}
    assert store.links.naming("north", "cloud", {""}, {""}) == ()


def test_two_patients_of_one_user_at_one_time_are_refused(store: Store) -> None:
    store.links.add(link(), EVENT)

    with pytest.raises(LinkOverlaps):
        store.links.add(link(JOHN), EVENT)

    assert len(store.links.all("north")) == 1


def test_two_patients_on_one_account_are_told_apart_by_device(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    for patient, device in ((JANE, "w-1"), (JOHN, "w-2")):
        store.links.add(link(patient, device=device), EVENT)
    links = store.links.naming("north", "cloud", {"u-7"}, {"w-1", "w-2"})

    for device, value in (("w-1", 61.0), ("w-2", 62.0)):
        found = resolve(links, "u-7", device, EIGHT)
        assert found
        deliver(make_sample(value=value, device=Device(device)), owner=owner(found))

    assert (kept(store), kept(store, JOHN)) == ([61], [62])


def test_a_device_that_was_handed_on_late_takes_back_what_came_meanwhile(
    store: Store, deliver: Deliver, make_sample: MakeSample, make_alert: MakeAlert
) -> None:
    """The link is ended on Monday as of Sunday; Sunday's readings were John's."""
    handed_on = EIGHT + timedelta(minutes=2)
    hers = store.links.add(link(), EVENT)
    deliver(*(make_sample(each, 60 + each) for each in range(4)), owner=owner(hers))
    usual = {"patient": JANE, "link": hers.id}
    take(
        store,
        make_alert(id="hers", start=EIGHT, **usual),
        make_alert(id="his", start=handed_on, **usual),
        make_alert(id="from elsewhere", start=handed_on, patient=JANE),
    )

    gone = store.links.end(hers.id, handed_on, EVENT)
    store.links.add(replace(link(JOHN), since=handed_on), EVENT)

    assert gone == Withdrawal(samples=2, alerts=1)
    assert kept(store) == [60, 61]
    assert alerts(store) == {"hers": "closed", "from elsewhere": "open"}
    (ended,) = store.links.of_patient(JANE)
    assert ended.until == handed_on


def test_a_link_that_was_wrong_takes_back_all_that_came_by_it(
    store: Store, deliver: Deliver, make_sample: MakeSample, make_alert: MakeAlert
) -> None:
    wrong = store.links.add(link(), EVENT)
    deliver(make_sample(), make_sample(1), owner=owner(wrong))
    deliver(make_sample(2, 99.0), owner=StreamOwner(JANE, "cloud"))
    take(store, make_alert(patient=JANE, link=wrong.id))

    assert store.links.retract(wrong.id, EVENT) == Withdrawal(2, 1)

    assert kept(store) == [99]
    assert alerts(store) == {}
    assert [each.withdrawn is None for each in store.samples.count(JANE)] == [
        *(False, True),
    ]
    assert store.links.naming("north", "cloud", {"u-7"}, ()) == ()
    with pytest.raises(UnknownLink):
        store.links.retract(wrong.id, EVENT)
    store.links.add(link(JOHN), EVENT)


def test_what_was_withdrawn_is_told_in_the_trail(store: Store) -> None:
    made = store.links.add(link(), EVENT)
    store.links.retract(made.id, EVENT)

    added, retracted = [each.detail for each in store.audit_entries()]

    assert added == f'{{"link":{made.id}}}'
    assert '"withdrawn":{"alerts":0,"samples":0}' in retracted
    assert verify(store) == []


def test_a_link_ends_earlier_than_was_thought_and_never_later(
    store: Store, deliver: Deliver, make_sample: MakeSample
) -> None:
    """Somebody else's may have begun in between."""
    made = store.links.add(link(), EVENT)
    deliver(*(make_sample(each, 60 + each) for each in range(4)), owner=owner(made))
    minute = timedelta(minutes=1)
    store.links.end(made.id, EIGHT + 3 * minute, EVENT)

    assert store.links.end(made.id, EIGHT + minute, EVENT).samples == 3
    with pytest.raises(LinkEnded):
        store.links.end(made.id, EIGHT + 2 * minute, EVENT)

    assert kept(store) == [60]
    assert store.links.get(made.id).until == EIGHT + minute


def test_there_is_no_ending_of_what_is_not_there(store: Store) -> None:
    with pytest.raises(UnknownLink):
        store.links.end(7, NOW, EVENT)
    with pytest.raises(UnknownLink):
        store.links.get(7)


@pytest.mark.parametrize("change", ["end", "retract", "merge"])
def test_what_was_resolved_by_a_link_that_changed_meanwhile_is_resolved_anew(
    store: Store, make_sample: MakeSample, change: str
) -> None:
    made = store.links.add(link(), EVENT)
    if change == "end":
        store.links.end(made.id, NOW, EVENT)
    elif change == "retract":
        store.links.retract(made.id, EVENT)
    else:
        store.links.merge(JANE, JOHN, EVENT)
    attempt = Attempt("cloud", "k")
    store.begin_delivery(attempt, "digest", NOW)
    batch = SampleBatch(owner(made), [make_sample()])

    with pytest.raises(Outdated):
        store.finish_delivery(
            attempt,
            StoredAnswer(202, "{}"),
            Intake(links=(made,), samples=(batch,)),
            AuditEvent(NOW, "delivery"),
            NOW,
        )

    assert kept(store) == kept(store, JOHN) == []


def test_a_merged_patient_is_the_one_that_stays_with_all_that_is_kept(
    store: Store, deliver: Deliver, make_sample: MakeSample, make_alert: MakeAlert
) -> None:
    made = store.links.add(link(), EVENT)
    deliver(make_sample(0, 60.0), owner=owner(made))
    record = ConsentRecord(JANE, "c1", NOW, "app", {"status": "active"})
    change = ConsentChange(JANE, frozenset(), (record,))
    store.consents.record([change], AuditEvent(NOW, "consent"))
    take(store, make_alert(id="a", patient=JANE, rev=1), make_alert(patient=JANE))
    take(store, make_alert(id="a", patient=JOHN, rev=2, start=EIGHT, status="closed"))

    store.links.merge(JANE, JOHN, EVENT)

    assert (kept(store), kept(store, JOHN)) == ([], [60])
    assert (alerts(store), alerts(store, JOHN)) == (
        *({}, {"a": "closed", "alert-1": "open"}),
    )
    assert [each.id for each in store.links.of_patient(JOHN)] == [made.id]
    consents = store.consents.of([JANE, JOHN])
    assert consents == {JANE: (), JOHN: (replace(record, patient=JOHN),)}


def test_an_import_of_a_merged_patient_begins_at_the_beginning(store: Store) -> None:
    for patient in (JANE, JOHN):
        progress = ImportProgress(StreamOwner(patient, "apple-health"), "b", 5_000)
        store.take_in(Intake(progress=progress), EVENT, NOW)

    store.links.merge(JANE, JOHN, EVENT)

    hers, his = (StreamOwner(each, "apple-health") for each in (JANE, JOHN))
    assert store.samples.import_progress(hers) is None
    assert store.samples.import_progress(his) == ImportProgress(his, "b", 5_000)


def test_samples_of_a_merged_patient_are_put_together_by_their_revision(
    store: Store, deliver: Deliver, make_sample: MakeSample, rows: Any
) -> None:
    hers, his = StreamOwner(JANE, "cloud"), StreamOwner(JOHN, "cloud")
    deliver(
        make_sample(0, 60.0, revision=2),
        make_sample(1, 61.0, revision=1),
        make_sample(2, 62.0),
        make_sample(5, 65.0, source_id="r-5"),
        make_sample(6, 66.0, device=Device("hers")),
        owner=hers,
    )
    deliver(
        make_sample(0, 70.0, revision=1),
        make_sample(1, 71.0, revision=2),
        make_sample(3, 73.0),
        Removal(source_id="r-5"),
        owner=his,
    )

    store.links.merge(JANE, JOHN, EVENT)

    assert kept(store, JOHN) == [60, 71, 62, 73, 66]
    found = store.samples.of(JOHN, "heart-rate", EIGHT, EIGHT + DAY)
    assert [each.sample.device.id for each in found] == ["w1"] * 4 + ["hers"]
    assert len(rows("SELECT id FROM sample_streams")) == 1
    assert len(rows("SELECT id FROM sample_devices")) == 2
