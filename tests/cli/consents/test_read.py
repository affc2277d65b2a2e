"""What ``cds-service consent read`` stores and forgets, from servers of any temper."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.config import ConsentMode, WebhookSource
from cds_service.store.records import Attempt, AuditEvent, Intake, StoredAnswer
from cds_service.wearables.consent import FHIR_SERVER
from cds_service.wearables.records import WearableAlert

from .told import NAMED, NOW, audited, consent, kept, key, of_r5, tell

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="


# All is well.


def test_the_consents_of_every_page_are_stored_by_patient(ehr, store, read):
    result = read()

    assert result.exit_code == 0, result.output
    assert result.output == (
        "45 Consents of 45 patients read; 45 changed, 0 forgotten, 0 alerts ended; "
        "0 unreadable\n"
    )
    assert ehr.asked[0] == "/fhir/Consent?_count=200"
    assert [kept(store, f"p{number}") for number in range(45)] == [
        [f"c{number}"] for number in range(45)
    ]


def test_one_event_tells_of_each_patient(ehr, store, read):
    ehr.resources[1:] = [consent(100, "Patient/p0")]

    read()

    ((client, patient, detail),) = audited(store)
    assert (client, patient) == ("FHIR server", "p0")
    assert [each[1] for each in detail["consents"]] == ["c0", "c100"]
    assert detail["server"] == ehr.base


def test_read_again_nothing_changes_and_nothing_is_audited(store, read):
    read()
    rows = len(audited(store))

    result = read()

    assert result.exit_code == 0
    assert "45 Consents of 45 patients read; 0 changed, 0 forgotten" in result.output
    assert len(audited(store)) == rows == 45


def test_a_later_version_takes_the_place_of_the_earlier(ehr, store, read):
    read()
    later = {"lastUpdated": "2026-11-02T09:00:00Z"}
    ehr.resources[3] = consent(3, status="inactive", meta=later)

    assert "1 changed, 0 forgotten" in read().output
    (record,) = store.consents.of([key("p3")])[key("p3")]
    assert record.resource["status"] == "inactive"


def test_without_a_last_update_a_consent_is_as_old_as_its_reading(ehr, store, read):
    ehr.resources = [consent(0, meta={})]

    read()
    assert "0 changed" in read().output
    (record,) = store.consents.of([key("p0")])[key("p0")]
    assert datetime.now(UTC) - record.updated < timedelta(minutes=5)
    ehr.resources = [consent(0, meta={}, status="inactive")]
    assert "1 changed" in read().output


def test_patients_are_named_as_in_r4_and_r5_and_by_the_server(ehr, store, read):
    base = ehr.base
    ehr.resources = [of_r5(1), consent(2, f"{base}/Patient/p2/_history/3")]

    assert read().exit_code == 0
    assert (kept(store, "p1"), kept(store, "p2")) == (["c1"], ["c2"])


def test_a_consent_on_two_pages_counts_once_and_its_later_version_holds(
    ehr, store, read
):
    later = {"lastUpdated": "2026-11-02T09:00:00Z"}
    ehr.entries[20] = [
        {"resource": consent(3)},
        {"resource": consent(30, status="inactive", meta=later)},
    ]

    assert "45 Consents of 45 patients read; 45 changed" in read().output
    (record,) = store.consents.of([key("p30")])[key("p30")]
    assert record.resource["status"] == "inactive"


def test_what_comes_beside_the_matches_is_a_consent_if_it_is_one(ehr, store, read):
    issue = {"severity": "warning", "code": "processing"}
    warned = {"resourceType": "OperationOutcome", "issue": [issue]}
    ehr.entries[0] = [
        {"resource": {"resourceType": "Patient", "id": "p1"}},
        {"resource": consent(90), "search": {"mode": "include"}},
        {"resource": warned, "search": {"mode": "outcome"}},
    ]

    assert read().exit_code == 0
    assert kept(store, "p90") == ["c90"]


def test_they_are_stored_for_the_tenant_and_its_base(ehr, store, read):
    where = ("--tenant", "north", "--fhir-base", "https://ehr.example/r4/")

    assert read(*where).exit_code == 0
    assert kept(store, "p1") == []
    assert kept(store, "p1", tenant="north", base="https://ehr.example/r4") == ["c1"]


def test_a_server_that_refuses_the_page_size_is_asked_without(ehr, read):
    ehr.moods = [(0, 422, b"")]

    assert read("--count", "7").exit_code == 0
    assert ehr.asked[:2] == ["/fhir/Consent?_count=7", "/fhir/Consent"]


# What the server has no longer.


def test_what_has_vanished_is_forgotten_with_its_patient_or_alone(ehr, store, read):
    ehr.resources = [consent(0), consent(1), consent(2, "Patient/p0")]
    read()
    ehr.resources = [consent(0)]

    result = read()

    assert result.exit_code == 0, result.output
    assert "1 Consent of 1 patient read; 0 changed, 2 forgotten" in result.output
    assert (kept(store, "p0"), kept(store, "p1")) == (["c0"], [])
    gone = {patient: detail["gone"] for _, patient, detail in audited(store)[-2:]}
    assert gone == {"p0": [["p0", "c2"]], "p1": [["p1", "c1"]]}


def test_what_others_told_is_not_forgotten(ehr, store, read):
    ehr.resources = []
    tell(store, key("p1"), consent(1))
    tell(store, key("p2"), consent(2), source="fhir:other-ehr")
    tell(store, key("p1", tenant="north"), consent(1), source=FHIR_SERVER)
    tell(store, key("p1", base="https://x"), consent(1), source=FHIR_SERVER)

    assert "0 Consents of 0 patients read; 0 changed, 0 forgotten" in read().output
    assert kept(store, "p1") == kept(store, "p1", tenant="north") == ["c1"]


def test_alerts_that_last_end_with_their_consent(ehr, store, read):
    ehr.resources = [consent(0), consent(1)]
    read()
    started = NOW - timedelta(hours=1)
    alert = WearableAlert("a1", key("p0"), "low-heart-rate", started, NOW, source="w")
    attempt = Attempt("w", "k")
    store.begin_delivery(attempt, "digest", NOW)
    intake, event = Intake((alert,)), AuditEvent(NOW, "delivery")
    store.finish_delivery(attempt, StoredAnswer(202, "{}"), intake, event, NOW)
    del ehr.resources[0]

    result = read()

    assert "1 forgotten, 1 alert ended" in result.output
    assert store.consents.lasting_alerts(key("p0")) == ()


def test_a_consent_whose_patient_was_another_moves(ehr, store, read):
    ehr.resources = [consent(0)]
    read()
    ehr.resources = [consent(0, "Patient/p9")]

    assert "1 changed, 1 forgotten" in read().output
    assert (kept(store, "p0"), kept(store, "p9")) == ([], ["c0"])


# Tokens.


def test_a_backend_service_reads_and_renews_its_token(ehr, store, read, as_service):
    ehr.moods = [(20, 401, b"")]

    result = read(*as_service)

    assert result.exit_code == 0, result.output
    assert ehr.given == 2 and "token-" not in result.output
    assert ehr.scopes == ["system/Consent.rs"] * 2


def test_a_token_that_permits_no_consents_is_told(ehr, store, read, as_service):
    ehr.scope = "system/Patient.rs"

    result = read(*as_service)

    assert result.exit_code == 1
    assert (
        "does not permit a search of consents; its scope is system/P" in result.output
    )
    assert ehr.asked == []


def test_a_token_that_shows_some_consents_makes_none_forgotten(
    ehr, store, read, known, as_service
):
    ehr.scope = "system/Consent.rs?status=active"

    result = read(*as_service)

    assert result.exit_code == 1
    assert "The token shows some consents only." in result.output
    assert kept(store, "p77") == ["c77"]


def test_a_token_comes_from_a_file_and_is_never_said(ehr, read, tmp_path):
    ehr.token = "s3cret"
    token = tmp_path / "token"
    token.write_text("s3cret\n")

    result = read("--bearer-file", token)

    assert result.exit_code == 0 and "s3cret" not in result.output
    assert set(ehr.tokens) == {"Bearer s3cret"}


# Usage.


@pytest.fixture
def clients(tmp_path):
    file = tmp_path / "clients.yaml"
    jku = "https://ehr.example/jwks.json"
    listed = [
        {"id": "main-ehr", "iss": "https://ehr.example", "jku": jku},
        {"id": "clinic", "iss": "https://clinic.example", "jku": jku},
    ]
    listed[1] |= {"tenant": "north", "fhir_base": "https://ehr.example/r4"}
    file.write_text(json.dumps({"clients": listed}))
    return file


def test_the_clients_file_has_a_client_of_that_tenant(ehr, store, read, clients):
    north = ("--tenant", "north", "--fhir-base", "https://ehr.example/r4")

    assert read("--clients", clients).exit_code == 0
    assert read("--clients", clients, *north).exit_code == 0
    assert kept(store, "p1", tenant="north", base="https://ehr.example/r4") == ["c1"]
    ehr.asked.clear()
    other = read("--tenant", "north", CDS_CLIENTS_FILE=str(clients))
    assert other.exit_code == 2
    assert "--tenant north --fhir-base https://ehr.example/r4" in other.output
    assert ehr.asked == []


def test_a_clients_file_without_clients_knows_none(read, tmp_path):
    clients = tmp_path / "clients.yaml"
    clients.write_text(json.dumps({"webhooks": [{"id": "w", "secrets": [SECRET]}]}))

    assert read("--clients", clients).exit_code == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--fhir", "ftp://x"), "--fhir is the base address of a FHIR server"),
        (("--client-id", "c"), "--client-id needs --key"),
        (("--rate", "0"), "--rate"),
        (("--rules", "/nowhere"), "--rules"),
    ],
)
def test_what_is_not_understood_is_told(ehr, read, options, sentence):
    result = read(*options)

    assert result.exit_code == 2
    assert sentence in result.output
    assert ehr.asked == []


def test_a_database_that_is_not_there_is_told(ehr, read):
    result = read("--database", "sqlite:////nowhere/cds.sqlite")

    assert result.exit_code == 1
    assert "there is no such database" in result.output
    assert ehr.asked == []


# To a real end.


@pytest.fixture
def world(open_world):
    """Nothing is assumed, and a watch may deliver alerts."""
    watch = WebhookSource("watch", "default", "-", (SECRET,))
    return open_world(watch, consent=ConsentMode.REQUIRED)


def test_an_alert_that_was_refused_is_accepted_once_consents_are_read(world, url, read):
    simulate = ["simulate", "low_heart_rate", "--to", url, "--secret", SECRET]
    simulate += ["--patient", "p7"]

    assert "403" in CliRunner().invoke(main, simulate).output
    assert read().exit_code == 0
    result = CliRunner().invoke(main, simulate)
    assert result.exit_code == 0, result.output
    assert "202 1 accepted, 0 rejected" in result.output


# A server that answers an equal search from what it kept.


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ([consent(1, status="inactive")], [("c1", "inactive")]),
        ([consent(1), consent(2, "Patient/p1")], [("c1", "active"), ("c2", "active")]),
        ([], []),
    ],
    ids=["withdrawn", "denied", "removed"],
)
def test_what_changed_since_the_last_reading_is_read(ehr, store, read, changed, left):
    ehr.kept = {}
    ehr.resources = [consent(1), consent(9)]
    read()
    for each in changed[1:]:
        each["provision"] = {"type": "deny", "action": NAMED}

    ehr.resources = [*changed, consent(9)]
    result = read()

    assert result.exit_code == 0, result.output
    found = store.consents.of([key("p1")])[key("p1")]
    assert [(each.id, each.resource["status"]) for each in found] == left
