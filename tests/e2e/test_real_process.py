"""Bad input over real sockets: the right status, no word too many, no worker lost.

What was answered is recorded, what was refused is not, and nothing is there by half.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ..waiting import PATIENCE, until, was_read

pytestmark = pytest.mark.slow

SERVICE = "/cds-services/wearable-review"
ALERTS = "/wearables/v1/alerts"
FAULTS = ("hang", "half", "html", "error", "loop", "redirect")
TOKEN = "only-for-the-ehrs-own-server"
DEADLINE_MS = 3000
INTERNALS = (
    b"Traceback", b'File "', b".py", b"cds_service", b"sqlite", b"gunicorn",
    b"werkzeug", b"orjson", b"jsonschema", b"Error:", b"Exception",
)  # fmt: skip
PATIENT = (b"Okafor", b"quillfeather", b"1951-07-02", b"atrial", b"apixaban")
UPSTREAM = (b"emr-internal", b"Login", b"127.0.0.1", TOKEN.encode())
FAILED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "diagnostics": "Okafor"}],
}

Server = Any
Chart = Any
Reply = Any
HostileFhir = Any


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server], hostile_fhir: HostileFhir
) -> Iterator[Server]:
    """Two workers, trust on; in the end what they stored is an unbroken chain, and
    their log has no word about a patient, of a token or of a bug.
    """
    running = start_server(
        tuple(map(hostile_fhir.base, FAULTS)),
        workers="2",
        gather_deadline_ms=str(DEADLINE_MS),
    )
    yield running
    assert running.breaks() == []
    log = (running.folder / "log").read_bytes()
    for part in (*PATIENT, *UPSTREAM[:2], TOKEN.encode(), b"Bearer", b"Traceback"):
        assert part not in log


@pytest.fixture(scope="module")
def chart(server: Server, open_chart: Callable[[Server], Chart]) -> Chart:
    """A patient with atrial fibrillation whose watch raised an alert."""
    opened = open_chart(server)
    delivered = server.deliver(opened.case.alerts["alerts"], "first")
    assert delivered.status_code == 202
    return opened


@pytest.fixture(autouse=True)
def unharmed(server: Server, chart: Chart) -> Iterator[None]:
    """Whatever a test did: the same workers, ready, and what is stored is whole."""
    workers = server.workers()
    yield
    assert server.workers() == workers
    assert len(workers) == 2
    assert server.ready()
    assert sorted(server.recorded()) == sorted(server.answered)
    orphans = "select uuid from cards where call_id not in (select id from calls)"
    assert server.rows(orphans) == []
    assert server.rows("select id from wearable_alerts") == [
        (alert["id"],) for alert in chart.case.alerts["alerts"]
    ]


def refused(reply: Reply, status: int, *says: str) -> None:
    """Whether this is the refusal that is due, and says nothing that it must not."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert reply.json["resourceType"] == "OperationOutcome"
    assert reply.json["issue"]
    for part in says:
        assert part.encode() in reply.body
    for part in (*INTERNALS, *PATIENT, *UPSTREAM):
        assert part not in reply.body, reply.body


def chunked(body: bytes, size: int = 50_000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in [*parts, b""])


def shown(reply: Reply) -> list[str]:
    """The summaries of the cards."""
    assert reply.status == 200, reply.body
    return [card["summary"] for card in reply.json["cards"]]


def test_q_1_the_right_call_is_answered_between_all_the_wrong_ones(
    server: Server, chart: Chart
) -> None:
    (summary,) = shown(server.call(chart.request()))

    assert summary.startswith("Irregular rhythm")


# The path


@pytest.mark.parametrize(
    "target",
    [
        "//metrics", "/%6detrics", "/metrics/", "/./metrics", "/x/../metrics",
        "/%2e%2e/metrics", "/metrics%00", "//cds.example.org/metrics",
        "http://cds.example.org//metrics", "http://cds.example.org/%6detrics",
        "/health/", "/%68ealth", "/health%2fready",
    ],
)  # fmt: skip
def test_a_path_that_is_written_otherwise_leads_nowhere(
    server: Server, target: str
) -> None:
    head = (
        f"GET {target} HTTP/1.1\r\nHost: cds.example.org\r\nConnection: close\r\n\r\n"
    )

    assert server.say(head.encode()).status == 404


@pytest.mark.parametrize("target", ["/metrics", "http://cds.example.org/metrics"])
def test_a_path_as_it_is_leads_there(server: Server, target: str) -> None:
    head = (
        f"GET {target} HTTP/1.1\r\nHost: cds.example.org\r\nConnection: close\r\n\r\n"
    )

    assert server.say(head.encode()).status == 200


