"""What ``cds-service consent read`` stores and forgets, from servers of any temper."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.config import ConsentMode, WebhookSource
from cds_service.exports.consents import Keeper
from cds_service.store.records import Attempt, AuditEvent, ConsentsChanged, Intake
from cds_service.store.store import Store
from cds_service.wearables.consent import FHIR_SERVER, ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, ConsentGate, stamp_of
from cds_service.wearables.records import PatientKey, WearableAlert

from ...waiting import PATIENCE, until

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
NAMED = [{"coding": [{"system": ACTIONS, "code": each}]} for each in ("collect", "use")]
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def consent(number, patient=None, **members):
    """An R4 Consent to collect and to use, each of another patient by default."""
    return {
        "resourceType": "Consent",
        "id": f"c{number}",
        "meta": {"lastUpdated": "2026-11-01T09:00:00Z"},
        "status": "active",
        "patient": {"reference": patient or f"Patient/p{number}"},
        "provision": {"type": "permit", "action": NAMED},
        **members,
    }


def of_r5(number):
    resource = consent(number, decision="permit", provision=[{"action": NAMED}])
    return {**resource, "subject": resource.pop("patient")}


@pytest.fixture
def ehr(serve):
    """45 Consents of 45 patients on pages of 20."""
    ehr = serve(map(consent, range(45)))
    ehr.scope = "system/Consent.rs"
    return ehr


@pytest.fixture
def database(tmp_path, new_database):
    return new_database(tmp_path / "store.sqlite")


@pytest.fixture
def store(database):
    store = Store.open(database)
    yield store
    store.close()


@pytest.fixture
def words(ehr, database, store, alert_rules):
    """The command line."""
    words = ["consent", "read", "--fhir", ehr.base, "--database", database]
    return [*words, "--rules", str(alert_rules)]


@pytest.fixture
def read(words):
    def run(*options, **environment):
        arguments = [*words, *map(str, options)]
        return CliRunner().invoke(main, arguments, env=environment)

    return run


def key(patient, tenant="default", base="-"):
    return PatientKey(tenant, base, patient)


def kept(store, patient, **whose):
    """Ids of what is kept of a patient."""
    found = store.consents.of([key(patient, **whose)])
    return [each.id for each in found[key(patient, **whose)]]


def tell(store, patient, *resources, source="app", updated=NOW, seen=()):
    """Store Consents of which somebody else tells."""
    records = tuple(
        ConsentRecord(patient, each["id"], updated, source, each) for each in resources
    )
    change = ConsentChange(patient, stamp_of(seen), records)
    store.consents.record([change], AuditEvent(NOW, "consent"))
    return records


def audited(store):
    """Client, patient and detail of each row of the trail."""
    return [
        (each.client, each.patient_id, json.loads(each.detail))
        for each in store.audit_entries()
    ]


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
    store.finish_delivery(attempt, 202, "{}", intake, event, NOW)
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


# What was not read whole: nothing is forgotten.


@pytest.fixture
def known(ehr, store, read):
    """Consents that the server once had, and has no longer."""
    ehr.resources += [consent(77), consent(78, "Patient/p2")]
    assert read().exit_code == 0
    del ehr.resources[-2:]
    ehr.asked.clear()


def test_a_page_that_fails_forgets_nothing_and_nothing_new_is_permitted(
    ehr, store, read, known
):
    ehr.resources[0] = consent(50)
    ehr.resources[3] = consent(3, status="inactive")
    ehr.resources[3]["meta"] = {"lastUpdated": "2026-11-02T09:00:00Z"}
    ehr.resources[4] = consent(51, "Patient/p4", provision={"type": "deny"})
    ehr.moods = [(20, 500, b"")] * 2

    result = read("--max-attempts", "2")

    assert result.exit_code == 1
    assert "20 Consents of 20 patients read; 2 changed, 0 forgotten" in result.output
    assert "answers with HTTP 500. (asked 2 times)" in result.output
    assert "What came is stored but for new permissions where" in result.output
    assert "a denial may be missing, and nothing is forgotten." in result.output
    assert kept(store, "p77") == ["c77"] and kept(store, "p2") == ["c2", "c78"]
    assert kept(store, "p50") == [] and kept(store, "p0") == ["c0"]
    assert kept(store, "p4") == ["c4", "c51"]
    (withdrawn,) = store.consents.of([key("p3")])[key("p3")]
    assert withdrawn.resource["status"] == "inactive"
    assert read().output.startswith("45 Consents of 45 patients read; 1 changed, 4 for")
    assert kept(store, "p50") == ["c50"]


def test_of_whom_something_cannot_be_read_nothing_new_is_permitted(ehr, store, read):
    ehr.resources[1:3] = [consent(1), consent(2, "Patient/p1", status=None)]

    result = read()

    assert result.exit_code == 1
    assert kept(store, "p1") == [] and kept(store, "p3") == ["c3"]


def test_a_server_that_has_nothing_any_more_is_taken_for_another(
    ehr, store, read, known
):
    ehr.resources.clear()

    result = read()

    assert result.exit_code == 1
    assert "no Consent at all, and told of 46 patients before." in result.output
    assert kept(store, "p77") == ["c77"]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("https://elsewhere.example/fhir/Patient/p1", "$.patient.reference: Must be"),
        ("Group/g1", "$.patient.reference: Must be"),
        ("#p1", "$.patient.reference: Must be"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "$.patient.reference: Must"),
        ("p1", "$.patient.reference: Must be"),
    ],
)
def test_whose_consent_it_is_is_never_guessed(ehr, store, read, known, reference, why):
    ehr.resources[1] = consent(1, reference)

    result = read()

    assert result.exit_code == 1
    assert "1 entry could not be read and are not stored: c1 ($." in result.output
    assert why in result.output
    assert kept(store, "p77") == ["c77"]
    assert kept(store, "p1") == ["c1"]


def test_what_cannot_be_read_is_named_and_the_rest_is_stored(ehr, store, read, known):
    two_patients = consent(91, subject={"reference": "Patient/p1"})
    ehr.entries[40] = [
        {"fullUrl": "http://x/Consent/lost1"},
        {"resource": {"resourceType": "Consent"}, "fullUrl": "http://x/Consent/lost2"},
        {"resource": consent(90, status=None)},
        {"resource": two_patients},
        {"resource": {**consent(92), "resourceType": "consent"}, "fullUrl": "x/lost3"},
        {"resource": {**consent(93), "id": "\x1b[2J"}, "fullUrl": "x/lost4"},
    ]

    result = read()

    assert result.exit_code == 1
    assert (
        "6 entries could not be read and are not stored: lost1, lost2 "
        "($.patient.reference: Must be Patient/ and an id), c90 ($.status: Required), "
        "c91 ($.subject.reference: Must be the patient), lost3, " in result.output
    )
    assert "6 unreadable" in result.output and "\x1b" not in result.output
    assert kept(store, "p77") == ["c77"] and kept(store, "p44") == ["c44"]


def test_an_error_beside_the_consents_is_told(ehr, store, read, known):
    issue = {"severity": "error", "diagnostics": "shard 2 is down"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    ehr.entries[20] = [{"resource": outcome, "search": {"mode": "outcome"}}]

    result = read()

    assert result.exit_code == 1
    assert "something went wrong: shard 2 is down." in result.output
    assert kept(store, "p77") == ["c77"]


@pytest.mark.parametrize("code", ["suppressed", "security", "incomplete"])
def test_a_warning_that_some_consents_are_withheld_forgets_none(
    ehr, store, read, known, code
):
    issue = {"severity": "warning", "code": code, "diagnostics": "not for you"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    ehr.entries[20] = [{"resource": outcome, "search": {"mode": "outcome"}}]

    result = read()

    assert result.exit_code == 1
    assert "something went wrong: not for you." in result.output
    assert kept(store, "p77") == ["c77"]


def test_a_server_that_answers_with_patients_instead_forgets_no_consent(
    ehr, store, read, known
):
    ehr.resources[:] = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(3)]

    result = read()

    assert result.exit_code == 1
    assert "3 entries could not be read and are not stored" in result.output
    assert kept(store, "p77") == ["c77"]


def test_fewer_consents_than_the_server_counts_are_not_all(ehr, store, read, known):
    ehr.members, ehr.counted = {"total": 50}, False

    result = read()

    assert result.exit_code == 1
    assert "there are 50 consents, and 45 came." in result.output
    assert kept(store, "p77") == ["c77"]


def test_a_next_page_elsewhere_is_not_asked(ehr, store, read, known):
    ehr.links[0] = f"http://localhost:{ehr.http.server_port}/fhir?cursor=20"

    result = read()

    assert result.exit_code == 1
    assert "where the token and the consents are nobody's business" in result.output
    assert len(ehr.asked) == 1
    assert kept(store, "p77") == ["c77"]


@pytest.mark.slow
def test_pages_that_go_round_end(ehr, store, read, known):
    ehr.links[40] = f"{ehr.base}?cursor=0"

    result = read()

    assert result.exit_code == 1
    assert "The last 200 pages brought no consent that is new." in result.output
    assert kept(store, "p77") == ["c77"]


@pytest.mark.parametrize(
    ("mood", "sentence"),
    [
        ((404, b""), "has no consents to search (HTTP 404)"),
        ((401, b""), "asks for a token (HTTP 401); give --bearer-file"),
        (
            (403, b""),
            "permits no search of consents with this token (HTTP 403); it takes the "
            "scope system/Consent.rs, or system/Consent.read.",
        ),
        ((302, b"", {"Location": "http://localhost/"}), "leads elsewhere (HTTP 302)"),
        (
            (
                200,
                {
                    "resourceType": "OperationOutcome",
                    "issue": [{"details": {"text": "not today"}}],
                },
            ),
            "answers without consents: not today.",
        ),
    ],
)
def test_a_server_that_shows_nothing_is_told_of(
    ehr, store, read, known, mood, sentence
):
    ehr.moods = [(0, *mood)]

    result = read()

    assert result.exit_code == 1
    assert sentence in result.output
    assert "Nothing is stored, and nothing is forgotten." in result.output
    assert " read; " not in result.output
    assert kept(store, "p77") == ["c77"]


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
    assert "permits no search of consents; its scope is system/P" in result.output
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


# Interrupted.

MANY = 600
"""Patients: most of them are still to come when the first have been stored."""


def start(words):
    return subprocess.Popen(
        [sys.executable, "-m", "cds_service.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_while_pages_are_read_nothing_is_stored(ehr, store, words):
    ehr.halt_after(1)
    process = start(words)
    until(ehr.halted.is_set, process=process)

    process.send_signal(signal.SIGINT)

    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said.decode() == "Error: Interrupted. Nothing is stored.\n"
    assert audited(store) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_stored_stays_and_the_next_run_does_the_rest(
    serve, store, words, read, how
):
    ehr = serve(map(consent, range(MANY)), size=MANY // 4)
    words[words.index("--fhir") + 1] = ehr.base
    process = start(words)
    until(lambda: len(audited(store)) >= 20, process=process)

    process.send_signal(how)

    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode in (1, -how)
    stored = len(audited(store))
    assert 20 <= stored < MANY
    if how == signal.SIGINT:
        told = re.search(
            r"What came of (\d+) patients is stored; run it", said.decode()
        )
        assert told and int(told[1]) in (stored - 1, stored)
    assert f"{MANY - stored} changed, 0 forgotten" in read().output
    assert len(audited(store)) == MANY
    assert [patient for patient in range(MANY) if not kept(store, f"p{patient}")] == []


# Others tell meanwhile.


@pytest.fixture
def keeper(store, tmp_path):
    """Stores what one EHR told, whose reading begins when it is made."""

    def make(clock=lambda: NOW):
        gate = ConsentGate({})
        before = store.consents.told_by("default", "-", FHIR_SERVER)
        return Keeper(store, gate, "http://x", before, clock)

    return make


def record(number):
    return ConsentRecord(key("p1"), f"c{number}", NOW, FHIR_SERVER, consent(number))


def tell_all(keeper, *records):
    """What changes where these are all Consents of one patient, and of all."""
    return list(keeper.keep([key("p1")], lambda patient: records, whole=True))


def test_what_a_call_has_told_since_is_not_forgotten(store, keeper):
    reading = keeper()
    tell(store, key("p1"), consent(1), source=FHIR_SERVER)

    assert [each.gone for each in tell_all(reading)] == [()]
    assert kept(store, "p1") == ["c1"]


def test_what_a_call_has_forgotten_since_does_not_come_back(store, keeper):
    seen = tell(store, key("p1"), consent(1), source=FHIR_SERVER)
    reading = keeper()
    gone = ConsentChange(key("p1"), stamp_of(seen), gone=("c1",))
    store.consents.record([gone], AuditEvent(NOW, "consent"))

    tell_all(reading, record(1))

    assert kept(store, "p1") == []


def test_consents_that_change_while_one_is_stored_are_looked_at_anew(store, keeper):
    moments = iter(range(100))

    def clock():
        if next(moments) == 1:
            tell(store, key("p1"), consent(9))
        return NOW

    tell_all(keeper(clock), record(1))

    assert kept(store, "p1") == ["c1", "c9"]


def test_consents_that_never_settle_are_told(store, keeper):
    seen, moments = [], iter(range(100))

    def clock():
        if next(moments) % 2:
            seen.extend(tell(store, key("p1"), consent(50 + len(seen)), seen=seen))
        return NOW

    with pytest.raises(ConsentsChanged):
        tell_all(keeper(clock), record(1))
    assert "c1" not in kept(store, "p1")


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
