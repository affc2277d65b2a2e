"""Traces: where the time of a call went, in a trace that began at the EHR."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from cds_service.decision import World

Build = Callable[..., World]
Connect = Callable[[World], Any]
Body = dict[str, Any]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
NOT_SAMPLED = f"00-{TRACE}-{CALLER}-00"


@dataclass
class Heard:
    """What a server was sent."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """Every span, for a collector of them."""
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Listener(BaseHTTPRequestHandler):
    """Notes everything; of a FHIR server there is an empty answer."""

    def do_POST(self) -> None:
        self.note(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(b"")

    def do_GET(self) -> None:
        self.note(b"")
        kind, _, below = self.path.removeprefix("/r4/").partition("/")
        resource: Body = {"resourceType": "Bundle", "type": "searchset"}
        if kind == "Patient":
            resource = {"resourceType": "Patient", "id": below, "birthDate": "1958-03"}
        self.reply(json.dumps(resource).encode())

    def note(self, body: bytes) -> None:
        heard: Heard = self.server.heard  # type: ignore[attr-defined]
        heard.headers.append(
            {name.lower(): each for name, each in self.headers.items()}
        )
        heard.paths.append(self.path)
        heard.bodies.append(body)

    def reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def listening(path: str) -> Iterator[Heard]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        heard = Heard(f"http://127.0.0.1:{server.server_port}{path}")
        server.heard = heard  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@pytest.fixture
def collector() -> Iterator[Heard]:
    """Where spans are sent."""
    with listening("/v1/traces") as heard:
        yield heard


@pytest.fixture
def fhir() -> Iterator[Heard]:
    """The EHR's FHIR server, that knows nothing of the patient."""
    with listening("/r4") as heard:
        yield heard


@dataclass
class Ehr:
    """An EHR before a server that traces."""

    caller: Any
    collector: Heard

    def call(self, body: Body, **headers: str) -> Any:
        named = {name.replace("_", "-"): each for name, each in headers.items()}
        return self.caller.call(body, headers=named)

    def close(self) -> None:
        self.caller.http.application.extensions["cds_tracing"].close()

    def spans(self) -> dict[str, Span]:
        """What came of everything so far, by name; the server sends no more."""
        self.close()
        spans = self.collector.spans
        assert len({span.name for span in spans}) == len(spans)
        return {span.name: span for span in spans}


Trace = Callable[..., Ehr]


@pytest.fixture
def trace(
    build: Build,
    connect: Connect,
    collector: Heard,
    fhir: Heard,
    keys: Any,
    tmp_path: Path,
) -> Iterator[Trace]:
    """Starts a server that traces a share of what is asked."""
    clients = tmp_path / "traced.yaml"
    key = {**keys[1], "kid": "k"}
    ehr: Body = {"id": "ehr", "iss": "https://ehr.example.org", "keys": [key]}
    ehr["fhir_servers"] = [fhir.url]
    clients.write_text(json.dumps({"clients": [ehr]}))
    started: list[Ehr] = []

    def start(share: str = "1", **changes: Any) -> Ehr:
        world = build(
            profile="development",
            clients_file=str(clients),
            traces_url=collector.url,
            traces_share=share,
        )
        started.append(Ehr(connect(replace(world, **changes)), collector))
        return started[-1]

    yield start
    for each in started:
        each.close()


def attributes(span: Span) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


CALL = "POST /cds-services/<service_id>"


def test_a_call_is_a_span_of_the_ehrs_trace_and_each_phase_one_below_it(
    trace: Trace, request_body: Body
) -> None:
    ehr = trace()

    assert ehr.call(request_body, traceparent=PARENT).status_code == 200

    spans = ehr.spans()
    assert set(spans) == {CALL, "auth", "gather", "evaluate", "cards", "record"}
    assert {each.trace_id.hex() for each in spans.values()} == {TRACE}
    call = spans.pop(CALL)
    assert call.parent_span_id.hex() == CALLER
    assert {each.parent_span_id for each in spans.values()} == {call.span_id}
    order = sorted(spans.values(), key=lambda span: span.start_time_unix_nano)
    assert [each.name for each in order] == [
        *("auth", "gather", "evaluate"),
        *("cards", "record"),
    ]
    for each in order:
        assert call.start_time_unix_nano <= each.start_time_unix_nano
        assert each.end_time_unix_nano <= call.end_time_unix_nano


def test_a_span_tells_what_the_log_tells_and_nothing_else(
    trace: Trace, request_body: Body
) -> None:
    ehr = trace()

    ehr.call(request_body)

    spans = ehr.spans()
    told = attributes(spans.pop(CALL))
    assert told == {
        "http.route": "/cds-services/<service_id>",
        "http.method": "POST",
        "http.status_code": 200,
        "cds.service": "wearable-review",
        "cds.hook": "patient-view",
        "cds.client": "ehr",
        "cds.cards": 1,
        "cds.suppressed": 0,
        "cds.source.patient": "loaded",
        "cds.source.conditions": "loaded",
        "cds.source.medication_requests": "loaded",
        "cds.source.medication_statements": "loaded",
        "cds.source.observations": "loaded",
    }
    assert [attributes(each) for each in spans.values()] == [{}] * 5


def bare(body: Body, fhir: Heard) -> Body:
    """A call for which the server has to ask the FHIR server."""
    granted = {
        "access_token": "t0ken",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds-service",
    }
    kept = {name: body[name] for name in ("hook", "hookInstance", "context")}
    return {**kept, "fhirServer": fhir.url, "fhirAuthorization": granted}


