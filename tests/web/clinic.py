"""A clinic that calls one server again and again, and rules for it to call about."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

NOW = datetime.fromisoformat("2026-11-22T09:00:00-05:00")
RULE = """\
format: 1
rule: {name}
version: 1.0.0
title: Rule {name}
status: active
severity: info
hooks: [patient-view, encounter-start]
facts:
  rate: {{observation: {{in: heart-rate, unit: /min, within: 30 days}}}}
when: {{all: [rate: {{latest: {{above: {above}}}}}]}}
if_unknown: silent
cards:
  - when: {{all: [rate: {{latest: {{above: 150}}}}]}}
    severity: {worst}
    summary: "{name} very fast: {{{{ rate.latest }}}}"
  - severity: {severity}
    summary: "{name} fast: {{{{ rate.latest }}}}"
    suggestions:
      - label: Recheck
        actions: [{{description: Recheck, create: {task}}}]
card_defaults:
  source: {{label: Test}}
  override_reasons: [action-completed, artifact, not-wearer]
{alerting}
"""
SERVICES = """\
format: 1
services:
  - id: review
    hooks: [patient-view, encounter-start]
    title: Review
    description: Looks.
    rules: [test]
"""
SITE = """\
format: 1
time_zone: America/New_York
unapproved: serve
override_reasons:
  - {system: "urn:site", code: artifact, display: Artifact}
  - {system: "urn:site", code: not-wearer, display: Other, about: data, snooze: 20 days}
"""
ALERT_TYPES = """\
format: 1
alert_types: {irregular-rhythm: {title: Irregular rhythm}}
"""
TASK = (
    "{resourceType: Task, status: requested, intent: proposal,"
    " for: {reference: Patient/p1}}"
)
VALUE_SET = """\
format: 1
valueset: heart-rate
version: 1.0.0
title: Heart rate
include: [{system: loinc, codes: [8867-4]}]
"""


def rule(
    name: str,
    alerting: str = "",
    above: int = 100,
    severity: str = "warning",
    worst: str = "warning",
) -> dict[str, str]:
    text = RULE.format(
        name=name,
        task=TASK,
        above=above,
        severity=severity,
        worst=worst,
        alerting=alerting and f"alerting: {alerting}",
    )
    return {f"test/{name}.yaml": text}


class Clinic:
    """An EHR, a server and a clock that goes as told."""

    def __init__(
        self, folder: Path, url: str, files: dict[str, str], site: str = ""
    ) -> None:
        written = {
            "services.yaml": SERVICES,
            "site.yaml": SITE + site,
            "alert-types.yaml": ALERT_TYPES,
            "valuesets/heart-rate.yaml": VALUE_SET,
            **files,
        }
        for name, text in written.items():
            file = folder / "rules" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.folder, self.url = folder, url
        self.now = NOW
        self.worlds: list[World] = []
        self.http = self.start()

    def start(self) -> FlaskClient:
        """A server process of its own, as far as the database can tell."""
        config = load_config(
            {
                "CDS_PROFILE": "development",
                "CDS_AUTH": "off",
                "CDS_DATABASE_URL": self.url,
            }
        )
        rulebook = check_folder(self.folder / "rules").rulebook
        world = replace(build_world(config, rulebook), clock=lambda: self.now)
        world.store.migrate()
        self.worlds.append(world)
        return create_app(world=world).test_client()

    def close(self) -> None:
        for world in self.worlds:
            world.store.close()
            world.fhir.close()

    def ask(
        self,
        rate: int = 120,
        patient: str = "p1",
        instance: str = "",
        http: FlaskClient | None = None,
        hook: str = "patient-view",
        **context: str,
    ) -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = self.respond(
            rate, patient, instance, http, hook, **context
        )["cards"]
        return cards

    def respond(
        self,
        rate: int = 120,
        patient: str = "p1",
        instance: str = "",
        http: FlaskClient | None = None,
        hook: str = "patient-view",
        reading: str = "o",
        **context: str,
    ) -> dict[str, Any]:
        seen = {
            "resourceType": "Observation",
            "id": reading,
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": self.now.isoformat(),
            "valueQuantity": {"value": rate, "code": "/min"},
        }
        bundle = {"resourceType": "Bundle", "type": "searchset"}
        body = {
            "hook": hook,
            "hookInstance": instance or str(uuid4()),
            "context": {"userId": "Practitioner/1", "patientId": patient, **context},
            "prefetch": {
                "patient": {"resourceType": "Patient", "id": patient},
                "observations": {**bundle, "entry": [{"resource": seen}]},
            },
        }
        answer = (http or self.http).post("/cds-services/review", json=body)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json
        return body

    def says(self, *arguments: Any, **more: Any) -> list[str]:
        return [card["summary"] for card in self.ask(*arguments, **more)]

    def override(self, card: dict[str, Any], code: str = "") -> None:
        reasons = {each["code"]: each for each in card["overrideReasons"]}
        why = {"overrideReason": {"reason": reasons[code]}} if code else {}
        self.tell(card, outcome="overridden", **why)

    def accept(self, card: dict[str, Any]) -> None:
        taken = [{"id": card["suggestions"][0]["uuid"]}]
        self.tell(card, outcome="accepted", acceptedSuggestions=taken)

    def tell(self, card: dict[str, Any], **said: Any) -> None:
        at = self.now.isoformat()
        entry = {"card": card["uuid"], "outcomeTimestamp": at, **said}
        answer = self.http.post(
            "/cds-services/review/feedback", json={"feedback": [entry]}
        )
        assert answer.status_code == 200, answer.text

    def audited(self) -> list[Any]:
        entries = self.worlds[0].store.audit_entries()
        return [json.loads(each.detail).get("suppressed") for each in entries]


Open = Callable[..., Clinic]
DAY = timedelta(days=1)
