"""What somebody saw, accepted or called wrong silences cards: for whom, and which."""

from uuid import uuid4

from .clinic import DAY, Open, rule

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
