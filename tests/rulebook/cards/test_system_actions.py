"""What is done without a person: all or nothing, and only where nothing is in doubt."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.protocol.capabilities import Capabilities
from cds_service.protocol.cards import Action, Card, CardSource, Indicator, Suggestion
from cds_service.rulebook.cards.cards import BuiltCard, draft_cards, settle_actions
from cds_service.rulebook.engine.evaluate import evaluate
from cds_service.wearables.worn import Wearables

APPROVED = "governance: {approved: {by: Dr. A. Rivera, on: 2026-01-05}}"
FACTS = """\
drug: {medication: {in: beta-blockers}}
other: {medication: {in: other-drugs}}
sugar: {condition: {in: diabetes}}
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
slow: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""
WHEN = "all: [{drug: present}, {any: [{hr: {max: {above: 0}}}, {none: [hr: present]}]}]"
TASK = {
    "description": "Make a task",
    "create": {
        "resourceType": "Task",
        "status": "requested",
        "description": "Ask about {{ drug.name or 'the drug' }}",
    },
}
PAUSE = {
    "description": "Pause the order",
    "update": "drug",
    "set": {"status": "on-hold"},
}
REMOVE = {"description": "Remove the order", "remove": "drug"}


def order(id: str | None = "m1", code: str = "6918", **more: Any) -> dict[str, Any]:
    """An order of metoprolol; by its name alone where it has no code."""
    system = "http://www.nlm.nih.gov/research/umls/rxnorm"
    coding = {"coding": [{"system": system, "code": code}]} if code else {}
    return {
        "resourceType": "MedicationRequest",
        **({"id": id} if id else {}),
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {**coding, "text": "Metoprolol"},
        "authoredOn": "2026-10-01",
        "somethingUnknown": {"kept": [1, {"as": "it is"}]},
        **more,
    }


def drafts(
    rules: Any,
    chart: Any,
    *actions: Any,
    when: str = WHEN,
    more: str = APPROVED,
    suggestions: Sequence[Any] = (),
    may_disclose: bool = True,
    **read: Any,
) -> tuple[BuiltCard, ...]:
    """The cards of a rule with these system actions, for one order unless said."""
    defaults: dict[str, Any] = {"system_actions": actions}
    if suggestions:
        defaults["suggestions"] = suggestions
    found = rules.evaluate(
        FACTS,
        when,
        chart(**{"requests": [order()], **read}),
        more=f"{more}\ncard_defaults: {json.dumps(defaults)}",
    )
    found.case.may_disclose = may_disclose
    (service,) = rules.compile().rulebook.services.values()
    return draft_cards(found, service.service)


def sent(rules: Any, chart: Any, *actions: Any, **more: Any) -> list[str]:
    """What a card that is shown has done without a person."""
    (card,) = drafts(rules, chart, *actions, **more)
    return [action.description for action in card.system_actions]


def test_r_4_what_is_created_is_filled_and_about_the_patient(
    rules: Any, chart: Any
) -> None:
    (card,) = drafts(rules, chart, TASK)

    resource = {
        "resourceType": "Task",
        "status": "requested",
        "description": "Ask about Metoprolol",
        "for": {"reference": "Patient/p"},
        "authoredOn": "2026-11-22",
    }
    assert card.system_actions == (Action("create", "Make a task", resource),)


def test_r_4_c_20_an_update_is_the_whole_resource(rules: Any, chart: Any) -> None:
    (card,) = drafts(rules, chart, PAUSE)

    (action,) = card.system_actions
    assert action.resource == {**order(), "status": "on-hold"}


def test_r_4_c_21_a_removal_names_the_resource(rules: Any, chart: Any) -> None:
    (card,) = drafts(rules, chart, REMOVE)

    removal = Action("delete", "Remove the order", resource_id="MedicationRequest/m1")
    assert card.system_actions == (removal,)


# Approved, and certain


def test_r_5_a_rule_that_is_not_approved_does_nothing_without_a_person(
    rules: Any, chart: Any
) -> None:
    assert sent(rules, chart, TASK) == ["Make a task"]
    assert sent(rules, chart, TASK, more="") == []


def test_r_5_nothing_is_done_for_a_medicine_that_only_its_name_identified(
    rules: Any, chart: Any
) -> None:
    assert sent(rules, chart, TASK, requests=[order(code="")]) == []


