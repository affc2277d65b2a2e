"""What entries that are no match say about those that are."""

from pathlib import Path

import pytest

from cds_service.fhir.entries import (
    ISSUE_TYPES,
    Place,
    Told,
    judge_issue,
    judge_outcome,
    place_of,
)

PAGE = Path(__file__).parents[2] / "docs" / "ehr.md"

ROUTINE = {
    *("processing", "not-supported", "duplicate", "not-found", "deleted"),
    *("limited-filter", "informational", "success"),
}
LACKING = {
    *("invalid", "structure", "required", "value", "invariant"),
    *("security", "login", "unknown", "expired", "forbidden", "suppressed"),
    *("multiple-matches", "too-long", "code-invalid", "extension", "too-costly"),
    *("business-rule", "conflict"),
    *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete"),
    "throttled",
}


def test_the_table_has_every_issue_type_of_r4_r4b_and_r5():
    assert len(ROUTINE) + len(LACKING) == 33
    assert set(ISSUE_TYPES) == ROUTINE | LACKING


@pytest.mark.parametrize("severity", ["warning", "information", "success"])
def test_what_a_warning_means_depends_on_its_type_and_not_on_its_severity(severity):
    told = {each: judge_issue({"severity": severity, "code": each}) for each in TYPES}

    assert {each for each in TYPES if told[each] is Told.ROUTINE} == ROUTINE
    assert {each for each in TYPES if told[each] is Told.LACKING} == LACKING


@pytest.mark.parametrize("code", ["processing", "informational", "success"])
@pytest.mark.parametrize(
    "words",
    [
        {"details": {"text": "Some results have been withheld."}},
        {"details": {"coding": [{"display": "Sensitive data not shown"}]}},
        {"diagnostics": "Client NOT authorized for Condition - Problems."},
        {"diagnostics": "Results of this sub-type will not be returned"},
        {"diagnostics": "Restricted: break-the-glass is required"},
        {"diagnostics": "The list was truncated."},
    ],
    ids=str,
)
def test_a_remark_whose_words_say_that_something_was_left_out_is_no_routine(
    code, words
):
    issue = {"severity": "information", "code": code} | words

    assert judge_issue(issue) is Told.LACKING


@pytest.mark.parametrize(
    "words",
    [
        {"diagnostics": "Resource request returns no results."},
        {
            "details": {
                "text": "This response includes information available to the "
                "authorized user at the time of the request. It may not contain the "
                "entire record available in the system."
            }
        },
        {"details": "withheld"},
        {"diagnostics": ["withheld"]},
    ],
    ids=str,
)
def test_a_remark_that_servers_make_on_every_answer_is_routine(words):
    issue = {"severity": "warning", "code": "processing"} | words

    assert judge_issue(issue) is Told.ROUTINE


def test_a_parameter_that_is_not_supported_leaves_no_row_out():
    text = "_sort is not supported, so results are not returned in order"
    issue = {"severity": "warning", "code": "not-supported", "diagnostics": text}

    assert judge_issue(issue) is Told.ROUTINE


@pytest.mark.parametrize("severity", ["error", "fatal", "Error", None, 7, ["warning"]])
def test_an_error_is_a_failure_whatever_its_type(severity):
    told = {judge_issue({"severity": severity, "code": each}) for each in TYPES}

    assert told == {Told.FAILED}


def test_each_type_has_its_reason():
    reasons = [reason for _, reason in ISSUE_TYPES.values()]

    assert all(len(each) > 10 for each in reasons)
    assert all(told is not Told.FAILED for told, _ in ISSUE_TYPES.values())


def test_the_worst_issue_counts_and_those_like_it_are_named():
    codes = ["processing", "suppressed", "incomplete", "suppressed", "x"]
    issues = [{"severity": "warning", "code": each} for each in codes]

    assert judge_outcome({"issue": issues}) == (
        Told.LACKING,
        ("suppressed", "incomplete"),
    )
    issues.append({"severity": "error", "code": "exception"})
    assert judge_outcome({"issue": issues}) == (Told.FAILED, ("exception",))
    assert judge_outcome({"issue": issues[:1]}) == (Told.ROUTINE, ())


@pytest.mark.parametrize("issues", [None, "odd", {"severity": "warning"}, [7], [None]])
def test_an_outcome_that_cannot_be_read_is_a_failure(issues):
    assert judge_outcome({"issue": issues}) == (Told.FAILED, ())


@pytest.mark.parametrize("odd", [[], {}, ["collection"], 7, None])
def test_an_entry_of_an_odd_type_or_in_an_odd_bundle_answers_another_question(odd):
    for kind, bundle in ((odd, "searchset"), ("Condition", odd)):
        entry = {"resource": {"resourceType": kind}}
        assert place_of(entry, {"type": bundle}) is Place.STRAY


def test_the_documentation_names_every_type_that_raises_no_doubt():
    text = PAGE.read_text("utf-8")
    line = text.partition("raise no doubt:")[2].partition(".")[0]

    for each in TYPES:
        assert (f"`{each}`" in line) == (each in ROUTINE), each


TYPES = sorted(ROUTINE | LACKING)
