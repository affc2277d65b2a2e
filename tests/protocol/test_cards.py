"""Cards on the wire: what stands there, and that nothing empty does."""

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.protocol.cards import (
    Action,
    Card,
    CardSource,
    Coding,
    Indicator,
    Link,
    Suggestion,
    as_json,
)
from cds_service.protocol.schemas import problems

CARD_ID = "f6b95768-b1c8-40dc-8385-bf3504b82ffb"
SUGGESTION_ID = "e56e1945-20b3-4393-8503-a1a20fd73152"
ORDER = {"resourceType": "ServiceRequest", "status": "draft", "note": [], "x": None}
LEAST = Card(
    uuid=CARD_ID,
    summary="Resting heart rate is high",
    indicator=Indicator.WARNING,
    source=CardSource("Example Hospital"),
)
MOST = Card(
    uuid=CARD_ID,
    summary="Resting heart rate is high",
    indicator=Indicator.CRITICAL,
    source=CardSource(
        "Example Hospital",
        "https://example.org/cardiology",
        Coding("http://example.org/topics", "rhythm", "Rhythm"),
    ),
    detail="**104/min** on 2 of 3 days",
    suggestions=(
        Suggestion(
            SUGGESTION_ID,
            "Order an ECG",
            (
                Action("create", "Order an ECG", resource=ORDER),
                Action("delete", "Withdraw the draft", resource_id="Task/1"),
            ),
            is_recommended=True,
        ),
    ),
    override_reasons=(Coding("http://example.org/reasons", "no", "Not now"),),
    links=(
        Link("Guideline", "https://example.org/guideline", "absolute"),
        Link("App", "https://app.example.org/launch", "smart", '{"a": 1}'),
    ),
    extension={"org.cds-service.rule": {"id": "r", "version": 1}},
)


def suggesting(*actions: Action) -> dict[str, Any]:
    """The suggestion of a card with one, as JSON."""
    card = Card(
        uuid=CARD_ID,
        summary="x",
        indicator=Indicator.INFO,
        source=CardSource("x"),
        suggestions=(Suggestion(SUGGESTION_ID, "x", actions),),
    )
    assert problems("response", {"cards": [as_json(card)]}) == []
    only: dict[str, Any] = as_json(card)["suggestions"][0]
    return only


def test_j_6_a_card_with_the_least_has_only_what_is_required() -> None:
    assert as_json(LEAST) == {
        "uuid": CARD_ID,
        "summary": "Resting heart rate is high",
        "indicator": "warning",
        "source": {"label": "Example Hospital"},
    }


def test_a_card_with_everything_has_everything() -> None:
    assert as_json(MOST) == {
        "uuid": CARD_ID,
        "summary": "Resting heart rate is high",
        "indicator": "critical",
        "source": {
            "label": "Example Hospital",
            "url": "https://example.org/cardiology",
            "topic": {
                "system": "http://example.org/topics",
                "code": "rhythm",
                "display": "Rhythm",
            },
        },
        "detail": "**104/min** on 2 of 3 days",
        "suggestions": [
            {
                "uuid": SUGGESTION_ID,
                "label": "Order an ECG",
                "isRecommended": True,
                "actions": [
                    {
                        "type": "create",
                        "description": "Order an ECG",
                        "resource": ORDER,
                    },
                    {
                        "type": "delete",
                        "description": "Withdraw the draft",
                        "resourceId": "Task/1",
                    },
                ],
            }
        ],
        "selectionBehavior": "at-most-one",
        "overrideReasons": [
            {
                "system": "http://example.org/reasons",
                "code": "no",
                "display": "Not now",
            }
        ],
        "links": [
            {
                "label": "Guideline",
                "url": "https://example.org/guideline",
                "type": "absolute",
            },
            {
                "label": "App",
                "url": "https://app.example.org/launch",
                "type": "smart",
                "appContext": '{"a": 1}',
            },
        ],
        "extension": {"org.cds-service.rule": {"id": "r", "version": 1}},
    }


def test_c_33_both_pass_the_schema_of_the_answer() -> None:
    assert problems("response", {"cards": [as_json(LEAST), as_json(MOST)]}) == []


@pytest.mark.parametrize(
    ("indicator", "wire"),
    [
        (Indicator.INFO, "info"),
        (Indicator.WARNING, "warning"),
        (Indicator.CRITICAL, "critical"),
    ],
)
def test_c_4_indicators_are_written_in_lower_case(
    indicator: Indicator, wire: str
) -> None:
    card = Card(CARD_ID, "x", indicator, CardSource("x"))

    assert as_json(card)["indicator"] == wire


def test_c_4_indicators_ascend_in_urgency() -> None:
    assert Indicator.INFO < Indicator.WARNING < Indicator.CRITICAL


