"""What a server says is shown on one line, without secrets."""

import pytest

from cds_service.fhir.foreign_text import outcome_text, shown


def outcome(*issues):
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def test_a_text_is_one_line_that_no_terminal_obeys():
    assert shown("no\r\n  \x1b[31mway\x00") == "no [31mway"


def test_what_could_be_a_token_is_left_out():
    assert shown("bad eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJhIn0.c2ln token") == "bad … token"


def test_a_long_text_is_cut():
    assert len(shown("no way " * 1000)) == 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (outcome({"details": {"text": "a"}, "diagnostics": "b", "code": "c"}), "a"),
        (outcome({"diagnostics": "b", "code": "c"}), "b"),
        (outcome({"details": "odd", "code": "c"}), "c"),
        (outcome("odd", {}, {"code": "c"}), "c"),
        (outcome({"code": 7}), ""),
        ({"resourceType": "OperationOutcome", "issue": "odd"}, ""),
        ({"resourceType": "Bundle"}, ""),
        (None, ""),
    ],
)
def test_an_outcome_is_told_in_its_first_words(value, text):
    assert outcome_text(value) == text
