"""The straight line of a call: what is recorded, and what is answered only then."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.config import Config
from cds_service.decision import World, answer, heed_token, seed_of
from cds_service.decision.stopwatch import Stopwatch
from cds_service.ehr.fixture_server import load_records, serve_records
from cds_service.fhir.forms import Added, Form
from cds_service.http.addresses import ListedServer, Reach
from cds_service.protocol.cards import CardSource, InvalidAnswer
from cds_service.protocol.errors import UnmetPrecondition
from cds_service.protocol.requests import parse_request
from cds_service.publishing.serving import Serving
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.starting import build_world
from cds_service.store.detection.reading import ALERTS_READ
from cds_service.store.records import Attempt, AuditEvent, Intake, StoredAnswer
from cds_service.trust import TrustedClient
from cds_service.wearables.records import PatientKey, WearableAlert

from . import shipped

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = ("wearable-review", "patient-view")


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return shipped.rulebook()


@pytest.fixture
def world(url: str, rulebook: Rulebook) -> Iterator[World]:
    config = Config(
        profile="development",
        auth="off",
        database_url=url,
    )
    world = replace(build_world(config, rulebook), clock=lambda: NOW)
    yield world
    world.store.close()
    world.fhir.close()


def searchset(*resources: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def heart_rate(value: int, hours: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{hours}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "40443-4"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": (NOW - timedelta(hours=hours)).isoformat(),
        "valueQuantity": {"value": value, "code": "/min"},
    }


PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
BODY = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/7", "patientId": "Patient/p1"},
    "prefetch": {
        "patient": PATIENT,
        "conditions": searchset(),
        "medication-requests": searchset(
            {
                "resourceType": "MedicationRequest",
                "id": "m1",
                "status": "active",
                "intent": "order",
                "subject": {"reference": "Patient/p1"},
                "authoredOn": "2026-01-01",
                "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
            }
        ),
        "medication-statements": None,
        "observations": searchset(heart_rate(108, 3), heart_rate(112, 27)),
    },
}


def ask(world: World, **changes: Any) -> Any:
    request = parse_request({**BODY, **changes}, https_only=False)
    return answer(world.rulebook.services[KEY], request, anonymous(world), world)


def anonymous(world: World) -> TrustedClient:
    assert world.clients.anonymous is not None
    return world.clients.anonymous


def audited(world: World) -> list[dict[str, Any]]:
    return [json.loads(entry.detail) for entry in world.store.audit_entries()]


def test_a_call_is_recorded_with_all_that_it_rests_on(world: World) -> None:
    found = ask(world)

    version = world.rulebook.rules["beta-blocker-resting-tachycardia"].version
    (row,) = audited(world)
    (card,) = found.cards
    assert row["service"] == "wearable-review"
    assert row["user"] == "Practitioner/7"
    assert row["rulebook"] == world.rulebook.digest
    rule = f"beta-blocker-resting-tachycardia@{version}"
    assert row["cards"] == [[card.uuid, rule, "warning"]]
    assert row["evaluations"][0] == ["fires", [], [rule]]
    assert row["deviations"]
    assert row["sources"]["observations"][0] == "loaded"


def test_a_call_that_is_refused_is_not_recorded_as_answered(world: World) -> None:
    prefetch = {"patient": PATIENT, "observations": None}

    with pytest.raises(UnmetPrecondition):
        ask(world, prefetch=prefetch)

    assert audited(world) == []


def test_a_card_that_must_not_leave_is_not_recorded_as_shown(world: World) -> None:
    service = world.rulebook.services[KEY]
    nameless = [
        replace(
            rule, cards=tuple(replace(c, source=CardSource("")) for c in rule.cards)
        )
        for rule in service.rules
    ]
    program = type(service.program)(service.program.selectors, nameless)
    broken = replace(service, rules=tuple(nameless), program=program)
    book = replace(world.rulebook, services={KEY: broken})

    with pytest.raises(InvalidAnswer):
        ask(replace(world, serving=Serving(book, NOW)))

    assert audited(world) == []


def test_a_medicine_that_the_prefetch_lacks_is_told_as_a_check_not_made(
    world: World,
) -> None:
    """The prefetch as discovery advertises it, by an EHR that names no server."""
    (entry,) = BODY["prefetch"]["medication-requests"]["entry"]
    referring = {
        **{k: v for k, v in entry["resource"].items() if k[:10] != "medication"},
        "medicationReference": {"reference": "Medication/4711"},
    }
    prefetch = {**BODY["prefetch"], "medication-requests": searchset(referring)}

    (card,) = ask(world, prefetch=prefetch).cards

    assert card.summary == "Some checks could not be made"
    assert "Fast resting heart rate despite a beta-blocker" in card.detail
    assert "its Medication was not obtained" in card.detail


def test_an_identical_retry_has_the_identical_card(world: World) -> None:
    first, again = ask(world), ask(world)

    assert first.cards
    assert first.body == again.body


def test_another_call_is_not_shown_the_same_card_again(world: World) -> None:
    first = ask(world)
    other = ask(world, hookInstance="11111111-dfbe-44ad-ba6d-3e05e953b2ea")

    assert other.cards == ()
    (held,) = other.suppressed
    assert held.card.card.summary == first.cards[0].summary
    assert (held.why, held.until) == ("repeated", NOW + timedelta(days=14))
    rule = f"{held.card.rule}@{held.card.version}"
    assert [row.get("suppressed") for row in audited(world)] == [
        None,
        [[rule, held.card.index, "repeated", held.detail]],
    ]


@pytest.mark.parametrize("constant", [True, False])
def test_an_instance_that_tells_no_calls_apart_gives_every_card_its_own_id(
    world: World, constant: bool
) -> None:
    client = anonymous(world)
    if constant:
        client = replace(
            client, profile=replace(client.profile, constant_instance=True)
        )
        request = parse_request(BODY)
    else:
        request = parse_request({**BODY, "hookInstance": "demo"})

    first = seed_of("wearable-review", request, client)
    assert seed_of("wearable-review", request, client) != first


def test_two_services_that_are_asked_alike_give_cards_ids_of_their_own(
    world: World,
) -> None:
    request, client = parse_request(BODY), anonymous(world)

    seeds = {
        seed_of("wearable-review", request, client),
        seed_of("wearable-review-of-the-ward", request, client),
    }

    assert len(seeds) == 2


def test_time_is_an_argument(world: World) -> None:
    later = replace(world, clock=lambda: NOW + timedelta(days=30))

    assert len(ask(world).cards) == 1
    assert ask(later).cards == ()


SERVER = "http://127.0.0.1:9/fhir"
TOKEN = {"access_token": "t", "token_type": "Bearer", "scope": "user/*.rs"}


def ask_with_token(world: World, ours: str, **token: Any) -> Any:
    """A call that leaves the conditions out, with a token for their server."""
    client = replace(
        anonymous(world),
        fhir_servers=(ListedServer(SERVER, Reach.LOCAL),),
        fhir_client_id=ours,
    )
    prefetch = {"patient": PATIENT, "medication-requests": None}
    granted = {**TOKEN, "subject": "us", "expires_in": 300, **token}
    told = {"prefetch": prefetch, "fhirServer": SERVER, "fhirAuthorization": granted}
    request = heed_token(parse_request({**BODY, **told}, https_only=False), client)
    return request, lambda: answer(world.rulebook.services[KEY], request, client, world)


@pytest.mark.parametrize(
    ("ours", "token", "why", "noted"),
    [
        ("us", {}, "connection failed", False),
        ("", {}, "connection failed", False),
        ("us", {"subject": "them"}, "the token was issued to another client", True),
        ("us", {"expires_in": 0}, "the token expires too soon", False),
    ],
)
def test_a_9_a_12_a_token_that_is_not_ours_or_is_over_is_not_used(
    world: World, ours: str, token: dict[str, Any], why: str, noted: bool
) -> None:
    request, call = ask_with_token(world, ours, **token)

    with pytest.raises(UnmetPrecondition, match=why):
        call()

    told = [each for each in request.deviations if "fhirAuthorization" in each]
    assert bool(told) is noted


def test_the_time_that_is_spent_is_missing_from_the_deadline(world: World) -> None:
    late = replace(
        world, config=world.config.model_copy(update={"gather_deadline_ms": 1})
    )
    watch = Stopwatch()
    while watch.elapsed < 0.01:
        pass
    client = replace(
        anonymous(world), open_fhir_servers=(ListedServer(SERVER, Reach.LOCAL),)
    )
    told = {"prefetch": {"patient": PATIENT}, "fhirServer": SERVER}
    request = parse_request({**BODY, **told}, https_only=False)

    told = r"timeout\. .* CDS_GATHER_DEADLINE_MS allows 1 ms .*; 0 ms were left"
    with pytest.raises(UnmetPrecondition, match=told):
        answer(world.rulebook.services[KEY], request, client, late, watch)


def test_a_client_whose_server_demands_an_intent_is_asked_with_it(world: World) -> None:
    """As its entry in the clients file says."""
    form = Form("MedicationRequest", added=(Added("intent", ("order", "plan")),))
    chart = {"resourceType": "Bundle", "entry": []}
    with serve_records(load_records([chart])) as server:
        client = replace(
            anonymous(world),
            open_fhir_servers=(ListedServer(server.base, Reach.LOCAL),),
            queries=(form,),
        )
        told = {
            "prefetch": {"patient": PATIENT, "conditions": None},
            "fhirServer": server.base,
        }
        request = parse_request({**BODY, **told}, https_only=False)
        slow = replace(
            world, config=world.config.model_copy(update={"gather_deadline_ms": 30_000})
        )
        answer(world.rulebook.services[KEY], request, client, slow)

    asked = [each for each in server.seen if each.startswith("MedicationRequest")]
    assert asked == ["MedicationRequest?patient=p1&intent=order,plan&_count=200"]


def test_of_more_alerts_than_are_read_a_card_and_the_record_say_so(
    world: World,
) -> None:
    """No irregular rhythm is among the newest: nobody knows of the rest."""
    patient = PatientKey("default", "-", "p1")
    ended = [
        WearableAlert(
            id=f"{minutes}",
            patient=patient,
            type="low-heart-rate",
            start=NOW - timedelta(minutes=minutes + 30),
            end=NOW - timedelta(minutes=minutes + 20),
            opened=NOW,
            status="closed",
            source="watch",
        )
        for minutes in range(ALERTS_READ + 1)
    ]
    attempt, event = Attempt("watch", "k"), AuditEvent(NOW, "delivery")
    world.store.begin_delivery(attempt, "digest", NOW)
    world.store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake(tuple(ended)), event, NOW
    )

    found = ask(world)

    row = audited(world)[-1]
    assert row["sources"]["wearable_alerts"][0] == "partial"
    details = [each.detail or "" for each in found.cards]
    assert any("wearable alerts could be read only in part" in each for each in details)
