"""What leaves: the same card for every client, but for what one has to understand."""

from dataclasses import fields, replace
from typing import Any

import pytest

from cds_service.protocol.capabilities import (
    Capabilities,
    gate_card,
    gate_service,
    gate_system_actions,
    is_plain,
)
from cds_service.protocol.cards import (
    Action,
    Card,
    CardSource,
    Indicator,
    Link,
    Suggestion,
    as_json,
    build_response,
)
from cds_service.protocol.services import Service

UUID = "00000000-0000-4000-8000-00000000000"
DELETE = Action("delete", "Stop it", resource_id="MedicationRequest/m")
CREATE = Action("create", "Order it", {"resourceType": "Task", "id": "t"})
ALL = Capabilities(**{each.name: True for each in fields(Capabilities)})
CARD = Card(
    uuid=UUID + "1",
    summary="A summary",
    indicator=Indicator.INFO,
    source=CardSource("Somebody"),
    suggestions=(
        Suggestion(UUID + "2", "Stop", (DELETE,)),
        Suggestion(UUID + "3", "Choose", (DELETE, CREATE), action_selection="any"),
    ),
    selection="any",
    links=(Link("App", "https://app.example/", "smart", autolaunchable=True),),
)


def sent(card: Card, capabilities: Capabilities) -> dict[str, Any]:
    """The card as the client gets it; it passes the schema."""
    (wire,) = build_response([gate_card(card, capabilities)])["cards"]
    found: dict[str, Any] = wire
    return found


def test_v_6_an_unknown_client_gets_what_no_version_chokes_on() -> None:
    card = sent(CARD, Capabilities())

    (suggestion,) = card["suggestions"]
    assert card["selectionBehavior"] == "at-most-one"
    assert "autolaunchable" not in card["links"][0]
    assert suggestion["actions"] == [
        {
            "type": "delete",
            "description": "Stop it",
            "resourceId": "MedicationRequest/m",
        }
    ]


def test_v_6_a_client_that_understands_everything_is_told_everything() -> None:
    card = sent(CARD, replace(ALL, delete_in_resource=False))

    assert card == as_json(CARD)
    assert card["selectionBehavior"] == "any"
    assert card["links"][0]["autolaunchable"] is True
    assert card["suggestions"][1]["actionSelectionBehavior"] == "any"


def test_c_16_a_choice_among_actions_is_not_offered_as_all_of_them() -> None:
    only = replace(CARD, suggestions=CARD.suggestions[1:])

    assert "suggestions" not in sent(only, Capabilities())
    assert "selectionBehavior" not in sent(only, Capabilities(any=True))


def test_c_22_a_client_of_1_0_finds_what_to_delete_in_resource() -> None:
    card = sent(CARD, Capabilities(delete_in_resource=True))

    assert card["suggestions"][0]["actions"] == [
        {"type": "delete", "description": "Stop it", "resource": "MedicationRequest/m"}
    ]


def test_c_10_where_one_may_be_chosen_one_is_recommended() -> None:
    recommended = tuple(
        replace(each, is_recommended=True, action_selection="")
        for each in CARD.suggestions
    )
    both = replace(CARD, suggestions=recommended)

    shown = [each.get("isRecommended") for each in sent(both, ALL)["suggestions"]]
    assert shown == [True, True]
    one = sent(both, Capabilities())["suggestions"]
    assert [each.get("isRecommended") for each in one] == [True, None]


TOGETHER = replace(
    CARD,
    suggestions=tuple(replace(each, action_selection="") for each in CARD.suggestions),
    together=Suggestion(UUID + "4", "Both", (DELETE, DELETE, CREATE)),
)


def test_c_7_where_one_may_be_chosen_all_together_are_one_more_and_last() -> None:
    card = sent(TOGETHER, Capabilities(delete_in_resource=True))

    assert card["selectionBehavior"] == "at-most-one"
    labels = [each["label"] for each in card["suggestions"]]
    assert labels == ["Stop", "Choose", "Both"]
    both = card["suggestions"][-1]
    assert both["uuid"] == UUID + "4" and len(both["actions"]) == 3
    assert both["actions"][0]["resource"] == "MedicationRequest/m"


def test_c_7_where_any_may_be_chosen_all_together_are_not_offered_twice() -> None:
    card = sent(TOGETHER, Capabilities(any=True))

    assert card["selectionBehavior"] == "any"
    assert [each["label"] for each in card["suggestions"]] == ["Stop", "Choose"]
    assert "together" not in card


def test_v_6_the_members_that_two_clients_see_differ_only_where_gated() -> None:
    plain, full = sent(CARD, Capabilities()), sent(CARD, ALL)

    gated = {"selectionBehavior", "suggestions", "links"}
    assert {name for name in full if full[name] != plain[name]} == gated
    (one,), (other,) = plain["links"], full["links"]
    assert other == {**one, "autolaunchable": True}


def test_r_5_system_actions_are_sent_to_those_who_agreed_to_them() -> None:
    assert gate_system_actions((CREATE,), Capabilities()) == ()
    agreed = gate_system_actions((CREATE,), Capabilities(system_actions=True))

    body = build_response([], agreed)

    assert body["systemActions"] == [
        {
            "type": "create",
            "description": "Order it",
            "resource": {"resourceType": "Task", "id": "t"},
        }
    ]
    assert build_response([], ()) == {"cards": []}


@pytest.mark.parametrize(
    ("template", "plain"),
    [
        ("Patient/{{context.patientId}}", True),
        ("Practitioner/{{userPractitionerId}}", True),
        ("Observation?patient={{context.patientId}}&code=8867-4", True),
        ("Observation?date=ge{{today() - 90 days}}", False),
        ("Task?focus={{%patient.id}}", False),
        ("Medication/{{context.draftOrders.entry.resource.id}}", False),
        ("{{context.draftOrders.ofType(Task).id}}", False),
    ],
)
def test_p_8_a_template_with_fhirpath_is_told_from_a_plain_one(
    template: str, plain: bool
) -> None:
    assert is_plain(template) is plain


def test_p_8_fhirpath_is_advertised_to_those_who_can_fill_it() -> None:
    prefetch = {"a": "Patient/{{context.patientId}}", "b": "Task?focus={{%a.id}}"}
    service = Service("s", "patient-view", "S", "A service", prefetch=prefetch)

    assert gate_service(service, Capabilities()).prefetch == {"a": prefetch["a"]}
    assert gate_service(service, Capabilities(fhirpath_tokens=True)) == service
