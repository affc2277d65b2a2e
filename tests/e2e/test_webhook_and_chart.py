"""What a watch told is in the next chart, once, and outlives a crash."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import requests

from ..waiting import until

Server = Any
Chart = Any
OpenChart = Callable[[Server], Chart]


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """Two workers, trust on, and one database from the first test to the last."""
    running = start_server(workers="2")
    yield running
    assert running.breaks() == []


def summaries(server: Server, chart: Chart) -> list[str]:
    """What the chart shows."""
    reply = server.call(chart.request())
    assert reply.status == 200, reply.body
    return [card["summary"] for card in reply.json["cards"]]


def test_an_alert_that_arrives_is_in_the_next_chart_and_not_before(
    server: Server, open_chart: OpenChart
) -> None:
    chart, other = open_chart(server), open_chart(server)
    assert summaries(server, chart) == []

    delivered = server.deliver(chart.case.alerts["alerts"], chart.case.name)

    assert delivered.status_code == 202
    assert (delivered.json()["accepted"], delivered.json()["rejected"]) == (1, 0)
    (summary,) = summaries(server, chart)
    assert summary.startswith("Irregular rhythm")
    assert summaries(server, other) == []


def test_the_same_delivery_again_has_the_same_answer_and_one_alert(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    alerts, name = chart.case.alerts["alerts"], chart.case.name
    first = server.deliver(alerts, name)
    shown = summaries(server, chart)

    with ThreadPoolExecutor(8) as senders:
        again = list(senders.map(lambda _: server.deliver(alerts, name), range(8)))

    assert {(each.status_code, each.text) for each in again} == {(202, first.text)}
    assert summaries(server, chart) == shown
    stored = f"select id from wearable_alerts where patient_id = '{name}'"
    assert len(server.rows(stored)) == 1


def test_the_first_of_many_at_once_is_stored_and_the_others_hear_of_it(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    alerts, name = chart.case.alerts["alerts"], chart.case.name

    with ThreadPoolExecutor(8) as senders:
        replies = list(senders.map(lambda _: server.deliver(alerts, name), range(8)))

    assert {each.status_code for each in replies} <= {202, 409}
    assert len({each.text for each in replies if each.status_code == 202}) == 1
    assert len(summaries(server, chart)) == 1


def test_what_was_acknowledged_is_there_after_a_crash(
    server: Server, open_chart: OpenChart
) -> None:
    charts = [open_chart(server) for _ in range(3)]
    shown = [summaries(server, chart) for chart in charts]
    assert shown == [[], [], []]

    replies = [
        server.deliver(chart.case.alerts["alerts"], chart.case.name) for chart in charts
    ]
    server.kill()
    assert [each.status_code for each in replies] == [202] * 3
    server.start()

    for chart, reply in zip(charts, replies, strict=True):
        (summary,) = summaries(server, chart)
        assert summary.startswith("Irregular rhythm")
        again = server.deliver(chart.case.alerts["alerts"], chart.case.name)
        assert (again.status_code, again.text) == (202, reply.text)
    assert sorted(server.recorded()) == sorted(server.answered)


def test_a_crash_in_the_middle_of_deliveries_loses_none_that_was_acknowledged(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    (alert,) = chart.case.alerts["alerts"]
    acknowledged: list[str] = []

    def deliver_until_the_end(sender: int) -> None:
        with suppress(requests.RequestException):
            for number in count():
                name = f"{chart.case.name}-{sender}-{number}"
                reply = server.deliver([{**alert, "id": name}], name)
                assert reply.status_code == 202
                acknowledged.append(name)

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(deliver_until_the_end, each) for each in range(4)]
        until(lambda: len(acknowledged) >= 20 or all(each.done() for each in sending))
        server.kill()
        for each in sending:
            each.result()
    server.start()

    stored = {row[0] for row in server.rows("select id from wearable_alerts")}
    assert len(acknowledged) >= 20
    assert set(acknowledged) <= stored
    assert len(summaries(server, chart)) == 1
