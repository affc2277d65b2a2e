"""Explain says what a server would hold back now, out of its database."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.charts.explain import explain
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.store.records import AuditEvent, CallRecord, CardRecord
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
RULE = """\
format: 1
rule: a
version: 1.2.0
title: Rule a
status: active
severity: {severity}
hooks: [patient-view]
facts:
  rate: {{observation: {{in: heart-rate, unit: /min, within: 30 days}}}}
when: {{all: [rate: {{latest: {{above: 100}}}}]}}
if_unknown: silent
card: {{summary: Fast, source: {{label: Test}}}}
alerting: {alerting}
"""
FILES = {
    "services.yaml": """\
format: 1
services:
  - {id: review, hooks: [patient-view], title: R, description: R, rules: [test]}
""",
    "site.yaml": "format: 1\ntime_zone: UTC\nunapproved: serve\n",
    "alert-types.yaml": "format: 1\nalert_types: {irregular: {title: Irregular}}\n",
    "valuesets/heart-rate.yaml": """\
format: 1
valueset: heart-rate
version: 1.0.0
title: Heart rate
include: [{system: loinc, codes: [8867-4]}]
""",
}


ME = "Practitioner/1"


class Client:
    """Whoever was shown the card."""

    id, tenant = "ehr", "default"


class Ward:
    """A rules folder, a patient and the database of a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/cds.sqlite"
        store = self.store = Store.open(self.url)
        store.migrate()

    def write(self, rate: int, alerting: str, severity: str) -> None:
        rule = RULE.format(alerting=alerting, severity=severity)
        for name, text in {**FILES, "test/a.yaml": rule}.items():
            file = self.folder / "rules" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        seen = {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": NOW.isoformat(),
            "valueQuantity": {"value": rate, "code": "/min"},
        }
        entries = [
            {"resource": each}
            for each in ({"resourceType": "Patient", "id": "p1"}, seen)
        ]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (self.folder / "b.json").write_text(json.dumps(bundle))

    def show(self, days: int, base: str = "-", user: str = ME) -> None:
        """A display of the card, as a server records it."""
        names = {"patient": "p1", "rule": "a", "user": user}
        key = json.dumps(names, sort_keys=True, separators=(",", ":"))
        at = NOW - timedelta(days=days)
        card = CardRecord(f"card-{days}", "a", "1.1.0", key, "warning", at)
        patient = PatientKey("default", base, "p1")
        call = CallRecord(
            at, "ehr", "review", "patient-view", "i", patient, "digest", cards=(card,)
        )
        self.store.record_call(call, AuditEvent(at, "call"))

    def override(self, card: str, days: int) -> None:
        at = NOW - timedelta(days=days)
        entry = FeedbackEntry(card, FeedbackOutcome.OVERRIDDEN, at, (), None, "")
        event = AuditEvent(at, "feedback")
        self.store.record_feedback("review", [entry], Client, event, at)

    def explain(
        self,
        *more: str,
        rate: int = 120,
        alerting: str = "{repeat_after: 14 days}",
        severity: str = "warning",
        user: str = ME,
    ) -> Result:
        self.write(rate, alerting, severity)
        asked = ["a", "--patient", f"{self.folder}/b.json", "--now", NOW.isoformat()]
        asked += ["--rules", f"{self.folder}/rules", "--database", self.url]
        asked += ["--user", user] if user else []
        return CliRunner().invoke(explain, [*asked, *more])

    def alerting(self, *more: str, **asked: Any) -> list[str]:
        result = self.explain(*more, **asked)
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        (start,) = [n for n, each in enumerate(lines) if each.startswith("alerting")]
        return lines[start:]


@pytest.fixture
def ward(tmp_path: Path) -> Any:
    opened = Ward(tmp_path)
    yield opened
    opened.store.close()


def test_what_was_never_shown_would_be_shown(ward: Ward) -> None:
    assert ward.alerting() == ["alerting: shown"]


def test_what_was_shown_lately_is_held_back_and_says_by_what(ward: Ward) -> None:
    ward.show(days=20)
    ward.show(days=1)

    assert ward.alerting(alerting="{repeat_after: 30 days}") == [
        "alerting: held back until 2026-12-21T12:00:00Z, "
        "repeated: shown 2026-11-21T12:00:00Z, repeat_after 30 days",
        "  shown 2026-11-21T12:00:00Z: warning, 1.1.0",
        "  shown 2026-11-02T12:00:00Z: warning, 1.1.0",
    ]


def test_an_override_is_named(ward: Ward) -> None:
    ward.show(days=2)
    ward.override("card-2", days=1)

    first, shown = ward.alerting(alerting="{snooze_on_override: 7 days}")

    assert first.startswith("alerting: held back until 2026-11-28T12:00:00Z, snoozed")
    assert shown.endswith("warning, 1.1.0, overridden 2026-11-21T12:00:00Z")


def test_the_history_is_that_of_one_fhir_server(ward: Ward) -> None:
    ward.show(days=1, base="https://fhir.test/r4")

    assert ward.alerting() == ["alerting: shown"]
    assert len(ward.alerting("--fhir-base", "https://fhir.test/r4")) == 2


def test_a_card_is_held_back_for_the_user_who_is_named(ward: Ward) -> None:
    ward.show(days=1)

    (unknown,) = ward.alerting(user="")
    (other,) = ward.alerting(user="Practitioner/2")
    held, _ = ward.alerting()

    assert other == "alerting: shown"
    assert "--user" in unknown and unknown.startswith("alerting: shown")
    assert "held back" in held


def test_a_critical_card_is_said_to_be_shown_always(ward: Ward) -> None:
    ward.show(days=1)

    (line,) = ward.alerting(severity="critical")

    assert line.startswith("alerting: shown, as every critical card")


def test_a_rule_that_does_not_fire_has_no_card(ward: Ward) -> None:
    assert ward.alerting(rate=80) == ["alerting: there is no card to show or hold back"]


def test_a_program_gets_the_same(ward: Ward) -> None:
    ward.show(days=1)

    told = json.loads(ward.explain("--json").output)["alerting"]

    assert told == {
        "shown": False,
        "why": "repeated",
        "until": "2026-12-05T12:00:00Z",
        "detail": "shown 2026-11-21T12:00:00Z, repeat_after 14 days",
        "displays": [
            {
                "at": "2026-11-21T12:00:00Z",
                "indicator": "warning",
                "version": "1.1.0",
                "overridden": None,
                "reason": None,
            }
        ],
    }


def test_a_database_that_is_not_there_is_one_sentence(ward: Ward) -> None:
    result = ward.explain("--database", f"sqlite:///{ward.folder}/none.sqlite")

    assert result.exit_code == 1
    assert "there is no such database" in result.output
    assert not (ward.folder / "none.sqlite").exists()


def test_the_database_is_left_as_it_was(ward: Ward) -> None:
    ward.show(days=1)
    before = len(list(ward.store.audit_entries()))

    ward.explain()

    assert len(list(ward.store.audit_entries())) == before
