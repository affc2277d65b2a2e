"""Servers that demand a parameter or refuse one: the chart is read in the form that
each takes, and what such a form may miss is said.
"""

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.gather import gather

from ..waiting import PATIENCE, with_time_enough
from .particular import (
    CONDITIONS,
    INTENTS,
    KEYS,
    LOINC,
    LONG,
    ORDERS,
    PULSES,
    SILENT,
    STATEMENTS,
    asked,
    ids,
    loaded,
    outcome,
    query_of,
    row,
)

# Demanded.


@pytest.mark.parametrize(
    "refusal",
    [
        outcome("required", "intent is required"),
        outcome("required", "Missing parameter", expression=["intent"]),
        outcome("required", "A search parameter is missing", location=["http.intent"]),
        outcome("invalid", "", diagnostics="You must provide patient and intent."),
        outcome("business-rule", "At least one of: intent, category"),
        *SILENT,
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 422])
def test_orders_are_read_where_the_server_demands_an_intent(
    fhir, serve_rows, read, status, refusal
):
    serve_rows(
        "MedicationRequest",
        lambda query: None if "intent" in query else (status, refusal),
        row("MedicationRequest", "ordered", intent="order"),
        row("MedicationRequest", "reported", intent="plan"),
        row("MedicationRequest", "filled", intent="filler-order"),
    )

    source = read(ORDERS)

    assert loaded(source)
    assert ids(source) == ["filled", "ordered", "reported"]
    assert set(asked(fhir, "intent", "MedicationRequest")[-1].split(",")) == INTENTS
    assert all(each == ["p1"] for each in asked_patients(fhir))


def asked_patients(fhir):
    searched = [each for each in fhir.asked if each.path in KEYS]
    return [each.query["patient"] for each in searched]


def test_a_server_that_knows_orders_and_plans_only_gives_a_whole_medication_list(
    fhir, serve_rows, read
):
    """athenahealth demands an intent and refuses a value that it does not know."""

    def refusal(query):
        if "intent" not in query:
            return 400, outcome("required", "intent is required")
        if not set(query["intent"].split(",")) <= {"order", "plan"}:
            return 400, outcome("value", "intent: must be order or plan")
        return None

    rows = [row("MedicationRequest", each, intent=each) for each in ("order", "plan")]
    serve_rows("MedicationRequest", refusal, *rows)

    assert loaded(source := read(ORDERS)), source.why
    assert ids(source) == ["order", "plan"]

    fhir.asked.clear()
    assert loaded(again := read(ORDERS))
    assert ids(again) == ["order", "plan"]
    assert sorted(asked(fhir, "intent")) == ["order", "plan"]


def test_a_server_that_gives_orders_but_no_plans_leaves_the_list_in_part(
    serve_rows, read
):
    """What patients report is a plan: without it nobody can say what is not taken."""

    def refusal(query):
        intents = set(query.get("intent", "").split(","))
        return None if intents == {"order"} else (400, outcome("required", "intent"))

    serve_rows("MedicationRequest", refusal, row("MedicationRequest", "m1"))

    source = read(ORDERS)

    assert (source.state, source.why) == (SourceState.PARTIAL, "narrowed by intent")
    assert ids(source) == ["m1"]


