"""Links of cards to pages of this server: whom they are for, and what they refer to."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cds_service.config import Config
from cds_service.decision import Answer, World, answer
from cds_service.decision.referring import (
    LASTS,
    OpenedReference,
    open_reference,
)
from cds_service.protocol.errors import Unavailable
from cds_service.protocol.requests import parse_request
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent, Intake
from cds_service.trust import SmartApp, TrustedClient
from cds_service.trust.vault import Unopened, Vault, parse_vault_keys
from cds_service.wearables.records import PatientKey, WearableAlert

from .. import shipped

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BASE = "https://ehr.example/fhir"
LAUNCH = "https://cds.example/smart/launch"
JANE = PatientKey("north", BASE, "p1")
VAULT = Vault(parse_vault_keys(base64.b64encode(bytes(range(32))).decode()))
CLIENT = TrustedClient("ehr", "north", "https://ehr.example", BASE)
OPENING = replace(CLIENT, smart=SmartApp("cds"))
Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return shipped.rulebook()


@pytest.fixture
def world(url: str, rulebook: Rulebook) -> Iterator[World]:
    config = Config(
        profile="development",
        auth="off",
        database_url=url,
        public_url="https://cds.example",
    )
    made = build_world(config, rulebook)
    yield replace(made, clock=lambda: NOW, vault=VAULT)
    made.store.close()
    made.fhir.close()


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


ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
METOPROLOL = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-01-01",
    "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
}
BODY = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/7", "patientId": "p1"},
    "prefetch": {
        "patient": {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"},
        "conditions": searchset(),
        "medication-requests": searchset(METOPROLOL),
        "medication-statements": None,
        "observations": searchset(heart_rate(108, 3), heart_rate(112, 27)),
    },
}


def ask(world: World, client: TrustedClient = OPENING, **changes: Any) -> Answer:
    request = parse_request({**BODY, **changes}, https_only=False)
    service = world.rulebook.services["wearable-review", "patient-view"]
    return answer(service, request, client, world)


def links(answered: Answer) -> list[dict[str, Any]]:
    return [link for card in answered.body["cards"] for link in card.get("links", ())]


def smart(answered: Answer) -> list[dict[str, Any]]:
    return [each for each in links(answered) if each["type"] == "smart"]


def opened(world: World, reference: str, **changes: Any) -> OpenedReference | None:
    whose = {"patient": JANE, "client": "ehr", "user": None, "now": NOW}
    found = world.store.references.resolve(reference, **{**whose, **changes})
    return open_reference(found, world.vault) if found else None


def test_a_card_links_to_its_pages_where_the_ehr_opens_them(world: World) -> None:
    timeline, why = smart(ask(world))

    assert {timeline["url"], why["url"]} == {LAUNCH}
    assert timeline["label"] == "What the wearable measured"
    assert why["label"] == "Why this card"
    assert timeline["appContext"] != why["appContext"]


def test_a_reference_is_too_long_to_be_guessed_and_says_nothing(world: World) -> None:
    contexts = {each["appContext"] for n in range(3) for each in smart(ask(world))}

    assert len(contexts) == 6
    for each in contexts:
        assert len(base64.urlsafe_b64decode(each + "=")) * 8 >= 128
        assert "p1" not in each.lower() or len(each) == 43


@pytest.mark.parametrize(
    ("public_url", "client", "vault"),
    [
        ("https://cds.example", CLIENT, VAULT),
        ("https://cds.example", OPENING, Vault()),
        ("http://cds.example", OPENING, VAULT),
        ("http://127.0.0.1.evil.example", OPENING, VAULT),
    ],
    ids=["no app", "no key", "no encryption on the way", "no loopback"],
)
def test_the_link_is_left_out_where_no_page_can_be_opened_and_nothing_is_kept(
    world: World, rows: Rows, public_url: str, client: TrustedClient, vault: Vault
) -> None:
    config = world.config.model_copy(update={"public_url": public_url})

    answered = ask(replace(world, config=config, vault=vault), client)

    assert links(answered) and not smart(answered)
    assert rows("SELECT * FROM card_references") == []


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "[::1]:8080"])
def test_who_tries_it_out_on_one_machine_needs_no_certificate(
    world: World, host: str
) -> None:
    config = world.config.model_copy(update={"public_url": f"http://{host}"})

    answered = ask(replace(world, config=config))

    assert {each["url"] for each in smart(answered)} == {f"http://{host}/smart/launch"}


def test_what_was_answered_is_read_again_as_it_was(world: World) -> None:
    answered = ask(world)
    timeline, _ = smart(answered)

    found = opened(world, timeline["appContext"])

    assert found is not None
    assert (found.page, found.at) == ("timeline", NOW)
    (sent,) = answered.body["cards"]
    others = [each for each in sent["links"] if each["type"] != "smart"]
    assert found.card == {**sent, "links": others}


def test_why_is_kept_with_each_value_its_time_and_where_it_stands(
    world: World,
) -> None:
    _, link = smart(ask(world))

    found = opened(world, link["appContext"])

    assert found is not None
    why = found.why
    assert (why["rule"], why["outcome"]) == (
        *("beta-blocker-resting-tachycardia", "fires"),
    )
    assert why["rulebook"] == world.rulebook.digest
    assert why["patient"] == "Patient/p1"
    assert why["now"] == NOW.isoformat()
    rows = [row for fact in why["facts"].values() for row in fact["rows"]]
    told = {row["resource"]: (row["value"], row["at"]) for row in rows}
    assert told["Observation/o3"] == ("108 /min", "2026-11-22 04:00")
    assert "Metoprolol 50 mg" in {row["name"] for row in rows}
    (wearables,) = [e for e in why["sources"] if e["name"] == "observations"]
    assert (wearables["state"], wearables["origin"]) == ("loaded", "prefetch")
    fired = {(e["rule"], e["outcome"]) for e in why["considered"]}
    assert ("beta-blocker-resting-tachycardia", "fires") in fired
    fast = world.rulebook.rules["fast-heart-rate-at-rest"].key
    assert (fast in why["silent"]) is (fast[:-6] not in {e[0] for e in fired})


def test_a_retry_gets_the_same_card_and_both_references_are_good(
    world: World, rows: Rows
) -> None:
    first, again = ask(world), ask(world)

    assert first.body["cards"][0]["uuid"] == again.body["cards"][0]["uuid"]
    one, other = smart(first)[1]["appContext"], smart(again)[1]["appContext"]
    assert one != other
    assert opened(world, one) and opened(world, other)
    assert len(rows("SELECT DISTINCT call_id FROM card_references")) == 2


def test_what_is_kept_cannot_be_read_in_the_database(world: World, rows: Rows) -> None:
    link, _ = smart(ask(world))

    kept = str(rows("SELECT * FROM card_references"))

    assert "Metoprolol" not in kept and "Observation" not in kept
    assert link["appContext"] not in kept
    assert link["appContext"] not in str([*world.store.audit_entries()])


def test_what_is_sealed_cannot_be_moved_behind_another_reference(
    world: World,
) -> None:
    one, other = (each["appContext"] for each in smart(ask(world)))
    found = [
        world.store.references.resolve(each, JANE, "ehr", None, NOW)
        for each in (one, other)
    ]
    assert found[0] and found[1]

    with pytest.raises(Unopened):
        open_reference(replace(found[0], sealed=found[1].sealed), VAULT)


def test_a_call_that_is_too_late_leaves_no_reference(world: World, rows: Rows) -> None:
    request = parse_request(BODY, https_only=False)
    service = world.rulebook.services["wearable-review", "patient-view"]

    with pytest.raises(Unavailable):
        answer(service, request, OPENING, world, is_late=lambda: True)

    assert rows("SELECT * FROM card_references") == []


def test_it_is_over_after_a_shift(world: World) -> None:
    _, link = smart(ask(world))

    assert opened(world, link["appContext"], now=NOW + LASTS - timedelta(seconds=1))
    assert opened(world, link["appContext"], now=NOW + LASTS) is None


def test_a_card_about_checks_that_could_not_be_made_has_no_page(world: World) -> None:
    prefetch = {**BODY["prefetch"], "observations": {"resourceType": "Bundle"}}
    prefetch["medication-statements"] = {"resourceType": "OperationOutcome"}
    prefetch["observations"] = {"resourceType": "OperationOutcome"}

    answered = ask(world, prefetch=prefetch)

    (card,) = answered.body["cards"]
    assert card["summary"] == "Some checks could not be made"
    assert smart(answered) == []


def problem(code: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": code,
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": ICD10, "code": code}]},
        "subject": {"reference": "Patient/p1"},
    }


def tell(world: World, type: str, **changes: Any) -> None:
    """Have an alert that ended an hour ago in the database."""
    start, end = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    usual = WearableAlert(
        f"{type}-1", JANE, type, start, end, end, source="watch", status="closed"
    )
    event = AuditEvent(NOW, "delivery")
    world.store.take_in(Intake((replace(usual, **changes),)), event, NOW)


def test_what_stands_as_a_line_on_the_card_and_what_is_held_back_is_kept(
    world: World,
) -> None:
    man = {**BODY["prefetch"]["patient"], "gender": "male"}
    conditions = searchset(problem("I48.91"), problem("I10"))
    prefetch = {**BODY["prefetch"], "patient": man, "conditions": conditions}
    rate = {"value": 131.0, "unit": "/min", "stat": "mean", "metric": "heart-rate"}
    tell(world, "fast-heart-rate", **rate, threshold=110.0)
    first = ask(world, prefetch=prefetch)
    tell(world, "irregular-rhythm")
    later = replace(world, clock=lambda: NOW + timedelta(hours=1))

    second = ask(later, prefetch=prefetch, hookInstance=str(uuid4()))

    (on_card,) = smart(first)
    shown = opened(world, on_card["appContext"])
    assert shown is not None
    assert (shown.why["rule"], [each["rule"] for each in shown.why["also"]]) == (
        *("af-fast-rate", ["beta-blocker-resting-tachycardia"]),
    )
    (line,) = shown.why["held_back"]
    assert (line["why"], line["told_under"]) == ("grouped", "af-fast-rate")
    (of_rhythm,) = smart(second)
    found = opened(later, of_rhythm["appContext"], now=later.clock())
    assert found is not None
    assert found.why["rule"] == "af-irregular-rhythm-no-anticoagulant"
    held = {each["rule"]: each for each in found.why["held_back"]}
    assert held["af-fast-rate"]["why"] == "repeated"
    assert held["af-fast-rate"]["since"] == NOW.isoformat()
    assert held["af-fast-rate"]["summary"] == first.body["cards"][0]["summary"]
