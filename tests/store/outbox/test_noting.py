"""What is put into the outbox, in the transaction in which it came about."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from sqlalchemy import create_engine

from cds_service.store.detection.records import Detection
from cds_service.store.outbox.backlog import Chosen
from cds_service.store.outbox.noting import ask_known, change_of_alert
from cds_service.store.outbox.sending import Outbox
from cds_service.store.outbox.tables import THING
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.links import WearerLink
from cds_service.wearables.metrics import Metric, Night
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Sample, Stat, microseconds
from cds_service.wearables.telling import Subscription, TakenDay, ToldAs

from ..detection.hours import EIGHT, MINUTE, beats, hour, take
from .conftest import (
    EHR,
    JANE,
    NOW,
    agree,
    alert,
    consent,
    rows,
    take_back,
    tell,
    tell_all,
)

EVENT = AuditEvent(NOW, "link", "north", "operator")


def test_without_a_destination_nothing_is_noted(store: Store, url: str) -> None:
    tell(store, alert())

    assert rows(url) == rows(url, "lanes") == []


def test_an_alert_of_a_vendor_waits_for_who_takes_its_type(
    store: Store, url: str
) -> None:
    store.outbox.subscribe(
        [
            EHR,
            Subscription("engine", "north", episodes=("low-heart-rate",)),
            Subscription("south", "south"),
            Subscription("other", "north", fhir_base="https://other.example"),
        ]
    )

    tell(store, alert())

    (row,) = rows(url)
    assert (row["destination"], row["patient_id"]) == ("ehr", "jane")
    assert (row["kind"], row["thing"], row["rev"]) == ("episode", "watch|a1", 1)
    assert row["state"] == "waiting"


def test_a_revision_of_what_waits_keeps_its_place(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    tell(store, alert(id="a2"), now=NOW + timedelta(minutes=1))

    tell(store, alert(rev=1, status="closed"), now=NOW + timedelta(minutes=2))

    assert [(each["thing"], each["rev"]) for each in rows(url)] == [
        ("watch|a1", 2),
        ("watch|a2", 1),
    ]
    assert tell_all(outbox, gate, NOW + timedelta(minutes=3)) == [
        ("watch|a1", ToldAs.FINAL),
        ("watch|a2", ToldAs.FINAL),
    ]


def test_the_same_alert_again_is_not_told_again(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    tell_all(outbox, gate)

    tell(store, alert())

    assert tell_all(outbox, gate) == []


def test_what_was_told_is_amended_and_taken_back(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    first = tell_all(outbox, gate)

    tell(store, alert(rev=1, status="closed"))
    second = tell_all(outbox, gate)
    take_back(store, alert(rev=2))
    third = tell_all(outbox, gate)

    assert [first, second, third] == [
        [("watch|a1", ToldAs.FINAL)],
        [("watch|a1", ToldAs.AMENDED)],
        [("watch|a1", ToldAs.ENTERED_IN_ERROR)],
    ]
    (told,) = rows(url, "told")
    assert (told["rev"], told["status"]) == (3, "entered-in-error")
    assert told["remote"] == "remote-watch|a1"


def test_a_retraction_of_what_was_never_told_is_told_to_nobody(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    take_back(store, alert(rev=1))
    take_back(store, alert(id="unheard-of", rev=1))

    assert tell_all(outbox, gate) == []
    assert rows(url) == rows(url, "told") == []


def test_a_lasting_episode_is_told_when_it_opens_and_when_it_is_over(
    store: Store, outbox: Outbox, gate: ConsentGate, detection: Detection
) -> None:
    first, second = EIGHT + timedelta(minutes=45), EIGHT + timedelta(minutes=65)
    third = EIGHT + timedelta(hours=3)

    take(store, hour()[:40] + hour()[60:], detection, now=first)
    opened = tell_all(outbox, gate, first)
    take(store, hour()[40:60], detection, now=second)
    lasting = tell_all(outbox, gate, second)
    take(store, hour(70.0, EIGHT + timedelta(hours=1)), detection, now=third)
    over = tell_all(outbox, gate, third)

    assert [status for _, status in opened] == [ToldAs.FINAL]
    assert lasting == []
    assert [status for _, status in over] == [ToldAs.AMENDED]
    assert opened[0][0] == over[0][0]


def test_what_was_long_over_is_told_to_who_asks_for_history_alone(
    store: Store, gate: ConsentGate, url: str
) -> None:
    store.outbox.subscribe([EHR, Subscription("archive", "north", historical=True)])
    years_ago = NOW - timedelta(days=800)

    tell(store, alert(start=years_ago, end=years_ago, status="closed"))

    assert [each["destination"] for each in rows(url)] == ["archive"]


def test_a_link_that_never_was_right_takes_back_what_was_told_by_it(
    store: Store, outbox: Outbox, gate: ConsentGate, detection: Detection
) -> None:
    link = store.links.add(WearerLink("watch", JANE, since=EIGHT, user="u1"), EVENT)
    tell(store, alert(link=link.id))
    told = tell_all(outbox, gate)

    store.links.retract(link.id, replace(EVENT, at=NOW))

    assert told == [("watch|a1", ToldAs.FINAL)]
    assert tell_all(outbox, gate) == [("watch|a1", ToldAs.ENTERED_IN_ERROR)]


def test_an_alert_that_ends_with_its_consent_is_noted_and_not_told(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    assert tell_all(outbox, gate) == [("watch|a1", ToldAs.FINAL)]
    later = NOW + timedelta(minutes=1)
    lasting = store.consents.lasting_alerts(JANE)
    agree(store, consent("deny"), now=later, ended=lasting)

    (noted,) = rows(url)
    assert (noted["state"], noted["noted_us"]) == ("waiting", microseconds(later))
    assert tell_all(outbox, gate, later) == []
    assert [each["state"] for each in rows(url)] == ["withheld"]


def test_a_destination_that_is_gone_is_told_nothing_new(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    tell_all(outbox, gate)
    outbox.subscribe([])

    tell(store, alert(id="a2"))
    tell(store, alert(rev=1, status="closed"))

    assert [each["thing"] for each in rows(url)] == ["watch|a1"]


def test_what_was_told_of_one_who_is_another_is_taken_back_and_told_anew(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    janet = PatientKey("north", "-", "janet")
    tell(store, alert(), alert(id="a2"))
    tell_all(outbox, gate)
    tell(store, alert(id="a3"))

    store.links.merge(JANE, janet, EVENT)

    found = {(r["patient_id"], r["thing"], bool(r["gone"])) for r in rows(url)}
    assert found == {
        ("jane", "watch|a1", True),
        ("jane", "watch|a2", True),
        ("janet", "watch|a1", False),
        ("janet", "watch|a2", False),
        ("janet", "watch|a3", False),
    }
    told = tell_all(outbox, gate)
    assert sorted(told) == [
        ("watch|a1", ToldAs.ENTERED_IN_ERROR),
        ("watch|a1", ToldAs.FINAL),
        ("watch|a2", ToldAs.ENTERED_IN_ERROR),
        ("watch|a2", ToldAs.FINAL),
        ("watch|a3", ToldAs.FINAL),
    ]


@pytest.mark.parametrize("change", [EHR, replace(EHR, historical=True)])
def test_a_new_configuration_keeps_what_waits(
    store: Store, outbox: Outbox, gate: ConsentGate, change: Subscription
) -> None:
    tell(store, alert())

    outbox.subscribe([change])

    assert tell_all(outbox, gate) == [("watch|a1", ToldAs.FINAL)]


OLD, NEW = "https://old.example", "https://new.example"


def test_what_was_told_keeps_its_identifiers_when_the_server_moves(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    assert outbox.keep_base("", OLD) == OLD
    tell(store, alert())
    tell_all(outbox, gate)

    assert outbox.keep_base("", NEW) == OLD
    assert outbox.keep_base(OLD, NEW) == OLD
    with pytest.raises(StoreError, match=f"has identifiers under {OLD}; under {NEW}"):
        outbox.keep_base(NEW, NEW)
    assert store.outbox.base() == OLD


def test_what_may_have_been_told_keeps_its_identifiers_as_well(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    outbox.keep_base("", OLD)
    tell(store, alert())
    (lane,) = outbox.claim("ehr", 1, NOW)
    outbox.begin(lane, gate, NOW)

    assert outbox.keep_base("", NEW) == OLD


def test_until_something_is_told_identifiers_rest_on_what_is_configured(
    store: Store, outbox: Outbox
) -> None:
    tell(store, alert())

    assert [outbox.keep_base(*each) for each in (("", OLD), ("", NEW), (OLD, NEW))] == [
        *(OLD, NEW, OLD),
    ]


def test_of_a_night_the_time_asleep_is_told_and_no_heart_rate(
    store: Store, detection: Detection
) -> None:
    days = (TakenDay("time-asleep"), TakenDay("heart-rate"))
    store.outbox.subscribe([replace(EHR, days=days)])
    gate = detection.gate
    known = {
        "time-asleep": Metric(
            *("time-asleep", "Time asleep", "min", 0, 1440), cumulative=True, sleep=True
        ),
        "heart-rate": replace(gate.catalogue.metrics["heart-rate"], speaks_for=MINUTE),
    }
    night = Night(time(22), time(8), sleep_from=time(18))
    catalogue = replace(gate.catalogue, metrics=known, night=night)
    midnight = EIGHT.replace(hour=0)
    asleep = Sample(
        *("time-asleep", 400.0, "min", midnight, midnight + 420 * MINUTE),
        stat=Stat.TOTAL,
    )
    judged = replace(detection, detectors=(), gate=replace(gate, catalogue=catalogue))

    take(store, [asleep, *beats(58, since=midnight)], judged)

    waiting = store.outbox_desk.rows(Chosen(), 9)
    assert sorted(each.key for each in waiting) == [
        "heart-rate|2026-11-22|day",
        "time-asleep|2026-11-22|night",
    ]


def test_what_other_patients_were_told_of_is_not_looked_at(
    store: Store, outbox: Outbox, url: str
) -> None:
    """Every delivery asks whether anybody was told of what it brings."""
    asked = ask_known(JANE, [change_of_alert(alert())], [EHR])
    engine = create_engine(url)
    text = asked.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        if engine.name == "sqlite":
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
            told = [str(each[-1]) for each in found]
            steps = [each for each in told if each.startswith("SEARCH")]
            scans = [each for each in told if each.startswith("SCAN")]
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            found = connection.exec_driver_sql(f"EXPLAIN {text}")
            told = [str(each[0]).strip() for each in found]
            steps = [each for each in told if each.startswith("Index Cond")]
            scans = [each for each in told if "Seq Scan" in each]
    engine.dispose()

    assert len(steps) == 2 and scans == []
    # Of an empty table PostgreSQL takes whichever index begins with the destination.
    named = THING if engine.name == "sqlite" else THING[:1]
    assert all(name in step for step in steps for name in named)
