"""Certificate and key, judged before the server starts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds_service.cli.serve.tls import Contexts, check_tls
from cds_service.config import Config, InvalidConfig, load_config

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
Make = Callable[..., Config]


def write_pair(
    folder: Path, begins: datetime, ends: datetime, password: str = ""
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cds")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, encryption))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Settings with a certificate that is valid from *begins* to *ends* days."""

    def build(begins: int = -1, ends: int = 90, password: str = "") -> Config:
        days = (timedelta(days=begins), timedelta(days=ends))
        write_pair(tmp_path, NOW + days[0], NOW + days[1], password)
        return config_of(tmp_path)

    return build


def config_of(folder: Path, **more: str) -> Config:
    return load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_TLS_CERT": str(folder / "cert.pem"),
            "CDS_TLS_KEY": str(folder / "key.pem"),
            **more,
        }
    )


def problem(config: Config) -> str:
    with pytest.raises(InvalidConfig) as refused:
        check_tls(config, NOW)
    (told,) = refused.value.problems
    return told


def test_a_good_pair_needs_no_word(make: Make) -> None:
    assert check_tls(make(), NOW) == []


def test_without_tls_there_is_nothing_to_check() -> None:
    config = load_config({"CDS_PROFILE": "development", "CDS_AUTH": "off"})

    assert check_tls(config, NOW) == []


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (-90, -1, "expired on 2026-11-21; clients will refuse it"),
        (-90, 13, "expires on 2026-12-05"),
        (1, 90, "is not valid before 2026-11-23 14:00 UTC"),
    ],
)
def test_a_certificate_that_is_over_or_soon_will_be_is_said_aloud(
    make: Make, begins: int, ends: int, words: str
) -> None:
    (warning,) = check_tls(make(begins, ends), NOW)

    assert warning.startswith("CDS_TLS_CERT: ")
    assert warning.endswith(words)


def test_a_key_of_another_certificate_is_refused(make: Make, tmp_path: Path) -> None:
    make()
    other = (tmp_path / "key.pem").read_bytes()
    config = make()
    (tmp_path / "key.pem").write_bytes(other)

    assert problem(config).endswith(f"is not the key of {tmp_path / 'cert.pem'}")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    make: Make,
) -> None:
    assert problem(make(password="secret")).endswith("is encrypted; it must not be")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("cert.pem", "hello", "CDS_TLS_CERT: {}: contains no certificate in PEM"),
        ("cert.pem", "", "CDS_TLS_CERT: {}: contains no certificate in PEM"),
        ("key.pem", "hello", "CDS_TLS_KEY: {}: contains no private key in PEM"),
        ("key.pem", None, "CDS_TLS_KEY: {}: No such file or directory"),
        ("cert.pem", None, "CDS_TLS_CERT: {}: No such file or directory"),
        ("ca.pem", None, "CDS_TLS_CLIENT_CA: {}: No such file or directory"),
        ("ca.pem", "hello", "CDS_TLS_CLIENT_CA: {}: contains no certificate in PEM"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    make: Make, tmp_path: Path, file: str, text: str | None, words: str
) -> None:
    make()
    more = {"CDS_TLS_CLIENT_CA": str(tmp_path / file)} if file == "ca.pem" else {}
    (tmp_path / file).unlink(missing_ok=True)
    if text is not None:
        (tmp_path / file).write_text(text)

    assert problem(config_of(tmp_path, **more)) == words.format(tmp_path / file)


def test_the_context_in_use_is_kept_until_there_is_a_better_one(
    make: Make, tmp_path: Path
) -> None:
    said: list[str] = []
    contexts = Contexts(make(), said.append)
    first = contexts.current()
    assert contexts.current() is first

    (tmp_path / "key.pem").write_text("half of a renewal")
    assert contexts.current() is first
    assert contexts.current() is first
    make(ends=300)

    assert contexts.current() is not first
    assert len(said) == 2
    assert said[0].startswith("the current certificate stays in use: CDS_TLS_KEY")
