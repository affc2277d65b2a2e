"""Traces of what is asked of this server, for OpenTelemetry; off unless a URL is set.

A span for each request and each phase of a call, and one for each part of the chart
that was fetched. What they say is a list of ours: never a path, a query, a header or
the text of an error, since all of these may name a patient. Which requests are traced
is drawn here: an EHR that marks its own as sampled has its trace gone on with, and
cannot make us trace more.

The library is an extra, and imported where a URL is set.

Source: W3C Trace Context; of it ``traceparent`` alone, no ``tracestate``, no baggage.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from time import time_ns
from typing import TYPE_CHECKING, Any

from flask import Response, g, request

from .. import __version__
from ..decision import Answer
from ..decision.stopwatch import Stopwatch
from .layers import Layer
from .limits import PATHS
from .notes import note, read_notes

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

HEADER = "traceparent"
METHODS = ("GET", "OPTIONS", "POST")
TOLD = ("service", "hook", "client", "cards", "suppressed", "withheld")
"""What a span repeats of the request's log line."""
GIVEN_UP_AFTER = 3
"""Seconds after which a collector that does not answer is not waited for."""
FAULT = 500
"""The HTTP status from which on it is ours."""


class Tracing:
    """The traces of one process."""

    def __init__(self, url: str, share: float) -> None:
        """Send the spans of a *share* of all requests, from 0 to 1, to *url*."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        named = {"service.name": "cds-service", "service.version": __version__}
        exporter = OTLPSpanExporter(url, timeout=GIVEN_UP_AFTER)
        self._share = share
        self._provider = TracerProvider(ALWAYS_ON, Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(__package__, __version__)

    def begin(self, name: str, traceparent: str) -> "Trace":
        """Return the trace of one request, which goes on with that of its caller."""
        from opentelemetry.trace import SpanKind

        parent = read_parent(traceparent)
        if random.random() >= self._share:  # nosec B311 # no secret
            return Trace(self._tracer, None, write_parent(parent))
        span = self._tracer.start_span(
            name,
            context=parent,
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )
        return Trace(self._tracer, span, "")

    def close(self) -> None:
        """Send what was not sent yet, and send no more."""
        self._provider.shutdown()


@dataclass(slots=True)
class Trace:
    """The trace of one request."""

    tracer: "Tracer"
    span: "Span | None"
    """None where it was not drawn."""
    passed_on: str
    """The caller's ``traceparent``, where there is no span to stand in its place."""

    def child(self, name: str, start: int | None = None) -> "Span | None":
        """Return a span within this one that has begun, or *start* ns after 1970."""
        if self.span is None:
            return None
        return self.tracer.start_span(
            name,
            context=context_of(self.span),
            start_time=start,
            record_exception=False,
            set_status_on_exception=False,
        )

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Add facts to its span."""
        if self.span is not None:
            self.span.set_attributes({f"cds.{name}": facts[name] for name in facts})


class TracedWatch(Stopwatch):
    """A stopwatch of a call, whose phases are spans."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace
        self._current: Span | None = None
        self._begun = 0

    @property
    def traceparent(self) -> str:
        """What the FHIR server is told."""
        if self._current is None:
            return self._trace.passed_on
        return write_parent(context_of(self._current))

    def enter(self, phase: str) -> None:
        """End the span of the phase before and begin another."""
        super().enter(phase)
        if self._current is not None:
            self._current.end()
        self._begun = time_ns()
        self._current = self._trace.child(phase, self._begun) if phase else None

    def note_fetch(self, key: str, seconds: float) -> None:
        """Have a span for what was fetched; fetches begin with their phase."""
        super().note_fetch(key, seconds)
        span = self._trace.child(f"fetch {key}", self._begun)
        if span is not None:
            span.end(self._begun + int(seconds * 1e9))


def trace_requests(tracing: Tracing) -> Layer:
    """Trace calls, feedback and deliveries; nothing that watches the server."""

    def begin() -> None:
        if not PATHS.match(request.path):
            return
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "OTHER"
        trace = tracing.begin(f"{method} {route}", request.headers.get(HEADER, ""))
        g.trace = trace
        if trace.span is not None:
            trace.span.set_attributes({"http.route": route, "http.method": method})
            note(trace=f"{trace.span.get_span_context().trace_id:032x}")

    def finish(response: Response) -> Response:
        trace: Trace | None = g.get("trace")
        if trace is not None and trace.span is not None:
            end(trace, response.status_code)
        return response

    return Layer(begin, finish)


def end(trace: Trace, status: int) -> None:
    """Say what came of a request, and end its span."""
    from opentelemetry.trace import StatusCode

    assert trace.span is not None
    facts = read_notes()
    trace.tell({name: facts[name] for name in TOLD if name in facts})
    trace.span.set_attributes({"http.status_code": status})
    if status >= FAULT:
        trace.span.set_status(StatusCode.ERROR)
    trace.span.end()


def start_watch() -> Stopwatch:
    """Return a stopwatch for a call that has just arrived."""
    trace: Trace | None = g.get("trace")
    return Stopwatch() if trace is None else TracedWatch(trace)


def tell_trace(answered: Answer) -> None:
    """Say in the trace how each part of the chart was read."""
    trace: Trace | None = g.get("trace")
    if trace is not None:
        sources = answered.chart.sources.values()
        trace.tell({f"source.{each.name}": each.state.name.lower() for each in sources})


def read_parent(traceparent: str) -> "Context":
    """Return what a caller says of its trace; nothing where that cannot be read."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    propagator = TraceContextTextMapPropagator()
    return propagator.extract({HEADER: traceparent}, Context())


def write_parent(context: "Context") -> str:
    """Return what a server is told that is asked in this context; may be empty."""
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    told: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(told, context)
    return told.get(HEADER, "")


def context_of(span: "Span") -> "Context":
    """Return the context in which a span is the parent, and nothing else is."""
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span, Context())
