"""A card comes once, and again when it is time: through the app, in one database."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from .clinic import DAY, NOW, Open, rule


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
    assert clinic.audited()[:2] == [None, [["a@1.0.0", 1, "repeated", detail]]]


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
