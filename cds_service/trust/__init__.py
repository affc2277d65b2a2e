"""Trust: who may call, and what may leave.

``authenticate`` is the way in; ``Keyring`` holds the keys that clients publish.
"""

from .algorithms import ALGORITHMS, DEFAULT_ALGORITHMS
from .authentication import Check, Spend, Trust, authenticate, examine, find_client
from .clients import (
    DEFAULT_LIFETIME,
    REFRESH,
    ClientProfile,
    KeyFormat,
    KeyServer,
    RegisteredClient,
    Registry,
    TrustedClient,
)
from .keyring import Keyring
from .keys import (
    InvalidKey,
    InvalidKeySet,
    KeySet,
    VerificationKey,
    read_key,
    read_key_set,
    thumbprint,
)
from .tokens import LEEWAY, Token, read_token

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "DEFAULT_LIFETIME",
    "LEEWAY",
    "REFRESH",
    "Check",
    "ClientProfile",
    "InvalidKey",
    "InvalidKeySet",
    "KeyFormat",
    "KeyServer",
    "KeySet",
    "Keyring",
    "RegisteredClient",
    "Registry",
    "Spend",
    "Token",
    "Trust",
    "TrustedClient",
    "VerificationKey",
    "authenticate",
    "examine",
    "find_client",
    "read_key",
    "read_key_set",
    "read_token",
    "thumbprint",
]
