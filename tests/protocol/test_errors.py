"""Errors: each is its HTTP answer, and the drawing of them is right."""

import re

import pytest

from cds_service.protocol import errors
from cds_service.protocol.errors import (
    CdsError,
    InvalidRequest,
    Problem,
    Throttled,
    Unauthenticated,
    UnmetPrecondition,
)
from cds_service.protocol.schemas import problems


def tree(error: type[CdsError]) -> list[type[CdsError]]:
    """The class and everything below it, in the order of definition."""
    return [error, *(each for kind in error.__subclasses__() for each in tree(kind))]


EVERY_ERROR = tree(CdsError)


def test_the_drawing_of_the_errors_is_what_the_classes_are() -> None:
    drawing = re.findall(
        r"^    ([│ ├└─]*)(\w+) +(\d{3})  ", errors.__doc__ or "", re.MULTILINE
    )
    drawn = [(len(lines) // 4, name, int(status)) for lines, name, status in drawing]

    assert drawn == [
        (len(each.__mro__) - len(CdsError.__mro__), each.__name__, each.status)
        for each in EVERY_ERROR
    ]


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_e_2_every_error_is_an_operation_outcome(error: type[CdsError]) -> None:
    if error is Throttled:  # it says but one thing, and when to come back
        told = [Throttled(30)]
    else:
        told = [error("Something is wrong."), error()]

    for each in told:
        assert problems("operation-outcome", each.as_json()) == []


def test_e_3_every_problem_is_an_issue() -> None:
    error = InvalidRequest(
        Problem("$.hook: required", "$.hook"),
        Problem("Too much.", diagnostics="conditions"),
        "In plain words.",
    )

    assert error.as_json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "details": {"text": "$.hook: required"},
                "expression": ["$.hook"],
            },
            {
                "severity": "error",
                "code": "invalid",
                "details": {"text": "Too much."},
                "diagnostics": "conditions",
            },
            {
                "severity": "error",
                "code": "invalid",
                "details": {"text": "In plain words."},
            },
        ],
    }


def test_e_3_an_issue_has_no_empty_member() -> None:
    assert UnmetPrecondition(Problem("", diagnostics="conditions")).as_json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "error", "code": "incomplete", "diagnostics": "conditions"}
        ],
    }


def test_e_1_required_data_that_cannot_be_had_is_412() -> None:
    assert UnmetPrecondition.status == 412


def test_e_6_an_unauthenticated_caller_never_learns_the_reason() -> None:
    expired, unknown = Unauthenticated("expired"), Unauthenticated("unknown issuer")

    assert expired.as_json() == unknown.as_json() == Unauthenticated().as_json()
    assert str(expired) == str(unknown)
    assert expired.reason == "expired"


def test_the_words_of_an_error_are_those_of_its_problems() -> None:
    assert str(InvalidRequest("One.", Problem("Two."))) == "One.; Two."
