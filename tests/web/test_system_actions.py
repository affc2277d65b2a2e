"""System actions from a rules folder to the wire, and into the audit trail."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cds_service.audit import build_audit_event
from cds_service.decision import World
from cds_service.fhir.models import check_resource
from cds_service.publishing.serving import Serving
from cds_service.rulebook.load import check_folder

RULES = Path(__file__).parents[2] / "rules"
ISSUER = "https://ehr.example.org"
SERVICE = "/cds-services/wearable-review"

PAUSE = """\
format: 1
rule: pause
version: 1.2.0
title: A beta-blocker is taken
status: active
severity: warning
hooks: [patient-view]
facts:
  drug: {medication: {in: beta-blockers}}
when: {drug: present}
card:
  summary: "{{ drug.name }} is taken"
  source: {label: Test}
  override_reasons: [action-completed]
  system_actions:
    - description: Ask the pharmacist
      create: {resourceType: Task, status: requested, intent: order}
    - description: Pause it
      update: drug
      set: {status: on-hold}
alerting: {priority: 50}
governance: {approved: {by: Dr. A. Rivera, on: 2026-01-05}}
"""
OTHER = """\
format: 1
rule: other
version: 2.0.0
title: It is one too many
status: active
severity: info
hooks: [patient-view]
facts:
  drug: {medication: {in: beta-blockers}}
when: {drug: present}
card:
  summary: It is one too many
  source: {label: Test}
  system_actions:
    - description: Do away with it
      remove: drug
