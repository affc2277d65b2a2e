"""What comes late, and what ends with the answer: one deadline for all of it."""

import threading

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.client import FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer
from cds_service.protocol.errors import UnmetPrecondition

from ..waiting import PATIENCE, with_time_enough

LOADED, PARTIAL, MISSING = SourceState
LONG = 30.0
REST = {"rest": "optional"}


def test_e_9_a_server_that_hangs_costs_its_own_source_and_no_more(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = lambda handler: handler.hang()
    fhir.routes["Observation"] = bundle()
    del full["conditions"], full["observations"]
    request = hook_request(full, fhir)

    chart = with_time_enough(
        lambda seconds: gather(queries(**REST), request, reader_for(request), seconds),
        lambda chart: chart.state("observations") is LOADED,
    )

    assert (chart.state("conditions"), chart.sources["conditions"].why) == (
        MISSING,
        "timeout",
    )


def test_e_9_a_412_for_a_timeout_says_the_budget_the_time_and_the_setting(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Condition"] = lambda handler: handler.hang()
    fhir.routes["MedicationStatement"] = lambda handler: handler.hang()
    fhir.routes["Observation"] = bundle()
    for key in ("conditions", "observations", "medication-statements"):
        del full[key]
    request = hook_request(full, fhir)
    asked = queries(medication_statements="optional")

    def refuse(seconds):
        took = {}
        with pytest.raises(UnmetPrecondition) as caught:
            gather(
                asked,
                request,
                reader_for(request),
                seconds,
                allowed=seconds + 0.5,
                note=took.__setitem__,
            )
        texts = {each.diagnostics: each.text for each in caught.value.problems}
        return seconds, took, texts

    left, took, texts = with_time_enough(
        refuse, lambda refused: "were read" in refused[2]["observations"]
    )

    def late(key):
        return (
            f" The FHIR server had not answered after {took[key] * 1000:.0f} ms. "
            f"CDS_GATHER_DEADLINE_MS allows {left * 1000 + 500:.0f} ms from the call's "
            f"arrival; {left * 1000:.0f} ms were left when it was asked."
        )

    assert texts == {
        "conditions": "Required Condition data could not be had: timeout."
        + late("conditions"),
        "medication-statements": "MedicationStatement data could not be had, and are "
        "optional: timeout." + late("medication-statements"),
        "observations": "Observation data were read from the FHIR server in "
        f"{took['observations'] * 1000:.0f} ms.",
        "patient": "Patient data were read from the prefetch.",
        "medication-requests": "MedicationRequest data were read from the prefetch.",
    }
    assert took["conditions"] >= left * 0.75
    assert texts["patient"] == "Patient data were read from the prefetch."


def test_p_12_a_412_for_another_reason_says_nothing_of_time(
    full, queries, hook_request, fhir, reader_for
):
    del full["conditions"]
    fhir.routes["Condition"] = (503, {})
    request = hook_request(full, fhir)

    with pytest.raises(UnmetPrecondition) as caught:
        gather(queries(), request, reader_for(request), LONG)

    text = "Required Condition data could not be had: HTTP 503."
    assert caught.value.problems[0].text == text


def test_e_9_pages_that_came_before_the_deadline_are_kept_as_partial(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    def first_then_hang(handler):
        if "page" in handler.path:
            return handler.hang()
        return bundle(condition("c1"), following=f"{fhir.base}/Condition?page=2")

    fhir.routes["Condition"] = first_then_hang
    del full["conditions"]
    request = hook_request(full, fhir)

    source = with_time_enough(
        lambda seconds: gather(
            queries(**REST), request, reader_for(request), seconds
        ).sources["conditions"],
        lambda source: source.state is PARTIAL,
    )

    assert source.why == "timeout"
    assert [each["id"] for each in source.resources] == ["c1"]


def test_e_9_a_server_that_sends_byte_by_byte_holds_no_thread(
    full, queries, hook_request, fhir, reader_for, pool
):
    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not handler.server.loopback.release.wait(0.05):
            handler.wfile.write(b"x")

    fhir.routes["Condition"] = drip
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(**REST), request, reader_for(request), 1.0)

    assert chart.sources["conditions"].why == "timeout"
    pool.close()
    for thread in threading.enumerate():
        if thread.name.startswith("fhir"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_all_queries_are_on_their_way_at_once(
    queries, hook_request, fhir, reader_for, bundle, patient
):
    together = threading.Barrier(5)

    def meet(value):
        def route(handler):
            together.wait(PATIENCE)
            return value

        return route

    fhir.routes["Patient/p1"] = meet(patient)
    for kind in ("Condition", "MedicationRequest", "MedicationStatement"):
        fhir.routes[kind] = meet(bundle())
    fhir.routes["Observation"] = meet(bundle())
    request = hook_request(server=fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert {source.state for source in chart.sources.values()} == {LOADED}


def established(port):
    """How many of this process's connections lead to *port*, as Linux counts."""
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    to = f":{port:04X}"
    return sum(row[2].endswith(to) and row[3] == "01" for row in rows)


def fails_once(answer, status=503, **headers):
    """A route that answers *status* at first."""
    asked = []

    def route(handler):
        asked.append(handler)
        return answer if len(asked) > 1 else (status, {}, headers)

    return route


def test_a_get_that_failed_is_asked_again_while_there_is_time(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = fails_once(bundle(condition("c1")))
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert chart.state("conditions") is LOADED
    assert fhir.paths == ["Condition", "Condition"]


def test_a_get_is_not_asked_again_where_the_server_wants_more_time_than_there_is(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Condition"] = fails_once(bundle(), **{"Retry-After": "60"})
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(**REST), request, reader_for(request), LONG)

    assert chart.sources["conditions"].why == "HTTP 503"
    assert fhir.paths == ["Condition"]


def test_a_11_nothing_is_asked_once_the_answer_is_there(
    queries, hook_request, fhir, reader_for, pool, bundle, condition
):
    """Slow pages, retries and Medications: all of it ends with the answer."""

    def slow_page(handler):
        fhir.release.wait(0.1)
        page = f"{fhir.base}/Condition?page={len(fhir.asked)}"
        return bundle(condition(f"c{len(fhir.asked)}"), following=page)

    fhir.routes["Condition"] = slow_page
    fhir.routes["Observation"] = (503, {})
    fhir.routes["MedicationRequest"] = lambda handler: handler.hang()
    request = hook_request(server=fhir)

    chart = with_time_enough(
        lambda seconds: gather(
            queries(**REST), request, reader_for(request, pages=500), seconds
        ),
        lambda chart: chart.sources["conditions"].resources,
    )
    asked = len(fhir.asked)
    pool.threads.submit(fhir.release.wait, 1.0).result()

    assert chart.sources["conditions"].why == "timeout"
    assert len(fhir.asked) == asked


def test_a_11_a_connection_that_opens_too_late_carries_nothing(
    queries, hook_request, fhir
):
    """A name server that is slower than the deadline."""

    def resolve(host, port):
        fhir.release.wait(1.5)
        return ["127.0.0.1"]

    pool = FhirPool(resolve=resolve)
    request = hook_request(server=fhir.base.replace("127.0.0.1", "localhost"))
    listed = [ListedServer(request.fhir_server)]
    reader = open_reader(request, listed, [], pool)

    chart = gather(queries(**REST), request, reader, 0.5)
    pool.threads.shutdown(wait=True)
    pool.close()

    assert {source.why for source in chart.sources.values()} == {"timeout"}
    assert fhir.asked == []


@pytest.mark.slow
def test_a_11_two_hundred_calls_to_a_server_that_hangs_leave_no_thread_behind(
    queries, hook_request, fhir, reader_for
):
    for path in ("Patient/p1", "Condition", "MedicationRequest", "Observation"):
        fhir.routes[path] = lambda handler: handler.hang()
    request = hook_request(server=fhir)

    def held():
        ours = [each for each in threading.enumerate() if each.name.startswith("fhir")]
        sockets = established(fhir.http.server_port)
        return len(ours), sockets

    counts = []
    for _ in range(200):
        gather(queries(**REST), request, reader_for(request), 0.05)
        counts.append(held())

    assert max(threads for threads, _ in counts[100:]) <= 5 + max(
        threads for threads, _ in counts[:20]
    )
    assert max(sockets for _, sockets in counts) <= 64