# The body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"hook": "patient-view", "Okafor', id="malformed"),
        pytest.param(b'{"hook": NaN}', id="NaN"),
        pytest.param(b'{"hook": -Infinity}', id="Infinity"),
        pytest.param(b'{"hook": 1e999}', id="beyond a double"),
        pytest.param(b'{"hook": "a", "hook": "b"}', id="duplicate names"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, id="depth 10,000"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="objects in objects"),
        pytest.param(b"[" * 90_000, id="open brackets"),
        pytest.param(b'{"hook": "\xff\xfe"}', id="not UTF-8"),
        pytest.param(b'["patient-view"]', id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\x1f\x8b\x08\x00 compressed without a word", id="gzip"),
    ],
)
def test_j_11_q_15_what_is_no_json_object_is_400(server: Server, body: bytes) -> None:
    refused(server.post(body), 400)
    refused(server.say(server.head(SERVICE, None) + chunked(body)), 400)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 500_000, id="half a million open brackets"),
        pytest.param(b"[" + b"1," * 200_000 + b"1]", id="200,000 numbers"),
        pytest.param(b"[" + b"{}," * 200_000 + b"1]", id="200,000 empty objects"),
    ],
)
def test_q_15_more_values_than_the_limit_are_413(server: Server, body: bytes) -> None:
    refused(server.post(body), 413)


@pytest.mark.parametrize("size", [1_200_000, 20_000_000])
def test_q_15_a_body_over_the_limit_is_413(
    server: Server, chart: Chart, size: int
) -> None:
    request = chart.request(extension={"org.example.filler": "x" * size})
    body = json.dumps(request).encode()

    refused(server.post(body), 413)
    refused(server.say(server.head(SERVICE, None) + chunked(body)), 413)


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_q_15_a_body_that_breaks_off_is_400_even_where_its_part_is_json(
    server: Server, chart: Chart, share: float
) -> None:
    body = json.dumps(chart.request()).encode()
    part = body[: int(len(body) * share)]

    refused(broken_off(server, server.head(SERVICE, len(body) + 10) + part), 400)
    unfinished = chunked(part).removesuffix(b"0\r\n\r\n")
    refused(broken_off(server, server.head(SERVICE, None) + unfinished), 400)


def broken_off(server: Server, message: bytes) -> Reply:
    """What comes back for a message after which the sender has no more to say."""
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE
    ) as sender:
        sender.sendall(message)
        sender.shutdown(socket.SHUT_WR)
        return server.read(received(sender))


