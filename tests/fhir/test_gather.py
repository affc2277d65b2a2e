"""Gathering the chart from prefetch and from real servers on loopback."""

import json

import pytest

from cds_service.fhir.chart import SourceQuery, SourceState
from cds_service.fhir.gather import gather
from cds_service.protocol.errors import UnmetPrecondition, WrongPatient

LOADED, PARTIAL, MISSING = SourceState
LONG = 30.0
REST = {"rest": "optional"}


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
