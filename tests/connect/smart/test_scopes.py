"""Scopes: no more is asked for than is read, and what is not granted is named."""

import pytest

from cds_service.connect.smart import Provider, ProviderKind, resources_of
from cds_service.connect.smart.configuration import SignInConfiguration
from cds_service.connect.smart.context import read_user
from cds_service.connect.smart.scopes import not_granted, scopes_to_ask
from cds_service.http.addresses import ListedServer
from cds_service.trust import SmartApp, TrustedClient

from ...shipped import rulebook

BASE = "https://ehr.example/fhir"
EHR = Provider("ehr", ListedServer(BASE), SmartApp("us"))
NEWER = SignInConfiguration("a", "t", newer_scopes=True)
OLDER = SignInConfiguration("a", "t")


def asked(
    configuration: SignInConfiguration = NEWER,
    scopes: str = "auto",
    launched: bool = True,
) -> list[str]:
    provider = Provider("ehr", ListedServer(BASE), SmartApp("us", scopes=scopes))
    told = scopes_to_ask(provider, configuration, ["Observation"], launched=launched)
    return list(told)


def test_the_newer_scopes_are_asked_for_where_they_are_understood() -> None:
    assert asked()[-2:] == ["patient/Patient.rs", "patient/Observation.rs"]
    assert asked(OLDER)[-2:] == ["patient/Patient.read", "patient/Observation.read"]


def test_a_site_may_say_which_kind_is_understood() -> None:
    assert asked(NEWER, "v1")[-1] == "patient/Observation.read"
    assert asked(OLDER, "v2")[-1] == "patient/Observation.rs"


def test_no_absent_user_is_asked_for() -> None:
    assert asked()[:4] == ["launch", "openid", "fhirUser", "online_access"]
    assert not any("offline_access" in each for each in asked())


def test_of_a_page_that_no_ehr_has_opened_no_token_is_renewed() -> None:
    assert "online_access" not in asked(launched=False)


def test_an_openid_provider_is_asked_who_it_is_and_nothing_of_patients() -> None:
    provider = Provider("wb", EHR.server, EHR.app, ProviderKind.OIDC)

    told = scopes_to_ask(provider, NEWER, ["Observation"], launched=False)

    assert told == ("openid", "profile")


def test_what_is_read_is_what_the_services_of_the_client_read() -> None:
    client = TrustedClient("ehr", "north", "i")

    assert resources_of(rulebook(), client) == (
        *("Condition", "Medication", "MedicationRequest", "MedicationStatement"),
        *("Observation", "Patient"),
    )


def test_of_a_client_without_a_service_for_charts_the_patient_alone_is_read() -> None:
    client = TrustedClient("ehr", "north", "i", services=("another",))

    assert resources_of(rulebook(), client) == ("Patient",)


@pytest.mark.parametrize(
    ("asked_for", "granted", "missing"),
    [
        ("patient/Observation.rs", "patient/Observation.rs", ""),
        ("patient/Observation.rs", "patient/Observation.read", ""),
        ("patient/Observation.read", "patient/Observation.rs", ""),
        ("patient/Observation.rs", "patient/*.read", ""),
        ("patient/Observation.rs", "patient/*.cruds", ""),
        ("patient/Observation.rs", "user/Observation.r", ""),
        ("patient/Observation.rs", "patient/Observation.s", ""),
        ("patient/Observation.rs", "patient/Observation.c", "patient/Observation.rs"),
        ("patient/Observation.rs", "patient/Condition.rs", "patient/Observation.rs"),
        ("launch openid", "launch", "openid"),
        ("launch openid", "", "launch openid"),
    ],
)
def test_what_was_not_granted(asked_for: str, granted: str, missing: str) -> None:
    told = not_granted(asked_for.split(), granted.split())

    assert told == tuple(missing.split())


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"fhirUser": "Practitioner/7"}, "Practitioner/7"),
        ({"fhirUser": f"{BASE}/Practitioner/7"}, "Practitioner/7"),
        ({"fhirUser": f"{BASE}/PractitionerRole/7"}, "PractitionerRole/7"),
        ({"fhirUser": "https://o.example/Person/1"}, "https://o.example/Person/1"),
        ({"profile": f"{BASE}/Practitioner/7"}, "Practitioner/7"),
        ({"profile": "https://people.example/jane"}, None),
        ({"fhirUser": 7}, None),
        ({"fhirUser": ""}, None),
        ({"fhirUser": "x" * 5000}, None),
        ({}, None),
    ],
)
def test_who_the_user_is(claims: dict[str, object], user: str | None) -> None:
    assert read_user(claims, BASE) == user
