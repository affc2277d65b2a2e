"""SMART apps in the clients file: who we are at an EHR that opens our pages."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cds_service.config import Clients, InvalidConfig, load_clients, load_config
from cds_service.config.inventory import build_inventory, digest_file
from cds_service.trust import SmartApp, thumbprint

Write = Callable[[str], Path]
KEY = base64.b64encode(bytes(range(32))).decode()
P384 = ec.derive_private_key(3**200, ec.SECP384R1())


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def ehr(write: Write, keys_line: str, tmp_path: Path) -> Callable[..., Path]:
    """Writes a clients file with one EHR; its app is told in YAML."""
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "smart.pem").write_bytes(pem(P384))

    def written(smart: str, **more: str) -> Path:
        base = more.get("fhir_base", "https://ehr.example/fhir")
        servers = more.get("fhir_servers", "[https://ehr.example/fhir]")
        lines = (
            "format: 1",
            *("clients:", "  - id: ehr", "    iss: https://ehr.example", keys_line),
            *(f"    fhir_base: {base}", f"    fhir_servers: {servers}"),
            f"    smart: {smart}",
            more.get("end", ""),
        )
        return write("\n".join(lines) + "\n")

    return written


def load(file: Path, *, development: bool = False) -> Clients:
    return load_clients(file, development=development, lifetime=3600)


def app_of(file: Path, *, development: bool = False) -> SmartApp:
    app = load(file, development=development).clients[0].client.smart
    assert app is not None
    return app


def problems(file: Path, *, development: bool = False) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        load(file, development=development)
    return [each.partition(": ")[2] for each in refused.value.problems]


def test_an_ehr_that_opens_no_pages_has_no_app(write: Write, keys_line: str) -> None:
    file = write(f"clients:\n  - id: ehr\n    iss: https://e.example\n{keys_line}\n")

    assert load(file).clients[0].client.smart is None


def test_with_neither_secret_nor_key_it_is_a_public_client(
    ehr: Callable[..., Path],
) -> None:
    assert app_of(ehr("{client_id: us}")) == SmartApp("us")


def test_a_secret_is_read_from_its_file_and_shown_nowhere(
    ehr: Callable[..., Path],
) -> None:
    app = app_of(ehr("{client_id: us, secret_file: secret}"))

    assert app.secret == "s3cret"
    assert "s3cret" not in repr(app)


def test_an_app_signs_with_the_key_of_its_file(ehr: Callable[..., Path]) -> None:
    app = app_of(ehr("{client_id: us, private_key_file: smart.pem, kid: now}"))

    assert app.key is not None
    assert (app.key.kid, app.key.algorithm) == ("now", "ES384")


def test_everything_else_that_an_app_is_told(ehr: Callable[..., Path]) -> None:
    told = (
        "{client_id: us, issuer: https://login.example/, scopes: v1,"
        " user_required: true, practitioner_roles: true, hosts: [Login.example],"
        " frame_ancestors: [https://ehr.example, https://portal.example:8443]}"
    )

    assert app_of(ehr(told)) == SmartApp(
        client_id="us",
        issuer="https://login.example",
        scopes="v1",
        frame_ancestors=("https://ehr.example", "https://portal.example:8443"),
        user_required=True,
        practitioner_roles=True,
        hosts=("login.example",),
    )


SMART = "clients[0].smart"


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("{}", f"{SMART}.client_id: field required"),
        (
            "{client_id: us, secretfile: secret}",
            f"{SMART}.secretfile: unknown field; did you mean `secret_file`?",
        ),
        (
            "{client_id: us, secret_file: secret, private_key_file: smart.pem, kid: k}",
            f"{SMART}: only one of secret_file and private_key_file",
        ),
        ("{client_id: us, kid: k}", f"{SMART}.kid: is that of a private_key_file"),
        (
            "{client_id: us, private_key_file: smart.pem}",
            f"{SMART}.private_key_file: smart.pem: say by which kid the server knows"
            " the key",
        ),
        (
            "{client_id: us, private_key_file: gone.pem, kid: k}",
            f"{SMART}.private_key_file: gone.pem: No such file or directory",
        ),
        (
            "{client_id: us, secret_file: gone}",
            f"{SMART}.secret_file: gone: No such file or directory",
        ),
        ("{client_id: us, scopes: v3}", f"{SMART}.scopes: input should be 'auto', "),
        (
            "{client_id: us, hosts: ['https://login.example']}",
            f"{SMART}.hosts[0]: must be the name of a host alone, such as",
        ),
        (
            "{client_id: us, hosts: ['login.example:8443']}",
            f"{SMART}.hosts[0]: must be the name of a host alone, such as",
        ),
        (
            "{client_id: us, frame_ancestors: ['https://*.example']}",
            f"{SMART}.frame_ancestors[0]: must be an origin, such as",
        ),
        (
            "{client_id: us, frame_ancestors: ['http://ehr.example']}",
            f"{SMART}.frame_ancestors[0]: must begin with https:// outside development",
        ),
        (
            "{client_id: us, issuer: 'http://ehr.example'}",
            f"{SMART}.issuer: must begin with https:// outside development",
        ),
    ],
)
def test_what_is_wrong_with_an_app_is_said_at_its_field(
    ehr: Callable[..., Path], told: str, problem: str
) -> None:
    (found,) = problems(ehr(told))

    assert found.startswith(problem)


def test_the_fhir_server_that_opens_the_pages_must_be_known(
    ehr: Callable[..., Path],
) -> None:
    (found,) = problems(ehr("{client_id: us}", fhir_base="'-'"))

    expected = f"{SMART}: needs fhir_base: the FHIR server that opens the pages"
    assert found == expected


def test_the_fhir_server_that_opens_the_pages_may_be_read(
    ehr: Callable[..., Path],
) -> None:
    (found,) = problems(ehr("{client_id: us}", fhir_servers="[https://other.example]"))

    expected = f"{SMART}: fhir_base must be among fhir_servers: the pages read it"
    assert found == expected


def test_two_clients_are_not_opened_from_one_fhir_server(
    ehr: Callable[..., Path], keys_line: str
) -> None:
    other = (
        f"  - id: twin\n    iss: https://twin.example\n{keys_line}\n"
        "    fhir_base: https://ehr.example/fhir/\n"
        "    fhir_servers: [https://ehr.example/fhir]\n    smart: {client_id: us}\n"
    )

    (found,) = problems(ehr("{client_id: us}", end=other))

    assert found == "clients[1].smart: client 'ehr' is opened from this fhir_base"


def test_a_server_whose_pages_are_opened_needs_a_key_for_tokens(
    ehr: Callable[..., Path],
) -> None:
    set_up = {
        "CDS_PROFILE": "development",
        "CDS_CLIENTS_FILE": str(ehr("{client_id: us}")),
    }

    with pytest.raises(InvalidConfig) as refused:
        load_config(set_up)

    missing = "CDS_TOKEN_KEY: must be set: it encrypts tokens at clouds and EHRs"
    assert refused.value.problems == (missing,)
    assert load_config({**set_up, "CDS_TOKEN_KEY": KEY})


# What is published


def jwk_set(*keys: Any) -> str:
    return json.dumps({"keys": list(keys)})


PUBLISHING = "published_keys_file: more.jwks.json"


def test_the_public_half_of_each_key_that_signs_is_published(
    ehr: Callable[..., Path],
) -> None:
    file = ehr("{client_id: us, private_key_file: smart.pem, kid: now}")

    published = load(file).published

    assert {kid: key.algorithms for kid, key in published.items()} == {
        "now": ("ES384",)
    }
    assert published["now"].key == P384.public_key()


def test_a_key_for_backend_services_is_published_too(
    ehr: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "rsa.pem").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    destination = (
        "destinations: [{id: fhir, kind: fhir, url: https://ehr.example/fhir,"
        " token: {client_id: us, key_file: rsa.pem, kid: told}}]"
    )

    published = load(ehr("{client_id: us}", end=destination)).published

    assert published["told"].algorithms == ("RS384",)


def test_the_next_key_and_the_last_are_published_beside_the_one_that_signs(
    ehr: Callable[..., Path],
    ec_key: dict[str, Any],
    rsa_key: dict[str, Any],
    tmp_path: Path,
) -> None:
    (tmp_path / "more.jwks.json").write_text(jwk_set(ec_key, rsa_key))
    smart = "{client_id: us, private_key_file: smart.pem, kid: now}"

    published = load(ehr(smart, end=PUBLISHING)).published

    assert {kid: key.algorithms for kid, key in published.items()} == {
        "now": ("ES384",),
        "ec-1": ("ES384",),
        "rsa-1": ("RS384",),
    }


def test_a_private_key_is_never_published(
    ehr: Callable[..., Path], ec_key: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "more.jwks.json").write_text(jwk_set({**ec_key, "d": "AAAA"}))

    (found,) = problems(ehr("{client_id: us}", end=PUBLISHING))

    assert found == (
        "published_keys_file: more.jwks.json: keys[0].d: this is a secret; only public"
        " keys stand here"
    ) or found.startswith("published_keys_file: more.jwks.json: keys[0]: this is")


@pytest.mark.parametrize(
    ("content", "problem"),
    [("{", "is not JSON"), ('{"keys": 1}', "is no JWK Set")],
)
def test_a_file_of_keys_that_is_none_is_said(
    ehr: Callable[..., Path], tmp_path: Path, content: str, problem: str
) -> None:
    (tmp_path / "more.jwks.json").write_text(content)

    (found,) = problems(ehr("{client_id: us}", end=PUBLISHING))

    assert found == f"published_keys_file: more.jwks.json: {problem}"


def test_two_keys_of_one_name_are_not_published(
    ehr: Callable[..., Path], ec_key: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "more.jwks.json").write_text(jwk_set({**ec_key, "kid": "now"}))
    smart = "{client_id: us, private_key_file: smart.pem, kid: now}"

    (found,) = problems(ehr(smart, end=PUBLISHING))

    assert found == "published_keys_file: two keys that differ have the kid 'now'"


def test_the_trail_names_keys_and_tells_no_secret(ehr: Callable[..., Path]) -> None:
    file = ehr("{client_id: us, private_key_file: smart.pem, kid: now}")
    config = load_config(
        {
            **{"CDS_PROFILE": "development", "CDS_CLIENTS_FILE": str(file)},
            "CDS_TOKEN_KEY": KEY,
        }
    )

    told = build_inventory(config, load(file), digest_file)

    print_of_it = thumbprint(load(file).published["now"])
    assert told["client.ehr.smart.key"] == f"now {print_of_it} ES384"
    assert told["published_keys.now"] == f"{print_of_it} ES384"
    assert str(P384.private_numbers().private_value) not in str(told)
