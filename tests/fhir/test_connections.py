"""Connections that go to the address that was looked at, over real sockets and TLS."""

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from socket import create_connection, create_server
from time import monotonic
from urllib.parse import urlsplit

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
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer, Reach
from cds_service.http.connections import resolve_by_system
from cds_service.http.exchange import ReadFailure

from ..waiting import PATIENCE

NAME = "fhir.hospital.example"
HERE = "127.0.0.1"


class Names:
    """A name server whose answers the test gives, one after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, host, port):
        self.asked.append((host, port))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if not answer:
            raise OSError("no such name")
        return answer


@pytest.fixture
def ask(hook_request):
    """Asks a server by a name that only the test's name server knows."""
    pools = []

    def build(server, names, reach=Reach.LOCAL, authority=None, **more):
        pool = FhirPool(resolve=names, **more)
        pools.append(pool)
        scheme = "http" if authority is None else "https"
        base = f"{scheme}://{NAME}:{urlsplit(server.base).port}/fhir"
        listed = [ListedServer(base, reach, authority or "")]

        def get(query="Condition?x=1", listed=listed):
            reader = open_reader(hook_request(server=base), listed, [], pool)
            with reader.until(monotonic() + 60.0):
                try:
                    return list(reader.pages(query)), ""
                except ReadFailure as failure:
                    return [], failure.reason

        return get

    yield build
    for pool in pools:
        pool.close()


def test_a_13_a_name_is_resolved_once_and_kept_in_the_host_header(fhir, ask, bundle):
    fhir.routes["Condition"] = bundle()
    names = Names([HERE])
    get = ask(fhir, names)

    assert get() == ([bundle()], "")
    assert get() == ([bundle()], "")

    port = fhir.http.server_port
    assert names.asked == [(NAME, port)]
    assert [each.headers["Host"] for each in fhir.asked] == [f"{NAME}:{port}"] * 2


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("127.0.0.1", Reach.PUBLIC),
        ("127.0.0.1", Reach.PRIVATE),
        ("10.0.0.1", Reach.PUBLIC),
        ("169.254.169.254", Reach.LOCAL),
        ("0.0.0.0", Reach.LOCAL),
        ("224.0.0.1", Reach.LOCAL),
        ("::1", Reach.PUBLIC),
        ("::ffff:127.0.0.1", Reach.LOCAL),
        ("64:ff9b::7f00:1", Reach.LOCAL),
        ("2002:7f00:1::", Reach.LOCAL),
        ("2130706433", Reach.LOCAL),
    ],
)
def test_a_13_a_name_that_leads_inside_is_not_asked(fhir, ask, address, reach):
    names = Names([address])

    assert ask(fhir, names, reach)() == ([], "address refused")
    assert fhir.asked == []
    assert len(names.asked) == 1


@pytest.mark.parametrize("answer", [[HERE, "169.254.169.254"], ["fe80::1", HERE]])
def test_a_13_one_address_that_may_not_be_refuses_them_all(fhir, ask, answer):
    assert ask(fhir, Names(answer))() == ([], "address refused")
    assert fhir.asked == []


def test_a_13_a_name_that_changes_its_mind_is_looked_at_again(fhir, ask, bundle):
    fhir.routes["Condition"] = (200, bundle(), {"Connection": "close"})
    names = Names([HERE], ["169.254.169.254"])
    get = ask(fhir, names)

    assert get() == ([bundle()], "")
    assert get() == ([], "address refused")
    assert len(fhir.asked) == 1


def test_a_13_a_connection_is_not_lent_to_who_may_not_go_there(fhir, ask, bundle):
    fhir.routes["Condition"] = bundle()
    get = ask(fhir, Names([HERE]))
    (inside,) = [ListedServer(f"http://{NAME}:{fhir.http.server_port}/fhir")]

    assert get() == ([bundle()], "")
    assert get(listed=[inside]) == ([], "address refused")
    assert len(fhir.asked) == 1


def test_a_13_a_server_listed_twice_may_be_where_either_listing_says(fhir, ask, bundle):
    fhir.routes["Condition"] = bundle()
    get = ask(fhir, Names([HERE]))
    base = f"http://{NAME}:{fhir.http.server_port}"
    outer, inner = ListedServer(base), ListedServer(f"{base}/fhir", Reach.LOCAL)

    assert get(listed=[outer, inner]) == ([bundle()], "")


