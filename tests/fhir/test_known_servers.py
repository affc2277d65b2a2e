"""What was learned of a server, or is known beforehand, is heeded until it is no longer
true.
"""

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.client import FhirPool, open_reader
from cds_service.fhir.forms import Added, Form, vouch
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer

from .particular import (
    LOINC,
    LONG,
    ORDERS,
    PULSES,
    asked,
    ids,
    loaded,
    outcome,
    query_of,
    row,
)

# Learned.


def test_a_server_is_asked_in_its_form_at_once_the_next_time(fhir, serve_rows, read):
    said = outcome("required", "intent is required")
    serve_rows(
        "MedicationRequest", lambda query: None if "intent" in query else (400, said)
    )
    read(ORDERS)
    fhir.asked.clear()

    assert loaded(read(ORDERS))
    assert len(fhir.asked) == 1


def test_a_form_that_is_no_longer_taken_is_forgotten(fhir, serve_rows, read):
    serve_rows(
        "MedicationRequest", lambda query: None if "intent" in query else (400, b"")
    )
    read(ORDERS)
    serve_rows(
        "MedicationRequest",
        lambda query: (400, b"") if "intent" in query else None,
        row("MedicationRequest", "m1", intent="order"),
    )
    fhir.asked.clear()

    assert ids(read(ORDERS)) == ["m1"]
    assert [bool(each) for each in asked(fhir, "intent")] == [True, False]
    fhir.asked.clear()
    read(ORDERS)
    assert asked(fhir, "intent") == [None]


def test_another_server_is_asked_as_if_nothing_had_been_learned(
    fhir, serve, bundle, serve_rows, read, hook_request, reader_for
):
    serve_rows(
        "MedicationRequest", lambda query: None if "intent" in query else (400, b"")
    )
    read(ORDERS)
    other = serve(MedicationRequest=bundle())
    request = hook_request(server=other)

    gather([query_of(ORDERS)], request, reader_for(request), LONG)

    assert [each.query for each in other.asked] == [
        {"patient": ["p1"], "_count": ["200"]}
    ]


def test_how_a_server_is_asked_is_logged_in_the_words_of_the_clients_file(
    fhir, serve_rows, hook_request
):
    told = []
    pool = FhirPool(log=lambda event, **facts: told.append((event, facts)))
    said = outcome("not-supported", "_sort is not supported for patient Eve")
    serve_rows("Observation", lambda query: (400, said) if "_sort" in query else None)
    request = hook_request(server=fhir)
    for _ in range(2):
        reader = open_reader(request, [ListedServer(fhir.base)], (), pool)
        gather([query_of(PULSES)], request, reader, LONG)
    pool.close()

    facts = {"server": fhir.base, "kind": "Observation", "without": ["_sort"]}
    assert told == [("FHIR server asked otherwise", facts)]


# Known beforehand.


@pytest.mark.parametrize(
    ("form", "template", "sent"),
    [
        (
            Form("MedicationRequest", added=(Added("intent", ("order", "plan")),)),
            ORDERS,
            [{"patient": ["p1"], "intent": ["order,plan"], "_count": ["200"]}],
        ),
        (
            Form(without=("_count", "_sort")),
            PULSES,
            [
                {
                    "patient": ["p1"],
                    "code": [f"{LOINC}8867-4,{LOINC}40443-4,{LOINC}8480-6"],
                }
            ],
        ),
        (
            Form("Observation", one_by_one=("code",), without=("_count", "_sort")),
            PULSES,
            [
                {"patient": ["p1"], "code": [f"{LOINC}{code}"]}
                for code in ("40443-4", "8480-6", "8867-4")
            ],
        ),
    ],
)
def test_what_is_known_of_a_server_is_heeded_from_the_first_request(
    fhir, serve_rows, pool, hook_request, form, template, sent
):
    kind = template.partition("?")[0]
    serve_rows(kind, lambda query: None)
    request = hook_request(server=fhir)
    reader = open_reader(request, [ListedServer(fhir.base)], (), pool, forms=[form])

    chart = gather([query_of(template)], request, reader, LONG)

    assert all(each.state is SourceState.LOADED for each in chart.sources.values())
    assert sorted((each.query for each in fhir.asked), key=str) == sent


def test_a_list_that_is_known_to_lack_plans_is_read_in_part(
    fhir, serve_rows, pool, hook_request
):
    serve_rows("MedicationRequest", lambda query: None)
    added = vouch("MedicationRequest", "intent", ["order"])
    request = hook_request(server=fhir)
    form = Form("MedicationRequest", added=(added,))
    reader = open_reader(request, [ListedServer(fhir.base)], (), pool, forms=[form])

    chart = gather([query_of(ORDERS)], request, reader, LONG)

    assert chart.sources["medication_requests"].why == "narrowed by intent"


def test_what_is_known_and_no_longer_true_is_found_out_anew(
    fhir, serve_rows, pool, hook_request
):
    serve_rows(
        "MedicationRequest",
        lambda query: (400, b"") if "_count" in query else None,
        row("MedicationRequest", "m1"),
    )
    request = hook_request(server=fhir)
    form = Form("MedicationRequest", without=("_sort",))
    reader = open_reader(request, [ListedServer(fhir.base)], (), pool, forms=[form])

    chart = gather([query_of(ORDERS)], request, reader, LONG)

    assert ids(chart.sources["medication_requests"]) == ["m1"]
