"""What rules may see of days, streams and judgements, as a patient permits it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.decision.consenting import heard_by_rules
from cds_service.decision.permitted import CallPermission, items_of, unread
from cds_service.wearables.adapters.consents import keep_consent
from cds_service.wearables.consent import ConsentAction
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.detection.detectors import DaysBeyond, Detector, Direction
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.worn import AgreedStream, Wearables

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
P1 = PatientKey("default", "-", "p1")
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
LOINC = "http://loinc.org"
CATALOGUE = Catalogue(
    {
        name: Metric(
            name,
            name,
            "/min",
            0,
            300,
            consent_codes=frozenset({(LOINC, code)}),
            priority=("garmin", "fitbit"),
        )
        for name, code in (("heart-rate", "8867-4"), ("steps", "41950-7"))
    }
)
FAST = Detector(
    "fast",
    "1.0.0",
    "Fast",
    "heart-rate",
    "fast-heart",
    "/min",
    DaysBeyond(Direction.ABOVE, 100, "mean", 2, 3),
    "active",
    timedelta(days=2),
    timedelta(days=1),
)
DETECTORS: Mapping[str, Detector] = {"fast": FAST}
DAY = date(2026, 11, 20)
WORN = Wearables(
    (),
    (
        DaySummary("heart-rate", DAY, "America/New_York", 1440),
        DaySummary("steps", DAY, "America/New_York", 1440),
    ),
    (AgreedStream("heart-rate", "garmin", NOW), AgreedStream("steps", "garmin", NOW)),
    (DayTally("fast", DAY, "garmin", 1, {NotJudged.REST_UNKNOWN: 1}),),
)


def permission(*provisions: dict[str, Any], mode: str = "required") -> CallPermission:
    """What a Consent with these provisions permits; without any there is none."""
    resources = [
        {
            "resourceType": "Consent",
            "id": f"c{number}",
            "meta": {"lastUpdated": "2026-11-01T09:00:00Z"},
            "status": "active",
            "patient": {"reference": "Patient/p1"},
            "provision": {"type": "permit", **each},
        }
        for number, each in enumerate(provisions)
    ]
    gate = ConsentGate(CATALOGUE, ZoneInfo("America/New_York"), assumed=False)
    records = [keep_consent(each, P1, "webhook", NOW) for each in resources]
    return CallPermission(gate, gate.read(records), NOW, DETECTORS)


def to(*actions: str, **more: Any) -> dict[str, Any]:
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    return {"action": named, **more}


def of_heart_rate(*actions: str) -> dict[str, Any]:
    return to(*actions, code=[{"coding": [{"system": LOINC, "code": "8867-4"}]}])


def test_what_is_permitted_to_be_used_is_seen() -> None:
    assert permission(to("collect", "use")).used(WORN) == WORN


@pytest.mark.parametrize("provisions", [[], [to("collect")], [to("disclose")]])
def test_nothing_is_seen_that_may_not_be_used(provisions: list[dict[str, Any]]) -> None:
    assert permission(*provisions).used(WORN) == Wearables()


def test_each_metric_is_seen_as_it_is_permitted() -> None:
    used = permission(of_heart_rate("collect", "use")).used(WORN)

    assert [each.metric for each in used.days or ()] == ["heart-rate"]
    assert [each.metric for each in used.streams or ()] == ["heart-rate"]
    assert len(used.tallies or ()) == 1


def test_what_may_no_longer_be_collected_is_silent_for_that_and_not_told() -> None:
    used = permission(to("use")).used(WORN)

    assert (used.streams, len(used.days or ())) == ((), 2)


@pytest.mark.parametrize(
    ("period", "seen"),
    [
        ({"start": "2026-11-20"}, 2),
        ({"start": "2026-11-20T06:00:00-05:00"}, 0),
        ({"end": "2026-11-20"}, 2),
        ({"end": "2026-11-20T06:00:00-05:00"}, 0),
    ],
)
def test_a_day_of_which_a_part_may_not_be_used_is_not_seen(
    period: dict[str, str], seen: int
) -> None:
    permitted = permission(to("collect", "use", dataPeriod=period))

    assert len(permitted.used(WORN).days or ()) == seen


def test_what_may_be_disclosed_is_asked_of_each_metric() -> None:
    permitted = permission(to("collect", "use"), of_heart_rate("disclose"))

    may = [permitted.may(ConsentAction.DISCLOSE, each) for each in WORN.days or ()]

    assert may == [True, False]


def test_where_nobody_knows_what_is_permitted_none_stays_none() -> None:
    worn = unread(Wearables((), WORN.days, (), WORN.tallies))

    assert worn == Wearables((), None, (), None)
    assert items_of(worn) == ()


def alert(detector: str) -> WearableAlert:
    return WearableAlert("a", P1, "fast-heart", NOW, NOW, detector=detector)


def test_rules_see_the_episodes_of_detectors_that_are_active_and_every_vendors() -> (
    None
):
    told = Wearables((alert("fast"), alert("tried"), alert("")))

    heard = heard_by_rules(told, DETECTORS, CATALOGUE)

    assert [each.detector for each in heard.alerts or ()] == ["fast", ""]


def test_of_the_episodes_of_a_row_rules_see_which_each_is() -> None:
    told = [
        replace(alert("fast"), id=id, opened=NOW + timedelta(hours=hours))
        for id, hours in (("second", 20), ("first", 0), ("anew", 200))
    ]

    heard = heard_by_rules(Wearables(tuple(told)), DETECTORS, CATALOGUE)

    assert heard.places == {"first": 1, "second": 2, "anew": 1}


def test_of_what_sources_tell_of_a_day_the_best_comes_after_what_was_measured() -> None:
    days = [
        DaySummary("steps", DAY, "UTC", 1440, source=source)
        for source in ("fitbit", "unlisted", "garmin", "")
    ]

    heard = heard_by_rules(Wearables(days=tuple(days)), DETECTORS, CATALOGUE)

    sources = [each.source for each in heard.days or ()]
    assert sources == ["", "garmin", "fitbit", "unlisted"]
