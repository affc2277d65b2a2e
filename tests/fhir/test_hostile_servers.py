"""What a hostile or broken FHIR server can do, over real sockets: it gets no token that
is not its own, holds nobody beyond the deadline and fills no memory.
"""

import gzip
import logging
import struct
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import SO_LINGER, SOL_SOCKET
from time import monotonic

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.gather import gather
from cds_service.http.exchange import ReadFailure

from ..waiting import PATIENCE, until, was_read

LONG = 60.0
MEGABYTE = 1024 * 1024
KINDS = ("Condition", "MedicationRequest", "MedicationStatement", "Observation")


def read(reader, query="Condition?patient=p1", seconds=LONG):
    """The pages that came, and why there are no more."""
    pages = []
    with reader.until(monotonic() + seconds):
        try:
            pages += reader.pages(query)
        except ReadFailure as failure:
            return pages, failure.reason
    return pages, ""


@pytest.fixture
def reader(hook_request, fhir, reader_for):
    return reader_for(hook_request(server=fhir))


def raw(*parts):
    """A route that writes just these bytes and closes."""

    def route(handler):
        handler.close_connection = True
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()

    return route


def head(*lines):
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])


# Redirects and links: the token stays where it belongs.


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("where", ["same", "port", "host", "scheme", "odd", "none"])
def test_a_13_no_redirect_is_followed(fhir, serve, reader, status, where):
    other = serve()
    port = other.http.server_port
    location = {
        "same": f"{fhir.base}/Observation",
        "port": f"{other.base}/Condition",
        "host": f"http://localhost:{port}/fhir/Condition",
        "scheme": f"https://127.0.0.1:{fhir.http.server_port}/fhir/Condition",
        "odd": "http://[::1/\xff\xfe",
        "none": None,
    }[where]
    headers = {} if location is None else {"Location": location}
    fhir.routes["Condition"] = (status, b"", headers)

    assert read(reader) == ([], "redirect refused")
    assert fhir.paths == ["Condition"]
    assert other.asked == []


@pytest.mark.parametrize("later", [False, True])
def test_a_13_a_page_that_redirects_is_the_end(fhir, serve, reader, bundle, later):
    other = serve()
    away = (302, b"", {"Location": f"{other.base}/Condition"})
    fhir.routes["Condition"] = lambda handler: (
        away if "page" in handler.path else bundle(following="?page=2")
    )

    assert read(reader) == ([bundle(following="?page=2")], "redirect refused")
    assert other.asked == []


def test_a_13_no_token_leaves_the_origin(
    serve, hook_request, reader_for, queries, bundle, condition, patient
):
    """Every way to lure it away, while every listener writes down all it sees."""
    fhir, *others = [serve() for _ in range(4)]
    for each in others:
        each.routes = {"Patient/p1": patient, "Condition": bundle(condition())}
    one, two, three = (each.http.server_port for each in others)
    own = fhir.http.server_port
    lures = [
        f"http://127.0.0.1:{one}/fhir/Condition?page=2",
        f"http://localhost:{two}/fhir/Condition?page=2",
        f"//127.0.0.1:{three}/fhir/Condition?page=2",
        f"http://127.0.0.1:{own}@127.0.0.1:{one}/fhir/Condition?page=2",
        f"http://127.0.0.1:{own}#@127.0.0.1:{one}/fhir/Condition",
        f"http://127.0.0.1:{one}/fhir?x=http://127.0.0.1:{own}/fhir",
        f"http://127.0.0.1:{own}\\@127.0.0.1:{one}/fhir",
        f"http://127.1:{one}/fhir/Condition",
        f"http://2130706433:{one}/fhir/Condition",
        f"http://[::ffff:127.0.0.1]:{one}/fhir/Condition",
        f"http://localhost:{own}/fhir/Condition",
    ]
    for number, lure in enumerate(lures):
        fhir.routes["Condition"] = bundle(condition(), following=lure)
        fhir.routes["Observation"] = (302, b"", {"Location": lures[number % 3]})
        fhir.routes["MedicationRequest"] = (401, b"", {"WWW-Authenticate": "Basic"})
        fhir.routes["MedicationStatement"] = (
            200,
            bundle(),
            {"Refresh": f"0; url={lures[0]}", "Content-Location": lures[0]},
        )
        fhir.routes["Patient/p1"] = patient
        request = hook_request(server=fhir, token=f"secret-{number}")

        chart = gather(queries(rest="optional"), request, reader_for(request), LONG)

        assert chart.sources["conditions"].state is SourceState.PARTIAL
        assert chart.sources["observations"].why == "redirect refused"

    assert [each.asked for each in others] == [[], [], []]
    assert len(fhir.asked) == len(lures) * 5
    assert all(each.token.startswith("Bearer secret-") for each in fhir.asked)