def test_a_13_the_log_says_once_what_to_set_and_nothing_of_the_patient(fhir, ask):
    told = []
    get = ask(
        fhir,
        Names(["10.1.2.3"]),
        Reach.PUBLIC,
        log=lambda event, **facts: told.append((event, facts)),
    )

    get("Condition?patient=p1")
    get("Condition?patient=p1")

    assert told == [
        (
            "FHIR server not asked",
            {
                "host": NAME,
                "address": "10.1.2.3",
                "problem": "the address is private",
                "help": "set private: true beside the url of this server in the"
                " clients file",
            },
        )
    ]


def test_an_address_that_does_not_answer_leaves_the_next_one_its_turn(
    fhir, ask, bundle
):
    fhir.routes["Condition"] = bundle()

    assert ask(fhir, Names(["127.0.0.2", HERE]))() == ([bundle()], "")


@pytest.mark.parametrize("answer", [[], ["127.0.0.2"]])
def test_a_name_without_an_address_that_answers_is_named(fhir, ask, answer):
    assert ask(fhir, Names(answer))() == ([], "connection failed")


def test_a_13_this_machine_may_be_listed_by_name(fhir, bundle, hook_request, pool):
    fhir.routes["Condition"] = bundle()
    base = fhir.base.replace(HERE, "localhost")

    reader = open_reader(hook_request(server=base), [ListedServer(base)], [], pool)

    with reader.until(monotonic() + 60.0):
        assert list(reader.pages("Condition?x=1")) == [bundle()]


def test_what_is_no_name_has_no_address():
    with pytest.raises(OSError):
        resolve_by_system("a" * 64 + ".example", 80)


def test_an_address_is_its_own():
    assert resolve_by_system(HERE, 80) == (HERE,)


@pytest.fixture(scope="module")
def authority():
    """A certificate authority, as a hospital has its own."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(subject, key, authority, *, names=(), is_authority=False):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named("Hospital CA"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names or "x"]),
            critical=False,
        )
        .sign(authority, hashes.SHA256())
    )


@pytest.fixture
def over_tls(fhir, authority, tmp_path):
    """Makes the server speak TLS with a certificate for *names*.

    Gives the file of the authority and the list of the names that clients asked for.
    """

    def wrap(*names):
        key = ec.generate_private_key(ec.SECP256R1())
        chain = tmp_path / "server.pem"
        chain.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate("server", key, authority, names=names).public_bytes(
                Encoding.PEM
            )
        )
        ca = certificate("Hospital CA", authority, authority, is_authority=True)
        file = tmp_path / "ca.pem"
        file.write_bytes(ca.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        asked = []
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        fhir.http.socket = context.wrap_socket(fhir.http.socket, server_side=True)
        return str(file), asked

    return wrap


def test_a_13_a_pinned_connection_is_verified_for_the_name(fhir, ask, over_tls, bundle):
    fhir.routes["Condition"] = bundle()
    authority, named = over_tls(NAME)
    names = Names([HERE], ["169.254.169.254"])

    assert ask(fhir, names, authority=authority)() == ([bundle()], "")
    assert named == [NAME]
    assert fhir.asked[0].headers["Host"] == f"{NAME}:{fhir.http.server_port}"
    assert fhir.asked[0].token == "Bearer t0ken"


@pytest.mark.parametrize("other", ["other.example", "hospital.example", HERE])
def test_a_13_a_certificate_for_another_name_gets_no_token(fhir, ask, over_tls, other):
    authority, _ = over_tls(other)

    get = ask(fhir, Names([HERE]), authority=authority)

    assert get() == ([], "TLS failure")
    assert fhir.asked == []


def test_a_13_a_certificate_of_an_authority_that_is_not_trusted_gets_no_token(
    fhir, ask, over_tls
):
    over_tls(NAME)

    assert ask(fhir, Names([HERE]), authority="")() == ([], "TLS failure")
    assert fhir.asked == []


def test_e_9_a_handshake_that_drips_holds_no_thread(queries, hook_request):
    """TLS that is begun and never comes to an end."""

    def drip(listener, release):
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while not release.wait(0.02):
                connection.sendall(b"\x02")

    release = threading.Event()
    with create_server((HERE, 0)) as listener, ThreadPoolExecutor(8) as servers:
        for _ in range(8):
            servers.submit(drip, listener, release)
        base = f"https://{HERE}:{listener.getsockname()[1]}/fhir"
        pool = FhirPool()
        request = hook_request(server=base)
        reader = open_reader(request, [ListedServer(base)], [], pool)
        try:
            gather(queries(rest="optional", patient="optional"), request, reader, 1.0)
            pool.close()
            for thread in threading.enumerate():
                if thread.name.startswith("fhir"):
                    thread.join(PATIENCE)
                    assert not thread.is_alive()
        finally:
            release.set()
            pool.close()
            for _ in range(8):
                create_connection(listener.getsockname()).close()