def test_one_intent_that_fails_for_another_reason_leaves_the_list_in_part(
    serve_rows, read
):
    def refusal(query):
        if "," in query.get("intent", ","):
            return 400, outcome("required", "exactly one intent")
        return (500, b"") if query["intent"] == "filler-order" else None

    rows = [row("MedicationRequest", each, intent=each) for each in ("order", "plan")]
    serve_rows("MedicationRequest", refusal, *rows)

    source = read(ORDERS)

    assert (source.state, source.why) == (SourceState.PARTIAL, "HTTP 500")
    assert ids(source) == ["order", "plan"]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (ORDERS, "status"),
        (STATEMENTS, "status"),
        (PULSES, "status"),
        ("Consent?patient={{context.patientId}}", "status"),
    ],
    ids=["orders", "statements", "observations", "consents"],
)
def test_a_status_that_is_demanded_hides_no_row(serve_rows, read, template, name):
    kind = template.partition("?")[0]
    demand = outcome("required", f"{name} is required")
    serve_rows(
        kind, lambda query: None if name in query else (400, demand), row(kind, "1")
    )

    assert loaded(source := read(template)), source.why
    assert ids(source) == ["1"]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (CONDITIONS, "category"),
        (CONDITIONS, "clinical-status"),
        (PULSES, "category"),
        (ORDERS, "category"),
    ],
)
def test_a_demand_that_rows_need_not_meet_leaves_the_source_in_part(
    serve_rows, read, template, name
):
    """A Condition may have no category, or a local one: what came is not all."""
    kind = template.partition("?")[0]
    demand = outcome("required", f"{name} is required")
    serve_rows(
        kind, lambda query: None if name in query else (400, demand), row(kind, "1")
    )

    source = read(template)

    assert (source.state, source.why) == (SourceState.PARTIAL, f"narrowed by {name}")
    assert ids(source) == ["1"]


def test_of_several_demands_one_of_which_is_enough_the_one_that_hides_nothing_is_met(
    serve_rows, read
):
    demand = outcome("required", "One of intent, status or category is required")

    def refusal(query):
        met = {"intent", "status", "category"} & set(query)
        return None if met and "category" not in met else (400, demand)

    serve_rows("MedicationRequest", refusal, row("MedicationRequest", "m1"))

    assert loaded(read(ORDERS))


# Refused.


@pytest.mark.parametrize(
    "refusal",
    [
        outcome("not-supported", "_sort is not supported"),
        outcome("not-supported", "Sorting is not supported"),
        outcome("invalid", "", diagnostics='Unknown search parameter "_sort".'),
        outcome(
            "processing",
            'Unknown parameter "_sort". Valid search parameters are: [code, status]',
        ),
        *SILENT,
    ],
    ids=str,
)
def test_readings_are_read_where_the_server_cannot_sort(
    fhir, serve_rows, read, refusal
):
    serve_rows(
        "Observation",
        lambda query: (400, refusal) if "_sort" in query else None,
        row("Observation", "o1", code="8867-4"),
        row("Observation", "o2", code="8480-6"),
    )

    source = read(PULSES)

    assert loaded(source)
    assert ids(source) == ["o1", "o2"]
    assert asked(fhir, "code", "Observation")[-1].count(",") == 2


@pytest.mark.parametrize("told", [True, False], ids=["named", "silent"])
@pytest.mark.parametrize(
    "names",
    [{"_sort"}, {"_count"}, {"_include"}, {"_sort", "_count"}, {"_count", "_include"}],
    ids=lambda names: "+".join(sorted(names)),
)
def test_no_parameter_for_convenience_costs_the_source(serve_rows, read, names, told):
    def refusal(query):
        found = sorted(names & set(query))
        said = outcome("not-supported", f"{found[0]} is not supported") if found else ""
        return (400, said if told else b"") if found else None

    serve_rows("MedicationRequest", refusal, row("MedicationRequest", "m1"))
    sorted_query = f"{ORDERS}&_include=MedicationRequest:medication&_sort=-authoredon"

    assert loaded(source := read(sorted_query)), source.why
    assert ids(source) == ["m1"]


def test_a_parameter_that_is_taken_is_not_given_up_with_one_that_is_refused(
    fhir, serve_rows, read
):
    said = outcome("not-supported", "_sort is not supported")
    serve_rows("Observation", lambda query: (400, said) if "_sort" in query else None)

    read(PULSES)

    assert asked(fhir, "_count") == ["200", "200"]