@pytest.mark.parametrize(
    "link",
    [
        "?page=2#here",
        "HTTP://127.0.0.1:{port}/fhir/Condition?page=2",
        "//127.0.0.1:{port}/fhir/Condition?page=2",
        "/fhir/Condition?page=2",
        "./Condition?page=2",
    ],
)
def test_p_17_every_way_to_write_a_link_inside_is_followed(fhir, reader, bundle, link):
    text = link.replace("{port}", str(fhir.http.server_port))
    fhir.routes["Condition"] = lambda handler: (
        bundle() if "page=2" in handler.path else bundle(following=text)
    )

    pages, why = read(reader)

    assert (len(pages), why) == (2, "")
    assert [each.query.get("page") for each in fhir.asked] == [None, ["2"]]


@pytest.mark.slow
def test_p_17_a_thousand_pages_end_at_the_limit_or_are_all_read(
    hook_request, fhir, reader_for, bundle, condition
):
    def page(handler):
        _, given, number = handler.path.rpartition("page=")
        number = int(number) if given else 1
        after = f"?page={number + 1}" if number < 1000 else None
        return bundle(condition(f"c{number}"), following=after)

    fhir.routes["Condition"] = page
    request = hook_request(server=fhir)

    pages, why = read(reader_for(request))
    assert (len(pages), why) == (20, "page limit")

    pages, why = read(reader_for(request, pages=1000))
    assert (len(pages), why) == (1000, "")
    assert pages[-1]["entry"][0]["resource"]["id"] == "c1000"


# Bodies: too long, too slow, broken off, badly framed, badly packed.


def endless_body(first, chunk, count, sent):
    """A route that sends *count* times *chunk* and notes how much went out."""

    def route(handler):
        handler.close_connection = True
        handler.wfile.write(first)
        for _ in range(count):
            handler.wfile.write(chunk)
            sent.append(len(chunk))

    return route


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (head(b"Content-Length: 209715200"), "size limit"),
        (head(b"Connection: close"), "size limit"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /fhir/x\r\nContent-Length: 209715200"
            b"\r\n\r\n",
            "redirect refused",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 209715200\r\n\r\n", "HTTP 404"),
    ],
)
def test_a_13_a_body_of_200_megabytes_is_never_held(
    hook_request, fhir, reader_for, first, why
):
    sent = []
    fhir.routes["Condition"] = endless_body(first, b" " * MEGABYTE, 200, sent)
    reader = reader_for(hook_request(server=fhir), bytes=MEGABYTE)

    tracemalloc.start()
    try:
        assert read(reader) == ([], why)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16 * MEGABYTE
    assert sum(sent) < 100 * MEGABYTE


def deflated(plain):
    return zlib.compress(plain, 9)


