import io
from typing import Any

import pytest
from rich.console import Console

from cds_service.cli.terminal import print_answer
from cds_service.ehr.client import ServiceAnswer

CARD = {
    "uuid": "1",
    "summary": "Resting heart rate 108 /min despite metoprolol",
    "indicator": "warning",
    "detail": "**What is known**\n\n- Alert 6 hours ago\n- [brackets] stay",
    "source": {"label": "Example rules", "url": "https://example.org/r"},
    "suggestions": [{"label": "Order an ECG"}],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{"code": "x", "system": "y", "display": "Already evaluated"}],
    "links": [{"label": "Guideline", "url": "https://example.org/g"}],
}


def printed(status: int, body: Any) -> str:
    out = io.StringIO()
    print_answer(Console(file=out, width=100), ServiceAnswer(status, body, 1.0))
    return out.getvalue()


def test_a_card_is_printed_with_everything_a_clinician_reads() -> None:
    text = printed(200, {"cards": [CARD]})

    for words in (
        "WARNING",
        "Resting heart rate 108 /min despite metoprolol",
        "What is known",
        "Alert 6 hours ago",
        "[brackets] stay",
        "[ Order an ECG ]",
        "Guideline: https://example.org/g",
        "Override: Already evaluated",
        "Source: Example rules https://example.org/r",
    ):
        assert words in text


def test_a_card_needs_no_more_than_the_standard_requires() -> None:
    card = {"summary": "Short", "indicator": "info", "source": {"label": "Rules"}}

    text = printed(200, {"cards": [card]})

    assert "INFO" in text and "Short" in text and "Source: Rules" in text
    assert "Override" not in text


def test_no_card_is_said_in_words() -> None:
    assert "No card: nothing to say." in printed(200, {"cards": []})


def test_cards_that_were_held_back_are_counted() -> None:
    told = {"count": 3, "reasons": {"repeated": 2, "snoozed": 1}}
    body = {"cards": [], "extension": {"org.cds-service.held-back": told}}

    assert "Held back: 3 (2 repeated, 1 snoozed)." in printed(200, body)


@pytest.mark.parametrize(
    "told",
    [None, [], 3, {"count": "3"}, {"count": 0}, {"reasons": {"repeated": 1}}],
)
def test_a_count_that_is_none_is_not_printed(told: Any) -> None:
    body = {"cards": [], "extension": {"org.cds-service.held-back": told}}

    assert "Held back" not in printed(200, body)


def test_a_refusal_says_why() -> None:
    issue = {"code": "incomplete", "details": {"text": "Missing."}, "diagnostics": "k"}

    text = printed(412, {"resourceType": "OperationOutcome", "issue": [issue]})

    assert "status 412" in text
    assert "Missing. k" in text


def test_no_escape_codes_reach_a_file() -> None:
    assert "\x1b" not in printed(200, {"cards": [CARD]})
