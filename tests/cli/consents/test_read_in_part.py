"""What was not read whole, and what others tell meanwhile: nothing of it is lost."""

import re
import signal
import subprocess
import sys

import pytest

from cds_service.exports.consents import Keeper
from cds_service.store.records import AuditEvent, ConsentsChanged
from cds_service.wearables.consent import FHIR_SERVER, ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, ConsentGate, stamp_of
from cds_service.wearables.metrics import Catalogue

from ...waiting import PATIENCE, until
from .told import NOW, audited, consent, kept, key, tell

# Pages, entries and patients that are not read.


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
    assert "What was read is stored but for new permissions where" in result.output
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
    assert "no Consent at all, but had 46 patients before." in result.output
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
            "does not permit a search of consents with this token (HTTP 403); it takes "
            "the scope system/Consent.rs, or system/Consent.read.",
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


# Interrupted.

MANY = 300
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
    serve, store, words, read, how, writers, rows
):
    hold, let_go = writers
    ehr = serve(map(consent, range(MANY)), size=MANY // 4)
    words[words.index("--fhir") + 1] = ehr.base
    before = 0

    def interrupted():
        """Nothing, where it was through before this test came to hold it up."""
        nonlocal before
        before = len(audited(store))
        process = start(words)
        until(lambda: hold("consents", 20) or process.poll() is not None)
        process.send_signal(how)
        _, said = process.communicate(timeout=PATIENCE)
        let_go()
        if len(audited(store)) - before == MANY:
            rows("DELETE FROM consents")
            return None
        return process.returncode, said

    status, said = until(interrupted)

    assert status in (1, -how)
    stored = len(audited(store)) - before
    assert 20 <= stored < MANY
    if how == signal.SIGINT:
        told = re.search(
            r"What was read of (\d+) patients is stored; run it", said.decode()
        )
        assert told and int(told[1]) in (stored - 1, stored)
    assert f"{MANY - stored} changed, 0 forgotten" in read().output
    assert len(audited(store)) - before == MANY
    assert [patient for patient in range(MANY) if not kept(store, f"p{patient}")] == []


# Others tell meanwhile.


@pytest.fixture
def keeper(store, tmp_path):
    """Stores what one EHR told, whose reading begins when it is made."""

    def make(clock=lambda: NOW):
        gate = ConsentGate(Catalogue())
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
