"""Suggestions and their actions: what they make, change and remove, and of whom."""

from typing import Any

import pytest

from cds_service.protocol.cards import as_json
from cds_service.rulebook.engine.rules import (
    ActionTemplate,
    SuggestionTemplate,
)

from .drafts import NOW, ORDER, build, card, case, fires

# Suggestions


def actions_of(*actions: ActionTemplate, **parts: Any) -> list[dict[str, Any]]:
    suggestion = SuggestionTemplate("Do it", False, actions)
    (built,) = build(fires(card(suggestions=(suggestion,)), **parts))
    suggestions: list[dict[str, Any]] = as_json(built.card).get("suggestions", [])
    return [action for each in suggestions for action in each["actions"]]


def test_c_19_a_created_resource_is_filled_and_about_the_patient() -> None:
    template = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "note": [{"text": "On {{ drug.name }}"}],
        "priority": None,
        "quantityQuantity": {"value": 1},
    }

    assert actions_of(ActionTemplate("create", "Order an ECG", template)) == [
        {
            "type": "create",
            "description": "Order an ECG",
            "resource": {
                **template,
                "note": [{"text": "On Metoprolol *ER* 50 mg"}],
                "subject": {"reference": "Patient/p1"},
                "authoredOn": f"{NOW:%Y-%m-%d}",
            },
        }
    ]


@pytest.mark.parametrize(
    ("type_", "member"),
    [("Flag", "subject"), ("Immunization", "patient"), ("DetectedIssue", "patient")],
)
def test_the_patient_is_named_where_the_resource_has_its_place(
    type_: str, member: str
) -> None:
    (action,) = actions_of(ActionTemplate("create", "New", {"resourceType": type_}))

    assert action["resource"] == {
        "resourceType": type_,
        member: {"reference": "Patient/p1"},
    }


def test_a_subject_that_the_rule_names_is_kept() -> None:
    group = {"resourceType": "List", "subject": {"reference": "Group/1"}}

    (action,) = actions_of(ActionTemplate("create", "New", group))

    assert action["resource"] == group


def test_c_20_an_update_is_the_whole_resource_with_every_unknown_element() -> None:
    changes = {"status": "on-hold", "note": [{"text": "{{ drug.name }}"}]}

    assert actions_of(
        ActionTemplate("update", "Pause", fact="drug", changes=changes)
    ) == [
        {
            "type": "update",
            "description": "Pause",
            "resource": {
                **ORDER,
                "status": "on-hold",
                "note": [{"text": "Metoprolol *ER* 50 mg"}],
            },
        }
    ]


def test_c_20_an_update_leaves_the_chart_as_it_was() -> None:
    before = dict(ORDER)

    actions_of(ActionTemplate("update", "Pause", fact="drug", changes={"status": "x"}))

    assert ORDER == before


def test_c_21_a_removal_names_the_resource() -> None:
    assert actions_of(ActionTemplate("delete", "Remove", fact="drug")) == [
        {
            "type": "delete",
            "description": "Remove",
            "resourceId": "MedicationRequest/m1",
        }
    ]


@pytest.mark.parametrize("fact", ["drug", "watch_alert"])
def test_a_suggestion_whose_record_has_no_id_is_left_out(fact: str) -> None:
    without_id = {name: each for name, each in ORDER.items() if name != "id"}

    assert (
        actions_of(
            ActionTemplate("create", "New", {"resourceType": "Task"}),
            ActionTemplate("delete", "Remove", fact=fact),
            case=case(without_id),
        )
        == []
    )


def test_a_suggestion_after_one_that_is_left_out_is_made() -> None:
    impossible = SuggestionTemplate(
        "Remove", False, (ActionTemplate("delete", "Remove", fact="watch_alert"),)
    )
    possible = SuggestionTemplate(
        "Stop", False, (ActionTemplate("delete", "Stop", fact="drug"),)
    )

    (built,) = build(fires(card(suggestions=(impossible, possible))))

    assert [each.label for each in built.card.suggestions] == ["Stop"]


def test_what_may_not_be_sent_to_the_ehr_is_in_no_resource_for_it() -> None:
    quoting = {
        "resourceType": "Task",
        "description": "{{ watch_alert.value or 'An alert' }}",
    }
    plain = {"resourceType": "Task", "description": "{{ drug.name }}"}
    silenced = case(ORDER)
    silenced.may_disclose = False

    asked = [
        actions_of(ActionTemplate("create", "New", each), case=silenced)
        for each in (quoting, plain)
    ]

    assert [len(each) for each in asked] == [0, 1]
    assert len(actions_of(ActionTemplate("create", "New", quoting))) == 1


def test_c_16_some_of_a_suggestion_s_actions_may_be_taken_without_the_others() -> None:
    task = ActionTemplate("create", "New", {"resourceType": "Task"})
    choice = SuggestionTemplate("Do it", False, (task, task), "at-most-one")

    (built,) = build(fires(card(suggestions=(choice,))))

    (shown,) = as_json(built.card)["suggestions"]
    assert shown["actionSelectionBehavior"] == "at-most-one"


def test_c_15_no_two_actions_change_the_same_record() -> None:
    twice = (
        ActionTemplate("update", "Pause", fact="drug", changes={"status": "on-hold"}),
        ActionTemplate("delete", "Remove", fact="drug"),
    )

    assert actions_of(*twice) == []


def test_c_11_at_most_one_suggestion_is_recommended() -> None:
    actions = (ActionTemplate("create", "New", {"resourceType": "Task"}),)
    suggestions = tuple(
        SuggestionTemplate(label, recommended, actions)
        for label, recommended in [("a", False), ("b", True), ("c", True)]
    )

    (built,) = build(fires(card(suggestions=suggestions)))

    assert [each.is_recommended for each in built.card.suggestions] == [
        False,
        True,
        False,
    ]


def test_c_10_a_card_may_let_several_of_its_suggestions_be_taken() -> None:
    actions = (ActionTemplate("create", "New", {"resourceType": "Task"}),)
    suggestions = (SuggestionTemplate("a", False, actions),)

    (usual,) = build(fires(card(suggestions=suggestions)))
    (several,) = build(fires(card(suggestions=suggestions, selection="any")))

    assert as_json(usual.card)["selectionBehavior"] == "at-most-one"
    assert as_json(several.card)["selectionBehavior"] == "any"
    assert usual.card.uuid != several.card.uuid