def test_c_10_a_card_without_suggestions_has_no_selection_behavior() -> None:
    assert "selectionBehavior" not in as_json(LEAST)
    assert as_json(MOST)["selectionBehavior"] == "at-most-one"


def test_c_11_a_suggestion_that_is_not_recommended_does_not_say_so() -> None:
    assert suggesting() == {"uuid": SUGGESTION_ID, "label": "x"}


@pytest.mark.parametrize("kind", ["create", "update"])
def test_c_19_and_c_20_a_resource_goes_out_whole(kind: str) -> None:
    action = Action(kind, "d", resource=ORDER, resource_id="Task/1")

    assert suggesting(action)["actions"] == [
        {"type": kind, "description": "d", "resource": ORDER}
    ]


def test_c_21_a_delete_names_its_resource_and_carries_none() -> None:
    action = Action("delete", "d", resource=ORDER, resource_id="Task/1")

    assert suggesting(action)["actions"] == [
        {"type": "delete", "description": "d", "resourceId": "Task/1"}
    ]


def test_c_26_only_a_smart_link_has_an_app_context() -> None:
    links = (Link("A", "https://example.org", "absolute", "context"),)
    card = Card(CARD_ID, "x", Indicator.INFO, CardSource("x"), links=links)

    assert as_json(card)["links"] == [
        {"label": "A", "url": "https://example.org", "type": "absolute"}
    ]


def test_a_page_of_this_server_is_not_sent_before_it_has_an_address() -> None:
    page = Link("Why", "", "smart", page="why")
    opened = replace(page, url="https://cds.example/smart/launch", app_context="x")
    cards = (
        Card(CARD_ID, "x", Indicator.INFO, CardSource("x"), links=(each,))
        for each in (page, opened)
    )

    assert [as_json(each).get("links") for each in cards] == [
        None,
        [
            {
                "label": "Why",
                "url": "https://cds.example/smart/launch",
                "type": "smart",
                "appContext": "x",
            }
        ],
    ]


def test_j_5_an_extension_loses_what_is_empty_in_it() -> None:
    extension = {
        "org.x": {"a": "", "b": None, "c": [], "d": {"e": {}}, "f": [None, [""], 0]},
        "org.y": {"z": ()},
    }
    card = Card(CARD_ID, "x", Indicator.INFO, CardSource("x"), extension=extension)

    assert as_json(card)["extension"] == {"org.x": {"f": [0]}}


def test_what_goes_out_is_plain_json() -> None:
    extension = MappingProxyType({"org.x": MappingProxyType({"a": (1, False)})})
    card = Card(CARD_ID, "x", Indicator.INFO, CardSource("x"), extension=extension)

    assert json.loads(json.dumps(as_json(card)))["extension"] == {
        "org.x": {"a": [1, False]}
    }


def empty_members(value: Any, path: str = "$") -> list[str]:
    """Where a card has a null or an empty value outside a resource."""
    if value in (None, "", [], {}):
        return [path]
    if isinstance(value, dict):
        members = [(k, v) for k, v in value.items() if k != "resource"]
    elif isinstance(value, list):
        members = [(str(index), each) for index, each in enumerate(value)]
    else:
        return []
    return [found for k, v in members for found in empty_members(v, f"{path}.{k}")]


TEXT = st.sampled_from(["", "x"])
CODINGS = st.builds(Coding, st.just("http://s"), st.just("c"), TEXT)
ACTIONS = st.builds(
    Action,
    st.sampled_from(["create", "update", "delete"]),
    TEXT,
    st.sampled_from([None, ORDER, {}]),
    TEXT,
)
CARDS = st.builds(
    Card,
    uuid=st.just(CARD_ID),
    summary=TEXT,
    indicator=st.sampled_from(Indicator),
    source=st.builds(CardSource, TEXT, TEXT, st.none() | CODINGS),
    detail=TEXT,
    suggestions=st.lists(
        st.builds(
            Suggestion,
            st.just(SUGGESTION_ID),
            TEXT,
            st.lists(ACTIONS, max_size=2).map(tuple),
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    override_reasons=st.lists(CODINGS, max_size=2).map(tuple),
    links=st.lists(
        st.builds(Link, TEXT, TEXT, st.sampled_from(["absolute", "smart"]), TEXT),
        max_size=2,
    ).map(tuple),
    extension=st.dictionaries(
        st.just("org.x"), st.sampled_from(["", "x", {}, {"a": None}, [[]], 0, False])
    ),
)


@settings(max_examples=150)
@given(CARDS)
def test_j_4_and_j_5_no_card_has_an_empty_member(card: Card) -> None:
    assert empty_members(as_json(card)) == []
