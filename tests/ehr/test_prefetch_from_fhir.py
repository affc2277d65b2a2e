from typing import Any

import pytest

from cds_service.ehr.fixture_server import load_records, serve_records
from cds_service.ehr.prefetch import FhirSource, Unread
from cds_service.http.addresses import parse_base

TOKEN = "secret"


def source(base: str, token: str = "", all_pages: bool = False) -> FhirSource:
    parsed = parse_base(base)
    assert parsed
    return FhirSource(parsed, token, all_pages)


def chart(count: int) -> dict[str, Any]:
    rows = [
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "subject": {"reference": "Patient/1"},
        }
        for number in range(count)
    ]
    return {"resourceType": "Bundle", "entry": [{"resource": each} for each in rows]}


def test_one_page_comes_with_its_next_link_or_all_pages_without() -> None:
    with serve_records(load_records([chart(5)]), page_size=2) as server:
        _, first = source(server.base).fetch("Condition?patient=1")
        _, whole = source(server.base, all_pages=True).fetch("Condition?patient=1")

    assert (len(first["entry"]), first["link"][0]["relation"]) == (2, "next")
    assert len(whole["entry"]) == 5 and "link" not in whole


def test_the_token_goes_along() -> None:
    with serve_records(load_records([chart(1)]), token=TOKEN) as server:
        assert source(server.base, TOKEN).fetch("Condition?patient=1")[0] == 200
        assert source(server.base).fetch("Condition?patient=1")[0] == 401


def test_a_page_elsewhere_is_not_asked_for_and_stays_a_link() -> None:
    with serve_records(load_records([chart(5)]), page_size=2) as other:
        foreign = f"{other.base}/Condition?patient=1&_offset=2"
        bundle = {
            "resourceType": "Bundle",
            "link": [{"relation": "next", "url": foreign}],
        }
        own = source("http://127.0.0.1:1/fhir", TOKEN, all_pages=True)
        own._follow("http://127.0.0.1:1/fhir/Condition?patient=1", bundle)

    assert other.seen == []
    assert bundle["link"] == [{"relation": "next", "url": foreign}]


@pytest.mark.parametrize("query", ["../admin", "//127.0.0.2/fhir/Patient/1"])
def test_a_query_cannot_leave_the_server(query: str) -> None:
    with pytest.raises(Unread, match="leads away"):
        source("http://127.0.0.1:1/fhir", TOKEN).fetch(query)


def test_a_server_that_is_not_there_is_said_so() -> None:
    with pytest.raises(Unread, match="Nothing answers"):
        source("http://127.0.0.1:1/fhir").fetch("Patient/1")


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(source("http://127.0.0.1:1/fhir", TOKEN))


def test_a_server_that_keeps_its_answers_is_asked_for_what_is_so_now(
    serve: Any,
) -> None:
    ehr = serve([chart(1)["entry"][0]["resource"]])
    ehr.kept = {}
    source(ehr.base).fetch("Condition?patient=1")
    ehr.resources = []

    assert source(ehr.base).fetch("Condition?patient=1")[1]["entry"] == []
