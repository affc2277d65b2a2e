"""What ``cds-service consent show`` says of a patient."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.records import PatientKey

P1 = PatientKey("default", "-", "p1")
UPDATED = datetime(2026, 11, 1, 9, tzinfo=UTC)
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
OURS = {"actor": [{"reference": {"reference": "Organization/ours"}}]}
HEART_RATE = {"code": [{"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}]}


def record(id: str = "c1", status: str = "active", **provision: Any) -> ConsentRecord:
    """A Consent to store and to show."""
    named = [
        {"coding": [{"system": ACTIONS, "code": each}]} for each in ("collect", "use")
    ]
    resource = {
        "resourceType": "Consent",
        "id": id,
        "status": status,
        "provision": {"type": "permit", "action": named, **provision},
    }
    return ConsentRecord(P1, id, UPDATED, "app", resource)


@pytest.fixture
def keep(database: str) -> Callable[..., None]:
    """Keep these Consents of one patient."""
    store = Store.open(database)

    def keep(*records: ConsentRecord) -> None:
        change = ConsentChange(P1, frozenset(), records)
        store.consents.record([change], AuditEvent(UPDATED, "consent"))
        store.close()

    return keep


@pytest.fixture
def show(database: str, alert_rules: Path) -> Callable[..., Result]:
    def run(*options: str, patient: str = "p1", **environment: str) -> Result:
        words = ["consent", "show", "--database", database]
        words += ["--patient", patient, "--rules", str(alert_rules), *options]
        return CliRunner().invoke(main, words, env=environment)

    return run


def table(result: Result) -> dict[str, list[str]]:
    """What may be done with each type of alert, as the table has it."""
    _, _, rows = result.output.partition("type of alert")
    return {words[0]: words[1:] for words in map(str.split, rows.splitlines()[1:])}


def test_each_consent_is_listed_and_each_type_of_alert_is_told(
    keep: Callable[..., None], show: Callable[..., Result]
) -> None:
    keep(record(**HEART_RATE), record("c2", "inactive"))

    result = show()

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[:3] == [
        "2 Consents are kept of patient p1 (tenant default, FHIR base -):",
        "  c1  active  2026-11-01T09:00:00Z  from app",
        "  c2  inactive  2026-11-01T09:00:00Z  from app",
    ]
    assert table(result) == {
        "low-heart-rate": ["yes", "yes", "no"],
        "irregular-rhythm": ["no", "no", "no"],
    }
    assert "\x1b" not in result.output


METRICS = """
format: 1
metrics:
  heart-rate:
    title: Heart rate
    unit: /min
    plausible: [25, 250]
    codes: [{system: loinc, codes: [8867-4]}]
  steps: {title: Steps, unit: "{steps}", plausible: [0, 250000]}
