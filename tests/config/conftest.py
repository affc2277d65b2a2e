"""A folder for a clients file, and real public keys to put into it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


@pytest.fixture(scope="session")
def ec_key() -> dict[str, Any]:
    """A public P-384 key as a JWK."""
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return {**ECAlgorithm.to_jwk(public, as_dict=True), "kid": "ec-1"}


@pytest.fixture(scope="session")
def rsa_key() -> dict[str, Any]:
    """A public RSA key of 2048 bits as a JWK."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    return {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "rsa-1"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the clients file."""

    def write_file(text: str) -> Path:
        file = tmp_path / "clients.yaml"
        file.write_text(text)
        return file

    return write_file


@pytest.fixture
def keys_line(ec_key: dict[str, Any]) -> str:
    """An inline key set for an entry of the clients file."""
    return "    keys: " + json.dumps({"keys": [ec_key]})