@pytest.mark.parametrize(
    ("pack", "encoding", "why"),
    [
        (gzip.compress, "gzip", "size limit"),
        (gzip.compress, "X-GZIP", "size limit"),
        (deflated, "deflate", "size limit"),
        (lambda each: gzip.compress(gzip.compress(each)), "gzip, gzip", ""),
        (lambda each: gzip.compress(deflated(each)), "deflate, gzip", ""),
        (lambda each: b"\x1b\xff\xff" * 100, "br", ""),
        (lambda each: b"\x28\xb5\x2f\xfd", "zstd", ""),
        (lambda each: each[:100], "compress", ""),
        (lambda each: gzip.compress(b"{}") + b"junk", "gzip", ""),
    ],
)
def test_a_13_a_bomb_is_not_unpacked(
    hook_request, fhir, reader_for, pack, encoding, why
):
    packed = pack(b" " * (100 * MEGABYTE))
    fhir.routes["Condition"] = (200, packed, {"Content-Encoding": encoding})
    reader = reader_for(hook_request(server=fhir), bytes=MEGABYTE)

    tracemalloc.start()
    try:
        found = read(reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found in (([], why or "unreadable encoding"), ([{}], why))
    assert peak < 16 * MEGABYTE


def test_only_what_is_unpacked_safely_is_asked_for(fhir, reader, bundle):
    fhir.routes["Condition"] = bundle()

    read(reader)

    assert fhir.asked[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([head(b"Content-Length: 5"), b'{"a": 1, "b": 2}'], "not JSON"),
        ([head(b"Content-Length: 500"), b'{"a": 1}'], "connection closed early"),
        ([head(b"Content-Length: -5"), b"{}"], ""),
        ([head(b"Content-Length: five"), b"{}"], ""),
        ([head(b"Content-Length: 2", b"Content-Length: 3"), b"{} "], None),
        ([head(b"Content-Length: 0"), b"{}"], "empty body"),
        ([head(b"Transfer-Encoding: chunked"), b"zz\r\n{}\r\n0\r\n\r\n"], None),
        ([head(b"Transfer-Encoding: chunked"), b"-2\r\n{}\r\n0\r\n\r\n"], None),
        ([head(b"Transfer-Encoding: chunked"), b"2\r\n{"], None),
        ([head(b"Transfer-Encoding: chunked"), b"2;x=y\r\n{}\r\n0\r\n\r\n"], ""),
        ([head(b"Transfer-Encoding: chunked"), b"f" * 100_000], None),
        ([head(b"Transfer-Encoding: chunked"), b"{}"], None),
        ([head(b"Transfer-Encoding: gzip, chunked"), b"2\r\n{}\r\n0\r\n\r\n"], None),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n{}"], None),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n{}"], None),
        ([b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}"], None),
        ([b"HTTP/1.1 200 OK\r\nX\xff: \xfe\r\n\r\n{}"], None),
        ([b"HTTP/9.9 200 OK\r\n\r\n{}"], None),
        ([b"HTTP/1.1 999999 OK\r\n\r\n{}"], None),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + head(), b"{}"], None),
        ([b"<html>"], None),
        ([b"\x00\xff" * 1_000], None),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], None),
        ([b""], None),
    ],
)
def test_an_answer_in_a_wrong_frame_is_named_and_spoils_no_later_one(
    fhir, reader, bundle, answer, why
):
    fhir.routes |= {"Condition": raw(*answer), "Observation": bundle()}

    pages, said = read(reader)

    assert pages == ([{}] if not said else [])
    if why is None:
        why = said
    assert said == why
    assert said in (
        "",
        "not JSON",
        "empty body",
        "connection closed early",
        "connection failed",
        "unreadable encoding",
        "HTTP 999",
    )
    assert read(reader, "Observation?patient=p1") == ([bundle()], "")


def test_bytes_beyond_the_length_are_nobody_s_next_answer(fhir, reader, bundle):
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"evil": 42}'

    def desync(handler):
        handler.wfile.write(head(b"Content-Length: 2") + b"{}" + evil)

    fhir.routes |= {"Condition": desync, "Observation": bundle()}

    assert read(reader) == ([{}], "")
    assert read(reader, "Observation?patient=p1") == ([bundle()], "")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 20", head(b"Content-Length: 9")])