@pytest.mark.parametrize(
    "refusal",
    [
        outcome("not-supported", "Only one code is supported"),
        outcome("invalid", "code: multiple values are not allowed"),
        outcome("too-costly", "Too many values", expression=["Observation.code"]),
        *SILENT,
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 414])
def test_codes_that_cannot_be_asked_for_together_are_asked_for_one_by_one(
    fhir, serve_rows, read, status, refusal
):
    serve_rows(
        "Observation",
        lambda query: (status, refusal) if "," in query["code"] else None,
        row("Observation", "o1", code="8867-4"),
        row("Observation", "o2", code="8480-6"),
    )

    source = read(PULSES)

    assert loaded(source)
    assert ids(source) == ["o1", "o2"]

    fhir.asked.clear()
    assert ids(read(PULSES)) == ["o1", "o2"]
    codes = sorted(asked(fhir, "code"))
    assert codes == [f"{LOINC}40443-4", f"{LOINC}8480-6", f"{LOINC}8867-4"]


@pytest.mark.parametrize("failure", [(500, b""), (404, b""), (200, b"junk")], ids=str)
def test_of_searches_that_are_joined_the_worst_decides(serve_rows, read, failure):
    def refusal(query):
        if "," in query["code"]:
            return 400, outcome("not-supported", "one code only")
        return failure if "8480-6" in query["code"] else None

    serve_rows("Observation", refusal, row("Observation", "o1", code="8867-4"))

    source = read(PULSES)

    assert source.state is SourceState.PARTIAL
    assert ids(source) == ["o1"]


def test_a_joined_search_that_gives_less_than_its_total_is_in_part(
    fhir, serve_rows, read, bundle
):
    first = row("Observation", "o1")
    fhir.routes["Observation"] = lambda handler: (
        (400, outcome("not-supported", "one code only"))
        if "," in fhir.asked[-1].query["code"][0]
        else bundle(first, total=2 if "8480" in handler.path else 1)
    )

    source = read(PULSES)

    assert (source.state, source.why) == (
        SourceState.PARTIAL,
        "fewer entries than the total",
    )


@pytest.mark.parametrize("entries", [7, {}, [7, None, {"resource": 7}]], ids=str)
def test_odd_entries_of_joined_searches_do_no_harm(fhir, read, bundle, entries):
    fhir.routes["Observation"] = lambda handler: (
        (400, outcome("not-supported", "one code only"))
        if "," in fhir.asked[-1].query["code"][0]
        else bundle() | {"entry": entries}
    )

    assert read(PULSES).state is not SourceState.MISSING


def test_joined_searches_together_bring_no_more_than_one_may(
    fhir, bundle, hook_request, reader_for
):
    fhir.routes["Observation"] = lambda handler: (
        (400, outcome("not-supported", "one code only"))
        if "," in fhir.asked[-1].query["code"][0]
        else bundle(row("Observation", "o", note=[{"text": "x" * 5_000}]))
    )
    codes = ",".join(f"{LOINC}{number}-1" for number in range(40))
    query = query_of(f"Observation?patient=p1&code={codes}")
    request = hook_request(server=fhir)

    chart = gather([query], request, reader_for(request, bytes=20_000), LONG)

    assert chart.sources["observations"].why == "size limit"
    assert len(fhir.asked) < 20


def test_all_pages_of_joined_searches_are_read(fhir, read, bundle):
    def route(handler):
        code = fhir.asked[-1].query.get("code", [""])[0]
        if "," in code:
            return 400, outcome("not-supported", "one code only")
        if not code:
            return bundle(row("Observation", f"{handler.path[-3:]}-b"), total=2)
        more = f"?page=2&of={code[-3:]}"
        return bundle(row("Observation", f"{code[-3:]}-a"), following=more, total=2)

    fhir.routes["Observation"] = route

    source = read(PULSES)

    assert loaded(source), source.why
    assert len(source.resources) == 6


@pytest.mark.parametrize("listed", [True, False])
def test_a_server_that_cannot_search_by_code_gives_all_observations(
    fhir, serve_rows, read, listed
):
    """As told by the refusal, or by what its CapabilityStatement does not list."""
    said = outcome("not-supported", "The parameter code is not supported")
    resource = {"type": "Observation", "searchParam": [{"name": "patient"}]}
    fhir.routes["metadata"] = {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [resource]}],
    }
    serve_rows(
        "Observation",
        lambda query: (400, b"" if listed else said) if "code" in query else None,
        row("Observation", "o1"),
    )

    assert loaded(source := read(PULSES)), source.why
    assert ids(source) == ["o1"]


