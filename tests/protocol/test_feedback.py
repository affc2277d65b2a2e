"""Feedback: what a client may say about a card."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.protocol.cards import Coding
from cds_service.protocol.errors import InvalidRequest
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome, parse_feedback
from cds_service.protocol.schemas import problems

Json = dict[str, Any]

CARD = "f6b95768-b1c8-40dc-8385-bf3504b82ffb"
SUGGESTION = "e56e1945-20b3-4393-8503-a1a20fd73152"
AT = datetime(2025, 12, 11, 10, 5, 31, tzinfo=UTC)
ACCEPTED: Json = {
    "card": CARD,
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": SUGGESTION}],
    "outcomeTimestamp": "2025-12-11T10:05:31Z",
}
OVERRIDDEN: Json = {
    "card": CARD,
    "outcome": "overridden",
    "overrideReason": {
        "reason": {
            "code": "patient-refuses",
            "system": "http://example.org/reasons",
            "display": "Patient refuses",
        },
        "userComment": "Not now.",
    },
    "outcomeTimestamp": "2025-12-11T10:05:31Z",
}


def read(entry: Json) -> FeedbackEntry:
    (only,) = parse_feedback({"feedback": [entry]})
    return only


def wrong(body: Any) -> list[str]:
    """Where *body* is wrong."""
    with pytest.raises(InvalidRequest) as refused:
        parse_feedback(body)
    return [problem.expression for problem in refused.value.problems]


def wrong_entry(entry: Any) -> list[str]:
    """Where an entry is wrong that stands after a good one."""
    places = wrong({"feedback": [ACCEPTED, entry]})
    assert all(place.startswith("$.feedback[1]") for place in places)
    return [place.removeprefix("$.feedback[1]") for place in places]


def test_f_1_entries_are_read_in_their_order() -> None:
    assert parse_feedback({"feedback": [ACCEPTED, OVERRIDDEN]}) == (
        FeedbackEntry(CARD, FeedbackOutcome.ACCEPTED, AT, accepted=(SUGGESTION,)),
        FeedbackEntry(
            CARD,
            FeedbackOutcome.OVERRIDDEN,
            AT,
            reason=Coding(
                "http://example.org/reasons", "patient-refuses", "Patient refuses"
            ),
            comment="Not now.",
        ),
    )


@pytest.mark.parametrize(
    ("body", "where"),
    [(None, "$"), ([], "$"), ("x", "$"), ({}, "$.feedback")]
    + [({"feedback": None}, "$.feedback"), ({"feedback": {}}, "$.feedback")],
)
def test_f_2_the_body_is_an_object_with_an_array(body: Any, where: str) -> None:
    assert wrong(body) == [where]


def test_f_2_an_empty_array_is_fine() -> None:
    assert parse_feedback({"feedback": []}) == ()


@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp"])
@pytest.mark.parametrize("value", ["left out", None, "", 7, []])
def test_f_3_a_required_member_is_named_with_the_index(field: str, value: Any) -> None:
    entry = {**ACCEPTED, field: value}
    if value == "left out":
        del entry[field]

    assert wrong_entry(entry) == [f".{field}"]


@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp"])
@pytest.mark.parametrize(("value", "missing"), [(None, True), ("", True), (7, False)])
def test_f_3_what_is_missing_is_told_from_what_is_wrong(
    field: str, value: Any, missing: bool
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_feedback({"feedback": [{**ACCEPTED, field: value}]})

    (problem,) = refused.value.problems
    assert (problem.text == f"$.feedback[0].{field}: required") is missing


@pytest.mark.parametrize("entry", [None, "x", 7, []])
def test_f_3_an_entry_is_an_object(entry: Any) -> None:
    assert wrong_entry(entry) == [""]


@pytest.mark.parametrize("outcome", ["Accepted", "ignored", "ACCEPTED", {}])
def test_cds_fb_1_an_outcome_is_accepted_or_overridden(outcome: Any) -> None:
    assert wrong_entry({**ACCEPTED, "outcome": outcome}) == [".outcome"]


@pytest.mark.parametrize("suggestions", [None, [], {}, "x"])
def test_cds_fb_2_an_accepted_card_names_its_suggestions(suggestions: Any) -> None:
    entry = {**ACCEPTED, "acceptedSuggestions": suggestions}

    assert wrong_entry(entry) == [".acceptedSuggestions"]


@pytest.mark.parametrize("suggestion", [{}, {"id": ""}, {"id": 7}, SUGGESTION, None])
def test_cds_fb_2_every_accepted_suggestion_has_an_id(suggestion: Any) -> None:
    entry = {**ACCEPTED, "acceptedSuggestions": [{"id": SUGGESTION}, suggestion]}

    assert wrong_entry(entry) == [".acceptedSuggestions[1]"]


@pytest.mark.parametrize("reason", [{"x": 1}, {"userComment": "\x00"}, {"reason": {}}])
def test_cds_fb_3_an_override_reason_holds_a_reason_or_a_comment(reason: Json) -> None:
    assert wrong_entry({**OVERRIDDEN, "overrideReason": reason}) == [".overrideReason"]


@pytest.mark.parametrize(
    ("reason", "where"),
    [
        ("x", ""),
        ([], ""),
        ({"reason": "x"}, ".reason"),
        ({"reason": {"code": "a"}}, ".reason.system"),
        ({"reason": {"system": "http://s", "code": ""}}, ".reason.code"),
        ({"reason": {"system": "http://s", "code": 7}}, ".reason.code"),
        ({"reason": {"system": "s", "code": "\x00"}}, ".reason.code"),
        (
            {"reason": {"system": "s", "code": "a", "display": "x" * 1001}},
            ".reason.display",
        ),
        ({"code": "a"}, ".system"),
        ({"userComment": 7}, ".userComment"),
    ],
)
def test_f_3_what_is_wrong_in_an_override_reason_is_named(
    reason: Any, where: str
) -> None:
    places = wrong_entry({**OVERRIDDEN, "overrideReason": reason})

    assert places[0] == f".overrideReason{where}"


@pytest.mark.parametrize("reason", [None, {}])
def test_f_8_an_override_needs_no_reason(reason: Any) -> None:
    entry = read({**OVERRIDDEN, "overrideReason": reason})

    assert (entry.reason, entry.comment) == (None, "")


def test_f_8_what_belongs_to_the_other_outcome_is_not_read() -> None:
    both = {**ACCEPTED, "overrideReason": OVERRIDDEN["overrideReason"]}

    assert read(both) == read(ACCEPTED)
    assert read({**both, "outcome": "overridden"}) == read(OVERRIDDEN)


def test_f_9_a_reason_of_the_clients_own_is_taken() -> None:
    reason = {"reason": {"code": "zzz", "system": "urn:x", "display": None}}

    assert read({**OVERRIDDEN, "overrideReason": reason}).reason == Coding(
        "urn:x", "zzz", ""
    )


def test_f_10_a_card_may_be_named_by_anything() -> None:
    assert read({**ACCEPTED, "card": "card 7"}).card == "card 7"


def test_f_10_uuids_are_read_in_the_letters_that_they_were_sent_in() -> None:
    entry = read(
        {
            **ACCEPTED,
            "card": "urn:uuid:" + CARD.upper(),
            "acceptedSuggestions": [{"id": SUGGESTION.upper()}],
        }
    )

    assert (entry.card, entry.accepted) == (CARD, (SUGGESTION,))


def test_f_10_a_card_is_named_by_one_line_of_text() -> None:
    assert wrong_entry({**ACCEPTED, "card": "card\n7"}) == [".card"]


def test_f_10_a_suggestion_may_be_named_by_anything() -> None:
    entry = read({**ACCEPTED, "acceptedSuggestions": [{"id": "second"}]})

    assert entry.accepted == ("second",)


def test_f_11_a_comment_has_a_longest_length() -> None:
    longest = {**OVERRIDDEN, "overrideReason": {"userComment": "x" * 4000}}
    longer = {**OVERRIDDEN, "overrideReason": {"userComment": "x" * 4001}}

    assert read(longest).comment == "x" * 4000
    assert wrong_entry(longer) == [".overrideReason.userComment"]


def test_f_11_a_comment_loses_only_what_no_database_keeps() -> None:
    comment = " Später,\n\x00👩\u200d⚕️\ud800\t…\x1b[1m "

    entry = read({**OVERRIDDEN, "overrideReason": {"userComment": comment}})

    assert entry.comment == "Später,\n👩\u200d⚕️\t…[1m"


@pytest.mark.parametrize(
    "text", ["2025-12-11T10:05:31.000Z", "2025-12-11T11:05:31+01:00"]
)
def test_f_12_a_timestamp_is_read_to_utc(text: str) -> None:
    assert read({**ACCEPTED, "outcomeTimestamp": text}).at == AT


@pytest.mark.parametrize("text", ["2025-12-11T10:05:31", "2025-12-11", "now"])
def test_f_12_a_timestamp_without_its_zone_is_refused(text: str) -> None:
    assert wrong_entry({**ACCEPTED, "outcomeTimestamp": text}) == [".outcomeTimestamp"]


def test_f_15_a_reason_without_a_member_around_it_is_taken() -> None:
    older = {"code": "patient-refuses", "system": "http://example.org/reasons"}

    entry = read({**OVERRIDDEN, "overrideReason": {**older, "userComment": "No."}})

    assert entry.reason == Coding("http://example.org/reasons", "patient-refuses", "")
    assert entry.comment == "No."


def test_f_15_the_reason_by_the_letter_wins_over_the_older_form() -> None:
    reason = {**OVERRIDDEN["overrideReason"], "code": "older", "system": "urn:x"}

    assert read({**OVERRIDDEN, "overrideReason": reason}) == read(OVERRIDDEN)


def test_f_9_a_display_has_a_longest_length() -> None:
    reason = {"reason": {"code": "c", "system": "urn:x", "display": "x" * 1000}}

    entry = read({**OVERRIDDEN, "overrideReason": reason})

    assert entry.reason == Coding("urn:x", "c", "x" * 1000)


def test_x_4_unknown_members_are_ignored() -> None:
    entry = {**ACCEPTED, "extension": {"com.x": [None]}, "zzz": None}

    assert parse_feedback({"feedback": [entry], "extension": 7}) == (read(ACCEPTED),)


def test_a_problem_never_repeats_the_value() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_feedback({"feedback": [{**ACCEPTED, "card": ["Jane Doe"]}]})

    assert "Jane" not in str(refused.value.as_json())


def test_a_flood_of_wrong_entries_is_not_all_named() -> None:
    assert len(wrong({"feedback": [None] * 10_000})) <= 20


def test_what_the_schema_of_feedback_takes_is_read() -> None:
    assert problems("feedback", {"feedback": [ACCEPTED, OVERRIDDEN]}) == []
    assert problems("feedback", {"feedback": []}) == []


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "card": ANY_JSON | st.just(CARD),
            "outcome": st.sampled_from(["accepted", "overridden"]) | ANY_JSON,
            "outcomeTimestamp": st.text() | st.just("2025-12-11T10:05:31Z"),
        },
        optional={
            "acceptedSuggestions": st.lists(
                st.fixed_dictionaries({"id": ANY_JSON}) | ANY_JSON, max_size=3
            ),
            "overrideReason": st.dictionaries(
                st.sampled_from(["reason", "userComment", "code", "system"]), ANY_JSON
            )
            | ANY_JSON,
        },
    )
)
def test_any_entry_is_read_or_refused_with_a_place(entry: Json) -> None:
    try:
        parse_feedback({"feedback": [entry]})
    except InvalidRequest as refused:
        assert all(each.expression.startswith("$") for each in refused.problems)
