"""A path has one way to be written: no other leads past what a proxy was told."""

from typing import Any

import pytest

Caller = Any


@pytest.mark.parametrize(
    "path",
    [
        "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json",
        "/cds-services", "/cds-services/", "/metrics?a=%2e",
    ],
)  # fmt: skip
def test_a_path_as_it_is_documented_is_answered(ehr: Caller, path: str) -> None:
    assert ehr.http.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//metrics", "/%6detrics", "/%6Detrics", "/metrics/", "/metrics//", "/METRICS",
        "/./metrics", "/metrics/.", "/%2e/metrics", "/%2e%2e/metrics", "/x/../metrics",
        "/health/../metrics", "/metrics%2f", "/metrics%00", "/metrics%20", "/metrics;a",
        "/;/metrics", "/%2fmetrics", "/\\metrics", "/health/", "/%68ealth", "//health",
        "/health/live/", "/health%2flive", "/health/ready/", "/health//ready",
        "/openapi.json/", "/%63ds-services", "/cds%2dservices", "//cds-services",
        "/cds-services/%2e%2e/metrics",
    ],
)  # fmt: skip
def test_a_path_that_is_written_otherwise_is_no_path(ehr: Caller, path: str) -> None:
    answer = ehr.http.get(path)

    assert answer.status_code == 404
    assert answer.json["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "path", ["/wearables/v1/%61lerts", "//wearables/v1/alerts", "/wearables//v1/alerts"]
)
def test_a_delivery_has_one_path_as_well(ehr: Caller, path: str) -> None:
    assert ehr.http.post(path, json={}).status_code == 404


@pytest.mark.parametrize("half", ["\ud800", "a\udfffb", "\udc80"])
def test_a_jti_with_half_a_character_is_401_and_audited(
    ehr: Caller, request_body: dict[str, Any], half: str
) -> None:
    token = ehr.token("/cds-services/wearable-review", jti=half)
    answer = ehr.call(request_body, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    (refused,) = (each for each in ehr.audited() if each["kind"] == "refusal")
    assert refused["reason"] == "jti holds half a character"