def test_what_the_capability_statement_says_goes_together_is_asked_together(
    fhir, serve_rows, read
):
    together = [
        {"url": "required", "valueString": "patient"},
        {"url": "required", "valueString": "status"},
    ]
    url = (
        "http://hl7.org/fhir/StructureDefinition/"
        "capabilitystatement-search-parameter-combination"
    )
    resource = {
        "type": "MedicationStatement",
        "extension": [{"url": url, "extension": together}],
        "searchParam": [{"name": "patient"}, {"name": "status"}],
    }
    fhir.routes["metadata"] = {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [resource]}],
    }
    serve_rows(
        "MedicationStatement",
        lambda query: None if "status" in query else (400, b""),
        row("MedicationStatement", "s1"),
    )

    assert loaded(read(STATEMENTS))


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_medications_that_cannot_be_searched_for_are_read_one_by_one(
    fhir, read, bundle, status, hook_request, reader_for
):
    named = [
        row(
            "MedicationRequest",
            f"m{n}",
            medicationReference={"reference": f"Medication/d{n}"},
        )
        for n in range(3)
    ]
    fhir.routes |= {"MedicationRequest": bundle(*named), "Medication": (status, b"")}
    for n in (0, 2):
        fhir.routes[f"Medication/d{n}"] = {"resourceType": "Medication", "id": f"d{n}"}
    request = hook_request(server=fhir)

    chart = gather([query_of(ORDERS)], request, reader_for(request), LONG)

    assert sorted(chart.medications) == ["Medication/d0", "Medication/d2"]


def test_an_outcome_with_status_200_that_names_a_parameter_is_a_refusal(
    serve_rows, read
):
    said = outcome("not-supported", "_sort is not supported")
    serve_rows(
        "Observation",
        lambda query: (200, said) if "_sort" in query else None,
        row("Observation", "o1", code="8867-4"),
    )

    assert ids(read(PULSES)) == ["o1"]


# Nothing helps.


@pytest.mark.parametrize("template", [ORDERS, STATEMENTS, CONDITIONS, PULSES])
@pytest.mark.parametrize(
    "refusal", [*SILENT, outcome("required", "Send a magic word")], ids=str
)
def test_a_source_that_no_form_makes_good_is_missing_as_before(
    fhir, serve_rows, read, template, refusal
):
    serve_rows(template.partition("?")[0], lambda query: (400, refusal))

    source = read(template)

    assert (source.state, source.why) == (SourceState.MISSING, "HTTP 400")
    queries = [each.query for each in fhir.asked if each.path != "metadata"]
    assert len(queries) <= 7
    assert all(queries.count(each) == 1 for each in queries)


def test_a_server_whose_demands_never_end_is_given_up(fhir, serve_rows, read):
    words = iter(["_sort", "_count", "code", "status", "category", "_include"] * 9)
    serve_rows(
        "Observation",
        lambda query: (
            400,
            outcome("required", f"{next(words)} required, unsupported"),
        ),
    )

    assert read(PULSES).why == "HTTP 400"
    assert len(fhir.asked) <= 8


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_of_the_token_or_of_haste_is_no_refusal_of_the_form(
    fhir, serve_rows, read, status
):
    said = outcome("not-supported", "_sort is not supported")
    serve_rows("Observation", lambda query: (status, said))

    assert read(PULSES).why == f"HTTP {status}"
    assert all("_sort" in each.query for each in fhir.asked)


def test_a_type_that_the_server_does_not_have_is_asked_for_twice_at_most(fhir, read):
    assert read(STATEMENTS).why == "HTTP 404"
    assert [each.path for each in fhir.asked] == ["MedicationStatement"] * 2


