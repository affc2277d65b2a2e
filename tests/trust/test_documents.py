"""Key servers, real ones on loopback: good, slow, huge, wrong and hostile."""

import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import ECAlgorithm

from cds_service.http.addresses import ListedServer, Reach
from cds_service.http.connections import ConnectionPool
from cds_service.trust import KeyFormat, KeyServer
from cds_service.trust.documents import (
    KeyServerUnread,
    PublishedKeys,
    fetcher,
    max_age,
    read_document,
)

from ..waiting import PATIENCE

JWK = {
    **ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True
    ),
    "kid": "a",
}
GOOD = json.dumps({"keys": [JWK]}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    server: "Site"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.accepted.append(self.headers.get("Accept"))
        kind = self.path.strip("/")
        if kind == "slow":
            self.server.release.wait(PATIENCE)
        if kind == "drip":
            self.drip()
        elif kind == "redirect":
            self.reply(302, b"", Location=f"http://127.0.0.1:{self.server.server_port}")
        elif kind in PAGES:
            status, body, headers = PAGES[kind]
            self.reply(status, body, **headers)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        with suppress(OSError):
            while not self.server.release.wait(0.05):
                self.wfile.write(b" ")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


PAGES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "good": (200, GOOD, {"Cache_Control": "public, max-age=600"}),
    "html": (200, b"<!doctype html><p>Login</p>", {}),
    "text": (200, b"keys", {}),
    "deep": (200, b"[" * 60_000, {}),
    "huge": (200, b'{"keys": []}' + b" " * 200_000, {}),
    "empty": (200, b"", {}),
    "missing": (404, GOOD, {}),
    "broken": (500, b"", {}),
    "list": (200, json.dumps([JWK]).encode(), {}),
    "thousand": (200, json.dumps({"keys": [{}] * 1000}).encode(), {}),
}


