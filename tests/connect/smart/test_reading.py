"""Who a role belongs to, as the EHR says where it lets us read that; else nobody's."""

from collections.abc import Mapping
from typing import Any

import pytest

from cds_service.connect.smart import SignedIn, is_same_person

from ...smart_server import PATIENT
from .conftest import Attempt, Clinic

ROLE = {
    "resourceType": "PractitionerRole",
    "id": "9",
    "practitioner": {"reference": "Practitioner/7"},
}
NAMED = "PractitionerRole/9"
GET = "GET /fhir/PractitionerRole/9"


def sign_in(clinic: Clinic, user: str = "Practitioner/7") -> tuple[Clinic, SignedIn]:
    """Somebody at an EHR whose calls name users by their roles."""
    clinic = clinic.app(practitioner_roles=True)
    signed_in = clinic.sign_in(clinic.server.launch(user=user))
    clinic.server.seen()
    return clinic, signed_in


def is_same(clinic: Clinic, signed_in: SignedIn, named: str = NAMED) -> bool:
    return is_same_person(clinic.desk.pool, clinic.provider, named, signed_in)


def holding(clinic: Clinic, role: Mapping[str, Any]) -> None:
    """Have the EHR answer so where that role is read."""
    clinic.server._control("chart", {"Patient/p1": PATIENT, NAMED: role})


@pytest.mark.parametrize("absolute", [False, True])
def test_a_role_belongs_to_whom_it_names_as_its_practitioner(
    clinic: Clinic, absolute: bool
) -> None:
    base = f"{clinic.server.base}/" if absolute else ""
    holding(clinic, {**ROLE, "practitioner": {"reference": f"{base}Practitioner/7"}})
    clinic, signed_in = sign_in(clinic)

    assert is_same(clinic, signed_in)
    assert clinic.server.seen() == [GET]


def test_who_signs_in_by_a_role_is_whom_that_role_names(clinic: Clinic) -> None:
    holding(clinic, ROLE)
    clinic, signed_in = sign_in(clinic, user=NAMED)

    assert is_same(clinic, signed_in, "Practitioner/7")
    assert not is_same(clinic, signed_in, "Practitioner/8")


@pytest.mark.parametrize(
    "practitioner",
    [
        {"reference": "Practitioner/8"},
        {"reference": "https://other.example/fhir/Practitioner/7"},
        {"reference": "Practitioner/7/_history/1"},
        {"reference": "#Practitioner/7"},
        {"reference": ["Practitioner/7"]},
        {"identifier": {"value": "Practitioner/7"}},
        {"display": "Practitioner/7"},
        "Practitioner/7",
        None,
    ],
)
def test_a_role_of_somebody_else_or_nobody_makes_nobody_the_same(
    clinic: Clinic, practitioner: object
) -> None:
    holding(clinic, {**ROLE, "practitioner": practitioner})
    clinic, signed_in = sign_in(clinic)

    assert not is_same(clinic, signed_in)


@pytest.mark.parametrize(
    "read",
    [
        {**ROLE, "active": False},
        {**ROLE, "id": "10"},
        {**ROLE, "resourceType": "Practitioner"},
        {"resourceType": "OperationOutcome"},
        ["no resource"],
        None,
    ],
)
def test_what_is_not_that_role_makes_nobody_the_same(clinic: Clinic, read: Any) -> None:
    holding(clinic, read)
    clinic, signed_in = sign_in(clinic)

    assert not is_same(clinic, signed_in)


def test_a_role_that_may_not_be_read_is_not_asked_for(clinic: Clinic) -> None:
    holding(clinic, ROLE)
    clinic.server.set(drop=["user/PractitionerRole.r"])
    clinic, signed_in = sign_in(clinic)

    assert not is_same(clinic, signed_in)
    assert clinic.server.seen() == []
    assert signed_in.refused == ("user/PractitionerRole.r",)


def test_an_ehr_that_does_not_give_the_role_makes_nobody_the_same(
    clinic: Clinic,
) -> None:
    holding(clinic, ROLE)
    clinic, signed_in = sign_in(clinic)
    clinic.server.set(refuses=["PractitionerRole"])

    assert not is_same(clinic, signed_in)


@pytest.mark.parametrize(
    "named",
    [
        "PractitionerRole/../Practitioner/7",
        "https://other.example/PractitionerRole/9",
        "PractitionerRole/9?x",
        "PractitionerRole",
        "Person/9",
        "Practitioner/8",
        "",
    ],
)
def test_who_is_named_in_another_way_is_nobody_and_not_asked_for(
    clinic: Clinic, named: str
) -> None:
    holding(clinic, ROLE)
    clinic, signed_in = sign_in(clinic)

    assert not is_same(clinic, signed_in, named)
    assert clinic.server.seen() == []


@pytest.mark.parametrize("user", ["", "Patient/p1", "https://other.example/Person/1"])
def test_a_user_who_is_no_practitioner_has_no_role(clinic: Clinic, user: str) -> None:
    holding(clinic, ROLE)
    clinic, signed_in = sign_in(clinic, user)

    assert not is_same(clinic, signed_in)
    assert clinic.server.seen() == []


def test_a_role_is_asked_for_in_the_words_of_the_server(clinic: Clinic) -> None:
    named = clinic.app(practitioner_roles=True)

    assert named.begin("xyz").pending.scopes[-1] == "user/PractitionerRole.r"
    older = named.app(scopes="v1").begin("xyz")
    assert older.pending.scopes[-1] == "user/PractitionerRole.read"
    assert "PractitionerRole" not in str(clinic.begin("xyz").pending.scopes)


def test_a_server_that_leads_elsewhere_gets_the_token_nowhere_else(
    against: Attempt,
) -> None:
    against.ehr.token = {"scope": "launch patient/Patient.rs user/PractitionerRole.r"}
    location = f"{against.ehr.origin}/evil"
    against.ehr.tell("/fhir/PractitionerRole/9", ROLE, 307, Location=location)
    signed_in = against.sign_in()

    pool, provider = against.desk.pool, against.provider
    assert not is_same_person(pool, provider, NAMED, signed_in)
    assert "/evil" not in against.ehr.paths()
