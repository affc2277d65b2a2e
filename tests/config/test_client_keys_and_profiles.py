"""The clients file: keys by URL, the services of a client, and what it understands."""

from collections.abc import Callable
from pathlib import Path

import certifi
import pytest

from cds_service.config import InvalidConfig, load_clients
from cds_service.http.addresses import ListedServer, Reach
from cds_service.protocol.capabilities import Capabilities
from cds_service.trust import KeyFormat, KeyServer, RegisteredClient

Write = Callable[[str], Path]
URL = "https://ehr.example/jwks.json"


def load(file: Path, *, development: bool = False) -> RegisteredClient:
    (known,) = load_clients(file, development=development, lifetime=3600).clients
    return known


def problem(file: Path) -> str:
    with pytest.raises(InvalidConfig) as refused:
        load(file)
    (found,) = refused.value.problems
    return found.partition(": ")[2]


def entry(more: str) -> str:
    return f"clients: [{{id: a, iss: i, {more}}}]"


@pytest.mark.parametrize("written", [URL, f"[{URL}]", f"{{url: {URL}}}"])
def test_s_10_keys_may_be_at_a_url(write: Write, written: str) -> None:
    known = load(write(entry(f"jku: {written}")))

    assert known.key_servers == (KeyServer(ListedServer(URL)),)
    assert known.keys == {}


def test_everything_about_a_key_server_can_be_said(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(Path(certifi.where()).read_text("utf-8"))
    lists = "https://lists.example/jkus"
    file = write(
        entry(
            f"jku: [{{url: {URL}, private: true, ca_file: ca.pem, format: jwk-list,"
            f" refresh: 10}}, {{url: {lists}, format: url-list}}]"
        )
    )

    inside = ListedServer(URL, Reach.PRIVATE, str(tmp_path / "ca.pem"))
    assert load(file).key_servers == (
        KeyServer(inside, KeyFormat.JWK_LIST, 10),
        KeyServer(ListedServer(lists), KeyFormat.URL_LIST),
    )


def test_http_and_this_machine_are_for_development(write: Write) -> None:
    file = write(entry("jku: http://127.0.0.1:1/jwks"))

    (server,) = load(file, development=True).key_servers
    assert server.server.reach is Reach.LOCAL
    assert problem(file) == (
        "clients[0].jku[0]: must begin with https:// outside development"
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (f"jku: {URL}, keys: []", "one of keys, keys_file and jku must be given"),
        ("jku: []", "one of keys, keys_file and jku must be given"),
        ("jku: ftp://a/b", "must be a URL that begins with https://"),
        ("jku: https://u@a/b", "must be a URL without user, query or fragment"),
        ("jku: https://127.1/b", "must name its host plainly"),
        ("jku: {url: https://a, format: pem}", "input should be 'jwk-set'"),
        ("jku: {url: https://a, refresh: 0}", "greater than or equal to 1"),
        (
            "jku: https://sandbox.cds-hooks.org/.well-known/jwks.json",
            "this issuer's private key is public; only in development",
        ),
        (
            f"jku: {URL}, profile: {{version: '1.0', any: true}}",
            "any came with CDS Hooks 1.1",
        ),
        (
            f"jku: {URL}, profile: {{version: '2.0', action_selection_behavior: true}}",
            "action_selection_behavior came with CDS Hooks 3.0",
        ),
        (
            f"jku: {URL}, profile: {{version: '2.0', delete: resource}}",
            "delete: resource is the form of CDS Hooks 1.0",
        ),
        (f"jku: {URL}, profile: {{version: 3}}", "input should be '1.0'"),
        (f"jku: {URL}, services: [7]", "should be a valid string"),
    ],
)
def test_a_fault_is_named(write: Write, more: str, expected: str) -> None:
    assert expected in problem(write(entry(more)))


@pytest.mark.parametrize(
    "iss",
    [
        "https://sandbox.cds-hooks.org/",
        "HTTPS://SANDBOX.CDS-HOOKS.ORG",
        "http://sandbox.cds-hooks.org:443/x",
    ],
)
def test_s_23_no_spelling_of_the_sandbox_is_trusted_in_production(
    write: Write, iss: str
) -> None:
    file = write(f"clients: [{{id: a, iss: '{iss}', jku: {URL}}}]")

    assert problem(file).endswith(
        "this issuer's private key is public; only in development"
    )


def test_v_6_a_profile_says_nothing_by_default(write: Write) -> None:
    client = load(write(entry(f"jku: {URL}"))).client

    assert client.profile.capabilities == Capabilities()
    assert client.may_call("anything")


def test_v_6_a_profile_says_what_a_client_understands(write: Write) -> None:
    profile = (
        "{version: '3.0', any: true, action_selection_behavior: true,"
        " system_actions: true, autolaunchable: true, fhirpath_tokens: true}"
    )
    client = load(write(entry(f"jku: {URL}, profile: {profile}"))).client

    assert client.profile.capabilities == Capabilities(True, True, True, True, True)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("{version: '1.0'}", True),
        ("{version: '1.0', delete: resource_id}", False),
        ("{version: '1.1'}", False),
        ("{version: '1.1', delete: resource}", True),
        ("{delete: resource}", True),
    ],
)
def test_c_22_deletes_are_named_as_the_version_has_it(
    write: Write, profile: str, expected: bool
) -> None:
    client = load(write(entry(f"jku: {URL}, profile: {profile}"))).client

    assert client.profile.capabilities.delete_in_resource is expected


def test_a_client_may_have_some_services_only(write: Write) -> None:
    client = load(write(entry(f"jku: {URL}, services: [one, two]"))).client

    assert client.may_call("one") and not client.may_call("three")
