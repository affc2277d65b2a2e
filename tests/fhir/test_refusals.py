"""What a refusal says about how a server wants to be asked."""

import pytest

from cds_service.fhir.refusals import (
    QueryComplaint,
    Statement,
    read_refusal,
    read_statement,
)

SENT = {"patient": 1, "code": 3, "_sort": 1, "_count": 1}


def issue(code="invalid", text="", **members):
    return {"severity": "error", "code": code, "details": {"text": text}, **members}


def told(*issues, kind="Observation", sent=SENT):
    outcome = {"resourceType": "OperationOutcome", "issue": list(issues)}
    found = read_refusal(outcome, kind, sent)
    return sorted(found.refused), sorted(found.demanded), sorted(found.alone)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("_sort is not supported", ["_sort"]),
        ("Unknown parameter: _sort, _count", ["_count", "_sort"]),
        ("Sorting by date is not possible", ["_sort"]),
        ("The page size is too large", ["_count"]),
        ("_include is not supported", []),
        ("sorted is a word", ["_sort"]),
        ("consorting", []),
    ],
)
def test_a_parameter_that_was_sent_and_is_named_is_refused(text, refused):
    assert told(issue(text=text))[0] == refused


def test_what_a_server_lists_as_known_is_neither_refused_nor_demanded():
    text = 'Unknown parameter "_sort". Valid search parameters: [code, status, _count]'

    assert told(issue(text=text)) == (["_sort"], [], [])


def test_a_parameter_with_several_values_is_asked_for_one_by_one():
    assert told(issue(text="code: invalid value"))[2] == ["code"]
    assert told(issue(text="Only one value is allowed"))[2] == ["code"]
    assert told(issue(text="code: invalid"), sent={"code": 1}) == (["code"], [], [])


@pytest.mark.parametrize(
    "found",
    [
        issue("required", "status"),
        issue(text="You must send a status"),
        issue("required", location=["http.status"]),
        issue("required", expression=["Observation.status"]),
        issue(details={"coding": [{"display": "status is missing"}]}),
        issue(details=None, diagnostics="At least status is needed"),
        issue(severity="fatal", text="status required"),
    ],
)
def test_what_is_demanded_is_read_wherever_it_is_said(found):
    assert told(found)[1] == ["status"]


def test_what_was_sent_or_is_not_known_is_not_demanded():
    assert told(issue("required", "code, patient, magic")) == ([], [], ["code"])


@pytest.mark.parametrize("severity", ["warning", "information"])
def test_a_warning_demands_something_only_where_no_error_stands_beside_it(severity):
    warning = issue("required", "status", severity=severity)

    assert told(warning)[1] == ["status"]
    assert told(warning, issue("exception")) == ([], [], [])


@pytest.mark.parametrize(
    "outcome",
    [
        *(None, 7, "x", [], {}, {"resourceType": "OperationOutcome"}),
        {"resourceType": "OperationOutcome", "issue": {"code": "required"}},
        {"resourceType": "OperationOutcome", "issue": [None, 7, {"details": 7}]},
        {
            "resourceType": "OperationOutcome",
            "issue": [{"location": 7, "expression": [None], "diagnostics": {}}],
        },
        {"resourceType": "OperationOutcome", "issue": [issue(details={"coding": 7})]},
    ],
)
def test_an_outcome_of_another_shape_tells_nothing(outcome):
    assert read_refusal(outcome, "Observation", SENT) == QueryComplaint()


@pytest.mark.parametrize(
    "statement",
    [
        *(None, 7, [], {}, {"rest": 7}, {"rest": [7]}, {"rest": [{"resource": 7}]}),
        {"rest": [{"mode": "client", "resource": [{"type": "Condition"}]}]},
        {"rest": [{"resource": [{"type": "Practitioner"}, {"type": ["Condition"]}]}]},
    ],
)
def test_a_statement_of_another_shape_lists_nothing(statement):
    assert read_statement(statement) == Statement()


def test_a_statement_lists_parameters_by_type():
    parameters = [{"name": "patient"}, {"name": "code"}, 7]
    resource = {"type": "Condition", "searchParam": parameters, "extension": [7]}

    found = read_statement({"rest": [{"mode": "server", "resource": [resource]}]})

    assert found.searched["Condition"] >= {"patient", "code"}
    assert found.combinations == {"Condition": ()}
