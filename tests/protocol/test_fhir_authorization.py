"""The token that comes with a call, and for whom it is."""

from typing import Any

import pytest

from cds_service.protocol.errors import InvalidRequest, WrongPatient
from cds_service.protocol.requests import parse_request

from .conftest import wrong

Json = dict[str, Any]


def test_q_5_a_token_needs_the_server_that_it_is_for(authorized: Json) -> None:
    del authorized["fhirServer"]

    assert wrong(authorized) == ["$.fhirServer"]


@pytest.mark.parametrize("field", ["access_token", "token_type", "scope", "subject"])
@pytest.mark.parametrize("value", ["left out", 7])
def test_a_2_every_required_member_of_the_authorization_is_named(
    authorized: Json, field: str, value: Any
) -> None:
    authorized["fhirAuthorization"][field] = value
    if value == "left out":
        del authorized["fhirAuthorization"][field]

    assert wrong(authorized) == [f"$.fhirAuthorization.{field}"]


@pytest.mark.parametrize("field", ["token_type", "scope", "subject"])
@pytest.mark.parametrize("value", ["", None])
def test_a_2_a_required_member_may_not_be_empty(
    authorized: Json, field: str, value: Any
) -> None:
    authorized["fhirAuthorization"][field] = value

    assert wrong(authorized) == [f"$.fhirAuthorization.{field}"]


@pytest.mark.parametrize("value", [[], "x", 7])
def test_a_2_an_authorization_that_is_no_object_is_refused(
    r0: Json, value: Any
) -> None:
    assert wrong({**r0, "fhirAuthorization": value}) == ["$.fhirAuthorization"]


@pytest.mark.parametrize("token", ["a\r\nHost: x", "a b", "töken", "\x00"])
def test_a_2_a_token_that_breaks_a_header_is_refused(
    authorized: Json, token: str
) -> None:
    authorized["fhirAuthorization"]["access_token"] = token

    assert wrong(authorized) == ["$.fhirAuthorization.access_token"]


@pytest.mark.parametrize(
    ("sent", "read"), [("3600", 3600), ("-1", -1), (None, None), ("", None)]
)
def test_a_2_a_lifetime_that_is_missing_or_a_string_is_a_deviation(
    authorized: Json, sent: Any, read: int | None
) -> None:
    authorized["fhirAuthorization"]["expires_in"] = sent

    call = parse_request(authorized)

    assert call.fhir_authorization is not None
    assert call.fhir_authorization.expires_in == read
    assert len(call.deviations) == 1
    assert wrong(authorized, strict=True) == ["$.fhirAuthorization.expires_in"]


@pytest.mark.parametrize("sent", [0, -5, 300.0, 2**31 - 1])
def test_a_12_any_whole_number_of_seconds_is_read(authorized: Json, sent: Any) -> None:
    authorized["fhirAuthorization"]["expires_in"] = sent

    read = parse_request(authorized, strict=True).fhir_authorization

    assert read is not None
    assert read.expires_in == sent


@pytest.mark.parametrize(
    "sent", [True, 1.5, float("inf"), float("nan"), "soon", "9" * 5000, 2**31, [], {}]
)
def test_a_2_a_lifetime_that_is_no_number_is_refused(
    authorized: Json, sent: Any
) -> None:
    authorized["fhirAuthorization"]["expires_in"] = sent

    assert wrong(authorized) == ["$.fhirAuthorization.expires_in"]


def test_a_2_bearer_in_other_letters_is_a_deviation(authorized: Json) -> None:
    authorized["fhirAuthorization"]["token_type"] = "bearer"

    assert parse_request(authorized).fhir_authorization is not None
    assert wrong(authorized, strict=True) == ["$.fhirAuthorization.token_type"]


@pytest.mark.parametrize("token", ["", "  ", None])
def test_an_empty_token_is_no_authorization(r0: Json, token: str | None) -> None:
    body = {**r0, "fhirAuthorization": {"access_token": token}}

    read = parse_request(body)

    assert read.fhir_authorization is None
    assert len(read.deviations) == 1
    assert wrong(body, strict=True) == ["$.fhirAuthorization.access_token"]


def test_a_3_the_token_is_not_in_what_is_printed_of_a_request(authorized: Json) -> None:
    assert "some-opaque-fhir-access-token" not in repr(parse_request(authorized))


@pytest.mark.parametrize("patient", ["1288992", "Patient/1288992"])
def test_a_10_a_token_for_the_patient_of_the_context_is_taken(
    authorized: Json, patient: str
) -> None:
    authorized["fhirAuthorization"]["patient"] = patient

    read = parse_request(authorized).fhir_authorization

    assert read is not None
    assert read.patient == "1288992"


@pytest.mark.parametrize("patient", [None, ""])
def test_a_2_a_token_may_name_no_patient(authorized: Json, patient: str | None) -> None:
    plain = parse_request(authorized)
    authorized["fhirAuthorization"]["patient"] = patient

    assert parse_request(authorized, strict=True) == plain


def test_a_10_without_a_patient_in_the_context_nobody_is_another(
    authorized: Json,
) -> None:
    authorized["fhirAuthorization"]["patient"] = "2"
    del authorized["context"]["patientId"]

    with pytest.raises(InvalidRequest) as refused:
        parse_request(authorized)

    assert not isinstance(refused.value, WrongPatient)


@pytest.mark.parametrize("token", ["some-opaque-fhir-access-token", ""])
def test_a_10_a_token_for_another_patient_is_refused(
    authorized: Json, token: str
) -> None:
    authorized["fhirAuthorization"].update(patient="2", access_token=token)

    with pytest.raises(WrongPatient) as refused:
        parse_request(authorized)

    (problem,) = refused.value.problems
    assert problem.expression == "$.fhirAuthorization.patient"


def test_a_10_the_other_wrong_fields_are_named_beside_another_patient(
    authorized: Json,
) -> None:
    authorized["fhirAuthorization"]["patient"] = "2"
    authorized["prefetch"] = 1

    with pytest.raises(WrongPatient) as refused:
        parse_request(authorized)

    assert [each.expression for each in refused.value.problems] == [
        "$.prefetch",
        "$.fhirAuthorization.patient",
    ]


@pytest.mark.parametrize("member", ["access_token", "token_type", "scope", "subject"])
@pytest.mark.parametrize(("value", "missing"), [("left out", True), (7, False)])
def test_a_2_what_is_missing_is_told_from_what_is_wrong(
    authorized: Json, member: str, value: Any, missing: bool
) -> None:
    authorized["fhirAuthorization"][member] = value
    if missing:
        del authorized["fhirAuthorization"][member]

    with pytest.raises(InvalidRequest) as refused:
        parse_request(authorized)

    (problem,) = refused.value.problems
    assert (problem.text == f"$.fhirAuthorization.{member}: required") is missing
