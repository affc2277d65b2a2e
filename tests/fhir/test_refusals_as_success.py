"""Servers that refuse a search and answer 200: with an outcome, bare or in a Bundle."""

import pytest

from cds_service.fhir.chart import SourceState

from .particular import CONDITIONS, ORDERS, PULSES, asked, ids, loaded, outcome, row

SORTS = outcome("not-supported", "_sort is not supported")
SILENT = outcome("not-supported")


def bare(said):
    return said


def beside_nothing(said):
    entry = {"resource": said, "search": {"mode": "outcome"}}
    return {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": [entry]}


def in_issues(said):
    return {"resourceType": "Bundle", "type": "searchset", "issues": said}


def warned(said):
    issues = [{**each, "severity": "warning"} for each in said["issue"]]
    return said | {"issue": issues}


WAYS = [bare, beside_nothing, in_issues]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("said", [SORTS, SILENT, outcome("invalid", "Bad _sort")])
def test_readings_are_read_where_sorting_is_refused_with_200(
    fhir, serve_rows, read, way, said
):
    serve_rows(
        "Observation",
        lambda query: (200, way(said)) if "_sort" in query else None,
        row("Observation", "o1", code="8867-4"),
    )

    source = read(PULSES)

    assert loaded(source)
    assert ids(source) == ["o1"]
    assert asked(fhir, "_sort", "Observation")[-1] is None

    fhir.asked.clear()
    read(PULSES)
    assert asked(fhir, "_sort") == [None]


@pytest.mark.parametrize("way", WAYS)
def test_orders_are_read_where_a_lacking_intent_is_told_with_200(serve_rows, read, way):
    said = outcome("required", "intent is required")
    serve_rows(
        "MedicationRequest",
        lambda query: None if "intent" in query else (200, way(said)),
        row("MedicationRequest", "m1", intent="order"),
    )

    assert ids(source := read(ORDERS)) == ["m1"]
    assert loaded(source)


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_is_refused_alone_with_200_is_left_out(serve_rows, read, way):
    def refusal(query):
        if "intent" not in query or "," in query["intent"]:
            return 400, outcome("required", "Exactly one single intent is required")
        unknown = query["intent"] in ("option", "proposal")
        return (200, way(outcome("invalid", "Unknown code"))) if unknown else None

    serve_rows(
        "MedicationRequest", refusal, row("MedicationRequest", "m1", intent="order")
    )

    assert loaded(source := read(ORDERS)), source.why
    assert ids(source) == ["m1"]


def test_a_warning_in_place_of_an_answer_is_a_refusal_as_well(serve_rows, read):
    serve_rows(
        "Observation",
        lambda query: (200, warned(SORTS)) if "_sort" in query else None,
        row("Observation", "o1", code="8867-4"),
    )

    assert ids(source := read(PULSES)) == ["o1"]
    assert loaded(source)


def test_nothing_beside_a_warning_about_a_parameter_is_asked_for_without_it(
    fhir, serve_rows, read
):
    serve_rows(
        "Observation",
        lambda query: (
            (200, beside_nothing(warned(SORTS))) if "_sort" in query else None
        ),
        row("Observation", "o1", code="8867-4"),
    )

    assert ids(source := read(PULSES)) == ["o1"]
    assert loaded(source)
    assert asked(fhir, "_sort") == ["-date", None]


def test_where_it_stays_nothing_in_every_form_the_first_answer_counts(
    fhir, serve_rows, read
):
    said = warned(outcome("not-supported", "_count and _sort are not supported"))
    serve_rows("Observation", lambda query: (200, beside_nothing(said)))

    source = read(PULSES)

    assert source.state is SourceState.PARTIAL
    assert source.why == "nothing came, and something is not supported"
    assert len(fhir.asked) == 2


@pytest.mark.parametrize("code", ["forbidden", "exception", "login"])
@pytest.mark.parametrize("way", WAYS)
def test_what_has_nothing_to_do_with_the_form_is_asked_once(
    fhir, serve_rows, read, way, code
):
    serve_rows("Condition", lambda query: (200, way(outcome(code, "No"))))

    source = read(CONDITIONS)

    assert (source.state, source.why) == (SourceState.MISSING, "OperationOutcome")
    assert len(fhir.asked) == 1


def test_nothing_beside_a_word_that_something_is_not_supported_is_not_none(
    serve_rows, read
):
    said = warned(outcome("not-supported", "Search of problems"))
    serve_rows("Condition", lambda query: (200, beside_nothing(said)))

    source = read(CONDITIONS)

    assert source.state is SourceState.PARTIAL
    assert source.why == "nothing came, and something is not supported"


def test_rows_beside_a_word_that_a_parameter_was_ignored_are_all(read, fhir, bundle):
    said = warned(SORTS)
    fhir.routes["Condition"] = bundle(row("Condition", "c1"), said)

    assert loaded(read(CONDITIONS))
