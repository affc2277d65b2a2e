"""The clients file: read whole, and refused by line, column and field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from cds_service.config import Clients, InvalidConfig, load_clients
from cds_service.http.addresses import ListedServer, Reach

Write = Callable[[str], Path]
SECRET = "whsec_" + "A" * 32
OTHER_SECRET = "whsec_" + "B" * 32


def load(file: Path, *, development: bool = False) -> Clients:
    return load_clients(file, development=development, lifetime=3600)


def problems(file: Path, *, development: bool = False) -> list[str]:
    """What is wrong, without the folder."""
    with pytest.raises(InvalidConfig) as refused:
        load(file, development=development)
    return [each.replace(f"{file.parent}/", "") for each in refused.value.problems]


def test_a_client_needs_an_id_an_iss_and_keys(write: Write, keys_line: str) -> None:
    file = write(f"clients:\n  - id: ehr\n    iss: https://ehr.example\n{keys_line}\n")

    (known,) = load(file).clients

    assert (known.client.id, known.client.tenant) == ("ehr", "default")
    assert (known.client.issuer, known.client.fhir_base) == ("https://ehr.example", "-")
    assert (known.client.fhir_servers, known.client.origins) == ((), ())
    profile = known.client.profile
    assert (profile.strict, profile.allow_replay) == (False, False)
    assert (profile.algorithms, profile.lifetime) == (("ES384", "RS384"), 3600)
    assert known.keys["ec-1"].algorithms == ("ES384",)


def test_everything_about_a_client_can_be_said(write: Write, keys_line: str) -> None:
    file = write(f"""