class Site(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.accepted: list[str | None] = []
        self.release = threading.Event()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as opened:
        thread = threading.Thread(target=opened.serve_forever, args=(0.05,))
        thread.start()
        yield opened
        opened.release.set()
        opened.shutdown()
        thread.join()


def fetch(
    site: Site,
    page: str,
    seconds: float = 30,
    host: str = "127.0.0.1",
    reach: Reach = Reach.LOCAL,
    format: KeyFormat = KeyFormat.JWK_SET,
) -> PublishedKeys:
    pool = ConnectionPool()
    url = f"http://{host}:{site.server_port}/{page}"
    try:
        return fetcher(pool, seconds)(KeyServer(ListedServer(url, reach), format))
    finally:
        pool.close()


def test_a_key_set_is_read_and_good_for_as_long_as_it_says(site: Site) -> None:
    document = fetch(site, "good")

    assert list(document.keys.keys) == ["a"]
    assert document.age == 600
    assert site.accepted == ["application/json"]


def test_keys_of_a_server_that_says_no_age_are_good_for_a_quarter_of_an_hour(
    site: Site,
) -> None:
    assert fetch(site, "list", format=KeyFormat.JWK_LIST).age == 900


def test_a_named_server_is_fetched_from_as_far_inside_as_it_may_be(site: Site) -> None:
    pool = ConnectionPool(resolve=lambda host, port: ["127.0.0.1"])
    url = f"http://keys.example:{site.server_port}/good"
    inside = KeyServer(ListedServer(url, Reach.LOCAL))

    assert list(fetcher(pool)(inside).keys.keys) == ["a"]
    with pytest.raises(KeyServerUnread):
        fetcher(pool)(KeyServer(ListedServer(url)))
    assert site.asked == ["/good"]
    pool.close()


@pytest.fixture
def certificate(site: Site, tmp_path: Path) -> Path:
    """Has the site speak TLS, with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "site.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + signed.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    return file


def test_keys_come_from_a_server_that_the_named_authority_vouches_for_only(
    site: Site, certificate: Path
) -> None:
    url = f"https://127.0.0.1:{site.server_port}/good"
    known = ListedServer(url, Reach.LOCAL, ca_file=str(certificate))
    pool = ConnectionPool()

    assert list(fetcher(pool, 30)(KeyServer(known)).keys.keys) == ["a"]
    with pytest.raises(KeyServerUnread, match="TLS failure"):
        fetcher(pool, 30)(KeyServer(ListedServer(url, Reach.LOCAL)))
    assert site.asked == ["/good"]
    pool.close()


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("html", "HTML"),
        ("text", "not JSON"),
        ("deep", "not JSON"),
        ("huge", "size limit"),
        ("empty", "empty body"),
        ("missing", "HTTP 404"),
        ("broken", "HTTP 500"),
        ("redirect", "HTTP 302"),
        ("list", "is no JWK Set"),
        ("thousand", "has more than 100 keys"),
    ],
)
def test_s_12_what_is_no_key_set_is_refused_in_constant_words(
    site: Site, page: str, problem: str
) -> None:
    with pytest.raises(KeyServerUnread) as refused:
        fetch(site, page)

    assert str(refused.value) == problem
    assert site.asked == [f"/{page}"]


@pytest.mark.parametrize("page", ["slow", "drip"])
def test_a_server_that_does_not_come_to_an_end_is_left(site: Site, page: str) -> None:
    with pytest.raises(KeyServerUnread, match="timeout"):
        fetch(site, page, seconds=0.5)


def test_a_name_that_leads_inside_is_not_contacted(site: Site) -> None:
    with pytest.raises(KeyServerUnread, match="address refused"):
        fetcher(ConnectionPool(resolve=lambda host, port: ["127.0.0.1"]))(
            KeyServer(ListedServer(f"http://ehr.example:{site.server_port}/good"))
        )

    assert site.asked == []


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "::1", "fe80::1"])
def test_a_name_that_leads_to_another_inner_address_is_refused(address: str) -> None:
    server = KeyServer(ListedServer("http://ehr.example:1/jwks"))

    with pytest.raises(KeyServerUnread, match="address refused"):
        fetcher(ConnectionPool(resolve=lambda host, port: [address]))(server)


def test_a_bare_list_of_keys_is_read_where_the_clients_file_says_so(
    site: Site,
) -> None:
    document = fetch(site, "list", format=KeyFormat.JWK_LIST)

    assert list(document.keys.keys) == ["a"]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 900),
        ("public", 900),
        ("max-age=600", 600),
        ('public, MAX-AGE="600"', 600),
        ("max-age=0", 300),
        ("max-age=-5", 900),
        ("no-store", 300),
        ("no-cache, max-age=9999", 300),
        ("max-age=99999999", 86_400),
        ("s-maxage=5", 900),
    ],
)
def test_cache_control_is_honoured_within_bounds(said: str, seconds: float) -> None:
    assert max_age(said) == seconds


LISTER = KeyServer(ListedServer("https://ehr.example/jkus"), KeyFormat.URL_LIST)
ONE = "https://ehr.example/one"


@pytest.mark.parametrize(
    "value",
    [[ONE], {"jkus": [ONE]}, {"keys": [{"jku": ONE}]}, [{"jwks_uri": ONE}]],
)
def test_a_list_of_urls_is_read_in_its_usual_shapes(value: Any) -> None:
    assert read_document(value, LISTER, 600) == PublishedKeys(
        urls=frozenset({ONE}), age=600
    )


def test_a_list_may_hold_a_hundred_urls() -> None:
    assert read_document([ONE] * 100, LISTER).urls == {ONE}


@pytest.mark.parametrize(
    ("reach", "urls"), [(Reach.LOCAL, {"http://127.0.0.1:9/one"}), (Reach.PUBLIC, ())]
)
def test_a_listed_url_may_be_plain_http_only_where_its_lister_may_be_here(
    reach: Reach, urls: set[str]
) -> None:
    lister = KeyServer(ListedServer("https://ehr.example", reach), KeyFormat.URL_LIST)

    assert read_document(["http://127.0.0.1:9/one"], lister).urls == frozenset(urls)


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/one",
        "file:///etc/passwd",
        "https://user@ehr.example/one",
        "https://127.1/one",
        "https://ehr.example/one?next=1",
        "https://0x7f000001/one",
        "//ehr.example/one",
    ],
)
def test_a_listed_url_that_is_no_plain_https_address_is_left_out(url: str) -> None:
    assert read_document([url, ONE], LISTER).urls == {ONE}


@pytest.mark.parametrize(
    "value", [None, 7, "https://ehr.example/one", {}, [7], [[]], [ONE] * 101]
)
def test_what_is_no_list_of_urls_is_refused(value: Any) -> None:
    with pytest.raises(KeyServerUnread) as refused:
        read_document(value, LISTER)

    assert str(refused.value) == "is no list of URLs"
