"""Nothing that breaks the protocol leaves, or is recorded as shown."""

import pytest

from cds_service.protocol.cards import (
    Action,
    Card,
    CardSource,
    Indicator,
    InvalidAnswer,
    build_response,
    checked,
)

CARD = Card(
    uuid="8a3f0ed8-5a4b-4c29-9b87-0f2a8d6a3f11",
    summary="Review the dose",
    indicator=Indicator.WARNING,
    source=CardSource("Test"),
)


def test_r_2_no_cards_are_an_empty_list() -> None:
    assert build_response([]) == {"cards": []}


def test_x_2_an_extension_stands_beside_the_cards_or_not_at_all() -> None:
    told = {"org.example.told": {"count": 2}}

    assert build_response([], (), told) == {"cards": [], "extension": told}
    assert "extension" not in build_response([CARD], (), {})
    with pytest.raises(InvalidAnswer):
        build_response([], (), {"told": 2})


def test_c_33_a_card_that_breaks_the_protocol_is_not_answered() -> None:
    too_long = Card(CARD.uuid, "x" * 140, CARD.indicator, CARD.source)

    with pytest.raises(InvalidAnswer) as refused:
        build_response([CARD, too_long])

    assert refused.value.places == ["$.cards[1].summary"]
    assert "xxx" not in str(refused.value)


def test_r_4_a_system_action_that_breaks_the_protocol_is_not_answered() -> None:
    nothing = Action("create", "Make a task")

    with pytest.raises(InvalidAnswer) as refused:
        build_response([CARD], [nothing])

    assert refused.value.places == ["$.systemActions[0]"]


def test_a_discovery_that_breaks_the_protocol_is_not_answered() -> None:
    with pytest.raises(InvalidAnswer):
        checked("discovery", {"services": [{"id": "x"}]})