def received(connection: socket.socket) -> bytes:
    """All that comes until the server has no more to say."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_sender_that_goes_away_in_the_middle_is_not_waited_for(
    server: Server, chart: Chart
) -> None:
    body = json.dumps(chart.request()).encode()

    for _ in range(40):
        with socket.create_connection(("127.0.0.1", server.port)) as sender:
            sender.sendall(server.head(SERVICE, len(body)) + body[:100])

    assert shown(server.call(chart.request()))


def test_a_slow_body_is_waited_for_and_keeps_nobody_else_waiting(
    server: Server, chart: Chart
) -> None:
    request = chart.request()
    body = json.dumps(request).encode()
    half = len(body) // 2

    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as slow:
        slow.sendall(server.head(SERVICE, len(body)))
        for part in (body[:half], body[half:-1], body[-1:]):
            assert shown(server.call(chart.request()))
            slow.sendall(part)
        reply = server.read(received(slow))

    assert shown(reply)
    server.answered.append(request["hookInstance"])


# The message


def test_q_15_an_unknown_service_is_404(server: Server, chart: Chart) -> None:
    body = json.dumps(chart.request()).encode()

    refused(server.post(body, "/cds-services/nothing"), 404)


def test_q_2_another_hook_is_400(server: Server, chart: Chart) -> None:
    request = chart.request(hook="order-sign")
    request["context"]["draftOrders"] = {"resourceType": "Bundle"}

    refused(server.call(request), 400, "patient-view")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", ""])
def test_q_14_another_media_type_is_415(
    server: Server, chart: Chart, media_type: str
) -> None:
    body = json.dumps(chart.request()).encode()

    refused(server.post(body, Content_Type=media_type), 415)


def test_q_14_a_compressed_body_is_415(server: Server) -> None:
    refused(server.post(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"), 415)


@pytest.mark.parametrize("context", [None, {}, "quillfeather", [1]])
def test_q_8_a_context_that_lacks_what_the_hook_requires_is_400(
    server: Server, chart: Chart, context: Any
) -> None:
    refused(server.call(chart.request(context=context)), 400, "$.context")


def test_p_23_another_patients_chart_is_400(server: Server, chart: Chart) -> None:
    request = chart.request()
    request["prefetch"]["patient"]["id"] = "quillfeathers-brother"

    refused(server.call(request), 400, '"security"')


@pytest.mark.parametrize("key", ["patient", "conditions", "medication-requests"])
def test_p_15_an_operation_outcome_for_what_is_required_is_412_by_key(
    server: Server, chart: Chart, key: str
) -> None:
    request = chart.request()
    request["prefetch"][key] = FAILED

    refused(server.call(request), 412, f'"{key}"')


def test_s_15_a_token_replayed_over_parallel_connections_is_good_for_one(
    server: Server, chart: Chart
) -> None:
    request = chart.request()
    body = json.dumps(request).encode()
    message = server.head(SERVICE, len(body)) + body

    with ThreadPoolExecutor(20) as clients:
        replies = list(clients.map(server.say, [message] * 20))

    (answered,) = [each for each in replies if each.status == 200]
    assert shown(answered)
    server.answered.append(request["hookInstance"])
    others = [each for each in replies if each.status != 200]
    for each in others:
        refused(each, 401)
    assert len({each.body for each in others}) == 1


# The EHR's FHIR server


@pytest.mark.parametrize("fault", ["hang", "half", "html", "error", "redirect"])
def test_a_7_e_9_what_the_fhir_server_does_wrong_is_412(
    server: Server, chart: Chart, hostile_fhir: HostileFhir, fault: str
) -> None:
    request = chart.bare(hostile_fhir.base(fault), TOKEN)

    reply = server.call(request)

    refused(reply, 412, '"patient"', '"conditions"', '"medication-requests"')
    assert any(asked.startswith(f"/{fault}/Patient/") for asked in hostile_fhir.asked)


def test_a_13_nobody_else_is_asked_where_a_fhir_server_points(
    server: Server,
    chart: Chart,
    hostile_fhir: HostileFhir,
    other_host: HostileFhir,
) -> None:
    refused(server.call(chart.bare(hostile_fhir.base("redirect"), TOKEN)), 412)
    refused(server.call(chart.bare(other_host.base("error"), TOKEN)), 412)

    assert other_host.asked == []


def test_p_17_pages_that_loop_are_not_taken_for_the_whole(
    start_server: Callable[..., Server], chart: Chart, hostile_fhir: HostileFhir
) -> None:
    # Its pages are counted, and the time that they take is not.
    patient = start_server((hostile_fhir.base("loop"),), gather_deadline_ms="60000")
    before = len(hostile_fhir.asked)

    (summary,) = shown(patient.call(chart.bare(hostile_fhir.base("loop"), TOKEN)))
    patient.kill()

    assert summary.startswith("Some checks could not be made")
    assert len(hostile_fhir.asked) - before < 20


def test_e_9_charts_that_hang_leave_the_other_charts_alone(
    server: Server, chart: Chart, hostile_fhir: HostileFhir
) -> None:
    hanging = [chart.bare(hostile_fhir.base("hang"), TOKEN) for _ in range(6)]

    with ThreadPoolExecutor(6) as beside:
        waiting = [beside.submit(server.call, each) for each in hanging]
        assert shown(server.call(chart.request()))
        for each in waiting:
            refused(each.result(), 412)


# The webhook


def test_a_delivery_that_breaks_off_or_is_no_json_stores_nothing(
    server: Server, chart: Chart
) -> None:
    alert = {**chart.case.alerts["alerts"][0], "id": "never-stored"}
    whole = json.dumps({"alerts": [alert]}).encode()

    refused(broken_off(server, signed(server, whole, len(whole) + 10)), 400)
    refused(broken_off(server, signed(server, whole, len(whole) + 10)[:-50]), 400)
    refused(server.say(signed(server, whole[:-1], len(whole) - 1)), 400)
    nan = whole.replace(b'"never-stored"', b"NaN")
    refused(server.say(signed(server, nan, len(nan))), 400)
    large = whole + b" " * 300_000
    refused(server.say(signed(server, large, len(large))), 413)

    assert server.rows("select 1 from wearable_alerts where id = 'never-stored'") == []


def signed(server: Server, body: bytes, length: int) -> bytes:
    """A delivery that claims a length."""
    at = time.time()
    name = f"broken-{at}"
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": server.sign(name, at, body),
    }
    message: bytes = server.head(ALERTS, length, **headers) + body
    return message


# To the end


def test_nobody_holds_a_thread_by_sending_no_more(
    start_server: Callable[..., Server],
) -> None:
    small = start_server(workers="1", threads="2")
    workers = small.workers()
    head, address = small.head(SERVICE, 1000), ("127.0.0.1", small.port)

    with (
        socket.create_connection(address, PATIENCE) as within_body,
        socket.create_connection(address, PATIENCE) as within_head,
    ):
        within_body.sendall(head + b"{")
        within_head.sendall(head[:100])
        until(lambda: all(map(was_read, (within_body, within_head))), "both are read")
        assert small.ready()
        refused(small.read(received(within_body)), 408)
        refused(small.read(received(within_head)), 408)

    assert small.workers() == workers
