"""One FHIR server read with a token, kind and hostile, over real sockets."""

import gzip
import ipaddress
import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from cds_service.fhir.client import FhirPool, open_reader
from cds_service.http.addresses import ListedServer
from cds_service.http.exchange import ReadFailure

from ..waiting import PATIENCE

ENDS = 60.0


def read(reader, query, seconds=ENDS):
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


def test_a_4_every_call_carries_the_token_and_asks_for_fhir_json(fhir, reader, bundle):
    fhir.routes["Condition"] = bundle()

    read(reader, "Condition?patient=p1")

    assert fhir.asked[0].token == "Bearer t0ken"
    assert fhir.asked[0].headers["Accept"] == "application/fhir+json"


def test_searches_ask_for_large_pages_and_reads_do_not(fhir, reader, bundle, patient):
    fhir.routes |= {"Condition": bundle(), "Patient/p1": patient}

    read(reader, "Condition?patient=p1")
    read(reader, "Patient/p1")

    assert [each.query for each in fhir.asked] == [
        {"patient": ["p1"], "_count": ["200"]},
        {},
    ]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_page_size_that_is_refused_is_left_out_once(fhir, reader, bundle, status):
    fhir.routes["Condition"] = lambda handler: (
        (status, {}) if "_count" in handler.path else bundle()
    )

    assert read(reader, "Condition?patient=p1") == ([bundle()], "")
    assert [each.query.get("_count") for each in fhir.asked] == [["200"], None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_7_a_refusal_of_the_token_is_not_asked_twice(fhir, reader, status):
    fhir.routes["Condition"] = (status, {})

    assert read(reader, "Condition?patient=p1") == ([], f"HTTP {status}")
    assert len(fhir.asked) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(fhir, reader, bundle, status):
    answers = [(status, {}, {"Retry-After": "0"}), (status, {}), bundle()]
    fhir.routes["Condition"] = lambda handler: answers.pop(0)

    assert read(reader, "Condition?patient=p1") == ([bundle()], "")


def test_a_server_that_stays_in_trouble_is_asked_three_times(fhir, reader):
    fhir.routes["Condition"] = (503, {})

    assert read(reader, "Condition?patient=p1") == ([], "HTTP 503")
    assert len(fhir.asked) == 3


def test_nobody_waits_longer_than_there_is_time(fhir, reader):
    fhir.routes["Condition"] = (503, {}, {"Retry-After": "3600"})

    assert read(reader, "Condition?patient=p1") == ([], "HTTP 503")
    assert len(fhir.asked) == 1


@pytest.mark.parametrize("after", ["soon", "Wed, 21 Oct 2099 07:28:00 GMT", "-1"])
def test_an_odd_retry_after_does_no_harm(fhir, reader, after):
    fhir.routes["Condition"] = (503, {}, {"Retry-After": after})

    assert read(reader, "Condition?patient=p1") == ([], "HTTP 503")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "empty body"),
        (b" \n", "empty body"),
        (b"<!DOCTYPE html><html><p>Log in</p></html>", "HTML"),
        (b"\n<html>", "HTML"),
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', "not JSON"),
        (b'{"resourceType": "Bundle"', "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": "\xff\xfe"}', "not UTF-8"),
        ((204, b""), "HTTP 204"),
        ((302, b"", {"Location": "/fhir/Observation"}), "redirect refused"),
        ((307, b"", {"Location": "http://localhost/x"}), "redirect refused"),
        ((200, b"junk", {"Content-Encoding": "gzip"}), "unreadable encoding"),
    ],
)
def test_what_is_no_fhir_answer_is_named_and_never_crashes(fhir, reader, answer, why):
    fhir.routes["Condition"] = answer

    assert read(reader, "Condition?patient=p1") == ([], why)
    assert fhir.paths == ["Condition"]


def test_a_byte_order_mark_and_a_compressed_body_are_read(fhir, reader):
    body = gzip.compress(b'\xef\xbb\xbf{"resourceType": "Bundle"}')
    fhir.routes["Condition"] = (200, body, {"Content-Encoding": "gzip"})

    assert read(reader, "Condition?x=1") == ([{"resourceType": "Bundle"}], "")


def test_a_redirect_to_another_host_gets_no_token(fhir, serve, reader):
    other = serve()
    fhir.routes["Condition"] = (301, b"", {"Location": f"{other.base}/Condition"})

    read(reader, "Condition?patient=p1")

    assert other.asked == []


