"""A patient agrees, is shown what their watch told, and withdraws."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from threading import Event
from typing import Any

import pytest

from ..waiting import until

pytestmark = pytest.mark.slow

Server = Any
Chart = Any
OpenChart = Callable[[Server], Chart]
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """Two workers that show and store nothing without a consent."""
    running = start_server(workers="2", wearables_consent="required")
    yield running
    assert running.breaks() == []


def consent(patient: str, *actions: str, status: str = "active") -> dict[str, Any]:
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    return {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {"lastUpdated": datetime.now(UTC).isoformat()},
        "status": status,
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": "permit", "action": named},
    }


def summaries(server: Server, chart: Chart) -> list[str]:
    """What the chart shows."""
    reply = server.call(chart.request())
    assert reply.status == 200, reply.body
    return [card["summary"] for card in reply.json["cards"]]


def test_from_no_consent_to_a_card_and_back(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    patient, alerts = chart.case.name, chart.case.alerts["alerts"]
    assert server.deliver(alerts, f"{patient}-1").status_code == 403

    told = server.tell(consent(patient, "collect"), f"{patient}-2")
    assert (told.status_code, told.json()["results"][0]["permits"]) == (
        202,
        ["collect"],
    )
    assert server.deliver(alerts, f"{patient}-1").status_code == 202
    assert summaries(server, chart) == []

    server.tell(consent(patient, "collect", "use"), f"{patient}-3")
    (summary,) = summaries(server, chart)
    assert summary.startswith("Irregular rhythm")

    withdrawn = consent(patient, "collect", "use", status="inactive")
    assert server.tell(withdrawn, f"{patient}-4").status_code == 202
    assert [summaries(server, chart) for _ in range(8)] == [[]] * 8
    assert server.deliver(alerts, f"{patient}-5").status_code == 403


def test_what_begins_after_a_withdrawal_was_acknowledged_heeds_it(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    patient = chart.case.name
    (alert,) = chart.case.alerts["alerts"]
    server.tell(consent(patient, "collect", "use"), f"{patient}-1")
    withdrawn, over = Event(), Event()
    delivered: list[int] = []
    shown: list[int] = []

    def deliver(sender: int) -> None:
        numbers = count()
        while not over.is_set():
            after, name = withdrawn.is_set(), f"{patient}-{sender}-{next(numbers)}"
            status = server.deliver([{**alert, "id": name}], name).status_code
            if after:
                delivered.append(status)

    def look(reader: int) -> None:
        while not over.is_set():
            after, reply = withdrawn.is_set(), server.call(chart.request())
            if after:
                shown.append(len(reply.json["cards"]) if reply.status == 200 else 0)

    with ThreadPoolExecutor(6) as crowd:
        busy = [crowd.submit(deliver, each) for each in range(3)]
        busy += [crowd.submit(look, each) for each in range(3)]
        try:
            until(lambda: len(server.rows("select id from wearable_alerts")) >= 5)
            gone = consent(patient, "collect", "use", status="inactive")
            assert server.tell(gone, f"{patient}-2").status_code == 202
            withdrawn.set()
            until(lambda: min(len(delivered), len(shown)) >= 20)
        finally:
            over.set()
        for each in busy:
            each.result()

    assert (set(delivered), set(shown)) == ({403}, {0})
    lasting = f"select 1 from wearable_alerts where patient_id = '{patient}'"
    assert server.rows(f"{lasting} and status = 'open'") == []