def test_a_connection_that_is_reset_half_way_is_named(fhir, reader, sent):
    def reset(handler):
        handler.close_connection = True
        handler.wfile.write(sent + (b"{" if sent.endswith(b"\r\n\r\n") else b""))
        handler.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        handler.server.shutdown_request = lambda request: request.close()

    fhir.routes["Condition"] = reset

    pages, why = read(reader)

    assert pages == []
    assert why in ("connection failed", "connection closed early")


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        head(b"Content-Length: 100000"),
        head(b"Connection: close"),
        head(b"Transfer-Encoding: chunked") + b"ffff\r\n",
        head(b"Content-Encoding: gzip") + gzip.compress(b"{}")[:10],
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 9999\r\n\r\n",
    ],
    ids=["headers", "body", "until close", "chunk", "gzip", "redirect", "error"],
)
def test_e_9_a_server_that_drips_holds_no_thread(
    queries, hook_request, fhir, reader_for, pool, first
):
    def drip(handler):
        handler.close_connection = True
        handler.wfile.write(first)
        while not handler.server.loopback.release.wait(0.02):
            handler.wfile.write(b"x")

    for kind in ("Patient/p1", "Condition", "Observation"):
        fhir.routes[kind] = drip
    request = hook_request(server=fhir)

    chart = gather(queries(rest="optional"), request, reader_for(request), 1.0)

    said = {each.why for each in chart.sources.values()}
    assert said <= {"timeout", "redirect refused", "HTTP 503", "HTTP 404"}
    pool.close()
    for thread in threading.enumerate():
        if thread.name.startswith("fhir"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.parametrize("body", [b"", b'{"resourceType": "Bundle"}'])
def test_e_9_a_body_that_is_cut_off_is_never_taken_for_whole(fhir, reader, body):
    hanging = threading.Event()

    def hang(handler):
        handler.wfile.write(head(b"Connection: close") + body)
        until(lambda: was_read(handler.connection))
        hanging.set()
        handler.hang()

    fhir.routes["Condition"] = hang

    def ask():
        with pytest.raises(ReadFailure) as caught:
            list(reader.pages("Condition?x=1"))
        return caught.value.reason

    with ThreadPoolExecutor(1) as worker:
        with reader.until(monotonic() + 1_000.0):
            reason = worker.submit(ask)
            assert hanging.wait(PATIENCE)
        assert reason.result(PATIENCE) == "timeout"


# Contents.


def test_p_23_pages_that_drop_the_patient_bring_nobody_else(
    hook_request, fhir, reader_for, queries, bundle, condition
):
    """As fhirkit does: its next link forgets ``patient=``."""
    others = [condition(f"x{number}", f"Patient/x{number}") for number in range(50)]
    fhir.routes["Condition"] = lambda handler: (
        bundle(condition("c2"), *others, condition("c1"))
        if "page=2" in handler.path
        else bundle(condition("c1"), following="?page=2")
    )
    request = hook_request(server=fhir)

    chart = gather(queries(rest="optional"), request, reader_for(request), LONG)

    source = chart.sources["conditions"]
    assert [each["id"] for each in source.resources] == ["c1", "c2"]
    assert (source.foreign, source.state) == (50, SourceState.LOADED)


@pytest.mark.parametrize(
    "patient_id",
    ["p1\r\nX-Evil: 1", "p1 HTTP/1.1\r\n\r\nGET /evil", "p1&_id=p2", "p1#x"],
)
def test_a_value_in_a_query_stays_a_value(
    hook_request, fhir, reader_for, queries, bundle, patient_id
):
    for kind in KINDS:
        fhir.routes[kind] = bundle()
    request = hook_request(server=fhir, patient_id=patient_id)

    gather(
        queries(patient="optional", rest="optional"), request, reader_for(request), LONG
    )

    assert len(fhir.asked) == 5
    assert all("X-Evil" not in each.headers for each in fhir.asked)
    searches = [each for each in fhir.asked if each.query]
    assert [each.query["patient"] for each in searches] == [[patient_id]] * 4
    assert all("_id" not in each.query for each in searches)


@pytest.mark.parametrize("query", ["Condition?a=1\r\nX: y", "Condition?a b", "a\x00b"])
def test_a_query_that_could_break_its_line_is_not_asked(fhir, reader, query):
    assert read(reader, query) == ([], "cannot be asked")
    assert fhir.asked == []


# Retries.


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_says_when_it_may_be_asked_again(fhir, reader, bundle, form):
    moments = []

    def busy_once(handler):
        moments.append(monotonic())
        if len(moments) > 1:
            return bundle()
        later = datetime.now(UTC) + timedelta(seconds=2.5)
        after = "1" if form == "seconds" else format_datetime(later, usegmt=True)
        return 503, {}, {"Retry-After": after}

    fhir.routes["Condition"] = busy_once

    assert read(reader) == ([bundle()], "")
    assert moments[1] - moments[0] >= 1.0


def test_a_wait_for_a_retry_ends_with_the_request(
    queries, hook_request, fhir, reader_for
):
    answered = threading.Event()

    def busy(handler):
        handler.close_connection = True
        handler.answer((429, {}, {"Retry-After": "600"}))
        answered.set()

    fhir.routes["Condition"] = busy
    request = hook_request(server=fhir)
    reader = reader_for(request)

    def ask():
        with pytest.raises(ReadFailure):
            list(reader.pages("Condition?x=1"))

    with ThreadPoolExecutor(1) as worker:
        with reader.until(monotonic() + 1_000.0):
            waiting = worker.submit(ask)
            assert answered.wait(PATIENCE)
        waiting.result(PATIENCE)
    assert len(fhir.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 422, 500, 501])
