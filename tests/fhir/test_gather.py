"""Gathering the chart from prefetch and from real servers on loopback."""

import json
import threading

import pytest

from cds_service.fhir.chart import SourceQuery, SourceState
from cds_service.fhir.client import FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer
from cds_service.protocol.errors import UnmetPrecondition, WrongPatient

from ..waiting import PATIENCE, with_time_enough

LOADED, PARTIAL, MISSING = SourceState
LONG = 30.0
REST = {"rest": "optional"}


@pytest.fixture
def full(patient, bundle, condition):
    """A prefetch with every key."""
    return {
        "patient": patient,
        "conditions": bundle(condition()),
        "medication-requests": None,
        "medication-statements": bundle(),
        "observations": None,
    }


def test_a_14_full_prefetch_needs_no_server(full, queries, hook_request):
    chart = gather(queries(), hook_request(full), None, LONG)

    assert {source.state for source in chart.sources.values()} == {LOADED}
    assert chart.patient == {"resourceType": "Patient", "id": "p1"}
    assert [each["id"] for each in chart.sources["conditions"].resources] == ["c1"]
    assert chart.sources["conditions"].origin == "prefetch"


def test_p_11_only_what_is_absent_is_asked_for(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = bundle(condition("c9"))
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.paths == ["Condition"]
    assert fhir.asked[0].query == {"patient": ["p1"], "_count": ["200"]}
    assert [each["id"] for each in chart.sources["conditions"].resources] == ["c9"]
    assert chart.sources["conditions"].origin == "fhir"


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"resourceType": "Bundle", "type": "searchset", "total": 0},
        {"resourceType": "Bundle", "entry": []},
    ],
)
def test_p_14_no_data_is_an_empty_answer_and_is_not_asked_again(
    full, queries, hook_request, fhir, reader_for, value
):
    request = hook_request(full | {"conditions": value}, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert chart.sources["conditions"].state is LOADED
    assert chart.sources["conditions"].resources == ()
    assert fhir.asked == []


def test_p_15_an_operation_outcome_is_a_failure_and_is_not_asked_again(
    full, queries, hook_request, fhir, reader_for
):
    outcome = {"resourceType": "OperationOutcome", "issue": []}
    request = hook_request(full | {"conditions": outcome}, fhir)

    chart = gather(queries(**REST), request, reader_for(request), LONG)

    assert chart.sources["conditions"].state is MISSING
    assert chart.sources["conditions"].why == "OperationOutcome"
    assert fhir.asked == []


def test_p_12_each_required_key_that_is_missing_is_named(full, queries, hook_request):
    del full["observations"]
    prefetch = full | {"conditions": "nonsense"}

    with pytest.raises(UnmetPrecondition) as caught:
        gather(queries(), hook_request(prefetch), None, LONG)

    unmet = [each for each in caught.value.problems if not each.informs]
    assert [(each.diagnostics, each.text) for each in unmet] == [
        ("conditions", "Required Condition data could not be had: wrong shape."),
        (
            "observations",
            "Required Observation data could not be had: "
            "not supplied, and the FHIR server is not named.",
        ),
    ]


def test_p_12_a_refusal_tells_of_every_key_what_became_of_it_without_data(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    del full["conditions"], full["observations"], full["medication-statements"]
    fhir.routes["Condition"] = (403, {"secret": "p1"})
    fhir.routes["Observation"] = b"<html>p1</html>"
    fhir.routes["MedicationRequest"] = bundle()
    full["medication-requests"] = bundle(following="https://elsewhere.example/2")
    request = hook_request(full, fhir, scope="user/Observation.rs user/Condition.rs")

    with pytest.raises(UnmetPrecondition) as caught:
        gather(
            queries(observations="optional", medication_statements="optional"),
            request,
            reader_for(request),
            LONG,
        )

    told = {
        issue["diagnostics"]: (issue["severity"], issue["details"]["text"])
        for issue in caught.value.as_json()["issue"]
    }
    optional = "data could not be had, and are optional"
    assert told == {
        "conditions": ("error", "Required Condition data could not be had: HTTP 403."),
        "patient": ("information", "Patient data were read from the prefetch."),
        "observations": ("information", f"Observation {optional}: HTML."),
        "medication-statements": (
            "information",
            f"MedicationStatement {optional}: not in scope.",
        ),
        "medication-requests": (
            "information",
            "MedicationRequest data were read in part from the prefetch: not in scope.",
        ),
    }


def test_why_there_is_no_reader_is_told(queries, hook_request):
    with pytest.raises(UnmetPrecondition, match="not supplied, and the token expires"):
        gather(queries(), hook_request(), None, LONG, why_unread="the token expires")


def test_p_12_an_optional_key_that_is_missing_stays_in_the_chart(
    full, queries, hook_request
):
    del full["observations"]

    chart = gather(queries(observations="optional"), hook_request(full), None, LONG)

    assert chart.state("observations") is MISSING
    assert chart.sources["observations"].why.startswith("not supplied")


def test_a_skipped_source_is_neither_read_nor_asked_for(
    full, queries, hook_request, fhir, reader_for
):
    del full["observations"]
    request = hook_request(full, fhir)
    asked = queries(observations="skip", conditions="skip")

    chart = gather(asked, request, reader_for(request), LONG)

    assert sorted(chart.sources) == [
        "medication_requests",
        "medication_statements",
        "patient",
    ]
    assert fhir.asked == []


def test_p_18_a_key_that_nobody_advertised_is_ignored(full, queries, hook_request):
    full["surprise"] = {"resourceType": "Patient", "id": "p2"}

    assert gather(queries(), hook_request(full), None, LONG).patient["id"] == "p1"


def test_a_null_patient_is_missing_and_not_asked_again(
    full, queries, hook_request, fhir, reader_for
):
    request = hook_request(full | {"patient": None}, fhir)

    with pytest.raises(UnmetPrecondition) as caught:
        gather(queries(), request, reader_for(request), LONG)

    unmet = [each for each in caught.value.problems if not each.informs]
    assert [each.diagnostics for each in unmet] == ["patient"]
    assert fhir.asked == []


def test_p_23_another_prefetched_patient_is_refused_before_anything_is_asked(
    queries, hook_request, fhir, reader_for
):
    request = hook_request({"patient": {"resourceType": "Patient", "id": "p2"}}, fhir)

    with pytest.raises(WrongPatient) as caught:
        gather(queries(**REST), request, reader_for(request), LONG)

    assert caught.value.problems[0].expression == "$.prefetch.patient"
    assert "p2" not in str(caught.value)
    assert fhir.asked == []


def test_p_23_another_fetched_patient_is_refused(
    full, queries, hook_request, fhir, reader_for
):
    fhir.routes["Patient/p1"] = {"resourceType": "Patient", "id": "p2"}
    del full["patient"]
    request = hook_request(full, fhir)

    with pytest.raises(WrongPatient):
        gather(queries(**REST), request, reader_for(request), LONG)


def test_p_23_entries_about_others_are_dropped_and_counted(
    full, queries, hook_request, bundle, condition
):
    entries = [condition("c1"), condition("c2", subject="Patient/p2")]
    request = hook_request(full | {"conditions": bundle(*entries)})

    source = gather(queries(), request, None, LONG).sources["conditions"]

    assert [each["id"] for each in source.resources] == ["c1"]
    assert (source.state, source.foreign) == (LOADED, 1)


def three_pages(fhir, bundle, condition):
    """Page two and three of a search; answers the first page."""

    def more(handler):
        page = handler.path.rpartition("=")[2]
        after = f"{fhir.base}/Condition?page=3" if page == "2" else None
        return bundle(condition(f"c{page}"), following=after)

    fhir.routes["Condition"] = more
    return bundle(condition("c1"), following=f"{fhir.base}/Condition?page=2")


def test_p_16_pages_of_a_prefetched_bundle_are_fetched_with_the_token(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    full["conditions"] = three_pages(fhir, bundle, condition)
    request = hook_request(full, fhir)

    source = gather(queries(), request, reader_for(request), LONG).sources["conditions"]

    assert [each["id"] for each in source.resources] == ["c1", "c2", "c3"]
    assert source.state is LOADED
    assert [each.token for each in fhir.asked] == ["Bearer t0ken"] * 2


def test_p_16_page_one_without_a_token_is_partial_even_where_it_is_required(
    full, queries, hook_request, fhir, bundle, condition
):
    full["conditions"] = three_pages(fhir, bundle, condition)

    source = gather(queries(), hook_request(full), None, LONG).sources["conditions"]

    assert (source.state, source.why) == (PARTIAL, "more pages, not fetched")
    assert [each["id"] for each in source.resources] == ["c1"]


def test_p_17_a_page_of_another_host_is_not_fetched(
    full, queries, hook_request, fhir, serve, reader_for, bundle, condition
):
    other = serve()
    full["conditions"] = bundle(condition(), following=f"{other.base}/Condition?page=2")
    request = hook_request(full, fhir)

    source = gather(queries(), request, reader_for(request), LONG).sources["conditions"]

    assert (source.state, source.why) == (PARTIAL, "page link refused")
    assert other.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((401, {}), "HTTP 401"),
        ((403, {}), "HTTP 403"),
        ((404, {}), "HTTP 404"),
        ((500, {"secret": "p1"}), "HTTP 500"),
        ({"resourceType": "OperationOutcome"}, "OperationOutcome"),
        ({"resourceType": "Condition"}, "wrong shape"),
        ([], "wrong shape"),
        ("text", "wrong shape"),
    ],
)
def test_p_22_a_failed_search_is_missing_and_never_empty(
    full, queries, hook_request, fhir, reader_for, answer, why
):
    del full["conditions"]
    fhir.routes["Condition"] = answer
    request = hook_request(full, fhir)
    reader = reader_for(request)

    chart = gather(queries(**REST), request, reader, LONG)

    assert (chart.state("conditions"), chart.sources["conditions"].why) == (
        MISSING,
        why,
    )
    with pytest.raises(UnmetPrecondition, match=why):
        gather(queries(), request, reader, LONG)


@pytest.mark.parametrize("key", ["conditions", "medication-requests", "observations"])
def test_p_15_a_fetched_page_that_says_that_part_is_withheld_is_not_all(
    full, queries, hook_request, fhir, reader_for, bundle, key
):
    del full[key]
    query = next(each for each in queries() if each.key == key)
    issue = {"severity": "warning", "code": "suppressed"}
    withheld = {"resourceType": "OperationOutcome", "issue": [issue]}
    second = f"{query.resource_type}?page=2"
    fhir.routes[query.resource_type] = lambda handler: (
        bundle(withheld) if "page=2" in handler.path else bundle(following=second)
    )
    request = hook_request(full, fhir)

    source = gather(queries(), request, reader_for(request), LONG).sources[query.source]

    assert (source.state, source.origin) == (PARTIAL, "fhir")
    assert source.why == "an OperationOutcome says that not all came (suppressed)"


def test_half_characters_of_what_is_fetched_are_replaced_and_counted(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    del full["conditions"]
    told = json.dumps(bundle(condition("a", code={"text": "x_"}))).encode()
    fhir.routes["Condition"] = told.replace(b"_", b"\xf0\x9f" + rb"\ud83d")
    request = hook_request(full, fhir)
    reader = reader_for(request)

    source = gather(queries(), request, reader, LONG).sources["conditions"]

    assert [each["code"]["text"] for each in source.resources] == ["x\ufffd\ufffd"]
    assert (source.state, reader.halves) == (LOADED, 2)


def test_e_9_a_server_that_hangs_costs_its_own_source_and_no_more(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = lambda handler: handler.hang()
    fhir.routes["Observation"] = bundle()
    del full["conditions"], full["observations"]
    request = hook_request(full, fhir)

    chart = with_time_enough(
        lambda seconds: gather(queries(**REST), request, reader_for(request), seconds),
        lambda chart: chart.state("observations") is LOADED,
    )

    assert (chart.state("conditions"), chart.sources["conditions"].why) == (
        MISSING,
        "timeout",
    )


def test_e_9_a_412_for_a_timeout_says_the_budget_the_time_and_the_setting(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Condition"] = lambda handler: handler.hang()
    fhir.routes["MedicationStatement"] = lambda handler: handler.hang()
    fhir.routes["Observation"] = bundle()
    for key in ("conditions", "observations", "medication-statements"):
        del full[key]
    request = hook_request(full, fhir)
    asked = queries(medication_statements="optional")

    def refuse(seconds):
        took = {}
        with pytest.raises(UnmetPrecondition) as caught:
            gather(
                asked,
                request,
                reader_for(request),
                seconds,
                allowed=seconds + 0.5,
                note=took.__setitem__,
            )
        texts = {each.diagnostics: each.text for each in caught.value.problems}
        return seconds, took, texts

    left, took, texts = with_time_enough(
        refuse, lambda refused: "were read" in refused[2]["observations"]
    )

    def late(key):
        return (
            f" The FHIR server had not answered after {took[key] * 1000:.0f} ms. "
            f"CDS_GATHER_DEADLINE_MS allows {left * 1000 + 500:.0f} ms from the call's "
            f"arrival; {left * 1000:.0f} ms were left when it was asked."
        )

    assert texts == {
        "conditions": "Required Condition data could not be had: timeout."
        + late("conditions"),
        "medication-statements": "MedicationStatement data could not be had, and are "
        "optional: timeout." + late("medication-statements"),
        "observations": "Observation data were read from the FHIR server in "
        f"{took['observations'] * 1000:.0f} ms.",
        "patient": "Patient data were read from the prefetch.",
        "medication-requests": "MedicationRequest data were read from the prefetch.",
    }
    assert took["conditions"] >= left * 0.75
    assert texts["patient"] == "Patient data were read from the prefetch."


def test_p_12_a_412_for_another_reason_says_nothing_of_time(
    full, queries, hook_request, fhir, reader_for
):
    del full["conditions"]
    fhir.routes["Condition"] = (503, {})
    request = hook_request(full, fhir)

    with pytest.raises(UnmetPrecondition) as caught:
        gather(queries(), request, reader_for(request), LONG)

    text = "Required Condition data could not be had: HTTP 503."
    assert caught.value.problems[0].text == text


def test_e_9_pages_that_came_before_the_deadline_are_kept_as_partial(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    def first_then_hang(handler):
        if "page" in handler.path:
            return handler.hang()
        return bundle(condition("c1"), following=f"{fhir.base}/Condition?page=2")

    fhir.routes["Condition"] = first_then_hang
    del full["conditions"]
    request = hook_request(full, fhir)

    source = with_time_enough(
        lambda seconds: gather(
            queries(**REST), request, reader_for(request), seconds
        ).sources["conditions"],
        lambda source: source.state is PARTIAL,
    )

    assert source.why == "timeout"
    assert [each["id"] for each in source.resources] == ["c1"]


def test_e_9_a_server_that_sends_byte_by_byte_holds_no_thread(
    full, queries, hook_request, fhir, reader_for, pool
):
    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not handler.server.loopback.release.wait(0.05):
            handler.wfile.write(b"x")

    fhir.routes["Condition"] = drip
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(**REST), request, reader_for(request), 1.0)

    assert chart.sources["conditions"].why == "timeout"
    pool.close()
    for thread in threading.enumerate():
        if thread.name.startswith("fhir"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_all_queries_are_on_their_way_at_once(
    queries, hook_request, fhir, reader_for, bundle, patient
):
    together = threading.Barrier(5)

    def meet(value):
        def route(handler):
            together.wait(PATIENCE)
            return value

        return route

    fhir.routes["Patient/p1"] = meet(patient)
    for kind in ("Condition", "MedicationRequest", "MedicationStatement"):
        fhir.routes[kind] = meet(bundle())
    fhir.routes["Observation"] = meet(bundle())
    request = hook_request(server=fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert {source.state for source in chart.sources.values()} == {LOADED}


def test_an_identical_query_under_two_keys_is_asked_once(
    hook_request, fhir, reader_for, bundle, condition
):
    template = "Condition?patient={{context.patientId}}"
    asked = [SourceQuery(key, "conditions", template) for key in ("one", "two")]
    fhir.routes["Condition"] = bundle(condition())
    request = hook_request(server=fhir)

    chart = gather(asked, request, reader_for(request), LONG)

    assert len(fhir.asked) == 1
    assert len(chart.sources["conditions"].resources) == 1


def test_two_keys_of_one_source_are_joined_and_the_worse_state_holds(
    hook_request, bundle, condition
):
    asked = [
        SourceQuery("one", "conditions", "Condition?patient={{context.patientId}}&a=1"),
        SourceQuery("two", "conditions", "Condition?patient={{context.patientId}}&a=2"),
    ]
    request = hook_request({"one": bundle(condition("a"), condition("b")), "two": 1})

    source = gather(asked, request, None, LONG).sources["conditions"]

    assert [each["id"] for each in source.resources] == ["a", "b"]
    assert (source.state, source.why) == (MISSING, "wrong shape")


def test_a_token_without_a_value_leaves_its_source_missing(
    hook_request, fhir, reader_for
):
    template = "Observation?encounter={{context.encounterId}}"
    request = hook_request(server=fhir)

    chart = gather(
        [SourceQuery("o", "observations", template)], request, reader_for(request), LONG
    )

    assert chart.sources["observations"].why == "cannot be asked"
    assert fhir.asked == []


def test_a_5_a_type_out_of_scope_is_not_searched(
    queries, hook_request, fhir, reader_for, bundle, patient
):
    fhir.routes |= {"Patient/p1": patient, "Condition": bundle()}
    scope = "patient/Condition.rs patient/Patient.r patient/Observation.r"
    request = hook_request(server=fhir, scope=scope)

    chart = gather(queries(**REST), request, reader_for(request), LONG)

    assert fhir.paths == ["Condition", "Patient/p1"]
    assert chart.state("conditions") is LOADED
    assert chart.sources["observations"].why == "not in scope"


def test_a_6_a_narrowed_scope_makes_the_search_partial(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = bundle(condition())
    del full["conditions"]
    scope = "patient/Condition.rs?category=problem-list-item"
    request = hook_request(full, fhir, scope=scope)

    source = gather(queries(), request, reader_for(request), LONG).sources["conditions"]

    assert (source.state, source.why) == (PARTIAL, "narrowed by scope")
    assert len(source.resources) == 1


def order(identifier, reference):
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "subject": {"reference": "Patient/p1"},
        "medicationReference": {"reference": reference},
    }


def test_p_21_medications_referred_to_are_fetched_in_one_search(
    full, queries, hook_request, fhir, reader_for, bundle
):
    medications = [{"resourceType": "Medication", "id": each} for each in ("m1", "m2")]
    fhir.routes["Medication"] = bundle(*medications)
    full["medication-requests"] = bundle(
        order("o1", "Medication/m2"),
        order("o2", f"{fhir.base}/Medication/m1"),
        order("o3", "#inside"),
        order("o4", "Medication/here"),
        order("o5", "urn:uuid:0d4e0e0c-0000-4000-8000-000000000000"),
        {"resourceType": "Medication", "id": "here"},
    )
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert [each.query["_id"] for each in fhir.asked] == [["m1,m2"]]
    assert chart.medications[f"{fhir.base}/Medication/m1"]["id"] == "m1"
    assert chart.medications["Medication/m2"]["id"] == "m2"
    assert chart.medications["Medication/here"]["id"] == "here"


@pytest.mark.parametrize("status", [410, 404, 500])
def test_an_order_whose_medication_is_gone_is_kept_without_it(
    full, queries, hook_request, fhir, reader_for, bundle, status
):
    fhir.routes["Medication"] = (status, {"resourceType": "OperationOutcome"})
    full["medication-requests"] = bundle(order("o1", "Medication/gone"))
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    (kept,) = chart.sources["medication_requests"].resources
    assert kept["id"] == "o1"
    assert chart.state("medication_requests") is SourceState.LOADED
    assert chart.medications == {}


def test_many_medications_are_fetched_in_several_searches(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Medication"] = bundle()
    orders = [order(f"o{n}", f"Medication/m{n}") for n in range(120)]
    full["medication-requests"] = bundle(*orders)
    request = hook_request(full, fhir)

    gather(queries(), request, reader_for(request), LONG)

    asked = [each.query["_id"][0].split(",") for each in fhir.asked]
    assert sorted(map(len, asked)) == [20, 50, 50]


def test_p_21_medications_of_the_first_page_do_not_wait_for_the_last(
    full, queries, hook_request, fhir, reader_for, bundle
):
    def first_then_hang(handler):
        if "page" in handler.path:
            return handler.hang()
        page = f"{fhir.base}/MedicationRequest?page=2"
        return bundle(order("o1", "Medication/m1"), following=page)

    fhir.routes["MedicationRequest"] = first_then_hang
    fhir.routes["Medication"] = bundle({"resourceType": "Medication", "id": "m1"})
    del full["medication-requests"]
    request = hook_request(full, fhir)

    def read(seconds):
        fhir.asked.clear()
        return gather(queries(**REST), request, reader_for(request), seconds)

    chart = with_time_enough(read, lambda chart: chart.medications)

    assert chart.sources["medication_requests"].why == "timeout"
    assert chart.medications["Medication/m1"]["id"] == "m1"
    assert fhir.paths.count("Medication") == 1


def test_a_5_medications_that_may_not_be_searched_are_read_one_by_one(
    full, queries, hook_request, fhir, reader_for, bundle
):
    for each in ("m1", "m2"):
        fhir.routes[f"Medication/{each}"] = {"resourceType": "Medication", "id": each}
    full["medication-requests"] = bundle(
        order("o1", "Medication/m1"), order("o2", "Medication/m2")
    )
    request = hook_request(full, fhir, scope="user/Medication.r user/Patient.r")

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.paths == ["Medication/m1", "Medication/m2"]
    assert sorted(chart.medications) == ["Medication/m1", "Medication/m2"]


def test_p_21_medications_of_others_or_out_of_scope_are_not_fetched(
    full, queries, hook_request, fhir, reader_for, bundle
):
    foreign = order("o1", "Medication/m1") | {"subject": {"reference": "Patient/p2"}}
    full["medication-requests"] = bundle(foreign)
    full["medication-statements"] = bundle(
        order("s1", "Medication/m2") | {"resourceType": "MedicationStatement"}
    )
    request = hook_request(full, fhir, scope="patient/MedicationStatement.rs")

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.asked == []
    assert chart.medications == {}


def test_q_18_drafts_come_from_the_context_and_are_never_read_by_id(
    full, queries, hook_request, fhir, reader_for, bundle
):
    drafts = bundle(
        {"resourceType": "MedicationRequest", "id": "d1"},
        {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/p2"}},
    )
    context = {"patientId": "p1", "draftOrders": drafts}
    request = hook_request(full, fhir, hook="order-sign", context=context)

    chart = gather(queries(), request, reader_for(request), LONG)

    source = chart.sources["draft_orders"]
    assert [each["id"] for each in source.resources] == ["d1"]
    assert (source.state, source.foreign, source.origin) == (LOADED, 1, "context")
    assert fhir.asked == []


def test_p_25_nothing_is_remembered_from_one_call_to_the_next(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    del full["conditions"]
    request = hook_request(full, fhir)
    seen = []
    for identifier in ("before", "after"):
        fhir.routes["Condition"] = bundle(condition(identifier))
        chart = gather(queries(), request, reader_for(request), LONG)
        seen.append(chart.sources["conditions"].resources[0]["id"])

    assert seen == ["before", "after"]


def test_a_14_prefetched_and_fetched_the_chart_holds_the_same(
    full, queries, hook_request, fhir, reader_for
):
    fhir.routes |= {
        "Patient/p1": full["patient"],
        "Condition": full["conditions"],
        "MedicationRequest": full["medication-statements"],
        "MedicationStatement": full["medication-statements"],
        "Observation": full["medication-statements"],
    }
    request = hook_request(server=fhir)

    fetched = gather(queries(), request, reader_for(request), LONG)
    given = gather(queries(), hook_request(full), None, LONG)

    assert fetched.patient == given.patient
    assert {name: source.resources for name, source in fetched.sources.items()} == {
        name: source.resources for name, source in given.sources.items()
    }


def test_what_was_fetched_is_told_with_its_time_also_where_the_call_is_refused(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes |= {"Condition": (500, {}), "Medication": bundle()}
    del full["conditions"]
    full["medication-requests"] = bundle(order("o1", "Medication/m1"))
    request = hook_request(full, fhir)
    told = {}

    with pytest.raises(UnmetPrecondition):
        gather(queries(), request, reader_for(request), LONG, note=told.__setitem__)

    assert sorted(told) == ["conditions", "medications"]
    assert all(0 < seconds < LONG for seconds in told.values())


def established(port):
    """How many of this process's connections lead to *port*, as Linux counts."""
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    to = f":{port:04X}"
    return sum(row[2].endswith(to) and row[3] == "01" for row in rows)


def fails_once(answer, status=503, **headers):
    """A route that answers *status* at first."""
    asked = []

    def route(handler):
        asked.append(handler)
        return answer if len(asked) > 1 else (status, {}, headers)

    return route


def test_a_get_that_failed_is_asked_again_while_there_is_time(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = fails_once(bundle(condition("c1")))
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert chart.state("conditions") is LOADED
    assert fhir.paths == ["Condition", "Condition"]


def test_a_get_is_not_asked_again_where_the_server_wants_more_time_than_there_is(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Condition"] = fails_once(bundle(), **{"Retry-After": "60"})
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(**REST), request, reader_for(request), LONG)

    assert chart.sources["conditions"].why == "HTTP 503"
    assert fhir.paths == ["Condition"]


def test_a_11_nothing_is_asked_once_the_answer_is_there(
    queries, hook_request, fhir, reader_for, pool, bundle, condition
):
    """Slow pages, retries and Medications: all of it ends with the answer."""

    def slow_page(handler):
        fhir.release.wait(0.1)
        page = f"{fhir.base}/Condition?page={len(fhir.asked)}"
        return bundle(condition(f"c{len(fhir.asked)}"), following=page)

    fhir.routes["Condition"] = slow_page
    fhir.routes["Observation"] = (503, {})
    fhir.routes["MedicationRequest"] = lambda handler: handler.hang()
    request = hook_request(server=fhir)

    chart = with_time_enough(
        lambda seconds: gather(
            queries(**REST), request, reader_for(request, pages=500), seconds
        ),
        lambda chart: chart.sources["conditions"].resources,
    )
    asked = len(fhir.asked)
    pool.threads.submit(fhir.release.wait, 1.0).result()

    assert chart.sources["conditions"].why == "timeout"
    assert len(fhir.asked) == asked


def test_a_11_a_connection_that_opens_too_late_carries_nothing(
    queries, hook_request, fhir
):
    """A name server that is slower than the deadline."""

    def resolve(host, port):
        fhir.release.wait(1.5)
        return ["127.0.0.1"]

    pool = FhirPool(resolve=resolve)
    request = hook_request(server=fhir.base.replace("127.0.0.1", "localhost"))
    listed = [ListedServer(request.fhir_server)]
    reader = open_reader(request, listed, [], pool)

    chart = gather(queries(**REST), request, reader, 0.5)
    pool.threads.shutdown(wait=True)
    pool.close()

    assert {source.why for source in chart.sources.values()} == {"timeout"}
    assert fhir.asked == []


@pytest.mark.slow
def test_a_11_two_hundred_calls_to_a_server_that_hangs_leave_no_thread_behind(
    queries, hook_request, fhir, reader_for
):
    for path in ("Patient/p1", "Condition", "MedicationRequest", "Observation"):
        fhir.routes[path] = lambda handler: handler.hang()
    request = hook_request(server=fhir)

    def held():
        ours = [each for each in threading.enumerate() if each.name.startswith("fhir")]
        sockets = established(fhir.http.server_port)
        return len(ours), sockets

    counts = []
    for _ in range(200):
        gather(queries(**REST), request, reader_for(request), 0.05)
        counts.append(held())

    assert max(threads for threads, _ in counts[100:]) <= 5 + max(
        threads for threads, _ in counts[:20]
    )
    assert max(sockets for _, sockets in counts) <= 64
