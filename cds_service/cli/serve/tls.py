"""TLS, spoken by the server itself: what is offered, and whether the files are good.

Files that are renewed while the server runs are taken up with the next connection; as
long as they do not fit together, what was read before is used.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from ...config import Config, InvalidConfig

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no other.
Source: RFC 9325 section 4.2."""
SOON = timedelta(days=14)
"""Before the end of a certificate."""


def check_tls(config: Config, now: datetime) -> list[str]:
    """Return what must be said about the certificate at start, a sentence each.

    Raises:
        InvalidConfig: if a file cannot be read or used, or the key does not fit.
    """
    if config.tls_cert is None:
        return []
    build_context(config)
    certificate = x509.load_pem_x509_certificates(config.tls_cert.read_bytes())[0]
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = f"CDS_TLS_CERT: {config.tls_cert}"
    if now < begins:
        return [f"{name}: is not valid before {begins:%Y-%m-%d %H:%M} UTC"]
    if ends <= now:
        return [f"{name}: expired on {ends:%Y-%m-%d}; clients will refuse it"]
    if ends - now < SOON:
        return [f"{name}: expires on {ends:%Y-%m-%d}"]
    return []


def build_context(config: Config) -> ssl.SSLContext:
    """Return what is offered to clients: TLS 1.2 or 1.3, and asked of them.

    Raises:
        InvalidConfig: if a file cannot be read or used, or the key does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    cert, key = config.tls_cert, config.tls_key
    assert cert is not None and key is not None
    problems = [*_unreadable("CERT", cert), *_unreadable("KEY", key)]
    if config.tls_client_ca is not None:
        problems += _require_certificates(context, config.tls_client_ca)
    if not problems:
        problems += _load_pair(context, cert, key)
    if problems:
        raise InvalidConfig(problems)
    return context


class Contexts:
    """The context of now, read again when a file was changed."""

    def __init__(self, config: Config, log: Callable[[str], object]) -> None:
        self._config = config
        self._log = log
        listed = (config.tls_cert, config.tls_key, config.tls_client_ca)
        self._files = [each for each in listed if each is not None]
        self._read = self._stamp()
        self._context = build_context(config)
        self._lock = threading.Lock()

    def current(self) -> ssl.SSLContext:
        """Return the newest context that could be made."""
        with self._lock:
            stamp = self._stamp()
            if stamp != self._read:
                self._read = stamp
                self._renew()
            return self._context

    def _renew(self) -> None:
        try:
            self._context = build_context(self._config)
        except InvalidConfig as error:
            self._log(f"the current certificate stays in use: {error}")
        else:
            self._log("the certificate was reloaded")

    def _stamp(self) -> Sequence[tuple[int, int] | None]:
        return [_stamp(each) for each in self._files]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _unreadable(name: str, file: Path) -> list[str]:
    try:
        file.read_bytes()
    except OSError as error:
        return [f"CDS_TLS_{name}: {file}: {error.strerror}"]
    return []


def _require_certificates(context: ssl.SSLContext, file: Path) -> list[str]:
    problems = _unreadable("CLIENT_CA", file)
    if problems:
        return problems
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        return [f"CDS_TLS_CLIENT_CA: {file}: contains no certificate in PEM"]
    context.verify_mode = ssl.CERT_REQUIRED
    return []


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> list[str]:
    try:
        if not x509.load_pem_x509_certificates(cert.read_bytes()):
            raise ValueError
    except ValueError:
        return [f"CDS_TLS_CERT: {cert}: contains no certificate in PEM"]
    asked = []

    def password() -> str:
        asked.append(key)
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if asked:
            return [f"CDS_TLS_KEY: {key}: is encrypted; it must not be"]
        if error.reason == "KEY_VALUES_MISMATCH":
            return [f"CDS_TLS_KEY: {key}: is not the key of {cert}"]
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
            return [f"CDS_TLS_CERT: {cert}: is too weak ({error.reason})"]
        return [f"CDS_TLS_KEY: {key}: contains no private key in PEM"]
    return []
