"""Clients: what exists for whom."""

import pytest

from cds_service.trust import TrustedClient


@pytest.mark.parametrize(
    ("services", "service", "may"),
    [
        ((), "wearable-review", True),
        (("wearable-review",), "wearable-review", True),
        (("wearable-review", "order-check"), "order-check", True),
        (("wearable-review",), "order-check", False),
    ],
)
def test_a_client_may_call_every_service_or_those_that_are_listed_for_it(
    services: tuple[str, ...], service: str, may: bool
) -> None:
    client = TrustedClient("sandbox", "default", "", services=services)

    assert client.may_call(service) is may