def test_a_server_that_closes_half_way_is_named(fhir, reader):
    def half(handler):
        handler.close_connection = True
        return 200, b'{"resourceType": "Bun', {"Content-Length": "5000"}

    fhir.routes["Condition"] = half

    assert read(reader, "Condition?x=1") == ([], "connection closed early")


def test_a_server_that_closes_at_once_is_asked_again(fhir, reader, bundle):
    answers = [None, bundle()]

    def close(handler):
        handler.close_connection = True
        return answers.pop(0)

    fhir.routes["Condition"] = close

    assert read(reader, "Condition?x=1") == ([bundle()], "")


def test_a_server_that_is_not_there_is_named(serve, hook_request, reader_for):
    gone = serve()
    gone.http.server_close()

    reader = reader_for(hook_request(server=gone))

    assert read(reader, "Condition?x=1") == ([], "connection failed")


@pytest.mark.parametrize("where", ["before the answer", "in the body"])
def test_e_9_a_server_that_hangs_is_left_when_the_time_is_up(fhir, reader, where):
    def hang(handler):
        if where == "in the body":
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b'{"resource')
        handler.hang()

    fhir.routes["Condition"] = hang

    assert read(reader, "Condition?x=1", seconds=1.0) == ([], "timeout")


def test_nothing_is_asked_when_the_time_is_up(fhir, reader):
    assert read(reader, "Condition?x=1", seconds=-1.0) == ([], "timeout")
    assert fhir.asked == []


def test_a_11_nothing_is_asked_after_the_request(fhir, reader, bundle):
    fhir.routes["Condition"] = bundle()
    read(reader, "Condition?x=1")

    with pytest.raises(ReadFailure, match="timeout"):
        next(reader.pages("Condition?x=2"))

    assert len(fhir.asked) == 1


def test_relative_and_absolute_page_links_are_followed(fhir, reader, bundle):
    links = iter(["?page=2", "Condition?page=3", f"{fhir.base}?cursor=4", None])
    fhir.routes["Condition"] = lambda handler: bundle(following=next(links))
    fhir.routes["/fhir"] = lambda handler: bundle(following=next(links))

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (4, "")


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:{port}/fhir/Condition?page=2",
        "http://127.0.0.1:1/fhir/Condition?page=2",
        "https://127.0.0.1:{port}/fhir/Condition?page=2",
        "http://user@127.0.0.1:{port}/fhir/Condition?page=2",
        "http://user:word@127.0.0.1:{port}/fhir/Condition?page=2",
        "http://127.0.0.1:{port}/admin/Condition?page=2",
        "http://127.0.0.1:{port}/fhir/../admin?page=2",
        "http://127.0.0.1:{port}/fhir/%2e%2e/admin?page=2",
        "http://127.0.0.1:{port}/fhirier/Condition?page=2",
        "//localhost:{port}/fhir/Condition?page=2",
        "/admin",
        "../../admin",
        "http://127.0.0.1:{port}\\@evil/fhir",
        "http://127.0.0.1:{port}/fhir/Condition?a=1\r\nX: y",
        "file:///etc/passwd",
        "http://[::1/fhir",
        "http://127.0.0.1:99999/fhir",
        "",
        7,
    ],
)
def test_p_17_a_page_link_out_of_the_base_is_refused(fhir, reader, bundle, link):
    port = fhir.http.server_port
    text = link.replace("{port}", str(port)) if isinstance(link, str) else link
    fhir.routes["Condition"] = bundle(following=text)

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (1, "page link refused")
    assert fhir.paths == ["Condition"]


def test_p_17_pages_in_a_circle_are_noticed(fhir, reader, bundle):
    fhir.routes["Condition"] = lambda handler: bundle(
        following="?page=3" if "page=2" in handler.path else "?page=2"
    )

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (3, "pages repeat")


def endless(fhir, bundle, *resources):
    numbers = iter(range(1_000_000))
    fhir.routes["Condition"] = lambda handler: bundle(
        *resources, following=f"?page={next(numbers)}"
    )


def test_p_17_endless_pages_end(hook_request, fhir, reader_for, bundle):
    endless(fhir, bundle)
    reader = reader_for(hook_request(server=fhir), pages=4)

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (4, "page limit")


def test_p_17_endless_resources_end(hook_request, fhir, reader_for, bundle, condition):
    endless(fhir, bundle, condition(), condition())
    reader = reader_for(hook_request(server=fhir), resources=5)

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (3, "size limit")