@pytest.mark.parametrize("answer", [(500, b""), b"junk", {"rest": 7}, [], {}])
def test_a_capability_statement_that_cannot_be_read_does_no_harm(
    fhir, serve_rows, read, answer
):
    fhir.routes["metadata"] = answer
    serve_rows("Condition", lambda query: (400, b""))

    assert read(CONDITIONS).why == "HTTP 400"
    read(CONDITIONS)

    assert fhir.paths.count("metadata") == 1


def test_no_search_that_can_be_made_good_waits_for_a_slow_capability_statement(
    fhir, serve_rows, read
):
    fhir.routes["metadata"] = lambda handler: handler.hang()
    serve_rows(
        "MedicationRequest",
        lambda query: None if "intent" in query else (400, b""),
        row("MedicationRequest", "m1"),
    )
    serve_rows("Condition", lambda query: (400, b""))

    assert ids(read(ORDERS)) == ["m1"]
    assert "metadata" not in fhir.paths
    assert read(CONDITIONS, deadline=1.0).state is SourceState.MISSING


def test_it_all_ends_with_the_deadline(fhir, serve_rows, read):
    """However often it is refused, and asks in another form."""

    def refusal(query):
        if len(fhir.asked) > 1:
            fhir.release.wait(PATIENCE)
        return 400, outcome("required", "one code only")

    serve_rows("Observation", refusal)

    def ask(seconds):
        fhir.asked.clear()
        return read(PULSES, deadline=seconds)

    source = with_time_enough(ask, lambda source: len(fhir.asked) > 1)

    assert source.why == "timeout"


# Within the scope.


def test_a_search_without_its_code_asks_for_no_more_than_the_scope_shows(
    serve_rows, read
):
    """Asked by code it is within the scope; without, the scope hides some of it."""
    said = outcome("not-supported", "The parameter code is not supported")
    serve_rows(
        "Observation",
        lambda query: (400, said) if "code" in query else None,
        row("Observation", "o1"),
    )
    codes = f"{LOINC}8867-4,{LOINC}40443-4,{LOINC}8480-6"

    source = read(PULSES, scope=f"patient/Observation.rs?code={codes}")

    assert (source.state, source.why) == (SourceState.PARTIAL, "narrowed by scope")


def test_intents_that_are_demanded_widen_no_granular_scope(serve_rows, read):
    serve_rows(
        "MedicationRequest",
        lambda query: None if "intent" in query else (400, b""),
        row("MedicationRequest", "m1", intent="order"),
    )

    source = read(ORDERS, scope="patient/MedicationRequest.rs?intent=order")

    assert (source.state, source.why) == (SourceState.PARTIAL, "narrowed by scope")


def test_medications_are_not_read_one_by_one_where_only_searches_are_in_scope(
    fhir, bundle, hook_request, reader_for
):
    named = row(
        "MedicationRequest", "m1", medicationReference={"reference": "Medication/d"}
    )
    fhir.routes |= {"MedicationRequest": bundle(named), "Medication": (400, b"")}
    scope = "patient/MedicationRequest.rs patient/Medication.s"
    request = hook_request(server=fhir, scope=scope)

    gather([query_of(ORDERS)], request, reader_for(request), LONG)

    assert "Medication/d" not in fhir.paths


@pytest.mark.parametrize(
    ("scope", "included"),
    [
        ("patient/MedicationRequest.rs", False),
        ("patient/MedicationRequest.rs patient/Medication.r", True),
        ("patient/*.read", True),
        ("", True),
    ],
)
def test_medications_are_included_only_where_the_token_shows_them(
    fhir, serve_rows, read, scope, included
):
    serve_rows("MedicationRequest", lambda query: None)

    read(f"{ORDERS}&_include=MedicationRequest:medication", scope=scope)

    assert [each is not None for each in asked(fhir, "_include")] == [included]


def test_a_row_of_somebody_else_is_dropped_in_any_form(serve_rows, read):
    other = row("MedicationRequest", "x") | {"subject": {"reference": "Patient/p2"}}
    serve_rows(
        "MedicationRequest",
        lambda query: None if "intent" in query else (400, b""),
        other,
    )

    source = read(ORDERS)

    assert (source.resources, source.foreign) == ((), 1)