"""


def test_each_metric_of_the_rules_is_told(
    keep: Callable[..., None], show: Callable[..., Result], alert_rules: Path
) -> None:
    (alert_rules / "metrics.yaml").write_text(METRICS)
    keep(record(**HEART_RATE))

    assert table(show()) == {
        "low-heart-rate": ["yes", "yes", "no"],
        "irregular-rhythm": ["no", "no", "no"],
        "heart-rate": ["yes", "yes", "no"],
        "steps": ["no", "no", "no"],
    }
    told = json.loads(show("--format", "json").output)
    assert told["permits_readings"] == {"heart-rate": ["collect", "use"], "steps": []}


def test_what_cannot_be_judged_is_said_beside_its_consent(
    keep: Callable[..., None], show: Callable[..., Result]
) -> None:
    keep(record(securityLabel=[{"code": "R"}]))

    result = show()

    assert "\n    $.provision.securityLabel cannot be judged here.\n" in result.output
    assert table(result)["low-heart-rate"] == ["no", "no", "no"]


def test_a_consent_for_the_hospital_takes_the_clients_file_to_be_read(
    keep: Callable[..., None], show: Callable[..., Result], tmp_path: Path
) -> None:
    keep(record(**OURS))
    clients = tmp_path / "clients.yaml"
    clients.write_text(
        "webhooks: [{id: watch, secrets: [whsec_c2VjcmV0LW9mLXRoZS13YXRjaC1oZXJl]}]\n"
        "consent_actors: {default: [Organization/ours]}\n"
    )

    assert table(show())["low-heart-rate"] == ["no", "no", "no"]
    for result in (
        show("--clients", str(clients)),
        show(CDS_CLIENTS_FILE=str(clients)),
    ):
        assert table(result)["low-heart-rate"] == ["yes", "yes", "no"]


def test_of_whom_nothing_is_kept_a_sentence_says_so(
    keep: Callable[..., None], show: Callable[..., Result]
) -> None:
    keep(record())

    result = show(patient="p9")

    assert result.exit_code == 0
    assert result.output == (
        "There are no stored Consents of patient p9 (tenant default, FHIR base -); "
        "wearable data are neither stored nor shown.\n"
    )
    assert "There are no stored Consents" in show("--tenant", "north").output
    assert (
        "There are no stored Consents"
        in show("--fhir-base", "https://ehr.example/r4").output
    )


@pytest.mark.parametrize(
    ("options", "environment", "collects"),
    [
        ((), {}, False),
        (("--assumed",), {}, True),
        ((), {"CDS_WEARABLES_CONSENT": "assumed"}, True),
        ((), {"CDS_PROFILE": "development"}, True),
        (
            (),
            {"CDS_PROFILE": "development", "CDS_WEARABLES_CONSENT": "required"},
            False,
        ),
        (("--required",), {"CDS_WEARABLES_CONSENT": "assumed"}, False),
    ],
)
def test_consent_is_assumed_where_the_server_assumes_it(
    keep: Callable[..., None],
    show: Callable[..., Result],
    options: tuple[str, ...],
    environment: dict[str, str],
    collects: bool,
) -> None:
    keep()

    result = show("--format", "json", *options, **environment)

    told = json.loads(result.output)
    assert told["assumed"] is collects
    assert ("collect" in told["permits"]["low-heart-rate"]) is collects


def test_a_program_is_told_the_same(
    keep: Callable[..., None], show: Callable[..., Result]
) -> None:
    keep(record(securityLabel=[{"code": "R"}]), record("c2"))

    told = json.loads(show("--format", "json").output)

    assert told.pop("now").endswith("Z")
    assert told == {
        "tenant": "default",
        "fhir_base": "-",
        "patient_id": "p1",
        "assumed": False,
        "consents": [
            {
                "id": "c1",
                "status": "active",
                "updated": "2026-11-01T09:00:00Z",
                "source": "app",
                "doubts": ["$.provision.securityLabel cannot be judged here."],
            },
            {
                "id": "c2",
                "status": "active",
                "updated": "2026-11-01T09:00:00Z",
                "source": "app",
                "doubts": [],
            },
        ],
        "permits": {
            "low-heart-rate": ["collect", "use"],
            "irregular-rhythm": ["collect", "use"],
        },
        "permits_readings": {},
    }


def test_no_status_steers_the_terminal(
    keep: Callable[..., None], show: Callable[..., Result]
) -> None:
    keep(record(status="act\x1b[2Jive"))

    assert "\x1b" not in show().output


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_database_that_is_not_there_is_said(show: Callable[..., Result]) -> None:
    result = show("--database", "sqlite:////nowhere/cds.sqlite")

    assert result.exit_code == 1
    assert "there is no such database" in result.output


def test_rules_and_clients_that_cannot_be_used_are_said(
    keep: Callable[..., None],
    show: Callable[..., Result],
    alert_rules: Path,
    tmp_path: Path,
) -> None:
    keep()
    clients = tmp_path / "clients.yaml"
    clients.write_text("clents: []\n")

    assert show("--clients", str(clients)).exit_code == 2
    (alert_rules / "alert-types.yaml").write_text("format: 1\nalert_types: []\n")
    result = show()
    assert result.exit_code == 2
    assert "the rules in" in result.output and "cannot be used" in result.output