def test_p_17_pages_of_many_bytes_end(hook_request, fhir, reader_for, bundle):
    endless(fhir, bundle, {"text": "x" * 1_000})
    reader = reader_for(hook_request(server=fhir), bytes=2_500)

    pages, why = read(reader, "Condition?patient=p1")

    assert (len(pages), why) == (3, "size limit")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_13_a_body_over_the_limit_is_not_read_to_its_end(
    hook_request, fhir, reader_for, encoding
):
    body = b'{"text": "' + b"x" * 5_000_000 + b'"}'
    if encoding == "gzip":
        body = gzip.compress(body)
    fhir.routes["Condition"] = (200, body, {"Content-Encoding": encoding})
    reader = reader_for(hook_request(server=fhir), bytes=100_000)

    assert read(reader, "Condition?patient=p1") == ([], "size limit")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"resourceType": "OperationOutcome"}, "OperationOutcome"),
        ({"resourceType": "Patient"}, "wrong shape"),
        ([], "wrong shape"),
    ],
)
def test_a_later_page_that_is_no_bundle_is_named(fhir, reader, bundle, value, why):
    fhir.routes["Condition"] = lambda handler: (
        value if "page" in handler.path else bundle(following="?page=2")
    )

    assert read(reader, "Condition?patient=p1")[1] == why


def test_a_patient_id_that_climbs_out_of_the_base_is_not_asked(fhir, reader):
    assert read(reader, "Patient/..") == ([], "cannot be asked")
    assert fhir.asked == []


@pytest.mark.parametrize(
    ("server", "allowed", "opens"),
    [
        ("https://ehr.example/fhir", ["https://ehr.example/fhir"], True),
        ("https://ehr.example/fhir/", ["https://ehr.example/fhir"], True),
        ("https://EHR.example:443/fhir/R4", ["https://ehr.example/fhir/"], True),
        ("https://ehr.example/fhirier", ["https://ehr.example/fhir"], False),
        ("https://ehr.example/", ["https://ehr.example/fhir"], False),
        ("http://ehr.example/fhir", ["https://ehr.example/fhir"], False),
        ("https://ehr.example:8443/fhir", ["https://ehr.example/fhir"], False),
        ("https://ehr.example.evil/fhir", ["https://ehr.example/fhir"], False),
        ("https://a@ehr.example/fhir", ["https://ehr.example/fhir"], False),
        ("https://ehr.example/fhir/../x", ["https://ehr.example/fhir"], False),
        ("https://ehr.example/fhir?a=b", ["https://ehr.example/fhir"], False),
        ("http://169.254.169.254/", ["https://ehr.example/fhir"], False),
        ("https://ehr.example/fhir", [], False),
        ("https://ehr.example/fhir", ["nonsense"], False),
        ("nonsense", ["https://ehr.example/fhir"], False),
        (None, ["https://ehr.example/fhir"], False),
    ],
)
def test_a_13_only_listed_servers_are_read(hook_request, pool, server, allowed, opens):
    request = hook_request(server=server)

    listed = [ListedServer(each) for each in allowed]

    assert (open_reader(request, listed, [], pool) is not None) is opens


def test_a_1_without_a_token_only_an_open_server_is_read(
    hook_request, pool, fhir, bundle
):
    fhir.routes["Condition"] = bundle()
    request = hook_request(server=fhir, token="")

    assert open_reader(request, [ListedServer(fhir.base)], [], pool) is None
    reader = open_reader(request, [], [ListedServer(fhir.base)], pool)
    assert read(reader, "Condition?x=1") == ([bundle()], "")
    assert fhir.asked[0].token is None


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_12_a_token_that_has_expired_opens_nothing(hook_request, fhir, pool, seconds):
    request = hook_request(server=fhir, expires_in=seconds)

    listed = [ListedServer(fhir.base)]

    assert open_reader(request, listed, listed, pool) is None


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a b", "tök", "a\n"])
def test_a_token_that_is_no_header_text_opens_nothing(hook_request, fhir, pool, token):
    request = hook_request(server=fhir, token=token)

    assert open_reader(request, [ListedServer(fhir.base)], [], pool) is None


