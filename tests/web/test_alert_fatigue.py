"""A card comes once, and again when it is time: through the app, in one database."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from cds_service.app import build_world, create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.rulebook.load import check_folder

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


@pytest.fixture
def open_clinic(tmp_path: Path, url: str) -> Any:
    opened = []

    def make(*rules: dict[str, str], site: str = "") -> Clinic:
        files = {name: text for each in rules for name, text in each.items()}
        clinic = Clinic(tmp_path, url, files, site)
        opened.append(clinic)
        return clinic

    yield make
    for clinic in opened:
        clinic.close()


Open = Callable[..., Clinic]
DAY = timedelta(days=1)


def test_a_card_is_not_repeated_until_it_is_time(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"))

    assert clinic.says() == ["a fast: 120 /min"]
    clinic.now += 13 * DAY
    assert clinic.says() == []
    assert clinic.says(patient="p2") == ["a fast: 120 /min"]
    clinic.now += DAY
    assert clinic.says() == ["a fast: 120 /min"]
    clinic.now += DAY
    assert clinic.says() == []

    detail = "shown 2026-11-22T14:00:00Z, repeat_after 14 days"
    assert clinic.audited()[:2] == [[], [["a@1.0.0", 1, "repeated", detail]]]


def test_a_suppressed_card_does_not_put_off_the_next_one(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 2 days}"))

    shown = []
    for _ in range(5):
        shown.append(len(clinic.says()))
        clinic.now += DAY

    assert shown == [1, 0, 1, 0, 1]


def test_the_site_tunes_when_a_card_is_repeated(open_clinic: Open) -> None:
    site = "rules: {a: {repeat_after: 1 hour}}"
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"), site=site)

    clinic.ask()
    clinic.now += timedelta(hours=1)

    assert clinic.says() == ["a fast: 120 /min"]


def test_an_override_snoozes_by_its_reason(open_clinic: Open) -> None:
    alerting = "{snooze_on_override: {action-completed: 90 days, artifact: 2 days}}"
    clinic = open_clinic(rule("a", alerting))

    for code, days in (("", 0), ("artifact", 2), ("action-completed", 90)):
        (card,) = clinic.ask()
        clinic.override(card, code)
        if days:
            clinic.now += days * DAY - timedelta(seconds=1)
            assert clinic.says() == [], code
            clinic.now += timedelta(seconds=1)
        assert clinic.says() == ["a fast: 120 /min"], code


def test_what_is_more_severe_is_shown_all_the_same(open_clinic: Open) -> None:
    alerting = "{repeat_after: 14 days, snooze_on_override: 1 year}"
    clinic = open_clinic(rule("a", alerting, severity="info", worst="warning"))

    (mild,) = clinic.ask(120)
    clinic.override(mild)

    assert clinic.says(120) == []
    clinic.now += timedelta(minutes=1)
    assert clinic.says(160) == ["a very fast: 160 /min"]
    assert clinic.says(160) == []


def test_a_critical_card_is_shown_each_time(open_clinic: Open) -> None:
    alerting = "{repeat_after: 14 days, snooze_on_override: 1 year}"
    clinic = open_clinic(
        rule("a", alerting, worst="critical"),
        rule("b", alerting.replace("{", "{allow_suppress: true, "), worst="critical"),
    )

    for _ in range(3):
        cards = clinic.ask(160)
        clinic.override(cards[0])

    assert [card["summary"] for card in cards] == ["a very fast: 160 /min"]


def test_of_a_group_one_card_is_shown_with_the_others_on_it(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 1, repeat_after: 1 day}"),
        rule("b", "{group: rate, priority: 2, repeat_after: 9 days}"),
        rule("c"),
    )

    first, other = clinic.ask()
    second = clinic.says()

    assert first["summary"] == "b fast: 120 /min"
    assert first["detail"].startswith("**Also:** a fast: 120 /min.")
    assert other["summary"] == "c fast: 120 /min"
    assert second == [other["summary"]]
    assert clinic.audited()[0] == [["a@1.0.0", 1, "grouped", "group rate, told by b"]]


def test_a_site_limits_the_cards(open_clinic: Open) -> None:
    names = "abcd"
    clinic = open_clinic(
        *(rule(name, severity="info") for name in names),
        site="limits: {cards_per_response: 2, info_per_day: 3}",
    )

    assert [len(clinic.ask()) for _ in range(3)] == [2, 1, 0]
    assert len(clinic.ask(patient="p2")) == 2
    clinic.now = NOW.replace(hour=23, minute=59)
    assert clinic.ask() == []
    clinic.now += timedelta(minutes=1)
    assert len(clinic.ask()) == 2


def test_a_retry_gets_the_identical_cards(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{repeat_after: 14 days, snooze_on_override: 1 year, group: g}"),
        rule("b", "{repeat_after: 14 days, group: g}", severity="info", worst="info"),
        rule("c", severity="info", worst="info"),
        site="limits: {cards_per_response: 2, info_per_day: 1}",
    )
    instance = str(uuid4())

    first = clinic.ask(instance=instance)
    since = clinic.ask()
    clinic.override(first[0])
    again = clinic.ask(instance=instance)

    assert len(first) == 2
    assert [card["summary"] for card in since] != [card["summary"] for card in first]
    assert again == first


@pytest.mark.parametrize("instance", ["demo", "1"])
def test_an_instance_that_tells_no_calls_apart_is_no_retry(
    open_clinic: Open, instance: str
) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"))

    assert len(clinic.ask(instance=instance)) == 1
    assert clinic.ask(instance=instance) == []


def test_servers_share_what_was_shown(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"))
    other = clinic.start()

    assert len(clinic.ask(http=other)) == 1
    assert clinic.ask() == []


def test_another_hook_shows_the_same_advice_no_sooner(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"))

    assert len(clinic.ask()) == 1
    assert clinic.ask(hook="encounter-start", encounterId="e1") == []


def test_a_rule_may_ask_each_user_by_itself(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{once_per: [patient, user], repeat_after: 14 days}"),
    )

    for user in ("Practitioner/nurse", "Practitioner/physician"):
        assert len(clinic.ask(userId=user)) == 1
        assert clinic.ask(userId=user) == []


def test_without_an_encounter_a_card_per_encounter_is_shown_each_time(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{once_per: [patient, encounter], repeat_after: 14 days}"),
    )

    assert [len(clinic.ask()) for _ in range(2)] == [1, 1]
    assert [len(clinic.ask(encounterId="e1")) for _ in range(2)] == [1, 0]


def test_what_was_held_back_is_counted_and_logged_without_the_patient(
    open_clinic: Open, capfdbinary: Any
) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"))
    clinic.ask()
    clinic.ask()

    metrics = clinic.http.get("/metrics").text
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    (counted,) = [
        line
        for line in metrics.splitlines()
        if line.startswith("cds_cards_suppressed_t")
    ]
    assert 'service="review",why="repeated"' in counted and counted.endswith(" 1.0")
    told = [(each["cards"], each["suppressed"]) for each in lines if "cards" in each]
    assert told == [(1, 0), (0, 1)]
    assert "p1" not in json.dumps(lines)


# A chart that is opened again

HELD_BACK = "org.cds-service.held-back"


def test_three_openings_of_one_chart_say_what_there_is_once(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, repeat_after: 14 days}"),
        rule("b", "{group: rate, priority: 2, repeat_after: 14 days}", worst="info"),
        rule("c", "{group: rate, priority: 1}", severity="info"),
    )

    openings = [clinic.says() for _ in range(3)]
    clinic.now += 13 * DAY
    openings.append(clinic.says())

    assert openings == [["a fast: 120 /min"], [], [], []]
    assert clinic.audited()[1][-1] == [
        "c@1.0.0",
        1,
        "repeated",
        "told under a, shown 2026-11-22T14:00:00Z, repeat_after 14 days",
    ]


def test_a_line_counts_as_shown_when_its_lead_is_gone(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, repeat_after: 14 days}", above=130),
        rule("b", "{group: rate, priority: 2, repeat_after: 14 days}"),
    )

    first, then = clinic.says(rate=140), clinic.says(rate=120)
    clinic.now += 14 * DAY
    later = clinic.says(rate=120)

    assert (first, then) == (["a fast: 140 /min"], [])
    assert later == ["b fast: 120 /min"]


def test_a_rule_that_was_not_told_with_the_lead_is_shown(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, repeat_after: 14 days}"),
        rule("b", "{group: rate, priority: 2, repeat_after: 14 days}", above=130),
    )

    assert clinic.says(rate=120) == ["a fast: 120 /min"]
    assert clinic.says(rate=140) == ["b fast: 140 /min"]
    assert clinic.says(rate=140) == []


def test_an_override_of_the_lead_holds_back_what_was_told_under_it(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, snooze_on_override: 30 days}"),
        rule("b", "{group: rate, priority: 2}"),
    )

    (card,) = clinic.ask()
    clinic.override(card)

    assert clinic.says() == []


def test_a_line_on_a_card_for_which_there_was_no_room_was_not_shown(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{priority: 9, repeat_after: 14 days}"),
        rule("b", "{group: rate, priority: 2, repeat_after: 14 days}"),
        rule("c", "{group: rate, priority: 1, repeat_after: 14 days}"),
        site="limits: {cards_per_response: 1}",
    )

    assert clinic.says() == ["a fast: 120 /min"]
    (card,) = clinic.ask()
    assert card["detail"].startswith("**Also:** c fast: 120 /min.")
    assert clinic.says() == []


# Who is silenced, and who is not


def test_what_a_nurse_saw_is_shown_to_the_physician(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{repeat_after: 14 days, snooze_on_override: 1 year}")
    )

    (card,) = clinic.ask(userId="Practitioner/nurse")
    clinic.override(card)

    assert clinic.says(userId="Practitioner/nurse") == []
    assert clinic.says(userId="Practitioner/physician") == ["a fast: 120 /min"]
    assert clinic.says(userId="Practitioner/physician") == []


def test_a_rule_that_widens_on_purpose_is_shown_once_to_all(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{once_per: [patient, rule], repeat_after: 14 days}"),
    )

    assert len(clinic.ask(userId="Practitioner/nurse")) == 1
    assert clinic.ask(userId="Practitioner/physician") == []


def test_what_somebody_accepted_rests_for_everybody(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{snooze_on_accept: 7 days}"))

    (card,) = clinic.ask(userId="Practitioner/nurse")
    clinic.accept(card)

    for user in ("nurse", "physician"):
        assert clinic.says(userId=f"Practitioner/{user}") == []
    assert clinic.audited()[-1] == [
        [
            "a@1.0.0",
            1,
            "snoozed",
            "accepted 2026-11-22T14:00:00Z, snooze_on_accept 7 days",
        ]
    ]
    assert clinic.says(patient="p2") == ["a fast: 120 /min"]
    clinic.now += 7 * DAY
    assert clinic.says(userId="Practitioner/physician") == ["a fast: 120 /min"]


NURSE, PHYSICIAN = "Practitioner/nurse", "Practitioner/physician"


def test_what_was_told_under_a_card_that_a_colleague_accepted_rests_with_it(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, snooze_on_accept: 7 days}"),
        rule("b", "{group: rate, priority: 2}"),
        rule("c", "{group: rate, priority: 1}", above=130),
    )

    (card,) = clinic.ask(120, userId=NURSE)
    clinic.accept(card)

    assert clinic.says(120, userId=PHYSICIAN) == []
    assert clinic.says(120, userId="") == []
    assert clinic.says(140, userId=PHYSICIAN) == ["c fast: 140 /min"]
    assert clinic.says(120, patient="p2", userId=PHYSICIAN) == ["a fast: 120 /min"]
    clinic.now += 7 * DAY
    assert clinic.says(120, userId=PHYSICIAN) == ["a fast: 120 /min"]


def test_a_line_that_is_more_severe_than_a_colleague_was_told_is_shown(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, snooze_on_accept: 7 days}"),
        rule("b", "{group: rate, priority: 2}", severity="info"),
    )

    (card,) = clinic.ask(120, userId=NURSE)
    clinic.accept(card)

    assert clinic.says(120, userId=PHYSICIAN) == []
    assert clinic.says(160, userId=PHYSICIAN) == ["b very fast: 160 /min"]


def test_the_lines_of_a_card_that_is_shown_once_to_all_were_shown_with_it(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{group: g, priority: 3, once_per: [rule], repeat_after: 7 days}"),
        rule("b", "{group: g, priority: 2}"),
    )

    assert clinic.says(userId=NURSE) == ["a fast: 120 /min"]
    assert clinic.says(userId=PHYSICIAN) == []


def test_a_line_that_only_a_colleague_was_told_is_not_held_back(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(
        rule("a", "{group: rate, priority: 3, repeat_after: 7 days}"),
        rule("b", "{group: rate, priority: 2}", above=130),
    )

    assert clinic.says(120, userId=PHYSICIAN) == ["a fast: 120 /min"]
    clinic.now += DAY
    assert clinic.says(140, userId=NURSE) == ["a fast: 140 /min"]
    assert clinic.says(140, userId=PHYSICIAN) == ["b fast: 140 /min"]


def test_without_snooze_on_accept_a_colleague_sees_what_was_accepted(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 7 days}"))

    (card,) = clinic.ask(userId="Practitioner/nurse")
    clinic.accept(card)

    assert len(clinic.ask(userId="Practitioner/physician")) == 1


def test_what_is_more_severe_than_what_was_accepted_is_shown(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{snooze_on_accept: 7 days}", severity="info"))

    (card,) = clinic.ask(120)
    clinic.accept(card)

    assert clinic.says(120) == []
    assert clinic.says(160) == ["a very fast: 160 /min"]


# Data that somebody called wrong


def test_the_wrong_wearer_silences_every_rule_that_rests_on_the_reading(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(rule("a"), rule("b"), rule("c", above=110))

    first, *_ = clinic.ask()
    clinic.override(first, "not-wearer")

    assert clinic.says() == []
    assert [each[:3] for each in clinic.audited()[-1]] == [
        [f"{name}@1.0.0", 1, "snoozed"] for name in "abc"
    ]
    assert clinic.audited()[-1][2][3] == (
        "its data called wrong 2026-11-22T14:00:00Z (urn:site|not-wearer)"
        " on a card of a by Practitioner/1"
    )
    clinic.now += 20 * DAY
    assert len(clinic.ask()) == 3


def test_a_new_reading_is_shown_although_the_last_was_of_somebody_else(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"), rule("b"))

    first, _ = clinic.ask()
    clinic.override(first, "not-wearer")
    clinic.now += DAY

    cards = clinic.respond(130, reading="o2")["cards"]

    assert [each["summary"] for each in cards] == [
        "a fast: 130 /min",
        "b fast: 130 /min",
    ]


def test_an_override_of_the_advice_leaves_other_rules_alone(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{snooze_on_override: 9 days}"), rule("b"))

    first, _ = clinic.ask()
    clinic.override(first, "artifact")

    assert clinic.says() == ["b fast: 120 /min"]


def test_a_rule_says_how_long_data_count_as_wrong(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{snooze_on_override: {not-wearer: 2 days}}"), rule("b")
    )

    first, _ = clinic.ask()
    clinic.override(first, "not-wearer")

    assert clinic.says() == []
    clinic.now += 2 * DAY
    assert len(clinic.ask()) == 2


def test_a_colleague_judges_the_data_for_himself(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a"), rule("b", "{once_per: [patient, rule]}"))

    first, _ = clinic.ask(userId="Practitioner/nurse")
    clinic.override(first, "not-wearer")

    assert clinic.says(userId="Practitioner/nurse") == []
    assert clinic.says(userId="Practitioner/physician") == ["a fast: 120 /min"]


def test_a_critical_card_is_not_silenced_by_a_word_about_the_data(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(rule("a", worst="critical"), rule("b"))

    first, _ = clinic.ask(160)
    clinic.override(first, "not-wearer")

    assert clinic.says(160) == ["a very fast: 160 /min"]


def test_a_retry_is_answered_as_if_nothing_had_been_said_since(
    open_clinic: Open,
) -> None:
    clinic = open_clinic(rule("a", "{snooze_on_accept: 7 days}"), rule("b"))
    instance = str(uuid4())

    first = clinic.ask(instance=instance)
    clinic.override(first[1], "not-wearer")
    clinic.accept(first[0])

    assert clinic.ask(instance=instance) == first
    assert clinic.ask() == []


# Held back is not nothing


def test_an_empty_answer_says_how_many_cards_were_held_back(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{repeat_after: 14 days}"),
        rule("b", "{repeat_after: 14 days, group: g}"),
        rule("c", "{snooze_on_override: 9 days, group: g}"),
    )

    first = clinic.respond()
    second = clinic.respond()

    assert "extension" not in first
    assert second == {
        "cards": [],
        "extension": {HELD_BACK: {"count": 3, "reasons": {"repeated": 3}}},
    }


def test_the_next_card_says_how_many_others_were_held_back(open_clinic: Open) -> None:
    clinic = open_clinic(
        rule("a", "{repeat_after: 14 days}"), rule("b"), rule("c", above=130)
    )

    first = clinic.respond()
    second = clinic.respond(140)

    assert not any("held back" in card.get("detail", "") for card in first["cards"])
    one, other = second["cards"]
    assert one["detail"].endswith(
        "1 other card is held back: shown or answered before, or too many at once."
    )
    assert "held back" not in other.get("detail", "")
    assert second["extension"] == {HELD_BACK: {"count": 1, "reasons": {"repeated": 1}}}


def test_what_was_held_back_does_not_change_who_a_card_is(open_clinic: Open) -> None:
    clinic = open_clinic(rule("a", "{repeat_after: 14 days}"), rule("b"))
    instance = str(uuid4())
    clinic.ask()

    (one,) = clinic.ask(instance=instance)
    (again,) = clinic.ask(instance=instance)

    assert one == again
    assert "held back" in one["detail"]
