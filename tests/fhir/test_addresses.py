"""FHIR servers' addresses."""

import pytest

from cds_service.fhir.addresses import parse_base, resolve


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://EHR.example/fhir/", "https://ehr.example/fhir"),
        ("https://ehr.example:443/fhir", "https://ehr.example/fhir"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
    ],
)
def test_a_base_has_one_way_to_be_written(text, written):
    assert str(parse_base(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ehr.example/fhir",
        "ftp://ehr.example/fhir",
        "https:///fhir",
        "https://a:b@ehr.example/fhir",
        "https://ehr.example/fhir?x=y",
        "https://ehr.example/fhir#x",
        "https://ehr.example/fhir/..",
        "https://ehr.example/fhir/%2E%2e/x",
        "https://ehr.example/a%2f..%2fb",
        "https://ehr.example:0/fhir",
        "https://ehr.example:x/fhir",
        "https://ehr .example/fhir",
        "https://ehr.example\\@evil/fhir",
        "https://ehr\u2024example/fhir",
        "https://[::1/fhir",
    ],
)
def test_a_13_what_is_no_plain_address_is_no_base(text):
    assert parse_base(text) is None


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("/fhir/Condition?page=2", "https://ehr.example/fhir/Condition?page=2"),
        ("https://EHR.example:443/fhir?c=1#x", "https://ehr.example/fhir?c=1"),
        ("https://ehr.example/other?c=1", None),
        ("https://ehr.example/fhirs", None),
        ("../x", None),
    ],
)
def test_p_17_a_link_is_rebuilt_on_the_base_or_refused(link, target):
    base = parse_base("https://ehr.example/fhir")

    assert resolve(base, link, "https://ehr.example/fhir/Condition?a=b") == target


def test_a_base_without_a_path_holds_every_path():
    base = parse_base("http://ehr.example")

    assert resolve(base, "/Condition?a=b", str(base)) == (
        "http://ehr.example/Condition?a=b"
    )