def test_a_3_the_token_stands_in_no_text_of_ours(
    hook_request, fhir, reader_for, caplog
):
    caplog.set_level(logging.DEBUG)
    secret = "s3cr3t-t0ken"
    fhir.routes["Condition"] = (500, {})
    reader = reader_for(hook_request(server=fhir, token=secret))

    with reader.until(monotonic() + ENDS), pytest.raises(ReadFailure) as caught:
        list(reader.pages("Condition?patient=p1"))

    assert fhir.asked[0].token == f"Bearer {secret}"
    for text in (repr(reader), str(reader), repr(caught.value), caplog.text):
        assert secret not in text
        assert "patient" not in text
    assert caught.value.__context__ is None


def test_the_address_with_the_patient_is_never_logged(fhir, reader, bundle, caplog):
    caplog.set_level(logging.DEBUG)
    fhir.routes["Condition"] = bundle()

    read(reader, "Condition?patient=p1")

    assert "patient" not in caplog.text


def test_cookies_of_a_server_are_not_sent_back(fhir, reader, bundle):
    fhir.routes["Condition"] = (200, bundle(), {"Set-Cookie": "a=b; Path=/"})

    read(reader, "Condition?x=1")
    read(reader, "Condition?x=2")

    assert [each.headers.get("Cookie") for each in fhir.asked] == [None, None]


def test_a_netrc_file_does_not_replace_the_token(
    fhir, reader, bundle, tmp_path, monkeypatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    fhir.routes["Condition"] = bundle()

    assert read(reader, "Condition?x=1")[1] == ""
    assert fhir.asked[0].token == "Bearer t0ken"


def test_connections_are_kept_for_the_next_request(
    hook_request, fhir, reader_for, bundle
):
    ports = []

    def note(handler):
        ports.append(handler.client_address[1])
        return bundle()

    fhir.routes["Condition"] = note
    for token in ("one", "two"):
        read(reader_for(hook_request(server=fhir, token=token)), "Condition?x=1")

    assert len(set(ports)) == 1


def test_tokens_never_mix_between_requests_that_run_at_once(
    hook_request, fhir, reader_for
):
    fhir.routes["Condition"] = lambda handler: {
        "resourceType": "Bundle",
        "seen": handler.headers["Authorization"],
        "for": handler.path,
    }
    start = threading.Barrier(16)

    def call(worker):
        start.wait(PATIENCE)
        for number in range(25):
            token = f"token-{worker}-{number}"
            reader = reader_for(hook_request(server=fhir, token=token))
            pages, why = read(reader, f"Condition?token={token}")
            if why or pages[0]["seen"] != f"Bearer {token}":
                return f"{token}: {why or pages[0]['seen']}"
        return ""

    with ThreadPoolExecutor(16) as workers:
        wrong = [each for each in workers.map(call, range(16)) if each]

    assert wrong == []
    assert len(fhir.asked) == 400
    assert all(each.token == f"Bearer {each.query['token'][0]}" for each in fhir.asked)


def test_a_server_that_speaks_no_tls_is_named(fhir, hook_request, reader_for):
    base = fhir.base.replace("http:", "https:")

    reader = reader_for(hook_request(server=base))

    assert read(reader, "Condition?x=1") == ([], "TLS failure")


@pytest.fixture
def self_signed(tmp_path):
    """A TLS context for 127.0.0.1 that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, str(pem)


def over_tls(fhir, context):
    fhir.http.socket = context.wrap_socket(fhir.http.socket, server_side=True)
    return fhir.base.replace("http:", "https:")


def test_a_13_a_certificate_that_nobody_vouches_for_gets_no_token(
    fhir, self_signed, hook_request, reader_for
):
    base = over_tls(fhir, self_signed[0])

    reader = reader_for(hook_request(server=base))

    assert read(reader, "Condition?x=1") == ([], "TLS failure")
    assert fhir.asked == []


def test_a_13_a_server_is_read_over_tls_and_left_when_the_time_is_up(
    fhir, self_signed, hook_request, bundle
):
    base = over_tls(fhir, self_signed[0])
    pool = FhirPool()
    listed = [ListedServer(base, ca_file=self_signed[1])]
    fhir.routes |= {"Condition": bundle(), "Observation": lambda each: each.hang()}
    request = hook_request(server=base)

    reader = open_reader(request, listed, [], pool)
    assert read(reader, "Condition?x=1") == ([bundle()], "")
    reader = open_reader(request, listed, [], pool)
    assert read(reader, "Observation?x=1", 1.0) == ([], "timeout")
    pool.close()
