"""Calls of a service: what is read, what is forgiven, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.protocol.errors import InvalidRequest
from cds_service.protocol.hooks import HOOKS
from cds_service.protocol.requests import FhirAuthorization, HookRequest, parse_request

from .conftest import wrong

Json = dict[str, Any]
RequestOf = Callable[..., Json]

SPECIFICATION_SAMPLE = {
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "fhirServer": "https://fhir.example.org/r4/",
    "hook": "patient-view",
    "fhirAuthorization": {
        "access_token": "some-opaque-fhir-access-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/Patient.rs user/Observation.rs",
        "subject": "cds-service4",
    },
    "context": {
        "userId": "Practitioner/example",
        "patientId": "1288992",
        "encounterId": "89284",
    },
    "prefetch": {
        "patientToGreet": {"resourceType": "Patient", "id": "1288992"},
        "conditions": None,
    },
}


def test_q_1_a_request_by_the_letter_is_read_whole_even_under_strict() -> None:
    assert parse_request(SPECIFICATION_SAMPLE, strict=True) == HookRequest(
        hook="patient-view",
        hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        instance_is_uuid=True,
        patient_id="1288992",
        user_id="Practitioner/example",
        encounter_id="89284",
        context={
            "userId": "Practitioner/example",
            "patientId": "1288992",
            "encounterId": "89284",
        },
        prefetch={
            "patientToGreet": {"resourceType": "Patient", "id": "1288992"},
            "conditions": None,
        },
        fhir_server="https://fhir.example.org/r4",
        fhir_authorization=FhirAuthorization(
            access_token="some-opaque-fhir-access-token",
            scope="user/Patient.rs user/Observation.rs",
            subject="cds-service4",
            expires_in=300,
        ),
    )


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_the_smallest_request_of_every_hook_is_read_under_strict(
    hook: str, request_of: RequestOf
) -> None:
    read = parse_request(request_of(hook), strict=True)

    assert (read.hook, read.patient_id, read.deviations) == (hook, "1288992", ())


@pytest.mark.parametrize(
    ("hook", "field"),
    [
        (hook.name, field.name)
        for hook in HOOKS.values()
        for field in hook.required
        if not field.forgiven
    ],
)
@pytest.mark.parametrize("absence", ["left out", None])
def test_q_8_a_required_field_of_the_context_is_named_when_missing(
    hook: str, field: str, absence: str | None, request_of: RequestOf
) -> None:
    body = request_of(hook)
    if absence:
        del body["context"][field]
    else:
        body["context"][field] = None

    assert wrong(body) == [f"$.context.{field}"]


@pytest.mark.parametrize("body", [None, [], "x", 1, True, [{"hook": "patient-view"}]])
def test_q_15_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert wrong(body) == ["$"]


def test_every_wrong_field_is_named_at_once() -> None:
    body = {
        "hook": "patient-view",
        "hookInstance": 7,
        "fhirServer": "nowhere",
        "fhirAuthorization": {"token_type": "MAC", "expires_in": "soon", "patient": 1},
        "context": {"userId": "me", "patientId": "1/2", "encounterId": []},
        "prefetch": [1],
    }

    assert wrong(body) == [
        "$.hookInstance",
        "$.context.userId",
        "$.context.patientId",
        "$.context.encounterId",
        "$.prefetch",
        "$.fhirServer",
        "$.fhirAuthorization.patient",
        "$.fhirAuthorization.token_type",
        "$.fhirAuthorization.access_token",
        "$.fhirAuthorization.scope",
        "$.fhirAuthorization.subject",
        "$.fhirAuthorization.expires_in",
    ]


def test_an_empty_object_is_told_all_that_a_call_needs() -> None:
    assert wrong({}) == ["$.hook", "$.hookInstance", "$.context"]


def test_a_problem_says_where_and_why_and_never_repeats_the_value(r0: Json) -> None:
    r0["context"]["patientId"] = "Jane Doe?"

    with pytest.raises(InvalidRequest) as refused:
        parse_request(r0)

    (problem,) = refused.value.problems
    assert problem.text.startswith("$.context.patientId: must be a FHIR id")
    assert "Jane" not in str(refused.value.as_json())


@pytest.mark.parametrize("hook", [None, "", 1, ["patient-view"], "Patient-View", "x y"])
def test_q_2_the_hook_must_be_a_known_name(r0: Json, hook: Any) -> None:
    assert wrong({**r0, "hook": hook}) == ["$.hook"]


def test_h_2_a_hook_in_reverse_domain_notation_is_read_by_what_all_hooks_have(
    request_of: RequestOf,
) -> None:
    body = request_of("org.example.wearable-alert", device={"id": 1})

    read = parse_request(body, strict=True)

    assert read.hook == "org.example.wearable-alert"
    assert read.user_id == "Practitioner/example"
    assert read.context["device"] == {"id": 1}
    del body["context"]["patientId"]
    assert wrong(body) == ["$.context.patientId"]


@pytest.mark.parametrize("prefix", ["", "urn:uuid:"])
def test_q_3_a_hook_instance_is_a_uuid_in_any_letters(r0: Json, prefix: str) -> None:
    body = {**r0, "hookInstance": prefix + "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA"}

    read = parse_request(body, strict=True)

    assert read.hook_instance == "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
    assert read.instance_is_uuid


def test_q_3_a_hook_instance_that_is_no_uuid_is_a_deviation(r0: Json) -> None:
    body = {**r0, "hookInstance": "Call-7"}

    read = parse_request(body)

    assert (read.hook_instance, read.instance_is_uuid) == ("Call-7", False)
    assert read.deviations == ("$.hookInstance: not a UUID",)
    assert wrong(body, strict=True) == ["$.hookInstance"]


@pytest.mark.parametrize("instance", [None, "", 7, {}, "x" * 256, "a\nb", "\x00", " "])
def test_q_3_a_hook_instance_that_cannot_be_kept_is_refused(
    r0: Json, instance: Any
) -> None:
    assert wrong({**r0, "hookInstance": instance}) == ["$.hookInstance"]


def test_q_6_the_fhir_server_is_https_unless_development_allows_http(r0: Json) -> None:
    body = {**r0, "fhirServer": "http://localhost:8080/fhir"}

    assert wrong(body) == ["$.fhirServer"]
    read = parse_request(body, https_only=False)
    assert read.fhir_server == "http://localhost:8080/fhir"


@pytest.mark.parametrize("server", [7, [], "ehr", "ftp://ehr.example.org", "https://"])
def test_q_6_a_fhir_server_that_is_no_url_is_refused(r0: Json, server: Any) -> None:
    assert wrong({**r0, "fhirServer": server}, https_only=False) == ["$.fhirServer"]


def test_q_7_prefetch_alone_suffices(r0: Json) -> None:
    read = parse_request(r0)

    assert (read.fhir_server, read.fhir_authorization) == (None, None)


@pytest.mark.parametrize("context", ["x", 1, [], [{"patientId": "1"}], None])
def test_q_8_a_context_that_is_no_object_is_refused(r0: Json, context: Any) -> None:
    assert wrong({**r0, "context": context}) == ["$.context"]


def test_q_9_a_long_patient_id_is_taken(r0: Json) -> None:
    r0["context"]["patientId"] = "x" * 194

    assert parse_request(r0, strict=True).patient_id == "x" * 194


@pytest.mark.parametrize("patient", ["1/../2?x=y", "a b", "1,2", "x" * 256, 7, {}])
def test_q_9_a_patient_id_that_breaks_a_url_is_refused(r0: Json, patient: Any) -> None:
    r0["context"]["patientId"] = patient

    assert wrong(r0) == ["$.context.patientId"]


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("patientId", "Patient/1288992", "1288992"),
        ("encounterId", "Encounter/456", "456"),
    ],
)
def test_q_9_an_id_written_with_its_type_is_taken_as_the_id(
    r0: Json, field: str, sent: str, read: str
) -> None:
    r0["context"][field] = sent

    call = parse_request(r0)

    assert call.context[field] == read
    assert len(call.deviations) == 1
    assert wrong(r0, strict=True) == [f"$.context.{field}"]


@pytest.mark.parametrize("patient", ["Observation/1", "Patient/", "Patient/a/b"])
def test_q_9_a_reference_to_anything_else_is_no_patient_id(
    r0: Json, patient: str
) -> None:
    r0["context"]["patientId"] = patient

    assert wrong(r0) == ["$.context.patientId"]


@pytest.mark.parametrize("user", ["Device/1", "PractitionerRole/a", "RelatedPerson/1"])
def test_q_10_a_user_may_be_of_any_type(r0: Json, user: str) -> None:
    r0["context"]["userId"] = user

    assert parse_request(r0, strict=True).user_id == user


@pytest.mark.parametrize("user", ["me", "Practitioner/Practitioner/1", 7, {}])
def test_q_9_a_user_is_a_type_and_an_id(r0: Json, user: Any) -> None:
    r0["context"]["userId"] = user

    assert wrong(r0) == ["$.context.userId"]


@pytest.mark.parametrize("absence", ["left out", None, ""])
def test_a_patient_view_without_a_user_is_answered_with_a_deviation(
    r0: Json, absence: str | None
) -> None:
    r0["context"]["userId"] = absence
    if absence == "left out":
        del r0["context"]["userId"]

    read = parse_request(r0)

    assert read.user_id is None
    assert "userId" not in read.context
    assert read.deviations == ("$.context.userId: required by patient-view",)
    assert wrong(r0, strict=True) == ["$.context.userId"]


def test_h_10_a_refill_and_a_dispatch_come_without_a_user(
    request_of: RequestOf,
) -> None:
    for hook in ("medication-refill", "order-dispatch"):
        assert parse_request(request_of(hook), strict=True).user_id is None


def test_h_10_what_a_hook_does_not_define_is_not_read(request_of: RequestOf) -> None:
    body = request_of("order-dispatch", userId={"a": 1}, encounterId=7)

    read = parse_request(body, strict=True)

    assert (read.user_id, read.encounter_id) == (None, None)


def test_q_11_prefetch_is_optional(r0: Json) -> None:
    del r0["prefetch"]

    assert parse_request(r0).prefetch == {}


@pytest.mark.parametrize("prefetch", [[], [1], "x", 7, False])
def test_prefetch_that_is_no_object_is_refused(r0: Json, prefetch: Any) -> None:
    assert wrong({**r0, "prefetch": prefetch}) == ["$.prefetch"]


@pytest.mark.parametrize("value", ["x", 7, [], {}, True, {"resource": 1, "x": 2}])
def test_p_20_a_prefetch_value_of_any_shape_is_kept_for_who_reads_it(
    r0: Json, value: Any
) -> None:
    assert parse_request({**r0, "prefetch": {"k": value}}).prefetch == {"k": value}


@pytest.mark.parametrize(
    ("wrapped", "kept"),
    [
        ({"response": {"status": "200 OK"}, "resource": {"id": "1"}}, {"id": "1"}),
        ({"response": {"status": 200}, "resource": {"id": "1"}}, {"id": "1"}),
        ({"response": {}, "resource": {"id": "1"}}, {"id": "1"}),
        ({"resource": {"id": "1"}}, {"id": "1"}),
        ({"response": {"status": "200"}, "resource": None}, None),
    ],
)
def test_p_20_a_wrapped_prefetch_value_is_taken_out(
    r0: Json, wrapped: Json, kept: Any
) -> None:
    body = {**r0, "prefetch": {"k": wrapped, "other": None}}

    read = parse_request(body)

    assert read.prefetch == {"k": kept, "other": None}
    assert len(read.deviations) == 1
    assert wrong(body, strict=True) == ["$.prefetch"]


@pytest.mark.parametrize(
    "wrapped",
    [
        {"response": {"status": "404 Not Found"}},
        {"response": {"status": "500"}, "resource": None},
        {"response": {"status": 503}, "resource": {"resourceType": "Bundle"}},
        {"response": {"status": "20"}, "resource": {"resourceType": "Bundle"}},
        {"response": {"status": []}, "resource": {"resourceType": "Bundle"}},
        {"response": {"status": "200"}},
        {"response": None, "resource": None},
        {"resource": None},
    ],
)
def test_p_22_a_wrapper_without_an_answer_is_not_supplied_rather_than_empty(
    r0: Json, wrapped: Json
) -> None:
    assert parse_request({**r0, "prefetch": {"k": wrapped}}).prefetch == {}


@pytest.mark.parametrize("extension", [{"com.x.y": {"a": [1]}}, [], "x", None, 7])
def test_x_4_extensions_of_any_shape_are_ignored(
    authorized: Json, extension: Any
) -> None:
    plain = parse_request(authorized)
    authorized["extension"] = extension
    authorized["fhirAuthorization"]["extension"] = extension

    assert parse_request(authorized, strict=True) == plain


def test_j_9_unknown_members_are_ignored(r0: Json) -> None:
    body = {**r0, "zzz": 1, "user": "Practitioner/1"}
    body["context"]["zzz"] = {"deep": [None]}

    read = parse_request(body, strict=True)

    assert read.context["zzz"] == {"deep": [None]}
    assert read.deviations == ()


@pytest.mark.parametrize(
    "change",
    [{"prefetch": {}}, {"prefetch": None}, {"fhirAuthorization": None}]
    + [{"fhirAuthorization": {}}, {"fhirServer": None}, {"fhirServer": ""}],
)
def test_j_8_a_null_or_empty_optional_member_is_an_absent_one(
    r0: Json, change: Json
) -> None:
    bare = {name: value for name, value in r0.items() if name not in change}

    assert parse_request({**r0, **change}, strict=True) == parse_request(bare)


@pytest.mark.parametrize("encounter", [None, ""])
def test_j_8_a_null_or_empty_optional_field_is_an_absent_one(
    r0: Json, encounter: str | None
) -> None:
    plain = parse_request(r0)
    r0["context"]["encounterId"] = encounter

    assert parse_request(r0, strict=True) == plain


def test_j_10_any_script_is_read(r0: Json) -> None:
    r0["prefetch"]["patient"]["name"] = [{"family": "Łukasz 🫀"}]

    assert parse_request(r0).prefetch["patient"]["name"] == [{"family": "Łukasz 🫀"}]


@pytest.mark.parametrize(
    "orders",
    [
        {"resourceType": "Bundle"},
        {"entry": [{"resource": {"resourceType": "X", "code": {"coding": [{}]}}}]},
        {"entry": "x"},
        {"resourceType": "Bundle", "entry": [None, 1, {"resource": []}]},
    ],
)
def test_draft_orders_are_read_in_any_shape(
    request_of: RequestOf, orders: Json
) -> None:
    for hook in ("order-select", "order-sign"):
        read = parse_request(request_of(hook, draftOrders=orders), strict=True)

        assert read.context["draftOrders"] == orders


@pytest.mark.parametrize("field", ["selections", "draftOrders"])
def test_j_5_an_empty_list_or_object_that_is_required_is_a_deviation(
    request_of: RequestOf, field: str
) -> None:
    empty: Any = [] if field == "selections" else {}
    body = request_of("order-select", **{field: empty})

    assert parse_request(body).context[field] == empty
    assert wrong(body, strict=True) == [f"$.context.{field}"]


@pytest.mark.parametrize("orders", ["x", 7, [{}]])
def test_q_8_draft_orders_that_are_no_object_are_refused(
    request_of: RequestOf, orders: Any
) -> None:
    assert wrong(request_of("order-sign", draftOrders=orders)) == [
        "$.context.draftOrders"
    ]


def test_q_9_every_wrong_selection_is_named_up_to_ten(request_of: RequestOf) -> None:
    some = ["MedicationRequest/1", "no reference", 7]
    many = [None] * 1000

    assert wrong(request_of("order-select", selections=some)) == [
        "$.context.selections[1]",
        "$.context.selections[2]",
    ]
    assert len(wrong(request_of("order-select", selections=many))) == 10
    assert wrong(request_of("order-select", selections={})) == ["$.context.selections"]


def test_h_7_a_selection_without_its_order_is_read(request_of: RequestOf) -> None:
    body = request_of("order-select", selections=["MedicationRequest/undefined"])

    assert parse_request(body, strict=True).context["selections"] == [
        "MedicationRequest/undefined"
    ]


TASK = {"resourceType": "Task", "id": "1"}
DRUG = {"resourceType": "MedicationRequest", "id": "1"}
ALLERGY = {"resourceType": "AllergyIntolerance", "id": "1"}
ALLERGIES = {"resourceType": "Bundle", "entry": [{"resource": ALLERGY}]}


@pytest.mark.parametrize(
    ("hook", "left_out", "sent", "read"),
    [
        (
            "order-dispatch",
            "dispatchedOrders",
            {"order": "ServiceRequest/1"},
            {"dispatchedOrders": ["ServiceRequest/1"]},
        ),
        ("order-dispatch", "", {"task": TASK}, {"fulfillmentTasks": [TASK]}),
        (
            "order-dispatch",
            "",
            {"fulfillment-tasks": [TASK]},
            {"fulfillmentTasks": [TASK]},
        ),
        ("medication-verify", "medication", {"order": DRUG}, {"medication": DRUG}),
        (
            "medication-verify",
            "medication",
            {"order": {"resource": DRUG}},
            {"medication": DRUG},
        ),
        (
            "medication-verify",
            "",
            {"medication": {"resource": DRUG}},
            {"medication": DRUG},
        ),
        (
            "allergyintolerance-create",
            "",
            {"allergyIntolerance": {"resource": ALLERGY}},
            {"allergyIntolerance": ALLERGY},
        ),
        (
            "allergyintolerance-create",
            "allergyIntolerance",
            {"allergyIntolerances": ALLERGIES},
            {"allergyIntolerance": ALLERGIES},
        ),
    ],
)
def test_a13_to_a15_other_spellings_are_read_as_the_published_one(
    request_of: RequestOf, hook: str, left_out: str, sent: Json, read: Json
) -> None:
    body = request_of(hook, **sent)
    body["context"].pop(left_out, None)

    call = parse_request(body)

    assert read.items() <= call.context.items()
    assert (sent.keys() - read.keys()).isdisjoint(call.context)
    assert call.deviations != ()
    assert {each.split(".")[1] for each in wrong(body, strict=True)} == {"context"}


def test_a13_the_published_spelling_wins_over_the_older_one(
    request_of: RequestOf,
) -> None:
    body = request_of("order-dispatch", order="ServiceRequest/old")

    read = parse_request(body, strict=True)

    assert read.context["dispatchedOrders"] == ["ServiceRequest/proc002"]


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("performer", ["Organization/1"], "performer"),
        ("dispatchedOrders", "no reference", "dispatchedOrders"),
        ("dispatchedOrders", 7, "dispatchedOrders"),
        ("fulfillmentTasks", "x", "fulfillmentTasks"),
        ("fulfillmentTasks", [TASK, 7], "fulfillmentTasks[1]"),
    ],
)
def test_q_8_a_field_of_the_wrong_kind_is_named(
    request_of: RequestOf, field: str, value: Any, where: str
) -> None:
    body = request_of("order-dispatch", **{field: value})

    assert wrong(body) == [f"$.context.{where}"]


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("dispatchedOrders", "ServiceRequest/1", ["ServiceRequest/1"]),
        ("fulfillmentTasks", TASK, [TASK]),
    ],
)
def test_a13_one_where_an_array_is_meant_is_a_deviation(
    request_of: RequestOf, field: str, sent: Any, read: Any
) -> None:
    body = request_of("order-dispatch", **{field: sent})

    assert parse_request(body).context[field] == read
    assert wrong(body, strict=True) == [f"$.context.{field}"]


def test_a14_a_resource_that_has_a_member_called_resource_is_no_wrapper(
    request_of: RequestOf,
) -> None:
    medication = {"resourceType": "MedicationRequest", "resource": {"id": "2"}}
    body = request_of("medication-verify", medication=medication)

    assert parse_request(body, strict=True).context["medication"] == medication


@pytest.mark.parametrize("member", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize(("value", "missing"), [(None, True), (7, False)])
def test_what_is_missing_is_told_from_what_is_wrong(
    r0: Json, member: str, value: Any, missing: bool
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request({**r0, member: value})

    (problem,) = refused.value.problems
    assert (problem.text == f"$.{member}: required") is missing


def test_what_is_read_leaves_the_body_as_it_was(r0: Json) -> None:
    r0["context"]["patientId"] = "Patient/1"

    parse_request(r0)

    assert r0["context"]["patientId"] == "Patient/1"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = ["hook", "hookInstance", "fhirServer", "context", "prefetch"]
FIELDS = sorted({field.name for hook in HOOKS.values() for field in hook.fields})
GRANTS = ["access_token", "token_type", "expires_in", "scope", "subject", "patient"]


@pytest.mark.slow
@settings(max_examples=150)
@given(
    body=ANY_JSON
    | st.fixed_dictionaries(
        {},
        optional={
            **{name: ANY_JSON for name in MEMBERS},
            "hook": st.sampled_from(sorted(HOOKS)) | ANY_JSON,
            "context": st.dictionaries(st.sampled_from(FIELDS), ANY_JSON) | ANY_JSON,
            "fhirAuthorization": st.dictionaries(st.sampled_from(GRANTS), ANY_JSON),
            "prefetch": st.dictionaries(
                st.text(),
                st.fixed_dictionaries({"response": ANY_JSON, "resource": ANY_JSON})
                | st.fixed_dictionaries(
                    {"response": st.fixed_dictionaries({"status": ANY_JSON})}
                ),
            ),
        },
    ),
    strict=st.booleans(),
)
def test_any_json_is_read_or_refused_with_a_place(body: Any, strict: bool) -> None:
    try:
        read = parse_request(body, strict=strict)
    except InvalidRequest as refused:
        assert all(each.expression.startswith("$") for each in refused.problems)
    else:
        texts = (read.patient_id, read.user_id or "", read.encounter_id or "")
        assert all(isinstance(each, str) for each in texts)


@settings(max_examples=60)
@given(
    field=st.sampled_from(FIELDS),
    value=ANY_JSON,
    hook=st.sampled_from(sorted(HOOKS)),
    where=st.sampled_from(["context", "fhirAuthorization", "prefetch"]),
)
def test_strict_refuses_exactly_what_is_forgiven_otherwise(
    field: str, value: Any, hook: str, where: str
) -> None:
    body = {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"patientId": "1", "userId": "A/1", "encounterId": "1"},
        where: {"patientId": "1", "userId": "A/1", field: value},
    }

    def deviations(strict: bool) -> tuple[str, ...] | None:
        try:
            return parse_request(body, strict=strict).deviations
        except InvalidRequest:
            return None

    lenient = deviations(strict=False)
    assert deviations(strict=True) == (() if lenient == () else None)
