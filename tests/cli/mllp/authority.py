"""An authority of a test's own, and certificates of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Sign = Callable[[str], tuple[str, str]]
"""Given a DNS name: the files of a certificate and of its key."""


def make_authority(folder: Path) -> tuple[str, Sign]:
    """Return the file of an authority, and what makes certificates of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = _builder("authority", key).issuer_name(_name("authority"))
    root = own.add_extension(x509.BasicConstraints(True, None), True)
    root = root.add_extension(_usage(signs=True), True)
    file = folder / "authority.pem"
    file.write_bytes(_pem(root.sign(key, hashes.SHA256())))
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())

    def sign(name: str) -> tuple[str, str]:
        theirs = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = _builder(name, theirs).issuer_name(_name("authority"))
        made = made.add_extension(names, False).add_extension(known, False)
        cert, secret = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(_pem(made.sign(key, hashes.SHA256())))
        secret.write_bytes(
            theirs.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(cert), str(secret)

    return str(file), sign


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(identity, False)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, *[False] * 4, signs, signs, False, False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