def test_a_server_that_says_no_is_not_asked_again(fhir, reader, status):
    fhir.routes["Patient/p1"] = (status, {}, {"Retry-After": "0"})

    assert read(reader, "Patient/p1") == ([], f"HTTP {status}")
    assert len(fhir.asked) == 1


# What is said, and to whom.


@pytest.mark.slow
def test_tokens_never_mix_in_2000_calls_of_16_threads(hook_request, fhir, reader_for):
    fhir.routes["Condition"] = lambda handler: {
        "resourceType": "Bundle",
        "seen": handler.headers["Authorization"],
    }
    start = threading.Barrier(16)

    def call(worker):
        wrong = []
        start.wait(PATIENCE)
        for number in range(125):
            token = f"token-{worker}-{number}"
            reader = reader_for(hook_request(server=fhir, token=token))
            pages, why = read(reader, f"Condition?token={token}")
            if why or pages[0]["seen"] != f"Bearer {token}":
                wrong.append((token, why, pages))
        return wrong

    with ThreadPoolExecutor(16) as workers:
        assert sum(workers.map(call, range(16)), []) == []

    assert len(fhir.asked) == 2_000
    assert all(each.token == f"Bearer {each.query['token'][0]}" for each in fhir.asked)


@pytest.mark.parametrize(
    "route",
    [
        (200, {"resourceType": "Bundle", "p1": "Mustermann"}),
        (302, b"", {"Location": "http://127.0.0.1:1/Patient/p1/s3cr3t"}),
        (401, {"issue": "p1 s3cr3t"}),
        (503, {"issue": "p1"}, {"Retry-After": "0"}),
        (200, b"Mustermann"),
        (200, b"\xff Mustermann"),
        (200, b"junk", {"Content-Encoding": "gzip"}),
        raw(b"HTTP/1.1 200 OK\r\nMustermann p1\r\n s3cr3t\r\n\r\n{}"),
        raw(b"HTTP/1.1 Mustermann\r\n\r\n"),
        raw(b""),
        raw(head(b"Content-Length: 99"), b"Mustermann"),
    ],
)
def test_a_3_nothing_of_token_or_patient_is_logged_or_printed(
    hook_request, fhir, reader_for, caplog, capfd, route
):
    reader = reader_for(hook_request(server=fhir, token="s3cr3t"))
    names = ["", *logging.root.manager.loggerDict]
    for name in names:
        caplog.set_level(logging.DEBUG, name)
    fhir.routes["Condition"] = route

    read(reader, "Condition?patient=p1-Mustermann")

    printed = capfd.readouterr()
    for text in (caplog.text, printed.out, printed.err):
        assert "s3cr3t" not in text
        assert "Mustermann" not in text
        assert "Condition" not in text


def test_the_environment_says_nothing_about_where_to_go(
    fhir, serve, reader, bundle, tmp_path, monkeypatch
):
    proxy = serve()
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\ndefault login c password d")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.base.removesuffix("/fhir"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    fhir.routes["Condition"] = (200, bundle(), {"Set-Cookie": "a=b"})

    assert read(reader) == ([bundle()], "")
    assert read(reader) == ([bundle()], "")
    assert [each.token for each in fhir.asked] == ["Bearer t0ken"] * 2
    assert [each.headers.get("Cookie") for each in fhir.asked] == [None, None]
    assert proxy.asked == []