format: 1
clients:
  - id: ehr
    tenant: north
    iss: https://ehr.example
    tenants: [n1, n2]
    fhir_base: https://fhir.example/r4/
    fhir_client_id: us
    fhir_servers: [https://fhir.example/r4]
    open_fhir_servers: [https://open.example/r4]
    origins: ["https://ehr.example:8443"]
    profile:
      strict: true
      replay: allow
      hook_instance: constant
      draws_days: false
      algorithms: [RS256]
      lifetime: 86400
{keys_line}
""")

    clients = load(file)

    (known,) = clients.clients
    client = known.client
    assert (client.tenant, known.tenants) == ("north", ("n1", "n2"))
    assert client.fhir_base == "https://fhir.example/r4"
    assert client.fhir_client_id == "us"
    assert client.fhir_servers == (ListedServer("https://fhir.example/r4"),)
    assert client.open_fhir_servers == (ListedServer("https://open.example/r4"),)
    assert clients.origins == ("https://ehr.example:8443",)
    assert client.profile.strict and client.profile.allow_replay
    assert client.profile.constant_instance and not client.profile.draws_days
    assert (client.profile.algorithms, client.profile.lifetime) == (("RS256",), 86400)


def test_keys_may_stand_in_a_file_beside(
    write: Write, tmp_path: Path, ec_key: dict[str, Any], rsa_key: dict[str, Any]
) -> None:
    (tmp_path / "ehr.jwks.json").write_text(json.dumps({"keys": [ec_key, rsa_key]}))
    file = write("clients: [{id: ehr, iss: i, keys_file: ehr.jwks.json}]")

    (known,) = load(file).clients

    assert sorted(known.keys) == ["ec-1", "rsa-1"]


def test_a_webhook_source_has_secrets_here_or_in_a_file(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "w.secrets").write_text(f"{OTHER_SECRET}\n\n")
    file = write(
        f"webhooks: [{{id: w, tenant: north, secrets: [{SECRET}],"
        " secrets_file: w.secrets}]"
    )

    (source,) = load(file).webhooks

    assert (source.id, source.tenant, source.fhir_base) == ("w", "north", "-")
    assert source.secrets == (SECRET, OTHER_SECRET)
    assert source.formats == ("alerts",)
    assert SECRET not in repr(source)


def test_clients_of_one_issuer_may_differ_in_their_tenants(
    write: Write, keys_line: str
) -> None:
    file = write(
        f"clients:\n  - id: n\n    iss: i\n    tenants: [n]\n{keys_line}\n"
        f"  - id: s\n    iss: i\n    tenants: [s]\n{keys_line}\n"
    )

    assert len(load(file).clients) == 2


@pytest.mark.parametrize("tenants", ["[n, m]", "[]"])
def test_two_clients_that_a_token_cannot_tell_apart_are_refused(
    write: Write, keys_line: str, tenants: str
) -> None:
    file = write(
        f"clients:\n  - id: a\n    iss: i\n    tenants: [n]\n{keys_line}\n"
        f"  - id: b\n    iss: i\n    tenants: {tenants}\n{keys_line}\n"
    )

    assert problems(file) == [
        "clients.yaml:7:10: clients[1].iss:"
        " client 'a' has this iss for the same tenants"
    ]


def test_s_23_the_issuer_whose_private_key_is_public_is_for_development(
    write: Write, keys_line: str
) -> None:
    file = write(
        f"clients:\n  - id: a\n    iss: https://sandbox.cds-hooks.org\n{keys_line}\n"
    )

    assert len(load(file, development=True).clients) == 1
    assert problems(file) == [
        "clients.yaml:3:10: clients[0].iss:"
        " this issuer's private key is public; only in development"
    ]


def test_http_fhir_servers_are_for_development(write: Write, keys_line: str) -> None:
    file = write(
        "clients:\n  - id: a\n    iss: i\n    fhir_servers: [http://127.0.0.1:1/r4]\n"
        f"{keys_line}\n"
    )

    assert len(load(file, development=True).clients) == 1
    assert problems(file) == [
        "clients.yaml:4:20: clients[0].fhir_servers[0]:"
        " must begin with https:// outside development"
    ]


def test_a_13_a_fhir_server_inside_is_listed_as_private_with_its_authorities(
    write: Write, keys_line: str, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(Path(certifi.where()).read_text("utf-8"))
    file = write(
        "clients:\n  - id: a\n    iss: i\n    fhir_servers:\n"
        "      - https://fhir.example/r4/\n"
        "      - {url: https://fhir.hospital.internal/r4, private: true}\n"
        "      - {url: https://fhir.lab.internal/r4, ca_file: ca.pem}\n"
        "    open_fhir_servers: [{url: https://open.internal, private: true}]\n"
        f"{keys_line}\n"
    )

    (known,) = load(file).clients

    assert known.client.fhir_servers == (
        ListedServer("https://fhir.example/r4"),
        ListedServer("https://fhir.hospital.internal/r4", Reach.PRIVATE),
        ListedServer("https://fhir.lab.internal/r4", ca_file=str(tmp_path / "ca.pem")),
    )
    assert known.client.open_fhir_servers == (
        ListedServer("https://open.internal", Reach.PRIVATE),
    )
    (known,) = load(file, development=True).clients
    assert {each.reach for each in known.client.fhir_servers} == {Reach.LOCAL}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "clients: [{id: a, iss: i, fhir_servers: [https://127.1/r4]}]",
            "clients[0].fhir_servers[0].url: must name its host plainly",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{url: fhir}]}]",
            "clients[0].fhir_servers[0].url: must be a URL that begins with",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{private: true}]}]",
            "clients[0].fhir_servers[0].url: field required",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{url: https://a, privat: 1}]}]",
            "fhir_servers[0].privat: unknown field; did you mean `private`?",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{url: https://a, private: 1}]}]",
            "clients[0].fhir_servers[0].private: input should be a valid boolean",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{url: https://a, ca_file: no}]}]",
            "clients[0].fhir_servers[0].ca_file: no: No such file or directory",
        ),
        (
            "clients: [{id: a, iss: i, fhir_servers: [{url: https://a,"
            " ca_file: clients.yaml}]}]",
            "clients[0].fhir_servers[0].ca_file: clients.yaml: holds no certificate",
        ),
        ("clients: [", "clients.yaml:1:"),
        ("- a", "input should be a valid"),
        ("format: 2", "clients.yaml:1:9: format: input should be 1"),
        ("client: []", "clients.yaml:1:1: client: unknown field; did you mean `clie"),
        ("clients: [{iss: i, keys: []}]", "clients[0].id: field required"),
        ("clients: [{id: a, keys: []}]", "clients[0].iss: field required"),
        (
            "clients: [{id: 7, iss: i, keys: []}]",
            "clients.yaml:1:16: clients[0].id: input should be a valid string",
        ),
        ("clients: [{id: a b, iss: i}]", "clients[0].id: string should match"),
        (
            "clients: [{id: a, iss: i, isss: j}]",
            "isss: unknown field; did you mean `is",
        ),
        ("clients: [{id: a, iss: i, profile: {strct: true}}]", "did you mean `strict`"),
        (
            "clients: [{id: a, iss: i, profile: {strict: 1}}]",
            "should be a valid boolean",
        ),
        ("clients: [{id: a, iss: i, profile: {replay: yes}}]", "'refuse' or 'allow'"),
        (
            "clients: [{id: a, iss: i, profile: {algorithms: [HS256]}}]",
            "clients[0].profile.algorithms[0]: must be one of ES256",
        ),
        ("clients: [{id: a, iss: i, profile: {lifetime: 0}}]", "greater than or equal"),
        ("clients: [{id: a, iss: i, fhir_servers: [fhir]}]", "must be a URL that beg"),
        ("clients: [{id: a, iss: i, origins: ['*']}]", "must be an origin, such as"),
        (
            "clients: [{id: a, iss: i, origins: [https://a/]}]",
            "must be an origin, such",
        ),
        ("clients: [{id: a, iss: i}]", "clients[0]: one of keys, keys_file and jku"),
        (
            "clients: [{id: a, iss: i, keys: [], keys_file: x}]",
            "one of keys, keys_file and jku must be given",
        ),
        ("clients: [{id: a, iss: i, keys: []}]", "must be a JWK Set with at least one"),
        ("clients: [{id: a, iss: i, keys: {keys: 7}}]", "must be a JWK Set with at le"),
        ("clients: [{id: a, iss: i, keys: [7]}]", "must be a JWK with a kid"),
        ("clients: [{id: a, iss: i, keys: [{kid: 7}]}]", "kty: neither RSA nor EC"),
        (
            "clients: [{id: a, iss: i, keys: [{kid: 7, kty: RSA}]}]",
            "must be a JWK with a kid",
        ),
        (
            "clients: [{id: a, iss: i, keys: [{kty: oct, kid: k, k: c2VjcmV0}]}]",
            "clients[0].keys[0].k: this is a secret; only public keys stand here",
        ),
        (
            "clients: [{id: a, iss: i, keys: [{kty: oct, kid: k}]}]",
            "clients[0].keys[0].kty: neither RSA nor EC",
        ),
        (
            "clients: [{id: a, iss: i, keys: {keys: [{kty: oct, kid: k}]}}]",
            "clients[0].keys.keys: no key is left to verify tokens with",
        ),
        ("clients: [{id: a, iss: i, keys_file: no.json}]", "no.json: No such file or"),
        ("clients: [{id: a, iss: i, keys_file: clients.yaml}]", "yaml: is not JSON"),
        ("webhooks: [{id: w}]", "webhooks[0]: secrets, secrets_file or tokens must"),
        ("webhooks: [{id: w, secrets: [abc]}]", "must be whsec_ and 24 bytes or more"),
        ("webhooks: [{id: w, secrets: [whsec_abc]}]", "must be whsec_ and 24 bytes or"),
        (
            "webhooks: [{id: w, secrets_file: no}]",
            "webhooks[0].secrets_file: no: No su",
        ),
        (
            "webhooks: [{id: w, time_zone: Atlantis}]",
            "webhooks[0].time_zone: must be a time zone, such as America/New_York",
        ),
        (
            "webhooks: [{id: w, formats: [x]}]",
            "webhooks[0].formats[0]: no such format; allowed here: alerts, consents",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_and_field(
    write: Write, text: str, expected: str
) -> None:
    found = problems(write(text))

    assert expected in "\n".join(found)
    assert all(each.startswith("clients.yaml:1:") for each in found)


def test_an_id_stands_once(write: Write, keys_line: str) -> None:
    file = write(
        f"clients:\n  - id: a\n    iss: i\n{keys_line}\n"
        f"  - id: a\n    iss: j\n{keys_line}\n"
        f"webhooks:\n  - {{id: w, secrets: [{SECRET}]}}\n"
        f"  - {{id: w, secrets: [{OTHER_SECRET}]}}\n"
    )

    assert problems(file) == [
        "clients.yaml:5:9: clients[1].id: 'a' is already used",
        "clients.yaml:10:10: webhooks[1].id: 'w' is already used",
    ]


def test_a_secret_tells_two_sources_apart(write: Write) -> None:
    file = write(
        f"webhooks:\n  - {{id: v, secrets: [{SECRET}]}}\n"
        f"  - {{id: w, secrets: [{SECRET}]}}\n"
    )

    (found,) = problems(file)
    assert found.endswith("webhooks[1]: a secret is also used by 'v'")
    assert SECRET not in found


def test_a_fault_in_a_file_beside_is_named_in_both(
    write: Write, tmp_path: Path, ec_key: dict[str, Any]
) -> None:
    keys = [{**ec_key, "use": "enc"}, {**ec_key, "d": "c2VjcmV0"}]
    (tmp_path / "k.json").write_text(json.dumps({"keys": keys}))
    file = write("clients: [{id: a, iss: i, keys_file: k.json}]")

    assert problems(file) == [
        "clients.yaml:1:38: clients[0].keys_file:"
        " k.json: keys[1].d: this is a secret; only public keys stand here",
        "clients.yaml:1:38: clients[0].keys_file:"
        " k.json: keys[0].use: the key is not for signatures",
    ]


@pytest.mark.parametrize("inline", [True, False])
def test_an_encryption_key_beside_the_signing_one_is_passed_over(
    write: Write, tmp_path: Path, ec_key: dict[str, Any], inline: bool
) -> None:
    other = {**ec_key, "kid": "enc-1", "alg": "ECDH-ES", "use": "enc"}
    text = json.dumps({"keys": [other, ec_key, {"kty": "AKP"}]})
    (tmp_path / "k.json").write_text(text)
    keys = f"keys: {text}" if inline else "keys_file: k.json"

    (known,) = load_clients(
        write(f"clients: [{{id: a, iss: i, {keys}}}]"), development=False, lifetime=3600
    ).clients

    assert list(known.keys) == ["ec-1"]


def test_a_set_without_a_key_for_signatures_is_refused(
    write: Write, tmp_path: Path, ec_key: dict[str, Any]
) -> None:
    (tmp_path / "k.json").write_text(json.dumps({"keys": [{**ec_key, "use": "enc"}]}))

    assert problems(write("clients: [{id: a, iss: i, keys_file: k.json}]")) == [
        "clients.yaml:1:38: clients[0].keys_file:"
        " k.json: keys[0].use: the key is not for signatures",
        "clients.yaml:1:38: clients[0].keys_file:"
        " k.json: keys: no key is left to verify tokens with",
    ]


def test_a_byte_order_mark_before_a_key_set_is_none_of_it(
    write: Write, tmp_path: Path, ec_key: dict[str, Any]
) -> None:
    (tmp_path / "k.json").write_text("\ufeff" + json.dumps({"keys": [ec_key]}), "utf-8")

    file = write("clients: [{id: a, iss: i, keys_file: k.json}]")

    assert list(load_clients(file, development=False, lifetime=3600).clients[0].keys)


def test_a_kid_stands_once(
    write: Write, ec_key: dict[str, Any], rsa_key: dict[str, Any]
) -> None:
    keys = json.dumps([ec_key, {**rsa_key, "kid": "ec-1"}])

    (found,) = problems(write(f"clients: [{{id: a, iss: i, keys: {keys}}}]"))

    assert found.endswith("clients[0].keys[1].kid: another key has the same kid")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    file.write_bytes(b"\xff\xfe\x00")

    assert problems(file) == ["CDS_CLIENTS_FILE: clients.yaml: is not UTF-8"]


def test_a_key_given_twice_in_an_entry_is_refused(write: Write) -> None:
    assert problems(write("clients: [{id: a, id: b}]"))
