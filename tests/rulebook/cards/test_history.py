"""What a detector finds long after it was over informs, and warns of nothing."""

from typing import Any

import pytest

from cds_service.protocol.cards import Indicator
from cds_service.rulebook.cards.cards import draft_cards

LOW = "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"
LATE = "Rests on readings that came long after they were made."


def drafted(rules: Any, found: Any) -> Any:
    service = rules.compile().rulebook.services["review", "patient-view"]
    (card,) = draft_cards(found, service.service)
    return card.card


def test_history_alone_is_information_and_says_why(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [wearable(historical=True)]

    card = drafted(rules, rules.evaluate(LOW, "low: present", chart(), alerts))

    assert card.indicator is Indicator.INFO
    assert LATE in card.detail


@pytest.mark.parametrize("more", [[], [{"hours": 2, "historical": True}]])
def test_an_alert_that_came_in_time_warns(
    rules: Any, chart: Any, wearable: Any, more: list[dict[str, Any]]
) -> None:
    alerts = [wearable(), *(wearable(**each) for each in more)]

    card = drafted(rules, rules.evaluate(LOW, "low: present", chart(), alerts))

    assert card.indicator is Indicator.WARNING
    assert LATE not in card.detail


def test_two_alerts_of_which_one_is_history_are_not_two_in_time(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [wearable(), wearable(hours=2, historical=True)]

    found = rules.evaluate(LOW, "low: {count: {at_least: 2}}", chart(), alerts)

    assert drafted(rules, found).indicator is Indicator.INFO


def test_what_another_reading_warns_of_warns_beside_history(
    rules: Any, chart: Any, wearable: Any, reading: Any
) -> None:
    facts = f"{LOW}\nhr: {{observation: {{in: heart-rate, unit: /min}}}}"
    when = "any: [low: present, hr: {latest: {above: 100}}]"
    alerts = [wearable(historical=True)]

    seen = chart(observations=[reading(120)])
    card = drafted(rules, rules.evaluate(facts, when, seen, alerts))

    assert card.indicator is Indicator.WARNING
