"""What consents mean for alerts: which may be stored and shown, and which end."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.consent import ConsentAction, ConsentRecord
from cds_service.wearables.consent_gate import (
    ConsentGate,
    Permitted,
    plan_change,
    stamp_of,
)
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import AlertType, PatientKey, WearableAlert
from cds_service.wearables.summaries import DaySummary

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
P1 = PatientKey("default", "-", "p1")
LOINC = "http://loinc.org"
TYPES = {
    "low-heart-rate": AlertType(
        "low-heart-rate", "Low", "heart_rate", "/min", frozenset({(LOINC, "8867-4")})
    ),
    "low-glucose": AlertType(
        "low-glucose", "Low", "glucose", "mg/dL", frozenset({(LOINC, "99504-3")})
    ),
}
KNOWN = Catalogue(alert_types=TYPES)
GATE = ConsentGate(KNOWN)
OPEN = WearableAlert("a-1", P1, "low-heart-rate", NOW, NOW, source="watch")
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"


def record(
    id: str = "c1",
    *,
    status: str = "active",
    hours: int = 0,
    source: str = "app",
    **provision: Any,
) -> ConsentRecord:
    """A Consent to everything, told so many hours after it was first."""
    actions = [{"coding": [{"system": ACTIONS, "code": each}]} for each in ALL]
    rule = {"type": "permit", "action": actions, **provision}
    updated = NOW - timedelta(days=1) + timedelta(hours=hours)
    resource = {"resourceType": "Consent", "status": status, "provision": rule}
    return ConsentRecord(P1, id, updated, source, resource)


ALL = ("collect", "use", "disclose")


def test_an_alert_is_permitted_by_the_codes_of_its_type() -> None:
    only_glucose = record(code=[{"coding": [{"system": LOINC, "code": "99504-3"}]}])
    consents = GATE.read([only_glucose])

    assert not GATE.permits(ConsentAction.USE, OPEN, consents, NOW)
    assert GATE.permitted(consents, NOW) == {
        ConsentAction.COLLECT: Permitted(("low-glucose",)),
        ConsentAction.USE: Permitted(("low-glucose",)),
        ConsentAction.DISCLOSE: Permitted(("low-glucose",)),
    }


def test_an_alert_of_a_type_that_is_gone_is_permitted_by_no_code() -> None:
    coded = record(code=[{"coding": [{"system": LOINC, "code": "8867-4"}]}])
    gone = ConsentGate(Catalogue())

    assert not gone.permits(ConsentAction.USE, OPEN, gone.read([coded]), NOW)
    assert gone.permits(ConsentAction.USE, OPEN, gone.read([record()]), NOW)


BOTH = Permitted(("low-heart-rate", "low-glucose"))
NONE = Permitted()
NOTHING = dict.fromkeys(ConsentAction, NONE)


def test_where_it_is_assumed_every_type_is_permitted_until_the_patient_objects() -> (
    None
):
    assumed = ConsentGate(KNOWN, assumed=True)
    withdrawn = assumed.read([record(status="inactive")])

    assert assumed.permitted((), NOW) == dict.fromkeys(ConsentAction, BOTH)
    assert assumed.permitted(withdrawn, NOW) == NOTHING
    assert GATE.permitted((), NOW) == NOTHING


@pytest.mark.parametrize(
    ("limit", "permitted"),
    [
        ({"period": {"end": "2026-11-21"}}, NONE),
        ({"period": {"start": "2026-11-22"}}, BOTH),
        ({"dataPeriod": {"start": "2026-11-01"}}, BOTH),
        ({"dataPeriod": {"end": "2026-11-01"}}, NONE),
    ],
)
def test_what_is_permitted_of_a_type_is_so_of_what_is_measured_now(
    limit: dict[str, Any], permitted: Permitted
) -> None:
    consents = GATE.read([record(**limit)])

    assert GATE.permitted(consents, NOW) == dict.fromkeys(ConsentAction, permitted)


def test_an_alert_is_permitted_by_the_time_at_which_it_began() -> None:
    consents = GATE.read([record(dataPeriod={"start": "2026-11-01"})])
    older = replace(OPEN, start=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))

    assert GATE.permits(ConsentAction.USE, OPEN, consents, NOW)
    assert not GATE.permits(ConsentAction.USE, older, consents, NOW)


def test_the_last_day_of_a_consent_ends_at_midnight_where_the_site_is() -> None:
    evening = datetime(2026, 11, 22, 4, 59, tzinfo=UTC)
    here = ConsentGate(KNOWN, ZoneInfo("America/New_York"))
    last_day = [record(period={"end": "2026-11-21"})]

    assert here.permits(ConsentAction.USE, OPEN, here.read(last_day), evening)
    assert not GATE.permits(ConsentAction.USE, OPEN, GATE.read(last_day), evening)


def test_what_a_hospital_is_permitted_is_so_under_its_own_names() -> None:
    us = [{"role": {"text": "user"}, "reference": {"reference": "Organization/us"}}]
    ours = ConsentGate(KNOWN, actors=frozenset({"Organization/us"}))
    consents = ours.read([record(actor=us)])

    assert ours.permitted(consents, NOW) == dict.fromkeys(ConsentAction, BOTH)
    assert ours.permits(ConsentAction.USE, OPEN, consents, NOW)
    assert GATE.permitted(consents, NOW) == NOTHING


def test_where_a_denial_may_be_missing_a_permission_that_is_over_is_kept() -> None:
    over = record(period={"end": "2026-11-20"})

    assert plan_change(P1, (), [over], (), GATE, NOW, sure=False).kept == (over,)


def test_what_is_told_first_is_kept() -> None:
    change = plan_change(P1, (), [record()], (), GATE, NOW)

    assert change.kept == (record(),)
    assert change.after(()) == (record(),)
    assert not change.is_empty


def test_of_two_versions_the_later_holds_whichever_comes_first() -> None:
    earlier, later = record(), record(status="inactive", hours=1)

    assert plan_change(P1, [earlier], [later], (), GATE, NOW).kept == (later,)
    assert plan_change(P1, [later], [earlier], (), GATE, NOW).is_empty
    assert plan_change(P1, (), [later, earlier], (), GATE, NOW).kept == (later,)


def test_of_two_versions_of_the_same_age_the_stricter_holds() -> None:
    active, inactive = record(), record(status="inactive")

    assert plan_change(P1, [active], [inactive], (), GATE, NOW).kept == (inactive,)
    assert plan_change(P1, [inactive], [active], (), GATE, NOW).is_empty


def test_what_is_known_already_changes_nothing() -> None:
    assert plan_change(P1, [record()], [record()], [OPEN], GATE, NOW).is_empty


def test_a_consent_that_is_withdrawn_ends_what_lasts() -> None:
    withdrawn = record(status="inactive", hours=1)
    change = plan_change(P1, [record()], [withdrawn], [OPEN], GATE, NOW)

    assert change.ended == (OPEN,)
    assert change.lasting == {("watch", "a-1")}


def test_a_denial_ends_only_what_it_is_about() -> None:
    glucose = WearableAlert("a-2", P1, "low-glucose", NOW, NOW, source="watch")
    codes = [{"coding": [{"system": LOINC, "code": "8867-4"}]}]
    denial = record("c2", type="deny", code=codes)

    change = plan_change(P1, [record()], [denial], [OPEN, glucose], GATE, NOW)

    assert change.ended == (OPEN,)


def test_what_lasted_while_nothing_was_permitted_ends_when_it_is_again() -> None:
    lapsed = record(period={"end": "2026-11-20"})
    renewed = record("c2")

    assert plan_change(P1, [lapsed], [renewed], [OPEN], GATE, NOW).ended == (OPEN,)


def test_what_a_source_that_was_told_whole_has_no_longer_is_gone() -> None:
    of_ehr, of_app = record("c1", source="fhir:ehr"), record("c2")

    change = plan_change(
        P1, [of_ehr, of_app], [], [OPEN], GATE, NOW, whole_of="fhir:ehr"
    )
    assert change.gone == ("c1",)
    assert change.after([of_ehr, of_app]) == (of_app,)
    assert change.ended == ()


def test_where_a_denial_may_be_missing_no_new_permission_is_kept() -> None:
    known = record("c1")
    later = record("c1", hours=1, period={"start": "2026-01-01"})
    denial, new = record("c2", type="deny"), record("c3")

    change = plan_change(P1, [known], [later, denial, new], (), GATE, NOW, sure=False)

    assert change.kept == (later, denial)


def test_a_permission_that_is_not_kept_hides_no_denial_told_after_it() -> None:
    new, denial = record("c3"), record("c2", type="deny")

    change = plan_change(P1, (), [new, denial], (), GATE, NOW, sure=False)

    assert change.kept == (denial,)


def test_a_stamp_tells_versions_apart() -> None:
    assert stamp_of([record()]) == stamp_of([record()])
    assert stamp_of([record()]) != stamp_of([record(hours=1)])
    assert stamp_of([record()]) != stamp_of([record(), record("c2")])
    denied = replace(record(), resource={"resourceType": "Consent"})
    assert stamp_of([record()]) != stamp_of([denied])


def test_a_change_says_whose_it_is_and_what_it_was_worked_out_from() -> None:
    known, told = record(), record("c2")

    change = plan_change(P1, (known,), [told], (), GATE, NOW)

    assert (change.patient, change.seen) == (P1, stamp_of([known]))


def test_what_a_patient_says_of_other_actions_within_a_provision_is_said() -> None:
    assumed = replace(GATE, assumed=True)
    denial = {
        "type": "deny",
        "action": [{"coding": [{"system": ACTIONS, "code": "use"}]}],
    }
    within = replace(
        record(),
        resource={
            "resourceType": "Consent",
            "status": "active",
            "provision": {"type": "permit", "provision": [denial]},
        },
    )

    assert assumed.permits(ConsentAction.USE, OPEN, (), NOW)
    for action in (ConsentAction.USE, ConsentAction.DISCLOSE):
        assert not assumed.permits(action, OPEN, assumed.read([within]), NOW)


def test_a_stamp_is_the_same_in_whatever_order_the_members_of_a_consent_come() -> None:
    told = record()
    turned = replace(told, resource=dict(reversed(told.resource.items())))

    assert [*turned.resource] == ["provision", "status", "resourceType"]
    assert stamp_of([turned]) == stamp_of([told])


METRICS = {
    name: Metric(name, name, "1", 0, 1, consent_codes=frozenset({(LOINC, code)}))
    for name, code in (("heart-rate", "8867-4"), ("steps", "55423-8"))
}
READINGS = ConsentGate(Catalogue(METRICS, TYPES))
ONLY_STEPS = {"code": [{"coding": [{"system": LOINC, "code": "55423-8"}]}]}


def test_a_reading_is_collected_where_a_consent_names_its_metric() -> None:
    consents = READINGS.read([record(**ONLY_STEPS)])

    def collects(metric: str) -> bool:
        return READINGS.permits_reading(
            ConsentAction.COLLECT, metric, NOW, consents, NOW
        )

    assert collects("steps")
    assert not collects("heart-rate")
    assert not collects("a-metric-that-is-gone")


def test_a_reading_is_collected_by_the_time_at_which_it_was_taken() -> None:
    consents = READINGS.read([record(dataPeriod={"start": "2026-11-01"})])
    before = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)

    def collects(at: datetime) -> bool:
        return READINGS.permits_reading(
            ConsentAction.COLLECT, "steps", at, consents, NOW
        )

    assert collects(NOW)
    assert not collects(before)


@pytest.mark.parametrize(
    ("zone", "part", "start", "permitted"),
    [
        ("UTC", "day", "2026-11-20T00:00:00Z", True),
        ("UTC", "day", "2026-11-20T00:00:01Z", False),
        ("Asia/Tokyo", "day", "2026-11-19T15:00:00Z", True),
        ("Asia/Tokyo", "day", "2026-11-20T00:00:00Z", False),
        ("America/New_York", "day", "2026-11-20T05:00:00Z", True),
        ("America/New_York", "night", "2026-11-20T05:00:00Z", False),
        ("America/New_York", "night", "2026-11-19T05:00:00Z", True),
    ],
)
def test_a_day_is_disclosed_where_all_of_it_is_permitted_on_the_wearers_clock(
    zone: str, part: str, start: str, permitted: bool
) -> None:
    consents = READINGS.read([record(dataPeriod={"start": start})])
    day = DaySummary("steps", date(2026, 11, 20), zone, 1440, part)

    disclosed = READINGS.permits_day(ConsentAction.DISCLOSE, day, consents, NOW)

    assert disclosed is permitted


def test_a_day_is_disclosed_that_was_over_when_the_permission_ended() -> None:
    midnight = {"end": "2026-11-21T05:00:00Z"}
    consents = READINGS.read([record(dataPeriod=midnight)])
    new_york = "America/New_York"
    days = [DaySummary("steps", date(2026, 11, n), new_york, 1440) for n in (20, 21)]

    disclosed = [
        READINGS.permits_day(ConsentAction.DISCLOSE, each, consents, NOW)
        for each in days
    ]

    assert disclosed == [True, False]


def test_a_denial_of_its_last_moment_keeps_all_of_a_day_here() -> None:
    last = "2026-11-21T04:59:59.999999Z"
    denial = {"type": "deny", "dataPeriod": {"start": last}}
    consents = READINGS.read([record(provision=[denial])])
    new_york = "America/New_York"
    days = [DaySummary("steps", date(2026, 11, n), new_york, 1440) for n in (19, 20)]

    disclosed = [
        READINGS.permits_day(ConsentAction.DISCLOSE, each, consents, NOW)
        for each in days
    ]

    assert disclosed == [True, False]


def test_a_day_is_disclosed_of_a_metric_that_is_named_while_the_consent_holds() -> None:
    consents = READINGS.read([record(**ONLY_STEPS, period={"end": "2026-11-23"})])

    def discloses(metric: str, now: datetime = NOW) -> bool:
        day = DaySummary(metric, date(2026, 11, 20), "UTC", 1440)
        return READINGS.permits_day(ConsentAction.DISCLOSE, day, consents, now)

    assert discloses("steps")
    assert not discloses("heart-rate")
    assert not discloses("steps", NOW + timedelta(days=2))


def test_a_consent_to_readings_alone_says_what_it_permits() -> None:
    consents = READINGS.read([record(**ONLY_STEPS)])

    permitted = READINGS.permitted(consents, NOW)[ConsentAction.COLLECT]

    assert permitted == Permitted(metrics=("steps",))
    assert bool(permitted) is True
    assert bool(Permitted()) is False


def test_a_consent_that_is_over_permits_no_reading() -> None:
    over = READINGS.read([record(period={"end": "2026-11-01"}, **ONLY_STEPS)])

    assert not READINGS.permits_reading(
        ConsentAction.COLLECT, "steps", NOW - timedelta(days=60), over, NOW
    )
    assert READINGS.permitted(over, NOW)[ConsentAction.COLLECT] == Permitted()


def test_where_a_denial_may_be_missing_no_new_permission_of_readings_is_kept() -> None:
    steps = record(**ONLY_STEPS)

    assert plan_change(P1, (), [steps], (), READINGS, NOW, sure=False).kept == ()
    assert plan_change(P1, (), [steps], (), READINGS, NOW).kept == (steps,)