def test_r_5_no_record_is_changed_that_only_its_name_identified(
    rules: Any, chart: Any
) -> None:
    coded, named = order("m1"), order("m2", code="", authoredOn="2026-11-01")

    assert sent(rules, chart, TASK, requests=[coded, named]) == ["Make a task"]
    assert sent(rules, chart, PAUSE, requests=[coded, named]) == []


def test_r_5_nothing_is_done_where_a_rule_fires_for_want_of_an_answer(
    rules: Any, chart: Any, reading: Any
) -> None:
    asked = {"when": "hr: {latest: {above: 100}}"}
    more = f"{APPROVED}\nif_unknown: fire"

    known = sent(rules, chart, TASK, **asked, more=more, observations=[reading(120)])
    unknown = sent(rules, chart, TASK, **asked, more=more)

    assert (known, unknown) == (["Make a task"], [])


def test_r_5_nothing_is_done_where_a_more_severe_card_may_be_due(
    rules: Any, chart: Any, reading: Any
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    several = rules.files["test.yaml"].replace(
        "card:\n  summary: It fires\n  source: {label: Test}\n",
        f"{APPROVED}\n"
        f"card_defaults: {{source: {{label: T}}, system_actions: {json.dumps([TASK])}}}"
        "\ncards:\n"
        "  - {when: {hr: {latest: {above: 150}}}, severity: warning, summary: Worse}\n"
        "  - {severity: info, summary: Bad}\n",
    )
    rules.files["test.yaml"] = several

    def done(**read: Any) -> tuple[str, int]:
        compiled = rules.compile()
        assert compiled.rulebook, compiled.findings
        (service,) = compiled.rulebook.services.values()
        seen = chart(requests=[order()], **read)
        (card,) = draft_cards(
            evaluate(service, seen, Wearables(), rules.now), service.service
        )
        return card.card.summary, len(card.system_actions)

    assert done(observations=[reading(160)]) == ("Worse", 1)
    assert done(observations=[reading(120)]) == ("Bad", 1)
    assert done() == ("Bad", 0)


def test_r_5_what_a_site_passes_over_is_in_doubt_all_the_same(
    rules: Any, chart: Any
) -> None:
    rules.files["site.yaml"] += "unresolved: ignore\n"
    when = "all: [drug: present, other: absent]"
    words = order("m2", code="", medicationCodeableConcept={"text": "Some tablets"})

    assert sent(rules, chart, TASK, when=when) == ["Make a task"]
    assert sent(rules, chart, TASK, when=when, requests=[order(), words]) == []


@pytest.mark.parametrize(
    ("orders", "changed"),
    [
        ([order()], True),
        ([order(authoredOn=None)], True),
        ([order("m1"), order("m2", authoredOn="2026-11-01")], True),
        ([order("m1"), order("m2")], False),
        ([order("m1"), order("m2", authoredOn=None)], False),
        ([order("m1"), order("m2", authoredOn="2026")], False),
        ([order("m1"), order("m2", status=None, authoredOn="2026-09-01")], True),
        ([order("m1"), order("m2", status=None, authoredOn="2026-11-01")], False),
    ],
    ids=["one", "undated", "newest", "one day", "one undated", "one vague"]
    + ["an older one that cannot be used", "a newer one that cannot be used"],
)
def test_r_5_a_record_is_changed_where_it_certainly_is_the_one_that_is_meant(
    rules: Any, chart: Any, orders: list[Any], changed: bool
) -> None:
    done = sent(rules, chart, PAUSE, requests=orders)

    assert done == ["Pause the order"] * changed


def test_r_5_no_record_is_changed_where_a_newer_one_may_not_have_been_read(
    rules: Any, chart: Any
) -> None:
    partly = {"medication_requests": SourceState.PARTIAL}

    assert sent(rules, chart, TASK, states=partly) == ["Make a task"]
    assert sent(rules, chart, PAUSE, states=partly) == []


def test_r_5_the_newest_reading_is_known_where_the_newest_come_first(
    rules: Any, chart: Any, reading: Any
) -> None:
    amend = {"description": "Amend it", "update": "hr", "set": {"status": "amended"}}
    partly = {"observations": SourceState.PARTIAL}
    newest_first = [reading(70, "1 hours"), reading(60, "2 hours")]

    assert sent(rules, chart, amend, observations=newest_first, states=partly) == [
        "Amend it"
    ]
    oldest_first = newest_first[::-1]
    assert sent(rules, chart, amend, observations=oldest_first, states=partly) == []


# All of it or nothing


@pytest.mark.parametrize(
    "impossible",
    [
        {"description": "Remove the other order", "remove": "other"},
        {"description": "Remove the problem", "remove": "sugar"},
    ],
)
def test_all_of_a_card_is_done_or_nothing(
    rules: Any, chart: Any, impossible: Any
) -> None:
    when = "all: [{drug: present}, {none: [other: present, sugar: present]}]"

    assert sent(rules, chart, TASK, impossible, when=when) == []


def test_a_record_without_an_id_cannot_be_changed(rules: Any, chart: Any) -> None:
    assert sent(rules, chart, TASK, REMOVE, requests=[order(id=None)]) == []


def test_no_record_is_changed_twice_by_one_card(rules: Any, chart: Any) -> None:
    assert sent(rules, chart, TASK, PAUSE, REMOVE) == []


def test_nothing_is_done_that_tells_the_ehr_what_the_patient_keeps_from_it(
    rules: Any, chart: Any
) -> None:
    told = {"resourceType": "Task", "description": "{{ slow.value or 'No value' }}"}
    quoting = {"description": "Make a task", "create": told}

    assert sent(rules, chart, quoting) == ["Make a task"]
    assert sent(rules, chart, quoting, may_disclose=False) == []
    assert sent(rules, chart, TASK, may_disclose=False) == ["Make a task"]


def test_what_the_card_offers_to_a_person_is_not_done_without_one(
    rules: Any, chart: Any
) -> None:
    offered = [{"label": "Stop", "actions": [REMOVE]}]

    assert sent(rules, chart, PAUSE, suggestions=offered) == []
    assert sent(rules, chart, TASK, suggestions=offered) == ["Make a task"]


# One response


TAKES = Capabilities(system_actions=True)


def change(id: str, type: str = "delete") -> Action:
    resource = {"resourceType": "Task", "id": id}
    if type == "delete":
        return Action("delete", f"Remove {id}", resource_id=f"Task/{id}")
    return Action(type, f"{type} {id}", resource)


def shown(rule: str, *actions: Action, offers: Sequence[Action] = ()) -> BuiltCard:
    suggestions = (Suggestion("", "Do it", tuple(offers)),) if offers else ()
    card = Card("", rule, Indicator.INFO, CardSource("T"), suggestions=suggestions)
    return BuiltCard(card, rule, "1.0.0", 0, "{}", system_actions=actions)


def settled(
    *cards: BuiltCard, capabilities: Capabilities = TAKES
) -> list[tuple[str, list[str]]]:
    return [
        (each.rule, [action.description for action in each.system_actions])
        for each in settle_actions(cards, capabilities)
    ]


def test_the_less_urgent_card_leaves_a_record_that_is_taken_and_all_else() -> None:
    first = shown("first", change("1", "update"))
    second = shown("second", change("2", "create"), change("1"), change("3"))
    third = shown("third", change("3"))

    assert settled(first, second, third) == [
        ("first", ["update 1"]),
        ("second", []),
        ("third", ["Remove 3"]),
    ]


def test_what_another_card_offers_to_a_person_is_not_done_without_one() -> None:
    does = shown("does", change("1"))
    offers = shown("offers", offers=[change("1", "update")])

    assert settled(does, offers) == [("does", []), ("offers", [])]


def test_what_is_offered_stays_left_to_the_person_whatever_else_is_done() -> None:
    does, also = shown("does", change("1")), shown("also", change("2"))
    offers = shown("offers", offers=[change("2", "update")])

    assert settled(does, also, offers) == [
        ("does", ["Remove 1"]),
        ("also", []),
        ("offers", []),
    ]


def test_what_is_created_twice_is_no_record_that_is_changed_twice() -> None:
    one, other = (shown(name, change("1", "create")) for name in ("one", "other"))

    assert settled(one, other) == [("one", ["create 1"]), ("other", ["create 1"])]


def test_r_5_a_client_that_did_not_agree_is_sent_nothing() -> None:
    card = shown("a", change("1"))

    assert settled(card, capabilities=Capabilities()) == [("a", [])]


def test_c_22_the_form_of_a_removal_is_the_clients() -> None:
    old = replace(TAKES, delete_in_resource=True)

    (card,) = settle_actions([shown("a", change("1"))], old)

    assert card.system_actions == (replace(change("1"), in_resource=True),)