def test_the_fhir_server_is_told_the_trace_and_each_fetch_is_a_span(
    trace: Trace, request_body: Body, fhir: Heard
) -> None:
    ehr = trace()

    answer = ehr.call(
        bare(request_body, fhir),
        traceparent=PARENT,
        tracestate="vendor=Okafor",
        baggage="patient=Okafor",
    )

    assert answer.status_code == 200, answer.json
    spans = ehr.spans()
    gather = spans["gather"].span_id.hex()
    assert {each["traceparent"] for each in fhir.headers} == {f"00-{TRACE}-{gather}-01"}
    assert not any(
        name in each for each in fhir.headers for name in ("tracestate", "baggage")
    )
    fetched = {name for name in spans if name.startswith("fetch ")}
    assert "fetch patient" in fetched and "fetch observations" in fetched
    for name in fetched:
        assert spans[name].parent_span_id == spans[CALL].span_id
        assert attributes(spans[name]) == {}


def test_a_prefetched_call_asks_no_server_and_so_tells_none(
    trace: Trace, request_body: Body, fhir: Heard
) -> None:
    ehr = trace()

    ehr.call(request_body, traceparent=PARENT)

    assert fhir.headers == []


@pytest.mark.parametrize("parent", [PARENT, NOT_SAMPLED])
def test_what_the_ehr_samples_costs_us_nothing_and_is_passed_on(
    trace: Trace, request_body: Body, fhir: Heard, parent: str
) -> None:
    ehr = trace(share="0")

    assert ehr.call(bare(request_body, fhir), traceparent=parent).status_code == 200

    assert ehr.spans() == {}
    assert {each["traceparent"] for each in fhir.headers} == {parent}


def test_what_the_ehr_does_not_sample_is_traced_all_the_same(
    trace: Trace, request_body: Body
) -> None:
    ehr = trace()

    ehr.call(request_body, traceparent=NOT_SAMPLED)

    assert {each.trace_id.hex() for each in ehr.spans().values()} == {TRACE}


@pytest.mark.parametrize(
    "header", ["", "00-Okafor", f"ff-{TRACE}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01"]
)
def test_a_trace_that_cannot_be_read_is_not_gone_on_with(
    trace: Trace, request_body: Body, fhir: Heard, header: str
) -> None:
    ehr = trace()

    assert ehr.call(bare(request_body, fhir), traceparent=header).status_code == 200

    spans = ehr.spans()
    assert spans[CALL].parent_span_id == b""
    (new,) = {each.trace_id.hex() for each in spans.values()}
    assert new != TRACE
    assert all(each["traceparent"].split("-")[1] == new for each in fhir.headers)


def test_a_trace_that_cannot_be_read_is_not_passed_on(
    trace: Trace, request_body: Body, fhir: Heard
) -> None:
    ehr = trace(share="0")

    ehr.call(bare(request_body, fhir), traceparent="00-Okafor-p1-01")

    assert fhir.headers
    assert not any("traceparent" in each for each in fhir.headers)


def broken_clock() -> Any:
    raise RuntimeError("patient Jane Okafor")


def test_an_error_is_marked_and_its_text_is_not_told(
    trace: Trace, request_body: Body, collector: Heard
) -> None:
    ehr = trace(clock=broken_clock)

    assert ehr.call(request_body).status_code == 500

    call = ehr.spans()[CALL]
    assert call.status.code == Status.STATUS_CODE_ERROR
    assert (call.status.message, list(call.events)) == ("", [])
    assert attributes(call)["http.status_code"] == 500
    assert not any(b"Okafor" in each for each in collector.bodies)


def test_a_refusal_is_no_error_of_ours(trace: Trace, request_body: Body) -> None:
    ehr = trace()
    del request_body["context"]["patientId"]

    assert ehr.call(request_body).status_code == 400

    call = ehr.spans()[CALL]
    assert call.status.code == Status.STATUS_CODE_UNSET
    assert attributes(call)["http.status_code"] == 400


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/nowhere"])
def test_what_watches_the_server_is_not_traced(trace: Trace, path: str) -> None:
    ehr = trace()

    ehr.caller.http.get(path)

    assert ehr.spans() == {}


def test_no_path_or_query_that_was_asked_is_told(
    trace: Trace, collector: Heard
) -> None:
    ehr = trace()

    ehr.caller.http.open("/cds-services/Okafor?patient=Okafor", method="SURPRISE")

    (name,) = ehr.spans()
    assert name == "OTHER none"
    assert not any(b"Okafor" in each for each in collector.bodies)


def test_the_log_line_names_the_trace(
    trace: Trace, request_body: Body, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    ehr = trace()

    ehr.call(request_body, traceparent=PARENT)

    lines = [json.loads(each) for each in capfdbinary.readouterr().out.splitlines()]
    assert [each["trace"] for each in lines if "trace" in each] == [TRACE]


def test_a_collector_that_does_not_listen_harms_no_call(
    build: Build, connect: Connect, request_body: Body
) -> None:
    world = build(traces_url="http://127.0.0.1:9/v1/traces", traces_share="1")
    ehr = connect(world)

    assert ehr.call(request_body).status_code == 200
    ehr.http.application.extensions["cds_tracing"].close()


def test_nothing_is_traced_unless_it_is_asked_for(
    ehr: Any, request_body: Body, fhir: Heard
) -> None:
    answer = ehr.call(request_body, headers={"traceparent": PARENT})

    assert answer.status_code == 200
    assert "cds_tracing" not in ehr.http.application.extensions