alerting: {priority: 10}
governance: {approved: {by: Dr. A. Rivera, on: 2026-01-05}}
"""
APPROVED = "governance: {approved: {by: Dr. A. Rivera, on: 2026-01-05}}\n"
TASK = {
    "type": "create",
    "description": "Ask the pharmacist",
    "resource": {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "for": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-22",
    },
}
DONE = [
    ["pause@1.2.0", "create", "Task"],
    ["pause@1.2.0", "update", "MedicationStatement/m"],
]


@dataclass
class Site:
    """A server with one client that agreed to system actions, and one that did not."""

    ehr: Any
    body: dict[str, Any]

    def answer(self, who: str = "agreed", **changes: Any) -> dict[str, Any]:
        body = {**self.body, "hookInstance": str(uuid4()), **changes}
        return self.send(who, SERVICE, body)

    def override(self, card: dict[str, Any]) -> None:
        entry = {
            "card": card["uuid"],
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-22T14:00:00Z",
            "overrideReason": {"reason": card["overrideReasons"][0]},
        }
        self.send("agreed", f"{SERVICE}/feedback", {"feedback": [entry]})

    def send(self, who: str, path: str, body: Any) -> dict[str, Any]:
        token = self.ehr.token(path, iss=f"{ISSUER}/{who}")
        headers = {"Authorization": f"Bearer {token}"}
        response = self.ehr.send(path, body, headers=headers)
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json
        return told

    def paused(self) -> dict[str, Any]:
        """The update that pauses what the patient takes."""
        (entry,) = self.body["prefetch"]["medication-statements"]["entry"]
        resource = {**entry["resource"], "status": "on-hold"}
        return {"type": "update", "description": "Pause it", "resource": resource}

    def audited(self) -> list[list[list[str]]]:
        """What the rows of calls say was done without a person."""
        rows = self.ehr.audited()
        return [each.get("systemActions") for each in rows if each["kind"] == "call"]


Open = Callable[..., Site]


@pytest.fixture
def open_site(
    tmp_path: Path,
    build: Callable[..., World],
    connect: Callable[[World], Any],
    keys: tuple[str, dict[str, Any]],
    request_body: dict[str, Any],
) -> Open:
    """Starts a server with these rules; *profile* is of the client that agreed."""

    def start(*rules: str, site: str = "", **profile: Any) -> Site:
        folder = tmp_path / str(uuid4())
        shutil.copytree(RULES / "valuesets", folder / "valuesets")
        (folder / "ward").mkdir()
        for text in rules:
            name = text.split("\n")[1].removeprefix("rule: ")
            (folder / "ward" / f"{name}.yaml").write_text(text)
        services = (RULES / "services.yaml").read_text()
        listed = re.sub(r"\[cardiology, .*\]", "[ward]", services)
        (folder / "services.yaml").write_text(listed)
        (folder / "site.yaml").write_text((RULES / "site.yaml").read_text() + site)
        shutil.copy(RULES / "alert-types.yaml", folder)
        rulebook = check_folder(folder, check_resource).rulebook

        told = {"system_actions": True, **profile}
        clients = [
            {
                "id": name,
                "tenant": name,
                "iss": f"{ISSUER}/{name}",
                "keys": [{**keys[1], "kid": "k"}],
                "profile": agreed,
            }
            for name, agreed in (("plain", {}), ("agreed", told))
        ]
        (folder / "clients.yaml").write_text(json.dumps({"clients": clients}))
        world = build(clients_file=str(folder / "clients.yaml"))
        served = replace(world, serving=Serving(rulebook, world.clock()))
        return Site(connect(served), request_body)

    return start


def test_r_3_r_4_system_actions_stand_beside_the_cards(open_site: Open) -> None:
    site = open_site(PAUSE)

    answer = site.answer()

    assert list(answer) == ["cards", "systemActions"]
    assert [each["summary"] for each in answer["cards"]] == ["metoprolol is taken"]
    assert answer["systemActions"] == [TASK, site.paused()]


def test_r_2_r_3_where_nothing_is_done_there_is_no_such_member(open_site: Open) -> None:
    site = open_site(PAUSE)
    prefetch = {**site.body["prefetch"], "medication-statements": None}

    assert site.answer(prefetch=prefetch) == {"cards": []}


def test_v_6_the_same_request_under_two_issuers_differs_in_system_actions_alone(
    open_site: Open,
) -> None:
    site = open_site(PAUSE)
    plain, agreed = site.answer("plain"), site.answer("agreed")

    assert set(agreed) - set(plain) == {"systemActions"}
    for answer in (plain, agreed):
        for card in answer["cards"]:
            del card["uuid"]
    assert agreed["cards"] == plain["cards"]


@pytest.mark.parametrize(
    ("old", "new", "cards"),
    [(APPROVED, "", 1), ("status: active", "status: shadow", 0)],
    ids=["not approved", "in shadow"],
)
def test_r_5_a_rule_that_is_not_approved_or_not_shown_does_nothing(
    open_site: Open, old: str, new: str, cards: int
) -> None:
    answer = open_site(PAUSE.replace(old, new)).answer()

    assert list(answer) == ["cards"]
    assert len(answer["cards"]) == cards


@pytest.mark.parametrize(
    ("profile", "member"), [({}, "resourceId"), ({"delete": "resource"}, "resource")]
)
def test_c_21_c_22_a_removal_has_the_form_that_the_client_knows(
    open_site: Open, profile: dict[str, str], member: str
) -> None:
    answer = open_site(OTHER, **profile).answer()

    assert answer["systemActions"] == [
        {
            "type": "delete",
            "description": "Do away with it",
            member: "MedicationStatement/m",
        }
    ]


# A card that is held back takes its actions with it


def test_a_card_that_is_not_repeated_does_nothing_again(open_site: Open) -> None:
    site = open_site(PAUSE.replace("priority: 50", "repeat_after: 14 days"))
    instance = str(uuid4())

    first = site.answer(hookInstance=instance)
    again = site.answer()
    retry = site.answer(hookInstance=instance)

    assert len(first["systemActions"]) == 2
    assert again["cards"] == [] and "systemActions" not in again
    assert retry == first


def test_a_card_that_is_snoozed_does_nothing(open_site: Open) -> None:
    site = open_site(PAUSE.replace("priority: 50", "snooze_on_override: 90 days"))
    (card,) = site.answer()["cards"]

    site.override(card)

    answer = site.answer()
    assert answer["cards"] == [] and "systemActions" not in answer


@pytest.mark.parametrize(
    ("group", "site"),
    [("group: same, ", ""), ("", "limits: {cards_per_response: 1}\n")],
    ids=["grouped", "over budget"],
)
def test_a_card_that_another_crowds_out_does_nothing(
    open_site: Open, group: str, site: str
) -> None:
    task = "create: {resourceType: Task, status: draft, intent: plan}"
    rules = [PAUSE, OTHER.replace("remove: drug", task)]
    together = [rule.replace("{priority", f"{{{group}priority") for rule in rules]

    alone, crowded = open_site(*rules), open_site(*together, site=site)

    assert len(alone.answer()["systemActions"]) == 3
    answer = crowded.answer()
    assert len(answer["cards"]) == 1
    assert answer["systemActions"] == [TASK, crowded.paused()]


# The record


def test_c_15_the_less_urgent_card_leaves_the_record_alone(open_site: Open) -> None:
    site = open_site(OTHER, PAUSE)

    answer = site.answer()

    assert len(answer["cards"]) == 2
    assert answer["systemActions"] == [TASK, site.paused()]
    assert site.audited() == [DONE]


def test_what_was_sent_stands_in_the_audit_trail_and_what_was_not_does_not(
    open_site: Open,
) -> None:
    site = open_site(PAUSE.replace("priority: 50", "repeat_after: 14 days"))

    for who in ("plain", "agreed", "agreed"):
        site.answer(who)

    assert site.audited() == [None, DONE, None]


def test_the_trail_is_exported_as_fhir_with_what_was_done(open_site: Open) -> None:
    site = open_site(PAUSE)
    site.answer()

    (entry,) = site.ehr.world.store.audit_entries()
    event = build_audit_event(entry)

    details = [part for each in event["entity"] for part in each.get("detail", ())]
    told = {each["type"]: each["valueString"] for each in details}
    assert check_resource(event) == []
    assert json.loads(told["systemActions"]) == DONE
